//! `oomc convert FILE`: what another OOM killer is told, as a policy with tests.
//!
//! The meaning is the library's (`oomc-convert`); here files are read and written, and what came out is checked: a policy
//! that does not hold is a mistake of oomc, and nothing is written.

use std::path::{Path, PathBuf};

use oomc_compiler::diag::Severity;
use oomc_compiler::format::format;
use oomc_compiler::{KernelView, Parsed, Source};
use oomc_convert::{Format, Lost};
use serde_json::{Value, json};

use crate::args::Convert;
use crate::cmd::write;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy::beside;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Convert) -> Outcome {
    let name = files::name(&args.file);
    let bytes = files::read(&args.file)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Errors, format!("{name} is no UTF-8 text")))?;
    let format = match args.from {
        Some(from) => from,
        None => Format::guess(&name, &text).ok_or_else(|| unknown(&name))?,
    };
    let converted = oomc_convert::convert(format, &name, &text)
        .map_err(|refused| Failure::new(Exit::Errors, format!("{name}: {}", refused.0)))?;
    let policy = self::format(&converted.policy).text;
    let tests = self::format(&converted.tests).text;
    holds(&policy, &tests)?;
    for lost in &converted.lost {
        report.warn(format_args!("{}", told(&name, lost)));
    }
    let mut written = Vec::new();
    match &args.output {
        Some(output) => put(report, output, &policy, &mut written)?,
        None if !report.json() => report.text(&policy),
        None => {}
    }
    if let Some(path) = tests_go_to(args) {
        put(report, &path, &tests, &mut written)?;
    }
    let lost: Vec<Value> =
        converted.lost.iter().map(|lost| json!({ "line": lost.line, "text": lost.text })).collect();
    report.result(
        "convert",
        Exit::Ok,
        json!({ "from": format.word(), "policy": policy, "tests": tests, "lost": lost, "files": written }),
    );
    Ok(Exit::Ok)
}

/// Where tests are written: where it was said, or beside the policy.
fn tests_go_to(args: &Convert) -> Option<PathBuf> {
    let besides = |output: &PathBuf| (!files::is_dash(output)).then(|| beside(output));
    args.tests.clone().or_else(|| args.output.as_ref().and_then(besides))
}

fn put(report: &Report, path: &Path, text: &str, written: &mut Vec<String>) -> Result<(), Failure> {
    if files::is_dash(path) {
        report.text(text);
        return Ok(());
    }
    write(path, text.as_bytes())?;
    report.remark(format_args!("wrote {}", path.display()));
    written.push(path.display().to_string());
    Ok(())
}

fn told(name: &str, lost: &Lost) -> String {
    match lost.line {
        Some(line) => format!("{name}:{line}: {}", lost.text),
        None => format!("{name}: {}", lost.text),
    }
}

fn unknown(name: &str) -> Failure {
    let all: Vec<&str> = Format::ALL.iter().map(|format| format.word()).collect();
    Failure::new(Exit::Usage, format!("{name} is of no killer that is known"))
        .help(format!("say whose configuration it is, with `--from`: {}", all.join(", ")))
}

/// Whether the policy and its tests are without errors.
fn holds(policy: &str, tests: &str) -> Result<(), Failure> {
    let view = KernelView::embedded();
    let checked = Parsed::new(Source::new("converted.oom", policy))
        .with_tests(Source::new("converted.oomt", tests))
        .check(&view);
    let compiled = checked.compile();
    let beside = checked.beside().map(|beside| beside.diagnostics.as_slice()).unwrap_or_default();
    let error = compiled.diagnostics.iter().chain(beside).find(|one| one.severity == Severity::Error);
    error.map_or(Ok(()), |error| {
        let text = format!("what was made of it does not hold: {}; this is a bug of oomc", error.message);
        Err(Failure::refused(text).help("please report it, with the file"))
    })
}
