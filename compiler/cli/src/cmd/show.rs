//! `oomc show --cgroup PATH`

use oomc_runtime::{System, foreign, show};
use serde_json::json;

use crate::args::One;
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, one: &One) -> Outcome {
    let waits = waiting(report);
    let shown = show::show(&System::running().telling(&waits), &one.target())?;
    let policy = &shown.policy;
    if let Some(odd) = foreign::oddities(&policy.meta) {
        report.insist(format_args!("{} is foreign, and may be made of something else: {odd}", policy.policy));
    }
    if shown.gone {
        report.warn(format_args!("{} is attached no more", policy.policy));
    }
    if !report.json() {
        report.text(&shown.text);
    }
    let result = json!({
        "cgroup": policy.cgroup,
        "policy": policy.policy,
        "attached": !shown.gone,
        "text": shown.text,
    });
    report.result("show", Exit::Ok, result);
    Ok(Exit::Ok)
}
