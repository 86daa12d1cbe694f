//! Numbers and operators as other tools write them.

use oomc_abi::amount;
use oomc_grammar::{Rule, words};

use super::{Hint, Stumble};
use crate::diag::Fix;
use crate::source::Span;
use crate::syntax::characters::as_glob;
use crate::syntax::literal;

/// What was most likely meant, if it is a value.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    split_number(at)
        .or_else(|| split_time(at))
        .or_else(|| decimal_comma(at))
        .or_else(|| list_in_braces(at))
        .or_else(|| list_without_brackets(at))
        .or_else(|| list_without_comma(at))
        .or_else(|| unit_before_a_field(at))
        .or_else(|| quantifier(at))
        .or_else(|| half_a_condition(at))
        .or_else(|| thousands(at))
        .or_else(|| split_operator(at))
        .or_else(|| operator_word(at))
        .or_else(|| list_in_parentheses(at))
        .or_else(|| three_dots(at))
        .or_else(|| fraction(at))
        .or_else(|| method(at))
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

/// `1h 30m`
fn split_time(at: &Stumble<'_>) -> Option<Hint> {
    let number = number_before(at)?;
    let text = format!("{number}{}", at.found);
    let is_time =
        |text: &str| literal::parse(text).is_ok_and(|literal| literal.kind == literal::Kind::Duration);
    if !is_time(number) || !is_time(at.found) || !is_time(&text) {
        return None;
    }
    let span = Span::new(at.before().len() - number.len()..at.span().range().end);
    Some(Hint::write(true, span, &text).help(format!("a time is one word: `{text}`")))
}

/// `100,5MiB`
fn decimal_comma(at: &Stumble<'_>) -> Option<Hint> {
    let number = number_before(at).filter(|_| at.found == ",")?;
    let fraction = super::super::token(at.rest().get(1..)?);
    let text = format!("{number}.{fraction}");
    let short = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if !(1..=2).contains(&short) || number.contains('.') || literal::parse(&text).is_err() {
        return None;
    }
    let span = Span::new(at.before().len() - number.len()..at.at + 1 + fraction.len());
    Some(Hint::write(false, span, &text).help(format!("a fraction stands behind a point: `{text}`")))
}

/// `comm in {"a", "b"}`
fn list_in_braces(at: &Stumble<'_>) -> Option<Hint> {
    if at.found != "{" || at.word_before() != "in" {
        return None;
    }
    let close = at.rest().find('}')?;
    let fix = Fix::new("write the list in `[ ]`", true)
        .at(at.span(), "[")
        .at(Span::new(at.at + close..at.at + close + 1), "]");
    Some(Hint::fix(fix).help(format!("a list stands in brackets: `in [{}]`", at.rest().get(1..close)?)))
}

/// `comm in "a", "b"`
fn list_without_brackets(at: &Stumble<'_>) -> Option<Hint> {
    let before = at.before();
    let first = before.strip_suffix('"').filter(|_| at.found == ",")?.rfind('"')?;
    if !before.get(..first)?.ends_with(" in ") {
        return None;
    }
    let mut end = at.at;
    loop {
        let rest = at.source.text.get(end..at.item.range.end)?;
        let Some(behind) = rest.trim_start().strip_prefix(',').map(str::trim_start) else { break };
        let element = super::super::token(behind);
        if !element.starts_with('"') {
            break;
        }
        end += rest.len() - behind.len() + element.len();
    }
    let fix = Fix::new("write the list in `[ ]`", true)
        .at(Span::new(first..first), "[")
        .at(Span::new(end..end), "]");
    let list = at.source.text.get(first..end)?;
    Some(Hint::fix(fix).help(format!("a list stands in brackets: `in [{list}]`")))
}

/// `["a" "b"]`
fn list_without_comma(at: &Stumble<'_>) -> Option<Hint> {
    let element = at.found.starts_with('"') && at.has(Rule::comma) && at.has(Rule::close_bracket);
    let fix = Fix::certain("write `,`", at.end_of_before(), ",");
    element.then(|| Hint::fix(fix).help("the elements of a list stand behind commas: `[\"a\", \"b\"]`"))
}

/// `process.rss`
fn unit_before_a_field(at: &Stumble<'_>) -> Option<Hint> {
    if at.found != "process" || !at.has(Rule::number) {
        return None;
    }
    let field = super::super::token(at.rest().strip_prefix("process.")?);
    oomc_abi::fields::find(oomc_abi::fields::Owner::Process, field)?;
    let fix = Fix::certain("leave `process.` out", Span::new(at.at..at.at + "process.".len()), "");
    Some(Hint::fix(fix).help(format!("a field of the candidate stands alone: `{field}`")))
}

