//! Inlay hints: what a policy says without words.
//!
//! What a selection leaves out is what `oomc fmt --expand` writes ([`oomc_compiler::expand`]); besides it the base of a
//! percent, whom a tie is decided for, and what is done when no rule made progress.

use core::ops::Range;

use oomc_compiler::expand;
use oomc_compiler::resolve::uses::Meaning;
use oomc_compiler::syntax::ast::{ActionKind, ClauseKind, Expr, ExprKind, Rank, Selection, Unit};
use oomc_compiler::syntax::literal::Kind;

use super::nodes::{Node, walk};
use crate::analysis::{Page, Side};

/// A text that is shown at a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) at: usize,
    pub(crate) text: String,
    /// Why, for whoever points at it.
    pub(crate) why: &'static str,
    /// It can be written there as it is shown.
    pub(crate) can_be_written: bool,
}

/// The hints in a stretch, in order.
pub(crate) fn hints(page: &Page<'_>, within: &Range<usize>) -> Vec<Hint> {
    let left_out = expand::missing(page.text, within).into_iter().map(|(at, text)| Hint {
        at,
        text,
        why: "the default of the language",
        can_be_written: true,
    });
    let mut found: Vec<Hint> = left_out.collect();
    let touches = |range: Range<usize>| range.start <= within.end && within.start <= range.end;
    walk(page.file, &mut |node| {
        if !touches(node.span().range()) {
            return;
        }
        match node {
            Node::Expr(Expr { kind: ExprKind::Binary(op, left, right), .. }) if op.compares() => {
                found.extend(base(page, left, right));
            }
            Node::Action(action) => match &action.kind {
                ActionKind::RaiseLimit { amount, .. } => found.extend(of(amount, "own_limit")),
                ActionKind::Reclaim(amount) => found.extend(of(amount, "usage")),
                ActionKind::Kill { selection, .. } => found.extend(ties(selection)),
                _ => {}
            },
            _ => {}
        }
    });
    found.extend(default(page).filter(|hint| touches(hint.at..hint.at)));
    found.sort_by_key(|hint| hint.at);
    found
}

fn is_percent(expr: &Expr) -> bool {
    matches!(&expr.kind, ExprKind::Number(literal) if literal.kind == Kind::Ratio)
}

/// What a bare percent is taken of.
fn of(percent: &Expr, base: &str) -> Option<Hint> {
    is_percent(percent).then(|| Hint {
        at: percent.span.range().end,
        text: format!(" of {base}"),
        why: "a percent has a base: this is the one that is meant where none is written",
        can_be_written: false,
    })
}

/// What a percent beside a field is taken of.
fn base(page: &Page<'_>, left: &Expr, right: &Expr) -> Option<Hint> {
    let ExprKind::Path(path) = &left.kind else { return None };
    let used =
        page.uses.iter().find(|one| one.span.end == path.span.end && one.span.start >= path.span.start)?;
    let Meaning::Field(field) = used.meaning else { return None };
    let base = field.row().base?;
    let before = page.text.get(path.span.range().start..used.span.range().start)?;
    of(right, &format!("{before}{base}"))
}

/// Whom a tie is decided for.
fn ties(selection: &Selection) -> Option<Hint> {
    if selection.rank.is_some_and(|(rank, _)| rank == Rank::All) {
        return None;
    }
    let more = match selection.unit {
        Some((Unit::Cgroup, _)) => "unreclaimable",
        _ => "footprint",
    };
    Some(Hint {
        at: selection.span.range().end,
        text: format!(" then {more} desc, youngest"),
        why: "of equal candidates the one with more memory is taken, then the younger one, then the one with the \
              higher number: the same on every machine",
        can_be_written: false,
    })
}

/// What is done when no rule made progress.
fn default(page: &Page<'_>) -> Option<Hint> {
    let clauses = &page.file.clauses;
    let has = |wanted: fn(&ClauseKind) -> bool| clauses.iter().any(|clause| wanted(&clause.kind));
    let is_rule = |kind: &ClauseKind| matches!(kind, ClauseKind::Rule { .. });
    let last = clauses.iter().rev().find(|clause| is_rule(&clause.kind))?;
    let known = page.side == Side::Policy && page.file.lost.is_empty();
    (known && !has(|kind| matches!(kind, ClauseKind::Default(_)))).then(|| Hint {
        at: last.span.range().end,
        text: " default defer".to_owned(),
        why: "if no rule made progress, the policy of the parent is asked next, and in the end the kernel decides",
        can_be_written: false,
    })
}
