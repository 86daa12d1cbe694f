//! Changes that an author may want where nothing is wrong.
//!
//! What is offered is checked first: the text after it has no error. Where the text has one already, nothing is offered.

use core::ops::Range;

use oomc_compiler::diag::fix::Fix;
use oomc_compiler::source::Span;
use oomc_compiler::syntax::ast::{Action, ActionKind, Unit};

use super::names::{Rule, rules};
use super::nodes::{Node, walk};
use crate::analysis::{Analysis, Page, Side, Text};

/// What a change does to the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It means the same.
    Rewrites,
    /// It says more.
    Adds,
}

/// The changes that are offered at a stretch of a policy.
pub(crate) fn actions(page: &Page<'_>, at: &Range<usize>) -> Vec<(Kind, Fix)> {
    if page.side != Side::Policy || page.checked.is_none_or(|checked| checked.policy().is_none()) {
        return Vec::new();
    }
    let touches = |span: Span| span.range().start <= at.end && at.start <= span.range().end;
    let mut found = Vec::new();
    walk(page.file, &mut |node| {
        if let Node::Action(Action { kind: ActionKind::RaiseLimit { amount, up_to: None }, span }) = node
            && touches(*span)
        {
            let behind = Span { start: amount.span.end, end: amount.span.end };
            let fix = Fix::possible("add `up to parent.limit`", behind, " up to parent.limit");
            found.push((Kind::Adds, fix));
        }
    });
    for rule in rules(page.file).filter(|rule| touches(rule.span)) {
        found.extend(split(page, &rule).map(|fix| (Kind::Rewrites, fix)));
        found.extend(test(page, &rule).map(|fix| (Kind::Adds, fix)));
    }
    found.retain(|(_, fix)| stays_well(page, fix));
    found
}

/// Whether the text after a change has no error.
fn stays_well(page: &Page<'_>, fix: &Fix) -> bool {
    let after = fix.apply(page.text);
    after.is_some_and(|text| {
        !Analysis::new(Some(Text { name: "", text: &text }), None, page.view, None).has_errors()
    })
}

/// `rule "a": x or y` as two rules: the second one is asked when the first made no progress, as `or` does.
fn split(page: &Page<'_>, rule: &Rule<'_>) -> Option<Fix> {
    let ActionKind::Or(actions) = &rule.action.kind else { return None };
    let text = |action: &Action| page.text.get(action.span.range());
    let names: Vec<&str> =
        rules(page.file).filter_map(|rule| rule.name).map(|name| name.text.as_str()).collect();
    let line = page.text.get(..rule.span.range().start)?.rsplit('\n').next()?;
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let mut parts = Vec::new();
    for (at, action) in actions.iter().enumerate() {
        parts.push(match rule.name {
            None => text(action)?.to_owned(),
            Some(name) if at == 0 => format!("rule \"{}\": {}", name.text, text(action)?),
            Some(name) => {
                let mut free = (at + 1..).map(|number| format!("{} {number}", name.text));
                let name = free.find(|name| !names.contains(&name.as_str()))?;
                format!("rule \"{name}\": {}", text(action)?)
            }
        });
    }
    let all = parts.join(&format!("\n{indent}"));
    Some(Fix::possible("split `or` into rules", rule.span, all))
}

/// A test of a rule to begin with: a machine, an event, and what the rule does.
fn test(page: &Page<'_>, rule: &Rule<'_>) -> Option<Fix> {
    // What an `on` block waits for is not said in general.
    let outside = page.file.clauses.iter().any(|clause| clause.span == rule.span);
    if !outside {
        return None;
    }
    let expected = expectation(rule.action)?;
    let (name, by) = match rule.name {
        Some(name) => (name.text.clone(), format!(" by rule \"{}\"", name.text)),
        None => ("a rule".to_owned(), String::new()),
    };
    let end = page.text.trim_end().len();
    let text = format!(
        "\n\ntest \"{name} acts\" {{\n    given {{\n        \"/job\" {{ limit 1GiB }}\n        \
         \"/job/a\" {{ limit 1GiB }}\n        \"/job/a#100\" {{ comm \"worker\" rss 700MiB }}\n    }}\n    \
         on oom in \"/job\"\n    expect {expected}{by}\n}}\n"
    );
    Some(Fix::possible("write a test for this rule", Span::new(end..page.text.len()), text))
}

/// What a test expects of the first thing that an action does.
fn expectation(action: &Action) -> Option<&'static str> {
    match &action.kind {
        ActionKind::If { then, .. } => expectation(then),
        ActionKind::Block(actions) | ActionKind::Or(actions) => actions.iter().find_map(expectation),
        ActionKind::Kill { selection, .. } => Some(match selection.unit {
            Some((Unit::Cgroup, _)) => "kill cgroup \"/job/a\"",
            _ => "kill process \"/job/a#100\"",
        }),
        ActionKind::RaiseLimit { .. } => Some("raise_limit \"/job\" to 1280MiB"),
        ActionKind::Wait => Some("wait"),
        ActionKind::Defer => Some("defer"),
        ActionKind::Reclaim(_) | ActionKind::Notify(_) | ActionKind::Count(_) => None,
    }
}
