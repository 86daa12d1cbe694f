//! `test: fmt` prints the canonical form of what stands below the header, which must be its own; with `emit: expanded`
//! that with the defaults written out.

use oomc_compiler::expand::expand;
use oomc_compiler::format::format;

use super::Subtest;
use crate::case::Case;

pub(crate) const FMT: Subtest = Subtest { name: "fmt", run };

fn run(case: &Case) -> Result<Option<String>, String> {
    // The blank line before the expectation belongs to the case.
    let lines = case.input.trim_end().lines().skip(case.header.len());
    let input: String = lines.flat_map(|line| [line, "\n"]).collect();
    let once = match case.get("emit") {
        None => format(&input).text,
        Some("expanded") => format(&expand(&input)).text,
        Some(other) => return Err(format!("`emit: {other}` is nothing that `fmt` can print; `expanded`")),
    };
    let twice = format(&once).text;
    if once != twice {
        return Err(format!("the canonical form has another one:\n{twice}"));
    }
    Ok(Some(once))
}
