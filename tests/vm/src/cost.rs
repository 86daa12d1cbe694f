//! What a program takes from its start to its end: time, and the largest memory.
//!
//! Is measured by a process that has no other child, because the kernel tells the largest memory of all children
//! together; and by a small one, because a child's count begins with what its parent held. Whoever measures prints a
//! [`Cost`], and whoever has started him reads it.

use std::ffi::OsStr;
use std::fmt;
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

/// What one process took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// From before its start to after its end.
    pub nanoseconds: u64,
    /// Largest resident memory.
    pub kibibytes: u64,
}

/// Runs a program with its arguments; what it prints is lost. Must be the only program that this process runs.
///
/// # Errors
/// A sentence: it could not be started, or it failed.
pub fn of<S: AsRef<OsStr>>(words: &[S]) -> Result<Cost, String> {
    let (program, args) = words.split_first().ok_or("no program")?;
    let program = program.as_ref().to_string_lossy();
    let start = Instant::now();
    let status = Command::new(&*program)
        .args(args)
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let nanoseconds = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    if !status.success() {
        let args: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).collect();
        return Err(format!("{program} {} ended with {status}", args.join(" ")));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    Ok(Cost { nanoseconds, kibibytes: u64::try_from(usage.max_rss()).unwrap_or(0) })
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.nanoseconds, self.kibibytes)
    }
}

impl FromStr for Cost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no cost");
        let (nanoseconds, kibibytes) = text.trim().split_once(' ').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        Ok(Self { nanoseconds: number(nanoseconds)?, kibibytes: number(kibibytes)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_read_as_it_was_printed() {
        let cost = of(&["true"]).expect("a program that is everywhere");
        assert!(cost.nanoseconds > 0 && cost.kibibytes > 0, "{cost:?}");
        assert_eq!(cost.to_string().parse(), Ok(cost));
        assert_eq!(of(&["false", "1"]), Err("false 1 ended with exit status: 1".to_owned()));
        assert!("7".parse::<Cost>().is_err());
    }
}
