//! A cgroup with a limit, about which the policy can be asked.
//!
//! Reads its files and changes none.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::act::Flight;
use super::headroom::Headroom;
use crate::cgroup::{Cgroup, number, oom_kills, walk_with_ids};

/// How near an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Not half of the way.
    #[default]
    Far,
    Near,
    /// It holds.
    There,
}

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
    kills_looked: Instant,
    /// It is left alone until then.
    rests: Option<Instant>,
}

impl Domain {
    fn new(id: u64, place: &Path, path: &str, limit: Option<u64>) -> Self {
        let (place, path) = (place.to_owned(), path.to_owned());
        let mut new = Self {
            id,
            place,
            path,
            machine: false,
            limit,
            flight: None,
            killed: 0,
            kills_looked: Instant::now(),
            rests: None,
        };
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

    /// Whether it is there, and not another one by its name.
    pub(super) fn is_there(&self) -> bool {
        fs::metadata(&self.place).is_ok_and(|data| data.ino() == self.id)
    }

    /// How near its limit is; it is reached when the usage is in the headroom. A cgroup that is going away has no usage.
    pub(super) fn reach(&self, headroom: &Headroom) -> Reach {
        let Some(limit) = self.limit else { return Reach::Far };
        match number(&self.place.join("memory.current")) {
            Some(usage) if usage >= headroom.from(limit) => Reach::There,
            Some(usage) if usage >= limit / 2 => Reach::Near,
            _ => Reach::Far,
        }
    }

    /// How many processes the kernel's killer killed there since the last look: a signal from user space is not counted in
    /// `oom_kill` (`mm/oom_kill.c`, 6.12).
    pub(super) fn killed_otherwise(&mut self) -> Option<u64> {
        self.kills_looked = Instant::now();
        let now = if self.machine { machine_kills()? } else { oom_kills(&self.place)? };
        let more = now.saturating_sub(self.killed);
        self.killed = now;
        (more > 0).then_some(more)
    }

    /// Whether it was not looked for kills for so long.
    pub(super) fn kills_unseen_for(&self, time: Duration) -> bool {
        self.kills_looked.elapsed() >= time
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

/// The attached cgroup and all below it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Those with a limit.
    pub(super) domains: Vec<Domain>,
    /// All of them, with their ids: cgroups can appear in each.
    pub(super) places: Vec<(u64, PathBuf)>,
}

/// Looks at them; none: the attached cgroup is gone.
pub(super) fn find(attached: &Cgroup) -> Option<Tree> {
    if !attached.place.is_dir() {
        return None;
    }
    let mut tree = Tree::default();
    walk_with_ids(&attached.place, &attached.path, attached.id, &mut |place, path, id| {
        tree.places.push((id, place.to_owned()));
        if let Some(limit) = number(&place.join("memory.max")) {
            tree.domains.push(Domain::new(id, place, path, Some(limit)));
        }
    });
    Some(tree)
}
