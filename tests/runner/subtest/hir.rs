//! `test: hir` prints the checked policy.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const HIR: Subtest = Subtest { name: "hir", run: |case| printed(case, Stage::Hir) };
