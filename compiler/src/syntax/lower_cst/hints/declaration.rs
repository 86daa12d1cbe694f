//! Declarations as other languages have them: constants, params, labels, counters, definitions.

use oomc_grammar::Rule;

use super::{Hint, Stumble};
use crate::diag::Fix;
use crate::source::Span;
use crate::syntax::literal;

/// What was most likely meant, if it is a declaration.
pub(super) fn hint(at: &Stumble<'_>) -> Option<Hint> {
    match at.head() {
        "label" => label(at),
        "state" => state(at),
        "param" => param(at).or_else(|| equals(at)),
        "const" | "pick" => equals(at),
        "define" => definition(at),
        "mode" => mode(at),
        "rule" if at.has(Rule::colon) => {
            let end = if at.found == "=" { at.span().range().end } else { at.end_of_before().range().start };
            let span = Span::new(at.end_of_before().range().start..end);
            let fix = Fix::certain("write `:` behind the name", span, ":");
            Some(Hint::fix(fix).help("a rule's name ends with a colon: `rule \"name\": …`"))
        }
        _ => None,
    }
}

/// From the end of what stands before to the end of the token.
fn with_gap(at: &Stumble<'_>) -> Span {
    Span::new(at.end_of_before().range().start..at.span().range().end)
}

/// `const x: 10%`, `const x := 10%`, `const x == 10%`, `const x 10%`
fn equals(at: &Stumble<'_>) -> Option<Hint> {
    if at.has(Rule::equals) {
        if at.found == ":" {
            let length = if at.rest().starts_with(":=") { 2 } else { 1 };
            return Some(Hint::write(true, Span::new(at.at..at.at + length), "="));
        }
        let starts_value = |c: char| c.is_ascii_digit() || c == '"' || c == '-';
        if at.found.starts_with(starts_value) {
            let start = Span { end: at.span().start, ..at.span() };
            return Some(Hint::fix(Fix::certain("write `=`", start, "= ")));
        }
    }
    let before = at.source.text.get(..at.at)?;
    if at.found == "=" && before.trim_end().ends_with('=') {
        let fix = Fix::certain("write `=`", with_gap(at), "");
        return at.reads_on(&fix).then(|| Hint::fix(fix));
    }
    None
}

/// `param x: percent = 10% …`, `range 1%-20%`, `range [1%, 20%]`
fn param(at: &Stumble<'_>) -> Option<Hint> {
    if at.has(Rule::equals) && at.found == ":" {
        let kind = super::super::token(at.behind());
        let end = at.at + (at.rest().len() - at.behind().len()) + kind.len();
        let fix =
            Fix::certain(format!("leave `: {kind}` out"), Span::new(with_gap(at).range().start..end), "");
        if kind.starts_with(|c: char| c.is_ascii_alphabetic()) && at.reads_on(&fix) {
            return Some(
                Hint::fix(fix).help("a param has the type of its value: `param step = 10% range 1% .. 20%`"),
            );
        }
    }
    if !at.has(Rule::dots) && !at.has(Rule::kw_range) {
        return None;
    }
    let clause = at.source.text.get(at.item.range.clone())?;
    let words = ["range", "min", "between"];
    let start = words.iter().filter_map(|word| clause.find(&format!(" {word} "))).min()? + 1;
    let written = clause.get(start..)?.split('#').next()?.trim_end();
    let bounds: Vec<&str> = written
        .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '%' | '.')))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_digit()) && literal::parse(word).is_ok())
        .collect();
    let [least, most] = bounds.as_slice() else { return None };
    let text = format!("range {least} .. {most}");
    let start = at.item.range.start + start;
    let fix = Fix::certain(format!("write `{text}`"), Span::new(start..start + written.len()), text.as_str());
    at.reads_on(&fix).then(|| Hint::fix(fix))
}

