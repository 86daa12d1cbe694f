//! `oomc build FILE -o policy.o`

use std::fs;
use std::path::Path;

use oomc_compiler::{KernelView, Source, Stage};
use serde_json::json;

use crate::args::Build;
use crate::cmd::{exit_of, source, tell, view, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::report::{Report, object_path};

pub(crate) fn run(report: &Report, args: &Build) -> Outcome {
    let view = view(&args.kernel)?;
    let source = match source(&args.file)? {
        Ok(source) => source,
        Err((source, diagnostic)) => {
            let all = tell(report, &source, &[diagnostic]);
            report.result("build", Exit::Errors, json!({ "diagnostics": all }));
            return Ok(Exit::Errors);
        }
    };
    match args.emit {
        Some(stage) => emit(report, &source, &view, stage, args.output.as_deref()),
        None => object(report, args, &source, &view),
    }
}

fn object(report: &Report, args: &Build, source: &Source, view: &KernelView) -> Outcome {
    let compiled = oomc_compiler::compile(source, view);
    let all = tell(report, source, &compiled.diagnostics);
    let Some(object) = compiled.object else {
        let exit = exit_of(&compiled.diagnostics);
        report.result("build", exit, json!({ "diagnostics": all }));
        return Ok(exit);
    };
    let output = args.output.clone().unwrap_or_else(|| object_path(&args.file));
    if same_file(&args.file, &output) {
        let message = format!("{} is the policy itself", output.display());
        return Err(Failure::new(Exit::Usage, message).help("give the object another name with `-o`"));
    }
    write(&output, &object)?;
    report.detail(format_args!("{}: {} bytes", output.display(), object.len()));
    let written = output.display().to_string();
    report.result("build", Exit::Ok, json!({ "diagnostics": all, "output": written, "bytes": object.len() }));
    Ok(Exit::Ok)
}

fn emit(report: &Report, source: &Source, view: &KernelView, stage: Stage, output: Option<&Path>) -> Outcome {
    let dumped = oomc_compiler::dump(source, view, stage);
    let all = tell(report, source, &dumped.diagnostics);
    let exit = exit_of(&dumped.diagnostics);
    match (&dumped.text, output) {
        _ if report.json() => {
            let result = json!({ "diagnostics": all, "stage": stage.name(), "text": dumped.text });
            report.result("build", exit, result);
        }
        (Some(text), Some(output)) => write(output, text.as_bytes())?,
        (Some(text), None) => report.text(&terminated(text)),
        (None, _) => {}
    }
    Ok(exit)
}

fn terminated(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
