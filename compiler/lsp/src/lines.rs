//! Positions of the protocol as bytes of a text, and back.
//!
//! A position is a line and a count of units in it: bytes, or units of UTF-16, as client and server agreed.

use core::ops::Range;

use lsp_types::{Position, PositionEncodingKind};

/// What a position counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// Bytes.
    Utf8,
    /// What every client can count.
    #[default]
    Utf16,
}

impl Encoding {
    /// Bytes if the client can count them: nothing has to be counted here then.
    pub(crate) fn agreed(offered: &[PositionEncodingKind]) -> Self {
        if offered.contains(&PositionEncodingKind::UTF8) { Self::Utf8 } else { Self::Utf16 }
    }

    pub(crate) fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    /// How long a text is.
    fn units(self, text: &str) -> u32 {
        match self {
            Self::Utf8 => text.len() as u32,
            // One unit for each character, two for those that UTF-8 writes in four bytes. Counts bytes, because a line
            // may be megabytes long.
            Self::Utf16 => {
                text.bytes().map(|byte| u32::from(byte & 0xc0 != 0x80) + u32::from(byte >= 0xf0)).sum()
            }
        }
    }

    fn units_of(self, character: char) -> u32 {
        match self {
            Self::Utf8 => character.len_utf8() as u32,
            Self::Utf16 => character.len_utf16() as u32,
        }
    }
}

/// Where the lines of a text begin. A line ends with `\n`, `\r\n` or `\r`, as the protocol says.
pub(crate) fn starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(at, byte)| match byte {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    core::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect()
}

/// A text with its lines.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) text: &'a str,
    pub(crate) starts: &'a [usize],
    pub(crate) encoding: Encoding,
}

impl Lines<'_> {
    /// The number of the line that a byte stands in, from 0.
    pub(crate) fn line(&self, offset: usize) -> u32 {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1) as u32
    }

    /// A byte as a position.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let line = self.line(offset);
        let start = self.starts.get(line as usize).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Position { line, character: self.encoding.units(before) }
    }

    /// A range of bytes as one of positions.
    pub(crate) fn range(&self, range: Range<usize>) -> lsp_types::Range {
        lsp_types::Range { start: self.position(range.start), end: self.position(range.end) }
    }

    /// How many units stand between two bytes of one line.
    pub(crate) fn length(&self, range: Range<usize>) -> u32 {
        self.encoding.units(self.text.get(range).unwrap_or_default())
    }

    /// A position as a byte: behind the end of a line is its end, behind the last line is the end of the text, inside
    /// of a character is before it.
    pub(crate) fn offset(&self, position: Position) -> usize {
        self.split(position).0
    }

    /// A position as a byte, and whether it stands between the two halves of the character there.
    pub(crate) fn split(&self, position: Position) -> (usize, bool) {
        let line = position.line as usize;
        let Some(start) = self.starts.get(line).copied() else { return (self.text.len(), false) };
        let end = self.starts.get(line + 1).copied().unwrap_or(self.text.len());
        let text = self.text.get(start..end).unwrap_or_default().trim_end_matches(['\r', '\n']);
        let mut units = 0;
        for (at, character) in text.char_indices() {
            if units == position.character {
                return (start + at, false);
            }
            units += self.encoding.units_of(character);
            if units > position.character {
                return (start + at, self.encoding == Encoding::Utf16);
            }
        }
        (start + text.len(), false)
    }

    /// A range of positions as one of bytes. One that ends before it begins is empty.
    pub(crate) fn bytes(&self, range: lsp_types::Range) -> Range<usize> {
        let start = self.offset(range.start);
        start..self.offset(range.end).max(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines<'a>(text: &'a str, starts: &'a [usize], encoding: Encoding) -> Lines<'a> {
        Lines { text, starts, encoding }
    }

    #[test]
    fn positions_count_units_and_every_end_of_line() {
        let text = "a\u{1f4a5}b\r\nc\rd\n\u{e9}";
        let starts = starts(text);
        for (encoding, b) in [(Encoding::Utf16, 3), (Encoding::Utf8, 5)] {
            let lines = lines(text, &starts, encoding);
            for (word, line, character) in
                [("a", 0, 0), ("b", 0, b), ("c", 1, 0), ("d", 2, 0), ("\u{e9}", 3, 0)]
            {
                let offset = text.find(word).unwrap();
                let position = Position { line, character };
                assert_eq!((lines.position(offset), lines.offset(position)), (position, offset), "{word}");
            }
        }
        let lines = lines(text, &starts, Encoding::Utf16);
        assert_eq!(lines.position(text.len()), Position { line: 3, character: 1 });
        assert_eq!(lines.split(Position { line: 0, character: 2 }), (1, true));
        for (line, character, offset) in [(0, 99, 6), (1, 99, 9), (99, 0, text.len())] {
            assert_eq!(lines.split(Position { line, character }), (offset, false), "{line}:{character}");
        }
    }
}
