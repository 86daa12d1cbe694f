//! Random trees of cgroups with processes, as the machine builds them and as the oracle sees them.

use oomc_oracle::machine::{Amounts, Cgroup, CgroupIndex, Event, Machine, PAGE, Process, ProcessIndex, ROOT};
use oomc_tests::generate::runner;
use proptest::prelude::Rng as _;
use proptest::test_runner::TestRunner;

/// Random numbers; the same seed gives the same.
pub(crate) struct Dice(TestRunner);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(runner(seed))
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.0.rng().next_u64() % count.max(1) as u64) as usize
    }

    /// So many times of a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(crate) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        #[expect(clippy::indexing_slicing, reason = "the number is below the length; no list here is empty")]
        of[self.below(of.len())]
    }

    pub(crate) fn shuffled<T: Copy>(&mut self, of: &[T]) -> Vec<T> {
        let mut left = of.to_vec();
        let mut found = Vec::new();
        while !left.is_empty() {
            found.push(left.swap_remove(self.below(left.len())));
        }
        found
    }

    /// A share of an amount, in percent.
    fn share(&mut self, amount: i64, from: i64, to: i64) -> i64 {
        amount * (from + self.below((to - from) as usize) as i64) / 100
    }
}

pub(crate) const MIB: i64 = 1 << 20;

/// What tasks hold, in MiB: each 30 % more than the one before, also together with what every process has besides.
const SIZES: [i64; 6] = [7, 10, 14, 19, 26, 35];

/// What is charged for a process besides, and what it has mapped of the file that it runs: as measured, and the same
/// within a quarter for all of them.
const CHARGED: i64 = 220 << 10;
const MAPPED: i64 = oomc_tests::MAPPED;

/// What the task that grows begins with, and how much more than there is room for it takes: less than the
/// smallest victim gives back, so that one decision is enough.
const FIRST: i64 = 2 * MIB;
pub(crate) const EXCESS: i64 = 3 * MIB;

/// Memory of the machine.
const MEMORY: i64 = 640 * MIB;

const NAMES: [&str; 8] = ["a", "b", "web", "db", "job-1", "batch.slice", "app.slice", "x"];
const COMMS: [&str; 8] = ["sshd", "web", "worker-1", "worker-2", "db", "cache", "batch", "fifteen-letters"];

/// Where user space asks, so much room is left below the limit when it does: what a plan does not know exactly does not
/// meet the limit.
const ROOM: i64 = 4 * MIB;

/// Who asks a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The kernel, when the limit is met.
    Kernel,
    /// User space, before that.
    Asked,
}

/// A tree, and who grows in it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// As it is at the moment when the limit is hit. Cgroups and processes are made in this order.
    pub(crate) machine: Machine,
    /// The cgroup with the limit.
    pub(crate) top: CgroupIndex,
    /// Where the policy is attached.
    pub(crate) attached: CgroupIndex,
    /// The task that grows.
    grower: ProcessIndex,
}

impl Plan {
    /// A tree whose cgroups differ enough in what they hold.
    pub(crate) fn draw(name: &str, way: Way, dice: &mut Dice) -> Self {
        loop {
            let plan = Self::any(name, dice);
            if plan.is_clear() {
                return if way == Way::Asked { plan.asked() } else { plan };
            }
        }
    }

    /// The same tree, for user space: it asks about the cgroup with the limit before that is met, and knows no labels.
    fn asked(mut self) -> Self {
        self.attached = self.top;
        for cgroup in &mut self.machine.cgroups {
            cgroup.labels.clear();
        }
        if let Some(top) = self.machine.cgroups.get_mut(self.top) {
            top.max = top.max.map(|max| max + ROOM / PAGE);
        }
        self
    }

