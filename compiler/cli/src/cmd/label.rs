//! `oomc label CGROUP NAME=VALUE…`, `oomc label --refresh CGROUP`

use oomc_abi::amount::exact;
use oomc_compiler::value;
use oomc_runtime::labels::{self, Ignored, Put};
use oomc_runtime::{System, Target};
use serde_json::{Value, json};

use crate::args::Label;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Label) -> Outcome {
    let target = args.cgroup.clone().map_or(Target::System, Target::Cgroup);
    if args.refresh { refresh(report, &target) } else { put(report, &target, args) }
}

fn put(report: &Report, target: &Target, args: &Label) -> Outcome {
    let changed = labels::put(&System::running(), target, &args.labels, &value::read)?;
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
    let changed = labels::refresh(&System::running(), target, &value::read)?;
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

/// Attributes that count as not set: never silent.
pub(crate) fn tell_ignored(report: &Report, ignored: &[Ignored]) {
    for Ignored { cgroup, label, why } in ignored {
        report.insist(format_args!("the label `{label}` on {cgroup} is ignored: {why}"));
    }
}

pub(crate) fn ignored_json(ignored: &[Ignored]) -> Value {
    let all = ignored.iter().map(|one| json!({ "cgroup": one.cgroup, "label": one.label, "why": one.why }));
    Value::Array(all.collect())
}
