//! What a command says: diagnostics and results, for a reader or as JSON.
//!
//! The only place that renders. Diagnostics for a reader go to standard error, results to standard output;
//! JSON is one document on standard output, so that a program reads one stream.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, NamedSource, Report, ThemeCharacters, ThemeStyles};
use oomc_compiler::Source;
use oomc_compiler::diag::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::args::{Color, Format, Global};

/// Version of the JSON documents. A field may be added within a version; none changes its meaning.
const SCHEMA: u32 = 1;

/// Says things as the options ask.
#[derive(Debug)]
pub(crate) struct Reporter {
    format: Format,
    quiet: bool,
    color: bool,
}

impl Reporter {
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::env::var_os("NO_COLOR").is_none() && io::stderr().is_terminal(),
        };
        Self { format: global.format, quiet: global.quiet, color }
    }

    /// What was asked for.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The command ended: gives the whole result. `fields` are the command's own.
    pub(crate) fn result(&self, command: &str, fields: Value) {
        if self.format == Format::Json {
            let mut document = json!({ "schema": SCHEMA, "command": command });
            if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), fields) {
                document.extend(fields);
            }
            self.out(&document.to_string());
        }
    }

    /// A failure of the outside world.
    pub(crate) fn failure(&self, command: &str, message: &str) {
        if self.format == Format::Json {
            self.result(command, json!({ "error": message }));
        } else {
            self.err(&format!("oomc: {message}\n"));
        }
    }

    /// A sentence for a reader.
    pub(crate) fn say(&self, sentence: &str) {
        if self.format == Format::Human && !self.quiet {
            self.out(sentence);
        }
    }

    /// Text that was asked for: a page, a dump.
    pub(crate) fn text(&self, text: &str) {
        self.out(text.trim_end());
    }

    /// Diagnostics of one policy, for a reader.
    pub(crate) fn diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) {
        if self.format == Format::Json {
            return;
        }
        let theme = GraphicalTheme {
            characters: if io::stderr().is_terminal() {
                ThemeCharacters::unicode()
            } else {
                ThemeCharacters::ascii()
            },
            styles: if self.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        let named = Arc::new(NamedSource::new(source.name.clone(), source.text.clone()));
        for diagnostic in diagnostics {
            if self.quiet && diagnostic.severity != Severity::Error {
                continue;
            }
            let mut text = String::new();
            let report = Report::new(diagnostic.clone()).with_source_code(Arc::clone(&named));
            if stands_on_a_long_line(source, diagnostic)
                || handler.render_report(&mut text, report.as_ref()).is_err()
            {
                text = plain(source, diagnostic);
            }
            self.err(&text);
        }
    }

    /// A line on standard output. A reader that has gone away ends the program quietly, as any filter.
    fn out(&self, line: &str) {
        finish(writeln!(io::stdout().lock(), "{line}"));
    }

    fn err(&self, text: &str) {
        finish(io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// The longest line that is shown with its marks: a picture of a longer one helps nobody.
const LONG_LINE: usize = 1000;

fn stands_on_a_long_line(source: &Source, diagnostic: &Diagnostic) -> bool {
    diagnostic
        .labels
        .iter()
        .any(|label| source.line(source.line_column(label.span.start).0).len() > LONG_LINE)
}

/// A diagnostic without a picture.
fn plain(source: &Source, diagnostic: &Diagnostic) -> String {
    let mut text = format!("{}\n  {}\n", diagnostic.code.id(), diagnostic.message);
    for label in &diagnostic.labels {
        let (line, column) = source.line_column(label.span.start);
        text.push_str(&format!("  {}:{line}:{column}: {}\n", source.name, label.text));
    }
    if let Some(line) = &diagnostic.help {
        text.push_str(&format!("  help: {line}\n"));
    }
    for line in &diagnostic.notes {
        text.push_str(&format!("  note: {line}\n"));
    }
    text
}

fn finish(result: io::Result<()>) {
    if result.is_err() {
        std::process::exit(i32::from(crate::exit::Exit::Refused as u8));
    }
}

/// A diagnostic as JSON: positions in bytes from 0, lines and columns from 1.
pub(crate) fn diagnostic_json(source: &Source, diagnostic: &Diagnostic) -> Value {
    let labels: Vec<Value> = diagnostic
        .labels
        .iter()
        .map(|label| {
            let (line, column) = source.line_column(label.span.start);
            let (end_line, end_column) = source.line_column(label.span.end);
            json!({
                "start": label.span.start, "end": label.span.end,
                "line": line, "column": column, "end_line": end_line, "end_column": end_column,
                "text": label.text,
            })
        })
        .collect();
    json!({
        "file": source.name,
        "code": diagnostic.code.id(),
        "name": diagnostic.code.name(),
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": diagnostic.message,
        "labels": labels,
        "help": diagnostic.help,
        "notes": diagnostic.notes,
    })
}
