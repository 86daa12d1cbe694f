//! What the kernel does when it kills or raises, and its own killer (mm/oom_kill.c, mm/memcontrol.c, 6.12; the
//! functions for policies: `tests/vm/kernel/patches`).
//!
//! Changes the machine and what is written down of it in memory. Memory that a victim holds is not given back:
//! that takes until after the event.

use oomc_abi::consts::OOM_SCORE_ADJ_MIN;

use crate::machine::{CgroupIndex, Life, Machine, Process, ProcessIndex, ROOT};
use crate::tree::Tree;
use crate::world::{EINVAL, EPERM, ESRCH, Model};

/// `oom_unkillable_task()`: init and kernel threads.
fn is_unkillable(process: &Process) -> bool {
    process.pid == 1 || process.kernel
}

fn is_dying(process: &Process) -> bool {
    matches!(process.life, Life::Dying { .. } | Life::Gone { .. })
}

/// `find_lock_task_mm()` finds an address space, and it was not reaped.
fn has_something_to_give(process: &Process) -> bool {
    match process.life {
        Life::Lives => !process.kernel,
        Life::Dying { reaped, .. } => !reaped,
        Life::Gone { .. } => false,
    }
}

/// `bpf_oom_kill_process()`: 0 or a negative errno.
pub(crate) fn kill(model: &mut Model<'_>, index: ProcessIndex) -> i64 {
    let process = model.machine.process(index);
    if is_unkillable(process) || process.adj == OOM_SCORE_ADJ_MIN {
        return EPERM;
    }
    if !has_something_to_give(process) {
        return ESRCH;
    }
    let changed = oom_kill_process(model.machine, model.tree, model.event.cgroup.unwrap_or(ROOT), index);
    for index in changed {
        model.layout.fill_process(model.kernel, model.machine, index);
    }
    model.freed = true;
    0
}

/// `bpf_mem_cgroup_raise_max()`: 0 or a negative errno.
pub(crate) fn raise(model: &mut Model<'_>, cgroup: CgroupIndex, bytes: u64) -> i64 {
    let Some(domain) = model.event.cgroup else { return EPERM };
    if !model.machine.is_within(cgroup, domain) {
        return EPERM;
    }
    let pages = (bytes / model.machine.page as u64) as i64;
    if model.machine.cgroup(cgroup).max.is_none_or(|max| pages <= max) {
        return EINVAL;
    }
    if let Some(cgroup) = model.machine.cgroups.get_mut(cgroup) {
        cgroup.max = Some(pages);
    }
    model.layout.fill_cgroup(model.kernel, model.machine, model.tree, cgroup);
    model.freed |= cgroup == domain;
    0
}

/// `task_will_free_mem()`: it dies, and so does whoever has the same address space.
pub(crate) fn will_free_its_memory(machine: &Machine, index: ProcessIndex) -> bool {
    is_dying(machine.process(index)) && !sharers(machine, index).any(|at| !is_dying(machine.process(at)))
}

/// `oom_kill_process()`: gives the processes that are not what they were.
pub(crate) fn oom_kill_process(
    machine: &mut Machine,
    tree: &Tree,
    domain: CgroupIndex,
    index: ProcessIndex,
) -> Vec<ProcessIndex> {
    let mut changed = Vec::new();
    // A victim in flight only gets the mark.
    if will_free_its_memory(machine, index) {
        mark(machine, index, &mut changed);
        return changed;
    }
    let group = group_of(machine, tree, domain, index);
    die(machine, index, &mut changed);
    let Some(group) = group else { return changed };
    // `mem_cgroup_scan_tasks()` with `oom_kill_memcg_member()`.
    let start = crate::tree::get(&tree.at_pre, group);
    let size = crate::tree::get(&tree.size, group);
    let below = tree.pre.get(start..start + size).unwrap_or_default();
    for member in below.iter().filter_map(|at| tree.members.get(*at)).flatten() {
        let process = machine.process(*member);
        let gone = matches!(process.life, Life::Gone { .. });
        if process.adj != OOM_SCORE_ADJ_MIN && process.pid != 1 && !gone {
            die(machine, *member, &mut changed);
        }
    }
    changed
}

/// Who dies when the kernel kills these processes one after the other: those themselves, and whoever it takes with
/// them. `domain` is the cgroup that ran out of memory; none: the machine.
#[must_use]
pub fn dies_with(
    machine: &Machine,
    domain: Option<CgroupIndex>,
    victims: &[ProcessIndex],
) -> Vec<ProcessIndex> {
    let tree = Tree::new(machine);
    let mut after = machine.clone();
    for victim in victims {
        if after.process(*victim).life == Life::Lives {
            oom_kill_process(&mut after, &tree, domain.unwrap_or(ROOT), *victim);
        }
    }
    let lives = machine.processes.iter().zip(&after.processes).enumerate();
    let dies = lives.filter(|(_, (was, now))| was.life == Life::Lives && now.life != Life::Lives);
    dies.map(|(at, _)| at).collect()
}

