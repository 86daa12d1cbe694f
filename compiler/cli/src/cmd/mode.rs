//! `oomc mode --cgroup PATH audit|enforce`

use oomc_runtime::{Mode, System, config};
use serde_json::json;

use crate::args::ModeOf;
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &ModeOf) -> Outcome {
    let mode = Mode::from(args.mode);
    let waits = waiting(report);
    let changed = config::mode(&System::running().telling(&waits), &args.one.target(), mode)?;
    let (cgroup, policy, before) = (changed.cgroup, changed.policy, changed.what);
    let now = mode.name();
    if before == mode {
        report.remark(format_args!("{cgroup}: {policy} is in {now} mode already"));
    } else {
        report.remark(format_args!("{cgroup}: {policy} is in {now} mode now"));
    }
    let result = json!({ "cgroup": cgroup, "policy": policy, "from": before.name(), "mode": now });
    report.result("mode", Exit::Ok, result);
    Ok(Exit::Ok)
}
