//! The case files once more, whole: what the policies decided in the kernel is what they decide in the simulator, and
//! what the oracle says.
//!
//! The kernel's side comes from the policies' own records, the other one from [`oomc_tests::play`], which has asked
//! the oracle before each decision.

use libtest_mimic::Failed;
use oomc_compiler::KernelView;
use oomc_sim::Kernel;
use oomc_tests::play::compare::differences;
use oomc_tests::play::{End, play};
use oomc_vm::report::Report;
use oomc_vm::script::Case;

/// The test's name.
pub(crate) const NAME: &str = "cases_are_decided_as_in_simulator_and_oracle";

/// Compares what the machine tells with what is played.
pub(crate) fn judge(cases: &[Case], report: impl Fn(&str) -> Result<Report, Failed>) -> Result<(), Failed> {
    let kernel = Kernel::new(KernelView::embedded()).map_err(|lacking| Failed::from(lacking.to_string()))?;
    let (mut agreed, mut decisions, mut wrong) = (0, 0, Vec::new());
    for case in cases {
        let played = match play(&kernel, case) {
            Ok(played) => played,
            Err(End::Unplayable(_)) => continue,
            Err(End::Wrong(what)) => {
                wrong.push(what);
                continue;
            }
        };
        let told = match report(&case.name) {
            Ok(report) => report.decisions,
            Err(failed) => {
                wrong.push(format!("{}: {}", case.name, failed.message().unwrap_or("it failed")));
                continue;
            }
        };
        match differences(&played.decisions, &told) {
            None => {
                agreed += 1;
                decisions += told.len();
            }
            Some(what) => wrong.push(format!("{}: {what}", case.name)),
        }
    }
    eprintln!("kernel, simulator and oracle agree in {agreed} cases with {decisions} decisions");
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}
