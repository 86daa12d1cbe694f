//! `oomc rollback --cgroup PATH`

use oomc_runtime::{System, rollback};
use serde_json::json;

use crate::args::One;
use crate::cmd::status::attached_json;
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, one: &One) -> Outcome {
    let waits = waiting(report);
    let done = rollback(&System::running().telling(&waits), &one.target())?;
    report.remark(format_args!("{}: {} is attached again", done.cgroup, done.to.policy));
    report.remark(format_args!("  {} is the version before now", done.from));
    if done.labels > 0 {
        report.remark(format_args!("  {} labels stay", done.labels));
    }
    let result = json!({
        "cgroup": done.cgroup,
        "from": done.from,
        "attached": attached_json(&done.to),
        "labels": done.labels,
    });
    report.result("rollback", Exit::Ok, result);
    Ok(Exit::Ok)
}
