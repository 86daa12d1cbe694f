//! `oomc plan FILE --cgroup PATH|--system [--oom PATH] [--set P=V] [--mode M] [--trace] [--svg F] [--html F]`

use oomc_sim::machine::ROOT;

use crate::args::Plan;
use crate::cmd::sim::draw;
use crate::cmd::{snapshot, view};
use crate::exit::{Exit, Outcome};
use crate::prose;
use crate::report::Report;
use crate::scene::Scene;
use crate::trial::Trial;

pub(crate) fn run(report: &Report, args: &Plan) -> Outcome {
    let view = view(&args.kernel)?;
    let Some(mut trial) = Trial::open(report, "plan", &args.file, &view)? else { return Ok(Exit::Errors) };
    let reading = snapshot::live(report, &args.roots, args.one.cgroup.as_deref())?;
    let scene = Scene::new(&reading.snapshot);
    let attached = match &args.one.cgroup {
        Some(path) => scene.find(path)?,
        None => ROOT,
    };
    let domain = match &args.oom {
        Some(path) => scene.find(path)?,
        None => attached,
    };
    trial.attach(scene, attached, &args.settings)?;
    let (mut forecast, answer) = trial.ask((domain != ROOT).then_some(domain))?;
    forecast.remarks.extend(reading.remarks);
    for line in prose::lines(&forecast, args.trace) {
        report.line(line);
    }
    draw(&args.pictures, &forecast)?;
    report.result("plan", Exit::Ok, trial.json(&forecast, &answer)?);
    Ok(Exit::Ok)
}
