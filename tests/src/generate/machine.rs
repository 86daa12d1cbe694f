//! Random machines and what happens to them: small, and full of what is rare.
//!
//! Sizes come from a few, so that ties occur. A machine is possible: whatever is below a removed cgroup was removed,
//! who shares memory shares all of it, and the event is one that the kernel would report. Cgroups and processes
//! stand in random order, and that is the order in which the kernel's walks show them.

use std::fmt;

use oomc_sim::machine::{Amounts, Cgroup, Counter, Event, Life, Machine, PAGE, Process, ROOT};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

/// Most cgroups below the root, and most processes.
const CGROUPS: usize = 9;
const PROCESSES: usize = 12;

/// A machine, and what happens.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The machine.
    pub machine: Machine,
    /// What happens.
    pub event: Event,
    /// Nobody acts, but all is recorded.
    pub audit: Option<bool>,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = |set: bool, word: &'static str| if set { word } else { "" };
        for (index, cgroup) in self.machine.cgroups.iter().enumerate() {
            let (path, Cgroup { id, serial, max, own, .. }) = (self.machine.path(index), cgroup);
            write!(f, "cgroup {index} {path} id {id} serial {serial} max {max:?} charged {}", own.charged)?;
            let flags = [
                flag(cgroup.removed, " removed"),
                flag(cgroup.bare, " bare"),
                flag(cgroup.group, " group"),
                flag(cgroup.no_walk, " no_walk"),
            ];
            writeln!(f, "{} {:?} {:?}", flags.concat(), cgroup.labels, cgroup.counters)?;
        }
        for Process {
            cgroup,
            pid,
            comm,
            uid,
            adj,
            anon,
            file,
            shmem,
            swap,
            threads,
            start,
            life,
            leader_gone,
            ..
        } in &self.machine.processes
        {
            write!(
                f,
                "process {pid} {comm:?} in cgroup {cgroup} uid {uid} adj {adj} threads {threads} start {start}"
            )?;
            writeln!(
                f,
                " anon {anon} file {file} shmem {shmem} swap {swap} {life:?} leader gone {leader_gone}"
            )?;
        }
        writeln!(f, "{:?} audit {:?}", self.event, self.audit)
    }
}

/// Numbers from which one is made: each choice takes the next, and smaller ones are simpler.
type Choices = [u32; 32];

/// Machines with an event.
pub fn scene() -> BoxedStrategy<Scene> {
    let choices = || prop::array::uniform32(0_u32..10_000);
    (vec(choices(), 1..CGROUPS), vec(choices(), 1..PROCESSES), choices())
        .prop_map(|(cgroups, processes, event)| scene_of(&cgroups, &processes, &event))
        .boxed()
}

/// Takes choices one after the other.
struct Taker<'a>(core::slice::Iter<'a, u32>);

