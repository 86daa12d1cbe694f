//! `oomc status [--cgroup PATH]`

use std::os::unix::ffi::OsStrExt as _;

use oomc_abi::amount::exact;
use oomc_abi::shown::text_of_bytes;
use oomc_runtime::{AskedBy, Attached, Foreign, Gone, Left, System, foreign};
use serde_json::{Map, Value, json};

use crate::args::Status;
use crate::cmd::events::{Shown, record_json};
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Status) -> Outcome {
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    let status = oomc_runtime::status(&system, args.target().as_ref())?;
    for one in &status.attached {
        tell_attached(report, one);
        tell_last(report, &system, one);
    }
    for one in &status.foreign {
        let cgroup = one.cgroup.clone().unwrap_or_else(|| format!("cgroup {}", one.cgroup_id));
        let policy = one.policy.as_deref().unwrap_or("a policy without a name");
        report.line(format_args!("{cgroup}: {policy}, attached by another loader (link {})", one.link));
    }
    if status.attached.is_empty() && status.foreign.is_empty() {
        report.line("no policy is attached");
    }
    for one in &status.gone {
        let end = match one.before {
            true => "`oomc rollback` attaches it again",
            false => "its records stay until `oomc unload` or `oomc tidy`",
        };
        report.line(format_args!("{}: {}: {}; {end}", one.was.cgroup, one.was.policy, state(one)));
        report.line(format_args!("  {}", counters(&one.was.counters)));
        tell_last(report, &system, &one.was);
    }
    let exit = tell_left(report, &status.left);
    let attached: Vec<Value> = status.attached.iter().map(attached_json).collect();
    let foreign: Vec<Value> = status.foreign.iter().map(foreign_json).collect();
    let result = json!({
        "attached": attached,
        "foreign": foreign,
        "gone": gone_json(&status.gone),
        "left": left_json(&status.left),
    });
    report.result("status", exit, result);
    Ok(exit)
}

/// A policy in two lines: what it is, and what it has done.
pub(crate) fn tell_attached(report: &Report, one: &Attached) {
    let by = match one.asked_by {
        AskedBy::Kernel => "",
        AskedBy::Engine => ", asked before the limit, by oomc run",
        AskedBy::EngineBlocks => ", its `on` blocks are asked by oomc run",
    };
    report.line(format_args!("{}: {} ({}){by}", one.cgroup, one.policy, mode(one)));
    if let Some(odd) = foreign::oddities(&one.meta) {
        report.line(format_args!("  foreign, loaded by `--foreign`: {odd}"));
    }
    report.line(format_args!("  {}", counters(&one.counters)));
    for (param, value) in &one.params {
        let text = |value: i64| exact(param.unit, value);
        let (value, least, most) = (text(*value), text(param.least), text(param.most));
        report.remark(format_args!("  {} = {value}, within {least} .. {most}", param.name));
    }
    report.detail(format_args!("  cgroup id {}, source {}", one.cgroup_id, one.meta.get("hash")));
}

/// Its last decision in one line.
fn tell_last(report: &Report, system: &System<'_>, one: &Attached) {
    if let Some(record) = &one.last {
        let declared = one.meta.declared();
        let shown = Shown::new(system, record, &declared);
        report.remark(format_args!("  last decision: {}", shown.line()));
    }
}

/// The mode as it is now; of an object without the map, as it was declared.
fn mode(one: &Attached) -> &str {
    one.mode.map_or_else(|| one.meta.get("mode"), |mode| mode.name())
}

/// Why a policy is attached no more.
fn state(gone: &Gone) -> &'static str {
    match (gone.before, gone.cgroup_exists, gone.was.asked_by) {
        (true, ..) => "the version before",
        (false, true, AskedBy::Kernel) => "it is detached",
        (false, true, AskedBy::Engine | AskedBy::EngineBlocks) => "the engine is gone",
        (false, false, _) => "the cgroup is gone",
    }
}

/// Policies that were gone, and whose pins were removed now.
pub(crate) fn tell_removed(report: &Report, gone: &[Gone]) {
    for one in gone {
        report.line(format_args!(
            "{}: {}: {}; its pins and records were removed",
            one.was.cgroup,
            one.was.policy,
            state(one)
        ));
        report.line(format_args!("  {}", counters(&one.was.counters)));
    }
}

/// What is among the pins besides, and how a command ends that leaves it.
pub(crate) fn tell_left(report: &Report, left: &[Left]) -> Exit {
    for one in left {
        let end = if one.ours { "`oomc tidy` removes it" } else { "oomc leaves it alone" };
        report.insist(format_args!("{one}; {end}"));
    }
    if left.iter().any(|one| !one.ours) { Exit::Refused } else { Exit::Ok }
}

pub(crate) fn left_json(left: &[Left]) -> Value {
    let all = left.iter().map(|one| {
        let place = text_of_bytes(one.place.as_os_str().as_bytes());
        json!({ "place": place, "why": one.why, "tidy_removes": one.ours })
    });
    Value::Array(all.collect())
}

fn counters(counters: &[(String, u64)]) -> String {
    if counters.is_empty() {
        return "no counters".to_owned();
    }
    let words: Vec<String> = counters.iter().map(|(name, count)| format!("{name} {count}")).collect();
    words.join("  ")
}

fn counters_json(counters: &[(String, u64)]) -> Value {
    Value::Object(counters.iter().map(|(name, count)| (name.clone(), json!(count))).collect::<Map<_, _>>())
}

pub(crate) fn attached_json(one: &Attached) -> Value {
    let declared = one.meta.declared();
    let params = one.params.iter().map(|(param, value)| (param.name.clone(), json!(value)));
    let params = Value::Object(params.collect());
    json!({
        "cgroup": one.cgroup,
        "cgroup_id": one.cgroup_id,
        "policy": one.policy,
        "name": one.meta.get("name"),
        "hash": one.meta.get("hash"),
        "foreign": foreign::oddities(&one.meta),
        "mode": mode(one),
        "asked_by": one.asked_by.name(),
        "params": params,
        "counters": counters_json(&one.counters),
        "last_decision": one.last.as_ref().map(|record| record_json(record, &declared)),
    })
}

fn foreign_json(one: &Foreign) -> Value {
    json!({
        "cgroup": one.cgroup,
        "cgroup_id": one.cgroup_id,
        "policy": one.policy,
        "link": one.link,
    })
}

pub(crate) fn gone_json(gone: &[Gone]) -> Value {
    let all = gone.iter().map(|one| {
        let mut document = attached_json(&one.was);
        if let Value::Object(members) = &mut document {
            members.insert("state".to_owned(), json!(state(one)));
        }
        document
    });
    Value::Array(all.collect())
}
