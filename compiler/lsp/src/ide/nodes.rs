//! The parts of a syntax tree, each with its place.

use oomc_compiler::source::Span;
use oomc_compiler::syntax::ast::{
    Action, ActionKind, ClauseKind, Expr, ExprKind, File, Given, GivenKind, Quantifier, Selection, StepKind,
    Watched,
};

/// A part of a tree.
#[derive(Clone, Copy)]
pub(crate) enum Node<'a> {
    /// A clause, or a rule of a block.
    Clause(Span),
    Action(&'a Action),
    Selection(&'a Selection),
    Quantifier(&'a Quantifier, Span),
    Expr(&'a Expr),
    /// A part of a test.
    Step(Span),
    Given(&'a Given),
}

impl Node<'_> {
    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Clause(span) | Self::Step(span) | Self::Quantifier(_, span) => *span,
            Self::Action(action) => action.span,
            Self::Selection(selection) => selection.span,
            Self::Expr(expr) => expr.span,
            Self::Given(given) => given.span,
        }
    }
}

/// Calls `see` with every part of a file, outer ones first.
pub(crate) fn walk<'a>(file: &'a File, see: &mut dyn FnMut(Node<'a>)) {
    let mut walk = Walk { see };
    for clause in &file.clauses {
        walk.clause(&clause.kind, clause.span);
    }
}

struct Walk<'a, 's> {
    see: &'s mut dyn FnMut(Node<'a>),
}

impl<'a> Walk<'a, '_> {
    fn clause(&mut self, kind: &'a ClauseKind, span: Span) {
        (self.see)(Node::Clause(span));
        match kind {
            ClauseKind::Policy(_) | ClauseKind::Mode(_) => {}
            ClauseKind::Const { value, .. } | ClauseKind::Label { value, .. } => self.expr(value),
            ClauseKind::Define { condition, .. } => self.expr(condition),
            ClauseKind::Param { value, range, .. } => {
                self.expr(value);
                if let Some((least, most)) = range {
                    self.expr(least);
                    self.expr(most);
                }
            }
            ClauseKind::State { resets, .. } => resets.iter().for_each(|time| self.expr(time)),
            ClauseKind::Never(of) | ClauseKind::Preference { of, .. } => {
                of.condition.iter().for_each(|condition| self.expr(condition));
            }
            ClauseKind::Pick { selection, .. } => self.selection(selection),
            ClauseKind::Test(test) => {
                for step in &test.steps {
                    (self.see)(Node::Step(step.span));
                    if let StepKind::Given(objects) = &step.kind {
                        for object in objects {
                            if let GivenKind::Object(object) = object {
                                (self.see)(Node::Given(object));
                            }
                        }
                    }
                }
            }
            ClauseKind::Rule { action, .. } | ClauseKind::Default(action) => self.action(action),
            ClauseKind::Watch(watch) => {
                match &watch.event {
                    Watched::Average { above, .. } | Watched::Usage(above) | Watched::Swap(above) => {
                        self.expr(above)
                    }
                    Watched::Stall { above, per, .. } => {
                        self.expr(above);
                        self.expr(per);
                    }
                    Watched::Limit => {}
                }
                watch.lasting.iter().chain(&watch.cooldown).for_each(|time| self.expr(time));
                for rule in &watch.rules {
                    (self.see)(Node::Clause(rule.span));
                    self.action(&rule.action);
                }
            }
            ClauseKind::Budget { kills, per } => {
                self.expr(kills);
                self.expr(per);
            }
        }
    }

    fn action(&mut self, action: &'a Action) {
        (self.see)(Node::Action(action));
        match &action.kind {
            ActionKind::If { condition, then, otherwise } => {
                self.expr(condition);
                self.action(then);
                otherwise.iter().for_each(|otherwise| self.action(otherwise));
            }
            ActionKind::Block(actions) | ActionKind::Or(actions) => {
                actions.iter().for_each(|action| self.action(action));
            }
            ActionKind::Kill { selection, until, grace, .. } => {
                self.selection(selection);
                if let Some(until) = until {
                    self.expr(&until.freed);
                    self.expr(&until.at_most);
                }
                grace.iter().for_each(|time| self.expr(time));
            }
            ActionKind::RaiseLimit { amount, up_to } => {
                self.expr(amount);
                up_to.iter().for_each(|up_to| self.expr(up_to));
            }
            ActionKind::Reclaim(amount) => self.expr(amount),
            ActionKind::Wait | ActionKind::Defer | ActionKind::Notify(_) | ActionKind::Count(_) => {}
        }
    }

    fn selection(&mut self, selection: &'a Selection) {
        (self.see)(Node::Selection(selection));
        selection.filter.iter().for_each(|filter| self.expr(filter));
        selection.keys.iter().for_each(|key| self.expr(&key.value));
    }

    fn expr(&mut self, expr: &'a Expr) {
        (self.see)(Node::Expr(expr));
        match &expr.kind {
            ExprKind::List(items) => items.iter().for_each(|item| self.expr(item)),
            ExprKind::Paren(inner)
            | ExprKind::Not(inner)
            | ExprKind::Minus(inner)
            | ExprKind::Growth(_, inner) => {
                self.expr(inner);
            }
            ExprKind::Binary(_, left, right) => {
                self.expr(left);
                self.expr(right);
            }
            ExprKind::Quantifier(quantifier) => {
                (self.see)(Node::Quantifier(quantifier, expr.span));
                quantifier.filter.iter().for_each(|filter| self.expr(filter));
            }
            ExprKind::Choice(parts) => parts.iter().for_each(|part| self.expr(part)),
            ExprKind::Number(_)
            | ExprKind::Text(_)
            | ExprKind::Bool(_)
            | ExprKind::Path(_)
            | ExprKind::Rate(_)
            | ExprKind::Has(..)
            | ExprKind::Broken => {}
        }
    }
}
