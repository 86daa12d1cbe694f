//! The program that user space asks, in the simulator, against the oracle: rules outside of blocks at the limit, and
//! blocks, with what whoever asks knows.

use std::collections::HashMap;

use oomc_abi::record::{Action, End};
use oomc_abi::resolve::KernelView;
use oomc_oracle::Asking;
use oomc_sim::Kernel;
use oomc_sim::machine::{Amounts, Cgroup, Event, Machine, Process};
use oomc_tests::agree::{AskedBatch, agree_asked, both};
use oomc_tests::generate::Scene;
use oomc_tests::number;

/// Policies of the ordinary run, each on [`MACHINES`].
const POLICIES: u64 = 80;
const MACHINES: usize = 80;

fn kernel() -> Kernel {
    Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled")
}

#[test]
fn bytes_and_oracle_decide_alike_when_they_are_asked() {
    let kernel = kernel();
    let policies = number("OOMC_ASKED", POLICIES);
    let mut batch = AskedBatch::new(&kernel, number("OOMC_SEED", 1));
    for _ in 0..policies {
        if let Err(what) = batch.policy(MACHINES) {
            panic!("{what}");
        }
    }
    eprintln!("{:?}", batch.actions);
    let agreed: usize = batch.actions.values().sum();
    assert!(agreed as u64 >= policies * 10, "only {agreed} decisions were compared");
    for action in [Action::None, Action::KillProcess, Action::KillCgroup, Action::Reclaim, Action::RaiseLimit]
    {
        assert!(batch.actions.get(&action).is_some_and(|count| *count > 5), "{action}: {:?}", batch.actions);
    }
}

/// `/job` with two tenants; the first has more memory, the second more page cache.
fn scene() -> Scene {
    let cgroup = |name: &str, parent, id, own| Cgroup {
        name: name.to_owned(),
        parent: Some(parent),
        id,
        serial: id,
        own,
        ..Cgroup::default()
    };
    let own = |charged: i64, file: i64| Amounts { charged, file: file * 4096, ..Amounts::default() };
    let process =
        |cgroup, pid, anon| Process { cgroup, pid, anon, threads: 1, start: pid, ..Process::default() };
    let machine = Machine {
        memory: 1 << 18,
        now: 1_000_000_000,
        cgroups: vec![
            Cgroup { id: 1, serial: 1, ..Cgroup::default() },
            Cgroup { max: Some(1000), ..cgroup("job", 0, 7, Amounts::default()) },
            cgroup("a", 1, 8, own(500, 0)),
            cgroup("b", 1, 9, own(300, 200)),
        ],
        processes: vec![process(2, 10, 500), process(3, 11, 100)],
        ..Machine::default()
    };
    Scene { machine, event: Event { cgroup: Some(1), attached: 1, ..Event::default() }, audit: None }
}

fn decided(text: &str, asking: &Asking) -> oomc_oracle::Decision {
    decided_in(&scene(), text, asking)
}

fn decided_in(scene: &Scene, text: &str, asking: &Asking) -> oomc_oracle::Decision {
    let kernel = kernel();
    let both = both(text, &kernel).expect("it is small");
    let decision = agree_asked(&both, &kernel, scene, asking).unwrap_or_else(|what| panic!("{what}"));
    decision.expect("it can be asked")
}

fn asking(block: usize) -> Asking {
    Asking { trigger: "pressure", block, ..Asking::default() }
}

#[test]
fn a_block_is_asked_and_no_other_rule() {
    let text = "kill process in subtree\n\
                on limit { rule \"one\": kill smallest process in subtree }\n\
                on pressure full avg10 > 60% { rule \"two\": kill cgroup in subtree }";
    assert_eq!(decided(text, &asking(0)).victims, [10]);
    assert_eq!(decided(text, &asking(1)).victims, [11]);
    let two = decided(text, &asking(2));
    assert_eq!((two.victims.as_slice(), two.rule, two.ends[0]), (&[8][..], Some(2), End::NotReached));
}

#[test]
fn a_rate_is_what_whoever_asks_has_found() {
    let text = "on pressure full avg10 > 60% { kill cgroup in children of cgroup by rate(pgscan) }";
    assert_eq!(decided(text, &asking(1)).victims, [9], "of two of which nothing is known, the younger one");
    let samples = HashMap::from([((0, 8), 5)]);
    assert_eq!(decided(text, &Asking { samples, ..asking(1) }).victims, [8]);
    let samples = HashMap::from([((0, 9), 6), ((0, 8), 5)]);
    assert_eq!(decided(text, &Asking { samples, ..asking(1) }).victims, [9]);
}

