//! A set of patterns as one automaton over bytes: what a match costs does not grow with the set.
//!
//! Built from all patterns at once by the subset construction: a state is the set of places in patterns that a text
//! may have come to. Bytes that no pattern tells apart are one class. Knows nothing of BPF.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

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
/// From this many patterns on it is estimated first how many fit into one automaton, by about so many of them.
const MANY: usize = 64;
const SAMPLE: usize = 16;

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
    let parts = patterns.len().div_ceil(fitting(patterns)).max(1);
    patterns.chunks(patterns.len().div_ceil(parts).max(1)).flat_map(halve).collect()
}

/// About how many of the patterns fit into one automaton, at least 1.
fn fitting(patterns: &[Pattern]) -> usize {
    let all = patterns.len().max(1);
    if all <= MANY {
        return all;
    }
    let sample: Vec<Pattern> = patterns.iter().step_by(all / SAMPLE).cloned().collect();
    let Some(automaton) = Automaton::new(&sample) else { return all };
    let tokens: Vec<Vec<Token>> = patterns.iter().map(tokens).collect();
    let fit = most_states(classes(&tokens).1.len()) * sample.len() / automaton.states.len();
    // What neighbours share, the sample does not know.
    if all <= 2 * fit { all } else { fit.max(1) }
}

fn halve(patterns: &[Pattern]) -> Vec<Part> {
    if let Some(automaton) = Automaton::new(patterns) {
        return vec![Part::Automaton(automaton)];
    }
    match patterns {
        [] => Vec::new(),
        [alone] => vec![Part::Alone(alone.clone())],
        several => {
            let (first, second) = several.split_at(several.len() / 2);
            halve(first).into_iter().chain(halve(second)).collect()
        }
    }
}

/// The states that an automaton may have whose bytes are in so many classes.
fn most_states(classes: usize) -> usize {
    MAX_STATES.min(MAX_TRANSITIONS / classes.next_power_of_two())
}

/// A place in a pattern: the number of the token that comes next, among those of all patterns; behind the last token of
/// each there is an end.
type Place = u32;

impl Automaton {
    /// The automaton that matches what one of the patterns matches as a whole; none if it is too large.
    #[must_use]
    pub fn new(patterns: &[Pattern]) -> Option<Self> {
        let parts: Vec<Vec<Token>> = patterns.iter().map(tokens).collect();
        let (classes, examples) = classes(&parts);
        let (mut tokens, mut starts) = (Vec::new(), Vec::new());
        for part in parts {
            starts.push(u32::try_from(tokens.len()).ok()?);
            tokens.extend(part.into_iter().map(Some).chain([None]));
        }
        let mut builder = Builder { tokens, numbers: HashMap::new(), sets: Vec::new() };
        builder.number(starts);
        let most = most_states(examples.len());
        let mut states = vec![vec![DEAD; examples.len()]; usize::from(START)];
        let mut at = 0;
        while let Some(set) = builder.sets.get(at).map(Rc::clone) {
            if builder.sets.len() > most {
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

struct Builder {
    /// Of all patterns; none: the end of one.
    tokens: Vec<Option<Token>>,
    numbers: HashMap<Rc<[Place]>, u16>,
    /// Sorted.
    sets: Vec<Rc<[Place]>>,
}

impl Builder {
    /// The number of a set of places, once all places are in it that need no byte.
    fn number(&mut self, mut places: Vec<Place>) -> u16 {
        places.sort_unstable();
        let mut all: Vec<Place> = Vec::with_capacity(places.len());
        for mut place in places {
            // What is not behind the last one is in it: stars lead from each place to the next.
            while all.last().is_none_or(|last| *last < place) {
                all.push(place);
                if matches!(self.token(place), Some(Token::Star | Token::DoubleStar)) {
                    place += 1;
                }
            }
        }
        if all.is_empty() {
            return DEAD;
        }
        if let Some(number) = self.numbers.get(all.as_slice()) {
            return *number;
        }
        // No more than `MAX_STATES` are looked at.
        let number = START.saturating_add(u16::try_from(self.sets.len()).unwrap_or(u16::MAX));
        let set: Rc<[Place]> = all.into();
        self.sets.push(Rc::clone(&set));
        self.numbers.insert(set, number);
        number
    }

    fn token(&self, place: Place) -> Option<Token> {
        self.tokens.get(place as usize).copied().flatten()
    }

    /// Where a byte leads from a set of places.
    fn step(&mut self, set: &[Place], byte: u8) -> u16 {
        if byte == 0 {
            let ended = set.iter().any(|place| self.token(*place).is_none());
            return if ended { MATCHED } else { DEAD };
        }
        let next = set.iter().filter_map(|&place| match self.token(place)? {
            Token::Star if byte != b'/' => Some(place),
            Token::DoubleStar => Some(place),
            Token::One if byte != b'/' => Some(place + 1),
            Token::Byte(wanted) if wanted == byte => Some(place + 1),
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