/// `mem_cgroup_get_oom_group()`: the highest cgroup with `memory.oom.group` from a process's own up to the domain.
fn group_of(machine: &Machine, tree: &Tree, domain: CgroupIndex, index: ProcessIndex) -> Option<CgroupIndex> {
    let here = machine.process(index).cgroup;
    let mut at = if machine.cgroup(here).bare { tree.parent.get(here).copied()? } else { Some(here) };
    let mut found = None;
    if at == Some(ROOT) {
        return None;
    }
    while let Some(cgroup) = at {
        if machine.cgroup(cgroup).group {
            found = Some(cgroup);
        }
        if cgroup == domain {
            return found;
        }
        at = tree.parent.get(cgroup).copied().flatten();
    }
    // Not below the domain: the kernel has warned, and kills only the process.
    None
}

/// Others with the same address space.
fn sharers(machine: &Machine, index: ProcessIndex) -> impl Iterator<Item = ProcessIndex> {
    let owner = machine.process(index).shares_with;
    let same = move |machine: &Machine, other: ProcessIndex| {
        let theirs = machine.process(other).shares_with;
        match owner {
            Some(owner) => other == owner || theirs == Some(owner),
            None => theirs == Some(index),
        }
    };
    (0..machine.processes.len()).filter(move |other| *other != index && same(machine, *other))
}

/// `__oom_kill_process()`: the process dies, and whoever has the same address space.
fn die(machine: &mut Machine, index: ProcessIndex, changed: &mut Vec<ProcessIndex>) {
    let others: Vec<ProcessIndex> =
        sharers(machine, index).filter(|other| !is_unkillable(machine.process(*other))).collect();
    mark(machine, index, changed);
    for other in others {
        if let Some(process) = machine.processes.get_mut(other)
            && !is_dying(process)
        {
            process.life = Life::Dying { chosen: false, reaped: false };
            changed.push(other);
        }
    }
}

/// `mark_oom_victim()`.
fn mark(machine: &mut Machine, index: ProcessIndex, changed: &mut Vec<ProcessIndex>) {
    let Some(process) = machine.processes.get_mut(index) else { return };
    process.life = match process.life {
        Life::Lives => Life::Dying { chosen: true, reaped: false },
        Life::Dying { reaped, .. } => Life::Dying { chosen: true, reaped },
        gone @ Life::Gone { .. } => gone,
    };
    changed.push(index);
}

/// What the kernel's own killer does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Killer {
    /// It waits for a victim that is on its way out.
    Waits(ProcessIndex),
    /// It killed a process, and with it these.
    Killed(ProcessIndex, Vec<ProcessIndex>),
    /// There is nobody to kill.
    Nobody,
}

/// `select_bad_process()` and `oom_kill_process()`.
pub(crate) fn own_killer(
    machine: &mut Machine,
    tree: &Tree,
    domain: Option<CgroupIndex>,
    total: i64,
) -> Killer {
    let mut chosen: Option<(i64, ProcessIndex)> = None;
    let candidates: Vec<ProcessIndex> = match domain {
        Some(domain) => {
            let start = crate::tree::get(&tree.at_pre, domain);
            let below = tree.pre.get(start..start + crate::tree::get(&tree.size, domain)).unwrap_or_default();
            below.iter().filter_map(|at| tree.members.get(*at)).flatten().copied().collect()
        }
        None => (0..machine.processes.len()).collect(),
    };
    for index in candidates {
        let process = machine.process(index);
        if is_unkillable(process) {
            continue;
        }
        match process.life {
            Life::Dying { chosen: true, reaped } | Life::Gone { chosen: true, reaped } => {
                if reaped {
                    continue;
                }
                return Killer::Waits(index);
            }
            _ => {}
        }
        let Some(points) = badness(process, total, machine.page) else { continue };
        // Of equal ones, the later is taken.
        if chosen.is_none_or(|(most, _)| points >= most) {
            chosen = Some((points, index));
        }
    }
    let Some((_, index)) = chosen else { return Killer::Nobody };
    let mut killed = oom_kill_process(machine, tree, domain.unwrap_or(ROOT), index);
    killed.sort_unstable();
    killed.dedup();
    Killer::Killed(index, killed)
}

/// `oom_badness()`: none for whom the kernel does not consider.
fn badness(process: &Process, total: i64, page: i64) -> Option<i64> {
    if process.adj == OOM_SCORE_ADJ_MIN || !has_something_to_give(process) {
        return None;
    }
    let pages = |pages: i64| pages.max(0);
    let rss = pages(process.file) + pages(process.anon) + pages(process.shmem) + pages(process.swap);
    Some(rss + process.pgtables / page + process.adj * (total / 1000))
}
