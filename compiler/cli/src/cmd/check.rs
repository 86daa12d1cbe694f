//! `oomc check`: everything that is wrong with some policies, offline.

use oomc_compiler::compile;
use serde_json::json;

use super::{has_errors, open};
use crate::args::Check;
use crate::exit::Exit;
use crate::input;
use crate::report::{Reporter, diagnostic_json};

const NAME: &str = "check";

pub(crate) fn run(args: &Check, reporter: &Reporter) -> Exit {
    let view = match input::kernel(args.kernel.btf.as_deref()) {
        Ok(view) => view,
        Err(message) => {
            reporter.failure(NAME, &message);
            return Exit::Refused;
        }
    };
    let mut exit = Exit::Ok;
    let mut all = Vec::new();
    let mut unreadable = Vec::new();
    for file in &args.files {
        let (source, diagnostics) = match open(file) {
            // The whole compiler, not the front end alone: a policy that does not fit is found here too.
            Ok(Ok(source)) => {
                let diagnostics = compile(&source, &view).diagnostics;
                (source, diagnostics)
            }
            Ok(Err((source, diagnostic))) => (source, vec![diagnostic]),
            Err(message) => {
                unreadable.push(message);
                continue;
            }
        };
        reporter.diagnostics(&source, &diagnostics);
        all.extend(diagnostics.iter().map(|diagnostic| diagnostic_json(&source, diagnostic)));
        if has_errors(&diagnostics) {
            exit = Exit::Errors;
        } else {
            reporter.say(&format!("{}: ok", source.name));
        }
    }
    if unreadable.is_empty() {
        reporter.result(NAME, json!({ "diagnostics": all }));
        return exit;
    }
    reporter.failure(NAME, &unreadable.join("\noomc: "));
    Exit::Refused
}
