//! Positions in a policy's text.
//!
//! Owns [`Span`] and the line index. Knows nothing of what the text means.

use core::ops::Range;

/// The longest policy, in bytes. A thousand rules need a tenth of it; line information in an object ends
/// at four million lines.
pub const MAX_BYTES: usize = 4 << 20;

/// A half-open range of bytes in the policy's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of these bytes. Texts over 4 GiB are refused before this.
    #[must_use]
    pub fn new(range: Range<usize>) -> Self {
        Self { start: range.start as u32, end: range.end as u32 }
    }

    /// As a range of bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The smallest span that covers both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A policy's text with its display name and an index of its lines.
#[derive(Clone, Debug)]
pub struct Source {
    /// What diagnostics and line information call it: the path as the user wrote it.
    pub name: String,
    /// The text.
    pub text: String,
    lines: Vec<u32>,
}

impl Source {
    /// Indexes the lines of a text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = std::iter::once(0)
            .chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at as u32 + 1))
            .collect();
        Self { name: name.into(), text, lines }
    }

    /// Line and column of a byte, both from 1; the column counts bytes.
    #[must_use]
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line as u32, offset - start + 1)
    }

    /// The text of a line, counted from 1, without its line end.
    #[must_use]
    pub fn line(&self, line: u32) -> &str {
        let at = line.saturating_sub(1) as usize;
        let start = self.lines.get(at).map_or(self.text.len(), |start| *start as usize);
        let end = self.lines.get(at + 1).map_or(self.text.len(), |next| *next as usize);
        let line = self.text.get(start..end).unwrap_or("");
        let line = line.strip_suffix('\n').unwrap_or(line);
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// A stretch with the white space before it, or behind it if the text begins with it: what goes when it is left out.
    #[must_use]
    pub fn with_blank(&self, span: Span) -> Span {
        let (start, end) = (span.range().start, span.range().end);
        let before = self.text.get(..start).unwrap_or("").trim_end().len();
        let behind = self.text.get(end..).unwrap_or("");
        let blank = behind.len() - behind.trim_start().len();
        if before == 0 { Span::new(start..end + blank) } else { Span::new(before..end) }
    }

    /// The text of a span.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns() {
        let source = Source::new("a.oom", "one\r\ntwo\n\nfour");
        assert_eq!(source.line_column(0), (1, 1));
        assert_eq!(source.line_column(6), (2, 2));
        assert_eq!(source.line_column(10), (4, 1));
        assert_eq!([1, 2, 3, 4, 5].map(|line| source.line(line)), ["one", "two", "", "four", ""]);
    }
}
