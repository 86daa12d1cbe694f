//! Mistakes in rules and actions, in the messages that they write, and what of them can never run.
//!
//! One constructor for each mistake. Takes names and places in the text, gives the diagnostic; how a mistake is found
//! stands with the stage.

use oomc_abi::record::MAX_RULES;

use crate::diag::{Diagnostic, Fix, codes};
use crate::hir::{MAX_VALUES, MAX_VICTIMS};
use crate::source::Span;

/// A message whose brace is not closed.
pub(in crate::hir) fn open_brace(span: Span) -> Diagnostic {
    Diagnostic::new(codes::MESSAGE, "a brace is not closed")
        .label(span, "a value begins here")
        .help("write a value in braces: `{cgroup.usage}`")
}

/// A value in two pairs of braces. `at` is the second brace, `inside` begins with it, `close` is the first brace that closes.
pub(in crate::hir) fn double_brace(at: usize, inside: &str, close: Option<usize>) -> Diagnostic {
    let value = inside.trim_start_matches('{').trim();
    let end = close.map_or(at + inside.len(), |close| close + 1);
    let fix = Fix::new(format!("write `{{{value}}}`"), !value.is_empty() && close.is_some());
    let fix = fix.at(Span::new(at..at + 1), "");
    Diagnostic::new(codes::MESSAGE, "a value stands in one pair of braces")
        .label(Span::new(at - 1..end), "two of them")
        .help(format!("write `{{{value}}}`; a brace itself cannot be written"))
        .fix(match close {
            Some(close) => fix.at(Span::new(close..close + 1), ""),
            None => fix,
        })
}

/// A message with more values than a record holds.
pub(in crate::hir) fn too_many_values(span: Span) -> Diagnostic {
    Diagnostic::new(codes::MESSAGE, format!("a message has at most {MAX_VALUES} values"))
        .label(span, "too many")
        .help("leave some out: a record shows the keys of the candidates anyway")
}

/// A value that a record does not show.
pub(in crate::hir) fn not_shown(message: &str, span: Span, help: &str) -> Diagnostic {
    Diagnostic::new(codes::MESSAGE, message).label(span, "not a value").help(help)
}

/// More rules than a record tells of.
pub(in crate::hir) fn rules_not_told(span: Span) -> Diagnostic {
    Diagnostic::new(codes::RULES_NOT_TOLD, format!("records tell how the first {MAX_RULES} rules ended"))
        .label(span, "from here on they do not")
        .help("join rules that differ in a value only")
}

/// A rule behind one that always ends the policy.
pub(in crate::hir) fn rule_never_runs(name: &str, span: Span, end: Span) -> Diagnostic {
    Diagnostic::new(codes::UNREACHABLE, format!("the rule \"{}\" never runs", name))
        .label(span, "never reached")
        .label(end, "the policy always ends here")
        .help("put it before, or leave it out")
}

/// An alternative to an action that always ends the policy.
pub(in crate::hir) fn alternative_never_tried(span: Span, end: Span) -> Diagnostic {
    Diagnostic::new(codes::UNREACHABLE, "this alternative is never tried")
        .label(span, "never reached")
        .label(end, "the policy always ends here")
        .help("put it before, or leave it out")
}

/// A limit that may rise at every OOM.
pub(in crate::hir) fn unbounded_rise(span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNBOUNDED, "nothing but the ancestors bounds this rise")
        .label(span, "may rise at every OOM")
        .help("bound it: `raise_limit 10% up to 2GiB`")
}

/// `until` beside `all`.
pub(in crate::hir) fn until_of_all(span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNTIL, "`all` kills every candidate, and `until` stops before")
        .label(span, "all, or until enough is free?")
        .help("leave `all` or `until` out")
}

/// `at most` with a number of victims that one event cannot have.
pub(in crate::hir) fn until_without_end(span: Span) -> Diagnostic {
    Diagnostic::new(codes::UNTIL, format!("`at most` takes a number from 1 to {MAX_VICTIMS}"))
        .label(span, "how many victims may one event have?")
        .help(format!("write a number up to {MAX_VICTIMS}: `until freed 512MiB at most 4`"))
        .fix(Fix::possible(format!("write `{MAX_VICTIMS}`"), span, MAX_VICTIMS.to_string()))
        .note("the victims of one event are kept sorted while candidates are looked at")
}

/// A rise that is too small to be progress.
pub(in crate::hir) fn no_rise(span: Span) -> Diagnostic {
    Diagnostic::new(codes::NO_RISE, "this rise is never progress")
        .label(span, "less than one percent of the limit")
        .help("raise by at least `1%`")
}

/// `defer` behind an action of its block.
pub(in crate::hir) fn defers_behind_action(defer: Span, first: Span) -> Diagnostic {
    Diagnostic::new(codes::DEFER_IN_BLOCK, "`defer` stands after an action of the same block")
        .label(defer, "would give up what the action has done")
        .label(first, "the action")
        .help("write the `defer` as a rule below, or behind `or`")
}

/// An action behind `defer`.
pub(in crate::hir) fn nothing_behind_defer(next: Span, defer: Span) -> Diagnostic {
    Diagnostic::new(codes::DEFER_IN_BLOCK, "nothing runs after `defer`")
        .label(next, "never reached")
        .label(defer, "the policy ends here")
        .help("leave it out, or put it before")
}

/// A condition that never changes.
pub(in crate::hir) fn constant_condition(place: &str, always: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::CONSTANT_CONDITION, format!("the condition of {place} is always {always}"))
        .label(span, format!("always {always}"))
        .help("compare a field, or leave the condition out")
}
