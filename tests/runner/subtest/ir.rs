//! `test: ir` prints SSA as lowered. For a file of IR it prints what the verifier says, or what was read.
//!
//! With `part: rules` it leaves out the frame that every policy has, which `nothing.oom` shows: a reader of a case
//! wants to see what its construct becomes.

use oomc_compiler::Stage;
use oomc_compiler::ir::{verify, write};

use super::{Subtest, is_ir, printed, read_ir};
use crate::case::Case;

pub(crate) const IR: Subtest =
    Subtest { name: "ir", run: |case| if is_ir(case) { verified(case) } else { lowered(case) } };

fn lowered(case: &Case) -> Result<Option<String>, String> {
    let text = printed(case, Stage::Ir)?.unwrap_or_default();
    match case.get("part") {
        None => Ok(Some(text)),
        Some("rules") => rules(&text).map(Some),
        Some(other) => Err(format!("`part: {other}` is nothing that `ir` can print; `rules`")),
    }
}

/// What stands between the frame's head and its two ends, and the functions behind the callback.
fn rules(text: &str) -> Result<String, String> {
    // The head ends with the flag of a system-wide event; the ends are the first blocks that lowering makes.
    let head = text.find(", 2\n").and_then(|at| text.get(at..));
    let body = head.and_then(|rest| rest.split_once("\nblock"));
    let body = body.and_then(|(_, rest)| rest.split_once("\nblock1:\n"));
    let functions =
        text.match_indices("function %").nth(1).and_then(|(at, _)| text.get(at..)).unwrap_or_default();
    body.map(|(rules, _)| format!("block{rules}\n{functions}"))
        .ok_or_else(|| "the frame is not where it was".to_owned())
}

fn verified(case: &Case) -> Result<Option<String>, String> {
    let module = read_ir(case)?;
    Ok(Some(match verify::module(&module) {
        Ok(()) => write::module(&module),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }))
}
