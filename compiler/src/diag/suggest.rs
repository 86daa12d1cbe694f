//! "Did you mean": the known name nearest to a mistyped one, and what is advised instead of a mistake.

use super::Fix;
use crate::source::Span;

/// What to write instead: a sentence, and data where it names a replacement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// For a reader.
    pub help: String,
    /// For programs; the likeliest first.
    pub fixes: Vec<Fix>,
}

impl Advice {
    /// ``did you mean `name`?`` in the place of a span.
    #[must_use]
    pub fn meant(name: &str, span: Span) -> Self {
        Self::fix(Fix::possible(format!("did you mean `{name}`?"), span, name))
    }

    /// `did you mean "name"?` in the place of a string.
    #[must_use]
    pub fn meant_text(name: &str, span: Span) -> Self {
        Self::fix(Fix::possible(format!("did you mean \"{name}\"?"), span, format!("\"{name}\"")))
    }

    /// A replacement whose title is the help.
    #[must_use]
    pub fn fix(fix: Fix) -> Self {
        Self { help: fix.title.clone(), fixes: vec![fix] }
    }

    /// With another help.
    #[must_use]
    pub fn saying(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// With one more replacement.
    #[must_use]
    pub fn or(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }
}

impl From<String> for Advice {
    fn from(help: String) -> Self {
        Self { help, fixes: Vec::new() }
    }
}

impl From<&str> for Advice {
    fn from(help: &str) -> Self {
        help.to_owned().into()
    }
}

/// The nearest of the known names, if it is near enough that a person meant it.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A distance costs the product of the lengths: nobody means a known name by more than this.
    if name.len() > 40 {
        return None;
    }
    let most = (name.len() / 3).max(1);
    known
        .into_iter()
        .map(|other| {
            // The beginning of a longer name is what a person remembers of it.
            let cut = name.len() >= 4 && other.starts_with(name) && other != name;
            let shouted = name.eq_ignore_ascii_case(other) && other != name;
            (if cut || shouted { 1 } else { distance(name, other) }, other)
        })
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, other)| other)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, x) in a.chars().enumerate() {
        let mut line = Vec::with_capacity(last.len());
        line.push(row + 1);
        for (at, y) in b.iter().enumerate() {
            let get = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX - 1);
            let mut best = (get(&last, at) + usize::from(x != *y)).min(get(&last, at + 1) + 1);
            best = best.min(get(&line, at) + 1);
            if at > 0 && previous == Some(*y) && b.get(at - 1) == Some(&x) {
                best = best.min(get(&before, at - 1) + 1);
            }
            line.push(best);
        }
        before = last;
        last = line;
        previous = Some(x);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["usage", "limit", "own_limit", "anon", "rss"];
        assert_eq!(nearest("useage", known), Some("usage"));
        assert_eq!(nearest("limti", known), Some("limit"));
        assert_eq!(nearest("rs", known), Some("rss"));
        assert_eq!(nearest("banana", known), None);
        assert_eq!(nearest("", known), None);
        assert_eq!(nearest("raise", ["raise_limit", "rule"]), Some("raise_limit"));
    }

    #[test]
    fn a_swap_of_neighbours_is_one_step() {
        assert_eq!(distance("klil", "kill"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
