//! Every construct has a case at every stage that knows it: a new row without one fails here.
//!
//! | stage | what must stand in a case |
//! |---|---|
//! | `parse`, `fmt` | each word and each sign of the language |
//! | `hir` | each construct |
//! | `ir` | each construct, and each way in which a field is read |
//! | `vcode`, `regalloc`, `asm` together | each kind of instruction of the IR, of which all code is made |
//! | `run` | each word, sign, construct and field |
//! | `run`, and compared | the same, but for what `NOT_COMPARED` names |
//!
//! A field has its case in `run` and nowhere else: before, fields that are read in one way differ in nothing but the
//! name, and `tests/abi.rs` compares that with the kernel. Code does not know constructs any more, so its cases are
//! about instructions. `check` is about diagnostics, `opt` about passes, `object` about sections, symbols and types.

use std::collections::HashSet;

use oomc_compiler::hir::Policy;
use oomc_compiler::ir::{self, Module};
use oomc_compiler::{KernelView, Source, lower, passes, plan};
use oomc_sim::Kernel;
use oomc_tests::replay::compare::{IN_PART, left_out};
use oomc_tests::replay::{cases as run_cases, replay};
use oomc_tests::{constructs, files, read, root};

/// What happens to no policy in a machine: parts of `test` blocks, which say what a model does.
const IN_TESTS: [&str; 8] =
    ["`test`", "`given`", "`on`", "`system`", "`oom`", "`expect`", "`nobody`", "`candidates`"];

/// What only whoever watches asks about: the machine of these cases has the hook. `tests/asked.rs` compares it with the
/// oracle.
const IN_BLOCKS: [&str; 14] = [
    "`above`",
    "`asked`",
    "`budget`",
    "`cooldown`",
    "`for`",
    "`grace`",
    "`growth`",
    "`kills`",
    "`rate`",
    "`reclaim`",
    "action reclaim",
    "grace",
    "sample",
    "`pressure`",
];

/// The texts of the cases that a stage runs: policies, or with `end` `ir` files of IR.
fn cases(stage: &str, end: &str) -> Vec<String> {
    let asks = |case: &str| {
        let tests = case.lines().find_map(|line| line.strip_prefix("#! test:")).unwrap_or_default();
        tests.split(',').any(|test| test.trim() == stage)
    };
    let paths = files(&root().join("tests/cases")).into_iter();
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == end));
    paths.map(|path| read(&path)).filter(|case| asks(case)).collect()
}

/// What a policy is made of, if it can be compiled.
fn checked(text: &str, view: &KernelView) -> Option<Policy> {
    oomc_compiler::check(&Source::new("case.oom", text), view).into_policy()
}

fn words(text: &str) -> Vec<String> {
    let without: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or("")).collect();
    constructs::words(&without.join("\n"))
}

/// Fails with what is wanted and not seen.
fn demand(stage: &str, wanted: Vec<String>, seen: &HashSet<String>) {
    let missing: Vec<String> = wanted.into_iter().filter(|name| !seen.contains(name)).collect();
    assert!(missing.is_empty(), "no case of `{stage}` in tests/cases for:\n{}", missing.join("\n"));
}

#[test]
fn every_construct_has_a_case_in_the_machine() {
    let view = KernelView::embedded();
    let mut seen = HashSet::new();
    for case in cases("run", "oom") {
        // A case may have more policies than the file itself, each in one line.
        let others = case.lines().filter_map(|line| line.strip_prefix("#> policy ")?.split_once(':'));
        for text in others.map(|(_, policy)| policy).chain([case.as_str()]) {
            let Some(policy) = checked(text, &view) else { continue };
            seen.extend(constructs::of(&policy));
            seen.extend(words(text));
        }
    }
    let mut wanted = constructs::all();
    let elsewhere = |construct: &String| {
        IN_TESTS.contains(&construct.as_str()) || IN_BLOCKS.contains(&construct.as_str())
    };
    wanted.retain(|construct| !elsewhere(construct));
    demand("run", wanted, &seen);
}

