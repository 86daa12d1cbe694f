//! The cases that run in the machine, once more: in the simulator, and each decision before the oracle, too.
//!
//! The same files and the same expectations. A script is played on a model: a process that grows is charged until a
//! limit is hit, then the policies are asked, who was killed gives its memory back, and it goes on. What a model
//! cannot show (logs, pins, files of the kernel, processes that are held back) leaves its case to the machine; which
//! cases these are is counted.

#![expect(clippy::indexing_slicing, reason = "an index of another machine is a mistake of the test")]

use std::collections::BTreeMap;

use oomc_abi::resolve::KernelView;
use oomc_compiler::hir::ExprKind;
use oomc_sim::machine::{Amounts, Cgroup, CgroupIndex, Event, Life, Machine, PAGE, Process};
use oomc_sim::{Attached, Kernel, Killer, Simulation};
use oomc_tests::agree::{Both, agree, both};
use oomc_tests::generate::Scene;
use oomc_tests::{files, read, root, short};
use oomc_vm::script::{self, Action, Case, Expect, Memory, Part, State};

/// Cases that a model can show, at least: a change that makes one unplayable is noticed.
const LEAST: usize = 129;

/// OOMs in one growth, at most.
const MOST: usize = 64;

/// The test machine's memory, in pages.
const MEMORY: i64 = (640 << 20) / PAGE;

/// What the kernel keeps for a process, in pages: stacks, page tables, and what else counts.
const KERNEL: i64 = (512 << 10) / PAGE;

/// And for a cgroup.
const CHILD: i64 = 16;

/// Fields that the kernel measures, and a model cannot know.
const MEASURED: [&str; 8] =
    ["pressure", "pgscan", "pgmajfault", "refault", "events", "pgtables", "slab_reclaimable", "working_set"];

struct Task {
    process: Process,
    /// Pages by kind: anonymous, of files, of tmpfs.
    held: [i64; 3],
    killed: bool,
}

struct Played<'k> {
    kernel: &'k Kernel,
    machine: Machine,
    /// Charges that nobody holds any more: pages of files of those who died.
    left: Vec<Amounts>,
    tasks: BTreeMap<String, Task>,
    policies: Vec<(Both, Attached)>,
    decisions: usize,
}

/// Why a case was not played, or what is wrong with it.
enum End {
    Unplayable(String),
    Wrong(String),
}

fn unplayable<T>(what: impl Into<String>) -> Result<T, End> {
    Err(End::Unplayable(what.into()))
}

fn wrong<T>(what: impl Into<String>) -> Result<T, End> {
    Err(End::Wrong(what.into()))
}

fn amounts([anon, file, shmem]: [i64; 3]) -> Amounts {
    Amounts {
        charged: anon + file + shmem + KERNEL,
        kernel: KERNEL * PAGE,
        anon: anon * PAGE,
        // The page cache, tmpfs included.
        file: (file + shmem) * PAGE,
        shmem: shmem * PAGE,
        ..Amounts::default()
    }
}

impl<'k> Played<'k> {
    fn new(kernel: &'k Kernel) -> Self {
        let cgroups = vec![Cgroup { id: 1, serial: 1, ..Cgroup::default() }];
        let machine = Machine { memory: MEMORY, now: 1_000_000_000_000, cgroups, ..Machine::default() };
        Self {
            kernel,
            machine,
            left: vec![Amounts::default()],
            tasks: BTreeMap::new(),
            policies: Vec::new(),
            decisions: 0,
        }
    }

    fn find(&self, path: &str) -> Result<CgroupIndex, End> {
        let found = (0..self.machine.cgroups.len())
            .find(|at| self.machine.path(*at) == path && !self.machine.cgroup(*at).removed);
        found.map_or_else(|| unplayable(format!("the cgroup {path}")), Ok)
    }

