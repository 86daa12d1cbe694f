//! The compiler: from a policy's text to an object file. It does no IO.

pub mod bpf;
pub mod hir;
pub mod ir;
pub mod source;
