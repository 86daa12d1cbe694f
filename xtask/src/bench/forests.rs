//! The forests on which decisions are counted, and the machine that they stand in.

use std::time::Duration;

use oomc_vm::machine::{Clock, Hardware};

/// Where every forest stands.
const PLACE: &str = "/site/job";

/// So many cgroups, so many processes in each, so many threads in each of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Forest {
    pub(super) cgroups: u32,
    pub(super) processes: u32,
    pub(super) threads: u32,
}

/// Numbers of cgroups with one process each.
const CGROUPS: [u32; 5] = [10, 20, 200, 1_000, 5_000];
/// 20 cgroups with more: processes, threads of each.
pub(super) const CROWDED: [(u32, u32); 4] = [(10, 1), (100, 1), (1, 50), (10, 50)];

/// All, or those with these numbers of cgroups and one process each.
pub(super) fn forests(numbers: Option<&[u32]>) -> Vec<Forest> {
    let plain = |numbers: &[u32]| numbers.iter().map(|cgroups| Forest::plain(*cgroups)).collect();
    match numbers {
        Some(numbers) => plain(numbers),
        None => {
            let crowded = CROWDED.map(|(processes, threads)| Forest { cgroups: 20, processes, threads });
            let mut all: Vec<Forest> = plain(&CGROUPS);
            all.extend(crowded);
            all
        }
    }
}

impl Forest {
    /// So many cgroups with one process of one thread each.
    pub(super) fn plain(cgroups: u32) -> Forest {
        Forest { cgroups, processes: 1, threads: 1 }
    }

    /// How many threads there are in all.
    pub(super) fn things(&self) -> u32 {
        self.cgroups * self.processes * self.threads
    }

    /// Its numbers, as the guest writes them.
    pub(super) fn word(&self) -> String {
        format!("{}x{}x{}", self.cgroups, self.processes, self.threads)
    }

    /// The step that makes it.
    pub(super) fn step(&self, groups: u32) -> String {
        let Forest { cgroups, processes, threads } = self;
        format!("forest {PLACE} cgroups {cgroups} processes {processes} threads {threads} groups {groups}")
    }

    /// MiB that the machine needs, roughly: a process with its cgroup takes up to 2 MiB in small forests and 1 MiB in large
    /// ones, a thread takes some pages.
    pub(super) fn memory(&self) -> u32 {
        let processes = self.cgroups * self.processes;
        let each = if processes <= 256 { 3 } else { 1 };
        512 + processes * each + processes * self.threads / 20
    }
}

/// A machine that counts.
pub(super) fn hardware(memory: u32) -> Hardware {
    Hardware {
        clock: Clock::Instructions,
        memory,
        limit: Duration::from_secs(3_600),
        patience: Duration::from_secs(7_200),
        ..Hardware::CASES
    }
}
