//! A machine as plain data: its cgroups, its processes, its memory, and what happens to it.
//!
//! What the kernel adds up itself (usage, statistics, events) is given here as each cgroup's own share. Knows
//! nothing of policies.

use std::sync::LazyLock;

use oomc_abi::amounts::Amount;

/// Bytes of a page of a machine of which nobody says otherwise.
pub const PAGE: i64 = oomc_abi::consts::PAGE_SIZE;

/// A cgroup's place in [`Machine::cgroups`].
pub type CgroupIndex = usize;

/// A process's place in [`Machine::processes`].
pub type ProcessIndex = usize;

/// The root's place.
pub const ROOT: CgroupIndex = 0;

/// A machine at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Bytes of a page.
    pub page: i64,
    /// Pages of memory.
    pub memory: i64,
    /// Pages of swap.
    pub swap: i64,
    /// Pages of swap that are free.
    pub swap_free: i64,
    /// `vm.swappiness` is 0: a cgroup's OOM does not count swap.
    pub no_swapping: bool,
    /// What is not said of this machine, so that what stands in its place means nothing.
    pub unknown: Unknown,
    /// The boot clock, in nanoseconds.
    pub now: i64,
    /// The root first, each behind its parent.
    pub cgroups: Vec<Cgroup>,
    /// In no order.
    pub processes: Vec<Process>,
}

impl Default for Machine {
    /// Empty, with pages of [`PAGE`] bytes.
    fn default() -> Self {
        Self {
            page: PAGE,
            memory: 0,
            swap: 0,
            swap_free: 0,
            no_swapping: false,
            unknown: Unknown::default(),
            now: 0,
            cgroups: Vec::new(),
            processes: Vec::new(),
        }
    }
}

/// What whoever described a machine did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// How much swap the machine has, and `vm.swappiness`.
    pub swap: bool,
    /// Who is whose parent, and the numbers in pid namespaces.
    pub parents: bool,
}

/// A cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cgroup {
    /// The last component of its path; empty for the root.
    pub name: String,
    /// None: the root.
    pub parent: Option<CgroupIndex>,
    /// The inode number of its directory.
    pub id: i64,
    /// Order of creation.
    pub serial: i64,
    /// It was removed, and still holds charges.
    pub removed: bool,
    /// The memory controller is switched off.
    pub bare: bool,
    /// `memory.oom.group`.
    pub group: bool,
    /// `memory.max` in pages.
    pub max: Option<i64>,
    /// `memory.high` in pages.
    pub high: Option<i64>,
    /// `memory.low` in pages.
    pub low: i64,
    /// `memory.min` in pages.
    pub min: i64,
    /// `memory.swap.max` in pages.
    pub swap_max: Option<i64>,
    /// What was charged to it alone.
    pub own: Amounts,
    /// Pressure as the kernel keeps it: `some` and `full`, of ten seconds, one minute and five minutes each, in
    /// percent with eleven bits of fraction. None: not measured.
    pub pressure: Option<[[i64; 3]; 2]>,
    /// The kernel has no memory for a walk over its processes.
    pub no_walk: bool,
    /// Labels that were put on it.
    pub labels: Vec<(String, i64)>,
    /// Counters that were counted.
    pub counters: Vec<(String, Counter)>,
    /// Members of the kernel's structures that nothing else here says, by their C paths from `mem_cgroup`.
    pub members: Vec<(String, i64)>,
}

