//! `oomc check FILE…`

use std::path::Path;

use oomc_compiler::diag::Diagnostic;
use oomc_compiler::{KernelView, Parsed, Source};
use serde_json::{Value, json};

use crate::args::Check;
use crate::cmd::{count, exit_of, tell, view};
use crate::exit::{Exit, Failure, Outcome};
use crate::policy;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Check) -> Outcome {
    if args.verify {
        return super::verify::run(report, &args.files);
    }
    let view = view(&args.kernel)?;
    let mut exit = Exit::Ok;
    let mut all: Vec<Value> = Vec::new();
    let mut unreadable: Vec<String> = Vec::new();
    for path in &args.files {
        // A file that cannot be read does not keep the others from being checked.
        let (found, diagnostics) = match policy::source(path) {
            // The whole compiler, not the front end alone: a policy that does not fit is found here too.
            Ok(Ok(source)) => {
                let diagnostics = check(path, &source, &view)?;
                all.extend(tell(report, &source, &diagnostics));
                (exit_of(&diagnostics), diagnostics)
            }
            Ok(Err((source, diagnostic))) => {
                let diagnostics = vec![diagnostic];
                all.extend(tell(report, &source, &diagnostics));
                (Exit::Errors, diagnostics)
            }
            Err(failure) => {
                if !report.json() {
                    report.failure(&failure);
                }
                unreadable.push(failure.message);
                exit = exit.max(failure.exit);
                continue;
            }
        };
        let verdict = if diagnostics.is_empty() { "ok".to_owned() } else { count(&diagnostics) };
        report.line(format_args!("{}: {verdict}", path.display()));
        exit = exit.max(found);
    }
    report.result("check", exit, json!({ "diagnostics": all, "unreadable": unreadable }));
    Ok(exit)
}

/// What is said of a file: of a policy, or of tests, which are read with the policy that they belong to.
pub(crate) fn check(path: &Path, source: &Source, view: &KernelView) -> Result<Vec<Diagnostic>, Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        return Ok(oomc_compiler::compile(source, view).diagnostics);
    }
    let policy = match policy::source(&path.with_extension("oom"))? {
        Ok(policy) => policy,
        Err((policy, _)) => return Err(Failure::refused(format!("{} is no text", policy.name))),
    };
    let checked = Parsed::new(policy).with_tests(source.clone()).check(view);
    Ok(checked.beside().map_or_else(Vec::new, |beside| beside.diagnostics.clone()))
}
