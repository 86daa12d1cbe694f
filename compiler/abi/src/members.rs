//! THE table of kernel members, enumerators and variables that generated code reads besides the fields of
//! the language.
//!
//! Code generation names them by their rows; `tests/abi.rs` looks each row up in each kernel's BTF.

/// A member by its C names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// The structure it is read from.
    pub container: &'static str,
    /// Path from there; `->` is a pointer that is followed.
    pub path: &'static str,
}

/// The structure of a process, and of each thread.
pub const TASK: &str = "task_struct";
/// The structure of a memory cgroup.
pub const MEMCG: &str = "mem_cgroup";
/// The structure of a cgroup.
pub const CGROUP: &str = "cgroup";
/// The structure of an OOM event.
pub const EVENT: &str = "oom_control";
/// The structure of a cgroup's pressure.
pub const PSI: &str = "psi_group";
/// The structure of an address space.
pub const MM: &str = "mm_struct";
/// The structure of the cgroups that a task is in.
pub const CSS_SET: &str = "css_set";
/// The structure of a link of a struct_ops.
pub const LINK: &str = "bpf_struct_ops_link";
/// What bpf(2) is asked by (`include/uapi/linux/bpf.h`, 6.12).
pub const BPF_ATTR: &str = "bpf_attr";
/// The structure of a list's links: two pointers.
pub const LIST: &str = "list_head";

