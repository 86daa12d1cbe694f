//! `oomc check FILE…`

use std::path::Path;

use oomc_compiler::diag::Diagnostic;
use oomc_compiler::{KernelView, Parsed, Source};
use serde_json::{Value, json};

use crate::args::Check;
use crate::cmd::{count, exit_of, tell, view};
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy;
use crate::report::Report;

/// What is looked at in a folder.
const ENDINGS: [&str; 2] = ["oom", "oomt"];

/// What was found so far.
struct Found {
    exit: Exit,
    diagnostics: Vec<Value>,
    unreadable: Vec<String>,
}

pub(crate) fn run(report: &Report, args: &Check) -> Outcome {
    if args.verify {
        return super::verify::run(report, &files::expand(&args.files, &["oom"])?);
    }
    let view = view(&args.kernel)?;
    let mut found = Found { exit: Exit::Ok, diagnostics: Vec::new(), unreadable: Vec::new() };
    for named in &args.files {
        // A file that cannot be read does not keep the others from being checked.
        match files::expand(std::slice::from_ref(named), &ENDINGS) {
            Ok(paths) => paths.iter().for_each(|path| look(report, path, &view, &mut found)),
            Err(failure) => found.unreadable(report, failure),
        }
    }
    let Found { exit, diagnostics, unreadable } = found;
    report.result("check", exit, json!({ "diagnostics": diagnostics, "unreadable": unreadable }));
    Ok(exit)
}

impl Found {
    fn unreadable(&mut self, report: &Report, failure: Failure) {
        report.unreadable(&failure);
        self.exit = self.exit.max(failure.exit);
        self.unreadable.push(failure.message);
    }
}

/// Looks at one file.
fn look(report: &Report, path: &Path, view: &KernelView, found: &mut Found) {
    let (source, diagnostics) = match policy::source(path) {
        Ok(Ok(source)) => match check(path, &source, view) {
            Ok(diagnostics) => (source, diagnostics),
            Err(failure) => return found.unreadable(report, failure),
        },
        Ok(Err((source, diagnostic))) => (source, vec![diagnostic]),
        Err(failure) => return found.unreadable(report, failure),
    };
    found.diagnostics.extend(tell(report, &source, &diagnostics));
    found.exit = found.exit.max(exit_of(&diagnostics));
    let verdict = if diagnostics.is_empty() { "ok".to_owned() } else { count(&diagnostics) };
    report.remark(format_args!("{}: {verdict}", files::name(path)));
}

/// What is said of a file: of a policy, or of tests, which are read with the policy that they belong to.
fn check(path: &Path, source: &Source, view: &KernelView) -> Result<Vec<Diagnostic>, Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        // The whole compiler, not the front end alone: a policy that does not fit is found here too.
        return Ok(oomc_compiler::compile(source, view).diagnostics);
    }
    let policy = match policy::source(&path.with_extension("oom"))? {
        Ok(policy) => policy,
        Err((policy, _)) => return Err(Failure::refused(format!("{} is no text", policy.name))),
    };
    let checked = Parsed::new(policy).with_tests(source.clone()).check(view);
    Ok(checked.beside().map_or_else(Vec::new, |beside| beside.diagnostics.clone()))
}
