//! The one way from a policy's text to its object: each value is made from the one before it, and from nothing else.
//!
//! ```text
//!         Parsed::new      check        plan          lower         optimise          select          object
//! Source ────────► Parsed ─────► Checked ────► Planned ─────► Lowered ───────► Optimised ──────► Programs ──────► bytes
//!                    ast           hir           plan            ir            opt, vcode           asm         btf, elf
//! ```
//!
//! A policy has two programs, the callback and the one that user space asks on a kernel without the hook: each goes from
//! the plan to machine code, one after the other, and they meet in [`Programs`]. `--emit` prints the callback.
//!
//! Below each value stand the stages of `--emit` that print it. A text is parsed when its [`Parsed`] is made, and
//! nowhere else; [`Parsed::check`] consumes it. Whoever wants more than one thing of a policy (its object, a traced
//! build of it, its tests, what is wrong with it) asks the same [`Checked`] for each. Each step pushes what it has to
//! say into a [`Sink`](crate::diag::Sink) and gives nothing if that is an error.

mod bytes;

mod parsed;

mod checked;

mod planned;

mod lowered;

mod programs;

#[cfg(test)]
mod tests;

pub use checked::{Beside, Checked, REVIEWED};
pub use lowered::{Lowered, Optimised};
pub(crate) use lowered::{Marks, Points};
pub use parsed::Parsed;
pub use planned::Planned;
pub use programs::Programs;
pub(crate) use programs::no_code;

use oomc_abi::resolve::KernelView;

use crate::diag::Diagnostic;
use crate::source::Source;

/// What the whole compiler makes of a policy.
#[derive(Debug)]
pub struct Compiled {
    /// The ELF object; none if there is an error.
    pub object: Option<Vec<u8>>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses and checks a policy that has no file of tests beside it.
#[must_use]
pub fn check<'k>(source: &Source, view: &'k KernelView) -> Checked<'k> {
    Parsed::new(source.clone()).check(view)
}

/// Compiles a policy for a kernel. The same source and the same BTF give the same bytes.
#[must_use]
pub fn compile(source: &Source, view: &KernelView) -> Compiled {
    check(source, view).compile()
}
