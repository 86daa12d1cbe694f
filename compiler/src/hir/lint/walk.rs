//! What lints ask of a policy: its conditions with what they are about, and the strings that fields are compared with.
//!
//! Gives every condition that is reached from a clause, and no expression that was folded away.

use oomc_abi::fields::{self, FieldId, Owner};

use super::Lint;
use crate::hir::{BinderId, ExprId, ExprKind, Pattern, Place, Subject, Unit};
use crate::source::Span;

/// What a condition decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Who is killed.
    Kill,
    /// What is picked.
    Pick,
    /// Who is preferred or avoided.
    Preference,
    /// Who is protected.
    Never,
    /// What a quantifier is about.
    Quantifier,
    /// Whether an action is done.
    If,
}

/// A condition of the policy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition {
    pub(super) expr: ExprId,
    pub(super) asks: Asks,
    /// Its candidate.
    pub(super) of: Option<(BinderId, Unit)>,
}

/// A string that a field is compared with.
#[derive(Clone, Debug)]
pub(super) struct Compared {
    /// Without its quotes.
    pub(super) text: String,
    pub(super) field: FieldId,
    /// With its quotes, where it is written there; else the comparison.
    pub(super) span: Span,
    /// The span is the string's.
    pub(super) literal: bool,
}

