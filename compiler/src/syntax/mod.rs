//! From text to the syntax tree.
//!
//! Owns the AST ([`ast`]), how parse trees become it ([`lower_cst`]: the only file that sees the grammar's
//! rules), and what a literal is worth ([`literal`]). Nothing is resolved here: a name is its text.

pub mod ast;
pub mod literal;
pub mod lower_cst;
pub mod print;
