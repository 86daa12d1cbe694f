//! Numbers and operators as other tools write them.

use oomc_abi::amount;
use oomc_grammar::Rule;

use super::{Hint, Stumble};
use crate::diag::Fix;
use crate::source::Span;
use crate::syntax::characters::as_glob;
use crate::syntax::literal;

/// What was most likely meant, if it is a value.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    split_number(at)
        .or_else(|| thousands(at))
        .or_else(|| split_operator(at))
        .or_else(|| operator_word(at))
        .or_else(|| list_in_parentheses(at))
        .or_else(|| fraction(at))
}

/// The number that stands before.
fn number_before<'a>(at: &Stumble<'a>) -> Option<&'a str> {
    at.before()
        .rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
        .next()
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// A number that is apart from its unit: `512 MiB`, `90 percent`.
fn split_number(at: &Stumble<'_>) -> Option<Hint> {
    let number = number_before(at)?;
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.'));
    let percent =
        matches!(at.found.to_ascii_lowercase().as_str(), "%" | "percent" | "pct" | "perc" | "prozent");
    let known = amount::BYTES.iter().chain(&amount::TIMES).map(|(unit, _)| *unit);
    let unit = if percent {
        Some("%")
    } else {
        known
            .clone()
            .find(|unit| *unit == at.found)
            .or_else(|| literal::meant(at.found).map(|(unit, _)| unit))
    };
    let unit = unit.filter(|_| plain)?;
    let end = at.before().len();
    let span = Span::new(end - number.len()..at.span().range().end);
    let text = format!("{number}{unit}");
    let fix = Fix::certain(format!("write `{text}`"), span, text.as_str());
    Some(Hint::fix(fix).help(format!("a number and its unit are one word: `{text}`")))
}

/// `1,000MiB`
fn thousands(at: &Stumble<'_>) -> Option<Hint> {
    let number = number_before(at).filter(|_| at.found == ",")?;
    let start = at.before().len() - number.len();
    let rest = at.source.text.get(start..at.item.range.end)?;
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, ',' | '_' | '.' | '%'));
    let written = rest.get(..rest.find(ends).unwrap_or(rest.len()))?.trim_end_matches([',', '.']);
    thousands_in(start, written)
}

/// Groups of three digits behind commas, in a number that begins at a byte of the file.
fn thousands_in(start: usize, written: &str) -> Option<Hint> {
    let grouped = written
        .split(',')
        .skip(1)
        .all(|group| group.len() >= 3 && group.bytes().take(3).all(|byte| byte.is_ascii_digit()));
    let text = written.replace(',', "_");
    if !grouped || !written.contains(',') || literal::parse(&text).is_err() {
        return None;
    }
    let fix = Fix::certain(format!("write `{text}`"), Span::new(start..start + written.len()), text.as_str());
    Some(Hint::fix(fix).help(format!("thousands are parted by `_`, if at all: `{text}`")))
}

/// An operator of two signs that are the wrong ones: `<>`, `=>`, `=<`, `===`.
fn split_operator(at: &Stumble<'_>) -> Option<Hint> {
    let before = at.source.text.get(..at.at)?;
    let (sign, meant) =
        [("<", ">", "!="), ("=", ">", ">="), ("=", "<", "<="), ("==", "=", "=="), ("!=", "=", "!=")]
            .into_iter()
            .find(|(first, second, _)| before.ends_with(first) && at.found == *second)
            .map(|(first, _, meant)| (first, meant))?;
    let span = Span::new(at.at - sign.len()..at.at + at.found.len());
    let written = at.source.slice(span).to_owned();
    let hint = Hint::write(true, span, meant);
    Some(hint.instead(format!("there is no operator `{written}`"), span))
}

