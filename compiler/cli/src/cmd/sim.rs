//! `oomc sim FILE --snapshot S.json [--oom PATH|--system] [--cgroup PATH] [--set P=V] [--mode M] [--trace] [--times N]`

use std::path::PathBuf;

use oomc_sim::machine::ROOT;
use serde_json::json;

use crate::args::{Pictures, Sim};
use crate::cmd::{view, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::forecast::Forecast;
use crate::report::Report;
use crate::scene::Scene;
use crate::trial::Trial;
use crate::{picture, prose};

pub(crate) fn run(report: &Report, args: &Sim) -> Outcome {
    let scene = Scene::open(&args.snapshot)?;
    let domain = match (&args.oom, args.system) {
        (Some(path), _) => Some(path.clone()),
        (None, false) if scene.top != "/" => Some(scene.top.clone()),
        (None, _) => None,
    };
    let domain = match domain {
        Some(path) => Some(scene.find(&path)?).filter(|at| *at != ROOT),
        None => None,
    };
    let attached = match &args.cgroup {
        Some(path) => scene.find(path)?,
        None => domain.unwrap_or(ROOT),
    };
    let view = view(&args.kernel)?;
    let Some(mut trial) = Trial::open(report, "sim", &args.file, &view)? else { return Ok(Exit::Errors) };
    trial.attach(scene, attached, &args.settings)?;
    let mut told = Vec::new();
    for number in 1..=args.times {
        let (forecast, answer) = trial.ask(domain)?;
        if args.times > 1 {
            report.line(format_args!("event {number}"));
        }
        for line in prose::lines(&forecast, args.trace) {
            report.line(line);
        }
        if number == 1 {
            draw(&args.pictures, &forecast)?;
        }
        let done = forecast.victim.is_none() && answer.decision.before == answer.decision.after;
        told.push(trial.json(&forecast, &answer)?);
        if done && args.times > number {
            report.line("nothing would change from here on");
            break;
        }
        if number < args.times {
            trial.go_on(&answer);
        }
    }
    let of_first = |key: &str| told.first().and_then(|first| first.get(key)).cloned();
    let result =
        json!({ "forecast": of_first("forecast"), "decision": of_first("decision"), "events": told });
    report.result("sim", Exit::Ok, result);
    Ok(Exit::Ok)
}

/// Draws what was asked for.
pub(crate) fn draw(pictures: &Pictures, forecast: &Forecast) -> Result<(), Failure> {
    let draw = |path: &Option<PathBuf>, picture: fn(&Forecast) -> String| match path {
        Some(path) => write(path, picture(forecast).as_bytes()),
        None => Ok(()),
    };
    draw(&pictures.svg, picture::svg)?;
    draw(&pictures.html, picture::html)
}
