//! A set of patterns as one automaton over bytes: what a match costs does not grow with the set.
//!
//! Built from all patterns at once by the subset construction: a state is the set of places in patterns that a text
//! may have come to. Bytes that no pattern tells apart are one class. Knows nothing of BPF.

use std::collections::{BTreeSet, HashMap};

use super::Pattern;
use super::glob::{Token, tokens};

/// The state in which nothing can match any more.
pub const DEAD: u16 = 0;
/// The state in which the whole text has matched; reached by its end only.
pub const MATCHED: u16 = 1;
/// The state before the first byte.
pub const START: u16 = 2;

/// States of one automaton. A few patterns with many `*` need many; then the set is divided.
const MAX_STATES: usize = 2048;
/// Transitions of one automaton, with those that fill up each state.
const MAX_TRANSITIONS: usize = 1 << 16;

/// An automaton; texts end with the byte 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// The class of each byte.
    pub classes: Vec<u8>,
    /// How many classes there are.
    pub class_count: usize,
    /// Of each state, the next one for each class.
    pub states: Vec<Vec<u16>>,
}

/// A part of a set of patterns.
#[derive(Clone, Debug)]
pub enum Part {
    /// Some of them.
    Automaton(Automaton),
    /// One that has no automaton of reasonable size.
    Alone(Pattern),
}

/// Divides patterns until each part has an automaton.
#[must_use]
pub fn divide(patterns: &[Pattern]) -> Vec<Part> {
    if let Some(automaton) = Automaton::new(patterns) {
        return vec![Part::Automaton(automaton)];
    }
    match patterns {
        [] => Vec::new(),
        [alone] => vec![Part::Alone(alone.clone())],
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            divide(first).into_iter().chain(divide(second)).collect()
        }
    }
}

/// A place in a pattern: the pattern, and how many of its tokens are behind.
type Place = (usize, usize);

impl Automaton {
    /// The automaton that matches what one of the patterns matches as a whole; none if it is too large.
    #[must_use]
    pub fn new(patterns: &[Pattern]) -> Option<Self> {
        let parts: Vec<Vec<Token>> = patterns.iter().map(tokens).collect();
        let (classes, examples) = classes(&parts);
        let mut builder = Builder { parts: &parts, numbers: HashMap::new(), sets: Vec::new() };
        builder.number((0..parts.len()).map(|pattern| (pattern, 0)).collect());
        let width = examples.len().next_power_of_two();
        let mut states = vec![vec![DEAD; examples.len()]; usize::from(START)];
        let mut at = 0;
        while let Some(set) = builder.sets.get(at).cloned() {
            if builder.sets.len() > MAX_STATES || builder.sets.len() * width > MAX_TRANSITIONS {
                return None;
            }
            states.push(examples.iter().map(|byte| builder.step(&set, *byte)).collect());
            at += 1;
        }
        Some(Self { classes, class_count: examples.len(), states })
    }

    /// Whether a text matches as a whole.
    #[must_use]
    pub fn matches(&self, text: &[u8]) -> bool {
        let step = |state: u16, byte: u8| {
            let class = self.classes.get(usize::from(byte)).copied().unwrap_or_default();
            self.states.get(usize::from(state)).and_then(|row| row.get(usize::from(class))).copied()
        };
        let ended = text.iter().chain(&[0]).try_fold(START, |state, byte| step(state, *byte));
        ended == Some(MATCHED)
    }
}

/// The class of each byte, and a byte of each class: the end of a text, `/`, each byte that a pattern names, and all
/// others.
fn classes(parts: &[Vec<Token>]) -> (Vec<u8>, Vec<u8>) {
    let named = parts.iter().flatten().filter_map(|token| match token {
        Token::Byte(byte) => Some(*byte),
        _ => None,
    });
    let named: BTreeSet<u8> = named.chain([0, b'/']).collect();
    let other = (0..=u8::MAX).find(|byte| !named.contains(byte));
    let examples: Vec<u8> = other.into_iter().chain(named.iter().copied()).collect();
    let first = usize::from(other.is_some());
    let class = |byte: u8| named.iter().position(|one| *one == byte).map_or(0, |at| at + first);
    ((0..=u8::MAX).map(|byte| class(byte) as u8).collect(), examples)
}

