//! Where the table of `cargo xtask bench code` goes: a file below `target`, and the book's page on performance.

use std::fs;
use std::path::Path;

use crate::build;

/// The book's page, and what the table stands between there.
const PAGE: &str = "book/src/internals/performance.md";
const BEGIN: &str = "<!-- begin: cargo xtask bench code --book -->\n";
const END: &str = "<!-- end: cargo xtask bench code --book -->\n";

/// Writes the table to `target/bench/code.md`, and into the book if that is wanted.
pub(super) fn keep(table: &str, book: bool) -> Result<(), String> {
    let folder = build::root().join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    write(&folder.join("code.md"), table)?;
    if book {
        let page = build::root().join(PAGE);
        let text =
            fs::read_to_string(&page).map_err(|error| format!("cannot read {}: {error}", page.display()))?;
        write(&page, &with_table(&text, table)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The page with this table in the place of the one that it has.
fn with_table(page: &str, table: &str) -> Result<String, String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no place for the table"))?;
    Ok(format!("{before}{BEGIN}\n{}\n\n{END}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = format!("before\n{BEGIN}old\n{END}after\n");
        let new = with_table(&page, "| new |\n").expect("a page with marks");
        assert_eq!(new, format!("before\n{BEGIN}\n| new |\n\n{END}after\n"));
        assert!(with_table("no marks", "x").is_err());
    }
}
