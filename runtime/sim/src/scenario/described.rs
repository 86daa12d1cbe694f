//! What a test has said of its machine so far, and the machine that follows from it.
//!
//! A test gives amounts as a policy reads them: a cgroup's `anon` includes what is below. The kernel adds up, so
//! each cgroup's own share is what is left of its amount when the shares of its children and processes are taken
//! away; a test that leaves less than nothing is told so.

use std::collections::BTreeMap;

use oomc_abi::amount::short;
use oomc_abi::amounts::{self, Amount, Row};
use oomc_abi::fields::Measure;

use crate::machine::{Amounts, Cgroup, CgroupIndex, Life, Machine, Process, ROOT, Unknown};

/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// The boot clock when a test begins.
pub(super) const BEGIN: i64 = 24 * 3600 * SECOND;

/// Age of a process.
const AGE: i64 = 3600 * SECOND;

/// Bytes of memory of the machine.
const MEMORY: i64 = 16 << 30;

/// What holds of an object of which a test does not say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assumed {
    /// Properties.
    pub of: &'static str,
    /// Their value.
    pub value: &'static str,
}

/// All of them, for the book.
pub const DEFAULTS: &[Assumed] = &[
    Assumed { of: "memory of the machine (`limit` of `\"/\"`)", value: "16 GiB" },
    Assumed {
        of: "swap of the machine (`swap_limit` of `\"/\"`)",
        value: "as much as the largest `swap_limit` of a cgroup, and as is swapped out; without these: none",
    },
    Assumed { of: "the boot clock", value: "24 hours" },
    Assumed { of: "`limit` `high` `swap_limit` of a cgroup", value: "unlimited" },
    Assumed { of: "`low` `min` of a cgroup", value: "0" },
    Assumed {
        of: "`usage` of a cgroup",
        value: "the sum of its `anon`, `file` and `kernel`; of the one that runs out of memory its `limit`, of the \
                whole machine its memory",
    },
    Assumed {
        of: "`anon` `file` `shmem` `kernel` `swap` of a cgroup",
        value: "what its processes and the cgroups below have",
    },
    Assumed { of: "`working_set` of a cgroup", value: "its `usage`" },
    Assumed { of: "other amounts of a cgroup, such as `pgscan`, `events.*` and `pressure.*`", value: "0" },
    Assumed { of: "`oom_group`", value: "false" },
    Assumed { of: "`id` `age_rank` of a cgroup", value: "in the order in which the test names the cgroups" },
    Assumed { of: "labels", value: "inherited; otherwise the default that the policy declares" },
    Assumed { of: "counters", value: "never counted; one that is given was counted just now" },
    Assumed { of: "`comm` of a process", value: "`task`" },
    Assumed {
        of: "`rss` `anon` `file` `shmem` `swap` `pgtables` `oom_score_adj` `uid` of a process",
        value: "0",
    },
    Assumed { of: "`nr_threads` of a process", value: "1" },
    Assumed { of: "`parent` of a process", value: "pid 1, which is called `init`" },
    Assumed { of: "`ns_pid` of a process", value: "its `pid`: it is in no pid namespace of its own" },
    Assumed {
        of: "`age` of a process",
        value: "one hour; those that the test names first are older, by a millisecond each",
    },
    Assumed { of: "`oom.order`", value: "0" },
    Assumed { of: "`oom.constraint`", value: "`memcg`; `none` when the whole machine is short of memory" },
    Assumed {
        of: "`oom.total`",
        value: "the `limit` of the cgroup and what it may have of the machine's swap, or the machine's memory and \
                swap",
    },
    Assumed { of: "`trigger`", value: "somebody who is not among the processes" },
];

/// Whether a field of a cgroup is a sum over everything below that a test can give, and its name as the table has it.
pub(super) fn total(name: &str) -> Option<&'static str> {
    let others = ["usage", "working_set", "swap"];
    let amounts = amounts::ROWS.iter().filter_map(|row| row.field).map(|field| field.name);
    others.into_iter().chain(amounts).find(|known| *known == name)
}