/// A word or a sign of another language in the place of an operator.
fn operator_word(at: &Stumble<'_>) -> Option<Hint> {
    if !at.has(Rule::plus) {
        return None;
    }
    if at.found == "|" {
        let length = if at.rest().starts_with("||") { 2 } else { 1 };
        return Some(Hint::write(true, Span::new(at.at..at.at + length), "or"));
    }
    let small = at.found.to_ascii_lowercase();
    let behind = at.behind();
    let sign = match small.as_str() {
        "not" if behind.starts_with("in") => return not_in(at),
        "is" if behind.starts_with("not ") => {
            let length = at.rest().find("not").map(|start| start + 3)?;
            return Some(Hint::write(true, Span::new(at.at..at.at + length), "!="));
        }
        "is" | "eq" | "equals" | "equal" => "==",
        "isnt" | "ne" | "neq" | "differs" => "!=",
        "gt" | "over" | "exceeds" | "above" => ">",
        "ge" | "gte" => ">=",
        "lt" | "below" | "under" => "<",
        "le" | "lte" => "<=",
        "xor" | "mod" | "div" => return None,
        "matches" | "match" | "like" | "ilike" | "glob" | "regex" | "rlike" | "regexp" | "contains"
        | "includes" | "startswith" | "starts_with" | "endswith" | "ends_with" => return pattern(at, &small),
        _ => return None,
    };
    Some(Hint::write(true, at.span(), sign))
}

/// `x not in […]`
fn not_in(at: &Stumble<'_>) -> Option<Hint> {
    let operand = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']');
    let before = at.before();
    let start = before.trim_end_matches(operand).len();
    let close = at.rest().find(']')?;
    let text = format!(
        "not ({} {})",
        before.get(start..)?,
        at.behind().get(..close + 1 - (at.rest().len() - at.behind().len()))?
    );
    let span = Span::new(start..at.at + close + 1);
    let fix = Fix::certain(format!("write `{text}`"), span, text.as_str());
    Some(Hint::fix(fix).help(format!("write `not` before: `{text}`")))
}

/// `comm matches "wor.*"`, `comm contains "x"`: patterns stand behind `==`.
fn pattern(at: &Stumble<'_>, word: &str) -> Option<Hint> {
    let help = "write `==`, and `*` for any characters: `comm == \"worker-*\"`";
    let quoted = at.behind();
    let inside = quoted.strip_prefix('"').and_then(|text| text.split_once('"')).map(|(inside, _)| inside);
    let Some(inside) = inside else {
        return Some(Hint::write(false, at.span(), "==").help(help));
    };
    let (glob, certain) = match word {
        "contains" | "includes" => (format!("*{inside}*"), true),
        "startswith" | "starts_with" => (format!("{inside}*"), true),
        "endswith" | "ends_with" => (format!("*{inside}"), true),
        "like" | "ilike" => (inside.replace('%', "*"), !inside.contains('%')),
        "glob" => (inside.to_owned(), true),
        _ => (as_glob(inside, true).unwrap_or_else(|| inside.to_owned()), false),
    };
    let text = format!("== \"{glob}\"");
    let start = at.at + (at.rest().len() - quoted.len());
    let span = Span::new(at.at..start + inside.len() + 2);
    Some(Hint::write(certain, span, &text).help(format!("{help}; here `{text}`")))
}

/// `comm in ("a", "b")`
fn list_in_parentheses(at: &Stumble<'_>) -> Option<Hint> {
    if at.found != "," || !at.has(Rule::close_paren) {
        return None;
    }
    let before = at.clause_before();
    let open = before.rfind('(')?;
    if !before.get(..open)?.trim_end().ends_with(" in") {
        return None;
    }
    let close = at.rest().find(')')?;
    let (open, close) = (at.item.range.start + open, at.at + close);
    let fix = Fix::new("write the list in `[ ]`", true)
        .at(Span::new(open..open + 1), "[")
        .at(Span::new(close..close + 1), "]");
    let inside = at.source.text.get(open + 1..close)?;
    let help = format!("a list stands in brackets: `in [{inside}]`");
    Some(
        Hint::fix(fix).help(help).instead("a list does not stand in parentheses", Span::new(open..close + 1)),
    )
}

/// `.5GiB`
fn fraction(at: &Stumble<'_>) -> Option<Hint> {
    (at.found == "." && at.has(Rule::number)).then(|| {
        let before = at.source.text.get(..at.at).unwrap_or("");
        if before.trim_end().ends_with("..") {
            // `1% ... 100%`
            let fix = Fix::certain("write `..`", at.span(), "");
            return Hint::fix(fix).help("a range has two dots: `1% .. 100%`");
        }
        let fix = Fix::certain("write `0.`", at.span(), "0.");
        Hint::fix(fix).help("a number begins with a digit: `0.5GiB`")
    })
}
