//! One file per command.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod load;
pub(crate) mod lsp;
pub(crate) mod status;
pub(crate) mod unload;

use std::path::Path;

use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::{KernelView, Source};
use serde_json::Value;

use crate::args::Kernel;
use crate::exit::{Exit, Failure};
use crate::report::{Report, diagnostics_json, read, reason};

/// The kernel that a command compiles for.
fn view(kernel: &Kernel) -> Result<KernelView, Failure> {
    kernel.btf.as_deref().map_or_else(|| Ok(KernelView::embedded()), view_of)
}

/// A kernel by the file that holds its types.
fn view_of(path: &Path) -> Result<KernelView, Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        let failure = Failure::refused(format!("cannot read {}: {}", path.display(), reason(&error)));
        if path.starts_with("/sys/kernel/btf") {
            failure.help("the kernel needs CONFIG_DEBUG_INFO_BTF=y to describe its types")
        } else {
            failure
        }
    })?;
    KernelView::from_btf(&bytes).map_err(|error| {
        Failure::refused(format!("{} does not hold types of a kernel: {error}", path.display()))
    })
}

/// A policy's text; or what there is of it and why it is none.
fn source(path: &Path) -> Result<Result<Source, (Source, Diagnostic)>, Failure> {
    let bytes = read(path)?;
    Ok(source_of(path, &bytes))
}

#[expect(clippy::result_large_err, reason = "made once for each file of a command")]
fn source_of(path: &Path, bytes: &[u8]) -> Result<Source, (Source, Diagnostic)> {
    let name = path.display().to_string();
    Source::from_bytes(name.as_str(), bytes).map_err(|diagnostic| (Source::new(name, ""), diagnostic))
}

/// Prints diagnostics for people; gives them for programs.
fn tell(report: &Report, source: &Source, diagnostics: &[Diagnostic]) -> Vec<Value> {
    report.diagnostics(source, diagnostics);
    diagnostics_json(source, diagnostics)
}

/// The exit code that diagnostics ask for. When all errors are about what the kernel lacks (05xx), it is
/// the kernel's turn.
fn exit_of(diagnostics: &[Diagnostic]) -> Exit {
    let mut errors =
        diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).peekable();
    if errors.peek().is_none() {
        return Exit::Ok;
    }
    if errors.all(|error| error.code.id().starts_with("E05")) { Exit::Missing } else { Exit::Errors }
}

/// `2 errors, 1 warning`.
fn count(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let words = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (_, 0) => words(errors, "error"),
        (0, _) => words(warnings, "warning"),
        _ => format!("{}, {}", words(errors, "error"), words(warnings, "warning")),
    }
}
