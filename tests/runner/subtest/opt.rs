//! `test: opt` prints SSA after the passes.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const OPT: Subtest = Subtest { name: "opt", run: |case| printed(case, Stage::Opt) };
