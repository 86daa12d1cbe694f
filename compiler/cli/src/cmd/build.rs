//! `oomc build FILE -o policy.o`

use std::fs;
use std::io;
use std::path::Path;

use oomc_compiler::{KernelView, Source, Stage};
use serde_json::json;

use crate::args::Build;
use crate::cmd::{exit_of, source, tell, view};
use crate::exit::{Exit, Failure, Outcome};
use crate::report::{Report, object_path, reason};

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

/// Writes to a file beside the wanted one and renames it, so that nobody reads half an object. What is not
/// an ordinary file (`/dev/stdout`) is written directly.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot write {}: {}", path.display(), reason(&error)));
    if fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        return match fs::write(path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(failed),
        };
    }
    let Some(name) = path.file_name() else {
        return Err(Failure::refused(format!("cannot write {}: it is no file name", path.display())));
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(beside);
    let result = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
    if result.is_err() {
        // Only if it was made at all.
        let _ = fs::remove_file(&beside);
    }
    result.map_err(failed)
}
