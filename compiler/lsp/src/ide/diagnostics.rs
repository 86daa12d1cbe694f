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
