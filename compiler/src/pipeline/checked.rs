//! A policy that is understood: its names are bound, its types known, and the kernel that it is for is chosen.
//!
//! Takes a [`Parsed`]; everything else that is made of a policy is made of this value.

use oomc_abi::resolve::KernelView;
use oomc_abi::scenario::Test;

use super::{Compiled, Lowered, Marks, Parsed, Planned, Points, no_code};
use crate::diag::{Diagnostic, Sink, codes};
use crate::hir::lower::Tests;
use crate::hir::{self, Policy};
use crate::resolve::uses::Use;
use crate::source::Source;
use crate::syntax::ast::{ClauseKind, File};
use crate::{bpf, plan};

/// Rules of which [`Checked::review`] makes code: far fewer than could exceed what a kernel takes, and soon made.
pub const REVIEWED: usize = 64;

/// What is known of a policy, with or without mistakes in it, for one kernel.
#[derive(Clone, Debug)]
pub struct Checked<'k> {
    source: Source,
    view: &'k KernelView,
    file: File,
    uses: Vec<Use>,
    policy: Option<Policy>,
    sink: Sink,
    beside: Option<Beside>,
}

/// A file of tests beside a policy.
#[derive(Clone, Debug)]
pub struct Beside {
    /// Its text.
    pub source: Source,
    /// Its syntax tree.
    pub file: File,
    /// What its names stand for, in the order of the text; what they are declared by stands in the policy.
    pub uses: Vec<Use>,
    /// Errors and warnings, in the order of that text.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'k> Checked<'k> {
    pub(super) fn new(parsed: Parsed, view: &'k KernelView) -> Self {
        let Parsed { policy, mut tests } = parsed;
        let (source, file, mut sink) = (policy.source, policy.file, policy.sink);
        sink.acknowledge(&source);
        let beside =
            tests.as_mut().map(|own| Tests { file: &own.file, source: &own.source, sink: &mut own.sink });
        let hir::lower::Lowered { policy, uses, uses_of_tests } =
            hir::lower::lower(&file, &source, view, &mut sink, beside);
        if !sink.has_errors() && !has_rule(&file) {
            sink.push(does_nothing());
        }
        hir::coverage::check(&policy, &mut sink);
        hir::kernel::check(&policy, view, &mut sink);
        hir::modelled::check(&policy, view, &mut sink);
        hir::complexity::check(&policy, &mut sink);
        if !sink.has_errors() {
            hir::lint::check(&policy, &source, &mut sink);
        }
        let policy = (!sink.has_errors()).then_some(policy);
        let beside = tests.map(|own| Beside {
            source: own.source,
            file: own.file,
            uses: uses_of_tests,
            diagnostics: own.sink.into_diagnostics(),
        });
        Self { source, view, file, uses, policy, sink, beside }
    }

