//! The tests that a case can ask for, one file each.
//!
//! A test takes a case and gives its output to be compared with the expectation, nothing if it has none,
//! or an error that says what is wrong.

mod fmt;
mod parse;

mod check;
mod hir;

mod plan;

mod ir;
mod opt;

mod regalloc;
mod vcode;

mod asm;

mod object;

use oomc_compiler::ir::{Module, read, verify, write};
use oomc_compiler::{KernelView, Source, Stage};

use crate::case::{Case, SelfCheck};

/// One test.
pub(crate) struct Subtest {
    /// As written behind `#! test:`.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(&Case) -> Result<Option<String>, String>,
}

/// All of them, in the order of translation.
const SUBTESTS: &[Subtest] = &[
    fmt::FMT,
    parse::PARSE,
    check::CHECK,
    hir::HIR,
    plan::PLAN,
    ir::IR,
    opt::OPT,
    vcode::VCODE,
    regalloc::REGALLOC,
    asm::ASM,
    object::OBJECT,
];

/// Checks of more than one file.
pub(crate) fn self_checks() -> Vec<SelfCheck> {
    plan::self_checks()
}

/// Runs the test of this name.
pub(crate) fn run(name: &str, case: &Case) -> Result<Option<String>, String> {
    let Some(subtest) = SUBTESTS.iter().find(|subtest| subtest.name == name) else {
        let names: Vec<&str> = SUBTESTS.iter().map(|subtest| subtest.name).collect();
        return Err(format!("no test has this name; one of {}", names.join(", ")));
    };
    (subtest.run)(case)
}

/// The policy under the file's own name, which is also the policy's.
fn source(case: &Case) -> Source {
    let name = case.path.file_name().unwrap_or_default().to_string_lossy();
    Source::new(name, case.input.clone())
}

/// Whether a case is a file of IR instead of a policy.
fn is_ir(case: &Case) -> bool {
    case.path.extension().is_some_and(|end| end == "ir")
}

/// The IR of a case, valid or not. Written again, it is the same.
fn read_ir(case: &Case) -> Result<Module, String> {
    let module = read::read(&case.input).map_err(|error| error.to_string())?;
    let text = write::module(&module);
    match read::read(&text) {
        Ok(again) if write::module(&again) == text => Ok(module),
        _ => Err(format!("written and read again, it is another:\n{text}")),
    }
}

/// The valid IR of a case.
fn module(case: &Case) -> Result<Module, String> {
    let module = read_ir(case)?;
    verify::module(&module).map_err(|errors| errors.join("; "))?;
    Ok(module)
}

/// The kernel that the header names, or the reference kernel.
fn view(case: &Case) -> Result<KernelView, String> {
    let Some(file) = case.get("btf") else { return Ok(KernelView::embedded()) };
    let path = oomc_tests::root().join("tests/btf").join(file);
    let bytes = std::fs::read(&path).map_err(|error| format!("tests/btf/{file}: {error}"))?;
    KernelView::from_btf(&bytes).map_err(|error| format!("tests/btf/{file}: {error}"))
}

/// A representation as text; an error if there is none.
fn printed(case: &Case, stage: Stage) -> Result<Option<String>, String> {
    let dumped = oomc_compiler::dump(&source(case), &view(case)?, stage);
    match dumped.text {
        Some(text) => Ok(Some(text)),
        None => {
            let list: Vec<String> =
                dumped.diagnostics.iter().map(|found| format!("{} {found}", found.code)).collect();
            Err(format!("nothing to print: {}", list.join("; ")))
        }
    }
}
