//! `test: opt` prints SSA after the passes. For a file of IR, `pass: NAME` runs that one alone.

use oomc_compiler::{Stage, ir, passes};

use super::{Subtest, is_ir, module, printed};
use crate::case::Case;

pub(crate) const OPT: Subtest = Subtest {
    name: "opt",
    run: |case| if is_ir(case) { optimised(case) } else { printed(case, Stage::Opt) },
};

fn optimised(case: &Case) -> Result<Option<String>, String> {
    let mut module = module(case)?;
    match case.get("pass") {
        None => passes::run_all(&mut module),
        Some(name) => {
            let names = || passes::PASSES.iter().map(|pass| pass.name).collect::<Vec<_>>().join(", ");
            let pass = passes::PASSES.iter().find(|pass| pass.name == name);
            let pass = pass.ok_or_else(|| format!("no pass has the name `{name}`; one of {}", names()))?;
            for func in &mut module.functions {
                (pass.run)(func);
            }
        }
    }
    ir::verify::module(&module).map_err(|errors| format!("a pass broke it: {}", errors.join("; ")))?;
    Ok(Some(ir::write::module(&module)))
}
