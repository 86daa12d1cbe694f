//! Whether a kernel has what a field of the language is read from.
//!
//! Joins a row of [`crate::fields`] with one BTF. The compiler and `oomc fields` ask here.

use crate::fields::{Field, Owner, Recipe, StatTerm};
use crate::kfuncs::{self, KfuncId};
use crate::members::{self, Member};
use crate::resolve::KernelView;
use crate::shapes::{self, Shapes};

/// The first thing that a kernel lacks for a field, as a clause; `None`: the field can be read.
#[must_use]
pub fn lacks(view: &KernelView, field: &Field) -> Option<String> {
    let container = match field.owner {
        Owner::Process => members::TASK,
        Owner::Cgroup => members::MEMCG,
        Owner::Event | Owner::Machine => members::EVENT,
    };
    let path = |container: &str, path: &str| {
        view.path_steps(container, path).err().map(|missing| missing.to_string())
    };
    let all = |needed: &[Member]| needed.iter().find_map(|member| path(member.container, member.path));
    let shaped = |shapes: &Shapes| shapes::lacks(view.btf(), shapes);
    let function = |kfunc: KfuncId| {
        view.kfunc(kfunc).is_none().then(|| format!("its BTF has no function `{}`", kfunc.row().name))
    };
    let statistics = |terms: &[StatTerm]| {
        let absent = terms.iter().find(|term| view.enumerator(term.enumeration, term.enumerator).is_none());
        absent.map(|term| format!("`enum {}` has no `{}`", term.enumeration, term.enumerator))
    };
    let page_state = |terms| statistics(terms).or_else(|| function(kfuncs::MEM_CGROUP_PAGE_STATE));
    match field.recipe {
        Recipe::Member { path: member, .. } => path(container, member),
        Recipe::Mm(terms) => terms
            .iter()
            .find_map(|term| path(members::MM, term.path))
            .or_else(|| all(&[members::TASK_MM, members::TASK_LIVE])),
        Recipe::Badness(terms) => terms.iter().find_map(|term| path(members::MM, term.path)).or_else(|| {
            all(&[members::TASK_MM, members::TASK_LIVE, members::TASK_OOM_SCORE_ADJ, members::OC_TOTAL])
        }),
        Recipe::Stat(terms) => page_state(terms),
        Recipe::Usage(terms) | Recipe::UsageLess(terms) => {
            all(&[members::MEMCG_USAGE]).or_else(|| page_state(terms))
        }
        Recipe::VmEvents(terms) => statistics(terms).or_else(|| function(kfuncs::MEM_CGROUP_VM_EVENTS)),
        Recipe::MemoryEvents(term) => {
            statistics(&[term]).or_else(|| function(kfuncs::MEM_CGROUP_MEMORY_EVENTS))
        }
        Recipe::Pressure { .. } => {
            all(&[members::MEMCG_CGROUP, members::CGROUP_PSI]).or_else(|| shaped(&shapes::AVERAGES))
        }
        Recipe::SwapLimit => all(&[members::MEMCG_SWAP_MAX]),
        Recipe::Path => {
            all(&[members::MEMCG_CGROUP, members::CGROUP_NODE, members::NODE_NAME, members::NODE_ID])
                .or_else(|| shaped(&shapes::NODE_PARENT))
        }
        Recipe::Scope => all(&[members::OC_MEMCG]),
        Recipe::Trigger => None,
        Recipe::Word { path: member, enumeration, words } => path(container, member).or_else(|| {
            let absent = words.iter().find(|(name, _)| view.enumerator(enumeration, name).is_none());
            absent.map(|(name, _)| format!("`enum {enumeration}` has no `{name}`"))
        }),
        Recipe::Limit => all(&[members::MEMCG_MAX]),
        Recipe::Dying => all(&[
            members::TASK_SIGNAL,
            members::TASK_FLAGS,
            members::SIGNAL_OOM_MM,
            members::SIGNAL_FLAGS,
            members::SIGNAL_LIVE,
        ]),
        Recipe::Machine(terms) => terms.iter().find_map(|term| {
            let (enumeration, enumerator) = term.index?;
            let absent = view.enumerator(enumeration, enumerator).is_none();
            absent.then(|| format!("`enum {enumeration}` has no `{enumerator}`"))
        }),
        Recipe::NsPid => all(&[members::TASK_THREAD_PID, members::PID_LEVEL, members::PID_NUMBERS]),
        Recipe::Age => all(&[members::TASK_START]),
        Recipe::Comm => all(&[members::TASK_COMM]),
        Recipe::Name => all(&[members::MEMCG_CGROUP, members::CGROUP_NODE, members::NODE_NAME]),
        Recipe::IsLeaf => all(&[members::MEMCG_SERIAL, members::CSS_SERIAL, members::CSS_FLAGS]),
        Recipe::NrProcesses => function(kfuncs::ITER_CSS_TASK_NEW),
    }
}
