//! One file per command.

mod build;
mod check;
mod explain;
mod fields;

use std::path::Path;

use oomc_compiler::Source;
use oomc_compiler::diag::{Diagnostic, Severity};

use crate::args::Command;
use crate::exit::Exit;
use crate::input;
use crate::report::Reporter;

/// Runs a command.
pub(crate) fn run(command: &Command, reporter: &Reporter) -> Exit {
    match command {
        Command::Build(args) => build::run(args, reporter),
        Command::Check(args) => check::run(args, reporter),
        Command::Explain(args) => explain::run(args, reporter),
        Command::Fields(args) => fields::run(args, reporter),
    }
}

/// A policy's text, or the diagnostic that says why it is none. A file that cannot be read is an error.
fn open(path: &Path) -> Result<Result<Source, (Source, Diagnostic)>, String> {
    let bytes = input::read_source(path)?;
    let name = path.display().to_string();
    Ok(Source::from_bytes(name.clone(), &bytes)
        .map_err(|diagnostic| (Source::new(name, String::from_utf8_lossy(&bytes)), diagnostic)))
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}