#[test]
fn growth_of_a_process_is_found_by_its_number() {
    let text = "on usage > 50% { kill process in subtree where growth(rss, 10s) > 1MiB }";
    let samples = HashMap::from([((0, 10), 1 << 20), ((0, 11), 1 << 21)]);
    assert_eq!(decided(text, &Asking { samples, ..asking(1) }).victims, [11]);
    assert_eq!(decided(text, &asking(1)).action, Action::None);
}

#[test]
fn a_tenth_that_came_back_is_progress() {
    let text =
        |wanted: &str| format!("on usage > 50% {{ rule \"r\": reclaim {wanted} kill largest in subtree }}");
    // 200 pages are page cache.
    let decision = decided(&text("4MiB"), &asking(1));
    assert_eq!((decision.action, decision.expected), (Action::Reclaim, 4 << 20));
    let decision = decided(&text("64MiB"), &asking(1));
    assert_eq!((decision.action, decision.ends[0]), (Action::KillProcess, End::TooLittle));
}

#[test]
fn a_budget_that_is_used_up_kills_nobody() {
    let text = "budget 1 kills per 1m\non usage > 50% { { kill largest in subtree now kill largest in subtree now } }";
    let left = |kills_left| Asking { kills_left: Some(kills_left), ..asking(1) };
    assert_eq!(decided(text, &left(0)).ends[0], End::OverBudget);
    assert_eq!(decided(text, &left(1)).victims, [10]);
    assert_eq!(decided(text, &left(2)).victims, [10, 11]);
}

#[test]
fn while_memory_is_expected_back_only_now_kills() {
    let expected = Asking { memory_expected: true, ..asking(1) };
    let decision = decided("on usage > 50% { kill largest in subtree }", &expected);
    assert_eq!((decision.action, decision.ends[0]), (Action::None, End::Expected));
    assert_eq!(decided("on usage > 50% { kill largest in subtree now }", &expected).victims, [10]);
}

#[test]
fn a_policy_knows_what_it_is_asked_about() {
    let text = "on pressure full avg10 > 60% { if oom.trigger == \"pressure\" then kill smallest in subtree }\n\
                if oom.trigger in [\"oom\", \"limit\"] then kill largest in subtree";
    assert_eq!(decided(text, &asking(1)).victims, [11]);
    assert_eq!(decided(text, &Asking { trigger: "limit", ..Asking::default() }).victims, [10]);
    assert_eq!(decided(text, &asking(0)).action, Action::None);
}

#[test]
fn audit_mode_says_what_it_would_have_done() {
    let decision =
        decided("mode audit\non usage > 50% { { reclaim 1GiB kill cgroup in subtree } }", &asking(1));
    assert_eq!((decision.action, decision.answer), (Action::KillCgroup, 0));
}

#[test]
fn all_that_a_cgroup_without_a_limit_may_use_is_a_number() {
    let mut scene = scene();
    scene.machine.cgroups[1].max = None;
    scene.machine.swap = 1 << 18;
    let limit = Asking { trigger: "limit", ..Asking::default() };
    let text = "if oom.total > 1TiB then kill largest in subtree else kill smallest in subtree";
    assert_eq!(decided_in(&scene, text, &limit).victims, [10]);
}

#[test]
fn who_dies_with_another_ones_group_is_no_victim_of_his_own() {
    let mut scene = scene();
    scene.machine.cgroups[2].group = true;
    let more = |pid, anon| Process { pid, anon, start: pid, ..scene.machine.processes[0].clone() };
    let more = [more(12, 400), more(13, 300)];
    scene.machine.processes.extend(more);
    let limit = Asking { trigger: "limit", ..Asking::default() };
    // The first one's group dies with it: 10, 12 and 13; then comes the one of the other cgroup.
    let decision = decided_in(&scene, "kill largest in subtree until freed 1GiB at most 2", &limit);
    assert_eq!((decision.victims.as_slice(), decision.killed), (&[10, 11][..], 2));
    assert_eq!(decision.expected, 600 * 4096);
    let cgroups = "kill largest cgroup in children of cgroup until freed 1GiB at most 2";
    assert_eq!(decided_in(&scene, cgroups, &limit).victims, [8, 9]);
    // All of the domain die with whoever dies in it.
    scene.machine.cgroups[1].group = true;
    let decision = decided_in(&scene, cgroups, &limit);
    assert_eq!((decision.victims.as_slice(), decision.expected), (&[8][..], 500 * 4096));
    decided_in(&scene, "kill all in subtree", &limit);
    decided_in(&scene, "kill all cgroup in children of cgroup", &limit);
}
