//! Quick fixes: what the helps of diagnostics say, for a stretch of the text.

use core::ops::Range;

use oomc_compiler::diag::{Diagnostic, Fix};

/// The fixes of diagnostics whose first mark touches a stretch, each with its diagnostic.
pub(crate) fn touching<'a>(said: &'a [Diagnostic], at: &Range<usize>) -> Vec<(&'a Diagnostic, &'a Fix)> {
    let touches = |one: &&Diagnostic| {
        let place = one.span().map_or(0..0, |span| span.range());
        place.start <= at.end && at.start <= place.end
    };
    said.iter().filter(touches).flat_map(|one| one.fixes.iter().map(move |fix| (one, fix))).collect()
}
