//! What to write instead of what the parser stumbled over, as a sentence and as data.
//!
//! Takes a [`Stumble`]: what could have stood there, what does, and the text around it. Gives a [`Hint`]. Mistakes that
//! many make are known one by one, grouped by what they are about: values ([`value`]), selections ([`selection`]),
//! declarations ([`declaration`]), clauses and tests ([`clause`]), and what joins their parts ([`joint`]). What is none of these is a mistyped word, or gets an example.

mod clause;
mod declaration;
mod joint;
mod selection;
mod value;

use oomc_grammar::items::{self, Item};
use oomc_grammar::pest::Parser as _;
use oomc_grammar::pest::error::InputLocation;
use oomc_grammar::{OomParser, Rule, words};

use super::token;
use crate::diag::Fix;
use crate::diag::foreign::{self, Use};
use crate::diag::suggest::nearest;
use crate::source::{Source, Span};
use crate::syntax::errors::short;

/// Where the parser stopped.
pub(super) struct Stumble<'a> {
    pub(super) source: &'a Source,
    pub(super) item: &'a Item,
    /// What could have stood there.
    pub(super) positives: &'a [Rule],
    /// The byte of the file.
    pub(super) at: usize,
    /// The token there; empty at the end of the clause.
    pub(super) found: &'a str,
}

impl<'a> Stumble<'a> {
    fn has(&self, wanted: Rule) -> bool {
        self.positives.contains(&wanted)
    }

    /// The text before, without the white space at its end.
    fn before(&self) -> &'a str {
        self.source.text.get(..self.at).unwrap_or("").trim_end()
    }

    /// The clause before.
    fn clause_before(&self) -> &'a str {
        self.source.text.get(self.item.range.start..self.at).unwrap_or("").trim_end()
    }

    /// The word that ends before it.
    fn word_before(&self) -> &'a str {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        self.before().rsplit(|c: char| !word(c)).next().unwrap_or("")
    }

    /// The word before, where it stands.
    fn span_before(&self) -> Span {
        let end = self.before().len();
        Span::new(end - self.word_before().len()..end)
    }

    /// The rest of the clause, from the token on.
    fn rest(&self) -> &'a str {
        self.source.text.get(self.at..self.item.range.end).unwrap_or("")
    }

    /// What stands behind the token in the clause.
    fn behind(&self) -> &'a str {
        self.rest().get(self.found.len()..).unwrap_or("").trim_start()
    }

    /// Where the token stands.
    fn span(&self) -> Span {
        Span::new(self.at..self.at + self.found.len())
    }

    /// Behind the last token before.
    fn end_of_before(&self) -> Span {
        let end = self.before().len();
        Span::new(end..end)
    }

    /// Whether the parser reads on behind what a fix writes: to the end, or at least over the token that follows.
    fn reads_on(&self, fix: &Fix) -> bool {
        let (text, range) = (&self.source.text, &self.item.range);
        let Some(end) = fix.edits.iter().map(|edit| edit.span.range().end).max() else { return false };
        let (Some(new), Some(rest)) = (fix.apply(text), text.get(end..)) else { return false };
        let after = new.len() - rest.len();
        let next = after + (rest.len() - rest.trim_start().len());
        let new_end = range.end + new.len() - text.len();
        let Some(clause) = new.get(range.start..new_end) else { return false };
        match OomParser::parse(Rule::item, clause) {
            Ok(_) => true,
            // What begins with a word that begins clauses is an item of its own, and stands behind this one.
            Err(error) => match error.location {
                InputLocation::Pos(at) | InputLocation::Span((at, _)) => {
                    range.start + at > next || at >= clause.trim_end().len()
                }
            },
        }
    }

    /// The first word of the clause.
    fn head(&self) -> &'a str {
        token(self.source.text.get(self.item.range.clone()).unwrap_or(""))
    }
}

/// What to write instead.
#[derive(Default)]
pub(super) struct Hint {
    pub(super) help: String,
    pub(super) fixes: Vec<Fix>,
    /// Instead of what was expected, and where, if the mistake is another one than where the parser stopped.
    pub(super) instead: Option<(String, Span)>,
}

