//! The outline of a document.

use core::ops::Range;

use oomc_compiler::source::Span;
use oomc_compiler::syntax::ast::{ClauseKind, File, Text, Unit};

use super::names::{Declared, declares};

/// What something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Policy,
    Declared(Declared),
    Protection,
    Rule,
    Block,
    Test,
}

/// Something with a place, and what is inside of it.
#[derive(Debug)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
    /// What is marked when one goes there.
    pub(crate) mark: Range<usize>,
    pub(crate) inside: Vec<Symbol>,
}

/// The clauses of a text, in order.
pub(crate) fn outline(file: &File, text: &str) -> Vec<Symbol> {
    file.clauses
        .iter()
        .filter_map(|clause| {
            let span = clause.span;
            let named = |name: &str, mark: Span, kind| Some(symbol(name, kind, span, mark));
            if let Some((name, what)) = declares(&clause.kind) {
                return named(&name.text, name.span, Kind::Declared(what));
            }
            match &clause.kind {
                ClauseKind::Policy(name) => named(&name.text, name.span, Kind::Policy),
                ClauseKind::Never(of) => {
                    named(&format!("never kill{}", unit(of.unit)), span, Kind::Protection)
                }
                ClauseKind::Preference { prefer, of } => {
                    let word = if *prefer { "prefer" } else { "avoid" };
                    named(&format!("{word}{}", unit(of.unit)), span, Kind::Protection)
                }
                ClauseKind::Test(test) => named(&test.name.text, test.name.span, Kind::Test),
                ClauseKind::Rule { name, .. } => Some(rule(text, name.as_ref(), span)),
                ClauseKind::Default(_) => named("default", span, Kind::Rule),
                ClauseKind::Watch(watch) => {
                    let event = one_line(text.get(watch.event_span.range()).unwrap_or_default());
                    let mut block = symbol(&format!("on {event}"), Kind::Block, span, watch.event_span);
                    block.inside =
                        watch.rules.iter().map(|one| rule(text, one.name.as_ref(), one.span)).collect();
                    Some(block)
                }
                _ => None,
            }
        })
        .collect()
}

fn symbol(name: &str, kind: Kind, span: Span, mark: Span) -> Symbol {
    // A client refuses what has no name.
    let name = if name.trim().is_empty() { "\"\"".to_owned() } else { name.to_owned() };
    Symbol { name, kind, range: span.range(), mark: mark.range(), inside: Vec::new() }
}

fn rule(text: &str, name: Option<&Text>, span: Span) -> Symbol {
    match name {
        Some(name) => symbol(&name.text, Kind::Rule, span, name.span),
        None => symbol(&one_line(text.get(span.range()).unwrap_or_default()), Kind::Rule, span, span),
    }
}

fn unit(unit: Option<(Unit, Span)>) -> String {
    unit.map_or_else(String::new, |(unit, _)| format!(" {}", unit.spelling()))
}

/// The beginning of a text, in one line.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}
