//! What an author is told: diagnostics as data, and the registry of their codes.
//!
//! Owns [`Diagnostic`] and the [`Sink`] that collects them: one run shows all mistakes, not the first.
//! A constructor per code stands beside the stage that raises it. Knows nothing of rendering: the command
//! line draws what it finds here.

pub mod allow;
pub mod codes;
pub mod fix;
pub mod foreign;
pub mod suggest;

use core::fmt;

pub use codes::{Code, Severity};
pub use fix::Fix;
pub use suggest::Advice;

use crate::source::Span;

/// A mark on the policy's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The marked text.
    pub span: Span,
    /// What is wrong, or of interest, here.
    pub text: String,
}

/// One thing that an author is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its row in the registry.
    pub code: Code,
    /// Errors stop the build, warnings do not.
    pub severity: Severity,
    /// Lower case, no full stop, the author's text in backticks.
    pub message: Box<str>,
    /// Marks; the first is the primary one. Empty when the whole file is meant.
    pub labels: Vec<Label>,
    /// What to write instead.
    pub help: Option<Box<str>>,
    /// Why: most often the kernel's reason.
    pub notes: Vec<String>,
    /// What the help says, as data; the likeliest first.
    pub fixes: Vec<Fix>,
}

impl Diagnostic {
    /// A diagnostic with its code's severity and without marks.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            message: message.into().into_boxed_str(),
            labels: Vec::new(),
            help: None,
            notes: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// Adds a mark.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Says what to write instead.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into().into_boxed_str());
        self
    }

    /// Gives a reason.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Says what to write instead, as data.
    #[must_use]
    pub fn fix(mut self, fix: Fix) -> Self {
        self.fixes.push(fix);
        self
    }

    /// Says what to write instead, in words and as data.
    #[must_use]
    pub fn advice(self, advice: impl Into<Advice>) -> Self {
        let Advice { help, fixes } = advice.into();
        self.help(help).fixes(fixes)
    }

    /// Adds fixes, if there are any.
    #[must_use]
    pub fn fixes(mut self, fixes: impl IntoIterator<Item = Fix>) -> Self {
        self.fixes.extend(fixes);
        self
    }

    /// Where it stands: the first mark.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Diagnostic {}

/// Notes have no place of their own in miette: they stand below the help.
impl miette::Diagnostic for Diagnostic {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.code.id()))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let lines: Vec<String> = self
            .help
            .iter()
            .map(ToString::to_string)
            .chain(self.notes.iter().map(|note| format!("note: {note}")))
            .collect();
        if lines.is_empty() { None } else { Some(Box::new(lines.join("\n"))) }
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().enumerate().map(|(at, label)| {
            let span = label.span.range();
            let text = Some(label.text.clone());
            if at == 0 {
                miette::LabeledSpan::new_primary_with_span(text, span)
            } else {
                miette::LabeledSpan::new_with_span(text, span)
            }
        })))
    }
}

/// Errors after which no further ones are kept: nobody reads more, and a file of garbage holds millions.
pub const MAX_ERRORS: usize = 100;

/// Collects what the stages have to say.
#[derive(Clone, Debug, Default)]
pub struct Sink {
    diagnostics: Vec<Diagnostic>,
    /// How many it was given, kept or not.
    pushed: usize,
    errors: usize,
    dropped: bool,
    /// Warnings that the text acknowledges.
    allowed: Vec<allow::Allowed>,
}

