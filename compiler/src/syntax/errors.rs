//! What the parser has to say to an author: one constructor for each mistake.
//!
//! Takes the place of a mistake and the words in it, gives the diagnostic. Knows nothing of how a mistake is found; what
//! the parser expected in its place is found in [`super::lower_cst`].

use oomc_grammar::items::{self, Item};

use super::characters;
use super::literal::Refused;
use super::lower_cst::{self, MAX_CHAIN};
use crate::diag::{Diagnostic, Fix, codes};
use crate::source::{Source, Span};

/// Enough mistakes were found, and the rest of the file is not read.
pub(super) fn clauses_left_out() -> Diagnostic {
    Diagnostic::new(codes::TOO_MANY_ERRORS, "more clauses follow")
}

/// The braces of a message hold something else than a value.
pub(super) fn no_value_in_braces(span: Span, help: impl Into<String>) -> Diagnostic {
    Diagnostic::new(codes::MESSAGE, "what stands in the braces is no value")
        .label(span, "not a value")
        .help(help)
}

/// A character that no token has.
pub(super) fn unknown_character(source: &Source, found: char, span: Span) -> Diagnostic {
    let instead = characters::instead(source, found, span);
    if characters::is_invisible(found) {
        return control_character(source, found, span);
    }
    let shown = if found.is_whitespace() { found.escape_unicode().to_string() } else { found.to_string() };
    Diagnostic::new(codes::CHARACTER, format!("`{shown}` means nothing here"))
        .label(span, "unknown character")
        .help(instead.help)
        .fixes(instead.fix)
}

/// A character that nobody sees.
pub(super) fn control_character(source: &Source, found: char, span: Span) -> Diagnostic {
    let number = found as u32;
    if characters::is_invisible(found) {
        return Diagnostic::new(
            codes::CHARACTER,
            format!("the text holds the invisible character U+{number:04X}"),
        )
        .label(span, "stands here, and is not seen")
        .help("remove it: what is read is not what is there")
        .fix(characters::without_invisible(source, span));
    }
    Diagnostic::new(codes::CHARACTER, format!("the text holds the control character U+{number:04X}"))
        .label(span, "invisible here")
        .help("a policy is plain text: remove the character, or give the right file")
        .fix(Fix::possible("remove it", span, ""))
}

/// A string that its line ends before it does.
pub(super) fn open_string(source: &Source, span: Span) -> Diagnostic {
    let close = |at: u32| Fix::possible("close it", Span { start: at, end: at }, "\"");
    let text = source.slice(span);
    // The name of a rule ends before its colon.
    let named = source.text.get(..span.range().start).is_some_and(|text| text.trim_end().ends_with("rule"));
    let closed = match text.find(':') {
        Some(colon) if named => Some(close(span.start + colon as u32)),
        None if named => None,
        _ => Some(close(span.end)),
    };
    Diagnostic::new(codes::OPEN_STRING, "the string has no end on its line")
        .label(span, "begins here")
        .help("close it with `\"`; a string stands on one line")
        .fixes(closed)
}

/// More nesting than the parser follows.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    let message = format!("more than {} things stand inside each other here", items::MAX_DEPTH);
    Diagnostic::new(codes::DEPTH, message)
        .label(span, "one too deep")
        .help("name parts of it with `const`, or split the rule")
}

/// A clause that is longer than the parser reads.
pub(super) fn long_clause(span: Span) -> Diagnostic {
    Diagnostic::new(codes::LONG_CLAUSE, format!("the clause is longer than {} bytes", items::MAX_CLAUSE))
        .label(span, "here it becomes too long")
        .help("split the rule; is a quote, a bracket or a `#` missing before?")
}

/// The file begins with what begins no clause; `item` is all up to the next one.
pub(super) fn no_clause(source: &Source, item: &Item, span: Span) -> Diagnostic {
    let text = source.slice(span);
    let diagnostic = Diagnostic::new(codes::SYNTAX, format!("expected a clause, found `{}`", short(text)))
        .label(span, "no clause begins so");
    let hint = lower_cst::clause_hint(source, item, span);
    diagnostic.help(hint.0).fixes(hint.1)
}