/// `comm != "a" and != "b"`, `rss > 1MiB and`, `comm has "a"`
fn half_a_condition(at: &Stumble<'_>) -> Option<Hint> {
    let (word, before) = (at.word_before(), at.before());
    if at.has(Rule::number) && matches!(word, "and" | "or") {
        return match at.found {
            "" => Some(Hint::told(format!(
                "a condition stands behind `{word}`: complete it, or leave `{word}` out"
            ))),
            "=" | "!" | "<" | ">" => {
                Some(Hint::told(format!("`{word}` joins whole conditions: say again what is compared")))
            }
            _ => None,
        };
    }
    let inside = at.found.strip_prefix('"')?.strip_suffix('"').filter(|_| word == "has")?;
    let text = format!("== \"*{inside}*\"");
    let span = Span::new(before.len() - word.len()..at.span().range().end);
    Some(
        Hint::write(true, span, &text)
            .help(format!("`has` asks for bits; a part of a text is a pattern: `{text}`")),
    )
}

/// Quantifiers as functions: `count(process) > 3`, `sum(rss)`, `any process where …`.
fn quantifier(at: &Stumble<'_>) -> Option<Hint> {
    let word = at.word_before();
    let sums = words::of(Rule::fold).contains(&word) && at.found == "(";
    let asks = words::of(Rule::quant).contains(&word) && at.has(Rule::unit);
    if sums {
        return Some(Hint::told(format!(
            "of the processes in a cgroup, `({word} rss of process in it)`; of two values, `(if a > b then a else b)`"
        )));
    }
    if asks {
        return Some(Hint::told(format!(
            "a quantifier names a unit and a place: `({word} process in it where comm == \"nginx\")`"
        )));
    }
    let line = at.clause_before();
    let unit = words::of(Rule::unit).contains(&word);
    let before = line.strip_suffix(word)?.trim_end();
    let quant = before.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?;
    let quantified =
        words::of(Rule::quant).contains(&quant) || quant == "of" && before.contains(['m', 'n', 'x']);
    if !unit || !quantified || !at.has(Rule::kw_in) || at.head() == "pick" {
        return None;
    }
    let fix = Fix::possible("write `in it`", at.end_of_before(), " in it");
    let hint =
        Hint::told("a quantifier names its place: `in it` for those in the candidate, `in subtree` for all");
    Some(if at.reads_on(&fix) { Hint { fixes: vec![fix], ..hint } } else { hint })
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
    let before = at.before();
    let signs = [
        ("<", ">", "!="),
        ("=", ">", ">="),
        ("=", "<", "<="),
        ("==", "=", "=="),
        ("!=", "=", "!="),
        (">", ">", ">"),
        ("<", "<", "<"),
    ];
    let (sign, meant) = signs
        .into_iter()
        .find(|(first, second, _)| before.ends_with(first) && at.found == *second)
        .map(|(first, _, meant)| (first, meant))?;
    let span = Span::new(before.len() - sign.len()..at.at + at.found.len());
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
    let (glob, certain) = match (word, affix(word, inside)) {
        (_, Some(glob)) => (glob, true),
        ("like" | "ilike", _) => (inside.replace('%', "*"), !inside.contains('%')),
        ("glob", _) => (inside.to_owned(), true),
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

/// `1% ... 100%`
fn three_dots(at: &Stumble<'_>) -> Option<Hint> {
    let before = at.source.text.get(..at.at)?;
    let fix = Fix::certain("write `..`", at.span(), "");
    (at.found == "." && before.ends_with(".."))
        .then(|| Hint::fix(fix).help("a range has two dots: `1% .. 100%`"))
}

/// `comm.startswith("w")`: what other languages ask of a text is a pattern here.
fn method(at: &Stumble<'_>) -> Option<Hint> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = at.before();
    let start = before.trim_end_matches(word).len();
    let field = before.get(..start)?.strip_suffix('.').filter(|field| field.ends_with(word))?;
    let name = before.get(start..)?.to_ascii_lowercase();
    let argument = at.rest().strip_prefix('(')?.trim_start().strip_prefix('"')?;
    let (inside, behind) = argument.split_once('"')?;
    let end = at.rest().len() - behind.trim_start().strip_prefix(')')?.len();
    let text = format!(" == \"{}\"", affix(&name, inside)?);
    let span = Span::new(field.len()..at.at + end);
    let fix = Fix::certain(format!("write `{}`", text.trim_start()), span, text.as_str());
    let help =
        format!("a field has no functions; `*` in a text stands for any characters: `{}`", text.trim_start());
    Some(Hint::fix(fix).help(help))
}

/// A word that asks for a part of a text, as a pattern: `startswith`, `contains`.
fn affix(word: &str, text: &str) -> Option<String> {
    Some(match word {
        "contains" | "includes" => format!("*{text}*"),
        "startswith" | "starts_with" | "hasprefix" | "has_prefix" => format!("{text}*"),
        "endswith" | "ends_with" | "hassuffix" | "has_suffix" => format!("*{text}"),
        "equals" | "eq" => text.to_owned(),
        _ => return None,
    })
}

/// `.5GiB`
fn fraction(at: &Stumble<'_>) -> Option<Hint> {
    (at.found == "." && at.has(Rule::number)).then(|| {
        let fix = Fix::certain("write `0.`", at.span(), "0.");
        Hint::fix(fix).help("a number begins with a digit: `0.5GiB`")
    })
}
