//! `test: ir` prints SSA as lowered.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const IR: Subtest = Subtest { name: "ir", run: |case| printed(case, Stage::Ir) };
