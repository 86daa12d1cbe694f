//! A counter that a condition asks, and that no action counts: what it should bound is not bounded.

use super::{Lint, errors};
use crate::diag::Sink;
use crate::hir::{ActionKind, ExprKind};

pub(super) fn check(lint: &Lint<'_>, sink: &mut Sink) {
    for (id, state) in &lint.policy.states {
        let counts = |kind: &ActionKind| matches!(kind, ActionKind::Count(of) if *of == id);
        if lint.policy.actions.values().any(|action| counts(&action.kind)) {
            continue;
        }
        let asks = |kind: &ExprKind| matches!(kind, ExprKind::Counter(_, of) if *of == id);
        if let Some(asked) = lint.policy.exprs.values().find(|expr| asks(&expr.kind)) {
            sink.push(errors::never_counted(&state.name, asked.span, state.span));
        }
    }
}
