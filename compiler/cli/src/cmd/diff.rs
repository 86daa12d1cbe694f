//! `oomc diff A.oom B.oom --snapshot S.json [--cgroup PATH] [--oom PATH|--system] [--set P=V]`

use std::collections::BTreeSet;

use oomc_forecast::compare::{Side, compare, places};
use oomc_forecast::{Inputs, Suite};
use oomc_runtime::Assignment;
use oomc_sim::machine::{CgroupIndex, ROOT};
use serde_json::{Value, json};

use crate::args::Diff;
use crate::cmd::{settings, snapshot, view};
use crate::exit::{Exit, Failure, Outcome};
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
    let as_written: &[Assignment] = &[];
    let (mut sides, mut remarks) = (Vec::new(), BTreeSet::new());
    for (file, set) in [(&args.before, as_written), (&args.after, &args.set)] {
        match policy::suite(report, file, &kernel, false)? {
            Ok(suite) => {
                let (side, of_labels) = side(suite, &inputs, at, set)?;
                sides.push(side);
                remarks.extend(of_labels);
            }
            Err(unready) => {
                report.result("diff", unready.exit, json!({ "diagnostics": unready.diagnostics }));
                return Ok(unready.exit);
            }
        }
    }
    for remark in &remarks {
        report.warn(remark);
    }
    let [before, after] = sides.as_slice() else { return Ok(Exit::Errors) };
    let differences = compare(&kernel, &inputs.machine, at, &places, [before, after])?;
    let mut all: Vec<Value> = Vec::new();
    for difference in &differences {
        let [of_before, of_after] = &difference.texts;
        report.remark(format_args!("when {} runs out of memory", difference.cgroup));
        report.remark(format_args!("    {}: {of_before}", before.name));
        report.remark(format_args!("    {}: {of_after}", after.name));
        all.push(json!({ "cgroup": difference.cgroup, "before": of_before, "after": of_after }));
    }
    report.line(match (all.len(), places.len()) {
        (0, 1) => "both decide alike".to_owned(),
        (0, all) => format!("both decide alike at all {all} places"),
        (some, all) => format!("they decide differently at {some} of {all} places"),
    });
    let exit = if all.is_empty() { Exit::Ok } else { Exit::Errors };
    report.result("diff", exit, json!({ "places": places.len(), "differences": all, "remarks": remarks }));
    Ok(exit)
}

/// A policy on its side of the comparison, with some params set; and remarks on labels.
fn side(
    suite: Suite<'_>,
    inputs: &Inputs,
    at: CgroupIndex,
    set: &[Assignment],
) -> Result<(Side, Vec<String>), Failure> {
    let wanted = settings(&suite.policy.declared, set, None)?;
    let (mut side, remarks) = Side::new(suite, inputs, at, &wanted);
    if !set.is_empty() {
        let set: Vec<String> = set.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        side.name = format!("{} with {}", side.name, set.join(", "));
    }
    Ok((side, remarks))
}