macro_rules! amounts {
    ($($part:ident { $($(#[doc = $doc:literal])+ $member:ident = $amount:ident $row:tt)* })*) => {
        /// What the kernel counts for a cgroup, without what is below it.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Amounts {
            $($($(#[doc = $doc])+ pub $member: i64,)*)*
        }

        impl Amounts {
            /// The same for each amount.
            #[must_use]
            pub fn each(value: i64) -> Self {
                Self { $($($member: value,)*)* }
            }

            /// One amount.
            #[must_use]
            pub fn get(&self, amount: Amount) -> i64 {
                match amount {
                    $($(Amount::$amount => self.$member,)*)*
                }
            }

            /// The place of one amount.
            pub fn get_mut(&mut self, amount: Amount) -> &mut i64 {
                match amount {
                    $($(Amount::$amount => &mut self.$member,)*)*
                }
            }

            /// Replaces each amount by what follows from it and the same one of another.
            fn combine(&mut self, other: &Self, with: impl Fn(i64, i64) -> i64) {
                $($(self.$member = with(self.$member, other.$member);)*)*
            }
        }
    };
}

oomc_abi::amounts!(amounts);

impl Amounts {
    /// Adds another one, so many times.
    pub fn add(&mut self, other: &Self, times: i64) {
        self.combine(other, |amount, other| amount + other * times);
    }

    /// What is less than nothing is nothing.
    pub fn at_least_nothing(&mut self) {
        self.combine(&Self::default(), i64::max);
    }

    /// The own share of a cgroup that has run out of memory: what nobody accounts for is charged all the same. At the
    /// root, whose usage is the machine's anon and file, it is page cache.
    ///
    /// `memory` is the root's, in bytes, with the size of a page.
    pub(crate) fn fill(&mut self, below: &Self, max: Option<i64>, memory: Option<(i64, i64)>) {
        match (memory, max) {
            (Some((memory, page)), _) => {
                let used = self.anon + self.file + below.anon + below.file;
                let free = (memory - used).max(0);
                self.file += free;
                self.charged += free / page;
            }
            (None, Some(max)) => self.charged += (max - self.charged - below.charged).max(0),
            (None, None) => {}
        }
    }
}

/// A counter of a policy, for one cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// What was counted in earnest: how often, and since when by the boot clock.
    pub real: (i64, i64),
    /// What was counted in audit mode.
    pub audit: (i64, i64),
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Where it is; may be bare.
    pub cgroup: CgroupIndex,
    /// Process id.
    pub pid: i64,
    /// Command name.
    pub comm: String,
    /// Real user id.
    pub uid: i64,
    /// `oom_score_adj`.
    pub adj: i64,
    /// Resident pages: anonymous.
    pub anon: i64,
    /// Resident pages: of files.
    pub file: i64,
    /// Resident pages: shared memory.
    pub shmem: i64,
    /// Pages swapped out.
    pub swap: i64,
    /// Bytes of page tables.
    pub pgtables: i64,
    /// Threads.
    pub threads: i64,
    /// When it started, by the boot clock.
    pub start: i64,
    /// A kernel thread: has no memory of its own.
    pub kernel: bool,
    /// Its leader has exited, and other threads have not.
    pub leader_gone: bool,
    /// How far it is on its way out.
    pub life: Life,
    /// A process that has the same memory.
    pub shares_with: Option<ProcessIndex>,
    /// Id of the process whose child it is; none: of init. A parent that is gone has left its children to init.
    pub parent: Option<i64>,
    /// Its numbers in the pid namespaces below the machine's own, the outermost first; none: it is in no other.
    pub ns_pids: Vec<i64>,
    /// Members of the kernel's structures that nothing else here says, by their C paths from `task_struct`.
    pub members: Vec<(String, i64)>,
}

/// How far a process is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Life {
    /// It lives.
    #[default]
    Lives,
    /// Killed, or exiting as a whole; it still has its memory.
    Dying {
        /// By an OOM killer.
        chosen: bool,
        /// The reaper has taken its memory, or gave up on it.
        reaped: bool,
    },
    /// It has given its memory up, and is about to disappear.
    Gone {
        /// By an OOM killer.
        chosen: bool,
        /// All of its memory is free.
        reaped: bool,
    },
}

/// An OOM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The cgroup whose limit was hit; none: the whole machine is short of memory.
    pub cgroup: Option<CgroupIndex>,
    /// Where the policy is attached.
    pub attached: CgroupIndex,
    /// Of the allocation; -1: an administrator asked, by SysRq.
    pub order: i64,
    /// Of the allocation.
    pub gfp_mask: i64,
    /// An index into [`CONSTRAINTS`].
    pub constraint: usize,
    /// Pages of memory and swap that the domain may use.
    pub total: i64,
    /// Who asked for memory; none: somebody outside of the machine's processes.
    pub trigger: Option<ProcessIndex>,
}

/// What may have kept an allocation from other memory, in the order of the kernel's enum.
pub const CONSTRAINTS: [&str; 4] = ["none", "cpuset", "memory_policy", "memcg"];

/// Whom every machine has and no walk comes to unless the machine names it: init, and the idle task, whose child it
/// is (`init_task`, init/init_task.c, 6.12).
static OUTSIDE: LazyLock<[Process; 2]> = LazyLock::new(|| {
    let named =
        |pid: i64, comm: &str| Process { pid, comm: comm.to_owned(), threads: 1, ..Process::default() };
    [named(INIT, "init"), Process { kernel: true, ..named(IDLE, "swapper/0") }]
});

/// Process id of init, and of the idle task.
pub const INIT: i64 = 1;
const IDLE: i64 = 0;

impl Machine {
    /// Processes that others lead to and that stand behind those of the machine, in places of their own.
    pub(crate) const OUTSIDE: usize = 2;

    /// A cgroup.
    #[must_use]
    pub fn cgroup(&self, index: CgroupIndex) -> &Cgroup {
        #[expect(clippy::indexing_slicing, reason = "an index of another machine is a mistake of the test")]
        &self.cgroups[index]
    }

    /// A process, or one of the two that every machine has.
    #[must_use]
    pub fn process(&self, index: ProcessIndex) -> &Process {
        #[expect(clippy::indexing_slicing, reason = "an index of another machine is a mistake of the test")]
        self.processes.get(index).unwrap_or_else(|| &OUTSIDE[index - self.processes.len()])
    }

    /// The place of the process with an id.
    #[must_use]
    pub fn process_of_pid(&self, pid: i64) -> Option<ProcessIndex> {
        let count = self.processes.len();
        (0..count + Self::OUTSIDE).find(|at| self.process(*at).pid == pid)
    }

    /// The process whose child a process is.
    #[must_use]
    pub fn parent(&self, index: ProcessIndex) -> ProcessIndex {
        self.parent_among(index, &|pid| self.process_of_pid(pid))
    }

    /// As [`parent`](Self::parent), where who has which id is known already.
    pub(crate) fn parent_among(
        &self,
        index: ProcessIndex,
        place: &dyn Fn(i64) -> Option<ProcessIndex>,
    ) -> ProcessIndex {
        let one = self.process(index);
        let parent = if one.pid <= INIT { IDLE } else { one.parent.unwrap_or(INIT) };
        // Who is gone has left its children to init (`forget_original_parent()`, kernel/exit.c, 6.12).
        place(parent).or_else(|| place(INIT)).unwrap_or(index)
    }

    /// The number of a process in its innermost pid namespace.
    #[must_use]
    pub fn ns_pid(&self, index: ProcessIndex) -> i64 {
        let one = self.process(index);
        one.ns_pids.last().copied().unwrap_or(one.pid)
    }

    /// A cgroup and all above it, from below.
    pub fn ancestors(&self, index: CgroupIndex) -> impl Iterator<Item = CgroupIndex> {
        core::iter::successors(Some(index), |at| self.cgroup(*at).parent)
    }

    /// Whether a cgroup is another one, or below it.
    #[must_use]
    pub fn is_within(&self, index: CgroupIndex, top: CgroupIndex) -> bool {
        self.ancestors(index).any(|above| above == top)
    }

    /// A cgroup and all below it that the memory controller knows; removed ones, too.
    pub fn subtree(&self, top: CgroupIndex) -> impl Iterator<Item = CgroupIndex> {
        (0..self.cgroups.len()).filter(move |at| self.is_within(*at, top) && !self.cgroup(*at).bare)
    }

    /// The children that the memory controller knows and that were not removed.
    pub fn children(&self, of: CgroupIndex) -> impl Iterator<Item = CgroupIndex> {
        (0..self.cgroups.len()).filter(move |at| {
            let cgroup = self.cgroup(*at);
            cgroup.parent == Some(of) && !cgroup.bare && !cgroup.removed
        })
    }

    /// The cgroup that a process counts with: the nearest one that the memory controller knows.
    #[must_use]
    pub fn home(&self, process: ProcessIndex) -> CgroupIndex {
        self.ancestors(self.process(process).cgroup).find(|at| !self.cgroup(*at).bare).unwrap_or(ROOT)
    }

    /// The processes of one cgroup alone.
    pub fn processes_of(&self, cgroup: CgroupIndex) -> impl Iterator<Item = ProcessIndex> {
        (0..self.processes.len()).filter(move |at| self.home(*at) == cgroup)
    }

    /// The path from the cgroup mount.
    #[must_use]
    pub fn path(&self, index: CgroupIndex) -> String {
        let mut names: Vec<&str> = self.ancestors(index).map(|at| self.cgroup(at).name.as_str()).collect();
        names.pop();
        names.reverse();
        format!("/{}", names.join("/"))
    }

    /// Pages that a cgroup can take at most: the smallest limit up to the root, or the machine's memory.
    #[must_use]
    pub fn limit(&self, index: CgroupIndex) -> i64 {
        let limits = self.ancestors(index).filter_map(|at| self.cgroup(at).max);
        limits.chain([self.memory]).min().unwrap_or(self.memory)
    }

    /// The event that a cgroup, or without one the machine, runs out of memory.
    #[must_use]
    pub fn event(&self, cgroup: Option<CgroupIndex>, attached: CgroupIndex) -> Event {
        let constraint = if cgroup.is_some() { "memcg" } else { "none" };
        Event {
            cgroup,
            attached,
            constraint: CONSTRAINTS.iter().position(|known| *known == constraint).unwrap_or(0),
            total: self.total(cgroup),
            ..Event::default()
        }
    }

    /// Pages that the kernel scores against (`constrained_alloc()` and `mem_cgroup_get_max()`, mm, 6.12): memory and
    /// swap of the machine; of a cgroup its own limit, and what it may have of the machine's swap.
    #[must_use]
    pub fn total(&self, cgroup: Option<CgroupIndex>) -> i64 {
        let Some(at) = cgroup else { return self.memory.saturating_add(self.swap) };
        let one = self.cgroup(at);
        let swap = one.swap_max.map_or(self.swap, |most| most.min(self.swap));
        let swap = if self.no_swapping { 0 } else { swap };
        one.max.unwrap_or_else(|| self.limit(at)).saturating_add(swap)
    }

    /// The kernel's scores cannot be known: they are moved by thousandths of memory and swap, and nobody said how much
    /// swap there is.
    #[must_use]
    pub fn scores_are_unknown(&self) -> bool {
        let moved = |one: &Process| !matches!(one.adj, 0 | -1000) && one.life == Life::Lives;
        self.unknown.swap && self.processes.iter().any(moved)
    }

    /// The own share of a cgroup when it has just run out of memory: what is missing to its `memory.max` is charged
    /// to it. The root's usage is what the machine holds of anonymous memory and page cache; what is free is page
    /// cache then. A cgroup without a limit stays as it is.
    #[must_use]
    pub fn run_out(&self, index: CgroupIndex) -> Amounts {
        let mut own = self.cgroup(index).own;
        let mut below = Amounts::default();
        for at in self.subtree(index).filter(|at| *at != index) {
            below.add(&self.cgroup(at).own, 1);
        }
        let memory = (index == ROOT).then_some((self.memory * self.page, self.page));
        own.fill(&below, self.cgroup(index).max, memory);
        own
    }

    /// `memory.reclaim`: takes page cache from a cgroup and all below it, in their order, until so many bytes came back.
    /// Gives how many that were. What processes hold stays: the model has no swap that fills.
    pub fn reclaim(&mut self, top: CgroupIndex, bytes: i64) -> i64 {
        let (page, mut left) = (self.page, bytes);
        for at in self.subtree(top).collect::<Vec<_>>() {
            let Some(own) = self.cgroups.get_mut(at).map(|cgroup| &mut cgroup.own) else { continue };
            let cache = (own.file - own.shmem).max(0).min(own.charged.saturating_mul(page)) / page;
            let pages = cache.min(left.saturating_add(page - 1) / page).max(0);
            own.file -= pages * page;
            own.inactive_file = own.inactive_file.min(own.file);
            own.charged -= pages;
            left -= pages * page;
            if left <= 0 {
                break;
            }
        }
        bytes - left.max(0)
    }

    /// Whoever is on its way out is gone, and what it held is free.
    pub fn bury(&mut self) {
        for at in 0..self.processes.len() {
            let one = self.process(at);
            if one.life == Life::Lives || one.kernel || one.shares_with.is_some() {
                continue;
            }
            let shares = |other: &Process| other.shares_with == Some(at) && other.life == Life::Lives;
            if self.processes.iter().any(shares) {
                continue;
            }
            let (anon, file, shmem, swap, pgtables) = (one.anon, one.file, one.shmem, one.swap, one.pgtables);
            let (home, page) = (self.home(at), self.page);
            if let Some(Cgroup { own, .. }) = self.cgroups.get_mut(home) {
                let less = |amount: &mut i64, bytes: i64| *amount = (*amount - bytes).max(0);
                less(&mut own.anon, anon * page);
                less(&mut own.file, (file + shmem) * page);
                less(&mut own.shmem, shmem * page);
                less(&mut own.kernel, pgtables);
                less(&mut own.charged, anon + file + shmem + pgtables / page);
                less(&mut own.swapped, swap);
            }
        }
        // Who shares memory refers to its owner by its place.
        let places: Vec<Option<ProcessIndex>> = self
            .processes
            .iter()
            .scan(0, |next, one| {
                let lives = one.life == Life::Lives;
                *next += usize::from(lives);
                Some(lives.then(|| *next - 1))
            })
            .collect();
        self.processes.retain(|one| one.life == Life::Lives);
        for one in &mut self.processes {
            one.shares_with = one.shares_with.and_then(|owner| places.get(owner).copied().flatten());
        }
    }

    /// A sum over a cgroup and all below it.
    #[must_use]
    pub fn sum(&self, top: CgroupIndex, amount: impl Fn(&Amounts) -> i64) -> i64 {
        self.subtree(top).map(|at| amount(&self.cgroup(at).own)).sum()
    }
}
