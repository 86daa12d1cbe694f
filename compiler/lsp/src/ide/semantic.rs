//! What each token is: words of the language, names by what they stand for, and the rest.

use core::ops::Range;
use std::collections::HashMap;

use oomc_compiler::resolve::uses::Meaning;
use oomc_grammar::words;

use super::names::{Declared, declared};
use super::tokens::{self, tokens};
use crate::analysis::Page;

/// What a token is; by their places the legend that a client is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Keyword,
    Comment,
    Text,
    Number,
    Operator,
    Field,
    Constant,
    Param,
    Label,
    Definition,
    /// A counter, a pick or a candidate.
    Variable,
}

/// All of them, with the names that the protocol has for such things.
pub(crate) const LEGEND: [(Kind, &str); 11] = [
    (Kind::Keyword, "keyword"),
    (Kind::Comment, "comment"),
    (Kind::Text, "string"),
    (Kind::Number, "number"),
    (Kind::Operator, "operator"),
    (Kind::Field, "property"),
    (Kind::Constant, "enumMember"),
    (Kind::Param, "parameter"),
    (Kind::Label, "decorator"),
    (Kind::Definition, "function"),
    (Kind::Variable, "variable"),
];

/// The tokens of a document that have a kind, in order; and whether each declares a name.
pub(crate) fn semantic(page: &Page<'_>) -> Vec<(Range<usize>, Kind, bool)> {
    let mut names: HashMap<usize, (usize, Kind, bool)> = HashMap::new();
    let policy = page.policy_file();
    let kinds: HashMap<usize, Kind> = policy
        .into_iter()
        .flat_map(declared)
        .map(|(name, what, _)| (name.span.range().start, kind_of(what)))
        .collect();
    for one in page.uses {
        let kind = match one.meaning {
            Meaning::Declared(span) => kinds.get(&span.range().start).copied().unwrap_or(Kind::Variable),
            Meaning::Candidate(span) => {
                names.insert(span.range().start, (span.range().end, Kind::Variable, true));
                Kind::Variable
            }
            Meaning::Field(_) | Meaning::Member(_) => Kind::Field,
        };
        names.insert(one.span.range().start, (one.span.range().end, kind, false));
    }
    for (name, what, _) in declared(page.file) {
        names.insert(name.span.range().start, (name.span.range().end, kind_of(what), true));
    }
    let words = words::all();
    let (mut found, mut after_dot, mut member) = (Vec::new(), false, None);
    for token in tokens(page.text) {
        let text = token.text(page.text);
        let is_member = std::mem::replace(&mut after_dot, text == ".");
        if let Some((end, kind, declares)) = names.get(&token.range.start).copied() {
            member = Some((end, kind));
            found.push((token.range, kind, declares));
            continue;
        }
        // The further parts of a field's name are the same name.
        if let Some((_, kind)) = member.filter(|(end, _)| token.range.end <= *end) {
            if token.kind == tokens::Kind::Word {
                found.push((token.range, kind, false));
            }
            continue;
        }
        let kind = match token.kind {
            tokens::Kind::Word if !is_member && words.contains(&text) => Kind::Keyword,
            tokens::Kind::Word => continue,
            tokens::Kind::Number => Kind::Number,
            tokens::Kind::Text => Kind::Text,
            tokens::Kind::Comment => Kind::Comment,
            tokens::Kind::Sign if "=!<>+-*/?|".contains(text) => Kind::Operator,
            tokens::Kind::Sign => continue,
        };
        found.push((token.range, kind, false));
    }
    found
}

fn kind_of(declared: Declared) -> Kind {
    match declared {
        Declared::Constant => Kind::Constant,
        Declared::Param => Kind::Param,
        Declared::Label => Kind::Label,
        Declared::Definition => Kind::Definition,
        Declared::State | Declared::Pick => Kind::Variable,
    }
}
