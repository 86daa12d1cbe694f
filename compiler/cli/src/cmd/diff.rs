//! `oomc diff A.oom B.oom --snapshot S.json [--cgroup PATH] [--oom PATH|--system] [--set P=V]`

use std::collections::BTreeSet;

use oomc_forecast::compare::{Side, compare, places};
use oomc_runtime::Assignment;
use oomc_sim::machine::ROOT;
use serde_json::{Value, json};

use crate::args::Diff;
use crate::cmd::{settings, snapshot, view};
use crate::exit::{Exit, Outcome};
use crate::policy;
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Diff) -> Outcome {
    let inputs = snapshot::recorded(&args.snapshot)?;
    let top = args.cgroup.as_deref().unwrap_or(&inputs.top);
    let at = inputs.find(top)?;
    let places = match (&args.oom, args.system) {
        (Some(path), _) => vec![inputs.find(path)?],
        (None, true) => vec![ROOT],
        (None, false) => places(&inputs.machine, at),
    };
    let kernel = oomc_forecast::kernel(&view(&args.kernel)?)?;
    let mut remarks = BTreeSet::new();
    let mut side = |file, set: &[Assignment]| {
        let suite = match policy::suite(report, file, &kernel, false)? {
            Ok(suite) => suite,
            Err(unready) => {
                report.result("diff", unready.exit, json!({ "diagnostics": unready.diagnostics }));
                return Ok(Err(unready.exit));
            }
        };
        let wanted = settings(&suite.policy.declared, set, None)?;
        let (mut side, of_labels) = Side::new(suite, &inputs, at, &wanted);
        remarks.extend(of_labels);
        if !set.is_empty() {
            let set: Vec<String> = set.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
            side.name = format!("{} with {}", side.name, set.join(", "));
        }
        Ok::<_, crate::exit::Failure>(Ok(side))
    };
    let before = match side(&args.before, &[])? {
        Ok(side) => side,
        Err(exit) => return Ok(exit),
    };
    let after = match side(&args.after, &args.set)? {
        Ok(side) => side,
        Err(exit) => return Ok(exit),
    };
    for remark in &remarks {
        report.warn(remark);
    }
    let sides = [before, after];
    let differences = compare(&kernel, &inputs.machine, at, &places, &sides)?;
    for difference in &differences {
        report.line(format_args!("when {} runs out of memory", difference.cgroup));
        for (side, text) in sides.iter().zip(&difference.texts) {
            report.line(format_args!("    {}: {text}", side.name));
        }
    }
    report.line(match (differences.len(), places.len()) {
        (0, 1) => "both decide alike".to_owned(),
        (0, all) => format!("both decide alike at all {all} places"),
        (some, all) => format!("they decide differently at {some} of {all} places"),
    });
    let exit = if differences.is_empty() { Exit::Ok } else { Exit::Errors };
    let differences = differences.into_iter().map(|difference| {
        let [before, after] = difference.texts;
        json!({ "cgroup": difference.cgroup, "before": before, "after": after })
    });
    let differences: Vec<Value> = differences.collect();
    let result = json!({ "places": places.len(), "differences": differences, "remarks": remarks });
    report.result("diff", exit, result);
    Ok(exit)
}
