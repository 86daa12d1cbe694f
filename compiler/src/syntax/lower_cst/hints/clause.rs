//! Clauses, actions and tests as people first write them.

use oomc_grammar::items::Item;
use oomc_grammar::{Rule, words};

use super::{Hint, Stumble, in_quotes};
use crate::diag::Fix;
use crate::source::{Source, Span};
use crate::syntax::literal;

/// What was most likely meant, if it is about the shape of a clause.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    condition(at)
        .or_else(|| increment(at))
        .or_else(|| raise(at))
        .or_else(|| header(at))
        .or_else(|| test(at))
        .or_else(|| comment(at))
        .or_else(|| stray(at))
}

/// Words of other languages around a condition.
fn condition(at: &Stumble<'_>) -> Option<Hint> {
    let branches = at.has(Rule::kw_else) || at.has(Rule::EOI) || at.has(Rule::kw_or);
    if branches && matches!(at.found, "elif" | "elseif" | "elsif" | "elsf" | "elseIf" | "else_if") {
        return Some(Hint::write(true, at.span(), "else if"));
    }
    if !at.has(Rule::kw_then) {
        return None;
    }
    match at.found {
        ":" | "do" | "," => Some(
            Hint::fix(Fix::certain(
                "write `then`",
                Span::new(at.end_of_before().range().start..at.span().range().end),
                " then",
            ))
            .help("write `then` between the condition and the action"),
        ),
        "{" | "" if !at.has(Rule::close_paren) => {
            let next = at.source.text.get(at.item.range.end..).unwrap_or("");
            if at.found.is_empty()
                && !super::token(next.trim_start()).starts_with(|c: char| c.is_ascii_lowercase() || c == '{')
            {
                return None;
            }
            Some(
                Hint::fix(Fix::certain("write `then`", at.end_of_before(), " then"))
                    .help("write `then` between the condition and the action"),
            )
        }
        _ => None,
    }
}

/// `n += 1`, `n++`, `n = n + 1` among the actions of a rule.
fn increment(at: &Stumble<'_>) -> Option<Hint> {
    let acts = at.has(Rule::action) || at.has(Rule::kw_count) || at.has(Rule::EOI);
    acts.then(|| counted(at.source, at.item, at.span())).flatten()
}

