//! Clauses: which parts each has. A test, an action, a selection and an expression have files of their own.

use oomc_grammar::Rule;
use oomc_grammar::pest::iterators::Pair;

use super::{Cst, inner, rank, unit};
use crate::syntax::ast::{Clause, ClauseKind, Protection, Ruled, Watch, Watched};

impl Cst<'_> {
    pub(super) fn clause(&mut self, pair: Pair<'_, Rule>) -> Option<Clause> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        let kind = match rule {
            Rule::policy => ClauseKind::Policy(self.text(&parts.next()?)),
            Rule::mode => ClauseKind::Mode(self.name(&parts.next()?)),
            Rule::constant => {
                ClauseKind::Const { name: self.name(&parts.next()?), value: self.expr(parts.next()?)? }
            }
            Rule::definition => ClauseKind::Define {
                name: self.name(&parts.next()?),
                unit: unit(parts.next()?.as_str())?,
                condition: self.expr(inner(parts.next()?).next()?)?,
            },
            Rule::param => ClauseKind::Param {
                name: self.name(&parts.next()?),
                value: self.expr(parts.next()?)?,
                range: match parts.next() {
                    Some(range) => {
                        let mut ends = inner(range);
                        Some((self.expr(ends.next()?)?, self.expr(ends.next()?)?))
                    }
                    None => None,
                },
            },
            Rule::label => ClauseKind::Label {
                name: self.name(&parts.next()?),
                ty: self.name(&parts.next()?),
                value: self.expr(parts.next()?)?,
                trust: match parts.next() {
                    Some(trust) => Some(self.name(&inner(trust).next()?)),
                    None => None,
                },
            },
            Rule::state => {
                let name = self.name(&parts.next()?);
                let resets = match parts.find(|part| part.as_rule() == Rule::resets) {
                    Some(resets) => Some(self.expr(inner(resets).next()?)?),
                    None => None,
                };
                ClauseKind::State { name, resets }
            }
            Rule::never => ClauseKind::Never(self.protection(parts)?),
            Rule::preference => {
                let prefer = parts.next()?.as_str() == "prefer";
                ClauseKind::Preference { prefer, of: self.protection(parts)? }
            }
            Rule::pick => ClauseKind::Pick {
                name: self.name(&parts.next()?),
                selection: Box::new(self.selection(parts.next()?)?),
            },
            Rule::test => ClauseKind::Test(self.test(parts)?),
            Rule::named => ClauseKind::Rule {
                name: Some(self.text(&parts.next()?)),
                action: self.action(parts.next()?)?,
            },
            Rule::bare => ClauseKind::Rule { name: None, action: self.action(parts.next()?)? },
            Rule::watch => ClauseKind::Watch(self.watch(parts)?),
            Rule::budget => {
                ClauseKind::Budget { kills: self.primary(parts.next()?)?.0, per: self.expr(parts.next()?)? }
            }
            Rule::default => ClauseKind::Default(self.action(parts.next()?)?),
            _ => return None,
        };
        Some(Clause { kind, span, faultless: false })
    }

    fn watch<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Watch> {
        let event = parts.next()?;
        let event_span = self.span(&event);
        let event = self.watched(event)?;
        let mut watch = Watch { event, event_span, lasting: None, cooldown: None, rules: Vec::new() };
        for part in parts {
            let (span, rule) = (self.span(&part), part.as_rule());
            let mut parts = inner(part);
            match rule {
                Rule::lasting => watch.lasting = Some(self.expr(parts.next()?)?),
                Rule::cooldown => watch.cooldown = Some(self.expr(parts.next()?)?),
                Rule::named => {
                    let name = Some(self.text(&parts.next()?));
                    watch.rules.push(Ruled { name, action: self.action(parts.next()?)?, span });
                }
                Rule::bare => {
                    watch.rules.push(Ruled { name: None, action: self.action(parts.next()?)?, span })
                }
                _ => return None,
            }
        }
        Some(watch)
    }

    fn watched(&mut self, pair: Pair<'_, Rule>) -> Option<Watched> {
        let rule = pair.as_rule();
        // The sign of a comparison is the only one that can stand there.
        let mut parts = inner(pair).filter(|part| part.as_rule() != Rule::above);
        Some(match rule {
            Rule::of_pressure => {
                let full = parts.next()?.as_str() == "full";
                let next = parts.next()?;
                match next.as_rule() {
                    Rule::average => {
                        Watched::Average { full, window: self.name(&next), above: self.expr(parts.next()?)? }
                    }
                    _ => Watched::Stall { full, above: self.expr(next)?, per: self.expr(parts.next()?)? },
                }
            }
            Rule::of_usage => Watched::Usage(self.expr(parts.next()?)?),
            Rule::of_swap => Watched::Swap(self.expr(parts.next()?)?),
            Rule::limit => Watched::Limit,
            _ => return None,
        })
    }

    fn protection<'p>(&mut self, parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Protection> {
        let mut never = Protection { rank: None, unit: None, path: None, place: None, condition: None };
        for part in parts {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::rank => never.rank = Some((rank(part.as_str())?, span)),
                Rule::unit => never.unit = Some((unit(part.as_str())?, span)),
                Rule::string => never.path = Some(self.text(&part)),
                Rule::within => never.place = Some(self.place(inner(part).next()?)?),
                Rule::filter => never.condition = Some(self.expr(inner(part).next()?)?),
                _ => return None,
            }
        }
        Some(never)
    }
}
