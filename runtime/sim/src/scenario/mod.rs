//! Runs tests of policies: from what is given to a machine, from what happens to decisions, from what is expected to
//! a verdict.
//!
//! Takes [`oomc_abi::scenario::Test`]s and a policy that is fitted to a kernel; the bytes decide, as everywhere in
//! this crate. Knows neither the text of a test nor how a verdict is printed.

mod described;
mod given;

mod play;
mod watching;

mod verdict;

#[cfg(test)]
mod tests;

use std::fmt;

pub use described::{Assumed, DEFAULTS};
pub use play::{Decision, Kernel as KernelsOwn, Order, Played, decide, play};
pub use verdict::{Failure, did};
pub use watching::Asking;

/// Why a test says something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Line of the test's file.
    pub line: u32,
    /// A sentence.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}

impl std::error::Error for Mistake {}
