//! The kernel around a policy, as far as a decision depends on it.
//!
//! What its functions for policies do is in the patches of the kernel under test (`tests/vm/kernel/patches`), the
//! rest in mm/oom_kill.c (6.12).

use crate::machine::{CgroupIndex, Life, Machine, Process, ProcessIndex, ROOT};
use crate::read::is_dying;

/// What nobody may kill: pid 1, kernel threads, `oom_score_adj` -1000.
pub(crate) fn is_unkillable(process: &Process) -> bool {
    process.pid == 1 || process.kernel || process.adj == -1000
}

/// The cgroup to which the kernel extends the kill of a process: the highest one with `memory.oom.group` from its own
/// up to the domain.
pub(crate) fn group_of(machine: &Machine, victim: ProcessIndex, domain: CgroupIndex) -> Option<CgroupIndex> {
    group_above(machine, machine.home(victim), domain)
}

/// The highest cgroup with `memory.oom.group` from a cgroup up to the domain.
pub(crate) fn group_above(machine: &Machine, from: CgroupIndex, domain: CgroupIndex) -> Option<CgroupIndex> {
    if from == ROOT {
        return None;
    }
    machine
        .ancestors(from)
        .take_while(|at| machine.is_within(*at, domain))
        .filter(|at| machine.cgroup(*at).group)
        .last()
}

/// Whether a process's memory is about to come free: it dies as a whole, nobody who lives has the same memory, and the
/// reaper has not taken it. Once it was given up, only the mark of an OOM killer tells.
pub(crate) fn is_in_flight(machine: &Machine, index: ProcessIndex) -> bool {
    match machine.process(index).life {
        Life::Lives => false,
        Life::Dying { reaped, .. } => {
            !reaped && !sharers(machine, index).any(|other| !is_dying(machine.process(other)))
        }
        Life::Gone { chosen, reaped } => chosen && !reaped,
    }
}

/// Whether a victim in flight still has memory that the kernel can take, and is one that it may kill.
pub(crate) fn can_be_hurried(machine: &Machine, index: ProcessIndex) -> bool {
    let process = machine.process(index);
    !is_unkillable(process) && matches!(process.life, Life::Dying { .. })
}

/// Other processes with the same memory.
fn sharers(machine: &Machine, index: ProcessIndex) -> impl Iterator<Item = ProcessIndex> {
    let memory = |at: ProcessIndex| machine.process(at).shares_with.unwrap_or(at);
    (0..machine.processes.len()).filter(move |other| *other != index && memory(*other) == memory(index))
}

/// Kills a process as `bpf_oom_kill_process` does; gives its error if it refuses.
pub(crate) fn kill(machine: &mut Machine, domain: CgroupIndex, index: ProcessIndex) -> Result<(), i64> {
    let process = machine.process(index);
    if is_unkillable(process) {
        return Err(-1);
    }
    let reaped = match process.life {
        Life::Lives => false,
        Life::Dying { reaped, .. } => reaped,
        Life::Gone { .. } => true,
    };
    if reaped {
        return Err(-3);
    }
    if is_in_flight(machine, index) {
        // It only gets the mark.
        mark(machine, index);
        return Ok(());
    }
    let group = group_of(machine, index, domain);
    die(machine, index);
    let Some(group) = group else { return Ok(()) };
    for member in 0..machine.processes.len() {
        let process = machine.process(member);
        let inside = machine.is_within(machine.home(member), group);
        let gone = matches!(process.life, Life::Gone { .. });
        if inside && !gone && process.pid != 1 && process.adj != -1000 {
            die(machine, member);
        }
    }
    Ok(())
}

/// A process dies, and whoever has the same memory.
fn die(machine: &mut Machine, index: ProcessIndex) {
    let others: Vec<ProcessIndex> = sharers(machine, index)
        .filter(|other| machine.process(*other).pid != 1 && !machine.process(*other).kernel)
        .collect();
    mark(machine, index);
    for other in others {
        if let Some(process) = machine.processes.get_mut(other)
            && !is_dying(process)
        {
            process.life = Life::Dying { chosen: false, reaped: false };
        }
    }
}

fn mark(machine: &mut Machine, index: ProcessIndex) {
    if let Some(process) = machine.processes.get_mut(index) {
        process.life = match process.life {
            Life::Lives => Life::Dying { chosen: true, reaped: false },
            Life::Dying { reaped, .. } => Life::Dying { chosen: true, reaped },
            gone @ Life::Gone { .. } => gone,
        };
    }
}
