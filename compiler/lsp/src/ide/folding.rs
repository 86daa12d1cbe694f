//! What can be folded: parts that take more than one line, and runs of comments.

use core::ops::Range;

use super::nodes::walk;
use super::tokens::{Kind, tokens};
use crate::analysis::Page;

/// A stretch that can be folded, and whether it is a run of comments.
pub(crate) fn folds(page: &Page<'_>) -> Vec<(Range<usize>, bool)> {
    let lines = |range: &Range<usize>| page.text.get(range.clone()).is_some_and(|text| text.contains('\n'));
    let mut found: Vec<(Range<usize>, bool)> = Vec::new();
    walk(page.file, &mut |node| found.push((node.span().range(), false)));
    let mut run: Option<Range<usize>> = None;
    for token in tokens(page.text) {
        let joins = |run: &Range<usize>| {
            let between = page.text.get(run.end..token.range.start).unwrap_or_default();
            between.matches('\n').count() == 1
        };
        run = match (token.kind, run) {
            (Kind::Comment, Some(run)) if joins(&run) => Some(run.start..token.range.end),
            (Kind::Comment, before) => {
                found.extend(before.map(|run| (run, true)));
                Some(token.range)
            }
            (_, before) => {
                found.extend(before.map(|run| (run, true)));
                None
            }
        };
    }
    found.extend(run.map(|run| (run, true)));
    found.retain(|(range, _)| lines(range));
    found.sort_by_key(|(range, _)| (range.start, range.end));
    found.dedup();
    found
}