impl Sink {
    /// Takes one. Errors beyond [`MAX_ERRORS`] are dropped, so are warnings beyond as many.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let error = diagnostic.severity == Severity::Error;
        let kept = if error { self.errors } else { self.diagnostics.len() - self.errors.min(MAX_ERRORS) };
        self.pushed += 1;
        if error {
            self.errors += 1;
        }
        if kept < MAX_ERRORS {
            self.diagnostics.push(diagnostic);
        } else if error {
            self.dropped = true;
        }
    }

    /// Leaves out what the comments of a text acknowledge; what is wrong with those is told.
    pub fn acknowledge(&mut self, source: &crate::source::Source) {
        let (allowed, wrong) = allow::read(source);
        self.allowed = allowed;
        wrong.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// An error was pushed.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// No further error is kept: a stage may stop looking for more, and say so by pushing one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.errors >= MAX_ERRORS
    }

    /// How many errors were pushed.
    #[must_use]
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// How many errors and warnings were pushed.
    pub(crate) fn pushed(&self) -> usize {
        self.pushed
    }

    /// All of them by position in the text; those about the whole file come first, a word on dropped
    /// errors last.
    #[must_use]
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.diagnostics = allow::apply(&self.allowed, self.diagnostics, !self.dropped);
        self.diagnostics.sort_by_key(|diagnostic| diagnostic.span().map(|span| (span.start, span.end)));
        if self.dropped {
            self.diagnostics.push(
                Diagnostic::new(codes::TOO_MANY_ERRORS, "there are more errors than these")
                    .help("repair the first ones and check again"),
            );
        }
        self.diagnostics
    }
}

const REPORT: &str = "this is a bug of oomc: please report it, together with the policy";

/// Two tables of the front end contradict each other.
#[must_use]
pub fn front_end_failed(text: &str) -> Diagnostic {
    Diagnostic::new(codes::FRONT_END_FAILED, "the front end contradicts itself").help(REPORT).note(text)
}

/// The IR broke its own rules.
#[must_use]
pub fn ir_invalid(text: &str) -> Diagnostic {
    Diagnostic::new(codes::IR_INVALID, "the compiler made an invalid program").help(REPORT).note(text)
}

/// Lowering found something that the plan or the tables should have made impossible.
#[must_use]
pub fn lowering_failed(text: &str) -> Diagnostic {
    Diagnostic::new(codes::LOWERING_FAILED, "the compiler could not follow the policy's plan")
        .help(REPORT)
        .note(text)
}

/// The kernel bounds programs, and the policy passes a bound; `text` says which and by how much.
#[must_use]
pub fn program_too_large(text: &str) -> Diagnostic {
    Diagnostic::new(codes::PROGRAM_TOO_LARGE, text).help("write fewer rules, or shorter ones")
}

/// The back end could not make code of valid IR.
#[must_use]
pub fn code_failed(text: &str) -> Diagnostic {
    Diagnostic::new(codes::CODE_FAILED, "the compiler could not make BPF instructions of the policy")
        .help(REPORT)
        .note(text)
}

/// The object could not be written.
#[must_use]
pub fn object_failed(text: &str) -> Diagnostic {
    Diagnostic::new(codes::OBJECT_FAILED, "the compiler could not write the object").help(REPORT).note(text)
}

/// The kernel's verifier refused what was compiled. `span` is the line of the policy that it looked at last.
#[must_use]
pub fn verifier_refused(message: &str, span: Option<crate::source::Span>) -> Diagnostic {
    let diagnostic = Diagnostic::new(
        codes::VERIFIER_REFUSED,
        format!("the kernel's verifier refuses the program: {message}"),
    )
    .help(REPORT);
    match span {
        Some(span) => diagnostic.label(span, "the verifier stopped in the instructions of this line"),
        None => diagnostic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_by_position_and_capped() {
        let mut sink = Sink::default();
        assert!(!sink.has_errors());
        for at in (0..MAX_ERRORS as u32 + 5).rev() {
            let span = Span { start: at, end: at + 1 };
            sink.push(Diagnostic::new(codes::SYNTAX, format!("at {at}")).label(span, "here"));
        }
        assert!(sink.has_errors());
        let all = sink.into_diagnostics();
        assert_eq!(all.len(), MAX_ERRORS + 1);
        assert_eq!(all.first().map(ToString::to_string).as_deref(), Some("at 5"));
        assert_eq!(all.last().map(ToString::to_string).as_deref(), Some("there are more errors than these"));
    }
}
