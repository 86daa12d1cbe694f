//! Replacements that a help names, as data, and what a text becomes when they are made.
//!
//! Owns [`Fix`]: where, what instead, and whether it is certain that the author meant it. `oomc check --format json`,
//! the language server and `oomc fix` read the same ones. Takes a text and gives a text; knows neither files nor how a
//! text is checked: [`repair`] is told how.

use super::Diagnostic;
use crate::source::Span;

/// A stretch of the text, and what stands there instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What goes. Empty where something is only put in.
    pub span: Span,
    /// What comes.
    pub text: String,
}

/// One way to repair what a diagnostic is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What is done, as a reader chooses it: ``write `==` ``.
    pub title: String,
    /// All of them are made, or none. They do not overlap.
    pub edits: Vec<Edit>,
    /// The author can have meant nothing else.
    pub certain: bool,
}

impl Fix {
    /// A fix without edits; [`at`](Self::at) adds them.
    #[must_use]
    pub fn new(title: impl Into<String>, certain: bool) -> Self {
        Self { title: title.into(), edits: Vec::new(), certain }
    }

    /// One that the author must have meant.
    #[must_use]
    pub fn certain(title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        Self::new(title, true).at(span, text)
    }

    /// One that the author may have meant.
    #[must_use]
    pub fn possible(title: impl Into<String>, span: Span, text: impl Into<String>) -> Self {
        Self::new(title, false).at(span, text)
    }

    /// Another text for this stretch.
    #[must_use]
    pub fn at(mut self, span: Span, text: impl Into<String>) -> Self {
        self.edits.push(Edit { span, text: text.into() });
        self
    }

    /// The text after all edits; none if they do not fit it, or overlap.
    #[must_use]
    pub fn apply(&self, text: &str) -> Option<String> {
        let mut edits: Vec<&Edit> = self.edits.iter().collect();
        edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
        let (mut new, mut done) = (String::with_capacity(text.len()), 0);
        for edit in edits {
            let range = edit.span.range();
            new.push_str(text.get(done..range.start)?);
            text.get(range.clone())?;
            new.push_str(&edit.text);
            done = range.end;
        }
        new.push_str(text.get(done..)?);
        (new != text).then_some(new)
    }
}

/// A fix that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// What it repaired.
    pub diagnostic: Diagnostic,
    /// What was done.
    pub title: String,
}

/// What became of a text.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// With the fixes.
    pub text: String,
    /// Which, in the order in which they were made.
    pub made: Vec<Made>,
    /// What is still to be said.
    pub left: Vec<Diagnostic>,
}

/// Fixes of one text. Nobody waits for more, and a text of garbage has many.
const MAX_FIXES: usize = 1000;

/// Makes one fix after the other, the certain ones or all, until none is left that helps. After each, the text is
/// checked: one after which its mistake is still there, or a mistake before it that was not, is not made.
pub fn repair(text: &str, all: bool, check: &dyn Fn(&str) -> Vec<Diagnostic>) -> Repaired {
    let mut now = Repaired { text: text.to_owned(), made: Vec::new(), left: check(text) };
    while now.made.len() < MAX_FIXES
        && let Some(next) = step(&now, all, check)
    {
        now = next;
    }
    now
}

/// The text with one more fix; none if no fix helps.
fn step(now: &Repaired, all: bool, check: &dyn Fn(&str) -> Vec<Diagnostic>) -> Option<Repaired> {
    now.left.iter().find_map(|diagnostic| {
        let fix = diagnostic.fixes.iter().find(|fix| all || fix.certain)?;
        let text = fix.apply(&now.text)?;
        let left = check(&text);
        helps(diagnostic, &now.left, &left).then(|| {
            let made = Made { diagnostic: diagnostic.clone(), title: fix.title.clone() };
            Repaired { text, made: now.made.iter().cloned().chain([made]).collect(), left }
        })
    })
}

/// Whether a mistake is gone. What stood behind it may come to light; before it nothing may have come.
fn helps(fixed: &Diagnostic, before: &[Diagnostic], after: &[Diagnostic]) -> bool {
    let like = |one: &Diagnostic, list: &[Diagnostic]| {
        list.iter().filter(|other| other.code == one.code && other.message == one.message).count()
    };
    let at = fixed.span().map(|span| span.start);
    let new_before = after
        .iter()
        .any(|one| one.span().map(|span| span.start) < at && like(one, after) > like(one, before));
    like(fixed, after) < like(fixed, before) && !new_before
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::codes;

    fn span(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    /// A checker that dislikes the letters `x`, which are certainly `y`, and `z`, which may be `w`.
    fn dislikes(text: &str) -> Vec<Diagnostic> {
        let found = text.char_indices().filter(|(_, c)| matches!(c, 'x' | 'z'));
        found
            .map(|(at, c)| {
                let span = span(at as u32, at as u32 + 1);
                let fix = if c == 'x' {
                    Fix::certain("write y", span, "y")
                } else {
                    Fix::possible("write w", span, "w")
                };
                Diagnostic::new(codes::SYNTAX, format!("{c}")).label(span, "here").fix(fix)
            })
            .collect()
    }

    #[test]
    fn all_edits_of_a_fix_are_made_or_none() {
        let fix = Fix::new("swap", true).at(span(4, 5), "a").at(span(0, 1), "b").at(span(2, 2), "-");
        assert_eq!(fix.apply("c1 2c").as_deref(), Some("b1- 2a"));
        assert_eq!(fix.apply("a b"), None);
        assert_eq!(Fix::certain("nothing", span(0, 1), "a").apply("a"), None);
    }

    #[test]
    fn certain_fixes_are_made_and_all_on_demand() {
        let certain = repair("axzx", false, &dislikes);
        assert_eq!((certain.text.as_str(), certain.made.len(), certain.left.len()), ("ayzy", 2, 1));
        let all = repair("axzx", true, &dislikes);
        assert_eq!((all.text.as_str(), all.made.len(), all.left.len()), ("aywy", 3, 0));
    }

    #[test]
    fn what_does_not_help_is_not_made() {
        let stubborn = |text: &str| {
            let fix = Fix::certain("more", span(0, 0), "x");
            vec![Diagnostic::new(codes::SYNTAX, "no").label(span(0, text.len() as u32), "here").fix(fix)]
        };
        assert_eq!(repair("a", true, &stubborn).text, "a");
    }
}
