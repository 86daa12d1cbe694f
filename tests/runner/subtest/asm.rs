//! `test: asm` prints the final instructions.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const ASM: Subtest = Subtest { name: "asm", run: |case| printed(case, Stage::Asm) };
