//! Selections as people first write them: words of other tools, parts in another order, a place that is missing.

use oomc_grammar::{Rule, words};

use super::{Hint, Stumble};
use crate::diag::Fix;
use crate::diag::foreign::{self, Use};
use crate::diag::suggest::nearest;
use crate::source::Span;

/// What was most likely meant, if it is a selection.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    rank(at)
        .or_else(|| quoted_process(at))
        .or_else(|| protection(at))
        .or_else(|| no_in(at))
        .or_else(|| place(at))
        .or_else(|| late(at))
}

/// A mistyped or foreign ranking word: it was taken for the candidate's name.
fn rank(at: &Stumble<'_>) -> Option<Hint> {
    if !words::of(Rule::unit).contains(&at.found) {
        return None;
    }
    let written = at.word_before();
    let foreign = foreign::ours(written, Use::Rank).map(|ours| ours.word);
    let near = nearest(written, words::of(Rule::rank).iter().copied());
    let word = foreign.or(near).filter(|word| *word != written)?;
    let span = at.span_before();
    let title = format!("did you mean `{word} {}`?", at.found);
    let fix = Fix::certain(title, span, word);
    Some(Hint::fix(fix).instead(format!("`{written}` is no ranking word"), span))
}

/// `kill process "nginx"`, `kill "nginx"`
fn quoted_process(at: &Stumble<'_>) -> Option<Hint> {
    let text = at.found.strip_prefix('"')?.strip_suffix('"')?;
    if !at.has(Rule::kw_in) || at.has(Rule::plus) || at.head() == "test" {
        return None;
    }
    let path = text.contains('/');
    let unit = at.word_before();
    if path || unit == "cgroup" {
        let start = Span { end: at.span().start, ..at.span() };
        let fix = Fix::certain("write `in` before the place", start, "in ");
        return Some(Hint::fix(fix).help(format!("a path is a place: `in \"{text}\"`")));
    }
    let condition = format!("in subtree where comm == \"{text}\"");
    let title = format!("write `{condition}`");
    let fix = Fix::possible(title, at.span(), condition.as_str());
    Some(Hint::fix(fix).help(format!(
        "say where, and by which field: `kill largest process {condition}`; all of them: `kill all process {condition}`"
    )))
}

/// `never kill comm == "sshd"`, `avoid rss > 1GiB`
fn protection(at: &Stumble<'_>) -> Option<Hint> {
    if !matches!(at.head(), "never" | "prefer" | "avoid")
        || !at.has(Rule::unit) && !at.has(Rule::filter) && !at.has(Rule::kw_where)
    {
        return None;
    }
    if !at.found.starts_with(|c: char| c.is_ascii_alphabetic()) || words::reserved().contains(&at.found) {
        return None;
    }
    let unit = at.word_before();
    let known = matches!(unit, "process" | "cgroup");
    let is = |owner| oomc_abi::fields::find(owner, at.found).is_some();
    let (process, cgroup) = (is(oomc_abi::fields::Owner::Process), is(oomc_abi::fields::Owner::Cgroup));
    if known && (process || cgroup) {
        return Some(Hint::fix(Fix::certain(
            "write `where` before the condition",
            at.end_of_before(),
            " where",
        )));
    }
    if at.found == "pid" && !known {
        let number = super::super::token(at.behind());
        let text = format!("process where pid == {number}");
        let end = at.at + (at.rest().len() - at.behind().len()) + number.len();
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.is_empty();
        return is_number.then(|| Hint::write(true, Span::new(at.at..end), &text));
    }
    if !process && !cgroup && !known && at.found != "killing" {
        let text = format!("process where comm == \"{}\"", at.found);
        return Some(
            Hint::write(false, at.span(), &text).help(format!("say who is meant by a condition: `{text}`")),
        );
    }
    let (unit, certain) = match (process, cgroup) {
        (true, false) => ("process", true),
        (false, true) => ("cgroup", true),
        (true, true) => ("process", false),
        (false, false) => return None,
    };
    let text = format!("{unit} where ");
    let title = format!("write `{unit} where` before the condition");
    Some(Hint::fix(Fix::new(title, certain).at(Span { end: at.span().start, ..at.span() }, text)))
}

/// `kill largest process subtree`, `kill largest process`
fn no_in(at: &Stumble<'_>) -> Option<Hint> {
    if !at.has(Rule::kw_in)
        || at.has(Rule::plus)
        || !matches!(at.head(), "kill" | "rule" | "if" | "pick" | "default" | "{")
    {
        return None;
    }
    let places = ["subtree", "children", "leaves", "cgroup", "attached"];
    if places.contains(&at.found) && at.word_before() != "of" {
        let start = Span { end: at.span().start, ..at.span() };
        return Some(Hint::fix(Fix::certain("write `in` before the place", start, "in ")));
    }
    if matches!(at.found, "where" | "by") {
        return Some(place_behind(at));
    }
    let selects = at
        .clause_before()
        .split_whitespace()
        .rev()
        .take(3)
        .any(|word| word == "kill" || words::of(Rule::rank).contains(&word));
    if (at.found.is_empty() || matches!(at.found, "now" | "reason" | "until" | "or" | "else" | "}"))
        && selects
    {
        let fix = Fix::certain("write `in subtree`", at.end_of_before(), " in subtree");
        return Some(Hint::fix(fix).help("a selection names its place: `kill largest in subtree`"));
    }
    None
}

