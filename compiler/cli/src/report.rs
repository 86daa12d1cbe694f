//! Printing: text for people, or a document for programs.
//!
//! Results go to standard output, diagnostics for people to standard error. The only place that prints. Nothing that
//! stands in a file reaches a terminal as a control character.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use oomc_compiler::Source;
use oomc_compiler::diag::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::args::{Args, Format};
use crate::draw::{draw, place, word};
use crate::exit::{Exit, Failure};
use crate::sarif;
use crate::screen::{Screen, harmless, harmless_json};

/// Version of the JSON that is printed. It grows when a field changes its meaning or goes.
pub(crate) const SCHEMA: u32 = 1;

/// How and what to print.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    screen: Screen,
    quiet: bool,
    verbose: bool,
    command: &'static str,
    /// A file that is written goes to standard output, and nothing else does.
    taken: bool,
    /// What a document in SARIF will hold.
    sarif: RefCell<sarif::Log>,
    /// The first error of writing results; reported at the end.
    error: RefCell<Option<io::Error>>,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Self {
        let Args { format, quiet, verbose, .. } = *args;
        Self {
            format,
            screen: Screen::new(args.color),
            quiet,
            verbose,
            command: args.command.name(),
            taken: args.command.outputs_to_stdout() > 0,
            sarif: RefCell::default(),
            error: RefCell::default(),
        }
    }

    pub(crate) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// A program reads one document.
    fn for_programs(&self) -> bool {
        matches!(self.format, Format::Json | Format::Sarif)
    }

    /// Whether nobody waits at a terminal for more than the result.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.for_programs()
    }

    /// Whether GitHub's checks read along.
    fn github(&self) -> bool {
        self.format == Format::Github
    }

    /// Something that is wrong with a line of a file, for whoever checks a change.
    pub(crate) fn annotate(&self, severity: Severity, file: &str, line: u32, title: &str, message: &str) {
        if self.github() {
            self.annotation(severity, file, &[("line", line)], title, message);
        }
    }

    fn annotation(&self, severity: Severity, file: &str, at: &[(&str, u32)], title: &str, message: &str) {
        // As the workflow commands want their values and properties.
        let value = |text: &str| {
            let text = text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            harmless(&text, false).into_owned()
        };
        let property = |text: &str| value(text).replace(':', "%3A").replace(',', "%2C");
        let (file, title) = (property(file), property(title));
        let at: String = at.iter().map(|(name, number)| format!(",{name}={number}")).collect();
        let (level, message) = (word(severity), value(message));
        self.write(&format!("::{level} file={file}{at},title={title}::{message}\n"));
    }

    /// A diagnostic for GitHub's checks, with its help.
    fn annotate_diagnostic(&self, source: &Source, diagnostic: &Diagnostic) {
        let mut message = diagnostic.message.to_string();
        if let Some(label) = diagnostic.labels.first() {
            message.push_str(&format!("\n{}", label.text));
        }
        if let Some(help) = &diagnostic.help {
            message.push_str(&format!("\nhelp: {help}"));
        }
        for note in &diagnostic.notes {
            message.push_str(&format!("\nnote: {note}"));
        }
        let (severity, code) = (diagnostic.severity, diagnostic.code.id());
        let Some(span) = diagnostic.span() else {
            return self.annotation(severity, &source.name, &[("line", 1)], code, &message);
        };
        let ((line, column), (end_line, end_column)) = (place(source, span.start), place(source, span.end));
        // Columns mean something only inside of one line.
        let at = match line == end_line {
            true => vec![("line", line), ("endLine", end_line), ("col", column), ("endColumn", end_column)],
            false => vec![("line", line), ("endLine", end_line)],
        };
        self.annotation(severity, &source.name, &at, code, &message);
    }

    /// A line of the answer, for people.
    pub(crate) fn line(&self, text: impl fmt::Display) {
        if !self.for_programs() && !self.taken {
            self.write(&format!("{}\n", harmless(&text.to_string(), false)));
        }
    }

    /// A line that goes with the answer: left out for those who want nothing else.
    pub(crate) fn remark(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.line(text);
        }
    }

    /// An answer whose first line says it, and what goes with it.
    pub(crate) fn answer(&self, lines: impl IntoIterator<Item = impl fmt::Display>) {
        for (at, line) in lines.into_iter().enumerate() {
            if at == 0 { self.line(line) } else { self.remark(line) }
        }
    }

    /// A line that only those want who ask for more.
    pub(crate) fn detail(&self, text: impl fmt::Display) {
        if self.verbose {
            self.line(text);
        }
    }

    /// A text that is the result itself, whatever is asked for. A file gets it as it is.
    pub(crate) fn text(&self, text: &str) {
        if io::stdout().is_terminal() {
            self.write(&harmless(text, true));
        } else {
            self.write(text);
        }
    }

    /// A remark to people about what was done.
    pub(crate) fn warn(&self, text: impl fmt::Display) {
        if !self.quiet {
            self.insist(text);
        }
    }

    /// A remark that people get even if they asked for errors only.
    pub(crate) fn insist(&self, text: impl fmt::Display) {
        if !self.for_programs() {
            self.complain("warning", &harmless(&text.to_string(), false));
        }
    }

    /// The result, for programs. Does nothing for people.
    pub(crate) fn result(&self, command: &str, exit: Exit, mut result: Value) {
        if self.format == Format::Sarif {
            return self.write_document(&self.sarif.borrow_mut().document());
        }
        if !self.json() {
            return;
        }
        if let Value::Object(fields) = &mut result {
            fields.insert("schema".to_owned(), json!(SCHEMA));
            fields.insert("command".to_owned(), json!(command));
            fields.insert("exit".to_owned(), json!(exit.name()));
        }
        self.write_document(&result);
    }

    /// What ended a command.
    pub(crate) fn failure(&self, failure: &Failure) {
        match self.format {
            Format::Json => self.write_document(&failure_json(self.command, failure)),
            Format::Sarif => {
                self.unreadable(failure);
                self.write_document(&self.sarif.borrow_mut().document());
            }
            Format::Human | Format::Github => self.say(failure),
        }
    }

    /// What kept one of several files from being looked at; the result for programs has it.
    pub(crate) fn unreadable(&self, failure: &Failure) {
        match self.format {
            Format::Json => {}
            Format::Sarif => self.sarif.borrow_mut().fail(&failure.message),
            Format::Human | Format::Github => self.say(failure),
        }
    }

    fn say(&self, failure: &Failure) {
        match failure.lines {
            true => self.complain("error", &failure.message),
            false => self.complain("error", &harmless(&failure.message, false)),
        }
        if let Some(help) = &failure.help {
            self.complain("help", help);
        }
    }

    /// Draws diagnostics for people, or takes them for a document.
    pub(crate) fn diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) {
        match self.format {
            Format::Json => return,
            Format::Sarif => return self.sarif.borrow_mut().add(source, diagnostics),
            Format::Human | Format::Github => {}
        }
        for diagnostic in diagnostics {
            if self.github() {
                self.annotate_diagnostic(source, diagnostic);
            }
            if !self.quiet || diagnostic.severity == Severity::Error {
                to_stderr(&draw(source, diagnostic, self.screen));
            }
        }
    }

    /// A sentence to standard error, broken to the terminal.
    fn complain(&self, word: &str, text: &str) {
        let mut all = String::new();
        let indent = word.len() + 2;
        let mut head = format!("{word}: ");
        for part in text.split('\n') {
            let part = self.screen.line(part).into_owned();
            for line in self.screen.wrap(&part, indent) {
                all.push_str(&format!("{head}{line}\n"));
                head = " ".repeat(if self.screen.columns.is_some() { indent } else { 0 });
            }
        }
        to_stderr(&all);
    }

    fn write_document(&self, document: &Value) {
        self.write(&format!("{}\n", harmless_json(document)));
    }

    fn write(&self, text: &str) {
        let mut error = self.error.borrow_mut();
        if error.is_none()
            && let Err(new) = io::stdout().lock().write_all(text.as_bytes())
        {
            *error = Some(new);
        }
    }

    /// Writes out what was printed so far.
    ///
    /// # Errors
    /// If it could not be written, or nobody wants to read it any more.
    pub(crate) fn flush(&self) -> io::Result<()> {
        match &*self.error.borrow() {
            Some(error) => Err(error.kind().into()),
            None => io::stdout().lock().flush(),
        }
    }

    /// Writes out what is left.
    ///
    /// # Errors
    /// If results could not be written, unless nobody wants to read them any more.
    pub(crate) fn finish(&self) -> io::Result<()> {
        let result = match self.error.take() {
            Some(error) => Err(error),
            None => io::stdout().lock().flush(),
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result,
        }
    }
}

