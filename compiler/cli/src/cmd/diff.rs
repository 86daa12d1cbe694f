//! `oomc diff A.oom B.oom --snapshot S.json [--cgroup PATH] [--oom PATH|--system] [--set P=V]`

use std::collections::BTreeSet;

use oomc_forecast::compare::{Side, compare, places};
use oomc_forecast::{Inputs, Suite};
use oomc_runtime::Assignment;
use oomc_sim::machine::{CgroupIndex, ROOT};
use serde_json::{Value, json};

use crate::args::Diff;
use crate::cmd::{settings, snapshot};
use crate::exit::{Exit, Failure, Outcome};
use crate::policy::{self, Unready};
use crate::report::Report;
use crate::settings::one_kernel;

pub(crate) fn run(report: &Report, args: &Diff) -> Outcome {
    let inputs = snapshot::recorded(&args.snapshot)?;
    let top = args.cgroup.as_deref().unwrap_or(&inputs.top);
    let at = inputs.find(top)?;
    let places = match (&args.oom, args.system) {
        (Some(path), _) => vec![inputs.find(path)?],
        (None, true) => vec![ROOT],
        (None, false) => places(&inputs.machine, at),
    };
    let refused = |unready: Unready| {
        report.result("diff", unready.exit, json!({ "diagnostics": unready.diagnostics }));
        Ok(unready.exit)
    };
    let mut found = Vec::new();
    for file in [&args.before, &args.after] {
        match crate::settings::of(report, file, false)? {
            Ok(settings) => found.push((file.as_path(), settings)),
            Err(unready) => return refused(unready),
        }
    }
    let each = found.iter().map(|(file, settings)| (*file, settings));
    let view = one_kernel(each, &args.kernel)?.with_page_size(inputs.machine.page);
    let kernel = oomc_forecast::kernel(&view)?;
    let as_written: &[Assignment] = &[];
    let (mut sides, mut remarks) = (Vec::new(), BTreeSet::new());
    for ((file, found), set) in found.iter().zip([as_written, &args.set]) {
        match policy::suite(report, file, &kernel, &found.settings, false)? {
            Ok(suite) => {
                let (side, of_labels) = side(suite, &inputs, at, set)?;
                sides.push(side);
                remarks.extend(of_labels);
            }
            Err(unready) => return refused(unready),
        }
    }
    for remark in &remarks {
        report.warn(remark);
    }
    let [before, after] = sides.as_slice() else { return Ok(Exit::Errors) };
    let compared = compare(&kernel, &inputs.machine, at, &places, [before, after])?;
    let mut all: Vec<Value> = Vec::new();
    for difference in &compared.differences {
        let [of_before, of_after] = &difference.texts;
        report.remark(format_args!("when {} runs out of memory", difference.cgroup));
        report.remark(format_args!("    {}: {of_before}", before.name));
        report.remark(format_args!("    {}: {of_after}", after.name));
        all.push(json!({ "cgroup": difference.cgroup, "before": of_before, "after": of_after }));
    }
    let mut not_known: Vec<Value> = Vec::new();
    for one in &compared.not_known {
        report.remark(format_args!("when {} runs out of memory: not known: {}", one.cgroup, one.why));
        not_known.push(json!({ "cgroup": one.cgroup, "why": one.why }));
    }
    report.line(summary(all.len(), not_known.len(), places.len()));
    let alike = all.is_empty() && not_known.is_empty();
    let exit = if alike { Exit::Ok } else { Exit::Errors };
    let fields = json!({
        "places": places.len(), "differences": all, "not_known": not_known, "remarks": remarks,
    });
    report.result("diff", exit, fields);
    Ok(exit)
}

/// How many of the places are decided how.
fn summary(different: usize, not_known: usize, places: usize) -> String {
    let mut text = match (different, places - not_known) {
        (0, 0) => return "whether they decide alike is not known".to_owned(),
        (0, 1) => "both decide alike".to_owned(),
        (0, all) => format!("both decide alike at all {all} places"),
        (some, all) => format!("they decide differently at {some} of {all} places"),
    };
    if not_known > 0 {
        text += &format!("; {not_known} more are not known");
    }
    text
}

/// A policy on its side of the comparison, with some params set; and remarks on labels.
fn side<'k>(
    suite: Suite<'k>,
    inputs: &Inputs,
    at: CgroupIndex,
    set: &[Assignment],
) -> Result<(Side<'k>, Vec<String>), Failure> {
    let wanted = settings(&suite.policy.declared, set, None)?;
    let (mut side, remarks) = Side::new(suite, inputs, at, &wanted);
    if !set.is_empty() {
        let set: Vec<String> = set.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
        side.name = format!("{} with {}", side.name, set.join(", "));
    }
    Ok((side, remarks))
}
