//! Holds what `oomc snapshot` saw of a case's machine against what the case has made.
//!
//! Names, limits, labels and states are as they were made; amounts are as far off as those of real processes are. Takes
//! a played machine and a snapshot; knows nothing of how the snapshot was taken.

use std::collections::BTreeMap;
use std::fmt::Debug;

use oomc_sim::machine::{Amounts, Cgroup, CgroupIndex, Machine, PAGE, Process, ROOT};
use oomc_snapshot::Snapshot;

use super::Before;

/// By so many bytes may be off what a process has, and so much more for each process and cgroup in a cgroup: its
/// program's pages, and what the kernel counts late.
const OFF: i64 = 1 << 20;

/// What a label's attribute is called before the label's name.
const LABEL: &str = "user.oom.";

/// What it is called, and how it is read, in bytes.
type Amount<T> = (&'static str, fn(&T) -> i64);

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn equal<T: PartialEq + Debug>(&mut self, whose: &str, what: &str, seen: &T, made: &T) {
        if seen != made {
            self.0.push(format!("{whose}: {what} is {seen:?} in the snapshot, and was made {made:?}"));
        }
    }

    fn near(&mut self, whose: &str, what: &str, seen: i64, made: i64, off: i64) {
        if seen.abs_diff(made) > off.unsigned_abs() {
            self.0.push(format!("{whose}: {what} is {seen} bytes in the snapshot, and was made {made}"));
        }
    }
}

/// In what the snapshot differs from what was made.
#[must_use]
pub fn differences(before: &Before, snapshot: &Snapshot) -> Vec<String> {
    let mut found = Differences::default();
    let (made, seen) = (&before.machine, &snapshot.machine());
    let top = |path: &str| {
        snapshot.top == "/"
            || path.strip_prefix(&snapshot.top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let places = |machine: &Machine| -> BTreeMap<String, CgroupIndex> {
        let all = (ROOT + 1)..machine.cgroups.len();
        let there = all.filter(|at| !machine.cgroup(*at).removed);
        there.map(|at| (machine.path(at), at)).filter(|(path, _)| top(path)).collect()
    };
    let (seen_at, made_at) = (places(seen), places(made));
    found.equal(
        "the machine",
        "the list of cgroups",
        &seen_at.keys().collect(),
        &made_at.keys().collect::<Vec<_>>(),
    );
    for (path, at) in &made_at {
        let Some(there) = seen_at.get(path) else { continue };
        cgroups(&mut found, path, (seen, *there), (made, *at));
        directories(&mut found, path, snapshot, before, *at);
    }
    let (mut seen, mut made) = (processes(seen, &seen_at), processes(made, &made_at));
    let names = |all: &[(String, &Process)]| all.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    found.equal("the machine", "the list of processes", &names(&seen), &names(&made));
    if names(&seen) == names(&made) {
        for ((name, seen), (_, made)) in seen.drain(..).zip(made.drain(..)) {
            process(&mut found, &name, seen, made);
        }
    }
    found.0
}

fn cgroups(
    found: &mut Differences,
    path: &str,
    (seen, there): (&Machine, CgroupIndex),
    (made, at): (&Machine, CgroupIndex),
) {
    let limits = |cgroup: &Cgroup| {
        let Cgroup { bare, group, max, high, low, min, swap_max, .. } = *cgroup;
        (("bare", bare, "group", group), ("max", max, "high", high, "low", low, "min", min, "swap", swap_max))
    };
    found.equal(path, "what was set", &limits(seen.cgroup(there)), &limits(made.cgroup(at)));
    if made.cgroup(at).bare {
        return;
    }
    found.equal(path, "whether pressure is known", &seen.cgroup(there).pressure.is_some(), &true);
    let below =
        made.subtree(at).count() + made.subtree(at).map(|at| made.processes_of(at).count()).sum::<usize>();
    let off = OFF * (1 + below as i64);
    let amounts: [Amount<Amounts>; 4] = [
        ("usage", |own| own.charged * PAGE),
        ("anon", |own| own.anon),
        ("file", |own| own.file),
        ("shmem", |own| own.shmem),
    ];
    for (what, amount) in amounts {
        found.near(path, what, seen.sum(there, amount), made.sum(at, amount), off);
    }
    let events = |machine: &Machine, at| {
        (machine.sum(at, |own| own.events_oom), machine.sum(at, |own| own.events_oom_kill))
    };
    found.equal(path, "events", &events(seen, there), &events(made, at));
}

fn directories(found: &mut Differences, path: &str, snapshot: &Snapshot, before: &Before, at: CgroupIndex) {
    let Some(one) = snapshot.cgroups.iter().find(|one| one.path == path) else { return };
    let labels = before.attributes.iter().filter(|(of, ..)| *of == at);
    let labels: BTreeMap<String, String> = labels
        .filter_map(|(_, name, value)| Some((name.strip_prefix(LABEL)?.to_owned(), value.trim().to_owned())))
        .collect();
    found.equal(path, "the labels", &one.labels, &labels);
    found.equal(path, "the owner", &one.owner, before.owners.get(at).unwrap_or(&0));
}

/// Processes of the cgroups, by cgroup and name; of the same name the older one first.
fn processes<'a>(machine: &'a Machine, places: &BTreeMap<String, CgroupIndex>) -> Vec<(String, &'a Process)> {
    let all = machine.processes.iter().map(|one| (machine.path(one.cgroup), one));
    let mut all: Vec<(String, i64, &Process)> = all
        .filter(|(path, _)| places.contains_key(path))
        .map(|(path, one)| (format!("{} in {path}", one.comm), one.start, one))
        .collect();
    all.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
    all.into_iter().map(|(name, _, one)| (name, one)).collect()
}

fn process(found: &mut Differences, name: &str, seen: &Process, made: &Process) {
    let states = |one: &Process| {
        let Process { uid, adj, threads, leader_gone, life, kernel, .. } = *one;
        (
            ("uid", uid, "adj", adj, "threads", threads),
            ("leader gone", leader_gone, "life", life, "kernel", kernel),
        )
    };
    found.equal(name, "its state", &states(seen), &states(made));
    let amounts: [Amount<Process>; 5] = [
        ("anon", |one| one.anon * PAGE),
        ("file", |one| one.file * PAGE),
        ("shmem", |one| one.shmem * PAGE),
        ("swap", |one| one.swap * PAGE),
        ("page tables", |one| one.pgtables),
    ];
    for (what, amount) in amounts {
        found.near(name, what, amount(seen), amount(made), OFF);
    }
}
