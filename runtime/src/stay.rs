//! Whoever asks a policy must be there when memory is short: it is not swapped out, and the kernel's killer chooses others
//! first.

use std::fs;

use rustix::mm::{MlockAllFlags, mlockall, munlockall};

use crate::sys;

/// As low as a service of the system should have it: whoever sets `OOMScoreAdjust=` in a unit decides otherwise.
const ADJ: i32 = -900;
const FILE: &str = "/proc/self/oom_score_adj";

/// Does what needs much memory for a short time, such as loading a program, in a process that may be swapped out meanwhile:
/// what is locked is not given back when it is freed (`madvise(2)` refuses locked pages). Whoever calls lets the process
/// [`stay`] afterwards.
pub fn meanwhile<T>(work: impl FnOnce() -> T) -> T {
    // Without it more stays in memory than is needed.
    let _ = munlockall();
    work()
}

/// Makes this process stay. Gives what could not be done, a sentence each: it works without.
#[must_use]
pub fn stay() -> Vec<String> {
    let mut failed = Vec::new();
    // What the beginning has taken and given back would be locked as well.
    sys::trim();
    // What is touched later is locked then: the whole program need not be read for it.
    let all = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    if let Err(error) = mlockall(all) {
        failed.push(format!("this process may be swapped out: mlockall: {error}"));
    }
    let now = fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse::<i32>().ok());
    // 0 is what nobody has set.
    if now == Some(0)
        && let Err(error) = fs::write(FILE, ADJ.to_string())
    {
        failed.push(format!("the kernel's killer may choose this process: {FILE}: {error}"));
    }
    failed
}
