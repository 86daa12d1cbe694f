//! One file per command.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod convert;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod each;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod fix;
pub(crate) mod fmt;
pub(crate) mod inspect;
pub(crate) mod label;
pub(crate) mod load;
pub(crate) mod lsp;
pub(crate) mod manual;
pub(crate) mod metrics;
pub(crate) mod mode;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod play;
pub(crate) mod rollback;
pub(crate) mod set;
pub(crate) mod show;
pub(crate) mod sim;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod tidy;
pub(crate) mod unload;
pub(crate) mod verify;
pub(crate) mod why;

use std::path::Path;

use oomc_abi::declared::Declared;
use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::{KernelView, Source, value};
use oomc_runtime::{Assignment, Holder, config};
use serde_json::Value;

use crate::args::{Kernel, Mode};
use crate::exit::{Exit, Failure};
use crate::files;
pub(crate) use crate::files::write;
use crate::report::{Report, diagnostics_json};

/// Tells for whom a command waits.
pub(crate) fn waiting(report: &Report) -> impl Fn(&Holder) + '_ {
    move |holder| report.insist(format_args!("waiting for {holder}, which has the lock on oomc's pins"))
}

/// The kernel that a command compiles for.
pub(crate) fn view(kernel: &Kernel) -> Result<KernelView, Failure> {
    kernel.btf.as_deref().map_or_else(|| Ok(KernelView::embedded()), view_of)
}

/// A kernel by the file that holds its types.
pub(crate) fn view_of(path: &Path) -> Result<KernelView, Failure> {
    let bytes = files::read(path).map_err(|failure| match path.starts_with("/sys/kernel/btf") {
        true => failure.help("the kernel needs CONFIG_DEBUG_INFO_BTF=y to describe its types"),
        false => failure,
    })?;
    KernelView::from_btf(&bytes).map_err(|error| {
        Failure::refused(format!("{} does not hold types of a kernel: {error}", files::name(path)))
    })
}

/// What a policy is tried with.
fn settings(
    declared: &Declared,
    set: &[Assignment],
    mode: Option<Mode>,
) -> Result<oomc_forecast::Settings, Failure> {
    let mut settings =
        oomc_forecast::Settings { audit: mode.map(|mode| mode == Mode::Audit), ..Default::default() };
    for assignment in set {
        let (param, to) = config::wanted(declared, assignment, &value::read)?;
        settings.params.push((param.clone(), to));
    }
    Ok(settings)
}

/// Prints diagnostics for people; gives them for programs.
pub(crate) fn tell(report: &Report, source: &Source, diagnostics: &[Diagnostic]) -> Vec<Value> {
    report.diagnostics(source, diagnostics);
    diagnostics_json(source, diagnostics)
}

/// The exit code that diagnostics ask for. When all errors are about what the kernel lacks (05xx), it is
/// the kernel's turn.
pub(crate) fn exit_of(diagnostics: &[Diagnostic]) -> Exit {
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