macro_rules! members {
    ($( $(#[doc = $doc:literal])* $id:ident = $container:literal, $path:literal; )*) => {
        $( $(#[doc = $doc])* pub const $id: Member = Member { container: $container, path: $path }; )*
        /// All rows.
        pub const ALL: &[Member] = &[$($id),*];
    };
}

members! {
    /// The cgroup whose limit was hit; null in a system-wide OOM (`include/linux/oom.h`, 6.12).
    OC_MEMCG = "oom_control", "memcg";
    /// The order of the allocation; -1 when an administrator asked by SysRq (`include/linux/oom.h`, 6.12).
    OC_ORDER = "oom_control", "order";
    /// What the event's domain may use, in pages (`include/linux/oom.h`, 6.12).
    OC_TOTAL = "oom_control", "totalpages";
    /// The id of a cgroup: the inode number of its directory (`include/linux/kernfs.h`, 6.12).
    CGROUP_ID = "cgroup", "kn->id";
    /// A cgroup's node in cgroupfs (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_NODE = "cgroup", "kn";
    /// The css of the cgroup itself (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_SELF = "cgroup", "self";
    /// What the cgroup has of each controller; null where one is switched off (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_CONTROLLERS = "cgroup", "subsys";
    /// A bit for each controller that the cgroups below have (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_CONTROLLERS_BELOW = "cgroup", "subtree_ss_mask";
    /// Cgroups below, without those that were removed (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_DESCENDANTS = "cgroup", "nr_descendants";
    /// The counters of a memcg (`mm/memcontrol.c`, 6.12).
    MEMCG_STATISTICS = "mem_cgroup", "vmstats";
    /// Those of `memory.stat` (`mm/memcontrol.c`, 6.12).
    STATISTICS_STATE = "memcg_vmstats", "state";
    /// Those of events such as page faults (`mm/memcontrol.c`, 6.12).
    STATISTICS_EVENTS = "memcg_vmstats", "events";
    /// Those of `memory.events` (`include/linux/memcontrol.h`, 6.12).
    MEMCG_MEMORY_EVENTS = "mem_cgroup", "memory_events";
    /// A node's name (`include/linux/kernfs.h`, 6.12).
    NODE_NAME = "kernfs_node", "name";
    /// The id of the cgroup that a css belongs to.
    CSS_CGROUP_ID = "cgroup_subsys_state", "cgroup->kn->id";
    /// The cgroup that a css belongs to (`include/linux/cgroup-defs.h`, 6.12).
    CSS_CGROUP = "cgroup_subsys_state", "cgroup";
    /// How far from the root the cgroup of a css is.
    CSS_LEVEL = "cgroup_subsys_state", "cgroup->level";
    /// Bits such as `CSS_ONLINE` (`include/linux/cgroup-defs.h`, 6.12).
    CSS_FLAGS = "cgroup_subsys_state", "flags";
    /// The css above; null at the root (`include/linux/cgroup-defs.h`, 6.12).
    CSS_PARENT = "cgroup_subsys_state", "parent";
    /// Grows with each css that is created (`include/linux/cgroup-defs.h`, 6.12).
    CSS_SERIAL = "cgroup_subsys_state", "serial_nr";
    /// The css inside a memcg, its first member (`include/linux/memcontrol.h`, 6.12).
    MEMCG_CSS = "mem_cgroup", "css";
    /// The cgroup of a memcg.
    MEMCG_CGROUP = "mem_cgroup", "css.cgroup";
    /// The id of the cgroup of a memcg.
    MEMCG_ID = "mem_cgroup", "css.cgroup->kn->id";
    /// How far from the root the cgroup of a memcg is.
    MEMCG_LEVEL = "mem_cgroup", "css.cgroup->level";
    /// The css above; null at the root.
    MEMCG_PARENT = "mem_cgroup", "css.parent";
    /// Grows with each css that is created.
    MEMCG_SERIAL = "mem_cgroup", "css.serial_nr";
    /// `memory.max`, in pages (`include/linux/page_counter.h`, 6.12).
    MEMCG_MAX = "mem_cgroup", "memory.max";
    /// `memory.current`, in pages (`include/linux/page_counter.h`, 6.12).
    MEMCG_USAGE = "mem_cgroup", "memory.usage.counter";
    /// `memory.swap.max`, in pages (`include/linux/memcontrol.h`, 6.12).
    MEMCG_SWAP_MAX = "mem_cgroup", "swap.max";
    /// Pressure of the cgroup; null where it is not measured (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_PSI = "cgroup", "psi";
    /// The cgroups of a process, of all hierarchies (`include/linux/sched.h`, 6.12).
    TASK_CGROUPS = "task_struct", "cgroups";
    /// The one in the unified hierarchy (`include/linux/cgroup-defs.h`, 6.12).
    CSS_SET_CGROUP = "css_set", "dfl_cgrp";
    /// Of each controller, the sets of cgroups whose tasks count with this cgroup (`include/linux/cgroup-defs.h`, 6.12).
    CGROUP_TASK_SETS = "cgroup", "e_csets";
    /// By which such a set hangs in that list, for each controller (`include/linux/cgroup-defs.h`, 6.12).
    CSS_SET_NODES = "css_set", "e_cset_node";
    /// Tasks of the set that have exited and are still there (`include/linux/cgroup-defs.h`, 6.12).
    CSS_SET_DYING = "css_set", "dying_tasks";
    /// The first of them, or the list itself.
    CSS_SET_FIRST_DYING = "css_set", "dying_tasks.next";
    /// What comes behind in a list (`include/linux/types.h`, 6.12).
    LIST_NEXT = "list_head", "next";
    /// A node's number: the inode number of its directory (`include/linux/kernfs.h`, 6.12).
    NODE_ID = "kernfs_node", "id";
    /// `memory.oom.group` (`include/linux/memcontrol.h`, 6.12).
    MEMCG_OOM_GROUP = "mem_cgroup", "oom_group";
    /// Who uses the address space: threads, and others that share it (`include/linux/mm_types.h`, 6.12).
    MM_USERS = "mm_struct", "mm_users.counter";
    /// Set while the process dumps core (`include/linux/sched/signal.h`, 6.12).
    SIGNAL_CORE_STATE = "signal_struct", "core_state";
    /// Bits such as `SIGNAL_GROUP_EXIT` (`include/linux/sched/signal.h`, 6.12).
    SIGNAL_FLAGS = "signal_struct", "flags";
    /// Threads that have not exited (`include/linux/sched/signal.h`, 6.12).
    SIGNAL_LIVE = "signal_struct", "live.counter";
    /// Threads that are still listed (`include/linux/sched/signal.h`, 6.12).
    SIGNAL_THREADS = "signal_struct", "nr_threads";
    /// The address space of an OOM killer's victim, else null (`include/linux/sched/signal.h`, 6.12).
    SIGNAL_OOM_MM = "signal_struct", "oom_mm";
    /// The command name (`include/linux/sched.h`, 6.12).
    TASK_COMM = "task_struct", "comm";
    /// Bits such as `PF_EXITING` (`include/linux/sched.h`, 6.12).
    TASK_FLAGS = "task_struct", "flags";
    /// The address space; null once it was given up (`include/linux/sched.h`, 6.12).
    TASK_MM = "task_struct", "mm";
    /// What the threads of a process share (`include/linux/sched.h`, 6.12).
    TASK_SIGNAL = "task_struct", "signal";
    /// Threads of the process that have not exited.
    TASK_LIVE = "task_struct", "signal->live.counter";
    /// `oom_score_adj` of the process.
    TASK_OOM_SCORE_ADJ = "task_struct", "signal->oom_score_adj";
    /// When the task started, by the boot clock, in nanoseconds (`include/linux/sched.h`, 6.12).
    TASK_START = "task_struct", "start_boottime";
    /// The process id, in the initial namespace (`include/linux/sched.h`, 6.12).
    TASK_PID = "task_struct", "tgid";
    /// The thread that made it, or that it was left to (`include/linux/sched.h`, 6.12).
    TASK_REAL_PARENT = "task_struct", "real_parent";
    /// The leader of a thread's process.
    TASK_LEADER = "task_struct", "group_leader";
    /// Its numbers in the PID namespaces; null once it was waited for (`include/linux/sched.h`, 6.12).
    TASK_THREAD_PID = "task_struct", "thread_pid";
    /// How many namespaces lie around the innermost one (`include/linux/pid.h`, 6.12).
    PID_LEVEL = "pid", "level";
    /// One number for each namespace, the outermost first.
    PID_NUMBERS = "pid", "numbers";
    /// The number of the thread, in the initial namespace (`include/linux/sched.h`, 6.12).
    TASK_THREAD_ID = "task_struct", "pid";
}

/// An enumerator by its C names; its value is the target kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Enumerator {
    /// The enum's tag.
    pub enumeration: &'static str,
    /// The enumerator.
    pub name: &'static str,
}

const fn order(name: &'static str) -> Enumerator {
    Enumerator { enumeration: "bpf_cgroup_iter_order", name }
}

/// A walk down, parents first (`include/uapi/linux/bpf.h`, 6.12).
pub const WALK_PRE: Enumerator = order("BPF_CGROUP_ITER_DESCENDANTS_PRE");
/// A walk down, children first.
pub const WALK_POST: Enumerator = order("BPF_CGROUP_ITER_DESCENDANTS_POST");
/// A walk up to the root.
pub const WALK_UP: Enumerator = order("BPF_CGROUP_ITER_ANCESTORS_UP");
/// The orders of a walk over cgroups.
pub const WALKS: &[Enumerator] = &[WALK_PRE, WALK_POST, WALK_UP];

/// The memory controller among the controllers (`include/linux/cgroup-defs.h`, 6.12).
pub const MEMORY_CONTROLLER: Enumerator =
    Enumerator { enumeration: "cgroup_subsys_id", name: "memory_cgrp_id" };

/// The enum whose enumerator [`crate::hooks::Hook::generic_attach`] tells the attach mechanism.
pub const ATTACH_TYPES: &str = "cgroup_bpf_attach_type";

/// The machine's pages, a variable found in kallsyms (`mm/page_alloc.c`, 6.12).
pub const TOTAL_PAGES: &str = "_totalram_pages";
/// The machine's pages of swap (`mm/swapfile.c`, 6.12).
pub const SWAP_PAGES: &str = "total_swap_pages";
/// Those that are free (`mm/swapfile.c`, 6.12).
pub const FREE_SWAP_PAGES: &str = "nr_swap_pages";
/// Counters of all zones together, in pages (`mm/vmstat.c`, 6.12).
pub const ZONE_COUNTERS: &str = "vm_zone_stat";
/// Counters of all nodes together, in pages, those of slabs too (`mm/vmstat.c`, 6.12).
pub const NODE_COUNTERS: &str = "vm_node_stat";
/// Where each counter of `memory.stat` lies among those of a memcg, a byte each (`mm/memcontrol.c`, 6.12).
pub const STATS_INDEX: &str = "mem_cgroup_stats_index";
/// Where each event of `memory.stat` lies (`mm/memcontrol.c`, 6.12).
pub const EVENTS_INDEX: &str = "mem_cgroup_events_index";

/// Variables that are found in kallsyms, each with how many words of it may be read.
pub const VARIABLES: &[(&str, u32)] = &[
    (TOTAL_PAGES, 1),
    (SWAP_PAGES, 1),
    (FREE_SWAP_PAGES, 1),
    (ZONE_COUNTERS, VARIABLE_WORDS),
    (NODE_COUNTERS, VARIABLE_WORDS),
    (STATS_INDEX, VARIABLE_WORDS),
    (EVENTS_INDEX, VARIABLE_WORDS),
];

/// Words of an array of counters that may be read: more than there are of any.
pub const VARIABLE_WORDS: u32 = 64;

/// Bytes of a table with one for each enumerator.
pub const TABLE_BYTES: u32 = VARIABLE_WORDS * 8;
