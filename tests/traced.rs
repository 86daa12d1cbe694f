//! Traced builds: marks tell what a decision passed and for whom, and change nothing of it.
//!
//! `OOMC_SEED` and `OOMC_FUZZ` change which random policies and machines are looked at.

#![expect(clippy::indexing_slicing, reason = "a test")]

use std::collections::HashSet;

use oomc_abi::resolve::KernelView;
use oomc_compiler::trace::{PointKind, Traced};
use oomc_compiler::{Checked, Parsed, Source};
use oomc_sim::machine::{Amounts, Cgroup, Event, Machine, PAGE, Process};
use oomc_sim::{Attached, Call, Kernel, Object, Policy, Run, Simulation};
use oomc_tests::generate::{self, Scene};
use oomc_tests::{files, number, read, root};

use proptest::strategy::{Strategy as _, ValueTree as _};

const MIB: i64 = (1 << 20) / PAGE;

fn kernel() -> Kernel {
    Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled")
}

fn policy(kernel: &Kernel, object: &[u8]) -> Policy {
    Policy::new(kernel, &oomc_object::Object::parse(object).expect("an object")).expect("a policy")
}

/// `/job` with `a`, whose process is protected by its `oom_score_adj`, and `b` with a large process and a small one.
fn machine() -> Machine {
    let cgroup = |name: &str, parent, serial| Cgroup {
        name: name.to_owned(),
        parent: Some(parent),
        id: 100 + serial,
        serial,
        own: Amounts { charged: 10 * MIB, anon: 10 * MIB * PAGE, ..Amounts::default() },
        ..Cgroup::default()
    };
    let root = Cgroup { id: 1, serial: 1, ..Cgroup::default() };
    let job = Cgroup { max: Some(80 * MIB), ..cgroup("job", 0, 2) };
    let process = |comm: &str, cgroup, pid, anon: i64| Process {
        cgroup,
        pid,
        comm: comm.to_owned(),
        anon: anon * MIB,
        threads: 1,
        start: pid,
        ..Process::default()
    };
    Machine {
        memory: 512 * MIB,
        now: 1_000_000,
        cgroups: vec![root, job, cgroup("a", 1, 3), cgroup("b", 1, 4)],
        processes: vec![
            Process { adj: -1000, ..process("exempt", 2, 10, 30) },
            process("large", 3, 11, 40),
            process("small", 3, 12, 1),
        ],
        ..Machine::default()
    }
}

fn event() -> Event {
    Event { cgroup: Some(1), attached: 1, total: 80 * MIB, constraint: 3, ..Event::default() }
}

/// What a mark means.
fn kind(kind: PointKind) -> String {
    match kind {
        PointKind::Rule(index) => format!("rule {index}"),
        PointKind::Branch { taken: true } => "then".to_owned(),
        PointKind::Branch { taken: false } => "else".to_owned(),
        PointKind::Alternative => "alternative".to_owned(),
        PointKind::Action => "action".to_owned(),
        PointKind::Guard { yes: true } => "yes".to_owned(),
        PointKind::Guard { yes: false } => "no".to_owned(),
        PointKind::Protected(_) => "protected".to_owned(),
    }
}

/// The marks of a run, each as a line.
fn told(machine: &Machine, traced: &Traced, run: &Run) -> Vec<String> {
    let line = |mark: &oomc_sim::Mark| {
        let point = &traced.points[mark.point as usize];
        let whom = match mark.object {
            None => String::new(),
            Some(Object::Process(process)) => format!(" ({})", machine.process(process).comm),
            Some(Object::Cgroup(cgroup)) => format!(" ({})", machine.path(cgroup)),
        };
        format!("{}: {}{whom}", kind(point.kind), point.text)
    };
    run.marks.iter().map(line).collect()
}

/// A policy, for both builds of it.
fn checked<'k>(text: &str, kernel: &'k Kernel) -> Checked<'k> {
    Parsed::new(Source::new("traced.oom", text)).check(kernel.view())
}