/// `n += 1`, `n++`, `n = n + 1`, where `span` is the name.
pub(super) fn counted(source: &Source, item: &Item, span: Span) -> Option<Hint> {
    let name = source.slice(span);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let rest = source.text.get(span.range().end..item.range.end)?;
    let behind = rest.trim_start();
    let packed: String = behind.chars().filter(|c| !c.is_whitespace()).collect();
    let forms = ["+=1".to_owned(), "++".to_owned(), format!("={name}+1")];
    let form = forms.iter().find(|form| {
        packed.strip_prefix(form.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    })?;
    // Where the form ends in the text, whose white space `packed` lacks.
    let mut left = form.chars().count();
    let end = behind.char_indices().find_map(|(place, c)| {
        left -= usize::from(!c.is_whitespace());
        (left == 0).then_some(place + c.len_utf8())
    })?;
    let start = span.range().end + (rest.len() - behind.len());
    let hint = Hint::write(true, Span::new(span.range().start..start + end), &format!("count {name}"));
    Some(hint.instead("a counter is counted by `count`", span))
}

/// A word that begins no clause, and needs one before it or a form of its own.
pub(super) fn bare_word(text: &str, span: Span) -> Option<Hint> {
    let told = match text {
        "audit" | "enforce" => return Some(Hint::write(true, span, &format!("mode {text}"))),
        "define" => "a definition is written so: `define heavy = process where rss > 1GiB`",
        "test" => "a test is written so: `test \"name\" { given { … } on oom in \"/job\" expect … }`",
        "counter" => "a counter is declared so: `state n: counter per cgroup`",
        "else" | "otherwise" => "`else` belongs to an `if` in the same clause: `if … then … else …`",
        "version" | "edition" => "the edition is no clause: `oomc --version -v` tells which one this is",
        "set_limit" | "limit" => "a limit is raised by an amount, and how far: `raise_limit 10% up to 2GiB`",
        "}" => "no block is open here: leave `}` out, or open one with `{`",
        _ => return None,
    };
    Some(Hint::told(told))
}

/// The parts of `raise_limit`.
fn raise(at: &Stumble<'_>) -> Option<Hint> {
    match at.found {
        "by" if at.word_before() == "raise_limit" => {
            let end = at.at + (at.rest().len() - at.behind().len());
            let fix = Fix::certain("leave `by` out", Span::new(at.at..end), "");
            Some(Hint::fix(fix).help("leave `by` out: `raise_limit 10%`"))
        }
        "to" if at.word_before() == "raise_limit" => {
            let amount = super::super::token(at.behind());
            let help = "say by how much, and how far: `raise_limit 10% up to 2GiB`";
            if !amount.starts_with(|c: char| c.is_ascii_digit()) || literal::parse(amount).is_err() {
                return Some(Hint::told(help));
            }
            let start = at.at + (at.rest().len() - at.behind().len());
            let text = format!("{amount} up to {amount}");
            let title = format!("write `{text}`");
            let fix = Fix::certain(title, Span::new(at.at..start + amount.len()), text.as_str());
            Some(Hint::fix(fix).help(format!("{help}; at once: `raise_limit {text}`")))
        }
        "upto" | "until" | "max" | "to" if at.has(Rule::kw_up) || at.has(Rule::up_to) => {
            Some(Hint::write(true, at.span(), "up to"))
        }
        _ => None,
    }
}

/// Signs and names in the first words of a clause.
fn header(at: &Stumble<'_>) -> Option<Hint> {
    let head = at.head();
    let first = at.clause_before() == head;
    if first
        && matches!(at.found, ":" | "=")
        && matches!(head, "policy" | "mode" | "default" | "notify" | "test")
    {
        if head == "policy"
            && at.behind().starts_with(|c: char| c.is_ascii_lowercase())
            && at.rest().contains('\n')
        {
            return Some(Hint::told(
                "a policy is no YAML: `policy \"web\"`, and rules such as `rule \"kill\": kill largest in subtree`",
            ));
        }
        let end = at.at + (at.rest().len() - at.behind().len());
        let fix = Fix::certain(
            format!("leave `{}` out", at.found),
            Span::new(at.end_of_before().range().start..end),
            " ",
        );
        return Some(
            Hint::fix(fix).help(format!("no sign stands behind `{head}`: leave `{}` out", at.found)),
        );
    }
    if first && head == "rule" && at.found == ":" {
        let end = at.at + (at.rest().len() - at.behind().len());
        let fix = Fix::possible("leave `rule:` out", Span::new(at.item.range.start..end), "");
        return Some(Hint::fix(fix).help("a rule has a name, `rule \"name\": …`, or is an action alone"));
    }
    if at.has(Rule::string)
        && !at.has(Rule::number)
        && at.found.starts_with(|c: char| c.is_ascii_alphabetic())
    {
        let action = words::of(Rule::kw_kill).contains(&at.found) && !at.behind().starts_with(':');
        let named = matches!(head, "policy" | "rule" | "test") && first && !action;
        if named || at.word_before() == "notify" || at.word_before() == "reason" {
            let hint = in_quotes(at);
            let what = if named { "names of policies and rules stand" } else { "a message stands" };
            let help = format!("{what} in quotes: `\"{}\"`", super::short(at.found));
            return Some(hint.help(help));
        }
    }
    None
}

/// The words of a test.
fn test(at: &Stumble<'_>) -> Option<Hint> {
    if at.head() != "test" {
        return None;
    }
    if at.has(Rule::open_brace) && matches!(at.found, "given" | "on" | "expect") && !at.has(Rule::close_brace)
    {
        let fix = Fix::certain("write `{`", at.end_of_before(), " {");
        return Some(
            Hint::fix(fix).help(
                "a test stands in a block: `test \"name\" { given { … } on oom in \"/job\" expect … }`",
            ),
        );
    }
    if at.found.starts_with('"') && at.word_before() == "oom" {
        let start = Span { end: at.span().start, ..at.span() };
        return Some(Hint::fix(Fix::certain("write `in` before the cgroup", start, "in ")));
    }
    if matches!(at.found, ":" | "=" | ",") && (at.has(Rule::close_brace) || at.has(Rule::property)) {
        return Some(without_signs(at));
    }
    None
}

/// `{ limit: 1GiB, usage: 1GiB }`: the signs go, all of them at once.
fn without_signs(at: &Stumble<'_>) -> Hint {
    let text = at.source.text.get(at.item.range.clone()).unwrap_or("");
    let (mut quoted, mut comment, mut depth) = (false, false, 0_usize);
    let mut fix = Fix::new("leave the signs out", true);
    for (place, c) in text.char_indices() {
        match c {
            '\n' => comment = false,
            _ if comment => {}
            '"' => quoted = !quoted,
            _ if quoted => {}
            '#' => comment = true,
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ':' | '=' | ',' if depth >= 2 => {
                let start = at.item.range.start + place;
                let spaced = text.get(place + 1..).is_some_and(|rest| rest.starts_with([' ', '\n']));
                fix = fix.at(Span::new(start..start + 1), if spaced { "" } else { " " });
            }
            _ => {}
        }
    }
    Hint::fix(fix).help("a property and its value stand side by side: `limit 1GiB rss 5MiB`")
}

/// Comments of other languages.
fn comment(at: &Stumble<'_>) -> Option<Hint> {
    if !matches!(at.found, "/" | "-") {
        return None;
    }
    let before = at.source.text.get(..at.at).unwrap_or("");
    // The parser read the first sign as an operator.
    let start = if before.ends_with(at.found) { at.at - 1 } else { at.at };
    comment_at(at.source, start)
}

/// A comment of another language that begins at a byte.
pub(super) fn comment_at(source: &Source, start: usize) -> Option<Hint> {
    let text = source.text.get(start..)?;
    let line = text.split('\n').next()?;
    let help = "a comment begins with `#`";
    if let Some(mark) = ["//", "--"].into_iter().find(|mark| text.starts_with(mark)) {
        return Some(
            Hint::fix(Fix::certain("write `#`", Span::new(start..start + mark.len()), "#")).help(help),
        );
    }
    let inside = line.strip_prefix("/*")?;
    let hint = Hint::told(format!("{help}, and ends with its line"));
    Some(match inside.find("*/") {
        Some(end) if inside.get(end + 2..).is_some_and(|rest| rest.trim().is_empty()) => {
            let close = start + 2 + end;
            let gap = inside.get(..end).map_or(0, |text| text.len() - text.trim_end().len());
            let fix = Fix::new("write `#`", true)
                .at(Span::new(start..start + 2), "#")
                .at(Span::new(close - gap..close + 2), "");
            Hint { fixes: vec![fix], ..hint }
        }
        _ => hint,
    })
}

/// What stands behind a whole clause, and belongs to nothing.
fn stray(at: &Stumble<'_>) -> Option<Hint> {
    if at.found == ","
        && (at.has(Rule::EOI) || at.has(Rule::kw_else) || at.has(Rule::close_brace))
        && !at.has(Rule::close_bracket)
    {
        let hint = Hint::told("several actions stand in a block without commas: `{ raise_limit 10% wait }`");
        let acts = words::of(Rule::kw_kill)
            .iter()
            .chain(["raise_limit", "wait", "notify", "count", "if"].iter())
            .any(|word| super::super::token(at.behind()) == *word);
        let in_block = at.has(Rule::close_brace) && acts;
        let fix = in_block.then(|| Fix::certain("leave the comma out", at.span(), ""));
        return Some(Hint { fixes: fix.into_iter().collect(), ..hint });
    }
    let time = if at.found == "for" { super::super::token(at.behind()) } else { at.found };
    if at.word_before() == "wait" && time.starts_with(|c: char| c.is_ascii_digit()) {
        let end = at.rest().find(time).map_or(at.span().range().end, |start| at.at + start + time.len());
        let span = Span::new(at.end_of_before().range().start..end);
        let fix = Fix::possible("leave the time out", span, "");
        return Some(Hint::fix(fix).help(
            "`wait` takes no time: it lasts until the victim's memory is back, a few seconds at most",
        ));
    }
    if at.found == "}" && at.has(Rule::EOI) {
        let fix = Fix::possible("leave `}` out", at.span(), "");
        return Some(Hint::fix(fix).help("no block is open here: leave `}` out, or open one with `{`"));
    }
    None
}
