//! The policies that come with oomc: each has tests, all pass, and at each of their events the oracle decides as the
//! bytes do, in whichever order the kernel comes to the objects of the machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oomc_abi::consts::PAGE_SIZES;
use oomc_abi::request::TRIGGERS;
use oomc_abi::resolve::KernelView;
use oomc_abi::scenario::{StepKind, Test};
use oomc_compiler::{Parsed, Source};
use oomc_oracle::Asking;
use oomc_sim::Kernel;
use oomc_sim::scenario::{Decision, Order, play};
use oomc_tests::agree::{Both, agree_asked, agree_with, both};
use oomc_tests::generate::Scene;
use oomc_tests::{files, read, root, short};

/// Orders in which each test is played.
const ORDERS: [Order; 5] =
    [Order::Named, Order::Shuffled(1), Order::Shuffled(2), Order::Shuffled(3), Order::Shuffled(4)];

/// Policies in the folders, at least.
const LEAST: usize = 23;

/// Tests of one policy, at least.
const LEAST_TESTS: usize = 3;

fn policies() -> Vec<PathBuf> {
    let folders = ["stdlib/policies", "examples"].map(|folder| files(&root().join(folder)));
    folders.concat().into_iter().filter(|path| path.extension().is_some_and(|end| end == "oom")).collect()
}

/// The tests of a policy: its own, and those of the file beside it.
fn tests(path: &Path, kernel: &Kernel) -> Result<Vec<Test>, String> {
    let beside = path.with_extension("oomt");
    let mut parsed = Parsed::new(Source::new(short(path), read(path)));
    if beside.exists() {
        parsed = parsed.with_tests(Source::new(short(&beside), read(&beside)));
    }
    let checked = parsed.check(kernel.view());
    let beside = checked.beside().map_or(&[][..], |beside| &beside.diagnostics);
    if let Some(wrong) = checked.diagnostics().iter().chain(beside).find(|one| {
        // That `never` binds this policy only is so; that nothing bounds the headline's rise, too.
        !["W0602", "W0603"].contains(&one.code.id())
    }) {
        return Err(format!("{}: {} {wrong}", short(path), wrong.code));
    }
    let (own, more) = checked.tests();
    Ok(own.iter().chain(more).cloned().collect())
}

/// What the params are at each event, by its line.
fn params(test: &Test) -> BTreeMap<u32, Vec<(String, i64)>> {
    let (mut params, mut at_events) = (BTreeMap::new(), BTreeMap::new());
    for step in &test.steps {
        match &step.kind {
            StepKind::Param(name, value) => {
                params.insert(name.clone(), *value);
            }
            StepKind::Event { .. } | StepKind::Seen { .. } => {
                at_events.insert(step.line, params.clone().into_iter().collect());
            }
            _ => {}
        }
    }
    at_events
}

/// What can be told of a decision without the order of the objects.
fn told(decision: &Decision) -> String {
    let mut killed: Vec<String> = decision.killed.iter().map(|at| decision.name_of(*at)).collect();
    killed.sort();
    let record = decision.record.as_ref();
    let candidates = record.map_or(&[][..], |record| &record.candidates);
    let candidates: Vec<String> = candidates.iter().map(|one| format!("{} {:?}", one.id, one.keys)).collect();
    let how = record.map(|record| (record.action, record.rule, record.expected, record.ends.clone()));
    format!("answer {}, killed {killed:?}, candidates {candidates:?}, {how:?}", decision.answer)
}

/// What the oracle is told of who asks.
fn oracles(asking: &oomc_sim::scenario::Asking) -> Asking {
    let question = &asking.question;
    let trigger = TRIGGERS.get(usize::from(question.trigger.code())).copied().unwrap_or("limit");
    Asking {
        trigger,
        block: question.block as usize,
        kills_left: question.kills_left,
        memory_expected: question.memory_expected,
        samples: asking.samples.iter().map(|(key, value)| (*key, *value)).collect(),
    }
}

