//! `test: regalloc` prints the code of a file of IR with its registers chosen, block by block. The allocator's
//! own checker proves each run.

use oomc_compiler::bpf;

use super::{Subtest, module, view};
use crate::case::Case;

pub(crate) const REGALLOC: Subtest = Subtest { name: "regalloc", run };

fn run(case: &Case) -> Result<Option<String>, String> {
    let view = view(case)?;
    let texts = module(case)?.functions.iter().map(|func| bpf::dump_allocated(func, &view)).collect();
    let texts: Result<String, bpf::Error> = texts;
    texts.map(Some).map_err(|error| error.to_string())
}
