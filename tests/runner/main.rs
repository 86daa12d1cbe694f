//! Finds the cases under `tests/cases`, runs each as a test of its own, and prints what `cargo test`
//! prints. `cargo test -p oomc-tests --test cases -- headline` runs those with this word in their name.
//!
//! Cases with `test: run` belong to the virtual machine and are not run here.

mod bless;
mod case;
mod subtest;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case::Case;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let checks = case::self_checks().into_iter().chain(subtest::self_checks());
    let mut trials: Vec<Trial> = checks
        .map(|(name, check)| Trial::test(format!("runner: {name}"), move || check().map_err(Failed::from)))
        .collect();
    let folder = oomc_tests::root().join("tests/cases");
    trials.extend(oomc_tests::files(&folder).into_iter().filter(|path| is_case(path, &folder)).map(|path| {
        let name = path.strip_prefix(&folder).unwrap_or(&path).with_extension("").display().to_string();
        Trial::test(name, move || run(&path).map_err(Failed::from))
    }));
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Every policy and every file of IR or of a plan, but those for the virtual machine, and the reports, which have a test
/// of their own.
fn is_case(path: &Path, folder: &Path) -> bool {
    let is_input = path.extension().is_some_and(|end| end == "oom" || end == "ir" || end == "plan");
    is_input && !["run", "stock", "reports"].iter().any(|other| path.starts_with(folder.join(other)))
}

fn run(path: &PathBuf) -> Result<(), String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", oomc_tests::short(path)))?;
    let mut case = Case::parse(&text).map_err(|error| format!("{}: {error}", oomc_tests::short(path)))?;
    case.path = path.clone();
    case.name = oomc_tests::short(path);
    run_case(&case).map_err(|error| format!("{}: {error}", case.name))
}

fn run_case(case: &Case) -> Result<(), String> {
    for (key, _) in &case.header {
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("unknown header `{key}`; one of {}", KEYS.join(", ")));
        }
    }
    if case.tests().is_empty() {
        return Err("no `#! test:` in the header".to_owned());
    }
    let mut outputs = Vec::new();
    let mut errors = Vec::new();
    for name in case.tests() {
        match subtest::run(name, case) {
            Ok(Some(text)) => outputs.push((name.to_owned(), text)),
            Ok(None) => {}
            Err(error) => errors.push(format!("{name}: {error}")),
        }
    }
    for expected in &case.expected {
        let orphan = match &expected.test {
            Some(test) => !outputs.iter().any(|(name, _)| name == test),
            None => outputs.is_empty(),
        };
        if orphan && errors.is_empty() && !bless::wanted() {
            errors.push(format!(
                "an expectation that no test printed: {}",
                expected.test.as_deref().unwrap_or("#=")
            ));
        }
    }
    if errors.is_empty() && bless::wanted() {
        bless::rewrite(case, &case.path, &outputs)?;
    } else if !bless::wanted() {
        for (name, text) in &outputs {
            if let Err(error) = bless::compare(case.expected_of(name), text) {
                errors.push(format!("{name}: {error}"));
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

/// Keys that a header may have.
const KEYS: &[&str] = &["test", "btf", "emit", "part", "pass"];