/// Compares each decision with the oracle's; gives how many there were.
fn oracle(both: &Both, kernel: &Kernel, test: &Test, decisions: &[Decision]) -> Result<usize, String> {
    let mut compared = 0;
    let params = params(test);
    for decision in decisions.iter().filter(|decision| decision.asked) {
        let scene = Scene { machine: decision.before.clone(), event: decision.event.clone(), audit: None };
        let params = params.get(&decision.line).map_or(&[][..], Vec::as_slice);
        let theirs = match &decision.asking {
            Some(asking) => {
                let theirs = agree_asked(both, kernel, &scene, &oracles(asking))?;
                theirs.ok_or("the policy has no program for kernels without the hook")?
            }
            None => agree_with(both, kernel, &scene, params)?,
        };
        let action = decision.record.as_ref().map(|record| record.action);
        if i64::from(decision.answer) != theirs.answer || action != Some(u64::from(theirs.action.code())) {
            return Err(format!(
                "line {}: played {action:?}, asked alone {:?}",
                decision.line, theirs.action
            ));
        }
        compared += 1;
    }
    Ok(compared)
}

#[test]
fn all_tests_pass_and_the_oracle_decides_alike_in_any_order() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the reference kernel can be modelled");
    let (mut problems, mut compared) = (Vec::new(), 0);
    let policies = policies();
    assert!(policies.len() >= LEAST, "only {} policies: the search is broken", policies.len());
    for path in policies {
        let both = both(&read(&path), &kernel).unwrap_or_else(|| panic!("{} is too large", short(&path)));
        let tests = tests(&path, &kernel).unwrap_or_else(|wrong| panic!("{wrong}"));
        if tests.len() < LEAST_TESTS {
            problems.push(format!("{}: has {} tests", short(&path), tests.len()));
        }
        for test in &tests {
            let mut first: Option<Vec<String>> = None;
            for order in ORDERS {
                let mut problem = |what: String| {
                    problems.push(format!("{}: {:?}, {order:?}: {what}", short(&path), test.name));
                };
                let played = match play(&kernel, &both.policy, test, order) {
                    Ok(played) => played,
                    Err(mistake) => {
                        problem(mistake.to_string());
                        continue;
                    }
                };
                for failure in &played.failures {
                    let (line, expected, found) = (failure.line, &failure.expected, &failure.found);
                    problem(format!("line {line}: expected {expected}, found {found}"));
                }
                match oracle(&both, &kernel, test, &played.decisions) {
                    Ok(count) => compared += count,
                    Err(what) => problem(what),
                }
                let all: Vec<String> = played.decisions.iter().map(told).collect();
                match &first {
                    Some(first) if *first != all => problem(format!("decides {all:#?}, by name {first:#?}")),
                    Some(_) => {}
                    None => first = Some(all),
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(compared >= 900, "only {compared} decisions were compared");
}

/// The same on machines with larger pages: what the policies and their tests say in bytes holds there, too.
#[test]
fn all_tests_pass_with_larger_pages() {
    let mut problems = Vec::new();
    for bytes in PAGE_SIZES.into_iter().skip(1) {
        let kernel = Kernel::new(KernelView::embedded().with_page_size(bytes)).expect("it can be modelled");
        for path in policies() {
            let both = both(&read(&path), &kernel).unwrap_or_else(|| panic!("{} is too large", short(&path)));
            for test in &tests(&path, &kernel).unwrap_or_else(|wrong| panic!("{wrong}")) {
                let mut problem = |what: String| {
                    problems.push(format!("{}: {:?}, {bytes}: {what}", short(&path), test.name))
                };
                match play(&kernel, &both.policy, test, Order::Named) {
                    Ok(played) => {
                        for failure in &played.failures {
                            problem(format!("expected {}, found {}", failure.expected, failure.found));
                        }
                        oracle(&both, &kernel, test, &played.decisions).map_or_else(&mut problem, drop);
                    }
                    Err(mistake) => problem(mistake.to_string()),
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

/// Each policy of the library acts on a kernel, too.
#[test]
fn each_has_a_case_in_the_machine() {
    let cases = oomc_tests::replay::cases();
    let loaded = |text: &str| cases.iter().any(|case| case.own.as_deref() == Some(text));
    let without = oomc_stdlib::FILES.iter().filter(|policy| !loaded(policy.text)).map(|policy| policy.name);
    assert_eq!(without.collect::<Vec<_>>(), [""; 0]);
}
