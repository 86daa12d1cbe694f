//! Hover: the rows of the table of fields.

use core::ops::Range;

use oomc_abi::fields::{FIELDS, Field, Owner};

/// What to show at a byte, and which bytes it is about.
pub(crate) fn hover(text: &str, at: usize) -> Option<(Range<usize>, String)> {
    let range = word(text, at)?;
    let before = text.get(..range.start)?;
    if is_text(before) {
        return None;
    }
    let name = text.get(range.clone())?;
    // The owner is only known where it is written; otherwise all that have such a field are shown.
    let owner = before.strip_suffix('.').map(|before| before.rsplit(|c| !part(c)).next().unwrap_or(before));
    let of_cgroup = owner.is_some_and(|owner| ["cgroup", "attached", "parent", "home"].contains(&owner));
    let rows: Vec<String> = FIELDS
        .iter()
        .filter(|row| row.name == name && (!of_cgroup || row.owner == Owner::Cgroup))
        .map(row)
        .collect();
    if rows.is_empty() { None } else { Some((range, rows.join("\n\n---\n\n"))) }
}

/// Whether what stands behind this is in a string or a comment. Both end with their line.
fn is_text(before: &str) -> bool {
    let line = before.rsplit('\n').next().unwrap_or(before);
    let mut string = false;
    for c in line.chars() {
        match c {
            '"' => string = !string,
            '#' if !string => return true,
            _ => {}
        }
    }
    string
}

/// The word around a byte.
fn word(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text.get(..at)?;
    let start = before.trim_end_matches(part).len();
    let after = text.get(at..)?;
    let end = text.len() - after.trim_start_matches(part).len();
    (start < end).then_some(start..end)
}

/// Stands in a word.
fn part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn row(field: &Field) -> String {
    let (owner, unit) = (field.owner.name(), field.unit.name());
    let mut text = format!("`{owner}.{}`: {unit}\n\n{}", field.name, field.doc);
    if let Some(base) = field.base {
        text.push_str(&format!("\n\nA percent beside it is taken of `{owner}.{base}`."));
    }
    if !field.missing.is_empty() {
        text.push_str(&format!("\n\nMissing when {}.", field.missing));
    }
    text.push_str(&format!("\n\nRead as in {}.", field.source));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First lines of the rows that are shown at the first `word` of a text.
    fn shown(text: &str, word: &str) -> Vec<String> {
        let found = hover(text, text.find(word).unwrap() + 1);
        assert!(found.as_ref().is_none_or(|(range, _)| text.get(range.clone()) == Some(word)));
        let rows = found.map(|(_, rows)| rows).unwrap_or_default();
        rows.lines().filter(|line| line.starts_with('`')).map(str::to_owned).collect()
    }

    #[test]
    fn a_word_is_looked_up_in_the_table() {
        assert_eq!(
            shown("kill largest in subtree where footprint > 1KiB", "footprint"),
            ["`process.footprint`: bytes"]
        );
        assert_eq!(shown("kill largest in subtree by anon", "anon").len(), 2);
        assert_eq!(shown("if cgroup.anon > 1KiB then wait", "anon"), ["`cgroup.anon`: bytes"]);
        assert_eq!(shown("kill largest in subtree", "largest"), [""; 0]);
        assert_eq!(hover("anon", 99), None);
        assert_eq!(hover("\u{1f4a5}", 2), None);
    }

    #[test]
    fn texts_and_comments_mean_nothing() {
        assert_eq!(shown("wait # anon", "anon"), [""; 0]);
        assert_eq!(shown("kill in subtree reason \"# anon\"", "anon"), [""; 0]);
        assert_eq!(shown("kill in subtree where comm == \"#\" and anon > 1KiB", "anon").len(), 2);
    }
}
