//! `test: fmt` prints the canonical form of what stands below the header, which must be its own.

use oomc_compiler::format::format;

use super::Subtest;
use crate::case::Case;

pub(crate) const FMT: Subtest = Subtest { name: "fmt", run };

fn run(case: &Case) -> Result<Option<String>, String> {
    // The blank line before the expectation belongs to the case.
    let lines = case.input.trim_end().lines().skip(case.header.len());
    let input: String = lines.flat_map(|line| [line, "\n"]).collect();
    let once = format(&input).text;
    let twice = format(&once).text;
    if once != twice {
        return Err(format!("the canonical form has another one:\n{twice}"));
    }
    Ok(Some(once))
}
