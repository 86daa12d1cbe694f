//! `oomc fix FILE…`: what the helps of diagnostics say, written into the files.
//!
//! Takes the fixes that the compiler gives with its diagnostics; decides nothing about them. Also gives them to
//! programs, as a part of each diagnostic.

use std::path::Path;

use oomc_compiler::diag::fix::{Repaired, repair};
use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::{KernelView, Source};
use oomc_settings::Settings;
use serde_json::{Value, json};

use crate::args::Fix;
use crate::cmd::each::{Done, each};
use crate::cmd::{check, exit_of, tell, write};
use crate::difference::unified;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy::source;
use crate::report::Report;
use crate::settings;

pub(crate) fn run(report: &Report, args: &Fix) -> Outcome {
    each(report, "fix", &args.files, |path| match settings::of(report, path, false)? {
        Ok(settings) => one(report, args, path, &settings.view(&args.kernel)?, &settings.settings),
        Err(unready) => Ok(Done { file: None, said: unready.diagnostics, exit: unready.exit }),
    })
}

fn one(
    report: &Report,
    args: &Fix,
    path: &Path,
    view: &KernelView,
    settings: &Settings,
) -> Result<Done, Failure> {
    let stdin = files::is_dash(path);
    let before = match source(path)? {
        Ok(source) => source,
        Err((source, diagnostic)) => {
            let said = tell(report, &source, &[diagnostic]);
            return Ok(Done { file: None, said, exit: Exit::Errors });
        }
    };
    // Whether the policy beside tests can be read does not change while they are repaired.
    check::check(path, &before, view)?;
    let of = |text: &str| {
        let checked = check::check(path, &Source::new(before.name.as_str(), text), view);
        settings.told(checked.map(|looked| looked.diagnostics).unwrap_or_default())
    };
    let repaired = repair(&before.text, args.all, &of);
    let after = Source::new(before.name.as_str(), repaired.text.as_str());
    let changed = after.text != before.text;
    let texts = [before.text.as_str(), after.text.as_str()];
    let diff = args.diff.then(|| unified(texts, [&before.name, &after.name]));
    let printed = stdin && !args.diff;
    if let Some(diff) = diff.as_ref().filter(|_| !report.json()) {
        report.text(diff);
    } else if printed && !report.json() {
        report.text(&after.text);
    } else if changed && !printed && diff.is_none() {
        write(path, after.text.as_bytes())?;
    }
    if !printed && diff.is_none() {
        report.remark(format_args!("{}: {}", before.name, verdict(&repaired)));
    }
    let exit = exit_of(&repaired.left);
    let mut file = json!({ "file": before.name, "changed": changed, "made": made(&repaired) });
    if let Value::Object(fields) = &mut file {
        if printed {
            fields.insert("text".to_owned(), json!(after.text));
        }
        fields.extend(diff.map(|diff| ("diff".to_owned(), json!(diff))));
    }
    // Offsets of what is left are those of the repaired text.
    let errors: Vec<Diagnostic> =
        repaired.left.into_iter().filter(|one| one.severity == Severity::Error).collect();
    Ok(Done { file: Some(file), said: tell(report, &after, &errors), exit })
}

/// `2 repairs, 1 error is left`.
fn verdict(repaired: &Repaired) -> String {
    let made = match repaired.made.len() {
        0 => "nothing to repair".to_owned(),
        1 => "1 repair".to_owned(),
        several => format!("{several} repairs"),
    };
    match repaired.left.iter().filter(|one| one.severity == Severity::Error).count() {
        0 => made,
        1 => format!("{made}, 1 error is left"),
        several => format!("{made}, {several} errors are left"),
    }
}

fn made(repaired: &Repaired) -> Vec<Value> {
    let one = |made: &oomc_compiler::diag::fix::Made| json!({ "code": made.diagnostic.code.id(), "message": made.diagnostic.message, "title": made.title });
    repaired.made.iter().map(one).collect()
}

/// The fixes of a diagnostic for programs. Offsets count bytes from 0.
pub(crate) fn json(diagnostic: &Diagnostic) -> Vec<Value> {
    let one = |fix: &oomc_compiler::diag::Fix| {
        let edits: Vec<Value> = fix
            .edits
            .iter()
            .map(|edit| json!({ "start": edit.span.start, "end": edit.span.end, "text": edit.text }))
            .collect();
        json!({ "title": fix.title, "certain": fix.certain, "edits": edits })
    };
    diagnostic.fixes.iter().map(one).collect()
}
