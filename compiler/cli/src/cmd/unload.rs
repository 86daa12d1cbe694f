//! `oomc unload --cgroup PATH`

use oomc_runtime::{System, Target};
use serde_json::{Value, json};

use crate::args::Unload;
use crate::cmd::status::{attached_json, gone_json, left_json, tell_attached, tell_left, tell_removed};
use crate::cmd::waiting;
use crate::exit::Outcome;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Unload) -> Outcome {
    let target = match &args.cgroup {
        Some(path) => Some(Target::Cgroup(path.clone())),
        None => args.system.then_some(Target::System),
    };
    let waits = waiting(report);
    let unloaded = oomc_runtime::unload(&System::running().telling(&waits), target.as_ref())?;
    tell_removed(report, &unloaded.gone);
    for one in &unloaded.detached {
        report.remark("detached:");
        tell_attached(report, one);
    }
    if unloaded.detached.is_empty() && unloaded.gone.is_empty() {
        report.line("no policy is attached");
    }
    let exit = tell_left(report, &unloaded.left);
    let detached: Vec<Value> = unloaded.detached.iter().map(attached_json).collect();
    let result = json!({
        "detached": detached,
        "gone": gone_json(&unloaded.gone),
        "left": left_json(&unloaded.left),
    });
    report.result("unload", exit, result);
    Ok(exit)
}
