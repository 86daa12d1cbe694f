//! An open document, and how an editor's changes are made in it.

use lsp_types::{TextDocumentContentChangeEvent, Uri};

use crate::convert;
use crate::lines::{self, Encoding, Lines};

/// An open document.
pub(crate) struct Document {
    pub(crate) uri: Uri,
    pub(crate) version: i32,
    pub(crate) text: String,
    starts: Vec<usize>,
}

impl Document {
    pub(crate) fn new(uri: Uri, version: i32, text: String) -> Self {
        let starts = lines::starts(&text);
        Self { uri, version, text, starts }
    }

    /// What the compiler calls it.
    pub(crate) fn name(&self) -> String {
        convert::name(&self.uri)
    }

    pub(crate) fn lines(&self, encoding: Encoding) -> Lines<'_> {
        Lines { text: &self.text, starts: &self.starts, encoding }
    }

    /// Makes one change. Where it cuts a character in two, what is left of it becomes U+FFFD: the editor, whose strings
    /// are UTF-16, has a half there, and places behind it count one unit for it.
    pub(crate) fn change(&mut self, change: &TextDocumentContentChangeEvent, encoding: Encoding) {
        match change.range {
            None => {
                self.text.clone_from(&change.text);
                self.starts = lines::starts(&self.text);
            }
            Some(range) => {
                let lines = self.lines(encoding);
                let (start, cut) = lines.split(range.start);
                let (end, cut_behind) = lines.split(range.end);
                let (end, cut_behind) = if end < start { (start, cut) } else { (end, cut_behind) };
                let half = |cut| if cut { "\u{fffd}" } else { "" };
                let character = |at: usize| {
                    self.text.get(at..).and_then(|text| text.chars().next()).map_or(0, char::len_utf8)
                };
                // A character that the change ends inside of, or that it stands inside of, goes as a whole.
                let whole = if cut_behind || (cut && end == start) { end + character(end) } else { end };
                let text = [half(cut), &change.text, half(cut_behind || (cut && end == start))].concat();
                if self.text.is_char_boundary(start) && self.text.is_char_boundary(whole) {
                    let line = lines.line(start) as usize;
                    self.text.replace_range(start..whole, &text);
                    self.lines_from(line);
                }
            }
        }
    }

    /// Finds the lines anew, from the one before a line on: a `\n` may now follow the `\r` that ended it.
    fn lines_from(&mut self, line: usize) {
        self.starts.truncate(line.max(1));
        let from = self.starts.pop().unwrap_or(0);
        let rest = self.text.get(from..).unwrap_or_default();
        self.starts.extend(lines::starts(rest).into_iter().map(|start| start + from));
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use lsp_types::{Position, Range};

    use super::*;

    fn changed(text: &str, from: (u32, u32), to: (u32, u32), new: &str) -> String {
        let mut document = Document::new(Uri::from_str("x:y").unwrap(), 1, text.to_owned());
        let at = |(line, character)| Position { line, character };
        let range = Some(Range { start: at(from), end: at(to) });
        let change = TextDocumentContentChangeEvent { range, range_length: None, text: new.to_owned() };
        document.change(&change, Encoding::Utf16);
        assert_eq!(document.starts, lines::starts(&document.text));
        document.text
    }

    #[test]
    fn a_change_replaces_its_range() {
        assert_eq!(changed("a\r\nbc", (1, 1), (1, 2), "\u{e9}"), "a\r\nb\u{e9}");
        assert_eq!(changed("ab", (0, 2), (0, 0), "c"), "abc");
        assert_eq!(changed("ab", (7, 7), (9, 9), "c"), "abc");
    }

    #[test]
    fn the_lines_follow_a_change() {
        for (from, to, new) in [
            ((1, 0), (1, 0), "\n"),
            ((1, 0), (2, 0), "x\r"),
            ((0, 0), (3, 0), ""),
            ((2, 1), (2, 1), "\r\n\r"),
            ((3, 0), (3, 0), "\n"),
        ] {
            changed("a\rb\r\nc\nd", from, to, new);
        }
    }

    #[test]
    fn half_a_character_stays_as_one_unit() {
        let text = "a\u{1f4a5}b";
        assert_eq!(changed(text, (0, 2), (0, 4), ""), "a\u{fffd}");
        assert_eq!(changed(text, (0, 1), (0, 2), ""), "a\u{fffd}b");
        assert_eq!(changed(text, (0, 2), (0, 2), "x"), "a\u{fffd}x\u{fffd}b");
        assert_eq!(changed("\u{1f4a5}\u{1f4a5}", (0, 1), (0, 3), ""), "\u{fffd}\u{fffd}");
    }
}
