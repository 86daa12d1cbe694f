//! From text to the syntax tree.
//!
//! Owns the AST ([`ast`]), how parse trees become it ([`lower_cst`]: besides the formatter the only file that
//! sees the grammar's rules), what a literal is worth ([`literal`]), and what stands between tokens
//! ([`trivia`]). Nothing is resolved here: a name is its text.

pub mod ast;
pub mod literal;
pub mod lower_cst;
pub mod print;
pub mod trivia;
