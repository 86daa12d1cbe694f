//! `oomc plan FILE --cgroup PATH|--system [--oom PATH] [--set P=V] [--mode M] [--trace] [--svg F] [--html F]`

use oomc_compiler::hir::complexity;
use oomc_forecast::{Inputs, Suite, Trial};
use oomc_sim::Kernel;
use oomc_sim::machine::ROOT;

use crate::args::Plan;
use crate::cmd::sim::{draw, patiently, ready, told};
use crate::cmd::{settings, snapshot};
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Plan) -> Outcome {
    let page = snapshot::page_size(&args.roots);
    ready(report, "plan", &args.file, (&args.kernel, page), |kernel, suite| now(report, args, kernel, suite))
}

/// What would happen on this machine.
fn now(report: &Report, args: &Plan, kernel: &Kernel, suite: Suite<'_>) -> Outcome {
    let reading = snapshot::live(report, &args.roots, args.one.cgroup.as_deref())?;
    let inputs = Inputs::new(&reading.snapshot);
    let attached = match &args.one.cgroup {
        Some(path) => inputs.find(path)?,
        None => ROOT,
    };
    let domain = match &args.oom {
        Some(path) => inputs.find(path)?,
        None => attached,
    };
    let cost = suite.meaning().map(|policy| complexity::class(policy).text()).unwrap_or_default();
    let settings = settings(&suite.policy.declared, &args.settings.set, args.settings.mode)?;
    let mut trial = Trial::new(kernel, suite, inputs, attached, &settings);
    let domain = (domain != ROOT).then_some(domain);
    let (mut forecast, answer) = patiently(report, &cost, || trial.ask(domain))?;
    forecast.remarks.extend(reading.remarks);
    report.answer(forecast.lines(args.trace));
    draw(&args.pictures, &forecast)?;
    report.result("plan", Exit::Ok, told(&trial, &forecast, &answer)?);
    Ok(Exit::Ok)
}
