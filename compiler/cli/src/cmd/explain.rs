//! `oomc explain E0302`

use oomc_compiler::diag::{Code, Severity, suggest};
use serde_json::json;

use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, code: Option<&str>) -> Outcome {
    let Some(id) = code else { return list(report) };
    let Some(code) = Code::find(id) else {
        let known: Vec<&str> = Code::all().map(|code| code.id()).collect();
        let failure = Failure::new(Exit::Usage, format!("there is no code `{id}`"));
        let near = suggest::nearest(id, known.iter().copied());
        return Err(failure.help(near.map_or_else(
            || "`oomc explain` lists all codes".to_owned(),
            |near| format!("did you mean `{near}`? `oomc explain` lists all codes"),
        )));
    };
    if report.json() {
        report.result(
            "explain",
            Exit::Ok,
            json!({ "code": code.id(), "since": code.since(), "page": code.page() }),
        );
    } else {
        report.text(code.page());
    }
    Ok(Exit::Ok)
}

fn list(report: &Report) -> Outcome {
    let rows: Vec<_> = Code::all()
        .map(|code| {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let title = code.page().lines().next().unwrap_or_default();
            let title = title.trim_start_matches("# ").trim_start_matches(code.id()).trim_start_matches(": ");
            report.line(format_args!("{}  {title}", code.id()));
            json!({ "code": code.id(), "severity": severity, "since": code.since(), "title": title })
        })
        .collect();
    report.result("explain", Exit::Ok, json!({ "codes": rows }));
    Ok(Exit::Ok)
}
