//! `test: vcode` prints BPF with virtual registers.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const VCODE: Subtest = Subtest { name: "vcode", run: |case| printed(case, Stage::Vcode) };