/// What the traced build of a policy tells of the event on a machine.
fn trace(text: &str, machine: &Machine) -> Vec<String> {
    let kernel = kernel();
    let traced = checked(text, &kernel).trace();
    let object = traced.object.as_ref().unwrap_or_else(|| panic!("{:?}", traced.diagnostics));
    let mut simulation = Simulation::new(&kernel, machine.clone()).expect("a machine");
    let mut attached = Attached::new(&policy(&kernel, object), machine, 1);
    let run = simulation.ask(&mut attached, &event()).expect("a sound program");
    told(machine, &traced, &run)
}

#[track_caller]
fn assert_trace(text: &str, expected: &[&str]) {
    assert_eq!(trace(text, &machine()), expected);
}

#[test]
fn a_rule_an_action_and_what_is_built_in() {
    assert_trace(
        "kill largest in subtree now",
        &[
            "rule 0: kill largest in subtree now",
            "action: kill largest in subtree now",
            "protected: oom_score_adj -1000 (exempt)",
        ],
    );
}

#[test]
fn init_and_threads_of_the_kernel() {
    let mut machine = machine();
    machine.processes[0] = Process { pid: 1, adj: 0, ..machine.processes[0].clone() };
    machine.processes[2].kernel = true;
    let told = trace("kill largest in subtree now", &machine);
    assert_eq!(told[2..4], ["protected: process 1 (exempt)", "protected: kernel thread (small)"]);
}

#[test]
fn where_asks_every_candidate() {
    assert_trace(
        "kill largest in subtree where rss < 5MiB now",
        &[
            "rule 0: kill largest in subtree where rss < 5MiB now",
            "action: kill largest in subtree where rss < 5MiB now",
            "protected: oom_score_adj -1000 (exempt)",
            "no: rss < 5MiB (large)",
            "yes: rss < 5MiB (small)",
        ],
    );
}

#[test]
fn never_names_whom_it_protects() {
    assert_trace(
        "never kill process where comm == \"large\"  # ours\n\
         never kill cgroup where name == \"a\"\n\
         kill largest in subtree now",
        &[
            "rule 0: kill largest in subtree now",
            "action: kill largest in subtree now",
            "yes: name == \"a\" (/job/a)",
            "protected: never kill cgroup where name == \"a\" (/job/a)",
            "no: name == \"a\" (/job/b)",
            "no: name == \"a\" (/job)",
            "yes: comm == \"large\" (large)",
            "protected: never kill process where comm == \"large\" (large)",
            "no: comm == \"large\" (small)",
        ],
    );
}

#[test]
fn what_is_unknown_protects_and_chooses_nobody() {
    // A quotient by 0 is unknown.
    let mut machine = machine();
    machine.processes.truncate(2);
    let asked = trace("kill largest in subtree where rss / (rss - rss) > 1% now", &machine);
    assert_eq!(asked[3..], ["no: rss / (rss - rss) > 1% (large)"]);
    let asked =
        trace("never kill process where rss / (rss - rss) > 1% kill largest in subtree now", &machine);
    let never = "never kill process where rss / (rss - rss) > 1%";
    let protected = format!("protected: {never} (large)");
    assert_eq!(asked[3..], ["yes: rss / (rss - rss) > 1% (large)", protected.as_str()]);
}

#[test]
fn prefer_and_avoid_ask_candidates() {
    assert_trace(
        "avoid process where comm == \"large\" kill largest in subtree now",
        &[
            "rule 0: kill largest in subtree now",
            "action: kill largest in subtree now",
            "protected: oom_score_adj -1000 (exempt)",
            "yes: comm == \"large\" (large)",
            "no: comm == \"large\" (small)",
        ],
    );
}

