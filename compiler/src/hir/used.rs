//! Which picks a rule needs: those that it names, those that protect or prefer by them, and those that these are
//! chosen by.

use std::collections::BTreeSet;

use super::{ActionId, ActionKind, ExprId, ExprKind, Message, PickId, Place, Policy, Selection, Subject};

impl Policy {
    /// The picks that a rule's action uses, in the order in which they are chosen.
    #[must_use]
    pub fn used_picks(&self, action: ActionId) -> Vec<PickId> {
        let mut used = Used { policy: self, picks: BTreeSet::new() };
        used.action(action);
        used.picks.into_iter().collect()
    }
}

struct Used<'a> {
    policy: &'a Policy,
    picks: BTreeSet<PickId>,
}

impl Used<'_> {
    fn action(&mut self, action: ActionId) {
        let policy = self.policy;
        let Some(action) = policy.actions.get(action) else { return };
        match &action.kind {
            ActionKind::If { condition, then, otherwise } => {
                self.expr(*condition);
                self.action(*then);
                otherwise.iter().for_each(|otherwise| self.action(*otherwise));
            }
            ActionKind::Block(actions) => actions.iter().for_each(|action| self.action(*action)),
            ActionKind::Or(first, second) => {
                self.action(*first);
                self.action(*second);
            }
            ActionKind::Kill(kill) => {
                self.selection(&kill.selection);
                kill.until.iter().for_each(|until| self.expr(until.freed));
                kill.reason.iter().for_each(|reason| self.message(reason));
                policy.nevers.iter().for_each(|never| self.expr(never.condition));
                policy.preferences.iter().for_each(|preference| self.expr(preference.condition));
            }
            ActionKind::RaiseLimit { by, up_to } => {
                self.expr(*by);
                up_to.iter().for_each(|up_to| self.expr(*up_to));
            }
            ActionKind::Reclaim(bytes) => self.expr(*bytes),
            ActionKind::Notify(message) => self.message(message),
            ActionKind::Wait | ActionKind::Defer | ActionKind::Count(_) => {}
        }
    }

    fn message(&mut self, message: &Message) {
        message.values().for_each(|value| self.expr(value));
    }

    fn selection(&mut self, selection: &Selection) {
        self.place(selection.place);
        selection.filter.iter().for_each(|filter| self.expr(*filter));
        selection.keys.iter().for_each(|key| self.expr(key.expr));
    }

    fn place(&mut self, place: Place) {
        self.subject(place.of());
    }

    fn subject(&mut self, subject: Subject) {
        if let Subject::Pick(pick) = subject
            && self.picks.insert(pick)
            && let Some(pick) = self.policy.picks.get(pick)
        {
            self.selection(&pick.selection);
        }
    }

    fn expr(&mut self, expr: ExprId) {
        let Some(expr) = self.policy.exprs.get(expr) else { return };
        match &expr.kind {
            ExprKind::Field(subject, _)
            | ExprKind::Raw(subject, _)
            | ExprKind::Label(subject, _)
            | ExprKind::Counter(subject, _) => self.subject(*subject),
            ExprKind::Quantifier(quantifier) => self.place(quantifier.place),
            _ => {}
        }
        expr.kind.operands().into_iter().for_each(|operand| self.expr(operand));
    }
}
