//! Diagnostics: what `oomc check` says of the same texts.
//!
//! A policy and its file of tests are read together, once, whichever of them changed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oomc_compiler::diag::{self, Diagnostic};
use oomc_compiler::{Checked, KernelView, Parsed, Source};

/// A document.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

/// What is said of a policy and of the file of tests beside it.
#[derive(Default)]
pub(crate) struct Said {
    pub(crate) policy: Vec<Diagnostic>,
    pub(crate) tests: Vec<Diagnostic>,
}

/// Checks a policy with its tests; with `compile`, whether an object can be made of it, too.
pub(crate) fn of_policy(policy: Text<'_>, tests: Option<Text<'_>>, compile: bool, view: &KernelView) -> Said {
    let source = match source(policy) {
        Ok(source) => source,
        Err(policy) => return Said { policy, tests: tests.map(of_tests).unwrap_or_default() },
    };
    let tests = tests.map(self::source);
    let checked = guarded(|| {
        let parsed = Parsed::new(source);
        match &tests {
            Some(Ok(tests)) => parsed.with_tests(tests.clone()),
            Some(Err(_)) | None => parsed,
        }
        .check(view)
    });
    let checked = match checked {
        Ok(checked) => checked,
        Err(failed) => return Said { policy: failed.clone(), tests: failed },
    };
    let said =
        |of: fn(&Checked<'_>) -> Vec<Diagnostic>| guarded(|| of(&checked)).unwrap_or_else(|failed| failed);
    let policy = if compile { said(|checked| checked.compile().diagnostics) } else { Vec::new() };
    let tests = match (tests, checked.beside()) {
        (Some(Err(unreadable)), _) => unreadable,
        (_, Some(beside)) => beside.diagnostics.clone(),
        (_, None) => Vec::new(),
    };
    Said { policy, tests }
}

/// Reads a file of tests without its policy: only what the grammar says is known.
pub(crate) fn of_tests(tests: Text<'_>) -> Vec<Diagnostic> {
    match source(tests) {
        Ok(tests) => guarded(|| Parsed::new(tests).into_diagnostics()).unwrap_or_else(|failed| failed),
        Err(unreadable) => unreadable,
    }
}

fn source(document: Text<'_>) -> Result<Source, Vec<Diagnostic>> {
    Source::from_bytes(document.name, document.text.as_bytes()).map_err(|unreadable| vec![unreadable])
}

/// A fault of the compiler in one document must not cost the editor the others.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Vec<Diagnostic>> {
    catch_unwind(AssertUnwindSafe(work))
        .map_err(|_| vec![diag::front_end_failed("the compiler stopped at this text")])
}

/// Everything that an author reads, beside the places: the message, what is wrong at the first mark, help
/// and notes.
pub(crate) fn words(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.to_string();
    if let Some(label) = diagnostic.labels.first().filter(|label| !label.text.is_empty()) {
        text.push_str(&format!("\n{}", label.text));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    text
}