/// `kill largest where rss > 1MiB in subtree`
fn place_behind(at: &Stumble<'_>) -> Hint {
    let start = Span { end: at.span().start, ..at.span() };
    let rest = at.rest();
    let behind = ["in subtree", "in cgroup", "in attached"]
        .into_iter()
        .filter_map(|place| rest.rfind(place).map(|found| (found, place)))
        .max_by_key(|(found, _)| *found);
    let Some((found, place)) = behind else {
        let fix = Fix::certain("write `in subtree`", start, "in subtree ");
        return Hint::fix(fix)
            .help(format!("the place stands before `{}`: `in subtree {} …`", at.found, at.found));
    };
    let gap = rest.get(..found).map_or(0, |text| text.len() - text.trim_end().len());
    let fix = Fix::new(format!("write `{place}` before `{}`", at.found), true)
        .at(start, format!("{place} "))
        .at(Span::new(at.at + found - gap..at.at + found + place.len()), "");
    Hint::fix(fix).help(format!("the place stands before `{}`: `{place} {} …`", at.found, at.found))
}

/// `in cgroup "/job"`, `in subtree of "/job"`, `cgroup /job`
fn path_behind_a_place(at: &Stumble<'_>) -> Option<Hint> {
    if at.found == "/" && at.has(Rule::kw_in) && at.word_before() == "cgroup" {
        let path: &str = at.rest().split_whitespace().next().unwrap_or("/");
        let text = format!("in \"{path}\"");
        return Some(Hint::write(true, Span::new(at.at..at.at + path.len()), &text));
    }
    let path = at.found.strip_prefix("\"/")?;
    let (before, mut start) = (at.before(), at.before().len());
    for word in ["of", "cgroup", "subtree", "children", "leaves"] {
        start = before.get(..start)?.trim_end().strip_suffix(word).map_or(start, str::len);
    }
    if start == before.len() || !before.get(..start)?.trim_end().ends_with(" in") {
        return None;
    }
    let fix = Fix::possible(format!("write `in \"/{path}`"), Span::new(start..at.at), "");
    Some(Hint::fix(fix).help(format!("a path is a place of its own: `in \"/{path}`")))
}

/// `in children`, `in leaves`
fn children_of_nothing(at: &Stumble<'_>) -> Option<Hint> {
    let place = at.word_before();
    if !at.has(Rule::of) || at.has(Rule::plus) || !matches!(place, "children" | "leaves") {
        return None;
    }
    let fix = Fix::certain("write `of cgroup`", at.end_of_before(), " of cgroup");
    Some(Hint::fix(fix).help(format!("say of which cgroup: `{place} of cgroup`")))
}

/// `in /job`, `in child of cgroup`
fn place(at: &Stumble<'_>) -> Option<Hint> {
    if let Some(hint) = path_behind_a_place(at).or_else(|| children_of_nothing(at)) {
        return Some(hint);
    }
    if at.found == "/" && at.has(Rule::subtree) {
        let path: &str = at.rest().split_whitespace().next().unwrap_or("/");
        if at.has(Rule::string) {
            return Some(Hint::write(true, Span::new(at.at..at.at + path.len()), &format!("\"{path}\"")));
        }
        return Some(Hint::told(format!(
            "a policy acts where it is attached: write `in subtree`, and load it with `oomc load --cgroup {path}`"
        )));
    }
    if at.found == "of" && at.clause_before().ends_with(at.word_before()) {
        let plural = match at.word_before() {
            "child" | "kids" => "children",
            "leaf" | "leafs" => "leaves",
            "tree" | "sub_tree" | "descendants" => "subtree",
            _ => return None,
        };
        let hint = Hint::write(true, at.span_before(), plural);
        return Some(hint.instead(format!("`{}` is no place", at.word_before()), at.span_before()));
    }
    None
}

/// Parts of a selection behind those that they stand before.
fn late(at: &Stumble<'_>) -> Option<Hint> {
    if at.found == "where" && (at.has(Rule::direction) || at.has(Rule::comma) && at.has(Rule::now)) {
        return Some(move_before(at, " by ", &["now", "reason", "until"]).help("`where` stands before `by`"));
    }
    if at.found == "now" && at.has(Rule::EOI) {
        let before = at.clause_before();
        let hint = Hint::told("`now` stands before `reason`");
        let Some(reason) = before.rfind(" reason ") else { return Some(hint) };
        let place = at.item.range.start + reason;
        let fix = Fix::new("write `now` before `reason`", true)
            .at(Span::new(place..place), " now")
            .at(Span::new(at.end_of_before().range().start..at.span().range().end), "");
        return Some(Hint { fixes: vec![fix], ..hint });
    }
    None
}

/// Moves what begins at the token, up to a word that follows it in a selection, before another part.
fn move_before(at: &Stumble<'_>, part: &str, ends: &[&str]) -> Hint {
    let Some(before) = at.clause_before().rfind(part) else { return Hint::told("") };
    let rest = at.rest();
    let end =
        ends.iter().filter_map(|end| rest.find(&format!(" {end} "))).min().unwrap_or(rest.trim_end().len());
    // A part that reaches over lines may hold comments, which end with theirs.
    let Some(moved) = rest.get(..end).filter(|moved| !moved.contains(['\n', '"'])) else {
        return Hint::told("");
    };
    let place = at.item.range.start + before;
    let fix = Fix::new(format!("write it before `{}`", part.trim()), true)
        .at(Span::new(place..place), format!(" {moved}"))
        .at(Span::new(at.end_of_before().range().start..at.at + end), "");
    Hint::fix(fix)
}