/// What no case shows in kernel, simulator and oracle alike, and why.
const NOT_COMPARED: [(&str, &str); 1] =
    [("field process.swap", "which pages are swapped out, and when, only the kernel knows")];

/// Cases in which all of each decision is compared, at least.
const COMPARED: usize = 165;

#[test]
fn every_construct_is_compared_with_the_kernel() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled");
    let (mut seen, mut compared) = (HashSet::new(), 0);
    for case in run_cases().iter().filter(|case| left_out(&case.name).is_none()) {
        let Ok(played) = replay(&kernel, case) else { continue };
        compared += 1;
        for both in &played.policies {
            seen.extend(constructs::of(&both.checked));
            seen.extend(words(&both.text));
        }
    }
    assert!(compared >= COMPARED, "only {compared} cases are compared as a whole");
    let needless: Vec<&str> =
        NOT_COMPARED.iter().map(|(name, _)| *name).filter(|name| seen.contains(*name)).collect();
    assert!(needless.is_empty(), "these are compared: {needless:?}");
    let mut wanted = constructs::all();
    wanted.retain(|construct| {
        let is_left = NOT_COMPARED.iter().any(|(name, _)| name == construct);
        let elsewhere = IN_TESTS.contains(&construct.as_str()) || IN_BLOCKS.contains(&construct.as_str());
        !elsewhere && !is_left
    });
    demand("run that is compared", wanted, &seen);
}

/// Each case that is compared in part can be played.
#[test]
fn cases_that_are_compared_in_part_are_there() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled");
    let cases = run_cases();
    for part in IN_PART {
        let case = cases.iter().find(|case| case.name == part.case);
        let case = case.unwrap_or_else(|| panic!("there is no case {}", part.case));
        assert!(replay(&kernel, case).is_ok(), "{} cannot be played", part.case);
    }
}

#[test]
fn every_word_is_parsed() {
    let seen = cases("parse", "oom").iter().flat_map(|case| words(case)).collect();
    demand("parse", constructs::all_words(), &seen);
}

#[test]
fn every_word_is_laid_out() {
    let seen = cases("fmt", "oom").iter().flat_map(|case| words(case)).collect();
    demand("fmt", constructs::all_words(), &seen);
}

#[test]
fn every_construct_is_checked() {
    let view = KernelView::embedded();
    let policies = cases("hir", "oom").into_iter().filter_map(|case| checked(&case, &view));
    let seen = policies.flat_map(|policy| constructs::of(&policy)).collect();
    demand("hir", constructs::all_constructs(), &seen);
}

#[test]
fn every_construct_is_lowered() {
    let view = KernelView::embedded();
    let mut seen = HashSet::new();
    for policy in cases("ir", "oom").into_iter().filter_map(|case| checked(&case, &view)) {
        seen.extend(constructs::of(&policy));
        seen.extend(constructs::ways(&policy));
    }
    let mut wanted = constructs::all_constructs();
    wanted.extend(constructs::all_ways());
    demand("ir", wanted, &seen);
}

#[test]
fn every_instruction_becomes_code() {
    let view = KernelView::embedded();
    let stages = ["vcode", "regalloc", "asm"];
    let policies = stages.iter().flat_map(|stage| cases(stage, "oom"));
    let lowered = policies.filter_map(|case| checked(&case, &view)).map(|policy| {
        let mut plan = plan::build(&policy);
        plan::passes::run_all(&policy, &mut plan);
        let mut module = lower::lower(&policy, &plan, &view).expect("code for the plan");
        passes::run_all(&mut module);
        module
    });
    let written = stages.iter().flat_map(|stage| cases(stage, "ir"));
    let modules: Vec<Module> = lowered.chain(written.filter_map(|case| ir::read::read(&case).ok())).collect();
    // Passes leave instructions behind that stand in no block.
    let functions = modules.iter().flat_map(|module| &module.functions);
    let insts = functions.flat_map(|func| {
        let blocks = func.layout.iter().flat_map(|block| &func.blocks[*block].insts);
        blocks.map(|inst| constructs::instruction(&func.insts[*inst]))
    });
    demand("vcode, regalloc or asm", constructs::all_instructions(), &insts.collect());
}
