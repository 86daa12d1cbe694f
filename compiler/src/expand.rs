//! `oomc fmt --expand`: the defaults of the language, written out.
//!
//! Takes a text and gives it with the words that its author left out: `largest`, `process`, `by footprint desc`,
//! `default defer`. What it means stays the same. White space is the formatter's; a clause that cannot be read
//! stays as it is.

use core::ops::Range;

use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::iterators::Pair;
use oomc_grammar::{OomParser, Rule, items};

/// Writes the defaults out.
#[must_use]
pub fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (place, word) in missing(text, &(0..text.len())) {
        out.push_str(text.get(at..place).unwrap_or_default());
        out.push_str(&word);
        at = place;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    if has_no_default(text) {
        out.push_str(if out.ends_with('\n') { "default defer\n" } else { "\ndefault defer\n" });
    }
    out
}

/// The words that selections leave out, each with its place, in order; of clauses that touch a stretch of the text.
#[must_use]
pub fn missing(text: &str, within: &Range<usize>) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    let touches = |range: &Range<usize>| range.start <= within.end && within.start <= range.end;
    for item in items::split(text).into_iter().filter(|item| touches(&item.range)) {
        let clause = text.get(item.range.clone()).filter(|_| item.problem.is_none());
        let Some(Ok(pairs)) = clause.map(|clause| OomParser::parse(Rule::item, clause)) else { continue };
        for pair in pairs.flatten().filter(|pair| pair.as_rule() == Rule::kill) {
            pair.into_inner().for_each(|part| selection(part, item.range.start, &mut words));
        }
    }
    words
}

/// Whether a policy has rules, and no `default`: deferring is implied.
fn has_no_default(text: &str) -> bool {
    let mut rules = false;
    for item in items::split(text) {
        let clause = text.get(item.range.clone()).filter(|_| item.problem.is_none());
        // A clause that cannot be read may be the default.
        let Some(Ok(pairs)) = clause.map(|clause| OomParser::parse(Rule::item, clause)) else { return false };
        for pair in pairs.flatten() {
            match pair.as_rule() {
                Rule::default => return false,
                Rule::named | Rule::bare => rules = true,
                _ => {}
            }
        }
    }
    rules
}

/// The words that are missing in a selection, each with its place, in order.
fn selection(pair: Pair<'_, Rule>, base: usize, words: &mut Vec<(usize, String)>) {
    if pair.as_rule() != Rule::selection {
        return;
    }
    let start = base + pair.as_span().start();
    let end = base + end(pair.clone());
    let parts: Vec<Pair<'_, Rule>> = pair.into_inner().collect();
    let part = |rule: Rule| parts.iter().find(|part| part.as_rule() == rule);
    let (rank, unit, order) = (part(Rule::rank), part(Rule::unit), part(Rule::order));
    if rank.is_none() && order.is_none() {
        words.push((start, "largest ".to_owned()));
    }
    if unit.is_none()
        && let Some(next) = part(Rule::name).or(part(Rule::within))
    {
        words.push((base + next.as_span().start(), "process ".to_owned()));
    }
    let direction = if rank.is_some_and(|rank| rank.as_str() == "smallest") { "asc" } else { "desc" };
    match order {
        Some(order) => {
            for key in order.clone().into_inner().filter(|part| part.as_rule() == Rule::key) {
                if key.clone().into_inner().all(|part| part.as_rule() != Rule::direction) {
                    words.push((base + self::end(key), format!(" {direction}")));
                }
            }
        }
        // Other words are orders of their own.
        None if rank.is_none_or(|rank| matches!(rank.as_str(), "largest" | "smallest")) => {
            let key = if unit.is_some_and(|unit| unit.as_str() == "cgroup") { "usage" } else { "footprint" };
            words.push((end, format!(" by {key} {direction}")));
        }
        None => {}
    }
}

/// The end of the last token: the span of a rule may hold white space behind it.
fn end(pair: Pair<'_, Rule>) -> usize {
    let end = pair.as_span().end();
    pair.into_inner().flatten().last().map_or(end, |last| last.as_span().end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_written() {
        for (text, expanded) in [
            ("kill in subtree", "kill largest process in subtree by footprint desc"),
            ("kill cgroup in subtree # c", "kill largest cgroup in subtree by usage desc # c"),
            ("kill smallest p in subtree", "kill smallest process p in subtree by footprint asc"),
            ("kill youngest in subtree now", "kill youngest process in subtree now"),
            ("kill in subtree by rss, age asc now", "kill process in subtree by rss desc, age asc now"),
            (
                "if true then { kill largest in subtree where rss > 1KiB # c\n now }",
                "if true then { kill largest process in subtree where rss > 1KiB by footprint desc # c\n now }",
            ),
        ] {
            assert_eq!(expand(text), format!("{expanded}\ndefault defer\n"));
            assert_eq!(expand(&expand(text)), expand(text));
        }
        for text in ["", "const a = 1", "wait default kill worst process in subtree", "wait defalt defer"] {
            assert_eq!(expand(text), text);
        }
    }
}
