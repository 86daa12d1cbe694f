//! From text to the syntax tree.
//!
//! Owns the AST ([`ast`]), how parse trees become it ([`lower_cst`]), what a literal is worth ([`literal`]), what an
//! author is told of mistakes ([`errors`]), which characters are mistaken for others ([`characters`]), and what stands between tokens ([`trivia`]).
//! Of a text that was edited, only the clauses that differ are parsed again ([`lower_cst::Before`]). Nothing is resolved
//! here: a name is its text.

pub mod ast;
pub(crate) mod characters;
mod errors;
pub mod literal;
pub mod lower_cst;
pub mod print;
mod shift;
pub mod trivia;
