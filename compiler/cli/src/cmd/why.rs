//! `oomc why [ID|--last] [--cgroup PATH]`

use oomc_runtime::{System, events};
use serde_json::json;

use crate::args::Why;
use crate::cmd::events::{Shown, event_json};
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Why) -> Outcome {
    let system = System::running();
    let all = events::decisions(&system, args.which.target().as_ref())?;
    let all = all.iter().flat_map(|one| one.records.iter().map(move |record| (one, record)));
    let found: Vec<_> = match args.number {
        Some(number) => all.filter(|(_, record)| record.number == number).collect(),
        None => all.max_by_key(|(_, record)| record.last).into_iter().collect(),
    };
    // Each policy counts for itself.
    let (policy, record) = match (found.as_slice(), args.number) {
        ([one], _) => *one,
        ([], Some(number)) => {
            let message = format!("no decision #{number} is kept");
            return Err(Failure::refused(message).help("`oomc events` lists those that are"));
        }
        ([], None) => {
            report.line("nothing was decided yet");
            report.result("why", Exit::Ok, json!({ "event": null }));
            return Ok(Exit::Ok);
        }
        (several, _) => {
            let cgroups: Vec<&str> = several.iter().map(|(one, _)| one.cgroup.as_str()).collect();
            let message = format!("several policies have such a decision: at {}", cgroups.join(", "));
            return Err(Failure::new(Exit::Usage, message).help("say which one with `--cgroup`"));
        }
    };
    let shown = Shown::new(&system, record, &policy.declared);
    report.line(shown.line());
    report.remark(format_args!("    by {}, attached to {}", policy.policy, policy.cgroup));
    shown.with(|told| {
        for line in told.in_full() {
            report.remark(format_args!("    {line}"));
        }
    });
    report.result("why", Exit::Ok, json!({ "event": event_json(&policy.policy, record, &policy.declared) }));
    Ok(Exit::Ok)
}
