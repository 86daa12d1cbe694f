//! `oomc why [ID|--last] [--cgroup PATH]`

use oomc_runtime::{AskedBy, System, events};
use serde_json::json;

use crate::args::Why;
use crate::cmd::events::{Shown, event_json, outcome_text};
use crate::cmd::status::{left_json, tell_left};
use crate::cmd::waiting;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Why) -> Outcome {
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    let (all, left) = events::decisions(&system, args.which.target().as_ref())?;
    let exit = tell_left(report, &left);
    let all = all.iter().flat_map(|one| one.records.iter().map(move |record| (one, record)));
    let mut found: Vec<_> = match args.number {
        Some(number) => all.filter(|(_, record)| record.number == number).collect(),
        None => all.max_by_key(|(_, record)| record.last).into_iter().collect(),
    };
    found.sort_by_key(|(_, record)| record.last);
    // Each policy counts for itself.
    let (policy, record) = match (found.as_slice(), args.number) {
        ([one], _) => *one,
        ([], Some(number)) => {
            let message = format!("no decision #{number} is kept");
            return Err(Failure::refused(message).help("`oomc events` lists those that are"));
        }
        ([], None) => {
            report.line("nothing was decided yet");
            report.result("why", exit, json!({ "event": null, "left": left_json(&left) }));
            return Ok(exit);
        }
        // Policies that were attached to one cgroup, or to one of its name, after one another: the last is meant.
        ([older @ .., last], _) if older.iter().all(|(one, _)| one.cgroup == last.0.cgroup) => {
            let older = older.len();
            report.warn(format_args!(
                "{older} earlier policies there have such a decision, too; `oomc events` has all"
            ));
            *last
        }
        (several, _) => {
            let mut cgroups: Vec<&str> = several.iter().map(|(one, _)| one.cgroup.as_str()).collect();
            cgroups.dedup();
            let message = format!("several policies have such a decision: at {}", cgroups.join(", "));
            return Err(Failure::new(Exit::Usage, message).help("say which one with `--cgroup`"));
        }
    };
    let shown = Shown::new(&system, record, &policy.declared);
    report.line(shown.line());
    let (how, since) = match policy.asked_by {
        AskedBy::Kernel => ("attached to", ", and detached since"),
        AskedBy::Engine | AskedBy::EngineBlocks => ("asked by oomc run for", ", which has ended since"),
    };
    let since = if policy.gone { since } else { "" };
    report.remark(format_args!("    by {}, {how} {}{since}", policy.policy, policy.cgroup));
    shown.with(|told| {
        for line in told.in_full() {
            report.remark(format_args!("    {line}"));
        }
    });
    if let Some(text) = policy.outcome(record).and_then(|outcome| outcome_text(policy.asked_by, outcome)) {
        report.remark(format_args!("    {text}"));
    }
    let event = event_json(&policy.policy, record, &policy.declared, policy.outcome(record));
    report.result("why", exit, json!({ "event": event, "left": left_json(&left) }));
    Ok(exit)
}
