//! What can go wrong between an object and a running kernel.
//!
//! One type: which call failed, on which object, with which errno; or which sentence the operator needs.
//! [`Error::kind`] says whose turn it is. Knows nothing of printing.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::object;
use crate::preflight::Missing;
use crate::verifier_log::Refusal;

/// Whose turn it is after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The command was given something that it never accepts.
    Usage,
    /// A privilege or a feature of the kernel is missing.
    Missing,
    /// The kernel, the object or the file system refused.
    Refused,
}

/// Why a policy could not be loaded, listed or removed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The object is not one of ours, or not whole.
    Object(object::Error),
    /// What this kernel lacks.
    Kernel(Vec<Missing>),
    /// The process may not do this.
    Privilege(String),
    /// A system call of bpf(2) failed.
    Call {
        /// Its name: `BPF_MAP_CREATE`.
        call: &'static str,
        /// On what: `map stats`.
        object: String,
        /// The errno.
        source: io::Error,
    },
    /// A file could not be read, made or removed.
    File {
        /// What was tried: `read`.
        action: &'static str,
        /// Which one.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// The verifier does not accept the program.
    Verifier(Box<Refusal>),
    /// The cgroup has a policy already.
    Occupied {
        /// Path of the cgroup below the mount.
        cgroup: String,
        /// `name@hash`, when it could be read.
        policy: Option<String>,
        /// Another loader attached it.
        foreign: bool,
    },
    /// The cgroup has no policy of ours.
    Vacant {
        /// Path of the cgroup below the mount.
        cgroup: String,
    },
    /// The path is no cgroup.
    Cgroup {
        /// As it was given.
        path: String,
        /// Why it is none.
        reason: String,
    },
    /// The root cgroup was named by its path.
    RootByPath,
    /// The kernel attached the policy to another place than asked for; it was detached again.
    WrongCgroup {
        /// Id of the cgroup that was asked for.
        wanted: u64,
        /// Id that the link names.
        found: u64,
    },
    /// What was to be set is not what the policy declares.
    Setting(String),
    /// No policy of ours is attached to the cgroup or above it.
    Uncovered {
        /// Path of the cgroup below the mount.
        cgroup: String,
    },
    /// Something that must not happen: the answer of a call has the wrong shape.
    Unexpected(String),
}

/// The result of what this crate does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Whose turn it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kernel(_) | Self::Privilege(_) => Kind::Missing,
            Self::RootByPath | Self::Setting(_) => Kind::Usage,
            Self::Call { source, .. } | Self::File { source, .. } => match source.raw_os_error() {
                Some(libc::EPERM) => Kind::Missing,
                _ => Kind::Refused,
            },
            _ => Kind::Refused,
        }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(error) => error.fmt(f),
            Self::Kernel(missing) => {
                match aya::util::KernelVersion::current() {
                    Ok(version) => write!(f, "this kernel ({version}) cannot run the policy:")?,
                    Err(_) => f.write_str("this kernel cannot run the policy:")?,
                }
                missing.iter().try_for_each(|missing| write!(f, "\n  - {missing}"))
            }
            Self::Privilege(text) => f.write_str(text),
            Self::Call { call, object, source } => {
                write!(f, "{call} of {object} failed: {source}")?;
                match source.raw_os_error() {
                    Some(libc::EPERM) => f.write_str("; run as root"),
                    _ => Ok(()),
                }
            }
            Self::File { action, path, source } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Verifier(refusal) => refusal.fmt(f),
            Self::Occupied { cgroup, policy, foreign } => {
                write!(f, "{cgroup} already has a policy")?;
                if let Some(policy) = policy {
                    write!(f, ": {policy}")?;
                }
                match foreign {
                    true => f.write_str(", attached by another loader; nothing was changed"),
                    false => f.write_str("; nothing was changed (`oomc unload` removes it)"),
                }
            }
            Self::Vacant { cgroup } => write!(f, "{cgroup} has no policy that oomc loaded"),
            Self::Cgroup { path, reason } => write!(f, "{path} is not a cgroup: {reason}"),
            Self::RootByPath => f.write_str(
                "`/` is the root cgroup: a policy there decides for the whole machine; say `--system` for that",
            ),
            Self::WrongCgroup { wanted, found } => write!(
                f,
                "the kernel attached the policy to cgroup {found} instead of {wanted}; it was detached again"
            ),
            Self::Uncovered { cgroup } => {
                write!(f, "no policy that oomc loaded is attached to {cgroup} or to a cgroup above it")
            }
            Self::Setting(text) | Self::Unexpected(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call { source, .. } | Self::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<object::Error> for Error {
    fn from(error: object::Error) -> Self {
        Self::Object(error)
    }
}