/// A cgroup as a test describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DescribedCgroup {
    /// Everything but its own amounts.
    pub(super) cgroup: Cgroup,
    /// Line of the test that speaks of it.
    pub(super) line: u32,
    /// Amounts that were given, by the names of their fields, in bytes or counts.
    pub(super) totals: BTreeMap<&'static str, i64>,
}

/// A process as a test describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DescribedProcess {
    /// Everything but its memory and whom it shares it with.
    pub(super) process: Process,
    pub(super) line: u32,
    /// Bytes, as they were given: the sum of the resident ones, the kernel's own size.
    pub(super) rss: Option<i64>,
    pub(super) footprint: Option<i64>,
    pub(super) anon: Option<i64>,
    pub(super) file: Option<i64>,
    pub(super) shmem: Option<i64>,
    pub(super) swap: i64,
    /// Number of the process whose memory it has.
    pub(super) shares_with: Option<u32>,
}

/// Everything that a test has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Bytes in a page.
    pub(super) page: i64,
    pub(super) now: i64,
    pub(super) memory: i64,
    /// Bytes of swap; none: not said.
    pub(super) swap: Option<i64>,
    /// The root first, each behind its parent.
    pub(super) cgroups: Vec<DescribedCgroup>,
    /// In the order in which they were named.
    pub(super) processes: Vec<DescribedProcess>,
}

impl Described {
    /// A machine with pages of so many bytes.
    pub(super) fn new(page: i64) -> Self {
        let root = Cgroup { id: 1, serial: 1, pressure: Some(<_>::default()), ..Cgroup::default() };
        let root = DescribedCgroup { cgroup: root, ..DescribedCgroup::default() };
        Self { page, now: BEGIN, memory: MEMORY, swap: None, cgroups: vec![root], processes: Vec::new() }
    }

