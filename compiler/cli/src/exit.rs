//! Exit codes: what a script learns without reading.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done; warnings do not count.
    Ok = 0,
    /// The policy has errors.
    Errors = 1,
    /// The command line makes no sense. `clap` uses the same number.
    Usage = 2,
    /// The kernel or the outside world refused.
    Refused = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
