//! A policy with its plan: which walks there are, and what each asks of whom.
//!
//! Takes a [`Checked`], gives what lowering follows.

use std::borrow::Cow;

use super::lowered::{Lowered, Marks, Points};
use super::{Checked, Programs, no_code};
use crate::diag::{self, Sink};
use crate::hir::Policy;
use crate::plan::{self, Plan};
use crate::{bpf, lower};

/// A policy and its plan, with the clauses joined that ask the same.
#[derive(Debug)]
pub struct Planned<'c> {
    checked: &'c Checked<'c>,
    policy: Cow<'c, Policy>,
    plan: Plan,
}

impl<'c> Planned<'c> {
    /// Plans a policy; none if it has an error. A traced build tells what is asked of everybody, so its plan stays as
    /// the language says it, and its clauses are those that were written.
    pub(super) fn new(checked: &'c Checked<'c>, marks: Option<Marks>) -> Option<Self> {
        let policy = checked.policy()?;
        let policy = if marks.is_none() { plan::join::join(policy) } else { Cow::Borrowed(policy) };
        let mut plan = plan::build(&policy);
        if marks.is_none() {
            plan::passes::run_all(&policy, &mut plan);
        }
        Some(Self { checked, policy, plan })
    }

    /// The callback in SSA. What should be impossible on the way is a fault of the compiler.
    pub fn lower(&self, sink: &mut Sink) -> Option<Lowered<'c>> {
        self.lower_with(None, sink).map(|(lowered, _)| lowered)
    }

    /// The callback in SSA, with marks in it for a traced build.
    pub(super) fn lower_with(&self, marks: Option<Marks>, sink: &mut Sink) -> Option<(Lowered<'c>, Points)> {
        let (policy, view) = (&self.policy, self.checked.view());
        if let Err(error) = bpf::limits::check_instructions(plan::least_instructions(policy)) {
            sink.push(no_code(&error));
            return None;
        }
        let lowered = match marks {
            None => lower::lower(policy, &self.plan, view).map(|module| (module, Points::new())),
            Some(marks) => lower::lower_traced(policy, &self.plan, view, marks == Marks::WithObjects),
        };
        match lowered {
            Ok((module, points)) => Some((Lowered::new(self.checked, module), points)),
            Err(fault) => {
                sink.push(diag::lowering_failed(fault));
                None
            }
        }
    }

    /// The program that user space asks on a kernel without the hook, in SSA: behind the programs of the callback. None
    /// if nobody but the kernel can ask this policy, or after what should be impossible.
    pub(super) fn lower_asked(&self, callback: &Programs<'_>, sink: &mut Sink) -> Option<Lowered<'c>> {
        if !lower::can_be_asked(&self.policy) {
            return None;
        }
        let lowered = lower::lower_asked(&self.policy, &self.plan, self.checked.view(), callback.refs());
        let module = lowered.map_err(|fault| sink.push(diag::lowering_failed(fault))).ok()?;
        Some(Lowered::asked(self.checked, module))
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan as text.
    #[must_use]
    pub fn print(&self) -> String {
        plan::print::print(&self.plan)
    }
}
