//! Why there is no forecast.

use std::fmt;

/// What keeps a policy from being tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The types of the kernel lack what a model of it is made of: a sentence.
    Kernel(String),
    /// An object does not fit the model.
    Object {
        /// The policy's file.
        policy: String,
        /// A sentence.
        why: String,
    },
    /// A policy that fits the kernel's limits does not with marks in it.
    NoTrace {
        /// The policy's file.
        policy: String,
    },
    /// The policy was compiled for pages of another size than the machine's.
    Pages {
        /// Bytes in a page of the machine.
        machine: i64,
        /// Bytes in a page, for the policy.
        policy: i64,
    },
    /// The machine has no such cgroup.
    NoCgroup {
        /// Its path.
        path: String,
        /// The most similar path that there is.
        near: Option<String>,
    },
    /// The kernel would refuse the program, which is a fault of oomc: a sentence.
    Refused(String),
}

impl Error {
    /// What to do, if that is known.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoCgroup { near, .. } => near.as_ref().map(|near| format!("did you mean {near}?")),
            Self::Pages { .. } => Some("`oomc sim` compiles for the pages of the snapshot".to_owned()),
            Self::NoTrace { .. } => Some("what tests of it reach cannot be told".to_owned()),
            Self::Kernel(_) | Self::Object { .. } | Self::Refused(_) => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(why) | Self::Refused(why) => f.write_str(why),
            Self::Object { policy, why } => write!(f, "{policy} cannot be simulated: {why}"),
            Self::NoTrace { policy } => {
                write!(f, "{policy} does not fit the kernel's limits with marks in it")
            }
            Self::Pages { machine, policy } => {
                write!(
                    f,
                    "the machine has pages of {machine} bytes, and the policy was compiled for pages of {policy}"
                )
            }
            Self::NoCgroup { path, .. } => write!(f, "there is no cgroup {path}"),
        }
    }
}

impl std::error::Error for Error {}
