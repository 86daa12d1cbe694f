//! What stands between tokens: white space and comments.
//!
//! The grammar lets it stand anywhere and the tree does not hold it; the formatter finds it here.

use core::ops::Range;

/// A comment between two tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment<'a> {
    /// From its `#`, without what is white at its end.
    pub text: &'a str,
    /// It stands on the line of the token before it.
    pub trails: bool,
    /// Blank lines stand before it.
    pub apart: bool,
}

/// Everything between two tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gap<'a> {
    /// Comments, in order.
    pub comments: Vec<Comment<'a>>,
    /// Blank lines stand before the next token.
    pub apart: bool,
}

/// Reads a gap; none if anything else stands there. At the beginning of a text no token comes before.
#[must_use]
pub fn gap(text: &str, range: Range<usize>) -> Option<Gap<'_>> {
    let mut gap = Gap::default();
    let mut rest = text.get(range.clone())?;
    let mut lines = usize::from(range.start == 0);
    loop {
        let after = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        lines += rest.get(..rest.len() - after.len())?.matches('\n').count();
        if after.is_empty() {
            gap.apart = lines > 1;
            return Some(gap);
        }
        let comment = after.starts_with('#').then(|| after.split('\n').next()).flatten()?;
        gap.comments.push(Comment {
            text: comment.trim_end_matches([' ', '\t', '\r']),
            trails: lines == 0,
            apart: lines > 1,
        });
        rest = after.get(comment.len()..)?;
        lines = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_know_where_they_stand() {
        let text = "a # one \r\n# two\n\n\n# three\n\n b";
        let gap = gap(text, 1..text.len() - 1).unwrap();
        let comments: Vec<_> = gap.comments.iter().map(|c| (c.text, c.trails, c.apart)).collect();
        assert_eq!(comments, [("# one", true, false), ("# two", false, false), ("# three", false, true)]);
        assert!(gap.apart);
    }

    #[test]
    fn a_gap_holds_nothing_else() {
        assert_eq!(gap("a b", 0..3), None);
        assert_eq!(gap("", 0..0), Some(Gap::default()));
        assert!(!gap("# only\n", 0..7).unwrap().comments[0].trails);
    }
}
