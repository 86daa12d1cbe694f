//! The oomc compiler: from the text of a policy to a BPF object.
//!
//! ```text
//! text ─ syntax ─► CST ─► AST ─ resolve, hir ─► HIR ─ lower ─► IR ─ passes ─► IR
//!                                                                     │ bpf: select, allocate, emit
//!                              ELF ◄─ object ─ Program (BPF, symbolic relocations)
//! ```
//!
//! Takes a [`Source`] and a [`KernelView`] and gives bytes and diagnostics; [`pipeline`] is the way between them, one
//! value after the other. Reads no file, asks no kernel, prints nothing: whoever calls it does. An author's mistakes
//! are collected as [`diag::Diagnostic`]s, and so is a fault of the compiler itself, which says that it is one.

pub mod diag;
pub mod source;

pub mod pipeline;

pub mod hir;
pub mod resolve;
pub mod syntax;

pub mod value;

pub mod expand;
pub mod format;

pub mod plan;

mod parallel;

pub mod ir;
pub mod lower;
pub mod passes;

pub mod bpf;
pub mod object;

mod emit;
pub mod trace;

pub use emit::{Dumped, Stage, dump};
pub use oomc_abi::resolve::KernelView;
pub use oomc_abi::scenario::Test;
pub use pipeline::{Checked, Compiled, Parsed, check, compile};
pub use source::Source;

/// The version of the compiler, as written into objects.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
