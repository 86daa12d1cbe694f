//! Where the tables of `cargo xtask bench code` and `bench editor` go: a file below `target`, and the book's page on
//! performance.

use std::fs;
use std::path::Path;

use crate::build;

/// The book's page.
const PAGE: &str = "book/src/internals/performance.md";

/// What the table of a bench stands between there.
fn marks(bench: &str) -> [String; 2] {
    ["begin", "end"].map(|mark| format!("<!-- {mark}: cargo xtask bench {bench} --book -->\n"))
}

/// Writes the table of a bench to `target/bench/NAME.md`, and into the book if that is wanted.
pub(super) fn keep(bench: &str, table: &str, book: bool) -> Result<(), String> {
    let folder = build::root().join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    write(&folder.join(format!("{bench}.md")), table)?;
    if book {
        let page = build::root().join(PAGE);
        let text =
            fs::read_to_string(&page).map_err(|error| format!("cannot read {}: {error}", page.display()))?;
        write(&page, &with_table(&text, &marks(bench), table)?)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// The page with this table in the place of the one that it has.
fn with_table(page: &str, [begin, end]: &[String; 2], table: &str) -> Result<String, String> {
    let parts = page.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(end)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} has no place for the table"))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let own = marks("editor");
        let ([begin, end], [other, _]) = (&own, &marks("code"));
        let page = format!("{other}before\n{begin}old\n{end}after\n");
        let new = with_table(&page, &own, "| new |\n").expect("a page with marks");
        assert_eq!(new, format!("{other}before\n{begin}\n| new |\n\n{end}after\n"));
        assert!(with_table("no marks", &own, "x").is_err());
    }
}
