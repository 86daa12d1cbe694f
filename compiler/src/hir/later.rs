//! What the front end understands and the back end does not translate yet: one clear "not yet" each.

use oomc_abi::fields::Recipe;

use super::{ActionKind, ExprKind, Pattern, Place, Policy, Selection, Subject};
use crate::diag::{Diagnostic, Sink, codes};
use crate::source::Span;

/// Refuses what lowering cannot translate.
pub fn check(policy: &Policy, sink: &mut Sink) {
    let mut not_yet = |span: Span, what: &str| {
        sink.push(
            Diagnostic::new(codes::NOT_YET, format!("{what} not yet translated"))
                .label(span, "not in this version")
                .help("leave it out"),
        );
    };
    for expr in policy.exprs.values() {
        match &expr.kind {
            ExprKind::Default(..) => not_yet(expr.span, "`??` is"),
            ExprKind::Quantifier(_) => not_yet(expr.span, "quantifiers are"),
            ExprKind::Matches(_, patterns) if patterns.iter().any(|p| matches!(p, Pattern::Glob(_))) => {
                not_yet(expr.span, "globs are");
            }
            ExprKind::Field(Subject::Home(_) | Subject::Pick(_) | Subject::Event, _)
            | ExprKind::Label(Subject::Home(_) | Subject::Pick(_), _)
            | ExprKind::Counter(Subject::Home(_) | Subject::Pick(_), _) => {
                not_yet(expr.span, "this subject is");
            }
            ExprKind::Field(_, field) => match field.row().recipe {
                Recipe::UsageLess(_)
                | Recipe::VmEvents(_)
                | Recipe::MemoryEvents(_)
                | Recipe::Pressure { .. }
                | Recipe::SwapLimit
                | Recipe::Path => not_yet(expr.span, "this field is"),
                _ => {}
            },
            _ => {}
        }
    }
    for pick in policy.picks.values() {
        not_yet(pick.span, "`pick` is");
    }
    for preference in &policy.preferences {
        not_yet(preference.span, "`prefer` and `avoid` are");
    }
    for action in policy.actions.values() {
        match &action.kind {
            ActionKind::Kill(kill) => {
                if !translated(&kill.selection) {
                    not_yet(kill.selection.span, "this selection is");
                }
                if kill.until.is_some() {
                    not_yet(action.span, "`until` is");
                }
            }
            _ => {}
        }
    }
}

fn translated(selection: &Selection) -> bool {
    let place = matches!(selection.place, Place::DOMAIN | Place::Cgroup(Subject::Anchor(_)));
    place && !selection.stepwise && !selection.all
}
