//! The cases that run in the machine, once more: in the simulator, and each decision before the oracle, too.
//!
//! The same files and the same expectations; [`oomc_tests::play`] plays them. Which cases it cannot play is counted;
//! `OOMC_SHOW=1` names them.

use oomc_abi::resolve::KernelView;
use oomc_sim::Kernel;
use oomc_tests::play::{End, play};
use oomc_tests::{files, read, root, short};
use oomc_vm::script;

/// Cases that a model can show, at least: a change that makes one unplayable is noticed.
const LEAST: usize = 129;

#[test]
fn what_happens_in_the_machine_happens_in_the_simulator() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled");
    let (mut played, mut decisions, mut failed, mut left) = (0, 0, Vec::new(), Vec::new());
    for path in files(&root().join("tests/cases/run")) {
        if path.extension().is_none_or(|extension| extension != "oom") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let case = script::parse(&name, &read(&path)).unwrap_or_else(|error| panic!("{error}"));
        match play(&kernel, &case) {
            Ok(done) => {
                played += 1;
                decisions += done.asked;
            }
            Err(End::Wrong(what)) => failed.push(format!("{}: {what}", short(&path))),
            Err(End::Unplayable(what)) => left.push(format!("{name}: {what}")),
        }
    }
    eprintln!(
        "{played} cases with {decisions} decisions happen as in the machine; {} are left to it",
        left.len()
    );
    if std::env::var_os("OOMC_SHOW").is_some() {
        eprintln!("{}", left.join("\n"));
    }
    assert!(failed.is_empty(), "{} cases go on otherwise:\n{}", failed.len(), failed.join("\n\n"));
    assert!(played >= LEAST, "only {played} cases can be played");
}
