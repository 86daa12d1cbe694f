//! Compares what a test printed with the expectation, or writes it there.
//!
//! With `OOMC_BLESS=1` the expectation at the end of the file is rewritten. Blessing is reading: look at
//! the difference line by line before it is committed.

use std::fmt::Write as _;
use std::path::Path;

use diffy::DiffOptions;

use crate::case::Case;

/// More lines around a change than an expectation has: all of it is shown.
const WHOLE: usize = 1_000_000;

/// Whether expectations are rewritten in this run.
pub(crate) fn wanted() -> bool {
    std::env::var_os("OOMC_BLESS").is_some_and(|value| !value.is_empty() && value != "0")
}

/// An error that shows the difference, if there is one.
pub(crate) fn compare(expected: &str, actual: &str) -> Result<(), String> {
    if expected == actual {
        return Ok(());
    }
    let mut text = String::from("the output differs from the expectation (OOMC_BLESS=1 rewrites it):\n");
    let patch = DiffOptions::new().set_context_len(WHOLE).create_patch(expected, actual).to_string();
    // Without the names of two files.
    let lines = patch.lines().skip_while(|line| !line.starts_with("@@"));
    text.extend(lines.flat_map(|line| [line, "\n"]));
    Err(text)
}

/// Writes the outputs of a case's printing tests into its file, if they differ from what is there.
pub(crate) fn rewrite(case: &Case, path: &Path, outputs: &[(String, String)]) -> Result<(), String> {
    let mut text = case.input.trim_end().to_owned();
    text.push('\n');
    for (test, output) in outputs {
        text.push('\n');
        if outputs.len() > 1 {
            let _ = writeln!(text, "#== {test}");
        }
        for line in output.lines() {
            text.push_str(if line.is_empty() { "#=" } else { "#= " });
            text.push_str(line);
            text.push('\n');
        }
    }
    let old = std::fs::read_to_string(path).unwrap_or_default();
    if old == text {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
