//! `oomc sim FILE --snapshot S.json [--oom PATH|--system] [--cgroup PATH] [--set P=V] [--mode M] [--trace] [--times N]`

use std::path::PathBuf;

use oomc_forecast::decision::Told;
use oomc_forecast::event::Answer;
use oomc_forecast::{Forecast, Trial};
use oomc_sim::machine::ROOT;
use serde_json::{Value, json};

use crate::args::{Pictures, Sim};
use crate::cmd::{settings, snapshot, view, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::policy;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Sim) -> Outcome {
    let inputs = snapshot::recorded(&args.snapshot)?;
    let domain = match (&args.oom, args.system) {
        (Some(path), _) => Some(path.clone()),
        (None, false) if inputs.top != "/" => Some(inputs.top.clone()),
        (None, _) => None,
    };
    let domain = match domain {
        Some(path) => Some(inputs.find(&path)?).filter(|at| *at != ROOT),
        None => None,
    };
    let attached = match &args.cgroup {
        Some(path) => inputs.find(path)?,
        None => domain.unwrap_or(ROOT),
    };
    let kernel = oomc_forecast::kernel(&view(&args.kernel)?)?;
    let suite = match policy::suite(report, &args.file, &kernel, false)? {
        Ok(suite) => suite,
        Err(unready) => {
            report.result("sim", unready.exit, json!({ "diagnostics": unready.diagnostics }));
            return Ok(unready.exit);
        }
    };
    let settings = settings(&suite.policy.declared, &args.settings.set, args.settings.mode)?;
    let mut trial = Trial::new(&kernel, suite, inputs, attached, &settings);
    let mut events = Vec::new();
    for number in 1..=args.times {
        let (forecast, answer) = trial.ask(domain)?;
        if args.times > 1 {
            report.line(format_args!("event {number}"));
        }
        report.answer(forecast.lines(args.trace));
        if number == 1 {
            draw(&args.pictures, &forecast)?;
        }
        let done = forecast.victim.is_none() && answer.decision.before == answer.decision.after;
        events.push(told(&trial, &forecast, &answer)?);
        if done && args.times > number {
            report.line("nothing would change from here on");
            break;
        }
        if number < args.times {
            trial.go_on(&answer);
        }
    }
    let of_first = |key: &str| events.first().and_then(|first| first.get(key)).cloned();
    let result =
        json!({ "forecast": of_first("forecast"), "decision": of_first("decision"), "events": events });
    report.result("sim", Exit::Ok, result);
    Ok(Exit::Ok)
}

/// Draws what was asked for.
pub(crate) fn draw(pictures: &Pictures, forecast: &Forecast) -> Result<(), Failure> {
    let draw = |path: &Option<PathBuf>, picture: fn(&Forecast) -> String| match path {
        Some(path) => write(path, picture(forecast).as_bytes()),
        None => Ok(()),
    };
    draw(&pictures.svg, oomc_picture::svg)?;
    draw(&pictures.html, oomc_picture::html)
}

/// A forecast and the decision that it is of, for programs.
pub(crate) fn told(trial: &Trial<'_>, forecast: &Forecast, answer: &Answer) -> Result<Value, Failure> {
    let name = |id| answer.decision.path_of(id);
    let record = answer.decision.record.as_ref();
    let record = record.map(|record| Told { record, declared: trial.declared(), cgroup: &name }.json());
    let forecast = serde_json::to_value(forecast)
        .map_err(|error| Failure::refused(format!("cannot write JSON: {error}")))?;
    Ok(json!({ "forecast": forecast, "decision": record }))
}