/// What ended a command, for programs; `null` instead of a command that is none.
pub(crate) fn failure_json(command: impl Into<Value>, failure: &Failure) -> Value {
    let Failure { exit, message, help, lines: _ } = failure;
    let error = json!({ "message": message, "help": help });
    json!({ "schema": SCHEMA, "command": command.into(), "exit": exit.name(), "error": error })
}

/// To standard error. When that fails too there is nobody left to tell.
pub(crate) fn to_stderr(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// To standard output, before there is anything that could be asked whether that worked.
pub(crate) fn to_stdout(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Diagnostics for programs. Offsets count bytes from 0; lines, and columns in characters, count from 1.
pub(crate) fn diagnostics_json(source: &Source, diagnostics: &[Diagnostic]) -> Vec<Value> {
    let one = |diagnostic: &Diagnostic| {
        let labels: Vec<Value> = diagnostic
            .labels
            .iter()
            .map(|label| {
                let (line, column) = place(source, label.span.start);
                let (end_line, end_column) = place(source, label.span.end);
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
            "severity": word(diagnostic.severity),
            "message": diagnostic.message,
            "labels": labels,
            "help": diagnostic.help,
            "notes": diagnostic.notes,
            "fixes": crate::cmd::fix::json(diagnostic),
        })
    };
    diagnostics.iter().map(one).collect()
}
