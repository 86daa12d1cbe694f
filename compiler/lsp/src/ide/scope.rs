//! What encloses a place of a text that is still being written: its clause, and the candidates that are asked there.
//!
//! No tree covers such a place, so this looks at tokens: of the last clause before it, as far as it goes.

use oomc_compiler::syntax::ast::{Rank, Unit};
use oomc_grammar::{items, words};

use super::tokens::{Kind, Token, tokens};

/// A candidate that is asked at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) unit: Unit,
    pub(crate) name: Option<String>,
    /// Brackets around what introduces it.
    depth: usize,
}

/// A place in a clause.
pub(crate) struct Scope<'a> {
    /// The clause up to the place.
    pub(crate) clause: &'a str,
    pub(crate) tokens: Vec<Token>,
    /// The innermost last.
    pub(crate) candidates: Vec<Candidate>,
}

/// Words that begin an action: no candidate of what stands before is asked in it.
const ACTIONS: [&str; 9] =
    ["then", "else", "kill", "raise_limit", "reclaim", "wait", "defer", "notify", "count"];

impl<'a> Scope<'a> {
    /// What encloses a byte.
    pub(crate) fn at(text: &'a str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or_default();
        let start = items::split(before).last().map_or(at, |item| item.range.start);
        let clause = before.get(start..).unwrap_or_default();
        let tokens: Vec<Token> =
            tokens(clause).into_iter().filter(|token| token.kind != Kind::Comment).collect();
        let candidates = candidates(clause, &tokens);
        Self { clause, tokens, candidates }
    }

    /// The text of a token, counted from the end: 0 is the last one.
    pub(crate) fn last(&self, back: usize) -> &str {
        let at = self.tokens.len().checked_sub(back + 1);
        at.and_then(|at| self.tokens.get(at)).map_or("", |token| token.text(self.clause))
    }

    pub(crate) fn innermost(&self) -> Option<&Candidate> {
        self.candidates.last()
    }

    pub(crate) fn candidate(&self, name: &str) -> Option<&Candidate> {
        self.candidates.iter().rev().find(|candidate| candidate.name.as_deref() == Some(name))
    }
}

fn unit(word: &str) -> Option<Unit> {
    Unit::ALL.into_iter().find(|unit| unit.spelling() == word)
}

fn candidates(clause: &str, tokens: &[Token]) -> Vec<Candidate> {
    let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |token| token.text(clause));
    let introduces = |word: &str| {
        unit(word).is_some()
            || word == "kill"
            || word == "="
            || Rank::ALL.iter().any(|rank| rank.spelling() == word)
    };
    let mut found: Vec<Candidate> = Vec::new();
    let mut depth = 0_usize;
    for at in 0..tokens.len() {
        let (before, twice) = (text(at.checked_sub(1)), text(at.checked_sub(2)));
        match text(Some(at)) {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth = depth.saturating_sub(1);
                found.retain(|candidate| candidate.depth <= depth);
            }
            // The candidate's own name may stand before `in`.
            "in" => {
                let named = !introduces(before) && introduces(twice) && !words::reserved().contains(&before);
                if named || introduces(before) {
                    let word = if named { twice } else { before };
                    found.push(Candidate {
                        unit: unit(word).unwrap_or(Unit::Process),
                        name: named.then(|| before.to_owned()),
                        depth,
                    });
                }
            }
            // `never kill process where`, `define a = process where`
            "where" => {
                if let Some(unit) = unit(before) {
                    found.push(Candidate { unit, name: None, depth });
                }
            }
            // Of a quantifier, `count` has a unit behind it.
            "count" if unit(text(Some(at + 1))).is_some() => {}
            word if ACTIONS.contains(&word) => found.retain(|candidate| candidate.depth < depth),
            _ => {}
        }
    }
    // The field of `sum FIELD of …` belongs to what comes behind it; most often that is processes.
    let is_fold = words::of(oomc_grammar::Rule::fold).contains(&text(tokens.len().checked_sub(1)));
    if is_fold {
        found.push(Candidate { unit: Unit::Process, name: None, depth });
    }
    found
}