    fn step(&mut self, case: &Case, action: &Action) -> Result<(), End> {
        match action {
            Action::Cgroup { path, max, swap: None, group, bare } => {
                let (above, name) = path.rsplit_once('/').unwrap_or_default();
                let parent = self.find(if above.is_empty() { "/" } else { above })?;
                let serial = self.machine.cgroups.len() as i64 + 1;
                self.machine.cgroups.push(Cgroup {
                    name: name.to_owned(),
                    parent: Some(parent),
                    id: 100 + serial,
                    serial,
                    max: max.map(|max| max as i64 / PAGE),
                    group: *group,
                    bare: *bare,
                    ..Cgroup::default()
                });
                self.left.push(Amounts::default());
                // What the kernel keeps for a cgroup is charged to the one above.
                self.left[parent].charged += CHILD;
                self.left[parent].kernel += CHILD * PAGE;
                Ok(())
            }
            Action::Task { name, cgroup, parts } => {
                let number = self.tasks.len() as i64;
                let mut held = [0; 3];
                let mut process = Process {
                    cgroup: self.find(cgroup)?,
                    pid: 100 + number,
                    comm: name.clone(),
                    threads: 1,
                    start: 1_000_000_000 * (1 + number),
                    ..Process::default()
                };
                for part in parts {
                    match part {
                        Part::Holds(kind, bytes) => held[*kind as usize] += *bytes as i64 / PAGE,
                        Part::Adj(adj) => process.adj = *adj,
                        Part::Uid(uid) => process.uid = i64::from(*uid),
                        Part::Comm(comm) => process.comm.clone_from(comm),
                        Part::Threads(more) => process.threads += i64::from(*more),
                    }
                }
                self.tasks.insert(name.clone(), Task { process, held, killed: false });
                Ok(())
            }
            Action::Adj { task, value } => {
                self.task(task)?.process.adj = *value;
                Ok(())
            }
            Action::LeaderExits(task) => {
                self.task(task)?.process.leader_gone = true;
                Ok(())
            }
            Action::Kill(task) => {
                self.task(task)?;
                self.bury(task);
                Ok(())
            }
            Action::Remove(path) => {
                let at = self.find(path)?;
                self.machine.cgroups[at].removed = true;
                Ok(())
            }
            Action::Oomc { exit: 0, args } => self.oomc(case, args),
            Action::Grow { task, size, kind, stuck: false } => self.grow(task, *size as i64 / PAGE, *kind),
            Action::Wait(milliseconds) => {
                self.machine.now += *milliseconds as i64 * 1_000_000;
                Ok(())
            }
            Action::Show(_) => Ok(()),
            Action::Expect(expect) => self.expect(expect),
            other => unplayable(format!("{other:?}")),
        }
    }

    fn task(&mut self, name: &str) -> Result<&mut Task, End> {
        self.tasks.get_mut(name).map_or_else(|| unplayable(format!("the task {name}")), Ok)
    }

