//! The grammar of the oom policy language: text to parse tree.
//!
//! Owns the spelling: what a word, a clause and an operator look like. Takes text and gives pest pairs, one
//! clause at a time ([`items`]). Knows nothing of what a policy means.

pub mod items;
pub mod precedence;
pub mod words;

pub use pest;

/// The grammar, as printed in the book.
pub const GRAMMAR: &str = include_str!("../oom.pest");

// The derive macro writes items without documentation.
#[expect(missing_docs, reason = "the derive macro writes the enum; the grammar documents its rules")]
mod parser {
    /// The parser that the grammar describes.
    #[derive(pest_derive::Parser)]
    #[grammar = "oom.pest"]
    pub struct OomParser;
}

pub use parser::{OomParser, Rule};

#[cfg(test)]
mod tests {
    use pest::Parser as _;

    use super::*;

    /// `name = …` with the `/// example` above it.
    fn examples() -> Vec<(&'static str, Option<&'static str>)> {
        let mut found = Vec::new();
        let mut example = None;
        for line in GRAMMAR.lines() {
            if let Some(text) = line.strip_prefix("/// ") {
                example = Some(text);
            } else if let Some((name, _)) = line.split_once('=')
                && name.trim_end().bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                && !name.is_empty()
            {
                found.push((name.trim_end(), example.take()));
            }
        }
        found
    }

    #[test]
    fn every_rule_has_an_example_that_it_accepts() {
        let examples = examples();
        for rule in Rule::all_rules() {
            let name = format!("{rule:?}");
            if ["EOI", "WHITESPACE", "COMMENT"].contains(&name.as_str()) {
                continue;
            }
            let example = examples.iter().find(|(rule, _)| *rule == name).and_then(|(_, example)| *example);
            let example = example.unwrap_or_else(|| panic!("`{name}` has no example"));
            let parsed = OomParser::parse(*rule, example).unwrap_or_else(|error| panic!("`{name}`: {error}"));
            // A silent rule gives the pairs inside of it, or none.
            let whole = parsed.as_str();
            assert!(whole == example || whole.is_empty(), "`{name}` reads `{whole}` of `{example}`");
        }
    }

    #[test]
    fn reserved_words_are_no_names_and_their_beginnings_are() {
        for word in ["kill", "in", "not", "notify", "raise_limit", "cgroup"] {
            assert!(OomParser::parse(Rule::name, word).is_err(), "{word}");
        }
        for name in ["killer", "inn", "i", "raise", "_in", "cgroups", "n0t"] {
            let parsed = OomParser::parse(Rule::name, name).map(|pairs| pairs.as_str().to_owned());
            assert_eq!(parsed.ok().as_deref(), Some(name));
        }
    }
}
