//! Diagnostics in SARIF 2.1.0, which services that look at changes read.
//!
//! Takes diagnostics with their texts, gives one document. Columns count Unicode code points from 1.

use std::collections::BTreeMap;

use oomc_compiler::Source;
use oomc_compiler::diag::{Code, Diagnostic, Fix, Severity};
use oomc_compiler::source::Span;
use serde_json::{Value, json};

use crate::draw::place;

/// What SARIF calls the two severities.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// What was found in all files of one command.
#[derive(Debug, Default)]
pub(crate) struct Log {
    results: Vec<(Code, Value)>,
    /// What could not be looked at.
    failures: Vec<Value>,
}

impl Log {
    /// Takes what was found in one file.
    pub(crate) fn add(&mut self, source: &Source, diagnostics: &[Diagnostic]) {
        self.results.extend(diagnostics.iter().map(|one| (one.code, result(source, one))));
    }

    /// Takes why something was not looked at.
    pub(crate) fn fail(&mut self, text: &str) {
        self.failures.push(json!({ "level": "error", "message": { "text": text } }));
    }

    /// The document.
    pub(crate) fn document(&mut self) -> Value {
        let results = std::mem::take(&mut self.results);
        let failures = std::mem::take(&mut self.failures);
        let codes: BTreeMap<&str, Code> = results.iter().map(|(code, _)| (code.id(), *code)).collect();
        let rules: Vec<Value> = codes.values().map(|code| rule(*code)).collect();
        let numbered = results.into_iter().map(|(code, mut result)| {
            let index = codes.keys().position(|id| *id == code.id());
            if let Value::Object(fields) = &mut result {
                fields.insert("ruleIndex".to_owned(), json!(index));
            }
            result
        });
        let numbered: Vec<Value> = numbered.collect();
        json!({
            "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": "oomc",
                    "version": env!("CARGO_PKG_VERSION"),
                    "informationUri": env!("CARGO_PKG_REPOSITORY"),
                    "rules": rules,
                } },
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": failures.is_empty(),
                    "toolExecutionNotifications": failures,
                }],
                "results": numbered,
            }],
        })
    }
}

/// A code as a rule.
fn rule(code: Code) -> Value {
    let page = code.page();
    let title = page.lines().next().unwrap_or_default();
    let title = title.trim_start_matches("# ").trim_start_matches(code.id()).trim_start_matches(": ");
    json!({
        "id": code.id(),
        "name": code.name(),
        "shortDescription": { "text": title },
        "help": { "text": page, "markdown": page },
        "defaultConfiguration": { "level": level(code.severity()) },
    })
}

fn result(source: &Source, diagnostic: &Diagnostic) -> Value {
    let mut text = diagnostic.message.to_string();
    if let Some(label) = diagnostic.labels.first() {
        text.push_str(&format!("\n{}", label.text));
    }
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("\nhelp: {help}"));
    }
    for note in &diagnostic.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    let fixes: Vec<Value> = diagnostic.fixes.iter().map(|one| fix(source, one)).collect();
    let related = diagnostic.labels.iter().skip(1).map(|label| {
        let mut location = location(source, Some(label.span));
        if let Value::Object(fields) = &mut location {
            fields.insert("message".to_owned(), json!({ "text": label.text }));
        }
        location
    });
    json!({
        "ruleId": diagnostic.code.id(),
        "level": level(diagnostic.severity),
        "message": { "text": text },
        "locations": [location(source, diagnostic.span())],
        "relatedLocations": related.collect::<Vec<Value>>(),
        "fixes": fixes,
    })
}

/// What may be written instead. SARIF has no word for how certain that is: `certain` stands among its properties.
fn fix(source: &Source, fix: &Fix) -> Value {
    let replacements = fix.edits.iter().map(|edit| {
        json!({ "deletedRegion": region(source, edit.span), "insertedContent": { "text": edit.text } })
    });
    let replacements: Vec<Value> = replacements.collect();
    json!({
        "description": { "text": fix.title },
        "artifactChanges": [{ "artifactLocation": artifact(source), "replacements": replacements }],
        "properties": { "certain": fix.certain },
    })
}

fn location(source: &Source, span: Option<Span>) -> Value {
    let mut physical = json!({ "artifactLocation": artifact(source) });
    if let (Some(span), Value::Object(fields)) = (span, &mut physical) {
        fields.insert("region".to_owned(), region(source, span));
    }
    json!({ "physicalLocation": physical })
}

/// A file by its path, as a URI wants it.
fn artifact(source: &Source) -> Value {
    let mut uri = String::new();
    for byte in source.name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(byte))
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    json!({ "uri": uri })
}

/// A span of the text.
fn region(source: &Source, span: Span) -> Value {
    let (line, column) = place(source, span.start);
    let (end_line, end_column) = place(source, span.end);
    json!({ "startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column })
}