impl Hint {
    /// A remark without a replacement.
    fn told(help: impl Into<String>) -> Self {
        Self { help: help.into(), ..Self::default() }
    }

    /// A replacement whose title is the help.
    fn fix(fix: Fix) -> Self {
        Self { help: fix.title.clone(), fixes: vec![fix], instead: None }
    }

    /// ``write `text` `` in the place of a span.
    fn write(certain: bool, span: Span, text: &str) -> Self {
        let title = format!("write `{text}`");
        Self::fix(Fix::new(title, certain).at(span, text))
    }

    /// The same with another help.
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The mistake is this one, and stands there.
    fn instead(mut self, message: impl Into<String>, span: Span) -> Self {
        self.instead = Some((message.into(), span));
        self
    }
}

/// What to write instead.
pub(super) fn hint(stumble: &Stumble<'_>) -> Hint {
    value::hint(stumble)
        .or_else(|| joint::before_a_place(stumble))
        .or_else(|| selection::hint(stumble))
        .or_else(|| declaration::hint(stumble))
        .or_else(|| joint::hint(stumble))
        .or_else(|| clause::hint(stumble))
        .or_else(|| mistyped(stumble))
        .unwrap_or_else(|| Hint::told(example(stumble)))
}

/// A word that is almost another one, or stands where no such word can.
fn mistyped(at: &Stumble<'_>) -> Option<Hint> {
    let found = at.found;
    let expected: Vec<&str> = at.positives.iter().flat_map(|wanted| words::of(*wanted)).copied().collect();
    let joints =
        [Rule::kw_where, Rule::kw_by, Rule::kw_then, Rule::kw_else].into_iter().flat_map(words::of).copied();
    let near = nearest(found, expected.iter().copied())
        .or_else(|| nearest(found, items::clause_words()).filter(|_| found.len() >= 3))
        .or_else(|| nearest(found, joints).filter(|_| found.len() >= 3));
    if let Some(word) = near.filter(|word| *word != found) {
        let mut hint = meant(at, at.span(), found, word);
        let reads_on = hint.fixes.iter().any(|fix| at.reads_on(fix));
        // A word of English is more likely another mistake than a slip of the pen.
        if reads_on || found.len() >= 3 && !joint::is_english(found) {
            hint.fixes
                .iter_mut()
                .for_each(|fix| fix.certain = reads_on || items::clause_words().any(|one| one == word));
            return Some(hint);
        }
    }
    if ["then", "else"].contains(&found)
        && !at.has(Rule::number)
        && !at.has(Rule::kw_kill)
        && !at.has(Rule::close_paren)
    {
        return Some(Hint::told(format!("`{found}` belongs to an `if`: `if … then … else …`")));
    }
    if at.has(Rule::name) && !at.has(Rule::number) && words::reserved().contains(&found) {
        return Some(Hint::told(format!("`{found}` is a reserved word and cannot be a name")));
    }
    None
}

/// ``did you mean `word`?`` Where the clause shouts, every word of it is written small.
fn meant(at: &Stumble<'_>, span: Span, found: &str, word: &str) -> Hint {
    let title = format!("did you mean `{word}`?");
    if found.eq_ignore_ascii_case(word)
        && let Some(fix) = quiet(at.source, at.item, &title)
    {
        return Hint::fix(fix);
    }
    Hint::fix(Fix::certain(title, span, word))
}

