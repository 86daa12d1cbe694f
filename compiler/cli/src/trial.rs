//! A policy that is tried on a machine: what `sim` and `plan` ask.
//!
//! Compiles it twice, for the verdict and with marks, and lets events happen to both; knows nothing of where the
//! machine comes from, or of how an answer is told.

use std::path::Path;

use oomc_compiler::trace::Point;
use oomc_compiler::{KernelView, Source};
use oomc_sim::machine::CgroupIndex;
use oomc_sim::{Attached, Kernel, Policy};
use serde_json::{Value, json};

use crate::args::{Mode, Settings};
use crate::decision::Told;
use crate::exit::Failure;
use crate::forecast::Forecast;
use crate::foresee::{self, Answer, Question};
use crate::report::Report;
use crate::scene::{self, Scene};
use crate::{coverage, suite};

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
        view: &KernelView,
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

    pub(crate) fn attach(
        &mut self,
        scene: Scene,
        at: CgroupIndex,
        settings: &Settings,
    ) -> Result<(), Failure> {
        let attach = |policy: &Policy| {
            let (mut attached, mut remarks) = scene.attach(policy, at);
            remarks.extend(scene::set(&mut attached, &policy.declared, &settings.set)?);
            if let Some(mode) = settings.mode {
                attached.set_audit(mode == Mode::Audit);
            }
            Ok::<_, Failure>((attached, remarks))
        };
        let (attached, remarks) = attach(&self.policy)?;
        let traced = self.traced.as_ref().map(|(policy, _)| attach(policy)).transpose()?;
        let attached_traced = traced.map(|(attached, _)| attached);
        self.place = Some(Place { scene, at, attached, attached_traced, remarks });
        Ok(())
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
    pub(crate) fn go_on(&mut self, answer: &Answer) {
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
