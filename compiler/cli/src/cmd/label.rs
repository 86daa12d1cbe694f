//! `oomc label CGROUP NAME=VALUE…`, `oomc label --refresh CGROUP`

use oomc_abi::amount::exact;
use oomc_compiler::value;
use oomc_runtime::labels::{self, Ignored, Put};
use oomc_runtime::{System, Target};
use serde_json::{Value, json};

use crate::args::Label;
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Label) -> Outcome {
    let target = args.cgroup.clone().map_or(Target::System, Target::Cgroup);
    if args.refresh { refresh(report, &target) } else { put(report, &target, args) }
}

fn put(report: &Report, target: &Target, args: &Label) -> Outcome {
    let waits = waiting(report);
    let changed = labels::put(&System::running().telling(&waits), target, &args.labels, &value::read)?;
    for Put { cgroup, label, value } in &changed.what {
        let value = value.map_or_else(|| "inherited".to_owned(), |value| exact(label.unit, value));
        let (name, policy, attached) = (&label.name, &changed.policy, &changed.cgroup);
        report.remark(format_args!("{cgroup}: {name} = {value}, for {policy} on {attached}"));
    }
    let put = changed.what.iter();
    let put = put.map(|put| json!({ "cgroup": put.cgroup, "label": put.label.name, "value": put.value }));
    let put: Vec<Value> = put.collect();
    let result = json!({ "cgroup": changed.cgroup, "policy": changed.policy, "labels": put });
    report.result("label", Exit::Ok, result);
    Ok(Exit::Ok)
}

fn refresh(report: &Report, target: &Target) -> Outcome {
    let waits = waiting(report);
    let changed = labels::refresh(&System::running().telling(&waits), target, &value::read)?;
    tell_ignored(report, &changed.what.ignored);
    report.remark(format_args!(
        "{} labels were read, for {} on {}",
        changed.what.set, changed.policy, changed.cgroup
    ));
    let result = json!({
        "cgroup": changed.cgroup,
        "policy": changed.policy,
        "set": changed.what.set,
        "ignored": ignored_json(&changed.what.ignored),
    });
    report.result("label", Exit::Ok, result);
    Ok(Exit::Ok)
}

/// Cgroups with ignored labels that are named one by one.
const NAMED: usize = 20;

/// Attributes that count as not set: never silent, and one line for a cgroup. How many cgroups there are, whoever owns
/// one may decide.
pub(crate) fn tell_ignored(report: &Report, ignored: &[Ignored]) {
    let cgroups: Vec<&[Ignored]> = ignored.chunk_by(|a, b| a.cgroup == b.cgroup).collect();
    for all in cgroups.iter().take(NAMED) {
        match all {
            [Ignored { cgroup, label, why }] => {
                report.insist(format_args!("the label `{label}` on {cgroup} is ignored: {why}"));
            }
            [Ignored { cgroup, .. }, ..] => {
                let each: Vec<String> =
                    all.iter().map(|one| format!("`{}`: {}", one.label, one.why)).collect();
                report.insist(format_args!("labels on {cgroup} are ignored: {}", each.join("; ")));
            }
            [] => {}
        }
    }
    if let Some(more) = cgroups.len().checked_sub(NAMED).filter(|more| *more > 0) {
        report
            .insist(format_args!("labels on {more} more cgroups are ignored; `--format json` has them all"));
    }
}

pub(crate) fn ignored_json(ignored: &[Ignored]) -> Value {
    let all = ignored.iter().map(|one| json!({ "cgroup": one.cgroup, "label": one.label, "why": one.why }));
    Value::Array(all.collect())
}
