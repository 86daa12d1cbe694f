//! The intermediate representation: SSA over basic blocks with parameters.
//!
//! Owns a [`Module`]: the callback and the functions that it calls, with every kernel rule made explicit — references are
//! acquired and released by calls, RCU sections are entered and left, iterators live in stack slots,
//! loop-carried numbers live in a global map value. Registers, encodings and ELF are not known here.
//!
//! In text:
//!
//! ```text
//! function %on_oom {
//!     fd0 = oom_control.order
//!     kf0 = bpf_get_mem_cgroup
//!     ss0 = stack 24
//! block0:
//!     v0 = load.ctx 0
//!     v1 = load.field v0, fd0
//!     br eq v1, -1, block1, block2
//! block1:
//!     v2 = iconst 0
//!     return v2
//! …
//! }
//! ```

#![expect(clippy::indexing_slicing, reason = "an entity indexes the maps of the function that made it")]

pub mod entities;
pub mod function;
pub mod inst;
pub mod opcodes;
pub mod refs;

pub mod builder;

pub mod cfg;

pub mod read;
pub mod write;

pub mod verify;

pub use builder::*;
pub use entities::*;
pub use function::*;
pub use inst::*;
pub use refs::*;

#[cfg(test)]
mod tests;
