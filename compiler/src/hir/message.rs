//! Messages: text with values in braces, as `reason` and `notify` have.

use oomc_abi::fields::Recipe;

use super::check::Operand;
use super::errors;
use super::lower::Checker;
use super::{ExprId, ExprKind, MAX_VALUES, Message, Part};
use crate::source::Span;
use crate::syntax::ast::{Expr, Text};
use crate::syntax::lower_cst;

impl Checker<'_> {
    /// The parts of a message.
    pub(super) fn message(&mut self, text: &Text) -> Option<Message> {
        let mut message = Message::default();
        let mut rest = text.text.as_str();
        // Behind the quotation mark.
        let mut at = text.span.range().start + 1;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                message.parts.push(Part::Text(before.to_owned()));
            }
            at += before.len() + 1;
            let Some((inside, after)) = after.split_once('}') else {
                self.sink.push(errors::action::open_brace(Span::new(at - 1..at)));
                return None;
            };
            if inside.starts_with('{') {
                let close = after.starts_with('}').then(|| at + inside.len());
                self.sink.push(errors::action::double_brace(at, inside, close));
                return None;
            }
            let span = Span::new(at..at + inside.len());
            let expr = lower_cst::parse_expr(self.source, span, self.sink)?;
            let value = self.shown(&expr)?;
            message.parts.push(Part::Value(value));
            at += inside.len() + 1;
            rest = after;
        }
        if !rest.is_empty() {
            message.parts.push(Part::Text(rest.to_owned()));
        }
        if message.values().count() > MAX_VALUES {
            self.sink.push(errors::action::too_many_values(text.span));
            return None;
        }
        Some(message)
    }

    /// What a record can show: a number, a truth value, or a name.
    fn shown(&mut self, expr: &Expr) -> Option<ExprId> {
        let (message, help) = match self.operand(expr)? {
            Operand::Expr(id) => match self.policy.exprs.get(id).map(|expr| &expr.kind) {
                Some(ExprKind::Field(_, field)) if field.row().recipe == Recipe::Path => (
                    "a path has no length that a record could take",
                    "write `name`: records tell the cgroup's id, too",
                ),
                Some(ExprKind::Field(_, field)) if field.row().recipe.words().is_some() => {
                    ("a record tells this anyway", "leave it out")
                }
                _ => return Some(id),
            },
            Operand::Text(_) => ("a string needs no braces", "write its text without braces and quotes"),
        };
        self.sink.push(errors::action::not_shown(message, expr.span, help));
        None
    }
}
