//! `test: parse` prints the syntax tree, or with `emit: cst` the grammar's own pairs. A broken file
//! has a tree too: it shows what recovery keeps.

use oomc_compiler::Stage;

use super::{Subtest, printed};

pub(crate) const PARSE: Subtest = Subtest {
    name: "parse",
    run: |case| match case.get("emit") {
        None | Some("ast") => printed(case, Stage::Ast),
        Some("cst") => printed(case, Stage::Cst),
        Some(other) => Err(format!("`emit: {other}` is nothing that `parse` can print; `ast` or `cst`")),
    },
};
