//! A program of a policy in SSA: as it was lowered, and as the passes leave it.
//!
//! Comes from a [`Planned`](super::Planned).

use oomc_abi::target::Target;

use super::{Checked, Programs};
use crate::diag::{self, Sink};
use crate::source::Span;
use crate::trace::PointKind;
use crate::{bpf, hir, ir, passes};

/// A program in SSA, with references, RCU sections and iterators explicit.
#[derive(Debug)]
pub struct Lowered<'c> {
    checked: &'c Checked<'c>,
    module: ir::Module,
    target: Target,
}

/// The points that the marks of a traced build count through: what they mean, and what they are about.
pub(crate) type Points = Vec<(PointKind, Span)>;

impl<'c> Lowered<'c> {
    pub(super) fn new(checked: &'c Checked<'c>, module: ir::Module) -> Self {
        Self { checked, module, target: Target::Hook }
    }

    pub(super) fn asked(checked: &'c Checked<'c>, module: ir::Module) -> Self {
        Self { checked, module, target: Target::Asked }
    }

    /// Says which of the functions that the code calls the kernel lacks.
    pub fn needs(&self, sink: &mut Sink) {
        // What a kernel without the hook has is what every kernel has that can be asked.
        if self.target == Target::Asked {
            return;
        }
        let insts = self.module.functions.iter().flat_map(|func| func.insts.values());
        let called = insts.filter_map(|inst| match inst {
            ir::InstData::Call { kfunc, .. } => Some(*kfunc),
            _ => None,
        });
        hir::kernel::functions(called.collect(), self.checked.view(), sink);
    }

    /// Runs the passes, if the kernel has every function that is called. An invalid module is a fault of the compiler.
    pub fn optimise(mut self, sink: &mut Sink) -> Option<Optimised<'c>> {
        self.needs(sink);
        if sink.has_errors() {
            return None;
        }
        passes::run_all(&mut self.module);
        match ir::verify::module(&self.module) {
            Ok(()) => Some(Optimised { checked: self.checked, module: self.module }),
            Err(errors) => {
                sink.push(diag::ir_invalid(&errors.join("; ")));
                None
            }
        }
    }

    /// The IR.
    #[must_use]
    pub fn module(&self) -> &ir::Module {
        &self.module
    }

    /// The IR as text.
    #[must_use]
    pub fn print(&self) -> String {
        ir::write::module(&self.module)
    }
}

/// What the marks of a traced build tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// What was passed, and for which process or cgroup.
    WithObjects,
    /// What was passed.
    Alone,
}

/// A program in SSA after the passes; valid.
#[derive(Debug)]
pub struct Optimised<'c> {
    checked: &'c Checked<'c>,
    module: ir::Module,
}

impl<'c> Optimised<'c> {
    /// Chooses instructions and registers.
    ///
    /// # Errors
    /// When a bound of the kernel is passed, or the compiler is at fault.
    pub fn select(self) -> Result<Programs<'c>, bpf::Error> {
        let (checked, mut module) = (self.checked, self.module);
        let programs = bpf::compile_all(&mut module, checked.source(), checked.view())?;
        Ok(Programs::new(checked, module, programs))
    }

    /// The IR as text.
    #[must_use]
    pub fn print(&self) -> String {
        ir::write::module(&self.module)
    }

    /// BPF with virtual registers, as text.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn print_vcode(&self) -> Result<String, bpf::Error> {
        let (source, view) = (self.checked.source(), self.checked.view());
        let texts = self.module.functions.iter().map(|func| bpf::dump_vcode(func, source, view));
        texts.collect::<Result<Vec<String>, _>>().map(|texts| texts.concat())
    }
}
