//! Conditions that are always true, or never: contradictions, tautologies, and comparisons with what a field never is.
//!
//! One warning for each condition. What is folded to a constant is told where it is folded.

use super::range::{self, Range};
use super::walk::{Asks, Condition};
use super::{Lint, errors};
use crate::diag::{Diagnostic, Sink};
use crate::hir::{ArithOp, BinderId, CompareOp, ExprId, ExprKind, Pattern, RATIO_ONE, Subject};

pub(super) fn check(lint: &Lint<'_>, sink: &mut Sink) {
    for condition in lint.conditions() {
        if let Some(found) = (Always { lint, condition }).within(condition.expr, false) {
            sink.push(found);
        }
    }
    for (_, kill) in lint.policy.kills() {
        // The amount is compared behind each victim.
        let Some(until) = kill.until else { continue };
        if let Some(ExprKind::Int(0)) = lint.kind(until.freed) {
            sink.push(errors::frees_nothing(lint.span(until.freed)));
        }
    }
}

struct Always<'a> {
    lint: &'a Lint<'a>,
    condition: Condition,
}

impl Always<'_> {
    /// The first part of an expression that never changes. `negated`: it stands behind `not`.
    fn within(&self, expr: ExprId, negated: bool) -> Option<Diagnostic> {
        match self.lint.kind(expr)? {
            ExprKind::And(..) => self.joined(expr, true, negated),
            ExprKind::Or(..) => self.joined(expr, false, negated),
            ExprKind::Not(inner) => self.within(*inner, !negated),
            ExprKind::Default(value, _) => self.within(*value, negated),
            ExprKind::Compare(op, a, b) => self.comparison(*op, *a, *b, expr),
            ExprKind::Field(Subject::Candidate(of), field) if !negated && self.is_own(*of) => {
                let dying = field.row().name == "dying" && self.condition.asks == Asks::Kill;
                let why = "whoever is dying already is never a candidate of `kill`";
                dying.then(|| self.told(expr, false, why))
            }
            _ => None,
        }
    }

    fn is_own(&self, binder: BinderId) -> bool {
        self.condition.of.is_some_and(|(own, _)| own == binder)
    }

    fn told(&self, expr: ExprId, always: bool, why: &str) -> Diagnostic {
        let span = self.lint.span(expr);
        errors::always(&self.lint.written(span), always, why, span)
    }

    /// Conditions that are joined by `and`, or by `or`.
    fn joined(&self, expr: ExprId, and: bool, negated: bool) -> Option<Diagnostic> {
        let mut parts = Vec::new();
        self.lint.joined(expr, and, &mut parts);
        if let Some(found) = parts.iter().find_map(|part| self.within(*part, negated)) {
            return Some(found);
        }
        parts
            .iter()
            .enumerate()
            .find_map(|(at, second)| parts.iter().take(at).find_map(|first| self.pair(*first, *second, and)))
    }

    /// Two conditions that exclude each other, or of which one always holds, or that are the same.
    fn pair(&self, first: ExprId, second: ExprId, and: bool) -> Option<Diagnostic> {
        let (lint, span) = (self.lint, self.lint.span(first).to(self.lint.span(second)));
        // Elements of a list have the list's name for all of them.
        if lint.same(first, second)
            && matches!(lint.kind(first), Some(ExprKind::Compare(..) | ExprKind::Matches(..)))
        {
            let at = lint.span(second);
            return Some(errors::duplicate(&format!("`{}`", lint.written(at)), at, None));
        }
        let excluded = match (self.bound(first), self.bound(second)) {
            (Some((a, x)), Some((b, y))) if lint.same(a, b) => {
                if and {
                    x.cut(y).is_empty()
                } else {
                    covers(x, y)
                }
            }
            _ => self.texts_exclude(first, second, and),
        };
        let why = if and { "nothing is both" } else { "everything is one of them" };
        excluded.then(|| errors::always(&lint.written(span), !and, why, span))
    }

    /// A value with the numbers for which a comparison with a constant holds.
    fn bound(&self, expr: ExprId) -> Option<(ExprId, Range)> {
        let ExprKind::Compare(op, a, b) = self.lint.kind(expr)? else { return None };
        let (value, op, number) = self.against_number(*op, *a, *b)?;
        (op != CompareOp::Ne).then(|| (value, holds(op, number)))
    }

    /// A comparison with a number, the number on the right.
    fn against_number(&self, op: CompareOp, a: ExprId, b: ExprId) -> Option<(ExprId, CompareOp, i64)> {
        match (self.lint.kind(a)?, self.lint.kind(b)?) {
            (ExprKind::Int(_), ExprKind::Int(_)) => None,
            (_, ExprKind::Int(number)) => Some((a, op, *number)),
            (ExprKind::Int(number), _) => Some((b, turned(op), *number)),
            _ => None,
        }
    }

    /// `comm == "a" and comm == "b"`, `comm != "a" or comm != "b"`
    fn texts_exclude(&self, first: ExprId, second: ExprId, and: bool) -> bool {
        let literals = |expr: ExprId| {
            let inner = match (self.lint.kind(expr)?, and) {
                (ExprKind::Matches(..), true) => expr,
                (ExprKind::Not(inner), false) => *inner,
                _ => return None,
            };
            match self.lint.kind(inner)? {
                ExprKind::Matches(value, patterns)
                    if patterns.iter().all(|pattern| matches!(pattern, Pattern::Literal(_))) =>
                {
                    Some((*value, patterns))
                }
                _ => None,
            }
        };
        let (Some((a, x)), Some((b, y))) = (literals(first), literals(second)) else { return false };
        self.lint.same(a, b) && !x.iter().any(|pattern| y.contains(pattern))
    }

    fn comparison(&self, op: CompareOp, a: ExprId, b: ExprId, expr: ExprId) -> Option<Diagnostic> {
        let lint = self.lint;
        if lint.same(a, b) {
            let always = matches!(op, CompareOp::Eq | CompareOp::Le | CompareOp::Ge);
            return Some(self.told(expr, always, "both sides are the same"));
        }
        if let Some(found) = self.share(op, a, b, expr) {
            return Some(found);
        }
        let (value, op, number) = self.against_number(op, a, b)?;
        let ExprKind::Field(subject, field) = lint.kind(value)? else { return None };
        let own = matches!(subject, Subject::Candidate(of) if self.is_own(*of));
        let (can, why) = range::of(*field, self.condition.asks, own);
        let (holds, fails) = (holds(op, number), holds(opposite(op), number));
        if can.cut(holds).is_empty() {
            return Some(self.told(expr, false, why));
        }
        can.cut(fails).is_empty().then(|| self.told(expr, true, why))
    }

    /// `usage > 150%` and `usage > 90% of usage`: a value and a share of what bounds it, or of itself.
    fn share(&self, op: CompareOp, a: ExprId, b: ExprId, expr: ExprId) -> Option<Diagnostic> {
        let lint = self.lint;
        let ExprKind::Arith(ArithOp::Mul, base, ratio) = lint.kind(b)? else { return None };
        let ExprKind::Int(ratio) = lint.kind(*ratio)? else { return None };
        let (ExprKind::Field(of, field), ExprKind::Field(base_of, base_field)) =
            (lint.kind(a)?, lint.kind(*base)?)
        else {
            return None;
        };
        let above = matches!(op, CompareOp::Gt | CompareOp::Ge);
        if lint.same(a, *base) && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            let always = above == (*ratio < RATIO_ONE);
            return Some(self.told(expr, always, "a value and a share of itself"));
        }
        let natural = field.row().base == Some(base_field.row().name) && of == base_of;
        let never_more = natural && *ratio > RATIO_ONE && !matches!(op, CompareOp::Ne);
        never_more.then(|| self.told(expr, !above && op != CompareOp::Eq, "more than 100% of it cannot be"))
    }
}