    /// The policy's text.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The kernel that it is for.
    #[must_use]
    pub fn view(&self) -> &'k KernelView {
        self.view
    }

    /// The syntax tree; what could not be parsed is missing.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What the policy's names stand for, in the order of the text. In a clause with a mistake some may be missing.
    #[must_use]
    pub fn uses(&self) -> &[Use] {
        &self.uses
    }

    /// The policy; none if an error leaves no meaning.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.policy.as_ref()
    }

    /// The policy without what it was made of.
    #[must_use]
    pub fn into_policy(self) -> Option<Policy> {
        self.policy
    }

    /// The tests in the policy's own file, and those in the file beside it; none if the policy has an error.
    #[must_use]
    pub fn tests(&self) -> (&[Test], &[Test]) {
        self.policy.as_ref().map_or((&[], &[]), |policy| (&policy.tests, &policy.more_tests))
    }

    /// The file of tests beside the policy, if there was one.
    #[must_use]
    pub fn beside(&self) -> Option<&Beside> {
        self.beside.as_ref()
    }

    /// Errors and warnings of the policy's file, in the order of the text.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.sink().into_diagnostics()
    }

    /// As [`diagnostics`](Self::diagnostics), and which functions the kernel lacks that the policy's code calls.
    #[must_use]
    pub fn diagnostics_and_needs(&self) -> Vec<Diagnostic> {
        let mut sink = self.sink();
        if let Some(lowered) = self.plan().and_then(|planned| planned.lower(&mut sink)) {
            lowered.needs(&mut sink);
        }
        sink.into_diagnostics()
    }

    /// The diagnostics of the front end, for a later stage to add to.
    pub(crate) fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Makes the object; the diagnostics are those of all stages.
    #[must_use]
    pub fn compile(&self) -> Compiled {
        let mut sink = self.sink();
        let object = self.object(&mut sink);
        Compiled { object, diagnostics: sink.into_diagnostics() }
    }

    /// As the diagnostics of [`compile`](Self::compile), but soon: no code is made of more than [`REVIEWED`] rules, if the
    /// kernel has every function that code may call. Says whether it was.
    #[must_use]
    pub fn review(&self) -> (Vec<Diagnostic>, bool) {
        let Some(policy) = self.policy() else { return (self.diagnostics(), false) };
        if policy.rules.len() <= REVIEWED || !hir::kernel::has_all_functions(self.view) {
            return (self.compile().diagnostics, true);
        }
        let mut sink = self.sink();
        if let Err(error) = bpf::limits::check_instructions(plan::least_instructions(policy)) {
            sink.push(no_code(&error));
        }
        (sink.into_diagnostics(), false)
    }

    /// As [`compile`](Self::compile), but asks before each stage whether somebody still wants the result; none if
    /// nobody does.
    #[must_use]
    pub fn compile_while(&self, wanted: &dyn Fn() -> bool) -> Option<Compiled> {
        let mut sink = self.sink();
        let object = self.object_while(wanted, &mut sink);
        wanted().then(|| Compiled { object, diagnostics: sink.into_diagnostics() })
    }

    /// The object's bytes.
    pub(crate) fn object(&self, sink: &mut Sink) -> Option<Vec<u8>> {
        self.object_while(&|| true, sink)
    }

    fn object_while<'a>(&'a self, wanted: &dyn Fn() -> bool, sink: &mut Sink) -> Option<Vec<u8>> {
        let planned = self.plan().filter(|_| wanted())?;
        let compile = |lowered: Lowered<'a>, sink: &mut Sink| {
            Some(lowered.optimise(sink).filter(|_| wanted())?.select())
        };
        let callback = compile(planned.lower(sink).filter(|_| wanted())?, sink)?;
        let mut programs = callback.map_err(|error| sink.push(no_code(&error))).ok()?;
        // One after the other: a large policy does not lie in memory twice.
        if let Some(asked) = planned.lower_asked(&programs, sink).filter(|_| wanted()) {
            match compile(asked, sink)? {
                Ok(asked) => programs.add(asked),
                // A policy whose callback the kernel takes can do without; blocks are asked by this program alone.
                Err(error) if error.is_a_bound() && !self.has_blocks() => {}
                Err(error) => sink.push(no_code(&error)),
            }
        }
        if sink.has_errors() || !wanted() { None } else { programs.object(sink) }
    }

    fn has_blocks(&self) -> bool {
        self.policy().is_some_and(|policy| !policy.blocks.is_empty())
    }

    /// The checked policy as text.
    #[must_use]
    pub fn print(&self) -> Option<String> {
        self.policy.as_ref().map(hir::print::print)
    }

    /// The policy's plan; none if it has an error.
    #[must_use]
    pub fn plan(&self) -> Option<Planned<'_>> {
        Planned::new(self, None)
    }

    /// The policy in SSA, with marks in it, which name their objects or do not, for a traced build.
    pub(crate) fn lower_traced(&self, marks: Marks, sink: &mut Sink) -> Option<(Lowered<'_>, Points)> {
        Planned::new(self, Some(marks))?.lower_with(Some(marks), sink)
    }
}

fn has_rule(file: &File) -> bool {
    file.clauses.iter().any(|clause| {
        matches!(clause.kind, ClauseKind::Rule { .. } | ClauseKind::Default(_) | ClauseKind::Watch(_))
    })
}

fn does_nothing() -> Diagnostic {
    Diagnostic::new(codes::EMPTY, "the policy does nothing: it has neither a rule nor a `default`")
        .help("write a rule, for example `kill largest in subtree`")
}
