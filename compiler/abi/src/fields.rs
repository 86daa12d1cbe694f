//! THE table of fields: one row per surface name, with its unit, its meaning and how it is read.
//!
//! Checker, code generator, hover and book read the same row. A kernel member is named here once, by its
//! C path; [`crate::resolve`] finds it in a BTF. A field that is one of the kernel's counters of a cgroup has its row in
//! the table of amounts ([`crate::amounts`]).

use crate::{amounts, members};

/// What a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// A process.
    Process,
    /// A cgroup.
    Cgroup,
    /// The OOM event itself.
    Event,
    /// The whole machine.
    Machine,
}

impl Owner {
    /// Its word in the language.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Cgroup => "cgroup",
            Self::Event => "oom",
            Self::Machine => "machine",
        }
    }
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Bytes, signed 64 bits.
    Bytes,
    /// A plain number.
    Count,
    /// Parts per million.
    Ratio,
    /// Nanoseconds.
    Duration,
    /// Yes or no.
    Bool,
    /// A string.
    Text,
}

/// The name by which callers that are being moved still know it.
pub use Measure as Unit;

impl Measure {
    /// As people read it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "number",
            Self::Ratio => "percent",
            Self::Duration => "duration",
            Self::Bool => "yes or no",
            Self::Text => "text",
        }
    }
}

/// What a number read from a member is multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Nothing.
    One,
    /// The page size, saturating; the member counts pages.
    Pages,
}

/// One summand of a process's memory, read from its `mm_struct`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmTerm {
    /// Path of the signed counter inside `mm_struct`. Clamped at 0: per-CPU batches can make it negative.
    pub path: &'static str,
    /// Unit of the counter.
    pub scale: Scale,
}

/// One summand of a cgroup's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatTerm {
    /// Subtract instead of add.
    pub negative: bool,
    /// The enum that holds the index.
    pub enumeration: &'static str,
    /// The enumerator, resolved from BTF: indices move between builds.
    pub enumerator: &'static str,
}

/// One summand of what the machine has: a variable of the kernel that counts pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MachineTerm {
    /// The variable, one of [`crate::members::VARIABLES`].
    pub variable: &'static str,
    /// Of an array, the enum and its enumerator that is the index.
    pub index: Option<(&'static str, &'static str)>,
}

