//! `test` blocks: what is given, what happens, and what is expected of it.

use oomc_grammar::Rule;
use oomc_grammar::pest::iterators::Pair;

use super::{Cst, inner, unit};
use crate::syntax::ast::{Expr, ExprKind, Given, GivenKind, Outcome, Property, Seen, Step, StepKind, Test};

impl Cst<'_> {
    pub(super) fn test<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Test> {
        let name = self.text(&parts.next()?);
        let mut steps = Vec::new();
        for part in parts {
            let span = self.span(&part);
            let rule = part.as_rule();
            let mut parts = inner(part);
            let kind = match rule {
                Rule::given => {
                    let mut objects = Vec::new();
                    for part in parts {
                        objects.push(match part.as_rule() {
                            Rule::setting => {
                                let mut parts = inner(part);
                                let name = self.name(&parts.next()?);
                                GivenKind::Param(name, self.literal(parts)??)
                            }
                            _ => GivenKind::Object(self.given(part)?),
                        });
                    }
                    StepKind::Given(objects)
                }
                Rule::event => self.event(parts)?,
                Rule::passes => StepKind::After(self.primary(parts.next()?)?.0),
                Rule::expectation => {
                    let outcome = self.outcome(parts.next()?)?;
                    let rule = match parts.next() {
                        Some(by) => Some(self.text(&inner(by).find(|part| part.as_rule() == Rule::string)?)),
                        None => None,
                    };
                    StepKind::Expect { outcome, rule }
                }
                _ => return None,
            };
            steps.push(Step { kind, span });
        }
        Some(Test { name, steps })
    }

    fn event<'p>(&mut self, parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<StepKind> {
        let (mut system, mut cgroup, mut properties) = (false, None, Vec::new());
        let (mut event, mut lasting) = (None, None);
        for part in parts {
            match part.as_rule() {
                Rule::system => system = true,
                Rule::circumstances => properties = self.properties(inner(part))?,
                Rule::string => cgroup = Some(self.text(&part)),
                Rule::lasting => lasting = Some(self.expr(inner(part).next()?)?),
                Rule::usage => event = Some(Seen::Usage),
                Rule::swap => event = Some(Seen::Swap),
                Rule::limit => event = Some(Seen::Limit),
                Rule::seen_pressure => event = Some(self.seen_pressure(inner(part))?),
                _ => return None,
            }
        }
        Some(match event {
            Some(event) => StepKind::Seen { event, cgroup, lasting, properties },
            None => StepKind::Event { system, cgroup, properties },
        })
    }

    fn seen_pressure<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Seen> {
        let full = parts.next()?.as_str() == "full";
        let next = parts.next()?;
        Some(match next.as_rule() {
            Rule::average => {
                Seen::Average { full, window: self.name(&next), value: self.primary(parts.next()?)?.0 }
            }
            _ => Seen::Stall { full, above: self.primary(next)?.0, per: self.primary(parts.next()?)?.0 },
        })
    }

    fn given(&mut self, object: Pair<'_, Rule>) -> Option<Given> {
        let span = self.span(&object);
        let mut parts = inner(object);
        let path = self.text(&parts.next()?);
        let properties = self.properties(parts)?;
        Some(Given { path, properties, span })
    }

    fn properties<'p>(&mut self, pairs: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Vec<Property>> {
        let mut properties = Vec::new();
        for property in pairs {
            let mut parts = inner(property);
            let name = self.path(parts.next()?)?;
            properties.push(Property { name, value: self.literal(parts)? });
        }
        Some(properties)
    }

    /// A value, which may have a sign; inside, none if there is none.
    fn literal<'p>(&mut self, mut parts: impl Iterator<Item = Pair<'p, Rule>>) -> Option<Option<Expr>> {
        Some(match parts.next() {
            Some(minus) if minus.as_rule() == Rule::minus => {
                let (value, _) = self.primary(parts.next()?)?;
                let span = self.span(&minus).to(value.span);
                Some(Expr { kind: ExprKind::Minus(Box::new(value)), span })
            }
            Some(value) => Some(self.primary(value)?.0),
            None => None,
        })
    }

    fn outcome(&mut self, pair: Pair<'_, Rule>) -> Option<Outcome> {
        let rule = pair.as_rule();
        let mut parts = inner(pair);
        Some(match rule {
            Rule::expect_unasked => Outcome::NotAsked,
            Rule::expect_nobody => Outcome::KillNobody,
            Rule::expect_kill => {
                let (mut of, mut victims) = (None, Vec::new());
                for part in parts {
                    match part.as_rule() {
                        Rule::unit => of = Some((unit(part.as_str())?, self.span(&part))),
                        _ => victims.push(self.text(&part)),
                    }
                }
                Outcome::Kill(of, victims)
            }
            Rule::expect_raise => {
                Outcome::RaiseLimit(self.text(&parts.next()?), self.primary(parts.next()?)?.0)
            }
            Rule::expect_reclaim => Outcome::Reclaim(self.primary(parts.next()?)?.0),
            Rule::expect_candidates => Outcome::Candidates(parts.map(|part| self.text(&part)).collect()),
            Rule::expect_freed => Outcome::Freed(self.primary(parts.next()?)?.0),
            Rule::reason => Outcome::Reason(self.text(&parts.next()?)),
            Rule::notice => Outcome::Notify(self.text(&parts.next()?)),
            Rule::wait => Outcome::Wait,
            Rule::defer => Outcome::Defer,
            _ => return None,
        })
    }
}