/// What to write instead of what begins no clause.
pub(super) fn clause_word(source: &Source, item: &Item, span: Span) -> Hint {
    let text = source.slice(span);
    if let Some(hint) = clause::comment_at(source, span.range().start) {
        return hint;
    }
    let behind = source.text.get(span.range().end..item.range.end).unwrap_or("");
    let raised = ["limit ", "memory.max ", "memory_max ", "MemoryMax ", "cgroup.limit ", "the limit "];
    if text == "raise"
        && let Some(raised) = raised.into_iter().find(|raised| behind.trim_start().starts_with(raised))
    {
        let length = behind.len() - behind.trim_start().len() + raised.trim_end().len();
        return Hint::write(true, Span::new(span.range().start..span.range().end + length), "raise_limit");
    }
    if let Some(hint) = clause::counted(source, item, span) {
        return hint;
    }
    if let Some(hint) = clause::bare_word(text, span) {
        return hint;
    }
    let near = nearest(text, items::clause_words())
        .filter(|word| *word != text && (text.len() > 2 || text.eq_ignore_ascii_case(word)));
    let title = |word: &str| format!("did you mean `{word}`?");
    if let Some(word) = near {
        let fix = quiet(source, item, &title(word)).filter(|_| text.eq_ignore_ascii_case(word));
        return Hint::fix(fix.unwrap_or_else(|| Fix::certain(title(word), span, word)));
    }
    match foreign::ours(text, Use::Clause) {
        Some(ours) if ours.word.is_empty() => Hint::told(ours.remark),
        Some(ours) => Hint::fix(Fix::new(format!("write `{}`", ours.word), ours.certain).at(span, ours.word)),
        None => {
            Hint::told("a clause begins with a word such as `rule`, `if`, `kill`, `raise_limit` or `never`")
        }
    }
}

/// Writes words of the language that stand in an item in capital letters small; none if there are none.
pub(super) fn quiet(source: &Source, item: &Item, title: &str) -> Option<Fix> {
    let text = source.text.get(item.range.clone())?;
    let all = words::all();
    let (mut fix, mut at) = (Fix::new(title, true), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let word = token(rest);
        let length = if rest.starts_with('#') { rest.find('\n').unwrap_or(rest.len()) } else { word.len() };
        let small = word.to_ascii_lowercase();
        if small != word && all.contains(&small.as_str()) {
            let start = item.range.start + at;
            fix = fix.at(Span::new(start..start + word.len()), small);
        }
        at += length.max(1);
    }
    (!fix.edits.is_empty()).then_some(fix)
}

/// How that is written which must stand here.
fn example(at: &Stumble<'_>) -> &'static str {
    let has = |wanted: Rule| at.has(wanted);
    if has(Rule::kw_in) && !has(Rule::plus) {
        "a selection names its place: `kill largest in subtree`"
    } else if has(Rule::colon) {
        "a rule's name ends with a colon: `rule \"name\": …`"
    } else if has(Rule::equals) {
        "a constant is declared so: `const floor = 64MiB`"
    } else if has(Rule::kw_then) {
        "write `then` between the condition and the action"
    } else if has(Rule::close_paren) {
        "close the parenthesis with `)`"
    } else if has(Rule::close_bracket) {
        "close the list with `]`"
    } else if has(Rule::number) || has(Rule::expr) {
        "a value is a field such as `cgroup.usage`, a number with its unit, a string or a constant"
    } else if has(Rule::close_brace) {
        "close the block with `}`"
    } else if has(Rule::subtree) {
        "candidates are looked for in `subtree`, in `cgroup` or in `attached`"
    } else if has(Rule::action) || has(Rule::kw_kill) && has(Rule::kw_if) {
        "an action is `kill`, `raise_limit`, `wait`, `defer`, an `if` or a block in `{ }`"
    } else if has(Rule::kw_kill) {
        "protections are written so: `never kill process where …`"
    } else if has(Rule::selection) {
        "name what to kill: `kill largest in subtree`"
    } else if has(Rule::string) {
        "write a string in quotes: `\"limit already raised\"`"
    } else if has(Rule::EOI) {
        "a clause begins with a word such as `rule`, `if`, `kill` or `never`, and a comment with `#`"
    } else {
        "the page of this code shows an example: `oomc explain E0101`"
    }
}

/// A word in quotes, as names stand.
fn in_quotes(at: &Stumble<'_>) -> Hint {
    let text = format!("\"{}\"", short(at.found));
    Hint::write(true, at.span(), &text)
}