struct Builder<'a> {
    parts: &'a [Vec<Token>],
    numbers: HashMap<Vec<Place>, u16>,
    sets: Vec<Vec<Place>>,
}

impl Builder<'_> {
    /// The number of a set of places, once all places are in it that need no byte.
    fn number(&mut self, places: BTreeSet<Place>) -> u16 {
        let mut all = places;
        let mut open: Vec<Place> = all.iter().copied().collect();
        while let Some((pattern, at)) = open.pop() {
            if matches!(self.token((pattern, at)), Some(Token::Star | Token::DoubleStar))
                && all.insert((pattern, at + 1))
            {
                open.push((pattern, at + 1));
            }
        }
        if all.is_empty() {
            return DEAD;
        }
        let set: Vec<Place> = all.into_iter().collect();
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        // No more than `MAX_STATES` are looked at.
        let number = START.saturating_add(u16::try_from(self.sets.len()).unwrap_or(u16::MAX));
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        number
    }

    fn token(&self, (pattern, at): Place) -> Option<Token> {
        self.parts.get(pattern).and_then(|tokens| tokens.get(at)).copied()
    }

    /// Where a byte leads from a set of places.
    fn step(&mut self, set: &[Place], byte: u8) -> u16 {
        if byte == 0 {
            let ended = set.iter().any(|place| self.token(*place).is_none());
            return if ended { MATCHED } else { DEAD };
        }
        let next = set.iter().filter_map(|&(pattern, at)| match self.token((pattern, at))? {
            Token::Star if byte != b'/' => Some((pattern, at)),
            Token::DoubleStar => Some((pattern, at)),
            Token::One if byte != b'/' => Some((pattern, at + 1)),
            Token::Byte(wanted) if wanted == byte => Some((pattern, at + 1)),
            _ => None,
        });
        let next = next.collect();
        self.number(next)
    }
}

#[cfg(test)]
mod tests {
    use super::super::glob;
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts.iter().map(|text| Pattern::new(text)).collect()
    }

    #[test]
    fn an_automaton_matches_what_the_patterns_match() {
        let sets: &[&[&str]] = &[
            &["sshd"],
            &["sshd", "systemd", "systemd-*", "a?c", "*"],
            &["*foo*", "bar*", "*b"],
            &["/a/**", "/a/*/c", "**/d", "a*b*c", "?"],
            &["", "**"],
        ];
        let texts = [
            "",
            "sshd",
            "ssh",
            "sshd2",
            "systemd",
            "systemd-x",
            "abc",
            "ac",
            "a/c",
            "foo",
            "xfoox",
            "bar",
            "b",
            "/a",
            "/a/",
            "/a/b",
            "/a/b/c",
            "/x/d",
            "d",
            "axbxc",
            "a/b/c",
            "x",
            "/",
            "ü",
        ];
        for set in sets {
            let patterns = patterns(set);
            let expanded: Vec<Pattern> = patterns.iter().flat_map(glob::alternatives).collect();
            let automaton = Automaton::new(&expanded).expect("a small one");
            for text in texts {
                let expected = patterns.iter().any(|pattern| glob::matches(pattern, text));
                assert_eq!(automaton.matches(text.as_bytes()), expected, "{set:?} {text:?}");
            }
        }
    }

    #[test]
    fn a_hundred_globs_are_one_automaton() {
        let texts: Vec<String> = (0..100).map(|at| format!("worker-{at}-*x")).collect();
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text)).collect();
        assert!(matches!(divide(&patterns).as_slice(), [Part::Automaton(_)]));
    }

    #[test]
    fn a_set_without_an_automaton_of_reasonable_size_is_divided() {
        let texts: Vec<String> = (b'a'..=b'z').map(|byte| format!("*{0}*{0}*", char::from(byte))).collect();
        let patterns: Vec<Pattern> = texts.iter().map(|text| Pattern::new(text)).collect();
        let parts = divide(&patterns);
        assert!(parts.len() > 1 && parts.iter().all(|part| matches!(part, Part::Automaton(_))));
        // What is asked after a `*` is remembered for as many bytes as there are `?`.
        let alone = divide(&[Pattern::new("*a????????????????")]);
        assert!(matches!(alone.as_slice(), [Part::Alone(_)]));
    }
}
