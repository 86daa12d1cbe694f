//! `test: check` compares the compiler's diagnostics with the assertions beside the lines, both ways: none may
//! be missing and none may be too many.

use std::fmt::Write as _;

use oomc_compiler::diag::Diagnostic;

use super::{Subtest, source, view};
use crate::case::{Assertion, Case};

pub(crate) const CHECK: Subtest = Subtest { name: "check", run };

fn run(case: &Case) -> Result<Option<String>, String> {
    let (source, view) = (source(case), view(case)?);
    let diagnostics = oomc_compiler::check(&source, &view).diagnostics_and_needs();
    let mut open: Vec<&Assertion> = case.assertions.iter().collect();
    let mut problems = String::new();
    for diagnostic in &diagnostics {
        let at = diagnostic.span().map(|span| source.line_column(span.start).0);
        let line = at.and_then(|line| case.policy_line(line));
        let met = open.iter().position(|assertion| {
            assertion.line == line
                && assertion.code == diagnostic.code.id()
                && words(diagnostic).contains(&assertion.fragment)
        });
        match met {
            Some(met) => drop(open.remove(met)),
            None => {
                let place = at.map_or_else(|| "whole file".to_owned(), |line| format!("line {line}"));
                let _ =
                    writeln!(problems, "not asserted: {place}: {} {}", diagnostic.code, words(diagnostic));
            }
        }
    }
    for assertion in open {
        let Assertion { at, code, fragment, .. } = assertion;
        let _ = writeln!(problems, "not met: the assertion on line {at}: {code} {fragment}");
    }
    if problems.is_empty() { Ok(None) } else { Err(problems) }
}

/// Everything that the author reads.
fn words(diagnostic: &Diagnostic) -> String {
    let mut text = diagnostic.message.to_string();
    for label in &diagnostic.labels {
        let _ = write!(text, " | {}", label.text);
    }
    let notes = diagnostic.notes.iter().map(String::as_str);
    for line in diagnostic.help.as_deref().into_iter().chain(notes) {
        let _ = write!(text, " | {line}");
    }
    text
}
