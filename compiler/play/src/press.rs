//! Lets memory run out, and gives what the policy decides: the same as `oomc sim` on the same machine, drawn, explained
//! and written as a test.

use oomc_compiler::{Parsed, Source};
use oomc_forecast::{Inputs, Settings, Suite, Trial};
use oomc_sim::machine::ROOT;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::desk::{Desk, NAME};
use crate::{machine, written};

/// What is tried.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Press {
    pub(crate) policy: String,
    machine: String,
    /// The cgroup that runs out of memory; none: the whole machine.
    oom: Option<String>,
}

/// What comes of it; only diagnostics where the policy has errors.
///
/// # Errors
/// A sentence: there is no such machine or cgroup, or the policy cannot be simulated.
pub(crate) fn press(desk: &Desk, press: &Press) -> Result<Value, String> {
    let snapshot = machine::read(&press.machine)?;
    let kernel = desk.kernel();
    let source = Source::new(NAME, press.policy.as_str());
    let checked = Parsed::new(source.clone()).check(kernel.view());
    let compiled = checked.compile();
    let diagnostics = desk.tell(&source, &compiled.diagnostics);
    let Some(object) = compiled.object else { return Ok(json!({ "diagnostics": diagnostics })) };
    let told = |error: oomc_forecast::Error| match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    };
    let suite = Suite::new(checked, &object, kernel).map_err(told)?;
    let inputs = Inputs::new(&snapshot);
    let at = press.oom.as_ref().map_or(Ok(ROOT), |path| inputs.find(path)).map_err(told)?;
    let domain = Some(at).filter(|at| *at != ROOT);
    let mut trial = Trial::new(kernel, suite, inputs, at, &Settings::default());
    let (forecast, answer) = trial.ask(domain).map_err(told)?;
    let mut result = trial.told(&forecast, &answer).map_err(|error| error.to_string())?;
    let steps = trial.steps(&forecast);
    let event = written::Event { snapshot: &snapshot, domain, declared: trial.declared() };
    let test = written::test(desk, &press.policy, &event, &forecast, &answer.decision);
    let parts = [
        ("diagnostics", json!(diagnostics)),
        ("picture", json!(oomc_picture::inside(&forecast))),
        ("explained", json!(steps.as_ref().map(oomc_picture::steps))),
        ("steps", json!(steps)),
        ("test", json!(test)),
    ];
    if let Value::Object(result) = &mut result {
        result.extend(parts.map(|(name, value)| (name.to_owned(), value)));
    }
    Ok(result)
}
