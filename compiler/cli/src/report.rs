//! Printing: text for people, or JSON for programs.
//!
//! Results go to standard output, diagnostics for people to standard error. The only place that draws.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use miette::{GraphicalReportHandler, GraphicalTheme, NamedSource, ThemeCharacters, ThemeStyles};
use oomc_compiler::Source;
use oomc_compiler::diag::{Diagnostic, Severity};
use serde_json::{Value, json};

use crate::args::{Args, Color, Format};
use crate::exit::{Exit, Failure};

/// Version of the JSON that is printed. It grows when a field changes its meaning or goes.
const SCHEMA: u32 = 1;

/// How and what to print.
#[derive(Debug)]
pub(crate) struct Report {
    format: Format,
    color: bool,
    quiet: bool,
    verbose: bool,
    /// The first error of writing results; reported at the end.
    error: RefCell<Option<io::Error>>,
}

impl Report {
    pub(crate) fn new(args: &Args) -> Self {
        let color = match args.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        };
        let Args { format, quiet, verbose, .. } = *args;
        Self { format, color, quiet, verbose, error: RefCell::new(None) }
    }

    pub(crate) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether nobody waits at a terminal for more than the result.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet || self.json()
    }

    /// Whether GitHub's checks read along.
    fn github(&self) -> bool {
        self.format == Format::Github
    }

    /// Something that is wrong with a line of a file, for whoever checks a change.
    pub(crate) fn annotate(&self, severity: Severity, file: &str, line: u32, title: &str, message: &str) {
        if !self.github() {
            return;
        }
        let level = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // As the workflow commands want their values and properties.
        let value = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
        let property = |text: &str| value(text).replace(':', "%3A").replace(',', "%2C");
        let (file, title) = (property(file), property(title));
        self.write(&format!("::{level} file={file},line={line},title={title}::{}\n", value(message)));
    }

    /// A line of the result, for people.
    pub(crate) fn line(&self, text: impl fmt::Display) {
        if !self.json() && !self.quiet {
            self.write(&format!("{text}\n"));
        }
    }

    /// A line that only those want who ask for more.
    pub(crate) fn detail(&self, text: impl fmt::Display) {
        if self.verbose {
            self.line(text);
        }
    }

    /// A text that is the result itself, whatever is asked for.
    pub(crate) fn text(&self, text: &str) {
        self.write(text);
    }

    /// A remark to people about what was done.
    pub(crate) fn warn(&self, text: impl fmt::Display) {
        if !self.json() && !self.quiet {
            complain(&format!("warning: {text}\n"));
        }
    }

    /// A remark that people get even if they asked for errors only.
    pub(crate) fn insist(&self, text: impl fmt::Display) {
        if !self.json() {
            complain(&format!("warning: {text}\n"));
        }
    }

    /// The result, for programs. Does nothing for people.
    pub(crate) fn result(&self, command: &str, exit: Exit, mut result: Value) {
        if !self.json() {
            return;
        }
        if let Value::Object(fields) = &mut result {
            fields.insert("schema".to_owned(), json!(SCHEMA));
            fields.insert("command".to_owned(), json!(command));
            fields.insert("exit".to_owned(), json!(exit.name()));
        }
        self.write(&format!("{result}\n"));
    }

    /// What ended a command.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json() {
            let Failure { exit, message, help } = failure;
            let error = json!({ "message": message, "help": help });
            let line = json!({ "schema": SCHEMA, "exit": exit.name(), "error": error });
            self.write(&format!("{line}\n"));
            return;
        }
        complain(&format!("error: {}\n", failure.message));
        if let Some(help) = &failure.help {
            complain(&format!("help: {help}\n"));
        }
    }

    /// Draws diagnostics for people.
    pub(crate) fn diagnostics(&self, source: &Source, diagnostics: &[Diagnostic]) {
        if self.json() {
            return;
        }
        let theme = GraphicalTheme {
            // A file or a program may not know what to do with more.
            characters: if io::stderr().is_terminal() {
                ThemeCharacters::unicode()
            } else {
                ThemeCharacters::ascii()
            },
            styles: if self.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
        let text = NamedSource::new(source.name.as_str(), source.text.clone());
        for diagnostic in diagnostics {
            let line = diagnostic.labels.first().map_or(1, |label| source.line_column(label.span.start).0);
            self.annotate(diagnostic.severity, &source.name, line, diagnostic.code.id(), &diagnostic.message);
            if self.quiet && diagnostic.severity != Severity::Error {
                continue;
            }
            let drawn = Drawn { diagnostic, source: (!diagnostic.labels.is_empty()).then_some(&text) };
            let mut out = String::new();
            if stands_on_a_long_line(source, diagnostic) || handler.render_report(&mut out, &drawn).is_err() {
                out = plain(source, diagnostic);
            }
            complain(&out);
        }
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

/// To standard error. When that fails too there is nobody left to tell.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A diagnostic with the text that its marks are on.
#[derive(Debug)]
struct Drawn<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<&'a NamedSource<String>>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.diagnostic.fmt(f)
    }
}

impl std::error::Error for Drawn<'_> {}

impl miette::Diagnostic for Drawn<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::code(self.diagnostic)
    }

    fn severity(&self) -> Option<miette::Severity> {
        miette::Diagnostic::severity(self.diagnostic)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        miette::Diagnostic::help(self.diagnostic)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        miette::Diagnostic::labels(self.diagnostic)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.source.map(|source| source as &dyn miette::SourceCode)
    }
}

/// Diagnostics for programs. Offsets count bytes from 0; lines, and columns in bytes, count from 1.
pub(crate) fn diagnostics_json(source: &Source, diagnostics: &[Diagnostic]) -> Vec<Value> {
    let one = |diagnostic: &Diagnostic| {
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
            "fixes": crate::cmd::fix::json(diagnostic),
        })
    };
    diagnostics.iter().map(one).collect()
}

/// The largest file that is read. No policy and no object comes near.
const MAX_FILE: u64 = 64 << 20;

/// Reads a policy or an object.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot read {}: {}", path.display(), reason(&error)));
    let file = File::open(path).map_err(failed)?;
    read_from(file, path)
}

/// Reads what is named so.
pub(crate) fn read_from(from: impl io::Read, path: &Path) -> Result<Vec<u8>, Failure> {
    let failed =
        |error: io::Error| Failure::refused(format!("cannot read {}: {}", path.display(), reason(&error)));
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        let size = MAX_FILE >> 20;
        return Err(Failure::refused(format!(
            "{} is larger than {size} MiB: this is no policy",
            path.display()
        )));
    }
    Ok(bytes)
}

/// An error of the system without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_lowercase()
}

/// As [`std::path::Path::with_extension`], but for names only.
pub(crate) fn object_path(policy: &Path) -> PathBuf {
    policy.with_extension("o")
}
