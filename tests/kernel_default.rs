//! The library's `kernel_default` against the kernel's own killer.
//!
//! In the machine the case files `kernel_default_*` compare the two on real trees; here the policy is compared with the
//! simulator's copy of the kernel's killer on random machines.

use std::collections::BTreeMap;

use oomc_abi::resolve::KernelView;
use oomc_sim::machine::{Event, Life, Machine, PAGE, Process};
use oomc_sim::{Attached, Call, Kernel, Killer, Simulation};
use oomc_tests::agree::{Both, both};
use oomc_tests::generate::{Scene, runner, scene};
use proptest::strategy::{Strategy as _, ValueTree as _};

/// Random machines, and how many of them at least both must decide alike, without an explanation.
const MACHINES: usize = 2_000;
const LEAST: usize = 1_000;

fn policy() -> &'static str {
    oomc_stdlib::find("kernel_default").expect("the library has it").text
}

/// Whom the policy kills; none: nobody.
#[derive(Debug, PartialEq, Eq)]
enum Chosen {
    Process(i64),
    Nobody,
    /// Somebody who dies already.
    Waits,
}

fn by_the_policy(kernel: &Kernel, both: &Both, scene: &Scene) -> Chosen {
    let mut simulation = Simulation::new(kernel, scene.machine.clone()).expect("the machine can be modelled");
    let mut attached = Attached::new(&both.policy, &scene.machine, scene.event.attached);
    let run = simulation.ask(&mut attached, &scene.event).expect("the verifier accepts what it does");
    let called = run.calls.iter().find_map(|call| match call {
        Call::Kill(pid) => Some(Chosen::Process(*pid)),
        Call::Hurry(_) => Some(Chosen::Waits),
        Call::Raise(_) | Call::Reclaim(_) => None,
    });
    called.unwrap_or(Chosen::Nobody)
}

fn by_the_kernel(kernel: &Kernel, scene: &Scene) -> Chosen {
    let mut simulation = Simulation::new(kernel, scene.machine.clone()).expect("the machine can be modelled");
    let outcome = simulation.out_of_memory(&mut [], &scene.event).expect("nobody is asked");
    match outcome.killer {
        Some(Killer::Killed(index, _)) => Chosen::Process(scene.machine.process(index).pid),
        Some(Killer::Waits(_)) => Chosen::Waits,
        Some(Killer::Nobody) | None => Chosen::Nobody,
    }
}

/// The score, as `oom_badness()` has it (mm/oom_kill.c, 6.12).
fn score(process: &Process, event: &Event) -> i64 {
    let pages = [process.anon, process.file, process.shmem, process.swap];
    let pages: i64 = pages.iter().map(|pages| (*pages).max(0)).sum();
    pages + process.pgtables / PAGE + process.adj * (event.total / 1000)
}

/// Processes of the domain.
fn domain<'m>(machine: &'m Machine, event: &Event) -> impl Iterator<Item = &'m Process> {
    let top = event.cgroup.unwrap_or(0);
    machine
        .processes
        .iter()
        .enumerate()
        .filter_map(move |(index, process)| machine.is_within(machine.home(index), top).then_some(process))
}

/// Why the two may choose differently, if there is a reason; each is written in the library's or the book's text.
fn explanation(scene: &Scene, policy: &Chosen, own: &Chosen) -> Option<&'static str> {
    let Scene { machine, event, .. } = scene;
    let of = |chosen: &Chosen| match chosen {
        Chosen::Process(pid) => machine.processes.iter().find(|process| process.pid == *pid),
        _ => None,
    };
    if event.order == -1 {
        return Some("an administrator asked by SysRq: the policy stands back");
    }
    if domain(machine, event).any(|process| process.life != Life::Lives) {
        return Some("somebody is on its way out: the policy waits for more of them than the kernel does");
    }
    if machine.cgroups.iter().any(|cgroup| cgroup.no_walk) {
        return Some("a walk that could not start");
    }
    if let (Some(one), Some(other)) = (of(policy), of(own))
        && score(one, event) == score(other, event)
    {
        return Some(
            "equal scores: the policy takes the larger, then the younger one; the kernel the last it meets",
        );
    }
    if of(own).is_some_and(|process| process.leader_gone) {
        return Some("the main thread has gone: for a policy the process's memory is missing");
    }
    None
}

#[test]
fn it_kills_whom_the_kernel_kills() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled");
    let both = both(policy(), &kernel).expect("it is small");
    let (scenes, mut runner) = (scene(), runner(1));
    let mut explained: BTreeMap<&str, usize> = BTreeMap::new();
    let mut alike = 0;
    for _ in 0..MACHINES {
        let scene = scenes.new_tree(&mut runner).expect("a machine can be made").current();
        let (policy, own) = (by_the_policy(&kernel, &both, &scene), by_the_kernel(&kernel, &scene));
        if policy == own {
            alike += usize::from(matches!(own, Chosen::Process(_)));
            continue;
        }
        match explanation(&scene, &policy, &own) {
            Some(why) => *explained.entry(why).or_default() += 1,
            None => panic!("{policy:?} by the policy, {own:?} by the kernel\n{scene}"),
        }
    }
    let each: Vec<String> = explained.iter().map(|(why, count)| format!("{count}: {why}")).collect();
    eprintln!("{alike} of {MACHINES} machines: the same process; others:\n{}", each.join("\n"));
    assert!(alike >= LEAST, "only {alike} machines were decided alike");
}
