//! Characters that no token has: what was most likely meant by them.
//!
//! Owns the table of characters that look like an ASCII one, and of those that nobody sees. Takes a character and the
//! text around it, gives what to write instead. Knows nothing of the grammar beyond the spelling of signs.

use crate::diag::Fix;
use crate::source::{Source, Span};

/// What to write instead of a character.
pub(super) struct Instead {
    /// In a sentence.
    pub(super) help: String,
    /// As data.
    pub(super) fix: Option<Fix>,
}

impl Instead {
    fn write(text: &str, span: Span) -> Self {
        let help = format!("write `{text}`");
        Self { fix: Some(Fix::certain(help.clone(), span, text)), help }
    }

    fn told(help: &str) -> Self {
        Self { help: help.to_owned(), fix: None }
    }
}

/// Letters of other scripts, each with the ASCII letter that it cannot be told from.
const LETTERS: &[(&str, char)] = &[
    ("аａα", 'a'),
    ("АΑ", 'A'),
    ("ВΒ", 'B'),
    ("сϲ", 'c'),
    ("СϹ", 'C'),
    ("ԁ", 'd'),
    ("еҽ", 'e'),
    ("ЕΕ", 'E'),
    ("ɡ", 'g'),
    ("һ", 'h'),
    ("НΗ", 'H'),
    ("іıι", 'i'),
    ("ІΙ", 'I'),
    ("јϳ", 'j'),
    ("Ј", 'J'),
    ("КΚ", 'K'),
    ("ӏ", 'l'),
    ("МΜ", 'M'),
    ("Ν", 'N'),
    ("оοօ", 'o'),
    ("ОΟ", 'O'),
    ("рρ", 'p'),
    ("РΡ", 'P'),
    ("ԛ", 'q'),
    ("ѕ", 's'),
    ("Ѕ", 'S'),
    ("ТΤ", 'T'),
    ("υս", 'u'),
    ("ν", 'v'),
    ("ԝ", 'w'),
    ("хχ", 'x'),
    ("ХΧ", 'X'),
    ("уγ", 'y'),
    ("УΥ", 'Y'),
    ("ΖᏃ", 'Z'),
];

/// The ASCII letter that a character of another script looks like.
pub(crate) fn look_alike(found: char) -> Option<char> {
    LETTERS.iter().find(|(alike, _)| alike.contains(found)).map(|(_, ascii)| *ascii)
}

/// What a sign of another alphabet, or of a word processor, stands for.
fn sign(found: char) -> Option<&'static str> {
    Some(match found {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => "-",
        '≤' | '⩽' | '≦' => "<=",
        '≥' | '⩾' | '≧' => ">=",
        '≠' => "!=",
        '×' | '·' | '∗' => "*",
        '÷' | '∕' => "/",
        '…' => "..",
        '∧' => "and",
        '∨' => "or",
        '¬' => "not",
        '∈' => "in",
        _ => return None,
    })
}

/// A character that looks like a space and is none.
fn is_space(found: char) -> bool {
    found.is_whitespace() || matches!(found, '\u{2800}' | '\u{3164}')
}

/// A character that nobody sees, or that turns the direction of what stands behind it.
pub(super) fn is_invisible(found: char) -> bool {
    oomc_grammar::items::is_hidden(found)
}

/// What was meant by a character that stands between tokens.
pub(super) fn instead(source: &Source, found: char, span: Span) -> Instead {
    if let Some(paired) = paired(source, found, span) {
        return paired;
    }
    if let Some(text) = sign(found) {
        return Instead::write(text, span);
    }
    if is_invisible(found) {
        let help = "remove it".to_owned();
        return Instead { fix: Some(Fix::certain(help.clone(), span, "")), help };
    }
    if is_space(found) {
        let help = "this is a space that only looks like one: write an ordinary space".to_owned();
        return Instead { fix: Some(Fix::certain("write an ordinary space", span, " ")), help };
    }
    let wide = u32::from(found).checked_sub(0xfee0).filter(|code| (0x21..=0x7e).contains(code));
    if let Some(plain) = wide.and_then(char::from_u32).or_else(|| look_alike(found)) {
        let mut instead = Instead::write(&plain.to_string(), span);
        instead.help = format!("it only looks like `{plain}`: write the letter or sign of ASCII");
        return instead;
    }
    match found {
        ';' => {
            let help = "nothing ends a clause: leave it out".to_owned();
            Instead { fix: Some(Fix::certain("leave it out", span, "")), help }
        }
        '?' => Instead::told("a value by condition is no action: write `if … then … else …`"),
        '$' | '@' | '`' | '\\' => Instead::told("names are letters, digits and `_`; text stands in quotes"),
        _ => Instead::told("outside of strings and comments a policy is written in ASCII: what is meant?"),
    }
}

/// Signs of which two belong together, or that stand before something.
fn paired(source: &Source, found: char, span: Span) -> Option<Instead> {
    let rest = source.text.get(span.range().end..)?;
    let doubled = |word: &str| {
        let end = span.end + u32::from(rest.starts_with(found));
        let spaced =
            !source.text.get(..span.range().start).is_some_and(|text| text.ends_with([' ', '\n', '\t']));
        let before = if spaced { " " } else { "" };
        let after = if source.text.get(end as usize..).is_some_and(|text| text.starts_with([' ', '\n'])) {
            ""
        } else {
            " "
        };
        let help = format!("write `{word}`");
        let fix = Fix::certain(help.clone(), Span { end, ..span }, format!("{before}{word}{after}"));
        Some(Instead { help, fix: Some(fix) })
    };
    match found {
        '&' => doubled("and"),
        '|' => doubled("or"),
        '!' if rest.starts_with('~') => regex(source, span, "!="),
        '!' => {
            let after = if rest.starts_with(' ') { "" } else { " " };
            let help = "write `not`".to_owned();
            Some(Instead { fix: Some(Fix::certain(help.clone(), span, format!("not{after}"))), help })
        }
        '~' => regex(source, span, "=="),
        '\'' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{60}' => quoted(source, span),
        _ => None,
    }
}

