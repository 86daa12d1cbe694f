//! The case files once more, whole: what the policies decided in the kernel is what they decide in the simulator, and
//! what the oracle says.
//!
//! The kernel's side comes from the policies' own records, the other one from [`oomc_tests::replay`], which has asked
//! the oracle before each decision.

use libtest_mimic::Failed;
use oomc_compiler::KernelView;
use oomc_sim::Kernel;
use oomc_tests::replay::compare::{differences, left_out};
use oomc_tests::replay::{End, replay};
use oomc_vm::report::Report;
use oomc_vm::script::Case;

/// The test's name.
pub(crate) const NAME: &str = "cases_are_decided_as_in_simulator_and_oracle";

/// So many cases at least are compared as a whole.
const LEAST: usize = 165;

/// Compares what the machine tells with what is played. Fewer cases than there are may have been asked for.
pub(crate) fn judge(
    cases: &[Case],
    all: usize,
    report: impl Fn(&str) -> Result<Report, Failed>,
) -> Result<(), Failed> {
    let kernel = Kernel::new(KernelView::embedded()).map_err(|lacking| Failed::from(lacking.to_string()))?;
    let (mut whole, mut in_part, mut decisions, mut wrong) = (0, 0, 0, Vec::new());
    for case in cases {
        let played = match replay(&kernel, case) {
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
        match differences(&case.name, &played.decisions, &told) {
            None => {
                *if left_out(&case.name).is_none() { &mut whole } else { &mut in_part } += 1;
                decisions += told.len();
            }
            Some(what) => wrong.push(format!("{}: {what}", case.name)),
        }
    }
    eprintln!(
        "kernel, simulator and oracle agree in {whole} cases, and in {in_part} as far as they are compared: \
         {decisions} decisions"
    );
    if cases.len() >= all && whole < LEAST {
        wrong.push(format!("only {whole} cases are compared as a whole"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}
