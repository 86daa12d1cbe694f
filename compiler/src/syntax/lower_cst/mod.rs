//! Parse trees to the AST. Besides the formatter (`format.rs`), only the files of this folder see the grammar's rules.
//!
//! Takes the items of a file, parses each, and turns what pest found ([`clause`], [`test`], [`action`], [`selection`],
//! [`expr`]), or did not find ([`expected`], [`hints`]), into clauses or diagnostics. An item with a mistake costs one diagnostic
//! and is left out.

mod action;
mod clause;
mod expected;
mod expr;
mod hints;
mod selection;
mod test;

use oomc_abi::amount;
use oomc_grammar::items::{self, Item, Problem, ProblemKind};
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::error::InputLocation;
use oomc_grammar::pest::iterators::{Pair, Pairs};
use oomc_grammar::{OomParser, Rule, words};

use self::expected::{token, unexpected};
use super::ast::{Clause, Expr, File, Name, Rank, Text, Unit};
use super::errors;
use super::shift::Shift as _;
use crate::diag::{Diagnostic, Fix, Sink};
use crate::source::{Source, Span};

/// Operators in one expression, and actions in one `or`, that hang on each other. The tree is walked
/// recursively, so its depth is bounded here.
pub const MAX_CHAIN: usize = 256;

/// A text that was parsed, of which another one differs in one place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Before<'a> {
    pub(crate) source: &'a Source,
    pub(crate) file: &'a File,
}

impl Before<'_> {
    /// The clause of the same text before the place where the two texts differ, or behind it, where everything stands
    /// so many bytes further.
    fn clause(self, text: &str, start: u32, further: i32) -> Option<Clause> {
        let clauses = &self.file.clauses;
        [0, further].into_iter().find_map(|further| {
            let from = start.checked_add_signed(further.checked_neg()?)?;
            let at = clauses.binary_search_by_key(&from, |clause| clause.span.start).ok()?;
            let found = clauses.get(at)?;
            if !found.faultless || self.source.slice(found.span) != text {
                return None;
            }
            let mut clause = found.clone();
            clause.shift(further);
            Some(clause)
        })
    }
}

/// Parses a file. What it has in common with what was parsed before is taken from there: the tree of a clause depends
/// on nothing but its text.
pub(crate) fn parse(source: &Source, before: Option<Before<'_>>, sink: &mut Sink) -> File {
    let mut file = File::default();
    let further = before.map_or(0, |before| source.text.len() as i32 - before.source.text.len() as i32);
    for item in items::split(&source.text) {
        if sink.is_full() {
            sink.push(errors::clauses_left_out());
            break;
        }
        let text = source.text.get(item.range.clone()).filter(|_| item.problem.is_none());
        let start = Span::new(item.range.clone()).start;
        let known = text.and_then(|text| before?.clause(text, start, further));
        if let Some(known) = known {
            file.clauses.push(known);
            continue;
        }
        let said = sink.pushed();
        let clause = clause(source, &item, sink);
        let faultless = sink.pushed() == said;
        match clause.map(|clause| Clause { faultless, ..clause }) {
            Some(clause) => file.clauses.push(clause),
            None => file.lost.extend(item.declares.map(|declares| {
                let span = Span::new(declares);
                Name { text: source.slice(span).to_owned(), span }
            })),
        }
    }
    file
}

/// A part of the text as an expression: a value in the braces of a message.
pub(crate) fn parse_expr(source: &Source, span: Span, sink: &mut Sink) -> Option<Expr> {
    let range = span.range();
    let text = source.text.get(range.clone()).unwrap_or("");
    let item = Item { range: range.clone(), problem: None, declares: None };
    // The depth of what the parser sees was bounded for the clause, not for a string in it.
    let opened = text.bytes().filter(|byte| matches!(byte, b'(' | b'[' | b'-')).count();
    if text.trim().is_empty() || opened + text.matches("not").count() > items::MAX_DEPTH {
        sink.push(errors::no_value_in_braces(span, "name a value: `{cgroup.usage}`"));
        return None;
    }
    match OomParser::parse(Rule::braced, text) {
        Ok(mut pairs) => {
            let pair = pairs.next().and_then(|braced| inner(braced).next());
            shaped(sink, |sink| Cst { base: item.range.start, sink, quantifier: None }.expr(pair?))
        }
        Err(error) => {
            let found = unexpected(source, &item, &error);
            sink.push(errors::no_value_in_braces(span, found.to_string()));
            None
        }
    }
}

