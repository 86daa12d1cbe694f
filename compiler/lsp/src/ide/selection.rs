//! Growing a selection: from a word to the parts of the tree around it, and to the whole text.

use core::ops::Range;

use super::nodes::walk;
use super::tokens::tokens;
use crate::analysis::Page;

/// The stretches around a byte, from the smallest to the whole text; each holds the one before it.
pub(crate) fn around(page: &Page<'_>, at: usize) -> Vec<Range<usize>> {
    let holds = |range: &Range<usize>| range.start <= at && at <= range.end;
    let mut found: Vec<Range<usize>> =
        tokens(page.text).into_iter().map(|token| token.range).filter(holds).collect();
    // Of two that touch here, the one behind.
    found.drain(..found.len().saturating_sub(1));
    walk(page.file, &mut |node| found.extend(Some(node.span().range()).filter(holds)));
    found.push(0..page.text.len());
    found.sort_by_key(Range::len);
    found.dedup();
    let mut around: Vec<Range<usize>> = Vec::new();
    for range in found {
        if around.last().is_none_or(|last| range.start <= last.start && last.end <= range.end) {
            around.push(range);
        }
    }
    around
}
