//! Words and signs between the parts of a clause, as other languages have them.
//!
//! [`WORDS`] has one row for each part that can follow: the words with which people begin it, and ours. What puts another
//! word there is made only if the parser then reads on behind it ([`Stumble::reads_on`]).

use oomc_grammar::{Rule, words};

use super::{Hint, Stumble};
use crate::diag::Fix;
use crate::source::Span;
use crate::syntax::literal;

/// Where this can stand, these words are meant for ours.
static WORDS: &[(Rule, &[&str], &str)] = &[
    (
        Rule::kw_where,
        &["with", "when", "having", "such", "whose", "which", "filter", "while", "that"],
        "where",
    ),
    (Rule::kw_by, &["order", "sort", "sorted", "ordered", "ranked", "orderby", "order_by", "sortby"], "by"),
    (Rule::direction, &["descending", "decreasing", "down", "reverse", "reversed", "highest"], "desc"),
    (Rule::direction, &["ascending", "increasing", "lowest"], "asc"),
    (Rule::kw_reason, &["because", "message", "msg", "comment", "why", "note"], "reason"),
    (Rule::kw_else, &["otherwise", "elsewise", "default"], "else"),
    (Rule::kw_in, &["from", "of", "within", "inside", "under", "below", "at", "on", "among", "into"], "in"),
    (Rule::kw_range, &["in", "between", "from", "within", "limits"], "range"),
    (Rule::kw_counter, &["int", "integer", "count", "number", "u64", "uint"], "counter"),
    (Rule::dots, &["to", "until", "and", "upto", ",", "-"], ".."),
];

/// Words that say nothing between a preposition and a place.
const ARTICLES: [&str; 4] = ["the", "this", "its", "a"];

/// Whether a word joins parts in English.
pub(super) fn is_english(word: &str) -> bool {
    let known = WORDS.iter().any(|(_, words, _)| words.contains(&word));
    known
        || ARTICLES.contains(&word)
        || matches!(word, "for" | "of" | "is" | "are" | "not" | "and" | "max" | "min")
}

/// What was most likely meant, if it is about what joins two parts.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    filter_as_if(at)
        .or_else(|| arrow(at))
        .or_else(|| foreign(at))
        .or_else(|| several(at))
        .or_else(|| until(at))
        .or_else(|| left_out(at))
}

/// What was most likely meant, if a place begins with words that say nothing.
pub(super) fn before_a_place(at: &Stumble<'_>) -> Option<Hint> {
    preposition_as_name(at).or_else(|| article(at))
}

/// A word of [`WORDS`], with `by` behind `order`.
fn foreign(at: &Stumble<'_>) -> Option<Hint> {
    let small = at.found.to_ascii_lowercase();
    let (_, _, ours) =
        WORDS.iter().find(|(rule, words, _)| at.has(*rule) && words.contains(&small.as_str()))?;
    let mut end = at.at + at.found.len();
    if *ours == "by" && super::super::token(at.behind()) == "by" {
        end = at.at + (at.rest().len() - at.behind().len()) + "by".len();
    }
    let span = Span::new(at.at..end);
    let fix = Fix::certain(format!("write `{ours}`"), span, *ours);
    Some(if at.reads_on(&fix) { Hint::fix(fix) } else { Hint::told(format!("write `{ours}` here")) })
}

/// `kill largest in subtree if rss > 1GiB`
fn filter_as_if(at: &Stumble<'_>) -> Option<Hint> {
    if at.head() != "if" || !at.has(Rule::kw_then) || !at.found.is_empty() {
        return None;
    }
    let start = at.item.range.start;
    let line = at.source.text.get(..start)?.rsplit('\n').next()?;
    if !line.split_whitespace().any(|word| words::of(Rule::kw_kill).contains(&word)) {
        return None;
    }
    let fix = Fix::possible("write `where`", Span::new(start..start + "if".len()), "where");
    Some(Hint::fix(fix).help("a condition on the candidates begins with `where`: `kill … where …`"))
}

/// `if … => kill …`, `if … -> kill …`
fn arrow(at: &Stumble<'_>) -> Option<Hint> {
    let before = at.source.text.get(..at.at)?;
    let sign = before.chars().next_back().filter(|sign| at.found == ">" && matches!(sign, '-' | '='))?;
    let acts = ["raise_limit", "wait", "defer", "notify", "count", "if", "{"];
    let behind = super::super::token(at.behind());
    let is_action = words::of(Rule::kw_kill).contains(&behind) || acts.contains(&behind);
    let asks = at.clause_before().split_whitespace().any(|word| words::of(Rule::kw_if).contains(&word));
    (is_action && asks).then(|| {
        let span = Span::new(at.at - sign.len_utf8()..at.at + at.found.len());
        let fix = Fix::certain("write `then`", span, "then");
        Hint::fix(fix)
            .help("write `then` between the condition and the action")
            .instead(format!("there is no operator `{sign}>`"), span)
    })
}

/// `kill largest process from subtree`: the preposition was read as the candidate's name.
fn preposition_as_name(at: &Stumble<'_>) -> Option<Hint> {
    let word = at.word_before();
    let known = WORDS.iter().any(|(rule, words, _)| *rule == Rule::kw_in && words.contains(&word));
    if !known || !at.has(Rule::kw_in) || at.has(Rule::plus) {
        return None;
    }
    let fix = Fix::certain("write `in`", at.span_before(), "in");
    at.reads_on(&fix)
        .then(|| Hint::fix(fix).instead(format!("`{word}` does not begin a place"), at.span_before()))
}

