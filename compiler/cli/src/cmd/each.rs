//! Commands that look at one file after the other, and change it or not: what they have in common.
//!
//! A file that cannot be read or written keeps no other from its turn; the worst exit code counts.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::report::Report;

/// What became of a file.
pub(crate) struct Done {
    /// For programs; none if it is no text at all.
    pub(crate) file: Option<Value>,
    /// What is said of it, for programs.
    pub(crate) said: Vec<Value>,
    pub(crate) exit: Exit,
}

/// Takes the policies and tests among what is named, and those in folders, and tells what became of all.
pub(crate) fn each(
    report: &Report,
    command: &'static str,
    named: &[PathBuf],
    mut one: impl FnMut(&Path) -> Result<Done, Failure>,
) -> Outcome {
    let mut exit = Exit::Ok;
    let (mut all, mut diagnostics, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for name in named {
        let done = match files::expand(std::slice::from_ref(name), &["oom", "oomt"]) {
            Ok(paths) => paths.iter().map(|path| one(path)).collect(),
            Err(failure) => vec![Err(failure)],
        };
        for done in done {
            match done {
                Ok(Done { file, said, exit: found }) => {
                    all.extend(file);
                    diagnostics.extend(said);
                    exit = exit.max(found);
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
    report.result(command, exit, result);
    Ok(exit)
}
