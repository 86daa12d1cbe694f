//! Regular expressions as patterns of the language, where that is possible.
//!
//! A pattern has `*` and `?` and nothing else, but a list of them stands for alternatives. So an expression of words,
//! alternatives and dots can be said exactly; what else there is in expressions (classes of many characters, counts,
//! places between words) cannot, and is refused with the reason.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::draft::plain;

/// Alternatives of one expression: more are a list that nobody reads.
const MOST: usize = 64;
/// Characters of a command's name that the kernel keeps.
const NAME: usize = 15;
/// Stand for the ends of the text while alternatives are put together.
const START: char = '\u{2}';
const END: char = '\u{3}';

/// The patterns that match what the expression finds somewhere in a text; none if it can find nothing.
///
/// # Errors
/// Why there are none.
pub(crate) fn patterns(expression: &str) -> Result<Vec<String>, String> {
    let parsed = regex_syntax::Parser::new().parse(expression);
    let hir = parsed.map_err(|_| "it is no regular expression that is understood here".to_owned())?;
    let mut all = Vec::new();
    for one in expand(&hir)? {
        if let Some(pattern) = whole(&one)
            && !all.contains(&pattern)
        {
            all.push(pattern);
        }
    }
    Ok(all)
}

/// Those patterns that the name of a command can match: it has at most 15 bytes.
pub(crate) fn of_command(expression: &str) -> Result<Vec<String>, String> {
    let mut all = patterns(expression)?;
    all.retain(|pattern| pattern.bytes().filter(|byte| *byte != b'*').count() <= NAME);
    if all.is_empty() {
        Err("no command's name can match it, which has at most 15 bytes".to_owned())
    } else {
        Ok(all)
    }
}

/// A list of the language.
pub(crate) fn list(patterns: &[String]) -> String {
    let quoted: Vec<String> = patterns.iter().map(|pattern| format!("\"{pattern}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A text that a pattern matches.
pub(crate) fn sample(pattern: &str) -> String {
    pattern.chars().filter(|c| *c != '*').map(|c| if c == '?' { 'x' } else { c }).collect()
}

/// From an alternative with its ends to a pattern for a whole text.
fn whole(one: &str) -> Option<String> {
    let (open, rest) = one.strip_prefix(START).map_or((true, one), |rest| (false, rest));
    let (shut, middle) = rest.strip_suffix(END).map_or((true, rest), |rest| (false, rest));
    // An end in the middle of a text is nowhere.
    if middle.contains([START, END]) {
        return None;
    }
    let text = format!("{}{middle}{}", if open { "*" } else { "" }, if shut { "*" } else { "" });
    // `**` would cross the parts of a path; for a name it is the same.
    Some(text.replace("**", "*"))
}

fn expand(hir: &Hir) -> Result<Vec<String>, String> {
    let all = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(literal) => vec![written(&literal.0)?],
        HirKind::Class(class) => of_class(class)?,
        HirKind::Look(Look::Start | Look::StartLF) => vec![START.to_string()],
        HirKind::Look(Look::End | Look::EndLF) => vec![END.to_string()],
        HirKind::Look(_) => return Err("a pattern knows no borders of words".to_owned()),
        HirKind::Capture(capture) => expand(&capture.sub)?,
        HirKind::Alternation(parts) => {
            parts.iter().map(expand).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
        }
        HirKind::Concat(parts) => {
            parts.iter().try_fold(vec![String::new()], |before, part| joined(&before, &expand(part)?))?
        }
        HirKind::Repetition(repeated) => {
            match (repeated.min, repeated.max, expand(&repeated.sub)?.as_slice()) {
                (0, None, [any]) if any == "?" => vec!["*".to_owned()],
                (1, None, [any]) if any == "?" => vec!["?*".to_owned()],
                (0, Some(1), some) => [&[String::new()], some].concat(),
                _ => return Err("a pattern cannot repeat a part".to_owned()),
            }
        }
    };
    if all.len() > MOST { Err(format!("it stands for more than {MOST} words")) } else { Ok(all) }
}

fn joined(before: &[String], behind: &[String]) -> Result<Vec<String>, String> {
    if before.len() * behind.len() > MOST {
        return Err(format!("it stands for more than {MOST} words"));
    }
    Ok(before.iter().flat_map(|left| behind.iter().map(move |right| format!("{left}{right}"))).collect())
}

/// A character of several: each of a few, or any.
fn of_class(class: &Class) -> Result<Vec<String>, String> {
    let many = || "a pattern cannot choose among so many characters".to_owned();
    let Class::Unicode(class) = class else { return Err(many()) };
    let ranges: Vec<(char, char)> = class.iter().map(|range| (range.start(), range.end())).collect();
    // A dot: all but the end of a line.
    if let [('\0', _), .., (_, char::MAX)] = ranges.as_slice() {
        return Ok(vec!["?".to_owned()]);
    }
    let characters: Vec<char> = ranges.iter().flat_map(|(first, last)| (*first..=*last).take(MOST)).collect();
    if characters.len() > 16 {
        return Err(many());
    }
    characters.iter().map(|c| written(c.to_string().as_bytes())).collect()
}

/// Words as a pattern and a string can hold them.
fn written(bytes: &[u8]) -> Result<String, String> {
    let cannot = || "it holds characters that a pattern cannot".to_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| cannot())?;
    if text.contains(['*', '?', '"']) || plain(text) != text { Err(cannot()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expression: &str) -> Vec<String> {
        patterns(expression).unwrap_or_else(|why| vec![format!("! {why}")])
    }

    #[test]
    fn words_and_alternatives_are_patterns() {
        assert_eq!(of("^sshd$"), ["sshd"]);
        assert_eq!(of("sshd"), ["*sshd*"]);
        assert_eq!(of("(^|/)(init|X)$"), ["init", "X", "*/init", "*/X"]);
        assert_eq!(of("^kwin_.*$"), ["kwin_*"]);
        assert_eq!(of("^(Web Content|WebExtensions)$"), ["Web Content", "WebExtensions"]);
        assert_eq!(of("^gdm3?$"), ["gdm", "gdm3"]);
        assert_eq!(of("^c.t"), ["c?t*"]);
        assert_eq!(of("^worker-[0-2]$"), ["worker-0", "worker-1", "worker-2"]);
        assert!(of("a$b").is_empty(), "nothing stands behind the end");
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        assert_eq!(of("^[a-z]+$"), ["! a pattern cannot choose among so many characters"]);
        assert_eq!(of("^(ab)+$"), ["! a pattern cannot repeat a part"]);
        assert_eq!(of("\\bx"), ["! a pattern knows no borders of words"]);
        assert_eq!(of("a\\*b"), ["! it holds characters that a pattern cannot"]);
        assert_eq!(of("("), ["! it is no regular expression that is understood here"]);
        assert!(of_command("^gnome-control-center$").is_err());
    }
}
