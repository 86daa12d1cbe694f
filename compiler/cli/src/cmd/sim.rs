//! `oomc sim FILE --snapshot S.json [--oom PATH|--system] [--cgroup PATH] [--trace] [--times N]`

use std::path::{Path, PathBuf};

use oomc_compiler::Source;
use oomc_compiler::trace::Point;
use oomc_sim::machine::{CgroupIndex, ROOT};
use oomc_sim::{Attached, Kernel, Policy};
use serde_json::{Value, json};

use crate::args::{Pictures, Sim};
use crate::cmd::{view, write};
use crate::decision::Told;
use crate::exit::{Exit, Failure, Outcome};
use crate::forecast::Forecast;
use crate::foresee::{self, Answer, Question};
use crate::report::Report;
use crate::scene::Scene;
use crate::{coverage, picture, prose, suite};

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
    trial.attach(scene, attached);
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

/// A policy that is tried on a machine.
pub(crate) struct Trial {
    kernel: Kernel,
    source: Source,
    policy: Policy,
    /// The same with marks in it, which tell whom its clauses protect.
    traced: Option<(Policy, Vec<Point>)>,
    place: Option<Place>,
}

/// Where it is tried.
struct Place {
    scene: Scene,
    at: CgroupIndex,
    attached: Attached,
    attached_traced: Option<Attached>,
    remarks: Vec<String>,
}

impl Trial {
    /// Reads and compiles a policy. None: it has errors, which are told.
    pub(crate) fn open(
        report: &Report,
        command: &str,
        file: &Path,
        view: &oomc_compiler::KernelView,
    ) -> Result<Option<Self>, Failure> {
        let kernel = suite::kernel(view)?;
        let suite = match suite::open(report, file, &kernel, false)? {
            Ok(suite) => suite,
            Err(unready) => {
                report.result(command, unready.exit, json!({ "diagnostics": unready.diagnostics }));
                return Ok(None);
            }
        };
        // A policy that fits the kernel's limits may not do so with marks in it: then less is told.
        let traced = coverage::trace(&suite.source, view, &kernel).ok();
        let traced = traced.map(|traced| (traced.policy, traced.points));
        Ok(Some(Self { kernel, source: suite.source, policy: suite.policy, traced, place: None }))
    }

    pub(crate) fn attach(&mut self, scene: Scene, at: CgroupIndex) {
        let (attached, remarks) = scene.attach(&self.policy, at);
        let attached_traced = self.traced.as_ref().map(|(policy, _)| scene.attach(policy, at).0);
        self.place = Some(Place { scene, at, attached, attached_traced, remarks });
    }

    /// Lets a cgroup, or the machine, run out of memory.
    pub(crate) fn ask(&mut self, domain: Option<CgroupIndex>) -> Result<(Forecast, Answer), Failure> {
        let Some(place) = &mut self.place else {
            return Err(Failure::refused("the policy is attached nowhere"));
        };
        let machine = &place.scene.machine;
        let question = Question { kernel: &self.kernel, machine, attached: place.at, domain };
        let answer = foresee::ask(&question, &mut place.attached)?;
        let protections = match (&self.traced, &mut place.attached_traced) {
            (Some((_, points)), Some(attached)) => {
                let again = foresee::ask(&question, attached)?;
                foresee::protections(&self.source, points, &again.decision)
            }
            _ => Vec::new(),
        };
        let mut forecast = foresee::forecast(&self.policy, &answer, protections);
        if self.traced.is_none() {
            let text = "the policy is too large to tell whom its clauses protect";
            forecast.remarks.push(text.to_owned());
        }
        forecast.remarks.append(&mut place.remarks);
        Ok((forecast, answer))
    }

    /// Victims are gone, and a limit that has risen stays so.
    fn go_on(&mut self, answer: &Answer) {
        if let Some(place) = &mut self.place {
            let before = place.scene.machine.clone();
            place.scene.machine = answer.decision.after.clone();
            // What was only there because memory had run out is not.
            for (now, was) in place.scene.machine.cgroups.iter_mut().zip(&before.cgroups) {
                now.own = was.own;
            }
            place.scene.machine.bury();
        }
    }

    pub(crate) fn json(&self, forecast: &Forecast, answer: &Answer) -> Result<Value, Failure> {
        let decision = &answer.decision;
        let name = |id| decision.path_of(id);
        let record = decision.record.as_ref();
        let record =
            record.map(|record| Told { record, declared: &self.policy.declared, cgroup: &name }.json());
        let forecast = serde_json::to_value(forecast)
            .map_err(|error| Failure::refused(format!("cannot write JSON: {error}")))?;
        Ok(json!({ "forecast": forecast, "decision": record }))
    }
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
