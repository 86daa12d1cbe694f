//! `oomc fmt FILE…`

use std::path::Path;

use oomc_compiler::expand::expand;
use oomc_compiler::format::{Formatted, format};
use serde_json::{Value, json};

use crate::args::Fmt;
use crate::cmd::each::{Done, each};
use crate::cmd::{tell, write};
use crate::difference::unified;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy::source;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Fmt) -> Outcome {
    each(report, "fmt", &args.files, |path| one(report, args, path))
}

fn one(report: &Report, args: &Fmt, path: &Path) -> Result<Done, Failure> {
    let source = match source(path)? {
        Ok(source) => source,
        Err((source, diagnostic)) => {
            let said = tell(report, &source, &[diagnostic]);
            return Ok(Done { file: None, said, exit: Exit::Errors });
        }
    };
    let formatted = if args.expand { format(&expand(&source.text)) } else { format(&source.text) };
    let changed = formatted.text != source.text;
    let mut file = json!({ "file": source.name, "changed": changed, "kept": formatted.kept });
    if args.check {
        let exit = compare(report, &source.name, &source.text, &formatted);
        return Ok(Done { file: Some(file), said: Vec::new(), exit });
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
    Ok(Done { file: Some(file), said: Vec::new(), exit: Exit::Ok })
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
        let diff = unified([text, &formatted.text], [name, "canonical form"]);
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
