//! What a rule does: alternatives, blocks, conditions, and the actions themselves.

use oomc_grammar::Rule;
use oomc_grammar::pest::iterators::Pair;

use super::{Cst, MAX_CHAIN, inner};
use crate::syntax::ast::{Action, ActionKind, Until};
use crate::syntax::errors;

impl Cst<'_> {
    pub(super) fn action(&mut self, pair: Pair<'_, Rule>) -> Option<Action> {
        let span = self.span(&pair);
        let mut actions = Vec::new();
        for part in inner(pair) {
            actions.push(self.simple(part)?);
        }
        if actions.len() > MAX_CHAIN {
            self.sink.push(errors::too_many_alternatives(span));
            return None;
        }
        if actions.len() == 1 {
            return actions.pop();
        }
        Some(Action { kind: ActionKind::Or(actions), span })
    }

    fn simple(&mut self, pair: Pair<'_, Rule>) -> Option<Action> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        let kind = match rule {
            Rule::conditional => ActionKind::If {
                condition: self.expr(parts.next()?)?,
                then: Box::new(self.action(parts.next()?)?),
                otherwise: match parts.next() {
                    Some(otherwise) => Some(Box::new(self.action(otherwise)?)),
                    None => None,
                },
            },
            Rule::block => {
                let mut actions = Vec::new();
                for part in parts {
                    actions.push(self.action(part)?);
                }
                ActionKind::Block(actions)
            }
            Rule::kill => {
                let selection = Box::new(self.selection(parts.next()?)?);
                let (mut now, mut until, mut grace, mut reason) = (false, None, None, None);
                for part in parts {
                    match part.as_rule() {
                        Rule::now => now = true,
                        Rule::until => {
                            let mut parts = inner(part);
                            let freed = self.expr(parts.next()?)?;
                            let at_most = self.primary(parts.next()?)?.0;
                            until = Some(Box::new(Until { freed, at_most }));
                        }
                        Rule::grace => grace = Some(Box::new(self.expr(inner(part).next()?)?)),
                        Rule::reason => reason = Some(self.text(&inner(part).next()?)),
                        _ => return None,
                    }
                }
                ActionKind::Kill { selection, now, until, grace, reason }
            }
            Rule::raise_limit => ActionKind::RaiseLimit {
                amount: self.expr(parts.next()?)?,
                up_to: match parts.next() {
                    Some(up_to) => Some(self.expr(inner(up_to).next()?)?),
                    None => None,
                },
            },
            Rule::reclaim => ActionKind::Reclaim(self.expr(parts.next()?)?),
            Rule::wait => ActionKind::Wait,
            Rule::defer => ActionKind::Defer,
            Rule::notice => ActionKind::Notify(self.text(&parts.next()?)),
            Rule::tally => ActionKind::Count(self.name(&parts.next()?)),
            _ => return None,
        };
        Some(Action { kind, span })
    }
}
