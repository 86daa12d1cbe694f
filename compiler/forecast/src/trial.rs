//! A policy that is tried on a machine: one event after the other.
//!
//! Runs the policy twice, for the verdict and with marks, which tell whom its clauses protect; knows nothing of where
//! the machine comes from, or of how a forecast is shown.

use oomc_abi::amount::exact;
use oomc_abi::declared::{Declared, Param};
use oomc_sim::machine::CgroupIndex;
use oomc_sim::scenario::Decision;
use oomc_sim::{Attached, Kernel, Policy};
use serde_json::{Value, json};

use crate::decision::Told;
use crate::event::{self, Answer, Question};
use crate::forecast::account;
use crate::forecast::protections::protections;
use crate::steps::Steps;
use crate::{Error, Forecast, Inputs, Suite, Traced};

/// Settings in place of the policy's own.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Params that are set, with their values.
    pub params: Vec<(Param, i64)>,
    /// Whether the policy only writes down what it would do; none: as it says itself.
    pub audit: Option<bool>,
}

impl Settings {
    /// Sets them; returns a remark on each param.
    pub fn apply(&self, attached: &mut Attached) -> Vec<String> {
        if let Some(audit) = self.audit {
            attached.set_audit(audit);
        }
        let params = self.params.iter().map(|(param, to)| {
            attached.set(&param.name, *to);
            format!("{} is set to {}", param.name, exact(param.unit, *to))
        });
        params.collect()
    }
}

/// A policy, attached to a cgroup of a machine, and what it has counted so far.
#[derive(Debug)]
pub struct Trial<'k> {
    kernel: &'k Kernel,
    suite: Suite<'k>,
    inputs: Inputs,
    at: CgroupIndex,
    attached: Attached,
    /// The same policy with marks in it. One that fits the kernel's limits may not do so with them: then less is told.
    traced: Option<(Traced, Attached)>,
    /// The last decision, by the policy with marks.
    passed: Option<Decision>,
    remarks: Vec<String>,
}

impl<'k> Trial<'k> {
    /// Attaches a policy to a cgroup of a machine.
    #[must_use]
    pub fn new(
        kernel: &'k Kernel,
        suite: Suite<'k>,
        inputs: Inputs,
        at: CgroupIndex,
        settings: &Settings,
    ) -> Self {
        let attach = |policy: &Policy| {
            let (mut attached, mut remarks) = inputs.attach(policy, at);
            remarks.extend(settings.apply(&mut attached));
            (attached, remarks)
        };
        let (attached, remarks) = attach(&suite.policy);
        let traced = suite.trace(kernel).ok().map(|traced| {
            let (attached, _) = attach(&traced.policy);
            (traced, attached)
        });
        Self { kernel, suite, inputs, at, attached, traced, passed: None, remarks }
    }

    /// What the policy declares.
    #[must_use]
    pub fn declared(&self) -> &Declared {
        &self.suite.policy.declared
    }

    /// Lets a cgroup, or the machine, run out of memory.
    ///
    /// # Errors
    /// [`Error::Refused`].
    pub fn ask(&mut self, domain: Option<CgroupIndex>) -> Result<(Forecast, Answer), Error> {
        let machine = &self.inputs.machine;
        let question = Question { kernel: self.kernel, machine, attached: self.at, domain };
        let answer = event::ask(&question, &mut self.attached)?;
        let protections = match &mut self.traced {
            Some((traced, attached)) => {
                let again = event::ask(&question, attached)?;
                let told = protections(self.suite.source(), &traced.points, &again.decision);
                self.passed = Some(again.decision);
                told
            }
            None => Vec::new(),
        };
        let unknown = self.suite.unknown(machine, &answer.decision.unknown);
        let mut forecast = account::of(&self.suite.policy, &answer, protections, unknown);
        if self.traced.is_none() {
            let text = "the policy is too large to tell whom its clauses protect";
            forecast.remarks.push(text.to_owned());
        }
        forecast.remarks.append(&mut self.remarks);
        Ok((forecast, answer))
    }

    /// How the last decision came about; none if nothing is claimed of it, or the policy is too large to tell.
    #[must_use]
    pub fn steps(&self, forecast: &Forecast) -> Option<Steps> {
        let ((traced, _), passed) = (self.traced.as_ref()?, self.passed.as_ref()?);
        let source = self.suite.source();
        forecast.unknown.is_empty().then(|| Steps::of(source, &traced.points, passed, forecast))
    }

    /// A forecast and the decision that it is of, for programs.
    ///
    /// # Errors
    /// The forecast cannot be written as JSON.
    pub fn told(&self, forecast: &Forecast, answer: &Answer) -> serde_json::Result<Value> {
        let name = |id| answer.decision.path_of(id);
        // Of what nobody knows nothing is claimed.
        let record = answer.record().filter(|_| forecast.unknown.is_empty());
        let record = record.as_ref();
        let record = record.map(|record| Told { record, declared: self.declared(), cgroup: &name }.json());
        Ok(json!({ "forecast": serde_json::to_value(forecast)?, "decision": record }))
    }

    /// Goes on with the machine as the answer leaves it: victims are gone, and a limit that has risen stays so.
    pub fn go_on(&mut self, answer: &Answer) {
        let before = std::mem::replace(&mut self.inputs.machine, answer.decision.after.clone());
        // What was only there because memory had run out is not.
        for (now, was) in self.inputs.machine.cgroups.iter_mut().zip(&before.cgroups) {
            now.own = was.own;
        }
        self.inputs.machine.bury();
    }
}