/// The clause of an item, or a diagnostic.
fn clause(source: &Source, item: &Item, sink: &mut Sink) -> Option<Clause> {
    let text = source.text.get(item.range.clone())?;
    if let Some(problem) = &item.problem {
        sink.push(trouble(source, item, problem));
        return None;
    }
    match OomParser::parse(Rule::item, text) {
        Ok(pairs) => lowered(item, pairs, sink),
        Err(error) => {
            sink.push(unexpected(source, item, &error));
            // A line that begins with a mistyped word is most often a clause of its own: what stands
            // before it is whole, and is checked.
            let (InputLocation::Pos(at) | InputLocation::Span((at, _))) = error.location;
            let before = text.get(..at)?;
            let whole = before.trim_end();
            let begins_a_line = before.get(whole.len()..).is_some_and(|space| space.contains('\n'));
            let found = token(text.get(at..)?);
            let unit = amount::BYTES.iter().chain(&amount::TIMES).any(|(unit, _)| *unit == found);
            if !begins_a_line || unit || !found.starts_with(|c: char| c.is_ascii_alphabetic()) {
                return None;
            }
            lowered(item, OomParser::parse(Rule::item, whole).ok()?, sink)
        }
    }
}

/// The clause of an item's parse tree.
fn lowered(item: &Item, mut pairs: Pairs<'_, Rule>, sink: &mut Sink) -> Option<Clause> {
    let pair = pairs.next().and_then(|item| inner(item).next());
    shaped(sink, |sink| Cst { base: item.range.start, sink, quantifier: None }.clause(pair?))
}

/// Takes what a tree of the grammar's shape has. If there is nothing and no mistake was found, the two contradict each
/// other.
fn shaped<T>(sink: &mut Sink, take: impl FnOnce(&mut Sink) -> Option<T>) -> Option<T> {
    let errors = sink.error_count();
    let taken = take(sink);
    if taken.is_none() && sink.error_count() == errors {
        sink.push(crate::diag::front_end_failed("a parse tree has not the shape of its grammar"));
    }
    taken
}

/// The parse trees of a file as indented text.
#[must_use]
pub fn dump(source: &Source) -> String {
    fn pair(out: &mut String, depth: usize, tree: &Pair<'_, Rule>) {
        let name = format!("{:?}", tree.as_rule());
        let mut children = tree.clone().into_inner().peekable();
        let text = if children.peek().is_none() { format!(" {:?}", tree.as_str()) } else { String::new() };
        out.push_str(&format!("{:width$}{name}{text}\n", "", width = depth * 2));
        for child in children {
            pair(out, depth + 1, &child);
        }
    }
    let mut out = String::new();
    for item in items::split(&source.text) {
        let text = source.text.get(item.range.clone()).unwrap_or("");
        match (&item.problem, OomParser::parse(Rule::item, if item.problem.is_none() { text } else { "" })) {
            (None, Ok(pairs)) => pairs.for_each(|tree| pair(&mut out, 0, &tree)),
            _ => out.push_str(&format!("error {text:?}\n")),
        }
    }
    out
}

/// What the scan stumbled over.
fn trouble(source: &Source, item: &Item, problem: &Problem) -> Diagnostic {
    let span = Span::new(problem.range.clone());
    match problem.kind {
        ProblemKind::Character(found) => errors::unknown_character(source, found, span),
        ProblemKind::Control(found) => errors::control_character(source, found, span),
        ProblemKind::OpenString => errors::open_string(source, span),
        ProblemKind::Depth => errors::too_deep(span),
        ProblemKind::Length => errors::long_clause(span),
        ProblemKind::NoClause => errors::no_clause(source, item, span),
        ProblemKind::Later(word) => errors::not_yet(word, span),
    }
}

/// What to write instead of what begins no clause.
pub(super) fn clause_hint(source: &Source, item: &Item, span: Span) -> (String, Vec<Fix>) {
    let hint = hints::clause_word(source, item, span);
    (hint.help, hint.fixes)
}

/// The parts of a tree that carry meaning.
fn inner(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(|pair| pair.as_rule() != Rule::EOI && !words::only_leads(pair.as_rule()))
}

/// A parse tree on its way to the AST.
struct Cst<'a> {
    /// Where the item begins in the file.
    base: usize,
    sink: &'a mut Sink,
    /// The quantifier whose condition is read: its word, and where it begins.
    quantifier: Option<(&'static str, u32)>,
}

impl Cst<'_> {
    /// From the first to the last token: pest counts white space and comments behind it in.
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let mut last = pair.clone();
        while let Some(child) = last.clone().into_inner().next_back() {
            last = child;
        }
        Span::new(self.base + pair.as_span().start()..self.base + last.as_span().end())
    }

    fn name(&self, pair: &Pair<'_, Rule>) -> Name {
        Name { text: pair.as_str().to_owned(), span: self.span(pair) }
    }

    fn text(&self, pair: &Pair<'_, Rule>) -> Text {
        Text { text: unquoted(pair.as_str()).to_owned(), span: self.span(pair) }
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

fn rank(word: &str) -> Option<Rank> {
    Rank::ALL.into_iter().find(|rank| rank.spelling() == word)
}

fn unit(word: &str) -> Option<Unit> {
    Unit::ALL.into_iter().find(|unit| unit.spelling() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_the_words_of_the_grammar() {
        assert_eq!(Rank::ALL.map(Rank::spelling), words::of(Rule::rank));
        assert_eq!(Unit::ALL.map(Unit::spelling), words::of(Rule::unit));
    }
}
