//! What is tried: a killer, whose memory it watches, and how that memory is used up.

use serde::{Deserialize, Serialize};

/// Who kills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names of the programs")]
pub enum Killer {
    /// The kernel's own alone.
    Kernel,
    Oomc,
    Oomd,
    SystemdOomd,
    Earlyoom,
    Nohang,
}

/// Whose memory runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// A cgroup with a limit, the machine has more.
    Cgroup,
    /// The machine's; no cgroup has a limit.
    Machine,
}

/// How it runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Workload {
    /// One process takes the last half slowly.
    SlowLeak,
    /// One process takes memory as fast as it can touch pages.
    FastLeak,
    /// A process starts small ones without end.
    ForkBomb,
    /// A process holds most of the memory, and reads a file again and again that does not fit into what is left.
    PageCache,
    /// The one that grows stays smaller than another one, whom no configuration names.
    LargerInnocent,
    /// One process grows until swap is full, too.
    Swap,
}

/// A killer, a scope and a workload; and beside how many cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cell {
    /// Who kills.
    pub killer: Killer,
    /// Whose memory runs out.
    pub scope: Scope,
    /// How.
    pub workload: Workload,
    /// Cgroups of tenants, the two that matter included.
    pub cgroups: u32,
    /// What the killer takes while nothing happens is measured before.
    pub idle: bool,
}

/// Tenants of an ordinary trial.
pub const FEW: u32 = 5;
/// Tenants where the cost of many is measured.
pub const MANY: u32 = 1_000;

impl Killer {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] =
        [Self::Kernel, Self::Oomc, Self::Oomd, Self::SystemdOomd, Self::Earlyoom, Self::Nohang];

    /// Its name on the command line and in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "none",
            Self::Oomc => "oomc",
            Self::Oomd => "oomd",
            Self::SystemdOomd => "systemd-oomd",
            Self::Earlyoom => "earlyoom",
            Self::Nohang => "nohang",
        }
    }

    /// Its unit.
    #[must_use]
    pub fn unit(self) -> Option<&'static str> {
        match self {
            Self::Kernel => None,
            Self::Oomc => Some("oomc.service"),
            Self::Oomd => Some("oomd.service"),
            Self::SystemdOomd => Some("systemd-oomd.service"),
            Self::Earlyoom => Some("earlyoom.service"),
            Self::Nohang => Some("nohang.service"),
        }
    }

    /// Whether it can watch this memory at all, for a workload: systemd-oomd knows swap of the machine alone, earlyoom and
    /// nohang know no cgroup's limit; and oomd and systemd-oomd, which watch cgroups, are asked about these.
    #[must_use]
    pub fn watches(self, scope: Scope, workload: Workload) -> bool {
        match (self, scope) {
            (_, Scope::Cgroup) if workload == Workload::Swap => false,
            (Self::Kernel | Self::Oomc, _) => true,
            (Self::Oomd | Self::SystemdOomd, Scope::Cgroup) => true,
            (Self::Oomd | Self::SystemdOomd, Scope::Machine) => workload == Workload::Swap,
            (Self::Earlyoom | Self::Nohang, scope) => scope == Scope::Machine,
        }
    }
}

impl Scope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cgroup, Self::Machine];

    /// As the tables call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "a cgroup",
            Self::Machine => "the machine",
        }
    }
}

impl Workload {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 6] =
        [Self::SlowLeak, Self::FastLeak, Self::ForkBomb, Self::PageCache, Self::LargerInnocent, Self::Swap];

    /// Its name on the command line and in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowLeak => "slow-leak",
            Self::FastLeak => "fast-leak",
            Self::ForkBomb => "fork-bomb",
            Self::PageCache => "page-cache",
            Self::LargerInnocent => "larger-innocent",
            Self::Swap => "swap",
        }
    }
}

/// The trials of one round: each workload with each killer that can watch it, and beside many cgroups at the end. Who is
/// compared is tried one after the other, so that a round that is broken off has whole comparisons.
#[must_use]
pub fn round(killers: &[Killer], workloads: &[Workload], costs: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    for &workload in workloads {
        for scope in Scope::ALL {
            let able = killers.iter().filter(|killer| killer.watches(scope, workload));
            cells.extend(able.map(|&killer| Cell {
                killer,
                scope,
                workload,
                cgroups: FEW,
                idle: costs && measured(killer, scope, workload),
            }));
        }
    }
    if costs && workloads.contains(&COSTLY) {
        for scope in Scope::ALL {
            let able = killers.iter().filter(|killer| measured(**killer, scope, COSTLY));
            cells.extend(able.map(|&killer| Cell {
                killer,
                scope,
                workload: COSTLY,
                cgroups: MANY,
                idle: true,
            }));
        }
    }
    cells
}

/// The workload in which costs are measured: nothing in it takes long but the decision.
const COSTLY: Workload = Workload::FastLeak;

/// Whether costs are measured here: once of each killer and scope.
fn measured(killer: Killer, scope: Scope, workload: Workload) -> bool {
    killer.unit().is_some() && workload == COSTLY && killer.watches(scope, workload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_killer_is_tried_with_every_workload_somewhere() {
        let cells = round(&Killer::ALL, &Workload::ALL, false);
        for killer in Killer::ALL {
            for workload in Workload::ALL {
                let tried = cells.iter().any(|cell| cell.killer == killer && cell.workload == workload);
                assert!(tried, "{killer:?} {workload:?}");
            }
        }
    }

    #[test]
    fn costs_are_measured_with_few_and_with_many() {
        let cells = round(&[Killer::Earlyoom], &[COSTLY], true);
        let counts: Vec<u32> = cells.iter().filter(|cell| cell.idle).map(|cell| cell.cgroups).collect();
        assert_eq!(counts, [FEW, MANY]);
        assert!(round(&[Killer::Kernel], &Workload::ALL, true).iter().all(|cell| !cell.idle));
    }
}
