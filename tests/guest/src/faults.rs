//! Makes allocations of the kernel fail: `mm/failslab.c` and `lib/fault-inject.c` of Linux 6.12.
//!
//! One function of the kernel is named, and allocations fail that are made beneath it: those of a decision beneath
//! `out_of_memory`, those of a loader beneath `__sys_bpf`. Only a kernel with `CONFIG_FAILSLAB` can do that.

use std::fs;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};

/// The settings, in a debugfs that is mounted here.
const DEBUGFS: &str = "/sys/kernel/debug";
const SETTINGS: &str = "/sys/kernel/debug/failslab";

/// Of how many allocations one may fail at most. The kernel counts this down with each that does.
const TIMES: u64 = 1_000_000_000;

/// Of so many allocations of a marked task one may fail.
const RARE: &str = "50";

/// The stack is searched this deep: the most that the kernel allows.
const DEPTH: &str = "32";

/// From now on this share of the allocations beneath the function fails, also of those that may wait for memory.
/// With `marked` only where a task is marked that asks for them: see [`mark`].
pub(crate) fn arm(function: &str, percent: u32, marked: bool) -> Result<(), String> {
    match mount(Some("debugfs"), DEBUGFS, Some("debugfs"), MsFlags::empty(), None::<&str>) {
        // It is mounted already.
        Ok(()) | Err(Errno::EBUSY) => {}
        Err(error) => return Err(format!("cannot mount debugfs at {DEBUGFS}: {error}")),
    }
    let (start, end) = range_of(function)?;
    set("probability", "0")?;
    set("times", &TIMES.to_string())?;
    // A load asks for memory a thousand times: of those only every so-and-so-many-th may fail, or none would come to its end.
    set("interval", if marked { RARE } else { "1" })?;
    set("verbose", "0")?;
    set("ignore-gfp-wait", "N")?;
    set("task-filter", if marked { "Y" } else { "N" })?;
    set("stacktrace-depth", DEPTH)?;
    set("require-start", &format!("{start:#x}"))?;
    set("require-end", &format!("{end:#x}"))?;
    set("probability", &percent.to_string())
}

/// How many allocations have failed since they were made to; from now on none does.
pub(crate) fn disarm() -> Result<u64, String> {
    set("probability", "0")?;
    let file = format!("{SETTINGS}/times");
    let left = fs::read_to_string(&file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let left: u64 = left.trim().parse().map_err(|_| format!("{file} holds {left:?}"))?;
    Ok(TIMES - left)
}

/// Do allocations of marked tasks fail now?
pub(crate) fn hit_the_marked() -> bool {
    let is = |name: &str, value: &str| {
        fs::read_to_string(format!("{SETTINGS}/{name}")).is_ok_and(|text| text.trim() == value)
    };
    is("task-filter", "Y") && !is("probability", "0")
}

/// Marks the thread, and whoever it starts from now on. Without the kernel's support there is nothing to mark.
pub(crate) fn mark(on: bool) -> Result<(), String> {
    let file = "/proc/thread-self/make-it-fail";
    if !fs::exists(file).unwrap_or(false) {
        return Ok(());
    }
    fs::write(file, if on { "1" } else { "0" }).map_err(|error| format!("cannot write {file}: {error}"))
}

fn set(name: &str, value: &str) -> Result<(), String> {
    let file = format!("{SETTINGS}/{name}");
    fs::write(&file, value).map_err(|error| format!("cannot write {file}: {error}"))
}

/// From the first byte of a function to that of the next.
fn range_of(function: &str) -> Result<(u64, u64), String> {
    let file = "/proc/kallsyms";
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let symbols: Vec<(u64, &str)> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = u64::from_str_radix(words.next()?, 16).ok()?;
            words.next()?;
            Some((address, words.next()?))
        })
        .collect();
    let missing = || format!("the kernel has no function {function}");
    let start = symbols.iter().find(|(_, name)| *name == function).ok_or_else(missing)?.0;
    let end = symbols.iter().map(|symbol| symbol.0).filter(|address| *address > start).min();
    Ok((start, end.ok_or_else(missing)?))
}
