//! A policy in SSA: as it was lowered, and as the passes leave it.
//!
//! Comes from a [`Planned`](super::Planned).

use super::{Checked, Programs};
use crate::diag::{self, Sink};
use crate::source::Span;
use crate::trace::PointKind;
use crate::{bpf, hir, ir, passes};

/// A policy in SSA, with references, RCU sections and iterators explicit.
#[derive(Debug)]
pub struct Lowered<'c> {
    checked: &'c Checked<'c>,
    module: ir::Module,
}

/// The points that the marks of a traced build count through: what they mean, and what they are about.
pub(crate) type Points = Vec<(PointKind, Span)>;

impl<'c> Lowered<'c> {
    pub(super) fn new(checked: &'c Checked<'c>, module: ir::Module) -> Self {
        Self { checked, module }
    }

    /// Says which of the functions that the code calls the kernel lacks.
    pub fn needs(&self, sink: &mut Sink) {
        // What a kernel without the hook has is what every kernel has that can be asked.
        let module = &self.module;
        let own = core::iter::once(0).chain(module.called_by(0)).filter_map(|at| module.functions.get(at));
        let insts = own.flat_map(|func| func.insts.values());
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

    /// The IR of the callback as text.
    #[must_use]
    pub fn print(&self) -> String {
        ir::write::module(&self.module.callback())
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

/// A policy in SSA after the passes; valid.
#[derive(Debug)]
pub struct Optimised<'c> {
    checked: &'c Checked<'c>,
    module: ir::Module,
}

impl<'c> Optimised<'c> {
    /// Chooses instructions and registers. A policy whose callback the kernel takes, and whose other programs are too
    /// large for it, has none of these: its object says on which kernels it runs.
    ///
    /// # Errors
    /// When a bound of the kernel is passed, or the compiler is at fault.
    pub fn select(self) -> Result<Programs<'c>, bpf::Error> {
        let (checked, mut module) = (self.checked, self.module);
        let (mut called, others) = (module.called_by(0).len(), module.programs().count() > 1);
        let programs = match bpf::compile_all(&mut module, checked.source(), checked.view()) {
            // Blocks are asked by these programs alone.
            Err(error)
                if error.is_a_bound()
                    && others
                    && checked.policy().is_none_or(|policy| policy.blocks.is_empty()) =>
            {
                // What was compiled is gone.
                module = Self::of(checked).ok_or(error)?.module.callback();
                called = module.called_by(0).len();
                bpf::compile_all(&mut module, checked.source(), checked.view())?
            }
            programs => programs?,
        };
        Ok(Programs { checked, module, of_callback: called + 1, programs })
    }

    /// The same once more.
    fn of(checked: &'c Checked<'c>) -> Option<Self> {
        let mut sink = Sink::default();
        checked.plan()?.lower(&mut sink)?.optimise(&mut sink)
    }

    /// The IR as text.
    #[must_use]
    pub fn print(&self) -> String {
        ir::write::module(&self.module.callback())
    }

    /// BPF with virtual registers, as text.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    pub fn print_vcode(&self) -> Result<String, bpf::Error> {
        let (source, view) = (self.checked.source(), self.checked.view());
        let callback = self.module.callback();
        let texts = callback.functions.iter().map(|func| bpf::dump_vcode(func, source, view));
        texts.collect::<Result<Vec<String>, _>>().map(|texts| texts.concat())
    }
}
