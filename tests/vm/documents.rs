//! The documents of JSON that commands print in the machine hold to the schemas in the book.
//!
//! Takes the reports of the cases: whatever a step printed and begins with `{`. Snapshots have a schema of their own, which
//! the reader of snapshots checks.

use std::collections::{BTreeMap, BTreeSet};

use libtest_mimic::Failed;
use oomc_tests::{read, root};
use oomc_vm::report::Report;
use serde_json::Value;

/// The test's name.
pub(crate) const NAME: &str = "documents_hold_to_their_schemas";

/// Case whose steps print a document of each command that asks an attached policy.
pub(crate) const CASE: &str = "documents_of_an_attached_policy";

/// The commands that it runs.
const COMMANDS: [&str; 10] =
    ["status", "events", "why", "metrics", "doctor", "tidy", "set", "mode", "label", "unload"];

/// The documents that commands have printed, in order.
pub(crate) fn printed(steps: &[String]) -> Vec<Value> {
    let lines: Vec<&str> = steps.iter().filter_map(|step| step.trim_start().strip_prefix("| ")).collect();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(from) = lines.get(at..).and_then(|rest| rest.iter().position(|line| line.starts_with('{')))
    {
        let text = lines.get(at + from..).unwrap_or_default().join("\n");
        let mut stream = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
        match stream.next() {
            Some(Ok(document)) => {
                let read = text.get(..stream.byte_offset()).unwrap_or_default().lines().count().max(1);
                found.push(document);
                at += from + read;
            }
            _ => at += from + 1,
        }
    }
    found
}

/// Judges the documents of one case.
pub(crate) fn judge(report: impl Fn(&str) -> Result<Report, Failed>) -> Result<(), Failed> {
    let schema: Value = serde_json::from_str(&read(&root().join("book/src/json/oomc.schema.json")))
        .map_err(|error| Failed::from(error.to_string()))?;
    let (mut problems, mut seen, mut validators) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for document in printed(&report(CASE)?.steps) {
        let Some(command) = document.get("command").and_then(Value::as_str) else { continue };
        let part = if document.get("error").is_some() { "failure" } else { command };
        let validator = match validators.get(part) {
            Some(validator) => validator,
            None => {
                let mut of = schema.clone();
                if let Some(parts) = of.as_object_mut() {
                    parts.remove("anyOf");
                    parts.insert("$ref".to_owned(), format!("#/$defs/{part}").into());
                }
                let made = jsonschema::validator_for(&of).map_err(|error| Failed::from(error.to_string()))?;
                validators.entry(part.to_owned()).or_insert(made)
            }
        };
        for error in validator.iter_errors(&document) {
            problems.push(format!("{part}: {}: {error}\n    {document}", error.instance_path()));
        }
        if part == command {
            seen.insert(command.to_owned());
        }
    }
    problems.extend(
        COMMANDS
            .iter()
            .filter(|command| !seen.contains(**command))
            .map(|command| format!("`{command}` printed no document")),
    );
    if problems.is_empty() { Ok(()) } else { Err(Failed::from(problems.join("\n"))) }
}