impl Taker<'_> {
    fn below(&mut self, count: usize) -> usize {
        self.0.next().copied().unwrap_or(0) as usize % count.max(1)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        #[expect(clippy::indexing_slicing, reason = "the number is below the length")]
        of[self.below(of.len())]
    }

    /// Once in so many times.
    fn rarely(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

const MIB: i64 = (1 << 20) / PAGE;
/// Amounts in pages.
const SIZES: [i64; 8] = [0, 1, MIB, 2 * MIB, 2 * MIB, 20 * MIB, 64 * MIB, 300 * MIB];
const NAMES: [&str; 12] =
    ["a", "b", "t", "job", "system.slice", "abc", "worker-1", "a\\x2db", "axbxc", "sshd", "keep", "x"];
const COMMS: [&str; 8] = ["sshd", "b", "worker-7", "abc", "a-2db", "fifteen-letters", "", "x"];

fn scene_of(cgroups: &[Choices], processes: &[Choices], event: &Choices) -> Scene {
    let mut machine = Machine {
        memory: 1024 * MIB,
        swap: 512 * MIB,
        swap_free: 100 * MIB,
        now: 10_000_000_000_000,
        ..Machine::default()
    };
    machine.cgroups.push(Cgroup { id: 1, serial: 1, ..Cgroup::default() });
    for choices in cgroups {
        let cgroup = cgroup(&machine, &mut Taker(choices.iter()));
        machine.cgroups.push(cgroup);
    }
    let mut root = Taker(event.iter());
    if let Some(first) = machine.cgroups.first_mut() {
        first.own = Amounts { charged: 0, ..amounts(&mut root) };
    }
    for choices in processes {
        let process = process(&machine, &mut Taker(choices.iter()));
        machine.processes.push(process);
    }
    let event = what_happens(&machine, &mut root);
    let audit = root.one(&[None, None, None, Some(false), Some(true)]);
    Scene { machine, event, audit }
}

fn cgroup(machine: &Machine, take: &mut Taker<'_>) -> Cgroup {
    let count = machine.cgroups.len();
    let parent = take.below(count);
    let above = machine.cgroup(parent);
    let removed = above.removed || (!above.bare && take.rarely(8));
    let bare = above.bare || (!removed && take.rarely(10));
    let limit = |take: &mut Taker<'_>| {
        if take.below(3) == 0 { Some(take.one(&SIZES)) } else { None }
    };
    // Not in the order of creation: what is listed first is not always the oldest.
    let serial = 2 + ((count as i64) * 7) % 16;
    let mut name = take.one(&NAMES).to_owned();
    if machine.cgroups.iter().any(|other| other.parent == Some(parent) && other.name == name) {
        name = format!("{name}{count}");
    }
    let average = |take: &mut Taker<'_>| take.one(&[0, 2048, 20_480, 51_200, 204_800]);
    let pressure = |take: &mut Taker<'_>| [(); 3].map(|()| average(take));
    Cgroup {
        name,
        parent: Some(parent),
        id: 100 + serial * 3,
        serial,
        removed,
        bare,
        group: take.rarely(4),
        max: limit(take),
        high: limit(take),
        low: take.one(&SIZES),
        min: take.one(&SIZES),
        swap_max: limit(take),
        own: if bare { Amounts::default() } else { amounts(take) },
        pressure: (take.below(3) > 0).then(|| [pressure(take), pressure(take)]),
        no_walk: !removed && take.rarely(25),
        labels: labels(take),
        counters: counters(take),
        members: Vec::new(),
    }
}

fn labels(take: &mut Taker<'_>) -> Vec<(String, i64)> {
    let values =
        [("tier", 7), ("budgeted", 20 << 20), ("part", 900_000), ("notice", 1_000_000_000), ("kept", 0)];
    let chosen = take.below(64);
    let each = values.into_iter().enumerate().filter(|(at, _)| chosen >> at & 1 == 1 && chosen > 31);
    each.map(|(_, (name, value))| (name.to_owned(), value)).collect()
}

fn counters(take: &mut Taker<'_>) -> Vec<(String, Counter)> {
    if take.below(3) > 0 {
        return Vec::new();
    }
    let hour = 3_600_000_000_000;
    let mut copy = || match take.below(4) {
        0 => (0, 0),
        1 => (3, 10_000_000_000_000 - hour),
        2 => (1, 10_000_000_000_000 - 1_000),
        _ => (5, 1),
    };
    vec![("grown".to_owned(), Counter { real: copy(), audit: copy() })]
}

fn amounts(take: &mut Taker<'_>) -> Amounts {
    let bytes = take.one(&SIZES) * PAGE;
    let scale = take.one(&[0, 1, 1, 2]);
    // Of a further amount nothing more is wanted than that it is not always 0.
    #[expect(clippy::needless_update, reason = "a further row of the table of amounts makes it needed")]
    Amounts {
        charged: bytes / PAGE + 3,
        swapped: take.one(&SIZES),
        anon: bytes,
        file: bytes * scale / 2,
        shmem: bytes * scale / 4,
        kernel: 40_960 * scale,
        slab_reclaimable: 8_192 * scale + 77,
        inactive_file: bytes * scale / 3,
        pgscan: 100 * scale,
        pgmajfault: scale,
        refault: 5 * scale,
        events_max: 10 * scale,
        events_oom: scale,
        events_oom_kill: scale / 2,
        ..Amounts::each(7 * scale)
    }
}

