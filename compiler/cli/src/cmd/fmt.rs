//! `oomc fmt FILE…`

use std::path::Path;

use oomc_compiler::expand::expand;
use oomc_compiler::format::{Formatted, format};
use serde_json::{Value, json};
use similar::TextDiff;

use crate::args::Fmt;
use crate::cmd::{tell, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy::source;
use crate::report::Report;

/// Lines that are shown around a change.
const AROUND: usize = 3;

pub(crate) fn run(report: &Report, args: &Fmt) -> Outcome {
    let mut exit = Exit::Ok;
    let mut all: Vec<Value> = Vec::new();
    let mut diagnostics: Vec<Value> = Vec::new();
    let mut unreadable: Vec<String> = Vec::new();
    for named in &args.files {
        // A file that cannot be read or written does not keep the others from being formatted.
        let paths = files::expand(std::slice::from_ref(named), &["oom", "oomt"]);
        let done = match paths {
            Ok(paths) => paths.iter().map(|path| one(report, args, path)).collect(),
            Err(failure) => vec![Err(failure)],
        };
        for done in done {
            match done {
                Ok(Done::Formatted(file, found)) => {
                    all.push(file);
                    exit = exit.max(found);
                }
                Ok(Done::NoText(list)) => {
                    diagnostics.extend(list);
                    exit = exit.max(Exit::Errors);
                }
                Err(failure) => {
                    report.unreadable(&failure);
                    exit = exit.max(failure.exit);
                    unreadable.push(failure.message);
                }
            }
        }
    }
    let result = json!({ "files": all, "diagnostics": diagnostics, "unreadable": unreadable });
    report.result("fmt", exit, result);
    Ok(exit)
}

/// What became of a file.
enum Done {
    /// It was formatted, or would be.
    Formatted(Value, Exit),
    /// It is no text at all.
    NoText(Vec<Value>),
}

fn one(report: &Report, args: &Fmt, path: &Path) -> Result<Done, Failure> {
    let source = match source(path)? {
        Ok(source) => source,
        Err((source, diagnostic)) => return Ok(Done::NoText(tell(report, &source, &[diagnostic]))),
    };
    let formatted = if args.expand { format(&expand(&source.text)) } else { format(&source.text) };
    let changed = formatted.text != source.text;
    let mut file = json!({ "file": source.name, "changed": changed, "kept": formatted.kept });
    if args.check {
        let exit = compare(report, &source.name, &source.text, &formatted);
        return Ok(Done::Formatted(file, exit));
    }
    if formatted.kept > 0 {
        let (name, clauses) = (&source.name, clauses(formatted.kept));
        report.warn(format_args!("{name}: {clauses} as written; `oomc check` says why"));
    }
    if files::is_dash(path) {
        if !report.json() {
            report.text(&formatted.text);
        }
        if let Value::Object(fields) = &mut file {
            fields.insert("text".to_owned(), json!(formatted.text));
        }
    } else if changed {
        write(path, formatted.text.as_bytes())?;
        report.remark(format_args!("{}: formatted", source.name));
    }
    Ok(Done::Formatted(file, Exit::Ok))
}

/// Says whether a file is as `fmt` would write it, and shows what it would change.
fn compare(report: &Report, name: &str, text: &str, formatted: &Formatted) -> Exit {
    let mut exit = Exit::Ok;
    if formatted.kept > 0 {
        let verb = if formatted.kept == 1 { "has a clause" } else { "has clauses" };
        report.insist(format_args!("{name}: {verb} that cannot be read; `oomc check` says why"));
        exit = Exit::Errors;
    }
    if formatted.text != text {
        report.line(format_args!("{name}: not in canonical form"));
        let diff = TextDiff::from_lines(text, formatted.text.as_str());
        let mut diff = diff.unified_diff();
        let diff = diff.context_radius(AROUND).header(name, "canonical form").to_string();
        diff.lines().for_each(|line| report.remark(line));
        exit = Exit::Errors;
    }
    exit
}

fn clauses(kept: usize) -> String {
    match kept {
        1 => "1 clause stays".to_owned(),
        several => format!("{several} clauses stay"),
    }
}