    fn any(name: &str, dice: &mut Dice) -> Self {
        let mut machine = Machine { memory: MEMORY / PAGE, now: 1_000_000_000_000, ..Machine::default() };
        machine.cgroups.push(Cgroup { id: 1, serial: 1, ..Cgroup::default() });
        let mut attached = ROOT;
        if dice.chance(25) {
            attached = add(&mut machine, &format!("site-{name}"), ROOT);
        }
        let top = add(&mut machine, name, attached);
        if attached == ROOT {
            attached = top;
        }
        let places = grow_tree(&mut machine, top, dice);
        decorate(&mut machine, top, dice);

        let count = 2 + dice.below(5);
        let comms = dice.shuffled(&COMMS);
        let sizes = dice.shuffled(&SIZES);
        for (at, (comm, size)) in comms.into_iter().zip(sizes).take(count).enumerate() {
            let extra = dice.one(&[0, 0, 0, 1, 3]);
            let process = Process {
                cgroup: dice.one(&places),
                pid: 100 + at as i64,
                comm: comm.to_owned(),
                uid: dice.one(&[0, 0, 1000, 1001]),
                adj: dice.one(&[0, 0, 0, 0, 0, 500, 500, 200, -500, -1000]),
                anon: size * MIB / PAGE,
                file: MAPPED / PAGE,
                pgtables: 60 << 10,
                threads: 1 + extra,
                start: machine.now - (count - at) as i64 * 1_000_000_000,
                ..Process::default()
            };
            machine.processes.push(process);
        }
        // Mostly one of the smaller ones: it is seldom the best victim.
        let of = |index: &ProcessIndex| machine.process(*index).anon;
        let grower = (0..2).map(|_| dice.below(count)).min_by_key(of).unwrap_or(0);
        // Somebody must be there whom the kernel can kill, should the policy do nothing.
        if let Some(process) = machine.processes.get_mut(grower)
            && process.adj == -1000
        {
            process.adj = 0;
        }
        let mut plan = Self { machine, top, attached, grower };
        plan.charge(|process| process.anon + CHARGED / PAGE);
        let limit = plan.machine.sum(top, |own| own.charged);
        if let Some(top) = plan.machine.cgroups.get_mut(top) {
            top.max = Some(limit);
        }
        plan
    }

    /// Charges each cgroup with what its processes hold.
    fn charge(&mut self, mut pages: impl FnMut(&Process) -> i64) {
        for cgroup in &mut self.machine.cgroups {
            cgroup.own = Amounts::default();
        }
        for index in 0..self.machine.processes.len() {
            let home = self.machine.home(index);
            let process = self.machine.process(index);
            let (charged, anon) = (pages(process), process.anon);
            if let Some(cgroup) = self.machine.cgroups.get_mut(home) {
                cgroup.own.charged += charged;
                cgroup.own.anon += anon * PAGE;
                cgroup.own.kernel += (charged - anon).max(0) * PAGE;
            }
        }
    }

    /// Cgroups that can be compared with each other hold amounts that are 30 % apart.
    fn is_clear(&self) -> bool {
        let machine = &self.machine;
        let inside: Vec<CgroupIndex> = machine.subtree(self.top).collect();
        let usage = |at: CgroupIndex| machine.sum(at, |own| own.anon);
        let apart =
            |one: i64, other: i64| one == 0 || other == 0 || one.max(other) * 10 >= one.min(other) * 13;
        inside.iter().all(|one| {
            let others = inside.iter().filter(|other| one < other);
            others
                .filter(|other| !machine.is_within(**other, *one))
                .all(|other| apart(usage(*one), usage(*other)))
        })
    }

    /// The same tree with sizes as they may really be: all that the plan does not know exactly is another.
    pub(crate) fn varied(&self, dice: &mut Dice) -> Machine {
        let mut plan = self.clone();
        for process in &mut plan.machine.processes {
            process.anon = dice.share(process.anon, 95, 108);
            process.file = dice.share(MAPPED / PAGE, 85, 130);
            process.pgtables = dice.share(process.pgtables, 50, 200);
        }
        plan.charge(|process| dice.share(process.anon, 98, 102) + dice.share(CHARGED / PAGE, 40, 250));
        for cgroup in &mut plan.machine.cgroups {
            cgroup.own.kernel = dice.share(cgroup.own.kernel, 50, 200);
        }
        plan.machine.now += dice.below(1_000_000_000) as i64;
        plan.machine
    }

    /// What happens: the limit is hit, or would be.
    pub(crate) fn event(&self) -> Event {
        let total = self.machine.cgroup(self.top).max.unwrap_or(0);
        Event { cgroup: Some(self.top), attached: self.attached, constraint: 3, total, ..Event::default() }
    }

    /// The script's name for a process.
    pub(crate) fn task(&self, index: ProcessIndex) -> String {
        if index == self.grower { "grower".to_owned() } else { format!("t{index}") }
    }

