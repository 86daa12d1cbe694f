//! `oomc fmt FILE…`

use std::io;
use std::path::Path;

use oomc_compiler::expand::expand;
use oomc_compiler::format::format;
use serde_json::{Value, json};

use crate::args::Fmt;
use crate::cmd::{tell, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::policy::{source, source_of};
use crate::report::{Report, read_from};

pub(crate) fn run(report: &Report, args: &Fmt) -> Outcome {
    let mut exit = Exit::Ok;
    let mut files: Vec<Value> = Vec::new();
    let mut diagnostics: Vec<Value> = Vec::new();
    let mut unreadable: Vec<String> = Vec::new();
    for path in &args.files {
        // A file that cannot be read or written does not keep the others from being formatted.
        match one(report, args, path) {
            Ok(Done::Formatted(file, found)) => {
                files.push(file);
                exit = exit.max(found);
            }
            Ok(Done::NoText(list)) => {
                diagnostics.extend(list);
                exit = exit.max(Exit::Errors);
            }
            Err(failure) => {
                if !report.json() {
                    report.failure(&failure);
                }
                unreadable.push(failure.message);
                exit = exit.max(failure.exit);
            }
        }
    }
    let result = json!({ "files": files, "diagnostics": diagnostics, "unreadable": unreadable });
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
    // A file of this name is `./-`.
    let stdin = path == Path::new("-");
    let read = if stdin { source_of(path, &read_from(io::stdin(), path)?) } else { source(path)? };
    let source = match read {
        Ok(source) => source,
        Err((source, diagnostic)) => return Ok(Done::NoText(tell(report, &source, &[diagnostic]))),
    };
    let formatted = if args.expand { format(&expand(&source.text)) } else { format(&source.text) };
    let changed = formatted.text != source.text;
    if formatted.kept > 0 {
        let clauses = match formatted.kept {
            1 => "1 clause stays".to_owned(),
            several => format!("{several} clauses stay"),
        };
        report.warn(format_args!("{}: {clauses} as written; `oomc check` says why", path.display()));
    }
    let printed = stdin && !args.check;
    if printed && !report.json() {
        report.text(&formatted.text);
    } else if changed && !printed {
        if args.check {
            report.line(format_args!("{}: not in canonical form", path.display()));
        } else {
            write(path, formatted.text.as_bytes())?;
            report.line(format_args!("{}: formatted", path.display()));
        }
    }
    let mut file = json!({ "file": source.name, "changed": changed, "kept": formatted.kept });
    if let (true, Value::Object(fields)) = (printed, &mut file) {
        fields.insert("text".to_owned(), json!(formatted.text));
    }
    Ok(Done::Formatted(file, if args.check && changed { Exit::Errors } else { Exit::Ok }))
}
