//! Decisions that the reference of the language spells out.

use oomc_abi::record::{Action, End};
use oomc_compiler::{KernelView, Source};

use crate::machine::{Amounts, Cgroup, Event, Life, Machine, PAGE, Process};
use crate::{Call, Decision, Settings, decide};

const MIB: i64 = (1 << 20) / PAGE;

fn cgroup(name: &str, parent: usize, serial: i64, max: Option<i64>) -> Cgroup {
    Cgroup { name: name.to_owned(), parent: Some(parent), id: 100 + serial, serial, max, ..Cgroup::default() }
}

fn process(cgroup: usize, pid: i64, anon: i64) -> Process {
    Process { cgroup, pid, anon, comm: format!("p{pid}"), threads: 1, start: pid, ..Process::default() }
}

/// `/t` of 80 MiB with leaves of 10, 40, 30 and 20 MiB; nobody may kill the largest.
fn upstream() -> Machine {
    let mut machine = Machine { memory: 512 * MIB, now: 1_000, ..Machine::default() };
    machine.cgroups.push(Cgroup { id: 1, serial: 1, ..Cgroup::default() });
    machine.cgroups.push(cgroup("t", 0, 2, Some(80 * MIB)));
    for (name, serial, size, adj) in
        [("a", 3, 10, 1000), ("b", 4, 40, -1000), ("c", 5, 30, 0), ("d", 6, 20, 0)]
    {
        let index = machine.cgroups.len();
        machine.cgroups.push(cgroup(name, 1, serial, None));
        machine.cgroups[index].own =
            Amounts { charged: size * MIB, anon: size * MIB * PAGE, ..Amounts::default() };
        machine.processes.push(Process { adj, ..process(index, 10 + serial, size * MIB) });
    }
    machine
}

fn event() -> Event {
    Event { cgroup: Some(1), attached: 1, total: 80 * MIB, constraint: 3, ..Event::default() }
}

fn run_on(policy: &str, machine: &Machine, event: &Event) -> Decision {
    let view = KernelView::embedded();
    let checked = oomc_compiler::check(&Source::new("test.oom", policy), &view);
    let policy = checked.policy().unwrap_or_else(|| panic!("{:?}", checked.diagnostics()));
    decide(policy, &Settings::of(policy), machine, event)
}

fn run(policy: &str, machine: &Machine) -> Decision {
    run_on(policy, machine, &event())
}

#[test]
fn the_largest_that_may_die_dies() {
    let decision = run("kill largest cgroup in subtree", &upstream());
    assert_eq!((decision.answer, decision.action), (1, Action::KillCgroup));
    assert_eq!(decision.calls, [Call::Kill(15)]);
    let decision = run("kill largest in subtree", &upstream());
    assert_eq!(decision.calls, [Call::Kill(15)]);
    assert_eq!(decision.ends, [End::Progress]);
}

#[test]
fn the_headline_raises_and_then_kills() {
    let headline = "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree";
    assert_eq!(run(headline, &upstream()).calls, [Call::Raise(88 * MIB * PAGE)]);
    let mut full = upstream();
    full.cgroups[0].max = None;
    full.memory = 80 * MIB;
    assert_eq!(run(headline, &full).calls, [Call::Kill(15)]);
}

#[test]
fn a_victim_in_flight_is_waited_for() {
    let mut machine = upstream();
    machine.processes[3].life = Life::Dying { chosen: false, reaped: false };
    let decision = run("kill largest in subtree", &machine);
    assert_eq!((decision.action, decision.calls), (Action::Wait, vec![Call::Wait(16)]));
    let decision = run("kill largest in subtree now", &machine);
    assert_eq!(decision.calls, [Call::Kill(15)]);
    machine.processes[3].life = Life::Dying { chosen: true, reaped: true };
    assert_eq!(run("kill largest in subtree", &machine).calls, [Call::Kill(15)]);
    machine.processes[3].life = Life::Gone { chosen: true, reaped: false };
    let decision = run("kill largest in subtree default kill smallest in subtree now", &machine);
    assert_eq!((decision.answer, decision.calls), (0, vec![]), "nothing to gain, but still there");
    assert_eq!(decision.ends, [End::Deferred, End::NotReached]);
}

#[test]
fn a_group_goes_together_and_is_protected_together() {
    let mut machine = upstream();
    machine.cgroups[5].group = true;
    machine.processes.push(Process { comm: "sshd".to_owned(), ..process(5, 20, MIB) });
    machine.processes.push(process(4, 21, MIB));
    let decision = run("kill largest in subtree where pid == 16", &machine);
    assert_eq!(decision.calls, [Call::Kill(16)]);
    assert!(decision.machine.processes.iter().filter(|p| p.life != Life::Lives).count() == 2);
    let never = "never kill process where comm == \"sshd\" kill all in subtree";
    let mut calls = run(never, &machine).calls;
    calls.sort();
    assert_eq!(calls, [13, 15, 21].map(Call::Kill));
}

#[test]
fn unknown_protects_and_is_not_true() {
    let mut machine = upstream();
    machine.processes[2].leader_gone = true;
    assert_eq!(run("kill largest in subtree where rss > 1MiB", &machine).calls, [Call::Kill(16)]);
    let never = "never kill process where rss > 100MiB kill oldest in subtree where pid > 14";
    assert_eq!(run(never, &machine).calls, [Call::Kill(16)]);
    assert_eq!(run("kill smallest in subtree by rss", &machine).calls, [Call::Kill(13)], "missing is last");
}

#[test]
fn a_rise_leaves_room_for_what_is_above() {
    let mut machine = upstream();
    machine.cgroups[1].max = Some(200 * MIB);
    machine.cgroups.push(cgroup("e", 1, 7, Some(10 * MIB)));
    let event = Event { cgroup: Some(6), ..event() };
    let raised = |text: &str| run_on(text, &machine, &event).calls;
    assert_eq!(raised("raise_limit 1GiB"), [Call::Raise(110 * MIB * PAGE)]);
    assert_eq!(raised("raise_limit 1GiB up to 20MiB"), [Call::Raise(20 * MIB * PAGE)]);
    assert_eq!(raised("raise_limit 0.5%"), []);
    assert_eq!(raised("raise_limit 64KiB * -1"), []);
}

#[test]
fn counters_bound_what_is_done() {
    let text = "state grown: counter per cgroup resets after 1h
        if grown < 1 then { raise_limit 10% up to 1GiB count grown }";
    let first = run(text, &upstream());
    assert_eq!(first.calls.len(), 1);
    assert_eq!(first.machine.cgroups[1].counters[0].1.real, (1, 1_000));
    assert_eq!(run(text, &first.machine).calls, []);
    let later = Machine { now: 1_000 + 3_600_000_000_000, ..first.machine };
    assert_eq!(run(text, &later).calls.len(), 1);
}

#[test]
fn audit_does_nothing() {
    let machine = upstream();
    let decision = run("mode audit { kill largest in subtree now kill largest in subtree now }", &machine);
    assert_eq!((decision.answer, decision.victims), (0, vec![15, 15]));
    assert_eq!((decision.action, decision.machine), (Action::KillProcess, machine));
}
