//! `oomc plan FILE --cgroup PATH|--system [--oom PATH] [--set P=V] [--mode M] [--trace] [--svg F] [--html F]`

use oomc_compiler::hir::complexity;
use oomc_forecast::{Inputs, Trial};
use oomc_sim::machine::ROOT;
use serde_json::json;

use crate::args::Plan;
use crate::cmd::sim::{draw, patiently, told};
use crate::cmd::{settings, snapshot};
use crate::exit::{Exit, Outcome};
use crate::policy::{self, Unready};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Plan) -> Outcome {
    let refused = |unready: Unready| {
        report.result("plan", unready.exit, json!({ "diagnostics": unready.diagnostics }));
        Ok(unready.exit)
    };
    let found = match crate::settings::of(report, &args.file, false)? {
        Ok(found) => found,
        Err(unready) => return refused(unready),
    };
    let kernel = oomc_forecast::kernel(&found.view(&args.kernel)?)?;
    let suite = match policy::suite(report, &args.file, &kernel, &found.settings, false)? {
        Ok(suite) => suite,
        Err(unready) => return refused(unready),
    };
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
    let mut trial = Trial::new(&kernel, suite, inputs, attached, &settings);
    let domain = (domain != ROOT).then_some(domain);
    let (mut forecast, answer) = patiently(report, &cost, || trial.ask(domain))?;
    forecast.remarks.extend(reading.remarks);
    report.answer(forecast.lines(args.trace));
    draw(&args.pictures, &forecast)?;
    report.result("plan", Exit::Ok, told(&trial, &forecast, &answer)?);
    Ok(Exit::Ok)
}
