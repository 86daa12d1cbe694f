//! `test: plan` prints the plan. With `pass: NAME` it prints the plan before that pass, as the passes in front of it
//! leave it, and after it. For a file of a plan's text it prints what was read, or why it cannot be read.
//!
//! Every plan that is printed is read back, and must be equal.

use oomc_compiler::hir::Policy;
use oomc_compiler::plan::passes::{self, Pass};
use oomc_compiler::plan::{self, Plan};
use oomc_compiler::{Parsed, Source};

use super::{Subtest, source, view};
use crate::case::{Case, SelfCheck};

pub(crate) const PLAN: Subtest = Subtest { name: "plan", run: |case| run(case).map(Some) };

fn run(case: &Case) -> Result<String, String> {
    if case.path.extension().is_some_and(|end| end == "plan") {
        return written(case);
    }
    let parsed = Parsed::new(source(case));
    let view = view(case)?;
    let checked = parsed.check(&view);
    let policy = checked.policy().ok_or("the policy has an error")?;
    match case.get("pass") {
        None => text(&planned(policy)),
        Some(name) => around(policy, pass(name)?),
    }
}

/// A plan as somebody wrote it.
fn written(case: &Case) -> Result<String, String> {
    if case.get("pass").is_some() {
        return Err("a pass asks the policy, which a file of a plan does not have".to_owned());
    }
    match plan::read::read(&case.input) {
        Ok(plan) => text(&plan),
        Err(error) => Ok(format!("{error}\n")),
    }
}

fn pass(name: &str) -> Result<&'static Pass, String> {
    let names = || passes::PASSES.iter().map(|pass| pass.name).collect::<Vec<_>>().join(", ");
    let pass = passes::PASSES.iter().find(|pass| pass.name == name);
    pass.ok_or_else(|| format!("no pass has the name `{name}`; one of {}", names()))
}

fn around(policy: &Policy, pass: &Pass) -> Result<String, String> {
    let mut plan = plan::build(policy);
    for earlier in passes::PASSES.iter().take_while(|earlier| earlier.name != pass.name) {
        (earlier.run)(policy, &mut plan);
    }
    let before = text(&plan)?;
    (pass.run)(policy, &mut plan);
    Ok(format!("; before {name}\n{before}; after {name}\n{after}", name = pass.name, after = text(&plan)?))
}

fn planned(policy: &Policy) -> Plan {
    let mut plan = plan::build(policy);
    passes::run_all(policy, &mut plan);
    plan
}

/// A plan's text, which says all of it.
fn text(plan: &Plan) -> Result<String, String> {
    let text = plan::print::print(plan);
    match plan::read::read(&text) {
        Ok(again) if again == *plan => Ok(text),
        Ok(again) => Err(format!("printed and read again, it is another:\n{text}\n{again:?}\n{plan:?}")),
        Err(error) => Err(format!("printed, it cannot be read, {error}:\n{text}")),
    }
}

/// The runner has no harness of its own, so it runs these as trials.
pub(crate) fn self_checks() -> Vec<SelfCheck> {
    vec![("plans of all ready policies and examples read back", || {
        ["stdlib", "examples"].into_iter().flat_map(policies).try_for_each(|path| {
            let named = |error: String| format!("{}: {error}", oomc_tests::short(&path));
            let text_of_file = std::fs::read_to_string(&path).map_err(|error| named(error.to_string()))?;
            let parsed = Parsed::new(Source::new(path.display().to_string(), text_of_file));
            let view = oomc_compiler::KernelView::embedded();
            let checked = parsed.check(&view);
            let policy = checked.policy().ok_or_else(|| named("it has an error".to_owned()))?;
            text(&plan::build(policy)).and_then(|_| text(&planned(policy))).map(drop).map_err(named)
        })
    })]
}

/// All policies below a folder of the repository.
fn policies(folder: &str) -> impl Iterator<Item = std::path::PathBuf> {
    let files = oomc_tests::files(&oomc_tests::root().join(folder)).into_iter();
    files.filter(|path| path.extension().is_some_and(|end| end == "oom"))
}
