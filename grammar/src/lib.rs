//! The grammar of the oom policy language: text to parse tree.
//!
//! Owns the spelling: what a word, a clause and an operator look like. Takes text and gives pest pairs, one
//! clause at a time ([`items`]). Knows nothing of what a policy means.

pub mod items;
pub mod precedence;

pub use pest;

/// The grammar, as printed in the book.
pub const GRAMMAR: &str = include_str!("../oom.pest");

// The derive macro writes items without documentation.
#[expect(missing_docs, reason = "the derive macro writes the enum; the grammar documents its rules")]
mod parser {
    /// The parser that the grammar describes.
    #[derive(pest_derive::Parser)]
    #[grammar = "oom.pest"]
    pub struct OomParser;
}

pub use parser::{OomParser, Rule};
