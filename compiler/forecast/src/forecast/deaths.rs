//! Who dies, and what that frees: the one place where it is found out, for the first line of a forecast, its lists, its
//! JSON and its pictures.

use std::collections::BTreeSet;

use oomc_abi::fields::Owner;
use oomc_abi::record::Action;
use oomc_sim::machine::{Life, Machine, Process, ProcessIndex};
use oomc_sim::scenario::Decision;

use super::tree::living;

/// Processes that die together, in the order of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deaths {
    pub(crate) processes: Vec<ProcessIndex>,
    /// Bytes that come free with them.
    pub(crate) frees: i64,
}

impl Deaths {
    /// Those of a decision: whoever lived before it and does not afterwards, by the policy's hand or by the kernel's.
    pub(crate) fn of(decision: &Decision) -> Self {
        let lives = decision.before.processes.iter().zip(&decision.after.processes);
        let dies = |(_, (before, after)): &(usize, (&Process, &Process))| {
            before.life == Life::Lives && after.life != Life::Lives
        };
        Self::together(&decision.before, lives.enumerate().filter(dies).map(|(at, _)| at).collect())
    }

    /// Those of a decision by the policy's hand alone.
    pub(crate) fn by_the_policy(decision: &Decision) -> Self {
        Self::together(&decision.before, decision.killed.clone())
    }

    /// Those of a kill of one process or cgroup: in the model the kernel kills it, and with it whom it always takes.
    pub(crate) fn with(decision: &Decision, unit: Owner, id: u64) -> Self {
        let machine = &decision.before;
        let victims: Vec<ProcessIndex> = match unit {
            Owner::Process => decision.process(id).into_iter().collect(),
            _ => {
                let top = decision.cgroup(id);
                let inside = |at: &usize| top.is_some_and(|top| machine.is_within(machine.home(*at), top));
                living(machine).filter(inside).filter(|at| machine.process(*at).adj != -1000).collect()
            }
        };
        let dies = oomc_sim::dies_with(machine, decision.event.cgroup, &victims);
        let mut deaths = Self::together(machine, dies);
        if let Some(usage) =
            decision.cgroup(id).filter(|_| unit != Owner::Process).map(|at| usage(machine, at))
        {
            deaths.frees = deaths.frees.max(usage);
        }
        deaths
    }

    fn together(machine: &Machine, processes: Vec<ProcessIndex>) -> Self {
        let frees = frees(machine, &processes);
        Self { processes, frees }
    }

    /// As the record of a kill has it: a cgroup that goes as a whole was expected to bring its usage.
    pub(crate) fn expecting(mut self, action: Option<Action>, expected: i64) -> Self {
        if matches!(action, Some(Action::KillCgroup)) {
            self.frees = self.frees.max(expected);
        }
        self
    }
}

fn usage(machine: &Machine, at: usize) -> i64 {
    machine.sum(at, |own| own.charged) * machine.page
}

/// What comes free with some processes: each address space once, and none that somebody else still has.
fn frees(machine: &Machine, dying: &[ProcessIndex]) -> i64 {
    let owner = |at: ProcessIndex| machine.process(at).shares_with.unwrap_or(at);
    let kept: BTreeSet<ProcessIndex> = (0..machine.processes.len())
        .filter(|at| !dying.contains(at) && machine.process(*at).life == Life::Lives)
        .map(owner)
        .collect();
    let mut spaces: BTreeSet<ProcessIndex> = dying.iter().map(|at| owner(*at)).collect();
    spaces.retain(|space| !kept.contains(space));
    spaces.into_iter().map(|space| footprint(machine, space)).sum()
}

/// Resident, swapped out, and page tables.
pub(crate) fn footprint(machine: &Machine, at: ProcessIndex) -> i64 {
    let one = machine.process(at);
    (one.anon + one.file + one.shmem + one.swap) * machine.page + one.pgtables
}
