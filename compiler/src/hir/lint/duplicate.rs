//! An element of a list that stands there twice.

use super::{Lint, errors};
use crate::diag::{Fix, Sink};
use crate::hir::ExprKind;
use crate::source::Span;

pub(super) fn check(lint: &Lint<'_>, sink: &mut Sink) {
    for expr in lint.policy.exprs.values() {
        let ExprKind::Matches(_, patterns) = &expr.kind else { continue };
        let again = patterns
            .iter()
            .enumerate()
            .find(|(at, pattern)| patterns.iter().take(*at).any(|before| before == *pattern));
        let Some((_, pattern)) = again else { continue };
        let quoted = format!("\"{}\"", pattern.text());
        let text = lint.source.slice(expr.span);
        let second = text.match_indices(&quoted).nth(1).map(|(at, _)| at);
        let span = second.map_or(expr.span, |at| {
            let start = expr.span.range().start + at;
            Span::new(start..start + quoted.len())
        });
        let fix = second.and_then(|at| without(text, expr.span.range().start, at, quoted.len()));
        sink.push(errors::duplicate(&quoted, span, fix));
    }
}

/// Takes an element out of a list, with the comma before it.
fn without(text: &str, base: usize, at: usize, length: usize) -> Option<Fix> {
    let before = text.get(..at)?.trim_end();
    let start = before.strip_suffix(',').map(str::len)?;
    Some(Fix::certain("leave the second one out", Span::new(base + start..base + at + length), ""))
}
