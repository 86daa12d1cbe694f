//! A text as tokens: what colours it, and what is looked at around a place that no tree covers.
//!
//! Every text has tokens, however broken it is. Their spelling is the grammar's.

use core::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    Number,
    /// Up to the end of its line if it has no end.
    Text,
    Comment,
    Sign,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

impl Token {
    pub(crate) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.range.clone()).unwrap_or_default()
    }
}

/// Stands in a word.
pub(crate) fn is_letter(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The tokens of a text, in order.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or_default();
        let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
        let (kind, length) = match first {
            ' ' | '\t' | '\r' | '\n' => {
                at += 1;
                continue;
            }
            '#' => (Kind::Comment, rest.lines().next().unwrap_or(rest).len().max(1)),
            '"' => {
                let inside = rest.get(1..).unwrap_or_default();
                let end = inside.find(['"', '\n']).unwrap_or(inside.len());
                let closed = inside.get(end..).is_some_and(|tail| tail.starts_with('"'));
                (Kind::Text, 1 + end + usize::from(closed))
            }
            '0'..='9' => {
                let end = until(|c| !is_letter(c) && c != '.' && c != '%');
                // Two dots are a sign of their own.
                let number = rest.get(..end).unwrap_or(rest);
                (Kind::Number, number.find("..").unwrap_or(number.len()).max(1))
            }
            c if is_letter(c) => (Kind::Word, until(|c| !is_letter(c))),
            c => (Kind::Sign, c.len_utf8()),
        };
        found.push(Token { kind, range: at..at + length });
        at += length;
    }
    found
}

/// The word around a byte, or the one that ends there.
pub(crate) fn word(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text.get(..at)?;
    let start = before.trim_end_matches(is_letter).len();
    let after = text.get(at..)?;
    let end = text.len() - after.trim_start_matches(is_letter).len();
    (start < end).then_some(start..end)
}

/// What a place of a line stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within {
    Code,
    /// A string; it begins at this byte.
    Text(usize),
    Comment,
}

/// What a byte stands in. Strings and comments end with their line.
pub(crate) fn within(text: &str, at: usize) -> Within {
    let before = text.get(..at).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let mut string = None;
    for (offset, c) in before.get(start..).unwrap_or_default().char_indices() {
        match (c, string) {
            ('"', None) => string = Some(start + offset),
            ('"', Some(_)) => string = None,
            ('#', None) => return Within::Comment,
            _ => {}
        }
    }
    string.map_or(Within::Code, Within::Text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_has_tokens() {
        let of =
            |text: &'static str| -> Vec<&str> { tokens(text).iter().map(|token| token.text(text)).collect() };
        assert_eq!(
            of("kill a.b >= 1.5GiB # c\n\"x"),
            ["kill", "a", ".", "b", ">", "=", "1.5GiB", "# c", "\"x"]
        );
        assert_eq!(of("1% .. 100%..2"), ["1%", ".", ".", "100%", ".", ".", "2"]);
        assert_eq!(of("\u{1f4a5}\u{0}#"), ["\u{1f4a5}", "\u{0}", "#"]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn strings_and_comments_are_known_by_their_line() {
        let text = "wait # \"a\nkill \"x # y\" z";
        assert_eq!(within(text, 8), Within::Comment);
        assert_eq!(within(text, text.find('y').unwrap()), Within::Text(15));
        assert_eq!(within(text, text.len()), Within::Code);
    }
}
