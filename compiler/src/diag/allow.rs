//! Acknowledged warnings: comments `# allow W0603: why`.
//!
//! Takes a policy's text and gives what its comments acknowledge and where; then takes what is to be said and leaves out
//! what is acknowledged. A comment without a reason, or about something that is no warning, is an error; one that
//! acknowledges nothing is a warning. A comment holds for the clause that it stands before or in; at the top of the
//! file, with an empty line behind it, for the whole file.

use core::cell::OnceCell;
use core::ops::Range;

use oomc_grammar::items;

use super::suggest::nearest;
use super::{Advice, Code, Diagnostic, Severity, codes};
use crate::source::{Source, Span};

/// A comment that acknowledges a warning.
#[derive(Clone, Debug)]
pub struct Allowed {
    code: Code,
    /// The code in the comment.
    span: Span,
    /// The clause; none: the whole file.
    clause: Option<Range<usize>>,
}

/// What the comments of a text acknowledge, and what is wrong with those that try.
#[must_use]
pub fn read(source: &Source) -> (Vec<Allowed>, Vec<Diagnostic>) {
    let (mut allowed, mut wrong) = (Vec::new(), Vec::new());
    let clauses = OnceCell::new();
    let clauses = || -> &Vec<Range<usize>> {
        clauses.get_or_init(|| items::split(&source.text).into_iter().map(|item| item.range).collect())
    };
    for comment in comments(&source.text) {
        let text = source.text.get(comment.clone()).unwrap_or("");
        let inside = text.trim_start_matches('#').trim_start();
        let Some(rest) = inside.strip_prefix("allow ").map(str::trim_start) else { continue };
        let (list, reason) = rest.split_once(':').unwrap_or((rest, ""));
        let start = comment.end - rest.len();
        for (at, word) in words(list) {
            let span = Span::new(start + at..start + at + word.len());
            match code(word, span) {
                None => break,
                Some(Err(diagnostic)) => wrong.push(diagnostic),
                Some(Ok(_)) if reason.trim().is_empty() => wrong.push(without_reason(word, span)),
                Some(Ok(code)) => {
                    let clause = holds_for(&source.text, clauses(), &comment);
                    allowed.push(Allowed { code, span, clause });
                }
            }
        }
    }
    (allowed, wrong)
}

/// Leaves acknowledged warnings out. `complete`: all that is ever said was said, so that what acknowledges nothing is
/// told.
pub(super) fn apply(allowed: &[Allowed], list: Vec<Diagnostic>, complete: bool) -> Vec<Diagnostic> {
    if allowed.is_empty() {
        return list;
    }
    let mut used = vec![false; allowed.len()];
    let mut left: Vec<Diagnostic> = Vec::new();
    for diagnostic in list {
        let mut told = true;
        for (one, used) in allowed.iter().zip(&mut used) {
            if one.holds(&diagnostic) {
                *used = true;
                told = false;
            }
        }
        if told {
            left.push(diagnostic);
        }
    }
    let errors = left.iter().any(|one| one.severity == Severity::Error);
    for (one, used) in allowed.iter().zip(used) {
        // An error hides warnings, and those of later stages come later.
        let later = ["W0503", "W0702"].contains(&one.code.id());
        if !used && complete && !errors && !later {
            left.push(nothing_to_allow(one));
        }
    }
    left
}

impl Allowed {
    fn holds(&self, diagnostic: &Diagnostic) -> bool {
        if diagnostic.code != self.code || diagnostic.severity != Severity::Warning {
            return false;
        }
        match (&self.clause, diagnostic.span()) {
            (None, _) => true,
            (Some(clause), Some(span)) => clause.contains(&span.range().start),
            (Some(_), None) => false,
        }
    }
}

/// Where comments stand: from `#` to the end of the line, outside of strings.
fn comments(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut at) = (Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        let mut quoted = false;
        let hash = line.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == '#' && !quoted
        });
        if let Some((hash, _)) = hash {
            found.push(at + hash..at + line.trim_end().len());
        }
        at += line.len();
    }
    found
}

