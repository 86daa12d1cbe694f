//! Whether the kernel that the policy is built for has what the policy needs.
//!
//! Joins a checked policy with a kernel's BTF, through the tables of `oomc_abi` alone. A function that an
//! action needs may be missing where an alternative stands behind the action: then the action makes no
//! progress, and lowering leaves it out, or tests for the function if other kernels may have it.

use std::collections::{BTreeSet, HashSet};

use oomc_abi::availability;
use oomc_abi::fields::FieldId;
use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::resolve::KernelView;

use super::errors;
use super::{ActionId, ActionKind, ExprKind, Policy};
use crate::diag::Sink;
use crate::source::Span;

/// Checks a policy against a kernel.
pub fn check(policy: &Policy, view: &KernelView, sink: &mut Sink) {
    if !view.has_hook() {
        sink.push(errors::kernel::no_hook());
        return;
    }
    let mut check = Kernel { view, sink, seen: HashSet::new() };
    for expr in policy.exprs.values() {
        if let ExprKind::Field(_, field) = &expr.kind {
            check.field(*field, expr.span);
        }
    }
    for need in needs(policy) {
        check.need(&need);
    }
}

/// The optional functions that a policy can do without: something stands behind every action that needs one.
/// On a kernel that lacks it, the same object makes no progress there.
#[must_use]
pub fn spared(policy: &Policy) -> Vec<KfuncId> {
    let needs = needs(policy);
    let optional = needs.iter().map(|need| need.kfunc).filter(|kfunc| kfunc.row().flags.optional);
    let mut spared: Vec<KfuncId> = optional
        .filter(|kfunc| needs.iter().filter(|need| need.kfunc == *kfunc).all(|need| need.covered))
        .collect();
    spared.sort_unstable();
    spared.dedup();
    spared
}

/// The function that an action needs.
#[derive(Clone, Copy, Debug)]
struct Need {
    kfunc: KfuncId,
    word: &'static str,
    span: Span,
    /// When the action makes no progress, something else of the same rule is tried.
    covered: bool,
}

fn needs(policy: &Policy) -> Vec<Need> {
    let mut needs = Vec::new();
    // Whoever asks about a block does what it says.
    for rule in policy.bare_rules() {
        needs_of(policy, rule.action, false, &mut needs);
    }
    needs
}

fn needs_of(policy: &Policy, id: ActionId, covered: bool, needs: &mut Vec<Need>) {
    let Some(action) = policy.actions.get(id) else { return };
    let (kfunc, word) = match &action.kind {
        ActionKind::If { then, otherwise, .. } => {
            needs_of(policy, *then, covered || otherwise.is_some(), needs);
            if let Some(otherwise) = otherwise {
                needs_of(policy, *otherwise, covered, needs);
            }
            return;
        }
        ActionKind::Block(actions) => {
            return actions.iter().for_each(|action| needs_of(policy, *action, covered, needs));
        }
        ActionKind::Or(first, second) => {
            needs_of(policy, *first, true, needs);
            return needs_of(policy, *second, covered, needs);
        }
        ActionKind::Kill(_) => (kfuncs::OOM_KILL_PROCESS, "kill"),
        ActionKind::RaiseLimit { .. } => (kfuncs::MEM_CGROUP_RAISE_MAX, "raise_limit"),
        ActionKind::Wait => (kfuncs::OOM_KILL_PROCESS, "wait"),
        ActionKind::Reclaim(_) | ActionKind::Defer | ActionKind::Notify(_) | ActionKind::Count(_) => return,
    };
    needs.push(Need { kfunc, word, span: action.span, covered });
}

/// Checks the functions that the program itself calls: for walks, references and statistics. Optional ones are
/// called only where they are, if the policy can do without.
pub fn functions(called: BTreeSet<KfuncId>, view: &KernelView, sink: &mut Sink) {
    for kfunc in
        called.into_iter().filter(|kfunc| view.kfunc(*kfunc).is_none() && !kfunc.row().flags.optional)
    {
        let row = kfunc.row();
        sink.push(errors::kernel::function_missing(row));
    }
}

/// Whether the kernel has every function that code calls without a test for it: then none is missing, whatever is called.
#[must_use]
pub fn has_all_functions(view: &KernelView) -> bool {
    KfuncId::all().filter(|kfunc| !kfunc.row().flags.optional).all(|kfunc| view.kfunc(kfunc).is_some())
}

struct Kernel<'a> {
    view: &'a KernelView,
    sink: &'a mut Sink,
    /// Each field is reported once.
    seen: HashSet<FieldId>,
}

impl Kernel<'_> {
    fn need(&mut self, need: &Need) {
        let Need { kfunc, word, span, covered } = *need;
        if self.view.kfunc(kfunc).is_some() {
            return;
        }
        self.sink.push(errors::kernel::action_without_function(kfunc.row(), word, covered, span));
    }

    fn field(&mut self, field: FieldId, span: Span) {
        if !self.seen.insert(field) {
            return;
        }
        let row = field.row();
        if let Some(missing) = availability::lacks(self.view, row) {
            self.sink.push(errors::kernel::field_missing(row.name, missing, span));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;

    /// The reference kernel with another name for one thing.
    fn without(name: &str) -> KernelView {
        let mut bytes = KernelView::embedded_btf().to_vec();
        let pattern = [b"\0", name.as_bytes(), b"\0"].concat();
        let at =
            bytes.windows(pattern.len()).position(|window| window == pattern).expect("the name is there");
        bytes.iter_mut().skip(at + 1).take(1).for_each(|byte| *byte = b'X');
        KernelView::from_btf(&bytes).expect("a BTF still")
    }

    fn codes(text: &str, view: &KernelView) -> Vec<String> {
        let checked = crate::check(&Source::new("t.oom", text), view);
        checked.diagnostics_and_needs().iter().map(|d| format!("{} {d}", d.code)).collect()
    }

    #[test]
    fn a_field_without_its_member() {
        let text = "kill largest in subtree where uid == 0 or uid == 1";
        assert_eq!(codes(text, &KernelView::embedded()), [""; 0]);
        assert_eq!(codes(text, &without("real_cred")), ["E0502 `uid` cannot be read on this kernel"]);
    }

    #[test]
    fn a_field_without_its_statistic() {
        let text = "kill largest cgroup in subtree by shmem";
        assert_eq!(codes(text, &without("NR_SHMEM")), ["E0502 `shmem` cannot be read on this kernel"]);
    }

    #[test]
    fn a_walk_without_its_function() {
        let view = without("bpf_iter_css_task_new");
        let found = codes("kill largest in subtree", &view);
        assert_eq!(found, ["E0501 this kernel has no `bpf_iter_css_task_new`, which the policy needs"]);
        assert_eq!(codes("raise_limit 1MiB up to 1GiB", &view), [""; 0]);
    }

    #[test]
    fn the_reference_kernel_has_every_field() {
        let (view, mut sink) = (KernelView::embedded(), Sink::default());
        let mut kernel = Kernel { view: &view, sink: &mut sink, seen: HashSet::new() };
        for field in oomc_abi::fields::all() {
            kernel.field(field, Span::default());
        }
        assert_eq!(sink.into_diagnostics(), []);
    }
}