    /// The place of a cgroup, which is made with all above it if it is new.
    pub(super) fn cgroup(&mut self, path: &str) -> CgroupIndex {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = self.child(at, name).unwrap_or_else(|| self.add(at, name));
        }
        at
    }

    fn child(&self, parent: CgroupIndex, name: &str) -> Option<CgroupIndex> {
        self.cgroups.iter().position(|one| {
            one.cgroup.parent == Some(parent) && one.cgroup.name == name && !one.cgroup.removed
        })
    }

    pub(super) fn add(&mut self, parent: CgroupIndex, name: &str) -> CgroupIndex {
        let serial = self.cgroups.len() as i64 + 1;
        let cgroup = Cgroup {
            name: name.to_owned(),
            parent: Some(parent),
            id: 1000 + serial,
            serial,
            pressure: Some(<_>::default()),
            ..Cgroup::default()
        };
        self.cgroups.push(DescribedCgroup { cgroup, ..DescribedCgroup::default() });
        self.cgroups.len() - 1
    }

    /// A process, which is made if it is new.
    pub(super) fn process(&mut self, cgroup: CgroupIndex, pid: u32) -> &mut DescribedProcess {
        let found = self.processes.iter().position(|one| one.process.pid == i64::from(pid));
        let at = found.unwrap_or_else(|| {
            let number = self.processes.len() as i64;
            let process = Process {
                cgroup,
                pid: i64::from(pid),
                comm: "task".to_owned(),
                threads: 1,
                start: BEGIN - AGE + number * (SECOND / 1000),
                ..Process::default()
            };
            self.processes.push(DescribedProcess { process, ..DescribedProcess::default() });
            self.processes.len() - 1
        });
        #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
        &mut self.processes[at]
    }

    /// Puts cgroups and processes in another order, parents still before their children. Gives where each cgroup is
    /// now.
    pub(super) fn shuffle(&mut self, seed: u64) -> Vec<CgroupIndex> {
        let mut state = seed;
        // splitmix64: as good as the purpose needs.
        let mut next = move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        let mut left: Vec<CgroupIndex> = (1..self.cgroups.len()).collect();
        let mut places = vec![usize::MAX; self.cgroups.len()];
        if let Some(root) = places.first_mut() {
            *root = ROOT;
        }
        let mut order = vec![ROOT];
        while !left.is_empty() {
            let above = |at: &usize| self.cgroups.get(*at).and_then(|one| one.cgroup.parent).unwrap_or(ROOT);
            let ready: Vec<usize> = (0..left.len())
                .filter(|at| left.get(*at).is_some_and(|one| places.get(above(one)) != Some(&usize::MAX)))
                .collect();
            let Some(chosen) = ready.get(next() as usize % ready.len().max(1)) else { break };
            let at = left.swap_remove(*chosen);
            if let Some(place) = places.get_mut(at) {
                *place = order.len();
            }
            order.push(at);
        }
        let place = |at: CgroupIndex| places.get(at).copied().unwrap_or(ROOT);
        self.cgroups = order.iter().filter_map(|at| self.cgroups.get(*at).cloned()).collect();
        for one in &mut self.cgroups {
            one.cgroup.parent = one.cgroup.parent.map(place);
        }
        for one in &mut self.processes {
            one.process.cgroup = place(one.process.cgroup);
        }
        for at in (1..self.processes.len()).rev() {
            self.processes.swap(at, next() as usize % (at + 1));
        }
        places
    }

    /// Who is killed or exiting is gone, and what he held is free.
    pub(super) fn bury(&mut self) {
        self.remove(|one| one.process.life != Life::Lives);
    }

    /// Takes processes away with what they hold.
    pub(super) fn remove(&mut self, whom: impl Fn(&DescribedProcess) -> bool) {
        for at in 0..self.processes.len() {
            let Some(one) = self.processes.get(at).filter(|one| whom(one)) else { continue };
            let shared = self
                .processes
                .iter()
                .any(|other| other.shares_with.map(i64::from) == Some(one.process.pid) && !whom(other));
            if shared || one.shares_with.is_some() {
                continue;
            }
            let Ok(memory) = memory(one) else { continue };
            let mut above = Some(one.process.cgroup);
            while let Some(cgroup) = above.and_then(|at| self.cgroups.get_mut(at)) {
                for (total, held) in memory.totals() {
                    if let Some(given) = cgroup.totals.get_mut(total) {
                        *given = (*given - held).max(0);
                    }
                }
                above = cgroup.cgroup.parent;
            }
        }
        self.processes.retain(|one| !whom(one));
    }

    /// The machine; `full` is the cgroup that has just run out of memory.
    ///
    /// # Errors
    /// If what is given contradicts itself: the line, and a sentence.
    pub(super) fn machine(&self, full: Option<CgroupIndex>) -> Result<Machine, (u32, String)> {
        self.lineage()?;
        let (swap, swap_free) = self.swap()?;
        let page = self.page;
        let mut machine = Machine {
            page,
            memory: self.memory / page,
            swap: swap / page,
            swap_free: swap_free / page,
            no_swapping: false,
            unknown: Unknown::default(),
            now: self.now,
            cgroups: self.cgroups.iter().map(|one| one.cgroup.clone()).collect(),
            processes: Vec::with_capacity(self.processes.len()),
        };
        let mut held = vec![Memory::default(); self.cgroups.len()];
        for one in &self.processes {
            let mut process = one.process.clone();
            process.shares_with = self.owner(one)?;
            let memory = memory(one).map_err(|text| (one.line, text))?;
            let pages = |bytes: i64| bytes / page;
            (process.anon, process.file) = (pages(memory.anon), pages(memory.file));
            (process.shmem, process.swap) = (pages(memory.shmem), pages(memory.swap));
            process.pgtables = memory.pgtables;
            let counts = process.shares_with.is_none()
                && !process.kernel
                && !matches!(process.life, Life::Gone { .. });
            machine.processes.push(process);
            let home = machine.home(machine.processes.len() - 1);
            if let Some(held) = held.get_mut(home).filter(|_| counts) {
                held.add(&memory, page);
            }
        }
        // From below: the own share of each is what the cgroups below it do not have.
        let mut below = vec![Amounts::default(); self.cgroups.len()];
        for at in (0..self.cgroups.len()).rev() {
            let (Some(one), Some(held)) = (self.cgroups.get(at), held.get(at)) else { continue };
            let sums = below.get(at).copied().unwrap_or_default();
            let mut own = own_amounts(one, held, &sums, page)
                .map_err(|text| (one.line, format!("`{}`: {text}", machine.path(at))))?;
            if full == Some(at) && !one.totals.contains_key("usage") {
                let memory = (at == ROOT).then_some((machine.memory * machine.page, machine.page));
                own.fill(&sums, one.cgroup.max, memory);
            }
            if let Some(above) = one.cgroup.parent.and_then(|parent| below.get_mut(parent)) {
                above.add(&sums, 1);
                above.add(&own, 1);
            }
            if let Some(cgroup) = machine.cgroups.get_mut(at) {
                cgroup.own = own;
            }
        }
        Ok(machine)
    }

    /// Bytes of the machine's swap: all, and free.
    fn swap(&self) -> Result<(i64, i64), (u32, String)> {
        // Whole pages.
        let out = |one: &DescribedProcess| match one.shares_with {
            None => one.swap / self.page * self.page,
            Some(_) => 0,
        };
        let out: i64 = self.processes.iter().map(out).sum();
        let given = self.cgroups.iter().filter_map(|one| one.totals.get("swap").copied()).max();
        let out = out.max(given.unwrap_or(0));
        let limits = self.cgroups.iter().filter_map(|one| one.cgroup.swap_max).max();
        let swap = self.swap.unwrap_or_else(|| out.max(limits.unwrap_or(0) * self.page));
        if swap < out {
            let line = self.cgroups.first().map_or(0, |root| root.line);
            let (has, out) = (short(Measure::Bytes, swap), short(Measure::Bytes, out));
            return Err((line, format!("the machine has {has} of swap, but {out} are swapped out")));
        }
        Ok((swap, swap - out))
    }

    /// Who is whose child cannot go round.
    fn lineage(&self) -> Result<(), (u32, String)> {
        let parents: BTreeMap<i64, i64> =
            self.processes.iter().filter_map(|one| Some((one.process.pid, one.process.parent?))).collect();
        for one in &self.processes {
            let mut up = one.process.pid;
            for _ in 0..=parents.len() {
                let Some(parent) = parents.get(&up) else { break };
                up = *parent;
                if up == one.process.pid {
                    return Err((
                        one.line,
                        "a process is not its own child, nor that of its children".to_owned(),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whose memory a process has.
    fn owner(&self, one: &DescribedProcess) -> Result<Option<usize>, (u32, String)> {
        let Some(other) = one.shares_with else { return Ok(None) };
        let found = self.processes.iter().position(|owner| owner.process.pid == i64::from(other));
        let owner =
            found.filter(|at| self.processes.get(*at).is_some_and(|owner| owner.shares_with.is_none()));
        match owner {
            Some(at) => Ok(Some(at)),
            // He who had it is gone, and left it to the others.
            None if found.is_none() => Ok(None),
            None => Err((one.line, format!("process {other} has no memory of its own to share"))),
        }
    }
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    anon: i64,
    file: i64,
    shmem: i64,
    swap: i64,
    pgtables: i64,
}

impl Memory {
    /// In whole pages.
    fn add(&mut self, other: &Self, page: i64) {
        let whole = |bytes: i64| bytes / page * page;
        let Self { anon, file, shmem, swap, pgtables } = other;
        self.anon += whole(*anon);
        self.file += whole(*file);
        self.shmem += whole(*shmem);
        self.swap += whole(*swap);
        self.pgtables += pgtables;
    }

    /// What it adds to the amounts of its cgroup.
    fn totals(&self) -> [(&'static str, i64); 7] {
        let Self { anon, file, shmem, swap, pgtables } = *self;
        [
            ("anon", anon),
            ("file", file + shmem),
            ("shmem", shmem),
            ("kernel", pgtables),
            ("swap", swap),
            ("usage", anon + file + shmem + pgtables),
            ("working_set", anon + file + shmem + pgtables),
        ]
    }
}

fn memory(one: &DescribedProcess) -> Result<Memory, String> {
    let (swap, pgtables) = (one.swap, one.process.pgtables);
    let rss = match (one.footprint, one.rss) {
        (Some(footprint), None) => Some(footprint - swap - pgtables),
        (Some(footprint), Some(rss)) if rss + swap + pgtables != footprint => {
            return Err("its `footprint` is not the sum of `rss`, `swap` and `pgtables`".to_owned());
        }
        (_, rss) => rss,
    };
    let (file, shmem) = (one.file.unwrap_or(0), one.shmem.unwrap_or(0));
    let anon = match (rss, one.anon) {
        (None, anon) => anon.unwrap_or(0),
        (Some(rss), None) => rss - file - shmem,
        (Some(rss), Some(anon)) => {
            if anon + file + shmem != rss {
                return Err("its `rss` is not the sum of `anon`, `file` and `shmem`".to_owned());
            }
            anon
        }
    };
    if [anon, file, shmem, swap, pgtables].iter().any(|bytes| *bytes < 0) {
        return Err("a part of its memory is larger than the whole".to_owned());
    }
    Ok(Memory { anon, file, shmem, swap, pgtables })
}

/// The own share of a cgroup.
fn own_amounts(one: &DescribedCgroup, held: &Memory, below: &Amounts, page: i64) -> Result<Amounts, String> {
    let mut own = Amounts::default();
    // tmpfs is page cache, too, and slab is memory of the kernel: these two are known before the others.
    let is_part = |row: &&Row| matches!(row.amount, Amount::Shmem | Amount::SlabReclaimable);
    let parts = amounts::ROWS.iter().filter(is_part);
    for row in parts.chain(amounts::ROWS) {
        let Some(field) = row.field else { continue };
        let least = match row.amount {
            Amount::Anon => held.anon,
            Amount::File => held.file + own.shmem,
            Amount::Shmem => held.shmem,
            Amount::Kernel => held.pgtables.max(own.slab_reclaimable),
            _ => 0,
        };
        *own.get_mut(row.amount) = share(one, field.name, field.unit, below.get(row.amount), least)?;
    }
    own.swapped = share(one, "swap", Measure::Bytes, below.swapped * page, held.swap)? / page;
    own.charged = match one.totals.get("usage") {
        None => (own.anon + own.file + own.kernel) / page,
        Some(_) => share(one, "usage", Measure::Bytes, below.charged * page, 0)? / page,
    };
    if let Some(working_set) = one.totals.get("working_set") {
        let usage = (below.charged + own.charged) * page;
        if *working_set > usage {
            return Err("`working_set` is larger than `usage`".to_owned());
        }
        own.inactive_file = usage - working_set - below.inactive_file;
        if own.inactive_file < 0 {
            return Err("`working_set` is larger than those below it allow".to_owned());
        }
    }
    Ok(own)
}

/// What a cgroup has of a total for itself: what was given less what is below, or the least that it must have.
fn share(one: &DescribedCgroup, name: &str, unit: Measure, below: i64, least: i64) -> Result<i64, String> {
    match one.totals.get(name) {
        None => Ok(least),
        Some(given) if given - below >= least => Ok(given - below),
        Some(given) => {
            let (given, has) = (short(unit, *given), short(unit, below + least));
            Err(format!("`{name}` is {given}, but what is in it has {has}"))
        }
    }
}
