//! `oomc build FILE -o policy.o`

use std::fs;
use std::path::Path;

use oomc_compiler::{KernelView, Source, Stage};
use oomc_runtime::Object;
use serde_json::json;

use crate::args::Build;
use crate::cmd::{exit_of, tell, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, object_path, read};
use crate::policy::{self, Ready, Unready};
use crate::report::Report;
use crate::settings;

pub(crate) fn run(report: &Report, args: &Build) -> Outcome {
    let settings = match settings::of(report, &args.file, args.warnings.deny_warnings)? {
        Ok(settings) => settings,
        Err(unready) => return Ok(refused(report, &unready)),
    };
    let view = settings.view(&args.kernel)?.with_page_size(args.page_size.bytes());
    let bytes = read(&args.file)?;
    let made = match args.emit {
        Some(stage) => policy::text(report, &args.file, &bytes)
            .map(|source| emit(report, &source, &view, stage, args.output.as_deref())),
        None => policy::compile(report, &args.file, &bytes, &view, &settings.settings)
            .map(|ready| object(report, args, ready)),
    };
    made.unwrap_or_else(|unready| Ok(refused(report, &unready)))
}

fn refused(report: &Report, unready: &Unready) -> Exit {
    report.result("build", unready.exit, json!({ "diagnostics": unready.diagnostics }));
    unready.exit
}

fn object(report: &Report, args: &Build, ready: Ready<'_>) -> Outcome {
    let Ready { object, diagnostics: all, .. } = ready;
    let output = args.output.clone().unwrap_or_else(|| object_path(&args.file));
    if same_file(&args.file, &output) {
        let message = format!("{} is the policy itself", output.display());
        return Err(Failure::new(Exit::Usage, message).help("give the object another name with `-o`"));
    }
    if files::is_dash(&output) && files::stdout_is_terminal() {
        let failure = Failure::new(Exit::Usage, "an object is not for a terminal");
        return Err(failure.help("name a file with `-o`, or let another program read it: `| cat`"));
    }
    write(&output, &object)?;
    report.detail(format_args!("{}: {} bytes", output.display(), object.len()));
    let read = Object::parse(&object);
    for target in read.iter().flat_map(Object::targets) {
        report.detail(format_args!("runs on {}", target.row().kernels));
    }
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
        (Some(text), Some(output)) if !files::is_dash(output) => write(output, text.as_bytes())?,
        (Some(text), _) => report.text(&terminated(text)),
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