    fn oomc(&mut self, case: &Case, args: &[String]) -> Result<(), End> {
        let words: Vec<&str> = args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["load", object, "--cgroup", path] => {
                let name = object.trim_end_matches(".o");
                let text = match case.policies.iter().find(|(other, _)| other == name) {
                    Some((_, text)) => text,
                    None if name == case.name && !case.header.contains_key("policy") => &case.text,
                    None => return unplayable(format!("the object {object}")),
                };
                let Some(both) = both(text, self.kernel) else { return unplayable("a large policy") };
                let measured = both.checked.exprs.values().any(|expr| match &expr.kind {
                    ExprKind::Field(_, field) => {
                        MEASURED.contains(&field.row().name.split('.').next().unwrap_or_default())
                    }
                    _ => false,
                });
                if measured {
                    return unplayable("what the kernel measures");
                }
                // The oracle knows those that random policies name.
                if !both.checked.raws.is_empty() {
                    return unplayable("members of kernel structures");
                }
                let cgroup = self.find(path)?;
                let attached = Attached::new(&both.policy, &self.now(), cgroup);
                self.policies.push((both, attached));
                Ok(())
            }
            // What they say is for the machine.
            ["status" | "events", ..] => Ok(()),
            _ => unplayable(format!("oomc {}", args.join(" "))),
        }
    }

    /// The machine as it stands: those who live, and what is charged.
    fn now(&self) -> Machine {
        let mut machine = self.machine.clone();
        for (cgroup, left) in machine.cgroups.iter_mut().zip(&self.left) {
            cgroup.own = *left;
        }
        for task in self.tasks.values().filter(|task| !task.killed) {
            let [anon, file, shmem] = task.held;
            machine.processes.push(Process { anon, file, shmem, ..task.process.clone() });
            let home = machine.home(machine.processes.len() - 1);
            let (own, more) = (&mut machine.cgroups[home].own, amounts(task.held));
            own.charged += more.charged;
            own.anon += more.anon;
            own.file += more.file;
            own.shmem += more.shmem;
            own.kernel += more.kernel;
        }
        machine
    }

    /// It is gone; pages of its files stay charged.
    fn bury(&mut self, name: &str) {
        let machine = self.now();
        let Some(task) = self.tasks.get_mut(name) else { return };
        task.killed = true;
        let at = machine.processes.iter().position(|process| process.pid == task.process.pid);
        let home = at.map_or(0, |at| machine.home(at));
        let stays = amounts([0, task.held[1], task.held[2]]);
        let left = &mut self.left[home];
        left.charged += stays.charged - KERNEL;
        left.file += stays.file;
        left.shmem += stays.shmem;
    }

    fn grow(&mut self, name: &str, mut pages: i64, kind: Memory) -> Result<(), End> {
        for _ in 0..MOST {
            let task = self.task(name)?;
            if task.killed {
                return Ok(());
            }
            let pid = task.process.pid;
            let machine = self.now();
            let trigger = machine.processes.iter().position(|process| process.pid == pid).unwrap_or(0);
            let rooms = machine.ancestors(machine.home(trigger)).filter_map(|at| {
                let max = machine.cgroup(at).max?;
                Some((max - machine.sum(at, |own| own.charged), at))
            });
            let (room, domain) = rooms.min().unwrap_or((MEMORY, 0));
            let taken = pages.min(room.max(0));
            self.task(name)?.held[kind as usize] += taken;
            pages -= taken;
            if pages == 0 {
                return Ok(());
            }
            self.out_of_memory(domain, trigger)?;
        }
        wrong(format!("{name} never gets its memory"))
    }

    fn out_of_memory(&mut self, domain: CgroupIndex, trigger: usize) -> Result<(), End> {
        self.machine.now += 10_000_000;
        let machine = self.now();
        let total = machine.cgroup(domain).max.unwrap_or(MEMORY);
        let event = Event {
            cgroup: Some(domain),
            attached: domain,
            constraint: 3,
            total,
            trigger: Some(trigger),
            ..Event::default()
        };
        // The oracle, before anything has changed: counters as each policy has them.
        for (both, attached) in &self.policies {
            let mut seen = machine.clone();
            for (index, cgroup) in seen.cgroups.iter_mut().enumerate() {
                cgroup.counters = attached.counters(index);
            }
            if !seen.is_within(domain, attached.cgroup) {
                continue;
            }
            let event = Event { attached: attached.cgroup, ..event.clone() };
            let scene = Scene { machine: seen, event, audit: None };
            if let Err(what) = agree(both, self.kernel, &scene) {
                return wrong(format!("the oracle decides otherwise:\n{what}{scene}"));
            }
        }
        let mut simulation = match Simulation::new(self.kernel, machine) {
            Ok(simulation) => simulation,
            Err(lacking) => return wrong(lacking.to_string()),
        };
        let mut asked: Vec<Attached> = self.policies.iter().map(|(_, attached)| attached.clone()).collect();
        let outcome = match simulation.out_of_memory(&mut asked, &event) {
            Ok(outcome) => outcome,
            Err(refusal) => return wrong(refusal.to_string()),
        };
        self.decisions += outcome.asked.len();
        for ((_, attached), now) in self.policies.iter_mut().zip(asked) {
            *attached = now;
        }
        for (cgroup, now) in self.machine.cgroups.iter_mut().zip(&simulation.machine().cgroups) {
            cgroup.max = now.max;
        }
        for process in &simulation.machine().processes {
            if process.life == Life::Lives {
                continue;
            }
            let name = self.tasks.iter().find(|(_, task)| task.process.pid == process.pid);
            let name = name.map(|(name, _)| name.clone()).unwrap_or_default();
            let home = process.cgroup;
            self.bury(&name);
            self.left[home].events_oom_kill += 1;
        }
        match outcome.killer {
            Some(Killer::Nobody) => wrong("there is nobody to kill"),
            _ => Ok(()),
        }
    }

    fn expect(&mut self, expect: &Expect) -> Result<(), End> {
        match expect {
            Expect::Task { task, state } => {
                let killed = self.task(task)?.killed;
                match (state, killed) {
                    (State::Alive, false) | (State::Killed, true) => Ok(()),
                    (State::Alive | State::Killed, _) => wrong(format!("{task} is not {state:?}")),
                    _ => unplayable(format!("{task} is {state:?}")),
                }
            }
            Expect::File { path, file, key, op, value } => {
                let at = self.find(path)?;
                let machine = self.now();
                let found = match (file.as_str(), key.as_deref()) {
                    ("memory.max", None) => machine.cgroup(at).max.map_or(i64::MAX, |max| max * PAGE),
                    ("memory.events", Some("oom_kill")) => machine.sum(at, |own| own.events_oom_kill),
                    ("memory.current", None) => machine.sum(at, |own| own.charged) * PAGE,
                    _ => return unplayable(format!("{path}/{file}")),
                };
                if op.holds(found.into(), *value) {
                    return Ok(());
                }
                wrong(format!("{path}/{file} is {found}"))
            }
            // For the machine.
            Expect::Log { .. }
            | Expect::Output { .. }
            | Expect::Pins(_)
            | Expect::Links(_)
            | Expect::Whole(_) => Ok(()),
        }
    }
}

