//! A condition on candidates that says the same of each.
//!
//! Silent of `never`: `never kill process where oom.scope == "system"` is a way to say when nobody dies.

use super::walk::Asks;
use super::{Lint, errors};
use crate::diag::Sink;
use crate::hir::ExprKind;

pub(super) fn check(lint: &Lint<'_>, sink: &mut Sink) {
    for condition in lint.conditions() {
        let Some((binder, _)) = condition.of else { continue };
        let help = match condition.asks {
            Asks::Kill => {
                "ask it once, before the action: `if CONDITION then kill …`; a field of the candidate stands alone: `usage`"
            }
            Asks::Preference => "name a field of the candidate: a preference for all of them is none",
            Asks::Pick | Asks::Quantifier => {
                "name a field of the candidate: it stands alone, or behind `it.`"
            }
            Asks::Never | Asks::If => continue,
        };
        // What is folded is told elsewhere.
        let constant = matches!(lint.kind(condition.expr), Some(ExprKind::Int(_)) | None);
        if !constant && !lint.depends(condition.expr, binder) {
            let span = lint.span(condition.expr);
            sink.push(errors::independent(&lint.written(span), span, help));
        }
    }
}