/// `in the subtree`, `in this cgroup`
fn article(at: &Stumble<'_>) -> Option<Hint> {
    let word = at.word_before();
    if !ARTICLES.contains(&word) {
        return None;
    }
    let whole = at.source.with_blank(at.span_before());
    let fix = Fix::certain(format!("leave `{word}` out"), whole, "");
    at.reads_on(&fix)
        .then(|| Hint::fix(fix).instead(format!("`{word}` is no word of the language"), at.span_before()))
}

/// `kill largest 3 processes in subtree`, `kill largest in subtree max 3`
fn several(at: &Stumble<'_>) -> Option<Hint> {
    let number = at.found.bytes().all(|byte| byte.is_ascii_digit()) && !at.found.is_empty();
    let protects = matches!(at.head(), "never" | "avoid" | "prefer");
    let selects = (at.has(Rule::kw_in) || at.has(Rule::selection)) && !at.has(Rule::plus);
    let before = number && selects && !protects;
    let behind = at.has(Rule::kw_until)
        && matches!(at.found, "max" | "limit" | "at" | "up" | "times" | "maximum")
        && at.behind().trim_start_matches("most ").starts_with(|c: char| c.is_ascii_digit());
    (before || behind).then(|| {
        Hint::told(
            "a kill has one victim, or as many as are needed: `until freed 512MiB at most 3`; `all` takes each",
        )
    })
}

/// The parts of `until freed B at most N`.
fn until(at: &Stumble<'_>) -> Option<Hint> {
    let form = "written so: `until freed 512MiB at most 4`";
    if at.has(Rule::kw_freed) && at.word_before() == "until" {
        let (amount, word) = (at.found, super::super::token(at.behind()));
        if literal::parse(amount).is_ok() && word == "freed" {
            let end = at.at + (at.rest().len() - at.behind().len()) + word.len();
            let counted = at.behind().get(word.len()..)?.trim_start().starts_with("at ");
            let text = format!("freed {amount}{}", if counted { "" } else { " at most 4" });
            let title = format!("write `{text}`");
            let fix = Fix::new(title, counted).at(Span::new(at.at..end), text.as_str());
            return Some(Hint::fix(fix).help(form));
        }
        return Some(Hint::told(form));
    }
    if at.has(Rule::kw_at) && at.clause_before().contains("until") {
        let ends = at.found.is_empty() || at.has(Rule::EOI);
        let fix = Fix::possible("write `at most 4`", at.end_of_before(), " at most 4");
        let hint = Hint::told("say how many victims there may be: `at most 4`, from 1 to 16");
        return Some(if ends { Hint { fixes: vec![fix], ..hint } } else { hint });
    }
    if at.word_before() == "freed" && matches!(at.found, ">" | "=" | "<") {
        let signs = at.rest().len() - at.rest().trim_start_matches(['>', '=', '<', ' ']).len();
        let fix = Fix::certain("leave the sign out", Span::new(at.at..at.at + signs), "");
        return Some(Hint::fix(fix).help(form));
    }
    None
}

/// A word or sign that only has to go.
fn left_out(at: &Stumble<'_>) -> Option<Hint> {
    let goes = |help: &str, span: Span| {
        let fix = Fix::certain(help.to_owned(), span, "");
        at.reads_on(&fix).then(|| Hint::fix(fix))
    };
    let found = at.span();
    match at.found {
        ":" if matches!(at.word_before(), "reason" | "then" | "else" | "where" | "by" | "in") => {
            goes("leave `:` out", found)
        }
        ":" if at.head() == "rule" && at.clause_before().ends_with(':') => goes("one `:` is enough", found),
        ":" if at.head() == "policy" => goes("leave `:` out: what follows is a clause of its own", found),
        "," if at.has(Rule::kw_reason)
            && matches!(super::super::token(at.behind()), "reason" | "where" | "by") =>
        {
            goes("leave the comma out", found)
        }
        "then" if at.has(Rule::direction) => {
            let fix = Fix::certain("write `,`", found, ",");
            at.reads_on(&fix)
                .then(|| Hint::fix(fix).help("the keys of a ranking stand behind commas: `by rss, age`"))
        }
        "stepwise" if at.has(Rule::selection) || at.has(Rule::EOI) => {
            Some(Hint::told("`stepwise` stands behind the place: `kill largest cgroup in subtree stepwise`"))
        }
        "=" if at.head() == "count"
            || at.clause_before().ends_with(&format!("count {}", at.word_before())) =>
        {
            Some(Hint::told("`count` adds one, and takes no number; a counter begins at 0"))
        }
        "+" if at.before().ends_with('"') => Some(Hint::told(
            "a message is one string, with values in braces: `notify \"usage {cgroup.usage}\"`",
        )),
        ")" if at.has(Rule::plus) && !at.has(Rule::close_paren) => {
            goes("no parenthesis is open here: leave `)` out", found)
        }
        "(" if matches!(at.word_before(), "notify" | "reason") => {
            let close = at.rest().find(')')?;
            let fix = Fix::new("leave the parentheses out", true)
                .at(Span::new(at.end_of_before().range().start..at.at + 1), " ")
                .at(Span::new(at.at + close..at.at + close + 1), "");
            Some(Hint::fix(fix))
        }
        "+" if at.word_before() == "raise_limit" => goes("leave `+` out: `raise_limit 10%`", found),
        "killing" | "kill" if matches!(at.head(), "avoid" | "prefer") => {
            let span = Span::new(at.end_of_before().range().start..found.range().end);
            goes(&format!("leave `{}` out", at.found), span)
        }
        _ => None,
    }
}
