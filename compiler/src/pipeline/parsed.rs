//! A policy as its author wrote it: syntax trees of its text, and of the file of tests beside it.
//!
//! Takes texts; the only place that parses any. Knows nothing of what the trees mean.

use oomc_abi::resolve::KernelView;

use super::Checked;
use crate::diag::{Diagnostic, Sink};
use crate::source::Source;
use crate::syntax::ast::File;
use crate::syntax::lower_cst::{self, Before};
use crate::syntax::print;

/// A policy and its file of tests, parsed. [`check`](Self::check) consumes them:
///
/// ```compile_fail,E0382
/// use oomc_compiler::{KernelView, Parsed, Source};
/// let (parsed, view) = (Parsed::new(Source::new("p.oom", "kill largest in subtree")), KernelView::embedded());
/// let object = parsed.check(&view).compile();
/// let traced = parsed.check(&view).trace();
/// ```
#[derive(Debug)]
pub struct Parsed {
    pub(super) policy: Tree,
    pub(super) tests: Option<Tree>,
}

/// A text with its syntax tree.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) source: Source,
    pub(super) file: File,
    /// What could not be parsed.
    pub(super) sink: Sink,
}

impl Tree {
    fn new(source: Source, before: Option<Before<'_>>) -> Self {
        let mut sink = Sink::default();
        let file = lower_cst::parse(&source, before, &mut sink);
        Self { source, file, sink }
    }
}

impl Parsed {
    /// Parses a policy.
    #[must_use]
    pub fn new(source: Source) -> Self {
        Self { policy: Tree::new(source, None), tests: None }
    }

    /// Parses a policy that is another one after an edit: the same value, but only clauses that differ are parsed.
    #[must_use]
    pub fn after(before: &Checked<'_>, source: Source) -> Self {
        let before = Before { source: before.source(), file: before.file() };
        Self { policy: Tree::new(source, Some(before)), tests: None }
    }

    /// Parses the file of tests beside it, too.
    #[must_use]
    pub fn with_tests(self, tests: Source) -> Self {
        Self { tests: Some(Tree::new(tests, None)), ..self }
    }

    /// Binds names, types and units, and holds the policy against a kernel.
    #[must_use]
    pub fn check(self, view: &KernelView) -> Checked<'_> {
        Checked::new(self, view)
    }

    /// The syntax tree as text; what could not be parsed is left out.
    #[must_use]
    pub fn print(&self) -> String {
        print::print(&self.policy.file)
    }

    /// The syntax tree; what could not be parsed is missing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.policy.file
    }

    /// What is wrong with the policy's text as far as the grammar says.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.policy.sink.clone().into_diagnostics()
    }
}
