//! The words of the language, read from the grammar: whoever lists some takes them from here.
//!
//! Takes the text of `oom.pest` and gives, for each rule that stands for nothing but words, these words: `kw_kill` is
//! `kill`, `rank` is `largest`, `smallest` and so on. Knows nothing of where a word may stand.

use std::sync::LazyLock;

use crate::{GRAMMAR, Rule};

/// Words by the number of their rule.
static WORDS: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
    let all = Rule::all_rules();
    let mut words = vec![Vec::new(); all.len()];
    for (name, body) in bodies() {
        let at = all.iter().position(|rule| format!("{rule:?}") == name);
        if let Some(place) = at.and_then(|at| words.get_mut(at)) {
            *place = alternatives(body);
        }
    }
    words
});

/// The words that a rule stands for, in the grammar's order; none if it stands for anything else.
#[must_use]
pub fn of(rule: Rule) -> &'static [&'static str] {
    let at = Rule::all_rules().iter().position(|known| *known == rule);
    at.and_then(|at| WORDS.get(at)).map_or(&[], Vec::as_slice)
}

/// Words that cannot be names, those of later parts of the language included.
#[must_use]
pub fn reserved() -> &'static [&'static str] {
    of(Rule::word)
}

/// Every word that some rule of the grammar reads, once.
#[must_use]
pub fn all() -> Vec<&'static str> {
    let rules = Rule::all_rules().iter().filter(|rule| **rule != Rule::word);
    let mut all: Vec<&str> = rules.flat_map(|rule| of(*rule)).copied().collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether a rule is a sign or a keyword that only leads a reader, and a parser's messages, to what stands beside it.
///
/// These rules stand together in the grammar, so that this is a comparison.
#[must_use]
pub fn only_leads(rule: Rule) -> bool {
    (Rule::equals..=Rule::kw_define).contains(&rule)
}

/// Each rule with what stands between its braces.
pub(crate) fn bodies() -> impl Iterator<Item = (&'static str, &'static str)> {
    GRAMMAR.match_indices(" = ").filter_map(|(at, _)| {
        let (before, rest) = (GRAMMAR.get(..at)?, GRAMMAR.get(at + 3..)?);
        let name = before.rsplit('\n').next()?.trim_end();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        let body = rest.trim_start_matches(['_', '@']).strip_prefix('{')?;
        // A brace may stand in quotes.
        let end = [" }\n", "\n}"].into_iter().filter_map(|end| body.find(end)).min()?;
        is_name.then_some((name, body.get(..end)?.trim()))
    })
}

/// The words of `"a"`, `"a" | "b"`, or `("a" | "b") ~ !letter`.
fn alternatives(body: &'static str) -> Vec<&'static str> {
    let list = body.strip_suffix("~ !letter").unwrap_or(body).trim();
    let list = list.strip_prefix('(').and_then(|list| list.strip_suffix(')')).unwrap_or(list);
    let quoted = |part: &'static str| part.trim().strip_prefix('"')?.strip_suffix('"');
    let is_word = |word: &&str| {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
        word.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
            && word.bytes().next().is_some_and(letter)
    };
    let words: Option<Vec<&str>> = list.split('|').map(|part| quoted(part).filter(is_word)).collect();
    words.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_a_body() {
        let names: Vec<&str> = bodies().map(|(name, _)| name).collect();
        for rule in Rule::all_rules().iter().filter(|rule| **rule != Rule::EOI) {
            let name = format!("{rule:?}");
            assert_eq!(names.iter().filter(|found| **found == name).count(), 1, "{name}");
        }
    }

    #[test]
    fn a_rule_gives_its_words_and_no_signs() {
        assert_eq!(of(Rule::kw_raise_limit), ["raise_limit"]);
        assert_eq!(of(Rule::rank), ["largest", "smallest", "youngest", "oldest", "worst", "all"]);
        assert_eq!(of(Rule::not), ["not"]);
        assert_eq!(of(Rule::average), ["avg10", "avg60", "avg300"]);
        for rule in [Rule::equals, Rule::expr, Rule::name, Rule::item, Rule::close_brace] {
            assert_eq!(of(rule), [""; 0], "{rule:?}");
        }
    }

    #[test]
    fn keywords_have_one_word_and_stand_together() {
        for rule in Rule::all_rules() {
            let keyword = format!("{rule:?}").starts_with("kw_");
            assert_eq!(keyword, only_leads(*rule) && !of(*rule).is_empty(), "{rule:?}");
            assert!(!keyword || of(*rule).len() == 1, "{rule:?}");
        }
        for sign in [Rule::equals, Rule::dots, Rule::comma, Rule::open_brace, Rule::close_brace] {
            assert!(only_leads(sign), "{sign:?}");
        }
        assert!(!only_leads(Rule::minus) && !only_leads(Rule::reserved) && !only_leads(Rule::of));
    }

    #[test]
    fn a_reserved_word_is_read_somewhere_or_kept_for_later() {
        let later = ["import"];
        let (all, reserved) = (all(), reserved());
        let unread: Vec<&str> = reserved.iter().copied().filter(|word| !all.contains(word)).collect();
        assert_eq!(unread, later);
    }
}
