//! Random policies against the compiler: what is valid compiles, and every construct of the language occurs.

use std::collections::HashMap;

use oomc_compiler::diag::{Diagnostic, Severity, codes};
use oomc_compiler::{KernelView, Source};
use oomc_tests::{constructs, generate};

/// Seed of the ordinary run.
const SEED: u64 = 1;

/// Policies that the front end sees; and of these, policies that become objects.
const CHECKED: usize = 3_000;
const COMPILED: usize = 250;

/// In how many of [`CHECKED`] policies each construct occurs at least.
const LEAST: usize = 5;

/// What is wrong, without the limits of the kernel: a large policy may exceed one, and is told so.
fn errors(diagnostics: &[Diagnostic]) -> Vec<String> {
    diagnostics
        .iter()
        .filter(|found| found.severity == Severity::Error && found.code != codes::PROGRAM_TOO_LARGE)
        .map(|found| format!("{} {found}", found.code))
        .collect()
}

/// Fails with the first few of what is wrong.
fn none(wrong: &[String]) {
    let first: Vec<&str> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} policies:\n{}", wrong.len(), first.join("\n"));
}

#[test]
fn valid_policies_compile() {
    let view = KernelView::embedded();
    let (mut wrong, mut objects) = (Vec::new(), 0);
    let watching = generate::watching(SEED + 1, COMPILED / 10);
    for text in generate::policies(SEED, COMPILED).into_iter().chain(watching) {
        let source = Source::new("random.oom", text.as_str());
        let Ok(compiled) = std::panic::catch_unwind(|| oomc_compiler::compile(&source, &view)) else {
            wrong.push(format!("the compiler panics at\n{text}"));
            continue;
        };
        let errors = errors(&compiled.diagnostics);
        if !errors.is_empty() {
            wrong.push(format!("{}\n{text}", errors.join("\n")));
        }
        objects += usize::from(compiled.object.is_some());
    }
    none(&wrong);
    assert!(objects * 20 >= COMPILED * 19, "only {objects} of {COMPILED} are within the kernel's limits");
}

/// The front end sees many more policies than can be compiled in the time: each is accepted, and every construct is
/// among them.
#[test]
fn every_construct_occurs_and_is_accepted() {
    let view = KernelView::embedded();
    let mut wrong = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    let watching = generate::watching(SEED + 1, CHECKED / 10);
    for text in generate::policies(SEED, CHECKED).into_iter().chain(watching) {
        let checked = oomc_compiler::check(&Source::new("random.oom", text.as_str()), &view);
        let errors = errors(&checked.diagnostics());
        if !errors.is_empty() {
            wrong.push(format!("{}\n{text}", errors.join("\n")));
        }
        let mut found = constructs::words(&text);
        if let Some(policy) = checked.policy() {
            found.extend(constructs::of(policy));
        }
        found.sort();
        found.dedup();
        for construct in found {
            *seen.entry(construct).or_default() += 1;
        }
    }
    none(&wrong);
    let rare: Vec<String> = constructs::all()
        .into_iter()
        .map(|construct| (seen.get(&construct).copied().unwrap_or(0), construct))
        .filter(|(times, _)| *times < LEAST)
        .map(|(times, construct)| format!("{construct}: {times} times"))
        .collect();
    assert!(rare.is_empty(), "constructs that hardly occur:\n{}", rare.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_policies() {
    assert_eq!(generate::policies(7, 3), generate::policies(7, 3));
    assert_ne!(generate::policies(7, 3), generate::policies(8, 3));
}
