//! `oomc check FILE…`

use serde_json::{Value, json};

use crate::args::Check;
use crate::cmd::{count, exit_of, source, tell, view};
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Check) -> Outcome {
    let view = view(&args.kernel)?;
    let mut exit = Exit::Ok;
    let mut files: Vec<Value> = Vec::new();
    for path in &args.files {
        // A file that cannot be read does not keep the others from being checked.
        let (found, diagnostics) = match source(path) {
            Ok(Ok(source)) => {
                let diagnostics = oomc_compiler::check(&source, &view).diagnostics;
                files.push(tell(report, Ok(&source), &diagnostics));
                (exit_of(&diagnostics), diagnostics)
            }
            Ok(Err(diagnostic)) => {
                let diagnostics = vec![diagnostic];
                files.push(tell(report, Err(path), &diagnostics));
                (Exit::Errors, diagnostics)
            }
            Err(failure) => {
                if report.json() {
                    files.push(json!({ "file": path.display().to_string(), "error": failure.message }));
                } else {
                    report.failure(&failure);
                }
                exit = exit.max(failure.exit);
                continue;
            }
        };
        let verdict = if diagnostics.is_empty() { "ok".to_owned() } else { count(&diagnostics) };
        report.line(format_args!("{}: {verdict}", path.display()));
        exit = exit.max(found);
    }
    report.result("check", exit, json!({ "files": files }));
    Ok(exit)
}
