//! `oomc sim FILE --snapshot S.json [--oom PATH|--system] [--cgroup PATH] [--set P=V] [--mode M] [--trace] [--times N]`

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use oomc_compiler::hir::complexity;
use oomc_forecast::event::Answer;
use oomc_forecast::{Forecast, Inputs, Suite, Trial};
use oomc_sim::Kernel;
use oomc_sim::machine::{CgroupIndex, ROOT};
use serde_json::{Value, json};

use crate::args::{self, Pictures, Sim};
use crate::cmd::{settings, snapshot, write};
use crate::exit::{Exit, Failure, Outcome};
use crate::policy::{self, Unready};
use crate::report::{Report, to_stderr};

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
    let page = inputs.machine.page;
    ready(report, "sim", &args.file, (&args.kernel, page), |kernel, suite| {
        events(report, args, kernel, suite, inputs, (attached, domain))
    })
}

/// Makes a policy ready to be simulated, for the kernel and with the lints that the settings of its folder name, on a
/// machine with pages of so many bytes; what is wrong with policy or settings is the command's result.
pub(super) fn ready(
    report: &Report,
    command: &'static str,
    file: &Path,
    (kernel, page): (&args::Kernel, i64),
    then: impl FnOnce(&Kernel, Suite<'_>) -> Outcome,
) -> Outcome {
    let refused = |unready: Unready| {
        report.result(command, unready.exit, json!({ "diagnostics": unready.diagnostics }));
        Ok(unready.exit)
    };
    let found = match crate::settings::of(report, file, false)? {
        Ok(found) => found,
        Err(unready) => return refused(unready),
    };
    let kernel = oomc_forecast::kernel(&found.view(kernel)?.with_page_size(page))?;
    match policy::suite(report, file, &kernel, &found.settings, false)? {
        Ok(suite) => then(&kernel, suite),
        Err(unready) => refused(unready),
    }
}

/// One event after the other.
fn events(
    report: &Report,
    args: &Sim,
    kernel: &Kernel,
    suite: Suite<'_>,
    inputs: Inputs,
    (attached, domain): (CgroupIndex, Option<CgroupIndex>),
) -> Outcome {
    let cost = suite.meaning().map(|policy| complexity::class(policy).text()).unwrap_or_default();
    let settings = settings(&suite.policy.declared, &args.settings.set, args.settings.mode)?;
    let mut trial = Trial::new(kernel, suite, inputs, attached, &settings);
    let mut events = Vec::new();
    let mut first: Option<Forecast> = None;
    for number in 1..=args.times {
        let (forecast, answer) = patiently(report, &cost, || trial.ask(domain))?;
        if args.times > 1 {
            report.line(format_args!("event {number}"));
        }
        report.answer(forecast.lines(args.trace));
        let done = forecast.victim.is_none() && answer.decision.before == answer.decision.after;
        events.push(told(&trial, &forecast, &answer)?);
        match &mut first {
            None => first = Some(forecast),
            Some(first) => first.then.push(forecast.as_then(number)),
        }
        if done && args.times > number {
            report.line("nothing would change from here on");
            break;
        }
        if number < args.times {
            trial.go_on(&answer);
        }
    }
    if let Some(first) = &first {
        draw(&args.pictures, first)?;
    }
    let of_first = |key: &str| events.first().and_then(|first| first.get(key)).cloned();
    let result =
        json!({ "forecast": of_first("forecast"), "decision": of_first("decision"), "events": events });
    report.result("sim", Exit::Ok, result);
    Ok(Exit::Ok)
}

/// A decision that is made sooner needs no sign of life.
const LONG: Duration = Duration::from_secs(3);

/// Lets a decision be made; where that takes long, says so on standard error: a sign of life on a terminal, one line
/// elsewhere.
pub(crate) fn patiently<T>(report: &Report, cost: &str, decide: impl FnOnce() -> T) -> T {
    let watched = stderr().is_terminal() && !report.is_quiet();
    let text = format!("deciding; the cost of this policy is {cost}");
    let (done, waits) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if waits.recv_timeout(LONG) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            if !watched {
                to_stderr(&format!("still {text}\n"));
                return;
            }
            let bar = ProgressBar::new_spinner();
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}, {elapsed}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.set_message(text);
            bar.enable_steady_tick(Duration::from_millis(200));
            _ = waits.recv();
            bar.finish_and_clear();
        });
        let decided = decide();
        drop(done);
        decided
    })
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
    trial.told(forecast, answer).map_err(|error| Failure::refused(format!("cannot write JSON: {error}")))
}