fn play(kernel: &Kernel, case: &Case) -> Result<usize, End> {
    let mut played = Played::new(kernel);
    for step in &case.steps {
        let told = |end| match end {
            End::Wrong(what) => End::Wrong(format!("{}:{}: {}: {what}", case.name, step.line, step.text)),
            unplayable => unplayable,
        };
        played.step(case, &step.action).map_err(told)?;
    }
    // Without a decision there is nothing to compare.
    if played.decisions == 0 { unplayable("no policy is asked") } else { Ok(played.decisions) }
}

#[test]
fn what_happens_in_the_machine_happens_in_the_simulator() {
    let kernel = Kernel::new(KernelView::embedded()).expect("the embedded kernel can be modelled");
    let (mut played, mut decisions, mut failed, mut left) = (0, 0, Vec::new(), Vec::new());
    for path in files(&root().join("tests/cases/run")) {
        if path.extension().is_none_or(|extension| extension != "oom") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let case = script::parse(&name, &read(&path)).unwrap_or_else(|error| panic!("{error}"));
        match play(&kernel, &case) {
            Ok(count) => {
                played += 1;
                decisions += count;
            }
            Err(End::Wrong(what)) => failed.push(format!("{}: {what}", short(&path))),
            Err(End::Unplayable(what)) => left.push(format!("{name}: {what}")),
        }
    }
    eprintln!(
        "{played} cases with {decisions} decisions happen as in the machine; {} are left to it",
        left.len()
    );
    if std::env::var_os("OOMC_SHOW").is_some() {
        eprintln!("{}", left.join("\n"));
    }
    assert!(failed.is_empty(), "{} cases go on otherwise:\n{}", failed.len(), failed.join("\n\n"));
    assert!(played >= LEAST, "only {played} cases can be played");
}
