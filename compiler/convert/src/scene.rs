//! Machines of tests: what a converted policy is shown, and what it must do then.
//!
//! Every test shows one block acting on whom the original would choose, so that whoever reads the pair of files sees what
//! was understood.

use crate::quantity::bytes;

/// The memory of the machines.
pub(crate) const MEMORY: u64 = 16 << 30;
/// What `machine.available` is, beside what others call available.
pub(crate) const AVAILABLE: &str = "MemAvailable of /proc/meminfo leaves out what the kernel keeps in reserve, \
                                    `machine.available` does not: this policy acts that much later";
/// The pid of whoever is chosen, and of the other one.
pub(crate) const CHOSEN: u32 = 100;

/// A machine without swap on which so much is available; `chosen` has nearly all of the rest.
pub(crate) fn short_of_memory(available: u64, chosen: &str, other: &str) -> String {
    let small: u64 = 256 << 20;
    let large = (MEMORY - available.min(MEMORY / 2) - small) >> 20 << 20;
    format!(
        "given {{\n    \"/\" {{ limit {} }}\n    \"/user.slice/one.scope#{CHOSEN}\" {{ comm \"{chosen}\" rss {} }}\n    \
         \"/user.slice/two.scope#101\" {{ comm \"{other}\" rss {} }}\n}}\n",
        bytes(MEMORY),
        bytes(large),
        bytes(small),
    )
}

/// Who dies of [`short_of_memory`].
pub(crate) fn chosen_dies(rule: &str) -> String {
    format!("expect kill process \"/user.slice/one.scope#{CHOSEN}\" by rule \"{rule}\"\n")
}

/// A cgroup that a pattern of paths matches, filled in with a letter.
pub(crate) fn path(pattern: &str, letter: char) -> String {
    let filled = pattern.replace("**", "*").replace(['*', '?'], &letter.to_string());
    if filled.starts_with('/') { filled } else { format!("/{filled}") }
}
