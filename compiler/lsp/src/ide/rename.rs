//! Renaming: of what an author named, in the policy and its tests together.
//!
//! A name is changed everywhere or nowhere: what comes out is checked, and must mean what it meant.

use super::names::{Place, places, symbol};
use crate::analysis::{Analysis, Page, Side, Text};

/// The texts after a name was changed in places.
fn renamed(text: &str, places: &[&Place], name: &str) -> String {
    let mut places: Vec<&&Place> = places.iter().collect();
    places.sort_by_key(|place| place.range.start);
    let (mut new, mut done) = (String::with_capacity(text.len()), 0);
    for place in places {
        new.push_str(text.get(done..place.range.start).unwrap_or_default());
        new.push_str(name);
        done = place.range.end;
    }
    new.push_str(text.get(done..).unwrap_or_default());
    new
}

/// Where a name has to be changed for the one at a byte to be `name`.
///
/// # Errors
/// A sentence that says why it cannot.
pub(crate) fn rename(
    analysis: &Analysis,
    page: &Page<'_>,
    at: usize,
    name: &str,
) -> Result<Vec<Place>, String> {
    let Some((range, found)) = symbol(page, at) else {
        return Err("there is no name of yours here".to_owned());
    };
    if analysis.has_errors() {
        return Err("repair the errors first: a mistake may hide a place where the name is used".to_owned());
    }
    let all = places(analysis, &found);
    if name == page.text.get(range).unwrap_or_default() {
        return Ok(all);
    }
    let of = |side| -> Vec<&Place> { all.iter().filter(|place| place.side == side).collect() };
    let text = |side: Side| analysis.page(side).map(|page| renamed(page.text, &of(side), name));
    let (policy, tests) = (text(Side::Policy), text(Side::Tests));
    let as_text = |text| Text { name: "", text };
    let (policy, tests) = (policy.as_deref().map(as_text), tests.as_deref().map(as_text));
    let after = Analysis::new(policy, tests, analysis.view, None);
    if after.has_errors() {
        let first = after.said.policy.iter().chain(&after.said.tests).next();
        return Err(first.map_or_else(|| format!("`{name}` cannot be a name here"), ToString::to_string));
    }
    // The same places belong together as before.
    let first = all.first().map(|place| (place.side, shifted(&all, place, name)));
    let again = first.and_then(|(side, start)| after.page(side).and_then(|page| symbol(&page, start)));
    let again = again.map(|(_, found)| places(&after, &found)).unwrap_or_default();
    let expected: Vec<(Side, usize)> =
        all.iter().map(|place| (place.side, shifted(&all, place, name))).collect();
    let found: Vec<(Side, usize)> = again.iter().map(|place| (place.side, place.range.start)).collect();
    if expected != found {
        return Err(format!("`{name}` is the name of something else"));
    }
    Ok(all)
}

/// Where a place begins after those before it were changed.
fn shifted(all: &[Place], place: &Place, name: &str) -> usize {
    let before = all.iter().filter(|one| one.side == place.side && one.range.start < place.range.start);
    before.fold(place.range.start, |at, one| at + name.len() - one.range.len())
}