    /// By how much the task that grows has grown when the limit is hit.
    pub(crate) fn grows(&self) -> i64 {
        self.machine.process(self.grower).anon * PAGE - FIRST
    }

    /// The steps that build the tree, load the policy and hit the limit.
    pub(crate) fn steps(&self) -> String {
        let more = self.grows() + EXCESS;
        let load = format!("#> load --cgroup {}\n", self.machine.path(self.attached));
        self.tree_steps() + &load + &format!("#> grow grower by {}MiB\n", more / MIB)
    }

    /// The steps that build the tree and ask the policy before the limit is hit.
    pub(crate) fn asked_steps(&self) -> String {
        let (grows, top) = (self.grows() / MIB, self.machine.path(self.top));
        self.tree_steps() + &format!("#> grow grower by {grows}MiB\n#> ask\n#> decide {top}\n")
    }

    /// The steps that build the tree.
    pub(crate) fn tree_steps(&self) -> String {
        let machine = &self.machine;
        let mut text = String::new();
        for (index, cgroup) in machine.cgroups.iter().enumerate().skip(1) {
            let path = machine.path(index);
            text += &format!("#> cgroup {path}");
            if let Some(max) = cgroup.max {
                text += &format!(" max {}B", max * PAGE);
            }
            for (set, word) in [(cgroup.group, " group"), (cgroup.bare, " bare")] {
                text += if set { word } else { "" };
            }
            text += "\n";
            for (label, value) in &cgroup.labels {
                text += &format!("#> attribute {path} user.oom.{label} {value}\n");
            }
        }
        for (index, process) in machine.processes.iter().enumerate() {
            let size = if index == self.grower { FIRST } else { process.anon * PAGE };
            text += &format!("#> task {} in {}", self.task(index), machine.path(process.cgroup));
            text += &format!(" comm {} anon {}MiB", process.comm, size / MIB);
            for (word, value) in
                [("adj", process.adj), ("uid", process.uid), ("threads", process.threads - 1)]
            {
                if value != 0 {
                    text += &format!(" {word} {value}");
                }
            }
            text += "\n";
        }
        text
    }
}

/// Makes a cgroup.
fn add(machine: &mut Machine, name: &str, parent: CgroupIndex) -> CgroupIndex {
    let index = machine.cgroups.len();
    let at = index as i64;
    machine.cgroups.push(Cgroup {
        name: name.to_owned(),
        parent: Some(parent),
        id: 10 + at,
        serial: 2 + at,
        ..Cgroup::default()
    });
    index
}

/// Makes what is below the cgroup with the limit, and gives the cgroups that may hold processes: the leaves, since
/// the kernel allows none beside a child with a memory controller.
fn grow_tree(machine: &mut Machine, top: CgroupIndex, dice: &mut Dice) -> Vec<CgroupIndex> {
    if dice.chance(8) {
        return vec![top];
    }
    let mut names = dice.shuffled(&NAMES).into_iter();
    let children = 1 + dice.below(4);
    let deep = if dice.chance(40) { dice.below(children) } else { children };
    let mut places = Vec::new();
    for at in 0..children {
        let child = add(machine, names.next().unwrap_or("child"), top);
        if at == deep {
            for _ in 0..2 {
                places.push(add(machine, names.next().unwrap_or("grandchild"), child));
            }
        } else {
            places.push(child);
        }
    }
    if dice.chance(15) {
        let parent = dice.one(&places);
        let bare = add(machine, "bare", parent);
        if let Some(cgroup) = machine.cgroups.get_mut(bare) {
            cgroup.bare = true;
        }
        places.push(bare);
    }
    places
}

/// Labels, limits that are never hit, `memory.oom.group`.
fn decorate(machine: &mut Machine, top: CgroupIndex, dice: &mut Dice) {
    let group = dice.chance(40);
    let chosen = if dice.chance(5) { top } else { top + 1 + dice.below(machine.cgroups.len() - top - 1) };
    for (index, cgroup) in machine.cgroups.iter_mut().enumerate().skip(top) {
        if cgroup.bare {
            continue;
        }
        cgroup.group = group && index == chosen;
        if index == top {
            continue;
        }
        if dice.chance(20) {
            cgroup.max = Some(dice.one(&[200, 300]) * MIB / PAGE);
        }
        if dice.chance(35) {
            cgroup.labels.push(("tier".to_owned(), dice.one(&[10, 50, 300])));
        }
    }
}