/// `=~ "wor.*"`: there are no regular expressions, and most are no more than a glob.
fn regex(source: &Source, span: Span, operator: &str) -> Option<Instead> {
    let (before, range) = (source.text.get(..span.range().start)?, span.range());
    let start = before.trim_end_matches(['=', '!']).len();
    let rest = source.text.get(range.end..)?;
    let end = range.end + (rest.len() - rest.trim_start_matches(['=', '~']).len());
    let help = format!("no regular expressions: write `{operator}` and a pattern such as `\"worker-*\"`");
    let text = source.text.get(end..)?;
    let quote = text.trim_start();
    let pattern = quote.strip_prefix('"').and_then(|inside| inside.split_once('"')).map(|(inside, _)| inside);
    let title = format!("write `{operator}`");
    let fix = Fix::possible(title, Span::new(start..end), operator);
    let fix = match pattern.map(|pattern| (pattern, as_glob(pattern, false))) {
        Some((pattern, Some(glob))) => {
            let at = end + (text.len() - quote.len()) + 1;
            let mut fix = fix.at(Span::new(at..at + pattern.len()), glob.as_str());
            fix.title = format!("write `{operator} \"{glob}\"`");
            fix
        }
        _ => fix,
    };
    Some(Instead { help, fix: Some(fix) })
}

/// The glob that says the same as a regular expression; none if there is no such glob. `whole`: what has no `^` begins
/// at the beginning all the same.
pub(crate) fn as_glob(regex: &str, whole: bool) -> Option<String> {
    let (inside, begins) = regex.strip_prefix('^').map_or((regex, whole), |rest| (rest, true));
    let (inside, ends) = inside.strip_suffix('$').map_or((inside, whole), |rest| (rest, true));
    let mut glob = inside.replace(".*", "*").replace(".+", "?*").replace("\\.", ".");
    if glob.contains(['^', '$', '(', ')', '[', ']', '{', '}', '|', '+', '\\']) {
        return None;
    }
    if !begins && !glob.starts_with('*') {
        glob.insert(0, '*');
    }
    if !ends && !glob.ends_with('*') {
        glob.push('*');
    }
    Some(glob)
}

/// A string in other quotes than straight double ones.
fn quoted(source: &Source, span: Span) -> Option<Instead> {
    let rest = source.text.get(span.range().end..)?;
    let line = rest.split('\n').next()?;
    let close = |c: char| matches!(c, '\'' | '"' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{60}');
    let inside = line.split(close).next().filter(|inside| inside.len() < line.len());
    let Some(inside) = inside else {
        return Some(Instead::told("strings stand in straight double quotes: `\"sshd\"`"));
    };
    let last = line.get(inside.len()..)?.chars().next()?;
    let end = span.range().end + inside.len() + last.len_utf8();
    let help = format!("strings stand in straight double quotes: `\"{inside}\"`");
    let fix = Fix::certain(
        format!("write `\"{inside}\"`"),
        Span::new(span.range().start..end),
        format!("\"{inside}\""),
    );
    Some(Instead { help, fix: Some(fix) })
}

/// Removes every invisible character of the line on which one stands.
pub(super) fn without_invisible(source: &Source, span: Span) -> Fix {
    let start =
        source.text.get(..span.range().start).and_then(|text| text.rfind('\n')).map_or(0, |at| at + 1);
    let line = source.text.get(start..).and_then(|text| text.split('\n').next()).unwrap_or("");
    let hidden = line.char_indices().filter(|(_, c)| is_invisible(*c));
    hidden.fold(Fix::new("remove what is invisible", true), |fix, (at, c)| {
        fix.at(Span::new(start + at..start + at + c.len_utf8()), "")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str, found: char) -> Option<String> {
        let source = Source::new("a.oom", text);
        let at = text.find(found)?;
        instead(&source, found, Span::new(at..at + found.len_utf8())).fix?.apply(text)
    }

    #[test]
    fn what_looks_like_ascii_becomes_it() {
        for (text, found, wanted) in [
            ("x > \u{2013}500", '\u{2013}', "x > -500"),
            ("x \u{2264} 1", '\u{2264}', "x <= 1"),
            ("x \u{ff1e} 1", '\u{ff1e}', "x > 1"),
            ("l\u{430}rgest", '\u{430}', "largest"),
            ("a\u{a0}b", '\u{a0}', "a b"),
            ("a && b", '&', "a and b"),
            ("a||b", '|', "a or b"),
            ("where !dying", '!', "where not dying"),
            ("x == 'y'", '\'', "x == \"y\""),
            ("x == \u{201e}y\u{201c} z", '\u{201e}', "x == \"y\" z"),
            ("x =~ \"^wor.*\"", '~', "x == \"wor*\""),
            ("x =~ \"a|b\"", '~', "x == \"a|b\""),
            ("wait;", ';', "wait"),
        ] {
            assert_eq!(fixed(text, found).as_deref(), Some(wanted), "{text}");
        }
        assert_eq!(fixed("a ? b", '?'), None);
    }

    #[test]
    fn a_regular_expression_is_a_glob_or_nothing() {
        assert_eq!(as_glob("^nginx$", false).as_deref(), Some("nginx"));
        assert_eq!(as_glob("nginx", false).as_deref(), Some("*nginx*"));
        assert_eq!(as_glob("nginx-.*", true).as_deref(), Some("nginx-*"));
        assert_eq!(as_glob("(a|b)", false), None);
    }
}
