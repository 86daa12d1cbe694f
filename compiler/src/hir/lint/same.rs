//! Two actions that are the same where the second one is tried after the first made no progress: it makes none, too.
//!
//! Compared as they are written. Silent of what counts or notes, which has an effect each time.

use std::collections::HashMap;

use super::{Lint, errors};
use crate::diag::{Fix, Sink};
use crate::hir::{ActionId, ActionKind, Rule};
use crate::source::Span;

pub(super) fn check(lint: &Lint<'_>, sink: &mut Sink) {
    branches(lint, sink);
    rules(lint, sink);
}

fn branches(lint: &Lint<'_>, sink: &mut Sink) {
    for (_, action) in &lint.policy.actions {
        let (first, second, message, help) = match action.kind {
            ActionKind::If { then, otherwise: Some(otherwise), .. } => (
                then,
                otherwise,
                "both branches do the same",
                "write the action without `if`, or another one behind `else`",
            ),
            ActionKind::Or(first, second) => {
                // `a or b or c` is `a or (b or c)`.
                let second = match lint.policy.actions.get(second).map(|action| &action.kind) {
                    Some(ActionKind::Or(second, _)) => *second,
                    _ => second,
                };
                (
                    first,
                    second,
                    "the alternative is what made no progress",
                    "leave it out, or write another one",
                )
            }
            _ => continue,
        };
        let (Some(a), Some(b)) = (span(lint, first), span(lint, second)) else { continue };
        if tokens(lint, a) == tokens(lint, b) && !has_effect(lint, first) {
            let gap = Span { start: a.end, end: b.end };
            let fix = matches!(action.kind, ActionKind::Or(..))
                .then(|| Fix::possible("leave the second one out", gap, ""));
            sink.push(errors::same(message, b, a, help, fix));
        }
    }
}

fn rules(lint: &Lint<'_>, sink: &mut Sink) {
    let counts = lint.policy.actions.values().any(|action| matches!(action.kind, ActionKind::Count(_)));
    for (_, rules) in lint.policy.groups() {
        group(lint, rules, counts, sink);
    }
}

/// Rules that are tried one after the other.
fn group(lint: &Lint<'_>, rules: &[Rule], counts: bool, sink: &mut Sink) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    for rule in rules {
        let Some(at) = span(lint, rule.action) else { continue };
        // A counter may have changed between the two.
        if counts || has_effect(lint, rule.action) {
            continue;
        }
        let text = tokens(lint, at);
        if let Some(first) = seen.get(&text) {
            let message =
                format!("the rule \"{}\" does what a rule before it did without progress", rule.name);
            let fix = Fix::possible("leave the second one out", lint.source.with_blank(rule.span), "");
            sink.push(errors::same(&message, at, *first, "leave it out, or write another one", Some(fix)));
        } else {
            seen.insert(text, at);
        }
    }
}

fn span(lint: &Lint<'_>, action: ActionId) -> Option<Span> {
    lint.policy.actions.get(action).map(|action| action.span)
}

/// An action without white space and comments.
fn tokens(lint: &Lint<'_>, span: Span) -> String {
    let mut text = String::new();
    for line in lint.source.slice(span).lines() {
        // A `#` in a string makes two texts look less alike, never more.
        let code = if line.contains('"') { line } else { line.split('#').next().unwrap_or("") };
        for word in code.split_whitespace() {
            text.push_str(word);
            text.push(' ');
        }
    }
    text
}

/// Whether doing it twice is another thing than doing it once.
fn has_effect(lint: &Lint<'_>, action: ActionId) -> bool {
    match lint.policy.actions.get(action).map(|action| &action.kind) {
        Some(ActionKind::Kill(_) | ActionKind::RaiseLimit { .. } | ActionKind::Wait | ActionKind::Defer) => {
            false
        }
        Some(ActionKind::If { then, otherwise, .. }) => {
            has_effect(lint, *then) || otherwise.is_some_and(|otherwise| has_effect(lint, otherwise))
        }
        Some(ActionKind::Or(first, second)) => has_effect(lint, *first) || has_effect(lint, *second),
        Some(ActionKind::Block(actions)) => actions.iter().any(|action| has_effect(lint, *action)),
        _ => true,
    }
}
