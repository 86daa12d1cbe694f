//! `oomc doctor`

use std::path::Path;

use oomc_runtime::doctor::{Grade, examine};
use serde_json::{Value, json};

use crate::args::Doctor;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

pub(crate) fn run(report: &Report, args: &Doctor) -> Outcome {
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    let findings = examine(root, args.kernel.btf.as_deref());
    for one in &findings {
        let text = format!("{:<8} {}: {}", one.grade.name(), one.topic, one.found);
        // Thirty functions that are there tell nobody anything.
        if one.grade == Grade::Good {
            report.detail(text)
        } else {
            report.line(text)
        }
        if let Some(todo) = &one.todo {
            report.line(format_args!("{:<8} -> {todo}", ""));
        }
    }
    let bad = findings.iter().filter(|one| one.grade == Grade::Bad).count();
    let exit = if bad == 0 { Exit::Ok } else { Exit::Missing };
    report.line(match bad {
        0 => "policies can be loaded here".to_owned(),
        1 => "1 finding keeps policies from being loaded or asked here".to_owned(),
        _ => format!("{bad} findings keep policies from being loaded or asked here"),
    });
    report.remark("`check`, `test`, `sim` and `build` work here in any case");
    let all: Vec<Value> = findings
        .iter()
        .map(|one| {
            json!({ "topic": one.topic, "grade": one.grade.name(), "found": one.found, "todo": one.todo })
        })
        .collect();
    report.result("doctor", exit, json!({ "findings": all }));
    Ok(exit)
}
