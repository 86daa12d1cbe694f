//! What of a policy can never run.
//!
//! A `defer` ends the policy whatever was done before it, so what stands behind one that is always reached
//! is dead. Warnings only.

use oomc_abi::record::MAX_RULES;

use super::errors;
use super::{ActionId, ActionKind, ExprId, ExprKind, Policy};
use crate::diag::Sink;
use crate::source::Span;

/// Checks a policy.
pub fn check(policy: &Policy, sink: &mut Sink) {
    if let Some(rule) = policy.rules.get(MAX_RULES) {
        sink.push(errors::action::rules_not_told(rule.span));
    }
    let cover = Coverage { policy };
    for (_, rules) in policy.groups() {
        let mut end: Option<Span> = None;
        for rule in rules {
            if let Some(end) = end {
                sink.push(errors::action::rule_never_runs(&rule.name, rule.span, end));
                continue;
            }
            cover.alternatives(rule.action, sink);
            end = cover.ends(rule.action);
        }
    }
}

struct Coverage<'a> {
    policy: &'a Policy,
}

impl Coverage<'_> {
    /// Where this action ends the policy in every case: by progress, or by deferring.
    fn ends(&self, action: ActionId) -> Option<Span> {
        let action = self.policy.actions.get(action)?;
        match &action.kind {
            ActionKind::Defer => Some(action.span),
            ActionKind::If { condition, then, otherwise } => match self.constant(*condition) {
                Some(true) => {
                    self.ends(*then).or_else(|| otherwise.and_then(|otherwise| self.ends(otherwise)))
                }
                _ => otherwise.and_then(|otherwise| self.ends(otherwise)),
            },
            ActionKind::Block(actions) => actions.iter().find_map(|action| self.ends(*action)),
            ActionKind::Or(first, second) => self.ends(*first).or_else(|| self.ends(*second)),
            ActionKind::Kill(_)
            | ActionKind::RaiseLimit { .. }
            | ActionKind::Reclaim(_)
            | ActionKind::Wait
            | ActionKind::Notify(_)
            | ActionKind::Count(_) => None,
        }
    }

    fn constant(&self, expr: ExprId) -> Option<bool> {
        match self.policy.exprs.get(expr)?.kind {
            ExprKind::Int(value) => Some(value != 0),
            _ => None,
        }
    }

    /// Warns of alternatives to something that always ends the policy.
    fn alternatives(&self, action: ActionId, sink: &mut Sink) {
        let Some(action) = self.policy.actions.get(action) else { return };
        match &action.kind {
            ActionKind::If { then, otherwise, .. } => {
                self.alternatives(*then, sink);
                if let Some(otherwise) = otherwise {
                    self.alternatives(*otherwise, sink);
                }
            }
            ActionKind::Block(actions) => actions.iter().for_each(|action| self.alternatives(*action, sink)),
            ActionKind::Or(first, second) => {
                self.alternatives(*first, sink);
                if let (Some(end), Some(dead)) = (self.ends(*first), self.policy.actions.get(*second)) {
                    sink.push(errors::action::alternative_never_tried(dead.span, end));
                    return;
                }
                self.alternatives(*second, sink);
            }
            ActionKind::Kill(_)
            | ActionKind::RaiseLimit { .. }
            | ActionKind::Reclaim(_)
            | ActionKind::Wait
            | ActionKind::Defer
            | ActionKind::Notify(_)
            | ActionKind::Count(_) => {}
        }
    }
}
