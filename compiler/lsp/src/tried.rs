//! What a policy's tests and rules do: tried in the background, by the bytes that a kernel would run.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::OnceLock;

use oomc_compiler::Checked;
use oomc_forecast::{Forecast, Inputs, Settings, Suite, Trial, test_run};
use oomc_sim::Kernel;
use oomc_sim::machine::ROOT;
use oomc_sim::scenario::Order;
use oomc_snapshot::Snapshot;

use crate::analysis::Side;

/// What stands above a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lens {
    pub(crate) side: Side,
    /// From 0.
    pub(crate) line: u32,
    pub(crate) text: String,
}

/// Reads the machine that `oomc snapshot` wrote to a file; without a file this one, as it is now.
pub type Machines = &'static (dyn Fn(Option<&Path>) -> Result<Snapshot, String> + Sync);

/// The machine on which rules are tried.
pub(crate) struct Machine {
    machines: Machines,
    /// None: this one, which is read anew each time.
    file: Option<PathBuf>,
    /// The cgroup that runs out of memory there; none: what the snapshot was restricted to, or the whole machine.
    oom: Option<String>,
    recorded: OnceLock<Result<Snapshot, String>>,
}

impl Machine {
    pub(crate) fn new(machines: Machines, file: Option<PathBuf>, oom: Option<String>) -> Self {
        Self { machines, file, oom, recorded: OnceLock::new() }
    }

    /// The machine as it is known; a file is read once.
    pub(crate) fn read(&self) -> Result<Cow<'_, Snapshot>, String> {
        let Some(file) = &self.file else { return (self.machines)(None).map(Cow::Owned) };
        let recorded = self.recorded.get_or_init(|| (self.machines)(Some(file)));
        recorded.as_ref().map(Cow::Borrowed).map_err(String::clone)
    }
}

/// Plays the tests, and lets memory run out on the machine, if there is one. None if nobody wants to know any more.
pub(crate) fn lenses(
    checked: &Checked<'static>,
    object: &[u8],
    machine: Option<&Machine>,
    wanted: &dyn Fn() -> bool,
) -> Option<Vec<Lens>> {
    let kernel = oomc_forecast::kernel(checked.view());
    let suite = kernel.as_ref().map_err(ToString::to_string).and_then(|kernel| {
        let suite = Suite::new(checked.clone(), object, kernel).map_err(|error| error.to_string())?;
        Ok((kernel, suite))
    });
    let (kernel, suite) = match suite {
        Ok(ready) => ready,
        Err(why) => {
            let text = format!("cannot be tried: {why}");
            return Some(vec![Lens { side: Side::Policy, line: 0, text }]);
        }
    };
    let mut found = Vec::new();
    let own = checked.tests().0.len();
    for (at, test) in suite.tests.iter().enumerate() {
        if !wanted() {
            return None;
        }
        let side = if at < own { Side::Policy } else { Side::Tests };
        let ran = test_run::run(kernel, slice::from_ref(&suite), &[], &[(0, at)], Order::default());
        let wrong = ran.first().map(test_run::Ran::wrong).unwrap_or_default();
        let text = match wrong.first() {
            None => "✓ passes".to_owned(),
            Some((line, what)) => format!("✗ line {line}: {what}"),
        };
        found.push(Lens { side, line: test.test.line.saturating_sub(1), text });
    }
    if let Some(machine) = machine {
        if !wanted() {
            return None;
        }
        found.extend(rules(checked, kernel, suite, machine));
    }
    Some(found)
}

/// What each rule comes to when memory runs out on a machine.
fn rules(checked: &Checked<'_>, kernel: &Kernel, suite: Suite<'_>, machine: &Machine) -> Vec<Lens> {
    let Some(policy) = checked.policy() else { return Vec::new() };
    let of = |rule: &oomc_compiler::hir::Rule, text: String| {
        let (line, _) = checked.source().line_column(rule.span.start);
        Lens { side: Side::Policy, line: line.saturating_sub(1), text }
    };
    match foreseen(kernel, suite, machine) {
        Ok(forecast) => {
            let ended = |rule: &oomc_compiler::hir::Rule| {
                let ended = forecast.rules.iter().find(|ended| ended.rule == rule.name)?;
                let decides = forecast.rule.as_ref() == Some(&rule.name);
                Some(of(rule, if decides { forecast.summary.clone() } else { ended.end.clone() }))
            };
            policy.rules.iter().filter_map(ended).collect()
        }
        Err(why) => {
            policy.rules.first().map(|rule| of(rule, format!("cannot be tried: {why}"))).into_iter().collect()
        }
    }
}

/// What a policy does when memory runs out on a machine.
fn foreseen(kernel: &Kernel, suite: Suite<'_>, machine: &Machine) -> Result<Forecast, String> {
    let inputs = Inputs::new(machine.read()?.as_ref());
    let top = Some(inputs.top.as_str()).filter(|top| *top != "/");
    let domain = machine.oom.as_deref().or(top).map(|path| inputs.find(path)).transpose();
    let domain = domain.map_err(|error| error.to_string())?.filter(|at| *at != ROOT);
    let mut trial = Trial::new(kernel, suite, inputs, domain.unwrap_or(ROOT), &Settings::default());
    trial.ask(domain).map(|(forecast, _)| forecast).map_err(|error| error.to_string())
}
