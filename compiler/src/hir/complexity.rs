//! How the work of a decision grows with the machine: with each process and cgroup once, or with their products.
//!
//! Takes a checked policy. Loops are walks of selections and quantifiers; a quantifier over what belongs to a candidate
//! (`in c`, `subtree of c`) comes to each element once for all candidates together, one over a fixed place once for
//! each candidate. Depth of the tree and the number of rules do not count.

use super::errors;
use super::{ActionId, ActionKind, BinderId, ExprId, ExprKind, Policy, Quantifier, Selection, Subject, Unit};
use crate::diag::Sink;
use crate::source::Span;

/// How the work grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostClass {
    /// What is gone through for each of what stands before it; at most one: linear.
    pub loops: Vec<Unit>,
    /// The quantifier that makes it more than linear.
    pub span: Option<Span>,
}

impl CostClass {
    /// Whether the work grows with products.
    #[must_use]
    pub fn is_above_linear(&self) -> bool {
        self.loops.len() > 1
    }

    /// In words: `linear`, `cgroups × processes`, `processes × processes (square)`.
    #[must_use]
    pub fn text(&self) -> String {
        if !self.is_above_linear() {
            return "linear".to_owned();
        }
        let word = |unit: &Unit| match unit {
            Unit::Process => "processes",
            Unit::Cgroup => "cgroups",
        };
        let product = self.loops.iter().map(word).collect::<Vec<_>>().join(" × ");
        let same = self.loops.iter().all(|unit| Some(unit) == self.loops.first());
        match (same, self.loops.len()) {
            (true, 2) => format!("{product} (square)"),
            (true, 3) => format!("{product} (cubic)"),
            _ => product,
        }
    }
}

/// The class of a policy: that of its dearest clause.
#[must_use]
pub fn class(policy: &Policy) -> CostClass {
    let mut finder = Finder { policy, dearest: CostClass::default() };
    finder.policy();
    finder.dearest
}

/// The class of one action, such as a rule's, with everything inside of it.
#[must_use]
pub fn class_of(policy: &Policy, action: ActionId) -> CostClass {
    let mut finder = Finder { policy, dearest: CostClass::default() };
    let mut actions = vec![action];
    while let Some(id) = actions.pop() {
        let Some(action) = policy.actions.get(id) else { continue };
        finder.action(&action.kind);
        match &action.kind {
            ActionKind::If { then, otherwise, .. } => actions.extend(otherwise.iter().chain([then])),
            ActionKind::Block(inner) => actions.extend(inner),
            ActionKind::Or(first, second) => actions.extend([first, second]),
            _ => {}
        }
    }
    finder.dearest
}

/// Warns of what is above linear.
pub(crate) fn check(policy: &Policy, sink: &mut Sink) {
    let class = class(policy);
    if let Some(span) = class.span {
        sink.push(errors::kernel::above_linear(&class.text(), span));
    }
}

/// A loop: whose element, and what it is.
type Loop = (BinderId, Unit);

struct Finder<'a> {
    policy: &'a Policy,
    dearest: CostClass,
}

impl Finder<'_> {
    fn policy(&mut self) {
        let policy = self.policy;
        policy.actions.values().for_each(|action| self.action(&action.kind));
        for pick in policy.picks.values() {
            self.selection(&pick.selection);
        }
        let nevers = policy.nevers.iter().map(|one| (one.binder, one.unit, one.condition));
        let preferences = policy.preferences.iter().map(|one| (one.binder, one.unit, one.condition));
        for (binder, unit, condition) in nevers.chain(preferences) {
            self.expr(condition, &[(binder, unit)]);
        }
    }

    /// An action without those inside of it.
    fn action(&mut self, kind: &ActionKind) {
        match kind {
            ActionKind::If { condition, .. } => self.expr(*condition, &[]),
            ActionKind::Kill(kill) => {
                self.selection(&kill.selection);
                // Its values are asked of the victim alone.
                kill.until.iter().for_each(|until| self.expr(until.freed, &[]));
            }
            ActionKind::RaiseLimit { by, up_to } => {
                [Some(*by), *up_to].into_iter().flatten().for_each(|amount| self.expr(amount, &[]));
            }
            ActionKind::Reclaim(bytes) => self.expr(*bytes, &[]),
            _ => {}
        }
    }

    fn selection(&mut self, selection: &Selection) {
        let loops = [(selection.binder, selection.unit)];
        let keys = selection.keys.iter().map(|key| key.expr);
        selection.filter.into_iter().chain(keys).for_each(|expr| self.expr(expr, &loops));
    }

    /// What is asked once for each element of these loops, one inside the other.
    fn expr(&mut self, id: ExprId, loops: &[Loop]) {
        let Some(expr) = self.policy.exprs.get(id) else { return };
        match &expr.kind {
            ExprKind::Quantifier(quantifier) => self.quantifier(quantifier, expr.span, loops),
            kind => kind.operands().into_iter().for_each(|operand| self.expr(operand, loops)),
        }
    }

    fn quantifier(&mut self, quantifier: &Quantifier, span: Span, loops: &[Loop]) {
        let inner = (quantifier.binder, quantifier.unit);
        let mut inside = loops.to_vec();
        let whose = |(binder, _): &&mut Loop| match quantifier.place.of() {
            Subject::Candidate(of) | Subject::Home(of) => *binder == of,
            _ => false,
        };
        match inside.iter_mut().find(whose) {
            Some(outer) => *outer = inner,
            None => inside.push(inner),
        }
        if inside.len() > self.dearest.loops.len() {
            let loops = inside.iter().map(|(_, unit)| *unit).collect();
            self.dearest = CostClass { loops, span: (inside.len() > 1).then_some(span) };
        }
        quantifier.filter.into_iter().chain(quantifier.value).for_each(|expr| self.expr(expr, &inside));
    }
}
