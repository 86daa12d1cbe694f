//! `oomc check FILE…`

use std::path::Path;

use oomc_compiler::diag::Diagnostic;
use oomc_compiler::{KernelView, Source};
use serde_json::{Value, json};

use crate::args::Check;
use crate::cmd::{count, exit_of, source, tell, view};
use crate::exit::{Exit, Failure, Outcome};
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
        let (found, diagnostics) = match source(path) {
            // The whole compiler, not the front end alone: a policy that does not fit is found here too.
            Ok(Ok(source)) => {
                let diagnostics = match tests(path, &source, &view)? {
                    Some(diagnostics) => diagnostics,
                    None => oomc_compiler::compile(&source, &view).diagnostics,
                };
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

/// What is said of a file of tests, beside its policy; none if the file is something else.
fn tests(path: &Path, beside: &Source, view: &KernelView) -> Result<Option<Vec<Diagnostic>>, Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        return Ok(None);
    }
    let policy = path.with_extension("oom");
    match source(&policy)? {
        Ok(policy) => Ok(Some(oomc_compiler::tests(&policy, Some(beside), view).more_diagnostics)),
        Err((policy, _)) => Err(Failure::refused(format!("{} is no text", policy.name))),
    }
}
