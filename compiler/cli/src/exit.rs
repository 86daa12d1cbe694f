//! Exit codes, and failures that end a command.

use std::process::ExitCode;

use oomc_runtime::error::Kind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done; warnings included.
    Ok = 0,
    /// The policy has errors.
    Errors = 1,
    /// Called in a way that never works.
    Usage = 2,
    /// A privilege or a feature of the kernel is missing.
    Missing = 3,
    /// The kernel or the outside world refused.
    Refused = 4,
}

impl Exit {
    /// As JSON has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Errors => "errors",
            Self::Usage => "usage",
            Self::Missing => "missing",
            Self::Refused => "refused",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What ends a command before its work is done, other than errors in a policy.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Its exit code.
    pub(crate) exit: Exit,
    /// A sentence.
    pub(crate) message: String,
    /// What to do.
    pub(crate) help: Option<String>,
    /// The sentence is several lines, and nothing from outside makes any of them. Otherwise an end of a line in it comes
    /// from a name, and is escaped.
    pub(crate) lines: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), help: None, lines: false }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<oomc_runtime::Error> for Failure {
    fn from(error: oomc_runtime::Error) -> Self {
        let exit = match error.kind() {
            Kind::Usage => Exit::Usage,
            Kind::Missing => Exit::Missing,
            Kind::Refused => Exit::Refused,
        };
        Self { lines: true, ..Self::new(exit, error.to_string()) }
    }
}

impl From<oomc_forecast::Error> for Failure {
    fn from(error: oomc_forecast::Error) -> Self {
        let exit = match error {
            oomc_forecast::Error::Kernel(_) => Exit::Missing,
            _ => Exit::Refused,
        };
        let lines = !matches!(error, oomc_forecast::Error::NoCgroup { .. });
        Self { exit, message: error.to_string(), help: error.help(), lines }
    }
}

/// How a command ends.
pub(crate) type Outcome = Result<Exit, Failure>;