#[test]
fn the_ways_of_an_if_and_past_it() {
    assert_trace(
        "rule \"one\": if cgroup.usage > 1GiB then defer\n\
         rule \"two\": if cgroup.usage < 1GiB then defer else wait",
        &[
            "rule 0: rule \"one\": if cgroup.usage > 1GiB then defer",
            "no: cgroup.usage > 1GiB",
            "else: cgroup.usage > 1GiB",
            "rule 1: rule \"two\": if cgroup.usage < 1GiB then defer else wait",
            "yes: cgroup.usage < 1GiB",
            "then: cgroup.usage < 1GiB",
            "action: defer",
        ],
    );
}

#[test]
fn else_is_reached_when_then_made_no_progress() {
    assert_trace(
        "if cgroup.usage < 1GiB then wait else defer",
        &[
            "rule 0: if cgroup.usage < 1GiB then wait else defer",
            "yes: cgroup.usage < 1GiB",
            "then: cgroup.usage < 1GiB",
            "action: wait",
            "else: cgroup.usage < 1GiB",
            "action: defer",
        ],
    );
}

#[test]
fn alternatives_are_told_as_far_as_they_are_tried() {
    assert_trace(
        "wait or raise_limit 10% or defer",
        &[
            "rule 0: wait or raise_limit 10% or defer",
            "alternative: wait",
            "action: wait",
            "alternative: raise_limit 10%",
            "action: raise_limit 10%",
        ],
    );
}

#[test]
fn a_quantifier_asks_elements_until_it_is_decided() {
    assert_trace(
        "if any process p in subtree where p.comm == \"large\" then defer",
        &[
            "rule 0: if any process p in subtree where p.comm == \"large\" then defer",
            "no: p.comm == \"large\" (exempt)",
            "yes: p.comm == \"large\" (large)",
            "yes: any process p in subtree where p.comm == \"large\"",
            "then: any process p in subtree where p.comm == \"large\"",
            "action: defer",
        ],
    );
}

#[test]
fn points_are_in_the_order_of_the_text_and_what_no_action_asks_has_some() {
    let text = "never kill process where comm == \"x\"\nif cgroup.usage > 1GiB then defer";
    let kernel = kernel();
    let traced = checked(text, &kernel).trace();
    let points: Vec<String> =
        traced.points.iter().map(|point| format!("{}: {}", kind(point.kind), point.text)).collect();
    assert_eq!(
        points,
        [
            "protected: never kill process where comm == \"x\"",
            "no: comm == \"x\"",
            "yes: comm == \"x\"",
            "rule 0: if cgroup.usage > 1GiB then defer",
            "else: cgroup.usage > 1GiB",
            "then: cgroup.usage > 1GiB",
            "no: cgroup.usage > 1GiB",
            "yes: cgroup.usage > 1GiB",
            "action: defer",
        ]
    );
}

#[test]
fn a_mistake_is_told_as_without_marks() {
    let kernel = kernel();
    let checked = checked("kill largest in subtree where rss > 4096", &kernel);
    let (traced, plain) = (checked.trace(), checked.compile());
    assert!(traced.object.is_none() && traced.points.is_empty());
    assert_eq!(format!("{:?}", traced.diagnostics), format!("{:?}", plain.diagnostics));
    assert!(!plain.diagnostics.is_empty());
}

/// What a policy did, without what it passed and how long that took.
fn decided(kernel: &Kernel, policy: &Policy, scene: &Scene) -> (Simulated, Run) {
    let mut simulation = Simulation::new(kernel, scene.machine.clone()).expect("a machine");
    let mut attached = Attached::new(policy, &scene.machine, scene.event.attached);
    if let Some(audit) = scene.audit {
        attached.set_audit(audit);
    }
    let run = simulation.ask(&mut attached, &scene.event).unwrap_or_else(|refusal| panic!("{refusal}"));
    let did = (run.answer, run.freed, run.calls.clone());
    let machine = format!("{:?}", simulation.machine());
    let mut records = attached.records();
    // A traced build asks everything of everybody, and so meets more walks that cannot start.
    records.iter_mut().for_each(|record| record.failed_walks = 0);
    (Simulated { did, machine, records: format!("{records:?}") }, run)
}