/// The numbers for which a comparison holds; of `!=` more than those.
fn holds(op: CompareOp, number: i64) -> Range {
    let all = Range::ALL;
    let empty = Range { least: i64::MAX, most: i64::MIN };
    match op {
        CompareOp::Eq => Range { least: number, most: number },
        CompareOp::Ne => all,
        CompareOp::Lt => number.checked_sub(1).map_or(empty, |most| Range { most, ..all }),
        CompareOp::Le => Range { most: number, ..all },
        CompareOp::Gt => number.checked_add(1).map_or(empty, |least| Range { least, ..all }),
        CompareOp::Ge => Range { least: number, ..all },
    }
}

/// The comparison that holds where this one does not.
fn opposite(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Eq => CompareOp::Ne,
        CompareOp::Ne => CompareOp::Eq,
        CompareOp::Lt => CompareOp::Ge,
        CompareOp::Le => CompareOp::Gt,
        CompareOp::Gt => CompareOp::Le,
        CompareOp::Ge => CompareOp::Lt,
    }
}

/// The same comparison with its sides exchanged.
fn turned(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
        same => same,
    }
}

/// Whether two pieces hold every number: one reaches down without end, the other up, and no gap is between.
fn covers(x: Range, y: Range) -> bool {
    let (low, high) = if x.least == i64::MIN { (x, y) } else { (y, x) };
    low.least == i64::MIN && high.most == i64::MAX && high.least <= low.most.saturating_add(1)
}
