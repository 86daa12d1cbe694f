//! Which words are coloured alike.
//!
//! A colour is found by the grammar rule that reads a word, because one word may stand for several things: `count` is an
//! action, a quantifier and a type. Where an editor sees only the word, the first of its rules decides.

use oomc_grammar::{Rule, items, precedence, words};

/// What a word is for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Colour {
    /// Begins a clause: `policy`, `never`, `on`.
    Clause,
    /// Chooses between actions or values: `if`.
    Control,
    /// Does something: `kill`.
    Action,
    /// Stands between or before values: `and`.
    Operator,
    /// What candidates are: `process`.
    Unit,
    /// A value: `true`.
    Constant,
    /// A type: `bytes`.
    Type,
    /// Any other word: `largest`, `where`.
    Modifier,
}

/// What a colour is called where it is used.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// A scope of TextMate's, without the language at its end.
    pub scope: &'static str,
    /// A capture of tree-sitter's queries.
    pub capture: &'static str,
    /// The end of the name of a group in Vim, and the group of Vim's that it looks like.
    pub vim: (&'static str, &'static str),
}

impl Colour {
    /// Each of them.
    pub const ALL: [Self; 8] = [
        Self::Clause,
        Self::Control,
        Self::Action,
        Self::Operator,
        Self::Unit,
        Self::Constant,
        Self::Type,
        Self::Modifier,
    ];

    /// What editors call it.
    #[must_use]
    pub fn names(self) -> Names {
        let (scope, capture, vim) = match self {
            Self::Clause => ("keyword.declaration", "keyword", ("Clause", "Statement")),
            Self::Control => ("keyword.control", "keyword.conditional", ("Control", "Conditional")),
            Self::Action => ("keyword.action", "keyword.function", ("Action", "Function")),
            Self::Operator => ("keyword.operator.word", "keyword.operator", ("Operator", "Operator")),
            Self::Unit => ("support.class", "type.builtin", ("Unit", "Structure")),
            Self::Constant => ("constant.language", "boolean", ("Constant", "Boolean")),
            Self::Type => ("support.type", "type", ("Type", "Type")),
            Self::Modifier => ("keyword.other", "keyword.modifier", ("Modifier", "Keyword")),
        };
        Names { scope, capture, vim }
    }
}

/// The colour of the words that a rule reads; none if it reads something else than words, or only lists them.
#[must_use]
pub fn of(rule: Rule) -> Option<Colour> {
    let word = *words::of(rule).first().filter(|_| rule != Rule::word)?;
    let operator = || precedence::TABLE.iter().flat_map(|level| level.ops).any(|(op, _)| *op == rule);
    Some(match rule {
        Rule::boolean => Colour::Constant,
        Rule::type_name => Colour::Type,
        Rule::unit | Rule::anchor => Colour::Unit,
        Rule::kw_if | Rule::kw_then | Rule::kw_else => Colour::Control,
        // Quantifiers share words with types and actions.
        Rule::quant | Rule::fold => Colour::Modifier,
        Rule::kw_or => Colour::Operator,
        _ if operator() => Colour::Operator,
        _ if items::action_words().any(|known| known == word) => Colour::Action,
        _ if items::clause_words().any(|known| known == word) => Colour::Clause,
        _ => Colour::Modifier,
    })
}

/// The colour that a word has wherever it stands, for editors that see no more than the word.
#[must_use]
pub fn of_word(word: &str) -> Option<Colour> {
    // A rule that reads nothing else than the word tells more of it than one that reads many.
    let rules = Rule::all_rules().iter().filter(|rule| words::of(**rule).contains(&word));
    rules.filter_map(|rule| Some((words::of(*rule).len(), of(*rule)?))).min().map(|(_, colour)| colour)
}

/// Words with this colour: first those that can be nothing else, then those that may be names as well.
#[must_use]
pub fn words_of(colour: Colour) -> (Vec<&'static str>, Vec<&'static str>) {
    let all = words::all().into_iter().filter(|word| of_word(word) == Some(colour));
    all.partition(|word| words::reserved().contains(word))
}
