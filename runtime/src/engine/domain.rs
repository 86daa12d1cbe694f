//! A cgroup with a limit, about which the policy can be asked.
//!
//! Reads its files and changes none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::act::Flight;
use crate::cgroup::Cgroup;

/// Cgroups inside each other that are looked into.
const DEPTH: usize = 32;

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
    walk(&attached.place, &attached.path, DEPTH, &mut |place, path| {
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
    walk(&attached.place, "", DEPTH, &mut |place, _| all.push(place.to_owned()));
    all
}

fn walk(place: &Path, path: &str, depth: usize, visit: &mut dyn FnMut(&Path, &str)) {
    visit(place, path);
    let Some(depth) = depth.checked_sub(1) else { return };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    // Cgroupfs has no links, and cgroups come and go while this runs.
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let name = entry.file_name();
        let inner = format!("{}/{}", path.trim_end_matches('/'), name.to_string_lossy());
        walk(&entry.path(), &inner, depth, visit);
    }
}

/// A number in a file; none: it is gone, or says `max`.
pub(super) fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// `oom_kill` of a cgroup and everything below.
fn oom_kills(cgroup: &Path) -> Option<u64> {
    let events = fs::read_to_string(cgroup.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}