/// A construct of a later part of the language.
pub(super) fn not_yet(word: &str, span: Span) -> Diagnostic {
    let instead = match word {
        "raise_limit of" => "`raise_limit` raises the cgroup whose limit was hit",
        "import" => "copy the clauses into this file",
        _ => "leave it out",
    };
    Diagnostic::new(codes::NOT_YET, format!("`{word}` is not yet part of the language"))
        .label(span, "reserved for a later version")
        .help(instead)
}

/// The clause ends where something must follow; `span` is what stands last.
pub(super) fn clause_ends(wanted: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SYNTAX, format!("expected {wanted}, but the clause ends"))
        .label(span, format!("expected {wanted} after this"))
}

/// A token that cannot stand here.
pub(super) fn unexpected_token(wanted: &str, found: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SYNTAX, format!("expected {wanted}, found `{}`", short(found)))
        .label(span, format!("expected {wanted}"))
}

/// Something that was understood well enough to say what is wrong with it.
pub(super) fn misunderstood(message: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::SYNTAX, message).label(span, "not so")
}

/// A number that is none, or has no such unit.
pub(super) fn refused_number(refused: Refused, span: Span) -> Diagnostic {
    let fix =
        refused.instead.map(|(text, certain)| Fix::new(format!("write `{text}`"), certain).at(span, text));
    Diagnostic::new(refused.code, refused.message).label(span, "this number").help(refused.help).fixes(fix)
}

/// More alternatives than the tree may be deep.
pub(super) fn too_many_alternatives(span: Span) -> Diagnostic {
    Diagnostic::new(codes::DEPTH, format!("more than {MAX_CHAIN} actions are joined by `or`"))
        .label(span, "too many for one rule")
        .help("write rules below each other: the next one runs when this one made no progress")
}

/// More operators than the tree may be deep.
pub(super) fn too_many_operators(span: Span) -> Diagnostic {
    Diagnostic::new(codes::DEPTH, format!("more than {MAX_CHAIN} operators hang on each other here"))
        .label(span, "one too many")
        .help("use `in [ … ]` for many values, or name parts of it with `const`")
}

/// `=` where `==` was meant.
pub(super) fn assigns(span: Span) -> Diagnostic {
    Diagnostic::new(codes::ASSIGN, "`=` does not compare")
        .label(span, "not a comparison")
        .help("write `==`")
        .fix(Fix::certain("write `==`", span, "=="))
}

/// `a < b < c`
pub(super) fn chained_comparison(span: Span) -> Diagnostic {
    Diagnostic::new(codes::CHAINED, "comparisons cannot be chained")
        .label(span, "the left side is a comparison already")
        .help("write each comparison out: `a < b and b < c`")
}

/// The condition of a quantifier that is an operand takes in what was meant to stand beside it.
pub(super) fn bare_quantifier(word: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::BARE_QUANTIFIER, format!("where does the `where` of `{word}` end?"))
        .label(span, "its condition takes everything up to here")
        .help(format!("put it in parentheses: `({word} … where …)`"))
        .fix(in_parentheses(span.start, span.end, false))
}

/// A quantifier is compared, and its condition took the comparison in.
pub(super) fn quantifier_compared(word: &str, begin: u32, left: Span, op: Span) -> Diagnostic {
    Diagnostic::new(codes::BARE_QUANTIFIER, format!("where does the `where` of `{word}` end?"))
        .label(op, "its condition takes everything up to here")
        .help(format!("put it in parentheses: `({word} … where …)`"))
        .fix(in_parentheses(begin, left.end, true))
}

fn in_parentheses(start: u32, end: u32, certain: bool) -> Fix {
    Fix::new("put it in parentheses", certain)
        .at(Span { start, end: start }, "(")
        .at(Span { start: end, end }, ")")
}

/// At most a line's worth of a token.
pub(super) fn short(text: &str) -> String {
    if text.chars().count() <= 40 { text.to_owned() } else { text.chars().take(39).chain(['…']).collect() }
}
