//! A cgroup with a limit, about which the policy can be asked.
//!
//! Reads its files and changes none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::act::Flight;
use super::headroom::Headroom;
use crate::cgroup::{Cgroup, number, oom_kills, walk};

/// One of them.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) id: u64,
    pub(super) place: PathBuf,
    /// In the machine's tree.
    pub(super) path: String,
    /// It is the whole machine.
    pub(super) machine: bool,
    /// `memory.max`, in bytes; none: it has no limit.
    pub(super) limit: Option<u64>,
    /// Victims whose memory is waited for.
    pub(super) flight: Option<Flight>,
    /// `oom_kill` when it was looked at last.
    killed: u64,
    /// It is left alone until then.
    rests: Option<Instant>,
}

impl Domain {
    fn new(id: u64, place: &Path, path: &str, limit: Option<u64>) -> Self {
        let (place, path) = (place.to_owned(), path.to_owned());
        let mut new = Self { id, place, path, machine: false, limit, flight: None, killed: 0, rests: None };
        new.killed_otherwise();
        new
    }

    /// The attached cgroup, with a limit or without; the root, if it is the machine.
    pub(super) fn attached(attached: &Cgroup, machine: bool) -> Self {
        let limit = number(&attached.place.join("memory.max"));
        let mut own = Self::new(attached.id, &attached.place, &attached.path, limit);
        own.machine = machine;
        own.killed_otherwise();
        own
    }

    /// Whether its usage is in its headroom. A cgroup that is going away has no usage.
    pub(super) fn is_from(&self, headroom: &Headroom) -> bool {
        let usage = number(&self.place.join("memory.current"));
        usage.zip(self.limit).is_some_and(|(usage, limit)| usage >= headroom.from(limit))
    }

    /// How many processes the kernel's killer killed there since the last look: a signal from user space is not counted in
    /// `oom_kill` (`mm/oom_kill.c`, 6.12).
    pub(super) fn killed_otherwise(&mut self) -> Option<u64> {
        let now = if self.machine { machine_kills()? } else { oom_kills(&self.place)? };
        let more = now.saturating_sub(self.killed);
        self.killed = now;
        (more > 0).then_some(more)
    }

    /// Leaves it alone for a while.
    pub(super) fn rest(&mut self, time: Duration) {
        self.rests = Some(Instant::now() + time);
    }

    /// How long it is still left alone.
    pub(super) fn rests_for(&self) -> Option<Duration> {
        self.rests?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// How many processes the kernel's killer has killed on the machine.
fn machine_kills() -> Option<u64> {
    let text = fs::read_to_string("/proc/vmstat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

/// The attached cgroup and those below it that have a limit; none: it is gone.
pub(super) fn find(attached: &Cgroup) -> Option<Vec<Domain>> {
    let mut found = Vec::new();
    if !attached.place.is_dir() {
        return None;
    }
    walk(&attached.place, &attached.path, &mut |place, path| {
        let id = fs::metadata(place).ok().map(|data| data.ino());
        if let (Some(id), Some(limit)) = (id, number(&place.join("memory.max"))) {
            found.push(Domain::new(id, place, path, Some(limit)));
        }
    });
    Some(found)
}

/// Directories in which cgroups can appear.
pub(super) fn places(attached: &Cgroup) -> Vec<PathBuf> {
    let mut all = Vec::new();
    walk(&attached.place, "", &mut |place, _| all.push(place.to_owned()));
    all
}
