//! Policies in files: reads them, has them compiled, and tells what is wrong with them.
//!
//! Each file is parsed once, here; what a command wants of a policy it gets from the same `Checked`.

use std::path::{Path, PathBuf};

use oomc_compiler::diag::{Code, Diagnostic, codes};
use oomc_compiler::{Checked, KernelView, Parsed, Source};
use oomc_forecast::Suite;
use oomc_settings::Settings;
use oomc_sim::Kernel;
use serde_json::Value;

use crate::cmd::{exit_of, tell};
use crate::exit::{Exit, Failure};
use crate::files::{self, read};
use crate::report::Report;

/// What is left of a policy with errors, which are told.
pub(crate) struct Unready {
    /// What the errors ask for.
    pub(crate) exit: Exit,
    /// For programs.
    pub(crate) diagnostics: Vec<Value>,
}

/// A policy that was compiled, and what was told of it.
pub(crate) struct Ready<'k> {
    pub(crate) checked: Checked<'k>,
    pub(crate) object: Vec<u8>,
    /// For programs.
    pub(crate) diagnostics: Vec<Value>,
}

/// A policy's text; or what there is of it and why it is none.
pub(crate) fn source(path: &Path) -> Result<Result<Source, (Source, Diagnostic)>, Failure> {
    let bytes = read(path)?;
    Ok(source_of(path, &bytes))
}

#[expect(clippy::result_large_err, reason = "made once for each file of a command")]
pub(crate) fn source_of(path: &Path, bytes: &[u8]) -> Result<Source, (Source, Diagnostic)> {
    let name = files::name(path);
    Source::from_bytes(name.as_str(), bytes).map_err(|diagnostic| (Source::new(name, ""), diagnostic))
}

/// The file of tests of a policy.
pub(crate) fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("oomt")
}

/// What was read from a file, as text.
pub(crate) fn text(report: &Report, path: &Path, bytes: &[u8]) -> Result<Source, Unready> {
    readable(report, source_of(path, bytes))
}

/// Compiles what was read from a file.
pub(crate) fn compile<'k>(
    report: &Report,
    path: &Path,
    bytes: &[u8],
    view: &'k KernelView,
    settings: &Settings,
) -> Result<Ready<'k>, Unready> {
    let source = text(report, path, bytes)?;
    compiled(report, Parsed::new(source).check(view), settings, &[])
}

/// Reads a policy, with its tests if they are wanted, and makes it ready to be simulated.
pub(crate) fn suite<'k>(
    report: &Report,
    path: &Path,
    kernel: &'k Kernel,
    settings: &Settings,
    with_tests: bool,
) -> Result<Result<Suite<'k>, Unready>, Failure> {
    let source = source(path)?;
    let beside = beside(path);
    let tests = if with_tests && beside.exists() { Some(self::source(&beside)?) } else { None };
    let ready = readable(report, source).and_then(|source| {
        let parsed = Parsed::new(source);
        let parsed = match tests {
            Some(tests) => parsed.with_tests(readable(report, tests)?),
            None => parsed,
        };
        checked(report, parsed.check(kernel.view()), settings)
    });
    Ok(match ready {
        Ok(Ready { checked, object, .. }) => Ok(Suite::new(checked, &object, kernel)?),
        Err(unready) => Err(unready),
    })
}

/// A policy that runs, from its text. What is to be said of the text was said when it was loaded.
pub(crate) fn running<'k>(name: &str, text: &str, kernel: &'k Kernel) -> Result<Suite<'k>, String> {
    let checked = Parsed::new(Source::new(name, text)).check(kernel.view());
    let object = checked.compile().object.ok_or("this oomc cannot compile its text")?;
    Suite::new(checked, &object, kernel).map_err(|error| error.to_string())
}

fn readable(report: &Report, source: Result<Source, (Source, Diagnostic)>) -> Result<Source, Unready> {
    source.map_err(|(source, diagnostic)| unready(report, &source, &[diagnostic]))
}

/// Tells what is wrong with the tests beside a policy, and compiles it if that is nothing.
fn checked<'k>(report: &Report, checked: Checked<'k>, settings: &Settings) -> Result<Ready<'k>, Unready> {
    let mut diagnostics = Vec::new();
    if let Some(beside) = checked.beside() {
        let of_tests = unready(report, &beside.source, &settings.told(beside.diagnostics.clone()));
        if of_tests.exit != Exit::Ok {
            return Err(of_tests);
        }
        diagnostics = of_tests.diagnostics;
    }
    compiled(report, checked, settings, &[codes::NEVER_IS_OURS, codes::NOT_IN_THE_MODEL]).map_err(|unready| {
        diagnostics.extend(unready.diagnostics);
        Unready { diagnostics, ..unready }
    })
}

/// Compiles a policy, and tells what is to be said of it; some codes only `check` and `load` tell: whoever tries the
/// policy says of each decision what it does not know.
fn compiled<'k>(
    report: &Report,
    checked: Checked<'k>,
    settings: &Settings,
    untold: &[Code],
) -> Result<Ready<'k>, Unready> {
    let mut compiled = checked.compile();
    compiled.diagnostics.retain(|one| !untold.contains(&one.code));
    let told = unready(report, checked.source(), &settings.told(compiled.diagnostics));
    match compiled.object {
        // A warning that is denied is an error to whoever asked for that.
        Some(object) if told.exit == Exit::Ok => Ok(Ready { checked, object, diagnostics: told.diagnostics }),
        _ => Err(told),
    }
}

/// Tells diagnostics, and gives what they ask for.
fn unready(report: &Report, source: &Source, diagnostics: &[Diagnostic]) -> Unready {
    Unready { exit: exit_of(diagnostics), diagnostics: tell(report, source, diagnostics) }
}
