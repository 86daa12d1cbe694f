//! One file per command.

pub(crate) mod build;
pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod fields;
pub(crate) mod fix;
pub(crate) mod fmt;
pub(crate) mod label;
pub(crate) mod load;
pub(crate) mod lsp;
pub(crate) mod mode;
pub(crate) mod new;
pub(crate) mod plan;
pub(crate) mod set;
pub(crate) mod sim;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod test;
pub(crate) mod unload;
pub(crate) mod verify;
pub(crate) mod why;

use std::path::Path;
use std::{fs, io};

use oomc_abi::declared::Declared;
use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::{KernelView, Source, value};
use oomc_runtime::{Assignment, config};
use serde_json::Value;

use crate::args::{Kernel, Mode};
use crate::exit::{Exit, Failure};
use crate::report::{Report, diagnostics_json, reason};

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

/// Writes to a file beside the wanted one and renames it, so that nobody reads half a file and a full disk
/// costs nothing. What was there keeps its owner, its permissions and the links to it. What is not an ordinary
/// file (`/dev/stdout`) is written directly.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot write {}: {}", path.display(), reason(&error)));
    let before = fs::metadata(path).ok();
    if before.as_ref().is_some_and(|before| !before.is_file()) {
        return match fs::write(path, bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(failed),
        };
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let Some(name) = path.file_name() else {
        return Err(Failure::refused(format!("cannot write {}: it is no file name", path.display())));
    };
    let mut beside = name.to_owned();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = path.with_file_name(beside);
    let keep = |before: fs::Metadata| {
        use std::os::unix::fs::{MetadataExt as _, chown};
        // Only root can give a file away; others own what they write.
        let _ = chown(&beside, Some(before.uid()), Some(before.gid()));
        fs::set_permissions(&beside, before.permissions())
    };
    let result = fs::write(&beside, bytes)
        .and_then(|()| before.map_or(Ok(()), keep))
        .and_then(|()| fs::rename(&beside, &path));
    if result.is_err() {
        // Only if it was made at all.
        let _ = fs::remove_file(&beside);
    }
    result.map_err(failed)
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
