//! `oomc set --cgroup PATH NAME=VALUE…`

use oomc_abi::amount::exact;
use oomc_compiler::value;
use oomc_runtime::System;
use oomc_runtime::config::{self, Change};
use serde_json::{Value, json};

use crate::args::Set;
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Set) -> Outcome {
    let waits = waiting(report);
    let changed =
        config::set(&System::running().telling(&waits), &args.one.target(), &args.params, &value::read)?;
    for Change { param, from, to } in &changed.what {
        let (from, to) = (exact(param.unit, *from), exact(param.unit, *to));
        report.remark(format_args!(
            "{}: {}: {} = {to}, was {from}",
            changed.cgroup, changed.policy, param.name
        ));
    }
    let params = changed.what.iter().map(|change| {
        let Change { param, from, to } = change;
        json!({ "name": param.name, "from": from, "to": to, "least": param.least, "most": param.most })
    });
    let params: Vec<Value> = params.collect();
    let result = json!({ "cgroup": changed.cgroup, "policy": changed.policy, "params": params });
    report.result("set", Exit::Ok, result);
    Ok(Exit::Ok)
}
