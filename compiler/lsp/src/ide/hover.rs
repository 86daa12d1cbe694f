//! Hover: the rows of the table of fields.

use core::ops::Range;

use oomc_abi::fields::{FIELDS, Field};

/// What to show at a byte, and which bytes it is about.
pub(crate) fn hover(text: &str, at: usize) -> Option<(Range<usize>, String)> {
    let range = word(text, at)?;
    let name = text.get(range.clone())?;
    let rows: Vec<String> = FIELDS.iter().filter(|row| row.name == name).map(row).collect();
    if rows.is_empty() { None } else { Some((range, rows.join("\n\n---\n\n"))) }
}

/// The word around a byte.
fn word(text: &str, at: usize) -> Option<Range<usize>> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = text.get(..at)?;
    let start = before.trim_end_matches(part).len();
    let after = text.get(at..)?;
    let end = text.len() - after.trim_start_matches(part).len();
    (start < end).then_some(start..end)
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
