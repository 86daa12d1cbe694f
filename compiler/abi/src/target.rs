//! THE table of targets: what a policy's program is on a kernel with the hook, and on one without it.
//!
//! One policy becomes one object with a program for each row. What the rows differ in is said here and nowhere else:
//! code generation, loader and simulator ask the row. Knows no construct of the language.

use crate::hooks::OOM;
use crate::kfuncs::{self, KfuncId};
use crate::members::Member;
use crate::{maps, members};

/// Which kernel a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// One that asks the policy itself, when memory has run out.
    Hook,
    /// One without it, 6.12 or later (the functions are there from 6.10 on, but no such kernel was tried): user space asks,
    /// and carries out what the policy says.
    Asked,
}

/// How the memory controller's numbers of a cgroup are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// By the controller's functions: a cgroup is held by a reference on its `mem_cgroup`, and a walk starts there.
    Functions,
    /// By members: a cgroup is held by a reference on its `cgroup`, and what is read of its `mem_cgroup` is found
    /// through the array of its controllers. A walk visits cgroups of the unified hierarchy; those without the
    /// controller are part of the next one above that has it.
    Members,
}

/// What is counted for a cgroup and everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// An amount of memory, or an event, of `node_stat_item` and `memcg_stat_item`.
    Stat,
    /// An event of `vm_event_item`.
    VmEvent,
    /// An event of `memcg_memory_event`.
    MemoryEvent,
}

/// Where counters lie that are read by members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counters {
    /// In an array behind [`members::MEMCG_STATISTICS`], at the place that a table of the kernel gives: bytes, one for
    /// each enumerator.
    Table {
        /// The table, a variable found in kallsyms.
        table: &'static str,
        /// The array.
        array: Member,
    },
    /// In an array of the `mem_cgroup` itself, by the enumerator.
    Array(Member),
}

/// An entry of a table without a counter (`BAD_STAT_IDX`, `mm/memcontrol.c`, 6.12).
pub const NO_ENTRY: i64 = 0xff;

impl Statistic {
    /// The function that gives it.
    #[must_use]
    pub fn function(self) -> KfuncId {
        match self {
            Self::Stat => kfuncs::MEM_CGROUP_PAGE_STATE,
            Self::VmEvent => kfuncs::MEM_CGROUP_VM_EVENTS,
            Self::MemoryEvent => kfuncs::MEM_CGROUP_MEMORY_EVENTS,
        }
    }

    /// Where it lies without that.
    #[must_use]
    pub fn by_members(self) -> Counters {
        match self {
            Self::Stat => Counters::Table { table: members::STATS_INDEX, array: members::STATISTICS_STATE },
            Self::VmEvent => {
                Counters::Table { table: members::EVENTS_INDEX, array: members::STATISTICS_EVENTS }
            }
            Self::MemoryEvent => Counters::Array(members::MEMCG_MEMORY_EVENTS),
        }
    }
}

/// What a counter that is read by members counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Events, or bytes.
    One,
    /// Kibibytes.
    KiB,
    /// Pages.
    Pages,
}

/// The unit of a counter by its enumerator, as `memcg_page_state_output_unit()` has it (`mm/memcontrol.c`, 6.12).
#[must_use]
pub fn unit_of(enumerator: &str) -> Unit {
    let events =
        ["WORKINGSET_", "PG", "MEMCG_MAX", "MEMCG_OOM", "MEMCG_LOW", "MEMCG_HIGH", "ALLOCSTALL", "THP_"];
    match enumerator {
        "NR_KERNEL_STACK_KB" | "MEMCG_KMEM_KB" => Unit::KiB,
        name if name.ends_with("_B") || events.iter().any(|prefix| name.starts_with(prefix)) => Unit::One,
        _ => Unit::Pages,
    }
}

/// How the event reaches the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// As an `oom_control`, the first argument of the callback; the second one tells what it is attached to.
    Control,
    /// As a question in a map ([`crate::request`]).
    Question,
}

/// Who carries out what a policy decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// The program, by functions of the kernel.
    Itself,
    /// User space: the program says what is to be done ([`crate::request`]).
    Says,
}

/// What holds of a program.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its section in the object.
    pub section: &'static str,
    /// Its symbol.
    pub program: &'static str,
    /// Prefix of the symbols of functions that only this program calls.
    pub prefix: &'static str,
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// The structure of which a reference is held for a cgroup.
    pub handle: &'static str,
    /// How its memory is reached.
    pub memory: Memory,
    /// How the event reaches it.
    pub event: Event,
    /// Who acts.
    pub acts: Acts,
    /// The global in which it works: programs of two targets never run in the same one, because nothing keeps one from
    /// running while the other does.
    pub scratch: &'static str,
    /// What one kill of a large policy needs.
    pub local: &'static str,
    /// What a selection of `all` has found.
    pub found: &'static str,
    /// The kernels that it runs on, for people.
    pub kernels: &'static str,
}

/// `BPF_PROG_TYPE_STRUCT_OPS` (`include/uapi/linux/bpf.h`, 6.12).
const STRUCT_OPS: u32 = 27;
/// `BPF_PROG_TYPE_SYSCALL`.
const SYSCALL: u32 = 31;

static HOOK: Row = Row {
    section: "struct_ops.s/handle_out_of_memory",
    program: OOM.callback,
    prefix: "",
    kind: STRUCT_OPS,
    handle: members::MEMCG,
    memory: Memory::Functions,
    event: Event::Control,
    acts: Acts::Itself,
    scratch: maps::SCRATCH,
    local: maps::LOCAL,
    found: maps::FOUND,
    kernels: "kernels with `bpf_oom_ops`: when memory has run out",
};

static ASKED: Row = Row {
    section: "syscall",
    program: "decide",
    prefix: "decide_",
    kind: SYSCALL,
    handle: members::CGROUP,
    memory: Memory::Members,
    event: Event::Question,
    acts: Acts::Says,
    scratch: maps::ASKED,
    local: maps::ASKED_LOCAL,
    found: maps::ASKED_FOUND,
    kernels: "Linux 6.12 and later, asked by `oomc run`: before memory has run out",
};

impl Target {
    /// All of them, in the order of their programs in an object.
    pub const ALL: [Self; 2] = [Self::Hook, Self::Asked];

    /// What holds of it.
    #[must_use]
    pub fn row(self) -> &'static Row {
        match self {
            Self::Hook => &HOOK,
            Self::Asked => &ASKED,
        }
    }

    /// The target whose program stands in a section.
    #[must_use]
    pub fn of_section(section: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.row().section == section)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_the_units_of_memory_stat() {
        let units = [
            "NR_ANON_MAPPED",
            "NR_SLAB_RECLAIMABLE_B",
            "MEMCG_KMEM",
            "WORKINGSET_REFAULT_FILE",
            "PGSCAN_DIRECT",
        ];
        let units = units.map(unit_of);
        assert_eq!(units, [Unit::Pages, Unit::One, Unit::Pages, Unit::One, Unit::One]);
        assert_eq!([unit_of("MEMCG_OOM_KILL"), unit_of("NR_KERNEL_STACK_KB")], [Unit::One, Unit::KiB]);
    }

    #[test]
    fn a_program_is_found_by_its_section() {
        for target in Target::ALL {
            assert_eq!(Target::of_section(target.row().section), Some(target));
        }
        assert_eq!(Target::of_section("kprobe/x"), None);
        assert_eq!(HOOK.section.strip_prefix("struct_ops.s/"), Some(OOM.callback));
    }
}
