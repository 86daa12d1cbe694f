//! A cgroup with a limit, about which the policy can be asked.
//!
//! Reads its files and changes none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::act::Flight;
use crate::cgroup::{Cgroup, number, oom_kills, walk};

/// One of them.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) id: u64,
    pub(super) place: PathBuf,
    /// In the machine's tree.
    pub(super) path: String,
    /// `memory.max`, in bytes.
    pub(super) limit: u64,
    /// Victims whose memory is waited for.
    pub(super) flight: Option<Flight>,
    /// `oom_kill` when it was looked at last.
    killed: u64,
    /// It is left alone until then.
    rests: Option<Instant>,
}

impl Domain {
    /// `memory.current`; none: it is gone.
    pub(super) fn usage(&self) -> Option<u64> {
        number(&self.place.join("memory.current"))
    }

    /// How many processes the kernel's killer killed there since the last look: a signal from user space is not counted in
    /// `oom_kill` (`mm/oom_kill.c`, 6.12).
    pub(super) fn killed_otherwise(&mut self) -> Option<u64> {
        let now = oom_kills(&self.place)?;
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

/// The attached cgroup and those below it that have a limit; none: it is gone.
pub(super) fn find(attached: &Cgroup) -> Option<Vec<Domain>> {
    let mut found = Vec::new();
    if !attached.place.is_dir() {
        return None;
    }
    walk(&attached.place, &attached.path, &mut |place, path| {
        let id = fs::metadata(place).ok().map(|data| data.ino());
        if let (Some(id), Some(limit)) = (id, number(&place.join("memory.max"))) {
            let killed = oom_kills(place).unwrap_or_default();
            let (place, path) = (place.to_owned(), path.to_owned());
            found.push(Domain { id, place, path, limit, flight: None, killed, rests: None });
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
