//! One look at the machine: what is left of memory and swap, and whom the kernel's killer has killed.

use std::fs;
use std::path::Path;

/// Bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) total: u64,
    pub(crate) available: u64,
    pub(crate) swap_total: u64,
    pub(crate) swap_free: u64,
}

/// What is left on the machine.
pub(crate) fn left() -> Option<Left> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let of = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    Some(Left {
        total: of("MemTotal:")?,
        available: of("MemAvailable:")?,
        swap_total: of("SwapTotal:")?,
        swap_free: of("SwapFree:")?,
    })
}

/// How many processes the kernel's killer has killed since the machine has booted.
pub(crate) fn kernel_kills() -> u64 {
    let text = fs::read_to_string("/proc/vmstat").unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok()).unwrap_or(0)
}

/// A file with one number; none: there is no number.
pub(crate) fn number(place: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(place.join(file)).ok()?.trim().parse().ok()
}

/// Anonymous memory of a cgroup, in bytes; one that is gone has none.
pub(crate) fn anon(place: &Path) -> u64 {
    let text = fs::read_to_string(place.join("memory.stat")).unwrap_or_default();
    text.lines().find_map(|line| line.strip_prefix("anon ")?.parse().ok()).unwrap_or(0)
}

/// Whether a cgroup has processes.
pub(crate) fn is_populated(place: &Path) -> bool {
    let text = fs::read_to_string(place.join("cgroup.events")).unwrap_or_default();
    text.lines().any(|line| line == "populated 1")
}