/// The words of a list, and where each begins.
fn words(list: &str) -> impl Iterator<Item = (usize, &str)> {
    let separator = |c: char| c == ',' || c.is_whitespace();
    let mut at = 0;
    let parts = list.split(separator).map(move |word| {
        let start = at;
        // The signs between words are one byte long, or white space of any length.
        at = start
            + word.len()
            + list.get(start + word.len()..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        (start, word)
    });
    parts.filter(|(_, word)| !word.is_empty())
}

/// The warning that a word names; none if it is no code at all, and the comment an ordinary one.
fn code(word: &str, span: Span) -> Option<Result<Code, Diagnostic>> {
    let digits = word.get(1..)?;
    let like = word.starts_with(['W', 'w', 'E', 'e'])
        && digits.len() >= 3
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !like {
        return None;
    }
    Some(match Code::find(word) {
        Some(code) if code.severity() == Severity::Warning => Ok(code),
        Some(code) => {
            Err(Diagnostic::new(codes::ALLOW, format!("{code} is an error, and cannot be acknowledged"))
                .label(span, "not a warning")
                .help(format!("repair it: `oomc explain {code}` says how")))
        }
        None => {
            let near = nearest(
                word,
                Code::all().filter(|code| code.severity() == Severity::Warning).map(|code| code.id()),
            );
            let advice = match near {
                Some(near) => Advice::meant(near, span),
                None => "`oomc explain` lists the codes".into(),
            };
            Err(Diagnostic::new(codes::ALLOW, format!("there is no warning {word}"))
                .label(span, "unknown code")
                .advice(advice))
        }
    })
}

fn without_reason(word: &str, span: Span) -> Diagnostic {
    Diagnostic::new(codes::ALLOW, format!("why is {word} acknowledged?"))
        .label(span, "without a reason")
        .help(format!("say why, for whoever reads this later: `# allow {word}: why`"))
}

fn nothing_to_allow(one: &Allowed) -> Diagnostic {
    let place = if one.clause.is_some() { "of this clause" } else { "of this file" };
    Diagnostic::new(codes::UNUSED_ALLOW, format!("there is no {} to acknowledge", one.code))
        .label(one.span, format!("no such warning {place}"))
        .help("leave the comment out, or write it before the clause; at the top of the file, an empty line behind it \
               makes it hold for the whole file")
}

/// The clause that a comment holds for: the one that it stands in or behind on its line, or the next one; none: the
/// file.
fn holds_for(text: &str, clauses: &[Range<usize>], comment: &Range<usize>) -> Option<Range<usize>> {
    let line = text.get(..comment.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let trails = text.get(line..comment.start).is_some_and(|before| !before.trim().is_empty());
    let inside = clauses.iter().find(|clause| clause.contains(&comment.start));
    let behind = clauses.iter().rfind(|clause| trails && clause.end <= comment.start && clause.end > line);
    let next = clauses.iter().find(|clause| clause.start > comment.start);
    let first = clauses.first().is_none_or(|clause| comment.start < clause.start);
    if first && is_apart(text.get(comment.end..next.map_or(text.len(), |clause| clause.start)).unwrap_or(""))
    {
        return None;
    }
    inside.or(behind).or(next).cloned()
}

/// Whether an empty line stands in what is between a comment and a clause.
fn is_apart(between: &str) -> bool {
    between.contains("\n\n") || between.contains("\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> (Vec<(String, Option<String>)>, Vec<String>) {
        let source = Source::new("a.oom", text);
        let (allowed, wrong) = read(&source);
        let clause =
            |one: &Allowed| one.clause.clone().and_then(|clause| text.get(clause)).map(str::to_owned);
        let allowed = allowed.iter().map(|one| (one.code.to_string(), clause(one))).collect();
        (allowed, wrong.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_comment_holds_for_its_clause_or_for_the_file() {
        let one = |text| found(text).0.pop();
        let clause = |code: &str, text: &str| Some((code.to_owned(), Some(text.to_owned())));
        assert_eq!(one("# allow W0602: x\nraise_limit 10%\nwait"), clause("W0602", "raise_limit 10%"));
        assert_eq!(one("wait\n# allow W0602: x\n\nraise_limit 10%"), clause("W0602", "raise_limit 10%"));
        assert_eq!(one("raise_limit 10% # allow W0602: x\nwait"), clause("W0602", "raise_limit 10%"));
        assert_eq!(one("# allow W0602: x\n\nraise_limit 10%"), Some(("W0602".to_owned(), None)));
        assert_eq!(one("# allow users to sleep\nwait"), None);
        assert_eq!(one("notify \"# allow W0602: x\""), None);
        assert_eq!(found("# allow W0602, W0603: x\nwait").0.len(), 2);
    }

    #[test]
    fn what_acknowledges_nothing_that_can_be_is_wrong() {
        for (text, wrong) in [
            ("# allow W0602\nwait", "why is W0602 acknowledged?"),
            ("# allow W0602:  \nwait", "why is W0602 acknowledged?"),
            ("# allow E0302: x\nwait", "E0302 is an error, and cannot be acknowledged"),
            ("# allow W9999: x\nwait", "there is no warning W9999"),
        ] {
            assert_eq!(found(text), (Vec::new(), vec![wrong.to_owned()]), "{text}");
        }
    }
}