/// How a field is read. The structure meant by a path is the owner's: `task_struct`, `mem_cgroup` or `oom_control`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipe {
    /// A member that is always there.
    Member {
        /// C path from the owner's structure, through pointers.
        path: &'static str,
        /// Multiplier.
        scale: Scale,
    },
    /// Sum over the process's `mm_struct`. Without one: missing if threads still live, 0 otherwise.
    Mm(&'static [MmTerm]),
    /// The sum in pages, moved by `oom_score_adj` thousandths of what the event's domain may use.
    Badness(&'static [MmTerm]),
    /// Sum of statistics (`bpf_mem_cgroup_page_state`, after one flush per event).
    Stat(&'static [StatTerm]),
    /// `memory.usage`; at the root, which has no counter of its own, the sum of the statistics.
    Usage(&'static [StatTerm]),
    /// `memory.usage` less the sum of the statistics, at least 0.
    UsageLess(&'static [StatTerm]),
    /// Sum of event counters (`bpf_mem_cgroup_vm_events`, after one flush per event).
    VmEvents(&'static [StatTerm]),
    /// A counter of memory.events, everything below included (`bpf_mem_cgroup_memory_events`).
    MemoryEvents(StatTerm),
    /// A running average of pressure: the share of time in which something, or everything, stood still.
    Pressure {
        /// Index into `psi_group.avg`: the state, then the window.
        state: u32,
        /// 0: ten seconds, 1: a minute, 2: five minutes.
        window: u32,
    },
    /// Sum of variables of the kernel, in pages, each at least 0.
    Machine(&'static [MachineTerm]),
    /// The smallest `memory.swap.max` from the cgroup up to the root.
    SwapLimit,
    /// The smallest `memory.max` from the cgroup up to the root, clamped to the machine's memory.
    Limit,
    /// Processes in the whole subtree.
    NrProcesses,
    /// No online child in the memory controller's tree.
    IsLeaf,
    /// Chosen by an OOM killer, or exiting as a whole.
    Dying,
    /// Boot clock minus `start_boottime`.
    Age,
    /// The process's number in its innermost PID namespace.
    NsPid,
    /// `task_struct.comm`.
    Comm,
    /// The cgroup's last path component.
    Name,
    /// The cgroup's path from the mount.
    Path,
    /// `memcg` where a cgroup's limit was hit, else `system`.
    Scope,
    /// What the policy is asked about: `oom` where the kernel asks, otherwise what woke whoever does.
    Trigger,
    /// An enumerator of the event, as a word of the language.
    Word {
        /// C path from the event's structure.
        path: &'static str,
        /// The enum's tag.
        enumeration: &'static str,
        /// Each enumerator with its word.
        words: &'static [(&'static str, &'static str)],
    },
}

impl Recipe {
    /// Whether it is an amount of memory of its owner's own: never negative, and far below the largest number.
    #[must_use]
    pub fn is_amount(&self) -> bool {
        matches!(self, Self::Mm(_) | Self::Stat(_) | Self::UsageLess(_))
    }

    /// The words that a field's text can be, if there are only these.
    #[must_use]
    pub fn words(&self) -> Option<Vec<&'static str>> {
        match self {
            Self::Scope => Some(SCOPES.to_vec()),
            Self::Trigger => Some(crate::request::TRIGGERS.to_vec()),
            Self::Word { words, .. } => Some(words.iter().map(|(_, word)| *word).collect()),
            _ => None,
        }
    }
}

/// What a shortage of memory is about: a cgroup's limit, or the whole machine. [`Recipe::Scope`] is an index.
pub const SCOPES: [&str; 2] = ["memcg", "system"];

/// A row: one field of the language.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// What it belongs to.
    pub owner: Owner,
    /// Surface name.
    pub name: &'static str,
    /// The unit of its value.
    pub unit: Measure,
    /// The field that a bare percent beside it is taken of.
    pub base: Option<&'static str>,
    /// When its value is missing; empty: never.
    pub missing: &'static str,
    /// How it is read.
    pub recipe: Recipe,
    /// Meaning, for hover and book.
    pub doc: &'static str,
    /// The kernel source it rests on (6.12).
    pub source: &'static str,
}

/// A row of [`FIELDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(u16);

impl FieldId {
    /// The row.
    #[must_use]
    pub fn row(self) -> &'static Field {
        #[expect(clippy::indexing_slicing, reason = "ids are made from the table's own positions")]
        &FIELDS[usize::from(self.0)]
    }
}

/// The field of this name, if its owner has one.
#[must_use]
pub fn find(owner: Owner, name: &str) -> Option<FieldId> {
    FIELDS.iter().position(|row| row.owner == owner && row.name == name).map(|at| FieldId(at as u16))
}

/// All ids, in the table's order.
pub fn all() -> impl Iterator<Item = FieldId> {
    (0..FIELDS.len()).map(|at| FieldId(at as u16))
}

const fn pages(path: &'static str) -> MmTerm {
    MmTerm { path, scale: Scale::Pages }
}

const fn node(enumerator: &'static str) -> StatTerm {
    StatTerm { negative: false, enumeration: "node_stat_item", enumerator }
}

const fn memcg(enumerator: &'static str) -> StatTerm {
    StatTerm { negative: false, enumeration: "memcg_stat_item", enumerator }
}

// Indices of enum MM_FILEPAGES…: `rss_stat` is an array of per-CPU counters.
const RSS_FILE: MmTerm = pages("rss_stat[0].count");
const RSS_ANON: MmTerm = pages("rss_stat[1].count");
const RSS_SWAP: MmTerm = pages("rss_stat[2].count");
const RSS_SHMEM: MmTerm = pages("rss_stat[3].count");
const PGTABLES: MmTerm = MmTerm { path: "pgtables_bytes.counter", scale: Scale::One };

// States of `enum psi_states` (include/linux/psi_types.h, 6.12), each with three windows in `psi_group.avg`.
const PSI_MEM_SOME: u32 = 2;
const PSI_MEM_FULL: u32 = 3;

const NO_PRESSURE: &str = "the kernel does not measure pressure, or not of this cgroup";
const LEADER_GONE: &str = "the process's leader has exited and other threads live";
pub(crate) const NO_STAT: &str = "the kernel does not count it";

const fn variable(variable: &'static str) -> MachineTerm {
    MachineTerm { variable, index: None }
}

const fn counter(variable: &'static str, enumeration: &'static str, enumerator: &'static str) -> MachineTerm {
    MachineTerm { variable, index: Some((enumeration, enumerator)) }
}

/// All rows: [`OTHERS`], and behind them those of the table of amounts.
#[expect(clippy::indexing_slicing, reason = "in a constant, an index beyond the end does not compile")]
pub static FIELDS: &[Field] = &{
    let mut all = [OTHERS[0]; OTHERS.len() + amounts_with_field()];
    let mut filled = 0;
    while filled < OTHERS.len() {
        all[filled] = OTHERS[filled];
        filled += 1;
    }
    let mut row = 0;
    while row < amounts::ROWS.len() {
        if let Some(field) = amounts::ROWS[row].field {
            all[filled] = field;
            filled += 1;
        }
        row += 1;
    }
    all
};

/// How many rows of the table of amounts are fields.
#[expect(clippy::indexing_slicing, reason = "in a constant, an index beyond the end does not compile")]
const fn amounts_with_field() -> usize {
    let (mut count, mut row) = (0, 0);
    while row < amounts::ROWS.len() {
        count += amounts::ROWS[row].field.is_some() as usize;
        row += 1;
    }
    count
}

/// Fields that are not one amount alone: of processes, then of cgroups, then of the event.
const OTHERS: &[Field] = &[
    Field {
        owner: Owner::Process,
        name: "footprint",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_FILE, RSS_ANON, RSS_SHMEM, RSS_SWAP, PGTABLES]),
        doc: "resident memory, swap and page tables: the size by which the kernel's own killer compares",
        source: "oom_badness(), mm/oom_kill.c",
    },
    Field {
        owner: Owner::Process,
        name: "rss",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_FILE, RSS_ANON, RSS_SHMEM]),
        doc: "resident memory: anonymous, file and shared pages",
        source: "get_mm_rss(), include/linux/mm.h",
    },
    Field {
        owner: Owner::Process,
        name: "anon",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_ANON]),
        doc: "resident anonymous memory",
        source: "MM_ANONPAGES, include/linux/mm_types_task.h",
    },
    Field {
        owner: Owner::Process,
        name: "file",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_FILE]),
        doc: "resident file pages",
        source: "MM_FILEPAGES, include/linux/mm_types_task.h",
    },
    Field {
        owner: Owner::Process,
        name: "shmem",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_SHMEM]),
        doc: "resident shared memory and tmpfs pages",
        source: "MM_SHMEMPAGES, include/linux/mm_types_task.h",
    },
    Field {
        owner: Owner::Process,
        name: "swap",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[RSS_SWAP]),
        doc: "memory that was swapped out",
        source: "MM_SWAPENTS, include/linux/mm_types_task.h",
    },
    Field {
        owner: Owner::Process,
        name: "badness",
        unit: Measure::Count,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Badness(&[RSS_FILE, RSS_ANON, RSS_SHMEM, RSS_SWAP, PGTABLES]),
        doc: "the kernel's own score: the footprint in pages, plus oom_score_adj thousandths of the domain's memory",
        source: "oom_badness(), mm/oom_kill.c",
    },
    Field {
        owner: Owner::Process,
        name: "oom_score_adj",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "signal->oom_score_adj", scale: Scale::One },
        doc: "the administrator's adjustment, -1000 to 1000; -1000 exempts",
        source: "struct signal_struct, include/linux/sched/signal.h",
    },
    Field {
        owner: Owner::Process,
        name: "comm",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Comm,
        doc: "the command name, at most 15 bytes",
        source: "struct task_struct, include/linux/sched.h",
    },
    Field {
        owner: Owner::Process,
        name: "pid",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "tgid", scale: Scale::One },
        doc: "the process id, seen from the initial PID namespace",
        source: "struct task_struct, include/linux/sched.h",
    },
    Field {
        owner: Owner::Process,
        name: "ppid",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "real_parent->tgid", scale: Scale::One },
        doc: "the process id of the process that made this one, or that it was left to: short for `parent.pid`",
        source: "task_struct.real_parent, include/linux/sched.h",
    },
    Field {
        owner: Owner::Process,
        name: "ns_pid",
        unit: Measure::Count,
        base: None,
        missing: "the process's leader was waited for",
        recipe: Recipe::NsPid,
        doc: "the process id, seen from its innermost PID namespace: a container's init has 1",
        source: "pid_nr_ns(), kernel/pid.c",
    },
    Field {
        owner: Owner::Process,
        name: "uid",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "real_cred->uid.val", scale: Scale::One },
        doc: "the real user id, seen from the initial user namespace",
        source: "struct cred, include/linux/cred.h",
    },
    Field {
        owner: Owner::Process,
        name: "age",
        unit: Measure::Duration,
        base: None,
        missing: "",
        recipe: Recipe::Age,
        doc: "time since the process started, suspended time included",
        source: "task_struct.start_boottime, include/linux/sched.h",
    },
    Field {
        owner: Owner::Process,
        name: "dying",
        unit: Measure::Bool,
        base: None,
        missing: "",
        recipe: Recipe::Dying,
        doc: "chosen by an OOM killer, or already exiting",
        source: "tsk_is_oom_victim(), include/linux/oom.h; SIGNAL_GROUP_EXIT",
    },
    Field {
        owner: Owner::Process,
        name: "pgtables",
        unit: Measure::Bytes,
        base: None,
        missing: LEADER_GONE,
        recipe: Recipe::Mm(&[PGTABLES]),
        doc: "page tables",
        source: "mm_struct.pgtables_bytes, include/linux/mm_types.h",
    },
    Field {
        owner: Owner::Process,
        name: "nr_threads",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "signal->nr_threads", scale: Scale::One },
        doc: "threads, those that exited but were not yet waited for included",
        source: "struct signal_struct, include/linux/sched/signal.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "usage",
        unit: Measure::Bytes,
        base: Some("limit"),
        missing: "",
        recipe: Recipe::Usage(&[node("NR_ANON_MAPPED"), node("NR_FILE_PAGES")]),
        doc: "memory charged to the cgroup and everything below it; at the root, the machine's anon + file",
        source: "memory.current; mem_cgroup.memory, include/linux/memcontrol.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "limit",
        unit: Measure::Bytes,
        base: None,
        missing: "no limit is set and the machine's memory is unknown",
        recipe: Recipe::Limit,
        doc: "the smallest memory.max from the cgroup up to the root, at most the machine's memory",
        source: "mem_cgroup.memory.max; _totalram_pages, mm/page_alloc.c",
    },
    Field {
        owner: Owner::Cgroup,
        name: "own_limit",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "memory.max", scale: Scale::Pages },
        doc: "the cgroup's own memory.max; without a limit, larger than any amount",
        source: "struct page_counter, include/linux/page_counter.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "unreclaimable",
        unit: Measure::Bytes,
        base: Some("limit"),
        missing: NO_STAT,
        recipe: Recipe::Stat(&[
            node("NR_ANON_MAPPED"),
            node("NR_SHMEM"),
            memcg("MEMCG_KMEM"),
            StatTerm { negative: true, ..node("NR_SLAB_RECLAIMABLE_B") },
        ]),
        doc: "anon + shmem + kernel - slab_reclaimable: what only a kill or swap can free",
        source: "memory.stat, mm/memcontrol.c",
    },
    Field {
        owner: Owner::Cgroup,
        name: "nr_processes",
        unit: Measure::Count,
        base: None,
        missing: "a walk could not start",
        recipe: Recipe::NrProcesses,
        doc: "processes in the cgroup and everything below it",
        source: "cgroup.procs",
    },
    Field {
        owner: Owner::Cgroup,
        name: "oom_group",
        unit: Measure::Bool,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "oom_group", scale: Scale::One },
        doc: "memory.oom.group: the kernel kills the whole cgroup together",
        source: "struct mem_cgroup, include/linux/memcontrol.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "id",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "css.cgroup->kn->id", scale: Scale::One },
        doc: "the cgroup's id: the inode number of its directory",
        source: "struct kernfs_node, include/linux/kernfs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "name",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Name,
        doc: "the last component of the cgroup's path; empty for the root",
        source: "struct kernfs_node, include/linux/kernfs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "is_leaf",
        unit: Measure::Bool,
        base: None,
        missing: "",
        recipe: Recipe::IsLeaf,
        doc: "no online child in the memory controller's tree",
        source: "css_next_child(), kernel/cgroup/cgroup.c",
    },
    Field {
        owner: Owner::Cgroup,
        name: "age_rank",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "css.serial_nr", scale: Scale::One },
        doc: "order of creation: newer is larger",
        source: "struct cgroup_subsys_state, include/linux/cgroup-defs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "high",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "memory.high", scale: Scale::Pages },
        doc: "memory.high; where it is not set, larger than any amount",
        source: "struct page_counter, include/linux/page_counter.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "low",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "memory.low", scale: Scale::Pages },
        doc: "memory.low: what reclaim spares as long as it can",
        source: "struct page_counter, include/linux/page_counter.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "min",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "memory.min", scale: Scale::Pages },
        doc: "memory.min: what reclaim never takes",
        source: "struct page_counter, include/linux/page_counter.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "swap",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "swap.usage.counter", scale: Scale::Pages },
        doc: "memory of the cgroup and everything below it that was swapped out",
        source: "struct page_counter, include/linux/page_counter.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "depth",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "css.cgroup->level", scale: Scale::One },
        doc: "steps from the root, which has 0",
        source: "struct cgroup, include/linux/cgroup-defs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "nr_descendants",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "css.cgroup->nr_descendants", scale: Scale::One },
        doc: "cgroups below, without those that were removed",
        source: "struct cgroup, include/linux/cgroup-defs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "nr_dying_descendants",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "css.cgroup->nr_dying_descendants", scale: Scale::One },
        doc: "cgroups below that were removed and still hold charges",
        source: "struct cgroup, include/linux/cgroup-defs.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "swap_limit",
        unit: Measure::Bytes,
        base: None,
        missing: "no memory.swap.max is set",
        recipe: Recipe::SwapLimit,
        doc: "the smallest memory.swap.max from the cgroup up to the root",
        source: "mem_cgroup.swap.max, include/linux/memcontrol.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "working_set",
        unit: Measure::Bytes,
        base: Some("limit"),
        missing: NO_STAT,
        recipe: Recipe::UsageLess(&[node("NR_INACTIVE_FILE")]),
        doc: "usage without the file pages that were not used lately",
        source: "memory.stat inactive_file, mm/memcontrol.c",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.some.avg10",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_SOME, window: 0 },
        doc: "share of the last ten seconds in which at least one task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.some.avg60",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_SOME, window: 1 },
        doc: "share of the last minute in which at least one task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.some.avg300",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_SOME, window: 2 },
        doc: "share of the last five minutes in which at least one task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.full.avg10",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_FULL, window: 0 },
        doc: "share of the last ten seconds in which every task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.full.avg60",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_FULL, window: 1 },
        doc: "share of the last minute in which every task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "pressure.full.avg300",
        unit: Measure::Ratio,
        base: None,
        missing: NO_PRESSURE,
        recipe: Recipe::Pressure { state: PSI_MEM_FULL, window: 2 },
        doc: "share of the last five minutes in which every task waited for memory",
        source: "memory.pressure; struct psi_group, include/linux/psi_types.h",
    },
    Field {
        owner: Owner::Cgroup,
        name: "path",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Path,
        doc: "the path from the cgroup mount, or, compared with one that does not begin with `/`, from the attached cgroup",
        source: "struct kernfs_node, include/linux/kernfs.h",
    },
    Field {
        owner: Owner::Event,
        name: "scope",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Scope,
        doc: "`memcg` when a cgroup's limit was hit, `system` when the whole machine is short of memory",
        source: "oom_control.memcg, include/linux/oom.h",
    },
    Field {
        owner: Owner::Event,
        name: "trigger",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Trigger,
        doc: "`oom` when memory has run out; before that what was watched: `pressure`, `usage`, `swap` or `limit`",
        source: "whoever asks",
    },
    Field {
        owner: Owner::Event,
        name: "order",
        unit: Measure::Count,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "order", scale: Scale::One },
        doc: "the allocation that failed was of two to this power pages",
        source: "oom_control.order, include/linux/oom.h",
    },
    Field {
        owner: Owner::Event,
        name: "constraint",
        unit: Measure::Text,
        base: None,
        missing: "",
        recipe: Recipe::Word {
            path: "constraint",
            enumeration: "oom_constraint",
            words: &[
                ("CONSTRAINT_NONE", "none"),
                ("CONSTRAINT_CPUSET", "cpuset"),
                ("CONSTRAINT_MEMORY_POLICY", "memory_policy"),
                ("CONSTRAINT_MEMCG", "memcg"),
            ],
        },
        doc: "what kept the allocation from other memory: `none`, `cpuset`, `memory_policy` or `memcg`",
        source: "enum oom_constraint, include/linux/oom.h",
    },
    Field {
        owner: Owner::Event,
        name: "total",
        unit: Measure::Bytes,
        base: None,
        missing: "",
        recipe: Recipe::Member { path: "totalpages", scale: Scale::Pages },
        doc: "memory and swap that the event's domain may use",
        source: "oom_control.totalpages, include/linux/oom.h",
    },
    Field {
        owner: Owner::Machine,
        name: "memory",
        unit: Measure::Bytes,
        base: None,
        missing: "the kernel does not show the variable",
        recipe: Recipe::Machine(&[variable(members::TOTAL_PAGES)]),
        doc: "memory that the machine has",
        source: "_totalram_pages, mm/show_mem.c",
    },
    Field {
        owner: Owner::Machine,
        name: "swap",
        unit: Measure::Bytes,
        base: None,
        missing: "the kernel does not show the variable",
        recipe: Recipe::Machine(&[variable(members::SWAP_PAGES)]),
        doc: "swap that the machine has",
        source: "total_swap_pages, mm/swapfile.c",
    },
    Field {
        owner: Owner::Machine,
        name: "swap_free",
        unit: Measure::Bytes,
        base: None,
        missing: "the kernel does not show the variable",
        recipe: Recipe::Machine(&[variable(members::FREE_SWAP_PAGES)]),
        doc: "swap that is free",
        source: "nr_swap_pages, mm/swapfile.c",
    },
    Field {
        owner: Owner::Machine,
        name: "available",
        unit: Measure::Bytes,
        base: None,
        missing: "the kernel does not show the variables",
        recipe: Recipe::Machine(&[
            counter(members::ZONE_COUNTERS, "zone_stat_item", "NR_FREE_PAGES"),
            counter(members::NODE_COUNTERS, "node_stat_item", "NR_ACTIVE_FILE"),
            counter(members::NODE_COUNTERS, "node_stat_item", "NR_INACTIVE_FILE"),
            counter(members::NODE_COUNTERS, "node_stat_item", "NR_SLAB_RECLAIMABLE_B"),
        ]),
        doc: "an estimate of what could be had without swapping: free pages, the page cache, and slabs that can be reclaimed; \
              what the kernel keeps in reserve is not taken off",
        source: "si_mem_available(), mm/show_mem.c",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_within_an_owner() {
        for id in all() {
            assert_eq!(find(id.row().owner, id.row().name), Some(id), "{}", id.row().name);
        }
    }
}
