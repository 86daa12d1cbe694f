//! What the parser stumbled over: from the rules that could have stood there to a sentence.
//!
//! Takes pest's error and gives a diagnostic that says what was expected; what to write instead is found in
//! [`super::hints`]. Sees the grammar's rules; knows nothing of the tree.

use oomc_grammar::Rule;
use oomc_grammar::items::Item;
use oomc_grammar::pest::error::{Error, ErrorVariant, InputLocation};

use super::hints::{Stumble, hint};
use crate::diag::Diagnostic;
use crate::source::{Source, Span};
use crate::syntax::errors;

/// The mistake that the parser came upon in an item.
pub(super) fn unexpected(source: &Source, item: &Item, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => item.range.start + at,
    };
    let found = token(source.slice(Span::new(at..item.range.end)));
    let positives: &[Rule] = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => positives,
        ErrorVariant::CustomError { .. } => &[],
    };
    let stumble = Stumble { source, item, positives, at, found };
    let hint = hint(&stumble);
    let diagnostic = match &hint.instead {
        Some((message, span)) => errors::misunderstood(message, *span),
        None if found.is_empty() => errors::clause_ends(&wanted(positives), last_token(source, at)),
        None => errors::unexpected_token(&wanted(positives), found, Span::new(at..at + found.len())),
    };
    diagnostic.help(hint.help).fixes(hint.fixes)
}

/// What could stand there, in words.
fn wanted(positives: &[Rule]) -> String {
    match expectations(positives).as_slice() {
        [] => "something else".to_owned(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} or {last}", all.join(", ")),
    }
}

/// The token that ends before a byte: the whole of it, not its last letter.
fn last_token(source: &Source, at: usize) -> Span {
    let before = source.text.get(..at).unwrap_or("").trim_end();
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '%');
    let start = before.trim_end_matches(word).len();
    let one = before.char_indices().next_back().map_or(0, |(start, _)| start);
    Span::new(start.min(one)..before.len())
}

/// The token that a text begins with.
pub(super) fn token(rest: &str) -> &str {
    let Some(first) = rest.chars().next() else { return "" };
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let length = match first {
        '"' => rest.get(1..).and_then(|inside| inside.find('"')).map_or(rest.len(), |end| end + 2),
        c if word(c) => rest.find(|c: char| !word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    };
    rest.get(..length).unwrap_or(rest)
}

/// What could stand there, for a reader: groups instead of every single token.
fn expectations(positives: &[Rule]) -> Vec<&'static str> {
    let mut list: Vec<&'static str> = Vec::new();
    for rule in positives {
        if let Some(text) = group(*rule, positives).or_else(|| called(*rule))
            && !list.contains(&text)
        {
            list.push(text);
        }
    }
    // The more can follow, the less a list of it helps: what must come is what a reader looks for.
    if list.len() > 4 {
        list.retain(|text| !matches!(*text, "an operator" | "the next clause" | "`or`" | "`of`"));
    }
    list
}

/// A group of rules that can stand there together.
fn group(rule: Rule, positives: &[Rule]) -> Option<&'static str> {
    let has = |rule: Rule| positives.contains(&rule);
    Some(match rule {
        Rule::kw_if
        | Rule::kw_notify
        | Rule::kw_count
        | Rule::kw_kill
        | Rule::kw_raise_limit
        | Rule::wait
        | Rule::defer
        | Rule::open_brace
            if has(Rule::kw_kill) && has(Rule::kw_if) =>
        {
            "an action"
        }
        Rule::number
        | Rule::string
        | Rule::boolean
        | Rule::open_paren
        | Rule::not
        | Rule::minus
        | Rule::anchor
        | Rule::name
        | Rule::path
        | Rule::primary
        | Rule::expr
        | Rule::list
        | Rule::quant
        | Rule::fold
        | Rule::choice
        | Rule::bit_test
        | Rule::open_bracket
            if has(Rule::number) && has(Rule::open_paren) =>
        {
            "a value"
        }
        Rule::plus
        | Rule::minus_from
        | Rule::times
        | Rule::divided
        | Rule::equal
        | Rule::not_equal
        | Rule::below
        | Rule::at_most
        | Rule::above
        | Rule::at_least
        | Rule::assign
        | Rule::within_list
        | Rule::and
        | Rule::or
        | Rule::of
        | Rule::otherwise
        | Rule::kw_has
        | Rule::dot
        | Rule::open_bracket
            if has(Rule::plus) || has(Rule::times) =>
        {
            "an operator"
        }
        _ => return None,
    })
}

/// What one rule is called; none if it helps nobody.
fn called(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::EOI => "the next clause",
        Rule::name => "a name",
        Rule::string => "a string",
        Rule::number => "a number",
        Rule::segment => "a field",
        Rule::expr => "a value",
        Rule::action => "an action",
        Rule::selection => "a selection",
        Rule::order => "`by`",
        Rule::filter => "`where`",
        Rule::within => "`in`",
        Rule::reason => "`reason`",
        Rule::up_to => "`up to`",
        Rule::equals | Rule::assign => "`=`",
        Rule::colon => "`:`",
        Rule::comma => "`,`",
        Rule::open_paren => "`(`",
        Rule::close_paren => "`)`",
        Rule::open_bracket => "`[`",
        Rule::close_bracket => "`]`",
        Rule::open_brace => "`{`",
        Rule::close_brace => "`}`",
        Rule::rank => "a ranking word such as `largest`",
        Rule::unit => "`process` or `cgroup`",
        Rule::direction => "`asc` or `desc`",
        Rule::path | Rule::anchor => "a cgroup",
        Rule::kw_then => "`then`",
        Rule::kw_else => "`else`",
        Rule::kw_or => "`or`",
        Rule::kw_kill => "`kill`",
        Rule::kw_to => "`to`",
        Rule::kw_in => "`in`",
        Rule::of => "`of`",
        Rule::kw_where => "`where`",
        Rule::kw_by => "`by`",
        Rule::kw_up => "`up to`",
        Rule::kw_reason => "`reason`",
        Rule::now => "`now`",
        Rule::subtree => "`subtree`",
        Rule::bits => "bits such as `0x400`",
        Rule::bar => "`|`",
        Rule::kw_has => "`has`",
        Rule::kw_range | Rule::range => "`range`",
        Rule::kw_trust | Rule::trust => "`trust`",
        Rule::kw_counter => "`counter`",
        Rule::kw_per => "`per cgroup`",
        Rule::kw_after => "`after`",
        Rule::kw_until | Rule::until => "`until freed`",
        Rule::kw_freed => "`freed`",
        Rule::kw_at => "`at most`",
        Rule::kw_most => "`most`",
        Rule::stepwise => "`stepwise`",
        Rule::dots => "`..`",
        Rule::type_name => "a type: `count`, `bytes`, `percent`, `duration` or `bool`",
        Rule::truster => "`root`, `owner` or `any`",
        Rule::given | Rule::kw_given => "`given`",
        Rule::event | Rule::kw_on => "`on oom`",
        Rule::expectation | Rule::kw_expect => "`expect`",
        Rule::kw_oom => "`oom`",
        Rule::property => "a property",
        Rule::setting => "`param`",
        Rule::kw_candidates | Rule::expect_candidates => "`candidates`",
        _ => return None,
    })
}
