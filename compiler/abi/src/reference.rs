//! What the embedded BTF of the reference kernel keeps.
//!
//! Everything that the tables name, and what a policy author may want to read besides: the structures around
//! a process and a cgroup, whole. How far pointers are followed is a matter of size.

mod next;

use crate::btf::Btf;
use crate::btf::minimize::{Wanted, minimize};
use crate::hooks::OOM;
use crate::kfuncs::KFUNCS;

/// Structures around processes and cgroups, and the number of pointers followed from each.
const STRUCTS: &[(&str, u32)] = &[
    ("oom_control", 2),
    ("task_struct", 2),
    ("signal_struct", 2),
    ("mm_struct", 1),
    ("cred", 0),
    ("user_struct", 0),
    ("nsproxy", 0),
    ("css_set", 1),
    ("mem_cgroup", 2),
    ("memcg_vmstats", 0),
    ("mem_cgroup_per_node", 0),
    ("page_counter", 0),
    ("cgroup", 2),
    ("cgroup_subsys_state", 2),
    ("kernfs_node", 1),
    ("psi_group", 0),
    ("pglist_data", 0),
    ("zone", 0),
    ("bpf_struct_ops_link", 2),
    ("bpf_iter_css", 0),
    ("bpf_iter_css_task", 0),
    ("bpf_iter_task", 0),
    ("bpf_iter_num", 0),
    ("list_head", 0),
];

/// Enums whose values differ between builds.
const ENUMS: &[&str] = &[
    "node_stat_item",
    "memcg_stat_item",
    "memcg_memory_event",
    "vm_event_item",
    "zone_stat_item",
    "oom_constraint",
    "psi_res",
    "psi_states",
    "psi_aggregators",
    "bpf_cgroup_iter_order",
    "cgroup_bpf_attach_type",
    "cgroup_subsys_id",
];

pub use next::generic;

/// Kernels that lack something, for tests: a name, and the function or structure that is not there.
pub const LACKING: &[(&str, &str)] = &[("no_hook", OOM.ops), ("no_raise", "bpf_mem_cgroup_raise_max")];

/// The reduced BTF, and the names that the kernel lacks.
#[must_use]
pub fn reduce(btf: &Btf) -> (Vec<u8>, Vec<String>) {
    let (wanted, missing) = select(btf, u32::MAX, None);
    (minimize(btf, &wanted), missing)
}

/// A BTF for tests: smaller still, and without one name.
#[must_use]
pub fn reduce_without(btf: &Btf, name: &str) -> Vec<u8> {
    let (wanted, _) = select(btf, 0, Some(name));
    minimize(btf, &wanted)
}

/// A BTF for tests: smaller still, and of a kernel that attaches policies by the generic link of cgroups. None: `btf` is
/// not that of a kernel with the hook of v3.
#[must_use]
pub fn reduce_next(btf: &Btf) -> Option<Vec<u8>> {
    let (wanted, _) = select(btf, 0, None);
    generic(&Btf::parse(&minimize(btf, &wanted)).ok()?)
}

/// What to keep, following at most some pointers from a structure; and which names the kernel lacks.
fn select(btf: &Btf, pointers_max: u32, without: Option<&str>) -> (Wanted, Vec<String>) {
    let mut wanted = Wanted::default();
    let mut missing = Vec::new();
    let mut add = |name: &str, pointers: u32| {
        if without != Some(name) && !wanted.add(btf, name, pointers) {
            missing.push(name.to_owned());
        }
    };
    // The callback's type lies behind a pointer, its arguments' behind another.
    add(OOM.ops, 2);
    if without != Some(OOM.ops) {
        add(&format!("bpf_struct_ops_{}", OOM.ops), 1);
    }
    for (name, pointers) in STRUCTS {
        add(name, (*pointers).min(pointers_max));
    }
    for name in ENUMS {
        add(name, 0);
    }
    for row in KFUNCS {
        add(row.name, 1);
    }
    (wanted, missing)
}
