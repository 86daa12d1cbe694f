//! What is known of a policy and of the file of tests beside it, as far as names and types go. No code is made here.

use oomc_compiler::diag::{Diagnostic, Severity};
use oomc_compiler::resolve::uses::Use;
use oomc_compiler::syntax::ast::File;
use oomc_compiler::{Checked, KernelView, Parsed, Source};

/// Which of the two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Policy,
    Tests,
}

/// A text with its name.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    pub(crate) name: &'a str,
    pub(crate) text: &'a str,
}

/// What is said of a policy and of the file of tests beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) policy: Vec<Diagnostic>,
    pub(crate) tests: Vec<Diagnostic>,
}

impl Said {
    pub(crate) fn of(&self, side: Side) -> &[Diagnostic] {
        match side {
            Side::Policy => &self.policy,
            Side::Tests => &self.tests,
        }
    }
}

/// A policy and its tests, read together, whichever of them changed.
pub(crate) struct Analysis {
    pub(crate) view: &'static KernelView,
    known: Known,
    pub(crate) said: Said,
}

/// How much could be found out.
enum Known {
    Checked(Box<Checked<'static>>),
    /// Tests without their policy: only what the grammar says is known.
    Tests(Box<Parsed>, String),
    /// The text is no policy at all.
    Nothing,
}

/// One of the two texts with what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) side: Side,
    pub(crate) text: &'a str,
    pub(crate) file: &'a File,
    /// What its names stand for, in the order of the text.
    pub(crate) uses: &'a [Use],
    /// Of the policy, or of the one that these tests are for.
    pub(crate) checked: Option<&'a Checked<'static>>,
    pub(crate) view: &'static KernelView,
}

impl<'a> Page<'a> {
    /// The policy's syntax tree.
    pub(crate) fn policy_file(&self) -> Option<&'a File> {
        self.checked.map(Checked::file)
    }

    /// The policy's text.
    pub(crate) fn policy_text(&self) -> &'a str {
        self.checked.map_or("", |checked| checked.source().text.as_str())
    }
}

impl Analysis {
    /// Reads a policy, tests, or both. What is known of the policy before it was edited spares work, and changes
    /// nothing.
    pub(crate) fn new(
        policy: Option<Text<'_>>,
        tests: Option<Text<'_>>,
        view: &'static KernelView,
        before: Option<&Self>,
    ) -> Self {
        let (known, said) = match (policy, tests) {
            (Some(policy), tests) => both(policy, tests, view, before.and_then(Self::checked)),
            (None, Some(tests)) => alone(tests),
            (None, None) => (Known::Nothing, Said::default()),
        };
        Self { view, known, said }
    }

    /// One of the texts; none if it is not there or could not be read.
    pub(crate) fn page(&self, side: Side) -> Option<Page<'_>> {
        let view = self.view;
        match (&self.known, side) {
            (Known::Checked(checked), Side::Policy) => Some(Page {
                side,
                text: &checked.source().text,
                file: checked.file(),
                uses: checked.uses(),
                checked: Some(checked),
                view,
            }),
            (Known::Checked(checked), Side::Tests) => {
                let beside = checked.beside()?;
                let (text, file, uses) = (&beside.source.text, &beside.file, &beside.uses);
                Some(Page { side, text, file, uses, checked: Some(checked), view })
            }
            (Known::Tests(parsed, text), Side::Tests) => {
                Some(Page { side, text, file: parsed.file(), uses: &[], checked: None, view })
            }
            (Known::Tests(..) | Known::Nothing, _) => None,
        }
    }

    /// The policy, for the stages that make code of it; none if it has an error.
    pub(crate) fn checked(&self) -> Option<&Checked<'static>> {
        match &self.known {
            Known::Checked(checked) => Some(checked),
            Known::Tests(..) | Known::Nothing => None,
        }
    }

    /// Whether a mistake may hide uses of names.
    pub(crate) fn has_errors(&self) -> bool {
        let all = self.said.policy.iter().chain(&self.said.tests);
        all.into_iter().any(|one| one.severity == Severity::Error)
    }
}

fn both(
    policy: Text<'_>,
    tests: Option<Text<'_>>,
    view: &'static KernelView,
    before: Option<&Checked<'_>>,
) -> (Known, Said) {
    let source = match source(policy) {
        Ok(source) => source,
        Err(policy) => {
            let tests = tests.map(|tests| alone(tests).1.tests).unwrap_or_default();
            return (Known::Nothing, Said { policy, tests });
        }
    };
    let tests = tests.map(self::source);
    let parsed = match before {
        Some(before) => Parsed::after(before, source),
        None => Parsed::new(source),
    };
    let parsed = match &tests {
        Some(Ok(tests)) => parsed.with_tests(tests.clone()),
        Some(Err(_)) | None => parsed,
    };
    let checked = parsed.check(view);
    let policy = checked.diagnostics();
    let tests = match (tests, checked.beside()) {
        (Some(Err(unreadable)), _) => unreadable,
        (_, Some(beside)) => beside.diagnostics.clone(),
        (_, None) => Vec::new(),
    };
    (Known::Checked(Box::new(checked)), Said { policy, tests })
}

/// Reads a file of tests without its policy.
fn alone(tests: Text<'_>) -> (Known, Said) {
    match source(tests) {
        Ok(source) => {
            let parsed = Parsed::new(source);
            let said = Said { policy: Vec::new(), tests: parsed.diagnostics() };
            (Known::Tests(Box::new(parsed), tests.text.to_owned()), said)
        }
        Err(tests) => (Known::Nothing, Said { policy: Vec::new(), tests }),
    }
}

fn source(document: Text<'_>) -> Result<Source, Vec<Diagnostic>> {
    Source::from_bytes(document.name, document.text.as_bytes()).map_err(|unreadable| vec![unreadable])
}
