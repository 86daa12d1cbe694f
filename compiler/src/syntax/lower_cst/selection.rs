//! Of what, where, and in which order: selections, quantifiers, places and paths.

use oomc_grammar::Rule;
use oomc_grammar::pest::iterators::Pair;

use super::{Cst, inner, rank, unit};
use crate::syntax::ast::{Key, Path, Place, Quant, Quantifier, Selection};

impl Cst<'_> {
    pub(super) fn selection(&mut self, pair: Pair<'_, Rule>) -> Option<Selection> {
        let span = self.span(&pair);
        let (mut rank_word, mut unit_word, mut name, mut place) = (None, None, None, None);
        let (mut stepwise, mut filter, mut keys) = (None, None, Vec::new());
        for part in inner(pair) {
            let span = self.span(&part);
            match part.as_rule() {
                Rule::rank => rank_word = Some((rank(part.as_str())?, span)),
                Rule::unit => unit_word = Some((unit(part.as_str())?, span)),
                Rule::name => name = Some(self.name(&part)),
                Rule::within => place = Some(self.place(inner(part).next()?)?),
                Rule::stepwise => stepwise = Some(span),
                Rule::filter => filter = Some(self.expr(inner(part).next()?)?),
                Rule::order => {
                    for key in inner(part) {
                        let mut parts = inner(key);
                        let value = self.expr(parts.next()?)?;
                        let descending = parts.next().map(|direction| direction.as_str() == "desc");
                        keys.push(Key { value, descending });
                    }
                }
                _ => return None,
            }
        }
        Some(Selection {
            rank: rank_word,
            unit: unit_word,
            name,
            place: place?,
            stepwise,
            filter,
            keys,
            span,
        })
    }

    pub(super) fn place(&mut self, pair: Pair<'_, Rule>) -> Option<Place> {
        let (span, rule) = (self.span(&pair), pair.as_rule());
        match rule {
            Rule::path => return Some(Place::Cgroup(self.path(pair)?)),
            Rule::string => return Some(Place::Matching(self.text(&pair))),
            _ => {}
        }
        let of = match inner(pair).find(|part| part.as_rule() == Rule::path) {
            Some(path) => Some(self.path(path)?),
            None => None,
        };
        Some(match rule {
            Rule::descent => Place::Subtree(span, of),
            Rule::children => Place::Children(span, of?),
            Rule::leaves => Place::Leaves(span, of?),
            _ => return None,
        })
    }

    pub(super) fn path(&mut self, pair: Pair<'_, Rule>) -> Option<Path> {
        let span = self.span(&pair);
        let mut path = Path { segments: Vec::new(), indices: Vec::new(), span };
        for part in inner(pair) {
            match part.as_rule() {
                Rule::number => {
                    let of = path.segments.len().checked_sub(1)?;
                    path.indices.push((of, self.number(&part)?));
                }
                _ => path.segments.push(self.name(&part)),
            }
        }
        Some(path)
    }

    pub(super) fn quantifier(&mut self, pair: Pair<'_, Rule>) -> Option<Quantifier> {
        let begin = self.span(&pair).start;
        let (mut quant, mut of, mut name, mut place, mut filter) = (None, None, None, None, None);
        let mut fold: fn(Path) -> Quant = Quant::Sum;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::quant => {
                    quant = Some(match part.as_str() {
                        "any" => Quant::Any,
                        "every" => Quant::Every,
                        "count" => Quant::Count,
                        _ => return None,
                    });
                }
                Rule::fold => {
                    fold = match part.as_str() {
                        "sum" => Quant::Sum,
                        "max" => Quant::Max,
                        "min" => Quant::Min,
                        _ => return None,
                    }
                }
                Rule::path => quant = Some(fold(self.path(part)?)),
                Rule::unit => of = Some(unit(part.as_str())?),
                Rule::name => name = Some(self.name(&part)),
                Rule::within => place = Some(self.place(inner(part).next()?)?),
                Rule::filter => {
                    let word = quant.as_ref().map(Quant::spelling);
                    let outer = core::mem::replace(&mut self.quantifier, word.map(|word| (word, begin)));
                    let condition = self.expr(inner(part).next()?);
                    self.quantifier = outer;
                    filter = Some(condition?);
                }
                Rule::of => {}
                _ => return None,
            }
        }
        Some(Quantifier { quant: quant?, unit: of?, name, place: place?, filter })
    }
}
