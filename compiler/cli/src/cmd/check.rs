//! `oomc check FILE…`

use std::path::Path;

use oomc_compiler::diag::{Diagnostic, codes};
use oomc_compiler::hir::complexity;
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
    let (mut costs, mut never_told): (Vec<Value>, bool) = (Vec::new(), false);
    for path in &args.files {
        let mut cost = None;
        // A file that cannot be read does not keep the others from being checked.
        let (found, diagnostics) = match policy::source(path) {
            // The whole compiler, not the front end alone: a policy that does not fit is found here too.
            Ok(Ok(source)) => {
                let (mut diagnostics, found_cost) = check(path, &source, &view)?;
                // It is the same sentence for each policy.
                diagnostics.retain(|one| !(never_told && one.code == codes::NEVER_IS_OURS));
                never_told |= diagnostics.iter().any(|one| one.code == codes::NEVER_IS_OURS);
                cost = found_cost;
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
        if let Some(cost) = cost {
            report.line(format_args!("    cost of a decision: {cost}"));
            costs.push(json!({ "file": path.display().to_string(), "cost": cost }));
        }
        exit = exit.max(found);
    }
    report.result("check", exit, json!({ "diagnostics": all, "unreadable": unreadable, "costs": costs }));
    Ok(exit)
}

/// What is said of a file: of a policy with how its work grows, or of tests, which are read with the policy that they
/// belong to.
pub(crate) fn check(
    path: &Path,
    source: &Source,
    view: &KernelView,
) -> Result<(Vec<Diagnostic>, Option<String>), Failure> {
    if path.extension().is_none_or(|extension| extension != "oomt") {
        let checked = Parsed::new(source.clone()).check(view);
        let cost = checked.policy().map(|policy| complexity::class(policy).text());
        return Ok((checked.compile().diagnostics, cost));
    }
    let policy = match policy::source(&path.with_extension("oom"))? {
        Ok(policy) => policy,
        Err((policy, _)) => return Err(Failure::refused(format!("{} is no text", policy.name))),
    };
    let checked = Parsed::new(policy).with_tests(source.clone()).check(view);
    Ok((checked.beside().map_or_else(Vec::new, |beside| beside.diagnostics.clone()), None))
}