/// All that can be seen of a decision.
#[derive(Debug, PartialEq)]
struct Simulated {
    did: (i32, bool, Vec<Call>),
    machine: String,
    records: String,
}

/// Of the ordinary run.
const SEED: u64 = 1;
const PAIRS: u64 = 300;
/// Machines for each policy.
const MACHINES: u64 = 3;

#[test]
fn marks_change_no_decision() {
    let kernel = kernel();
    let mut runner = generate::runner(number("OOMC_SEED", SEED));
    let (mut compared, mut passed) = (0, HashSet::new());
    let pairs = number("OOMC_FUZZ", PAIRS);
    while compared < pairs {
        let text = generate::policy().new_tree(&mut runner).expect("a policy").current();
        // Some are too large for the kernel.
        let checked = checked(&text, &kernel);
        let Some(plain) = checked.compile().object else { continue };
        let traced = checked.trace();
        let object = traced.object.unwrap_or_else(|| panic!("{:?}\n{text}", traced.diagnostics));
        let (plain, with_marks) = (policy(&kernel, &plain), policy(&kernel, &object));
        for _ in 0..MACHINES {
            let scene = generate::scene().new_tree(&mut runner).expect("a machine").current();
            let (wanted, run) = decided(&kernel, &plain, &scene);
            assert!(run.marks.is_empty(), "an ordinary build has marks\n{text}");
            let (found, run) = decided(&kernel, &with_marks, &scene);
            assert_eq!(found, wanted, "{text}\n{scene}");
            passed.extend(run.marks.iter().map(|mark| {
                (std::mem::discriminant(&traced.points[mark.point as usize].kind), mark.object.is_some())
            }));
            let unique: HashSet<_> = run.marks.iter().collect();
            assert_eq!(unique.len(), run.marks.len(), "a mark is told twice\n{text}");
            compared += 1;
        }
    }
    // Of all kinds: rules, branches, alternatives, actions, guards with and without a candidate, protection.
    assert_eq!(passed.len(), 7, "{passed:?}");
}

/// The policies of the repository that are compiled as they stand.
fn policies() -> Vec<(String, String)> {
    let folders = ["tests/cases/run", "stdlib/policies", "examples"].map(|folder| root().join(folder));
    let paths = folders.iter().flat_map(|folder| files(folder));
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "oom"));
    paths.map(|path| (path.display().to_string(), read(&path))).collect()
}

#[test]
fn every_policy_can_be_traced() {
    let kernel = kernel();
    let (mut compiled, mut nameless) = (0, Vec::new());
    for (path, text) in policies() {
        let checked = checked(&text, &kernel);
        if checked.compile().object.is_none() {
            continue;
        }
        let traced = checked.trace();
        let object = traced.object.unwrap_or_else(|| panic!("{path}: {:?}", traced.diagnostics));
        policy(&kernel, &object);
        compiled += 1;
        if !traced.names_objects {
            nameless.push(path);
        }
    }
    eprintln!("{compiled} policies can be traced; without objects: {nameless:?}");
    assert!(compiled > 190, "only {compiled} policies were compiled");
}

/// From 32 kills on a policy is several functions; what they walk has its objects there, too.
#[test]
fn a_large_policy_is_traced_in_its_functions() {
    let text: String =
        (0..40).map(|at| format!("kill largest in subtree where rss > {}MiB now\n", 140 - at)).collect();
    let told = trace(&text, &machine());
    assert!(told.contains(&"rule 39: kill largest in subtree where rss > 101MiB now".to_owned()));
    for at in 0..40 {
        assert!(told.contains(&format!("no: rss > {}MiB (large)", 140 - at)), "{at}");
    }
    assert!(!told.iter().any(|line| line.starts_with("yes")), "{told:?}");
}
