//! What can go wrong between an object and a running kernel.
//!
//! One type: which call failed, on which object, with which errno; or which sentence the operator needs.
//! [`Error::kind`] says whose turn it is. Knows nothing of printing.

use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::shown::{shown, shown_bytes};

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
    /// Another policy could not take the place of the one that was attached.
    NotReplaced {
        /// `name@hash` of the policy that was attached.
        policy: String,
        /// Why it could not be attached again; none: it is.
        lost: Option<String>,
        /// What went wrong with the other one.
        source: Box<Error>,
    },
    /// No version before the one that is attached is kept.
    NoVersion {
        /// Path of the cgroup below the mount.
        cgroup: String,
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
    /// The whole machine is meant, and only a part of its cgroups can be seen.
    PartOfTree {
        /// Where cgroup2 is mounted.
        place: PathBuf,
        /// What is there.
        part: String,
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
    /// A place in the file system is not what it has to be, or cannot be believed.
    Place {
        /// The call that found it out: `openat2`.
        call: &'static str,
        /// Which place.
        place: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do; may be empty.
        help: String,
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
            Self::NotReplaced { source, .. } => source.kind(),
            Self::Call { source, .. } | Self::File { source, .. } => match source.raw_os_error() {
                Some(libc::EPERM) => Kind::Missing,
                // Of bpf(2) this is an answer to what was asked for, of a file one to who asks.
                Some(libc::EACCES) if !self.is_bpf() => Kind::Missing,
                _ => Kind::Refused,
            },
            _ => Kind::Refused,
        }
    }

    fn is_bpf(&self) -> bool {
        matches!(self, Self::Call { call, .. } if call.starts_with("BPF_"))
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
                missing.iter().try_for_each(|missing| write!(f, "\n  - {}", shown(&missing.to_string())))
            }
            Self::Privilege(text) => f.write_str(text),
            Self::Call { call, object, source } => {
                write!(f, "{call} of {} failed: {source}", shown(object))?;
                match source.raw_os_error() {
                    Some(libc::EPERM) => f.write_str("; run as root"),
                    Some(libc::EACCES) if !self.is_bpf() => f.write_str("; run as root"),
                    _ => Ok(()),
                }
            }
            Self::File { action, path, source } => write!(f, "cannot {action} {}: {source}", place(path)),
            Self::Place { call, place: at, why, help } => {
                write!(f, "{call} of {}: {}", place(at), shown(why))?;
                if help.is_empty() { Ok(()) } else { write!(f, "; {help}") }
            }
            Self::Verifier(refusal) => refusal.fmt(f),
            Self::Occupied { cgroup, policy, foreign } => {
                write!(f, "{} already has a policy", shown(cgroup))?;
                if let Some(policy) = policy {
                    write!(f, ": {}", shown(policy))?;
                }
                match foreign {
                    true => f.write_str(", attached by another loader; nothing was changed"),
                    false => f.write_str(
                        "; nothing was changed (`oomc load --replace` puts another one in its place, `oomc unload` \
                         removes it)",
                    ),
                }
            }
            Self::NotReplaced { policy, lost, source } => {
                write!(f, "{source}; ")?;
                match lost {
                    None => write!(f, "{} is attached again", shown(policy)),
                    Some(why) => write!(
                        f,
                        "{} could not be attached again, and nothing is attached now: {}",
                        shown(policy),
                        shown(why)
                    ),
                }
            }
            Self::NoVersion { cgroup } => write!(
                f,
                "no version before the one on {} is kept: `oomc load --replace` keeps the policy that it replaces",
                shown(cgroup)
            ),
            Self::Vacant { cgroup } => write!(f, "{} has no policy that oomc loaded", shown(cgroup)),
            Self::Cgroup { path, reason } => write!(f, "{} is not a cgroup: {}", shown(path), shown(reason)),
            Self::PartOfTree { place: at, part } => write!(
                f,
                "the root cgroup cannot be reached here: {} shows only {}; run this outside of the container, or where \
                 cgroup2 is mounted as a whole",
                place(at),
                shown(part)
            ),
            Self::RootByPath => f.write_str(
                "`/` is the root cgroup: a policy there decides for the whole machine; say `--system` for that",
            ),
            Self::WrongCgroup { wanted, found } => write!(
                f,
                "the kernel attached the policy to cgroup {found} instead of {wanted}; it was detached again"
            ),
            Self::Uncovered { cgroup } => {
                let cgroup = shown(cgroup);
                write!(f, "no policy that oomc loaded is attached to {cgroup} or to a cgroup above it")
            }
            Self::Setting(text) | Self::Unexpected(text) => f.write_str(&shown(text)),
        }
    }
}

/// A path as messages have it.
fn place(path: &Path) -> String {
    shown_bytes(path.as_os_str().as_bytes())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Call { source, .. } | Self::File { source, .. } => Some(source),
            Self::NotReplaced { source, .. } => Some(&**source),
            _ => None,
        }
    }
}

impl From<object::Error> for Error {
    fn from(error: object::Error) -> Self {
        Self::Object(error)
    }
}
