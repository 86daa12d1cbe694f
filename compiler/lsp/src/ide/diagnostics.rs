//! Diagnostics: what `oomc check` says of the same text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oomc_compiler::diag::{self, Diagnostic};
use oomc_compiler::{KernelView, Source};

/// Compiles a document.
pub(crate) fn diagnostics(name: &str, text: &str, view: &KernelView) -> Vec<Diagnostic> {
    let compiled = || match Source::from_bytes(name, text.as_bytes()) {
        Ok(source) => oomc_compiler::compile(&source, view).diagnostics,
        Err(diagnostic) => vec![diagnostic],
    };
    // A fault of the compiler in one document must not cost the editor the others.
    catch_unwind(AssertUnwindSafe(compiled))
        .unwrap_or_else(|_| vec![diag::front_end_failed("the compiler stopped at this text")])
}

/// Reads a file of tests; with its policy's name and text.
///
/// Without them only what the grammar says is known.
pub(crate) fn of_tests(
    name: &str,
    text: &str,
    policy: Option<(&str, &str)>,
    view: &KernelView,
) -> Vec<Diagnostic> {
    let read = || {
        let tests = match Source::from_bytes(name, text.as_bytes()) {
            Ok(source) => source,
            Err(diagnostic) => return vec![diagnostic],
        };
        let policy = policy.and_then(|(name, text)| Source::from_bytes(name, text.as_bytes()).ok());
        match policy {
            Some(policy) => oomc_compiler::tests(&policy, Some(&tests), view).more_diagnostics,
            None => {
                let mut sink = diag::Sink::default();
                let _ = oomc_compiler::syntax::lower_cst::parse(&tests, &mut sink);
                sink.into_diagnostics()
            }
        }
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| vec![diag::front_end_failed("the compiler stopped at this text")])
}

/// Everything that an author reads, beside the places: the message, what is wrong at the first mark, help
/// and notes.
pub(crate) fn words(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.clone();
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
