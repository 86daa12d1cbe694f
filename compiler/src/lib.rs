//! The oomc compiler: from the text of a policy to a BPF object.

pub mod diag;
pub mod source;

pub mod hir;
pub mod parse;
pub mod resolve;
pub mod syntax;

pub mod ir;
pub mod lower;
pub mod passes;

pub mod bpf;
pub mod object;
