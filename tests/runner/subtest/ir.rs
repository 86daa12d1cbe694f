//! `test: ir` prints SSA as lowered. For a file of IR it prints what the verifier says, or what was read.

use oomc_compiler::Stage;
use oomc_compiler::ir::{verify, write};

use super::{Subtest, is_ir, printed, read_ir};
use crate::case::Case;

pub(crate) const IR: Subtest =
    Subtest { name: "ir", run: |case| if is_ir(case) { verified(case) } else { printed(case, Stage::Ir) } };

fn verified(case: &Case) -> Result<Option<String>, String> {
    let module = read_ir(case)?;
    Ok(Some(match verify::module(&module) {
        Ok(()) => write::module(&module),
        Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
    }))
}
