//! `oomc tidy`

use oomc_runtime::System;
use serde_json::json;

use crate::cmd::status::{gone_json, left_json, tell_left, tell_removed};
use crate::cmd::waiting;
use crate::exit::Outcome;
use crate::report::Report;

pub(crate) fn run(report: &Report) -> Outcome {
    let waits = waiting(report);
    let tidied = oomc_runtime::tidy(&System::running().telling(&waits))?;
    tell_removed(report, &tidied.gone);
    for place in &tidied.leftovers {
        report.line(format_args!("{}: left by a command that was killed; removed", place.display()));
    }
    if tidied.gone.is_empty() && tidied.leftovers.is_empty() {
        report.line("there was nothing to remove");
    }
    let exit = tell_left(report, &tidied.left);
    let leftovers: Vec<String> = tidied.leftovers.iter().map(|place| place.display().to_string()).collect();
    let result = json!({
        "gone": gone_json(&tidied.gone),
        "leftovers": leftovers,
        "left": left_json(&tidied.left),
    });
    report.result("tidy", exit, result);
    Ok(exit)
}