fn process(machine: &Machine, take: &mut Taker<'_>) -> Process {
    let number = machine.processes.len() as i64;
    let places: Vec<usize> = (0..machine.cgroups.len()).filter(|at| !machine.cgroup(*at).removed).collect();
    let cgroup = take.one(&places);
    let kernel = cgroup == ROOT && take.below(3) == 2;
    let pid = if take.rarely(12) && machine.processes.iter().all(|other| other.pid != 1) {
        1
    } else {
        10 + (number * 5) % 32
    };
    let threads = if kernel { 1 } else { take.one(&[1, 1, 1, 2, 3]) };
    let chosen = take.below(2) == 1;
    let life = match take.below(30) {
        _ if kernel => Life::Lives,
        10 => Life::Dying { chosen, reaped: false },
        9 => Life::Dying { chosen, reaped: take.below(2) == 1 },
        8 => Life::Gone { chosen, reaped: take.below(2) == 1 },
        _ => Life::Lives,
    };
    let mut process = Process {
        cgroup,
        pid,
        comm: take.one(&COMMS).to_owned(),
        uid: take.one(&[0, 1, 1000, 1001]),
        adj: take.one(&[0, 0, 0, 0, 1, 500, 1000, -500, -1000]),
        anon: take.one(&SIZES),
        file: take.one(&[0, 0, MIB, -3]),
        shmem: take.one(&[0, 0, MIB, 5]),
        swap: take.one(&[0, 0, 2 * MIB]),
        pgtables: take.one(&[0, 4096, 81_920]),
        threads,
        start: take.one(&[1_000, 1_000, 5_000_000_000, 9_999_000_000_000]),
        kernel,
        leader_gone: threads > 1 && !matches!(life, Life::Gone { .. }) && take.rarely(8),
        life,
        shares_with: None,
        // Somebody who is there, or was.
        parent: take.one(&[None, None, Some(0), Some(1), Some(10), Some(15), Some(20), Some(25), Some(30)]),
        ns_pids: take.one::<&[i64]>(&[&[], &[], &[1], &[7], &[40, 1], &[9, 9]]).to_vec(),
        members: Vec::new(),
    };
    process.members.push(("sched_reset_on_fork".to_owned(), take.one(&[0, 1])));
    let memory_of = take.below(machine.processes.len().max(1));
    if take.rarely(10)
        && let Some(owner) = machine.processes.get(memory_of)
        && !owner.kernel
        && !kernel
        && owner.shares_with.is_none()
        && owner.life == Life::Lives
        && !owner.leader_gone
        && !process.leader_gone
        && !matches!(process.life, Life::Dying { reaped: true, .. } | Life::Gone { .. })
    {
        let Process { anon, file, shmem, swap, pgtables, .. } = *owner;
        process = Process { anon, file, shmem, swap, pgtables, shares_with: Some(memory_of), ..process };
    }
    process
}

fn what_happens(machine: &Machine, take: &mut Taker<'_>) -> Event {
    let mut limited: Vec<usize> = (1..machine.cgroups.len())
        .filter(|at| !machine.cgroup(*at).bare && !machine.cgroup(*at).removed)
        .collect();
    // Mostly one in which somebody lives.
    let lives = |at: usize| {
        (0..machine.processes.len()).any(|process| machine.is_within(machine.process(process).cgroup, at))
    };
    if !take.rarely(8) && limited.iter().any(|at| lives(*at)) {
        limited.retain(|at| lives(*at));
    }
    let cgroup = if limited.is_empty() || take.rarely(5) { None } else { Some(take.one(&limited)) };
    let above: Vec<usize> = machine.ancestors(cgroup.unwrap_or(ROOT)).collect();
    Event {
        cgroup,
        attached: take.one(&above),
        order: if take.rarely(30) { -1 } else { take.one(&[0, 0, 2, 9]) },
        gfp_mask: take.one(&[0, 0x0014_0dc0, 0xcc0]),
        constraint: if cgroup.is_some() { 3 } else { take.below(3) },
        total: take.one(&[1024 * MIB, 80 * MIB, 999]),
        trigger: None,
    }
}