/// `label tier = 100`, `label tier: int = 3`, `label tier := 3`
fn label(at: &Stumble<'_>) -> Option<Hint> {
    let form = "a label has a type and a default: `label tier: count = 100`";
    if at.has(Rule::colon) {
        return Some(if at.found == "=" { untyped_label(at) } else { Hint::told(form) });
    }
    if at.has(Rule::type_name) {
        let kind = match at.found {
            "int" | "integer" | "number" | "u64" | "u32" | "uint" | "num" | "counter" => "count",
            "size" | "memory" | "byte" => "bytes",
            "time" | "seconds" => "duration",
            "ratio" | "share" | "float" => "percent",
            "boolean" | "flag" => "bool",
            "=" => {
                let rest = at.behind();
                let fix = Fix::new(format!("write `: {} =`", kind_of(rest)), true);
                return Some(Hint::fix(fix.at(at.span(), format!(" {} =", kind_of(rest)))).help(form));
            }
            "string" | "text" | "str" => {
                return Some(Hint::told(
                    "a label is a number or a truth value: give each name a number, `label tier: count = 0`",
                ));
            }
            _ => return Some(Hint::told("a type is `count`, `bytes`, `percent`, `duration` or `bool`")),
        };
        return Some(Hint::write(true, at.span(), kind));
    }
    at.has(Rule::equals).then(|| Hint::told(form))
}

/// The type of a label whose value a text begins with.
fn kind_of(text: &str) -> &'static str {
    let number = text.split_whitespace().next().unwrap_or("");
    match literal::parse(number.trim_start_matches('-')).map(|literal| literal.kind) {
        Ok(literal::Kind::Bytes) => "bytes",
        Ok(literal::Kind::Ratio) => "percent",
        Ok(literal::Kind::Duration) => "duration",
        Err(_) if matches!(number, "true" | "false") => "bool",
        Ok(literal::Kind::Count) | Err(_) => "count",
    }
}

/// `label tier = 100`
fn untyped_label(at: &Stumble<'_>) -> Hint {
    let number = at.behind().split_whitespace().next().unwrap_or("");
    let kind = kind_of(at.behind());
    let fix = Fix::certain(format!("write `: {kind} =`"), with_gap(at), format!(": {kind} ="));
    let name = at.word_before();
    Hint::fix(fix).help(format!("a label has a type: `label {name}: {kind} = {number}`"))
}

/// `state n = 0`, `state n: counter`
fn state(at: &Stumble<'_>) -> Option<Hint> {
    let name = at.word_before();
    if at.has(Rule::colon) && at.found == "=" {
        let rest = at.rest();
        let line = rest.get(..rest.find('\n').unwrap_or(rest.len()))?.split('#').next()?.trim_end();
        let zero = line.trim_start_matches('=').trim() == "0";
        let span = Span::new(at.end_of_before().range().start..at.at + line.len());
        let fix = Fix::new("write `: counter per cgroup`", zero).at(span, ": counter per cgroup");
        let help = format!("a state is a counter that begins at 0: `state {name}: counter per cgroup`");
        return Some(Hint::fix(fix).help(help));
    }
    if at.has(Rule::kw_per) && at.found.is_empty() {
        let fix = Fix::certain("write `per cgroup`", at.end_of_before(), " per cgroup");
        return Some(Hint::fix(fix).help("a counter belongs to a cgroup: `state n: counter per cgroup`"));
    }
    (at.has(Rule::anchor) && at.word_before() == "per")
        .then(|| Hint::told("counters are kept for cgroups: `state n: counter per cgroup`"))
}

/// `define heavy = rss > 1GiB`
fn definition(at: &Stumble<'_>) -> Option<Hint> {
    let form = "a definition says what it is about: `define heavy = process where rss > 1GiB`";
    if !at.has(Rule::unit) {
        return None;
    }
    let is = |owner| oomc_abi::fields::find(owner, at.found).is_some();
    let unit = match (is(oomc_abi::fields::Owner::Process), is(oomc_abi::fields::Owner::Cgroup)) {
        (true, false) => "process",
        (false, true) => "cgroup",
        _ => return Some(Hint::told(form)),
    };
    let text = format!("{unit} where ");
    let start = Span { end: at.span().start, ..at.span() };
    let fix = Fix::certain(format!("write `{unit} where` before the condition"), start, text);
    Some(Hint::fix(fix).help(form))
}

/// `mode "audit"`
fn mode(at: &Stumble<'_>) -> Option<Hint> {
    let inside = at.found.strip_prefix('"')?.strip_suffix('"')?;
    let fix = Fix::certain(format!("write `{inside}`"), at.span(), inside);
    at.reads_on(&fix).then(|| Hint::fix(fix).help("a mode stands without quotes: `mode audit`"))
}