impl Lint<'_> {
    /// Every condition, those inside of others behind them.
    pub(super) fn conditions(&self) -> Vec<Condition> {
        let mut all = Vec::new();
        for (_, kill) in self.policy.kills() {
            let of = Some((kill.selection.binder, kill.selection.unit));
            all.extend(kill.selection.filter.map(|expr| Condition { expr, asks: Asks::Kill, of }));
        }
        for pick in self.policy.picks.values() {
            let of = Some((pick.selection.binder, pick.selection.unit));
            all.extend(pick.selection.filter.map(|expr| Condition { expr, asks: Asks::Pick, of }));
        }
        for never in &self.policy.nevers {
            let of = Some((never.binder, never.unit));
            all.push(Condition { expr: never.condition, asks: Asks::Never, of });
        }
        for preference in &self.policy.preferences {
            let of = Some((preference.binder, preference.unit));
            all.push(Condition { expr: preference.condition, asks: Asks::Preference, of });
        }
        for action in self.policy.actions.values() {
            if let crate::hir::ActionKind::If { condition, .. } = action.kind {
                all.push(Condition { expr: condition, asks: Asks::If, of: None });
            }
        }
        // What a quantifier asks, wherever it stands: a quantifier may stand in one.
        for expr in self.policy.exprs.values() {
            if let ExprKind::Quantifier(quantifier) = &expr.kind {
                let of = Some((quantifier.binder, quantifier.unit));
                all.extend(quantifier.filter.map(|expr| Condition { expr, asks: Asks::Quantifier, of }));
            }
        }
        all
    }

    /// Every string that a field is compared with; a place by pattern compares paths.
    pub(super) fn patterns(&self) -> Vec<Compared> {
        let mut all = self.places();
        for expr in self.policy.exprs.values() {
            let ExprKind::Matches(value, patterns) = &expr.kind else { continue };
            let Some(ExprKind::Field(_, field)) = self.kind(*value) else { continue };
            all.extend(patterns.iter().map(|pattern| self.compared(pattern, *field, expr.span)));
        }
        // A definition is read wherever it is used.
        let mut seen = std::collections::HashSet::new();
        all.retain(|one| seen.insert((one.span, one.text.clone())));
        all
    }

    /// The patterns of places.
    fn places(&self) -> Vec<Compared> {
        let Some(path) = fields::find(Owner::Cgroup, "path") else { return Vec::new() };
        let kills = self.policy.kills().map(|(_, kill)| (kill.selection.place, kill.selection.span));
        let picks = self.policy.picks.values().map(|pick| (pick.selection.place, pick.selection.span));
        let asked = self.policy.exprs.values().filter_map(|expr| match &expr.kind {
            ExprKind::Quantifier(quantifier) => Some((quantifier.place, expr.span)),
            _ => None,
        });
        let all = kills.chain(picks).chain(asked);
        all.filter_map(|(place, span)| match place {
            Place::Matching(pattern) => Some(self.compared(self.policy.patterns.get(pattern)?, path, span)),
            _ => None,
        })
        .collect()
    }

    /// A string where it is written in a comparison.
    fn compared(&self, pattern: &Pattern, field: FieldId, span: Span) -> Compared {
        let text = pattern.text().to_owned();
        let quoted = format!("\"{text}\"");
        let found = self.source.slice(span).find(&quoted).map(|at| span.start as usize + at);
        match found {
            Some(at) => Compared { text, field, span: Span::new(at..at + quoted.len()), literal: true },
            None => Compared { text, field, span, literal: false },
        }
    }

    pub(super) fn kind(&self, expr: ExprId) -> Option<&ExprKind> {
        self.policy.exprs.get(expr).map(|expr| &expr.kind)
    }

    pub(super) fn span(&self, expr: ExprId) -> Span {
        self.policy.exprs.get(expr).map_or_else(Span::default, |expr| expr.span)
    }

    /// As the author wrote it, in one line.
    pub(super) fn written(&self, span: Span) -> String {
        let text: Vec<&str> = self.source.slice(span).split_whitespace().collect();
        let text = text.join(" ");
        if text.chars().count() > 60 { text.chars().take(59).chain(['…']).collect() } else { text }
    }

    /// Two expressions of which nobody can tell the values apart.
    pub(super) fn same(&self, a: ExprId, b: ExprId) -> bool {
        if a == b {
            return true;
        }
        let (Some(first), Some(second)) = (self.policy.exprs.get(a), self.policy.exprs.get(b)) else {
            return false;
        };
        if first.ty != second.ty {
            return false;
        }
        match (&first.kind, &second.kind) {
            (ExprKind::Int(a), ExprKind::Int(b)) => a == b,
            (ExprKind::Field(a, x), ExprKind::Field(b, y)) => a == b && x == y,
            (ExprKind::Raw(a, x), ExprKind::Raw(b, y)) => a == b && x == y,
            (ExprKind::Param(a), ExprKind::Param(b)) => a == b,
            (ExprKind::Label(a, x), ExprKind::Label(b, y)) => a == b && x == y,
            (ExprKind::Counter(a, x), ExprKind::Counter(b, y)) => a == b && x == y,
            (ExprKind::Matches(a, x), ExprKind::Matches(b, y)) => x == y && self.same(*a, *b),
            (ExprKind::Arith(p, a, b), ExprKind::Arith(q, c, d)) => p == q && self.both(*a, *b, *c, *d),
            (ExprKind::Compare(p, a, b), ExprKind::Compare(q, c, d)) => p == q && self.both(*a, *b, *c, *d),
            (ExprKind::And(a, b), ExprKind::And(c, d))
            | (ExprKind::Or(a, b), ExprKind::Or(c, d))
            | (ExprKind::Default(a, b), ExprKind::Default(c, d)) => self.both(*a, *b, *c, *d),
            (ExprKind::Neg(a), ExprKind::Neg(b)) | (ExprKind::Not(a), ExprKind::Not(b)) => self.same(*a, *b),
            _ => false,
        }
    }

    fn both(&self, a: ExprId, b: ExprId, c: ExprId, d: ExprId) -> bool {
        self.same(a, c) && self.same(b, d)
    }

    /// Whether an expression asks the candidate of a binder, or may.
    pub(super) fn depends(&self, expr: ExprId, binder: BinderId) -> bool {
        let Some(kind) = self.kind(expr) else { return true };
        let own = |subject: &Subject| match subject {
            Subject::Anchor(_) | Subject::Pick(_) | Subject::Event => false,
            Subject::Candidate(of) | Subject::Home(of) | Subject::Parent(of) => *of == binder,
        };
        let here = match kind {
            ExprKind::Field(subject, _)
            | ExprKind::Raw(subject, _)
            | ExprKind::Label(subject, _)
            | ExprKind::Counter(subject, _) => own(subject),
            ExprKind::Quantifier(quantifier) => own(&quantifier.place.of()),
            _ => false,
        };
        here || kind.operands().into_iter().any(|operand| self.depends(operand, binder))
    }

    /// The conditions that are joined by one operator: those of `a and b and c`.
    pub(super) fn joined(&self, expr: ExprId, and: bool, all: &mut Vec<ExprId>) {
        match self.kind(expr) {
            Some(ExprKind::And(a, b)) if and => {
                self.joined(*a, and, all);
                self.joined(*b, and, all);
            }
            Some(ExprKind::Or(a, b)) if !and => {
                self.joined(*a, and, all);
                self.joined(*b, and, all);
            }
            _ => all.push(expr),
        }
    }
}
