//! `test: object` prints sections, symbols and relocations, or with `emit: btf` the object's own types; and
//! compiles twice: the same text and the same BTF give the same bytes.

use oomc_compiler::Stage;

use super::{Subtest, printed, source, view};
use crate::case::Case;

pub(crate) const OBJECT: Subtest = Subtest { name: "object", run };

fn run(case: &Case) -> Result<Option<String>, String> {
    let (source, view) = (source(case), view(case)?);
    let [first, second] = [(); 2].map(|()| oomc_compiler::compile(&source, &view).object);
    if first != second {
        return Err("two runs of the compiler gave different bytes".to_owned());
    }
    match case.get("emit") {
        None | Some("elf") => printed(case, Stage::Elf),
        Some("btf") => printed(case, Stage::Btf),
        Some(other) => Err(format!("`emit: {other}` is nothing that `object` can print; `elf` or `btf`")),
    }
}
