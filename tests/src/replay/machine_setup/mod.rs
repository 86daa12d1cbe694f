//! The machine that a case is played on, and what each of its steps does there.
//!
//! A process that grows is charged until a limit is hit, then the policies are asked, who was killed gives its memory
//! back, and it goes on.

mod operator;

use std::collections::BTreeMap;

use oomc_abi::account::Account;
use oomc_abi::declared::Declared;
use oomc_abi::record::{Action as Done, End as RuleEnd, Record};
use oomc_sim::machine::{
    Amounts, CONSTRAINTS, Cgroup, CgroupIndex, Event, Life, Machine, PAGE, Process, ROOT,
};
use oomc_sim::{Attached, Kernel, Killer, Simulation};
use oomc_vm::report::Decision;
use oomc_vm::script::{Action, Case, Expect, Memory, Part, State};

use super::more::{More, Who};
use super::{Before, End, Played, unplayable, wrong};
use crate::agree::{Both, agree_with};
use crate::generate::Scene;

/// OOMs in one growth, at most.
const MOST: usize = 64;

/// After so many OOMs that change nothing, a process is stuck.
const STUCK: usize = 3;

/// The test machine's memory, in pages, and what of it nobody can have.
const MEMORY: i64 = (640 << 20) / PAGE;
const RESERVED: i64 = (64 << 20) / PAGE;

/// What is charged for a process besides, in pages: stacks, page tables, and what else counts; and what it has mapped
/// of the program that it runs. As measured.
const KERNEL: i64 = (220 << 10) / PAGE;
const MAPPED: i64 = crate::MAPPED / PAGE;

/// Page tables of a process, in bytes: those of the program that it runs, and of each page.
const PAGE_TABLES: i64 = 40 << 10;
const PAGE_TABLES_PER_PAGE: i64 = 8;

/// And for a cgroup.
const CHILD: i64 = 16;

/// `GFP_KERNEL_ACCOUNT`'s bits for the memory of a process (include/linux/gfp_types.h, 6.12).
const GFP_MASK: i64 = 0xcc0;

struct Task {
    process: Process,
    /// Pages by kind: anonymous, of files, of tmpfs.
    held: [i64; 3],
    killed: bool,
    lingers: Option<Lingers>,
}

/// Who is held back when a process dies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lingers {
    Leader,
    OtherThread,
}

/// A policy that is attached.
struct Loaded {
    both: Both,
    attached: Attached,
    audit: Option<bool>,
    params: Vec<(String, i64)>,
    labels: Vec<(CgroupIndex, String, i64)>,
}

/// The machine, and the policies that are attached to its cgroups.
pub(super) struct MachineSetup<'k> {
    kernel: &'k Kernel,
    machine: Machine,
    /// Charges that nobody holds any more: pages of files of those who died.
    left: Vec<Amounts>,
    /// Who owns each cgroup's directory, and the attributes on it.
    owners: Vec<u32>,
    attributes: Vec<(CgroupIndex, String, String)>,
    tasks: BTreeMap<String, Task>,
    policies: Vec<Loaded>,
    more: Option<More>,
    asked: usize,
    played: Played,
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

impl<'k> MachineSetup<'k> {
    /// An empty machine.
    pub(super) fn new(kernel: &'k Kernel, more: Option<More>) -> Self {
        let cgroups = vec![Cgroup { id: 1, serial: 1, ..Cgroup::default() }];
        let machine = Machine { memory: MEMORY, now: 1_000_000_000_000, cgroups, ..Machine::default() };
        Self {
            kernel,
            machine,
            left: vec![Amounts::default()],
            owners: vec![0],
            attributes: Vec::new(),
            tasks: BTreeMap::new(),
            policies: Vec::new(),
            more,
            asked: 0,
            played: Played::default(),
        }
    }

    fn known(&self, path: &str) -> Option<CgroupIndex> {
        (0..self.machine.cgroups.len())
            .find(|at| self.machine.path(*at) == path && !self.machine.cgroup(*at).removed)
    }

    fn find(&self, path: &str) -> Result<CgroupIndex, End> {
        self.known(path).map_or_else(|| unplayable(format!("the cgroup {path}")), Ok)
    }

    /// Does one step.
    pub(super) fn step(&mut self, case: &Case, action: &Action) -> Result<(), End> {
        match action {
            Action::Cgroup { path, max, swap, group, bare } => {
                let at = self.cgroup(path, *bare);
                let cgroup = &mut self.machine.cgroups[at];
                cgroup.max = max.map(|max| max as i64 / PAGE);
                cgroup.swap_max = swap.map(|max| max as i64 / PAGE);
                cgroup.group = *group;
                Ok(())
            }
            Action::Task { name, cgroup, parts } => self.start(name, cgroup, parts),
            Action::Adj { task, value } => {
                self.task(task)?.process.adj = *value;
                Ok(())
            }
            Action::LeaderExits(task) => {
                self.task(task)?.process.leader_gone = true;
                Ok(())
            }
            Action::Linger { task, thread } => {
                let who = if *thread { Lingers::OtherThread } else { Lingers::Leader };
                self.task(task)?.lingers = Some(who);
                Ok(())
            }
            Action::Kill(task) => {
                self.task(task)?;
                self.dies(task, Life::Dying { chosen: false, reaped: false });
                Ok(())
            }
            Action::Remove(path) => {
                let at = self.find(path)?;
                while let Some(gone) = self.policies.iter().position(|policy| policy.attached.cgroup == at) {
                    self.take_away(gone);
                }
                self.machine.cgroups[at].removed = true;
                Ok(())
            }
            Action::Write { path, file, value } => self.write(path, file, value),
            Action::Attribute { path, name, value } => {
                let at = self.find(path)?;
                self.attributes.push((at, name.clone(), value.clone()));
                Ok(())
            }
            Action::Owner { path, uid } => {
                let at = self.find(path)?;
                self.owners[at] = *uid;
                Ok(())
            }
            Action::Oomc { exit, args } => self.oomc(case, *exit, args),
            Action::Grow { task, size, kind, stuck } => self.grow(task, *size as i64 / PAGE, *kind, *stuck),
            Action::Wait(milliseconds) => {
                self.machine.now += *milliseconds as i64 * 1_000_000;
                Ok(())
            }
            // What they say is for the machine, and for a reader.
            Action::Show(_) | Action::Decisions | Action::Follow(_) | Action::Followed => Ok(()),
            Action::Service(_) => unplayable("the service"),
            Action::Expect(expect) => self.expect(expect),
            other => unplayable(format!("{other:?}")),
        }
    }

    /// Makes a cgroup, and what is missing above it.
    fn cgroup(&mut self, path: &str, bare: bool) -> CgroupIndex {
        if let Some(at) = self.known(path) {
            return at;
        }
        let (above, name) = path.rsplit_once('/').unwrap_or_default();
        let parent = if above.is_empty() { ROOT } else { self.cgroup(above, false) };
        let serial = self.machine.cgroups.len() as i64 + 1;
        self.machine.cgroups.push(Cgroup {
            name: name.to_owned(),
            parent: Some(parent),
            id: 100 + serial,
            serial,
            bare,
            // It is measured, and nothing has been lacking yet.
            pressure: Some([[0; 3]; 2]),
            ..Cgroup::default()
        });
        let more = self.more.map_or(0, |more| more.of(Who::Cgroups, self.left.len()));
        self.left.push(Amounts { charged: more, kernel: more * PAGE, ..Amounts::default() });
        self.owners.push(0);
        // What the kernel keeps for a cgroup is charged to the one above.
        self.left[parent].charged += CHILD;
        self.left[parent].kernel += CHILD * PAGE;
        self.machine.cgroups.len() - 1
    }

    fn start(&mut self, name: &str, cgroup: &str, parts: &[Part]) -> Result<(), End> {
        let number = self.tasks.len() as i64;
        let mut held = [0; 3];
        let mut process = Process {
            cgroup: self.find(cgroup)?,
            pid: 100 + number,
            comm: name.to_owned(),
            threads: 1,
            start: 1_000_000_000 * (1 + number),
            pgtables: self.more.map_or(0, |more| more.of(Who::Processes, self.tasks.len())) * PAGE,
            // Nobody here asks for it, and a case may ask about it.
            members: vec![("sched_reset_on_fork".to_owned(), 0), ("in_execve".to_owned(), 0)],
            ..Process::default()
        };
        for part in parts {
            match part {
                Part::Holds(kind, bytes) => held[*kind as usize] += *bytes as i64 / PAGE,
                Part::Adj(adj) => process.adj = *adj,
                Part::Uid(uid) => process.uid = i64::from(*uid),
                Part::Comm(comm) => process.comm.clone_from(comm),
                Part::Threads(more) => process.threads += i64::from(*more),
                // Nobody here tells anybody to end, and nobody's number is of interest.
                Part::Deaf | Part::Number(_) => {}
                Part::Sparse(pages) => {
                    held[Memory::Anon as usize] += i64::from(*pages);
                    process.pgtables += i64::from(*pages) * PAGE;
                }
            }
        }
        self.tasks.insert(name.to_owned(), Task { process, held, killed: false, lingers: None });
        Ok(())
    }

    fn write(&mut self, path: &str, file: &str, value: &str) -> Result<(), End> {
        let at = self.find(path)?;
        let units = [("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("", 1_i64)];
        let bytes = units.iter().find_map(|(unit, size)| {
            let number: i64 = value.strip_suffix(unit)?.parse().ok()?;
            Some(number * size / PAGE)
        });
        let cgroup = &mut self.machine.cgroups[at];
        match (file, bytes) {
            ("memory.max", Some(pages)) => cgroup.max = Some(pages),
            ("memory.high", Some(pages)) => cgroup.high = Some(pages),
            ("memory.low", Some(pages)) => cgroup.low = pages,
            ("memory.min", Some(pages)) => cgroup.min = pages,
            _ => return unplayable(format!("{value} in {path}/{file}")),
        }
        Ok(())
    }

    fn task(&mut self, name: &str) -> Result<&mut Task, End> {
        self.tasks.get_mut(name).map_or_else(|| unplayable(format!("the task {name}")), Ok)
    }

    /// The machine as it stands: those who live, and what is charged.
    fn now(&self) -> Machine {
        let mut machine = self.machine.clone();
        for (cgroup, left) in machine.cgroups.iter_mut().zip(&self.left) {
            cgroup.own = *left;
        }
        for task in self.tasks.values().filter(|task| !task.killed) {
            let [anon, file, shmem] = task.held;
            let pgtables = (PAGE_TABLES + PAGE_TABLES_PER_PAGE * (anon + file + shmem)) / PAGE * PAGE;
            let pgtables = task.process.pgtables + pgtables;
            // It lies in the initramfs, which is a tmpfs.
            let shmem = shmem + MAPPED;
            machine.processes.push(Process { anon, file, shmem, pgtables, ..task.process.clone() });
            let home = machine.home(machine.processes.len() - 1);
            let (own, more) = (&mut machine.cgroups[home].own, amounts(task.held));
            own.charged += more.charged + task.process.pgtables / PAGE;
            own.anon += more.anon;
            own.file += more.file;
            own.shmem += more.shmem;
            own.kernel += more.kernel + task.process.pgtables;
        }
        machine
    }

    /// A process is killed; if somebody holds it back, it keeps its memory.
    fn dies(&mut self, name: &str, life: Life) {
        let Some(task) = self.tasks.get_mut(name) else { return };
        match task.lingers {
            None => self.bury(name),
            Some(who) => {
                task.process.life = life;
                if who == Lingers::OtherThread {
                    task.process.leader_gone = true;
                    task.process.threads = 2;
                }
            }
        }
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

    fn grow(&mut self, name: &str, mut pages: i64, kind: Memory, stuck: bool) -> Result<(), End> {
        let mut idle = 0;
        for _ in 0..MOST {
            let task = self.task(name)?;
            if task.killed || task.process.life != Life::Lives {
                return Ok(());
            }
            let pid = task.process.pid;
            let machine = self.now();
            let trigger = machine.processes.iter().position(|process| process.pid == pid).unwrap_or(0);
            let rooms = machine.ancestors(machine.home(trigger)).filter_map(|at| {
                let max = if at == ROOT { MEMORY - RESERVED } else { machine.cgroup(at).max? };
                Some((max - machine.sum(at, |own| own.charged), at))
            });
            // Charging begins below: of two limits that are hit at once, the lower one counts.
            let Some((room, domain)) = rooms.min_by_key(|(room, _)| *room) else {
                return wrong("a process without a cgroup");
            };
            let taken = pages.min(room.max(0));
            self.task(name)?.held[kind as usize] += taken;
            pages -= taken;
            if pages == 0 {
                return if stuck { wrong(format!("{name} has all its memory")) } else { Ok(()) };
            }
            let before = self.now();
            self.out_of_memory(domain, trigger)?;
            idle = if self.holds_as_much_as(&before) { idle + 1 } else { 0 };
            if stuck && idle == STUCK {
                return Ok(());
            }
        }
        wrong(format!("{name} never gets its memory"))
    }

    /// Nobody has gone meanwhile, and no limit has risen.
    fn holds_as_much_as(&self, before: &Machine) -> bool {
        let now = self.now();
        let max = |machine: &Machine| machine.cgroups.iter().map(|cgroup| cgroup.max).collect::<Vec<_>>();
        now.processes == before.processes && max(&now) == max(before)
    }

    fn out_of_memory(&mut self, domain: CgroupIndex, trigger: usize) -> Result<(), End> {
        self.machine.now += 10_000_000;
        self.left[domain].events_max += 1;
        self.left[domain].events_oom += 1;
        let machine = self.now();
        let constraint = if domain == ROOT { "none" } else { "memcg" };
        let event = Event {
            cgroup: (domain != ROOT).then_some(domain),
            attached: domain,
            constraint: CONSTRAINTS.iter().position(|name| *name == constraint).unwrap_or_default(),
            total: machine.cgroup(domain).max.unwrap_or(MEMORY),
            gfp_mask: GFP_MASK,
            trigger: Some(trigger),
            ..Event::default()
        };
        self.ask_the_oracle(&machine, &event)?;
        let mut simulation = match Simulation::new(self.kernel, machine.clone()) {
            Ok(simulation) => simulation,
            Err(lacking) => return wrong(lacking.to_string()),
        };
        let mut asked: Vec<Attached> = self.policies.iter().map(|policy| policy.attached.clone()).collect();
        let outcome = match simulation.out_of_memory(&mut asked, &event) {
            Ok(outcome) => outcome,
            Err(refusal) => return wrong(refusal.to_string()),
        };
        self.asked += outcome.asked.len();
        for (policy, now) in self.policies.iter_mut().zip(asked) {
            policy.attached = now;
        }
        for (cgroup, now) in self.machine.cgroups.iter_mut().zip(&simulation.machine().cgroups) {
            cgroup.max = now.max;
        }
        for (before, process) in machine.processes.iter().zip(&simulation.machine().processes) {
            if process.life == before.life {
                continue;
            }
            let name = self.tasks.iter().find(|(_, task)| task.process.pid == process.pid);
            let name = name.map(|(name, _)| name.clone()).unwrap_or_default();
            self.dies(&name, process.life);
            self.left[process.cgroup].events_oom_kill += i64::from(before.life == Life::Lives);
        }
        match outcome.killer {
            Some(Killer::Nobody) => wrong("there is nobody to kill"),
            _ => Ok(()),
        }
    }

    /// Before anything has changed: labels and counters as each policy has them.
    fn ask_the_oracle(&self, machine: &Machine, event: &Event) -> Result<(), End> {
        for policy in &self.policies {
            let mut seen = machine.clone();
            for (index, cgroup) in seen.cgroups.iter_mut().enumerate() {
                cgroup.counters = policy.attached.counters(index);
                let labels = policy.labels.iter().filter(|(at, ..)| *at == index);
                cgroup.labels = labels.map(|(_, name, value)| (name.clone(), *value)).collect();
            }
            if !seen.is_within(event.cgroup.unwrap_or(ROOT), policy.attached.cgroup) {
                continue;
            }
            let event = Event { attached: policy.attached.cgroup, ..event.clone() };
            let scene = Scene { machine: seen, event, audit: policy.audit };
            if let Err(what) = agree_with(&policy.both, self.kernel, &scene, &policy.params) {
                return wrong(format!("the oracle decides otherwise:\n{what}{scene}"));
            }
        }
        Ok(())
    }

    /// What the policies have decided, in all.
    pub(super) fn end(mut self) -> Played {
        while !self.policies.is_empty() {
            self.take_away(0);
        }
        Played { asked: self.asked, ..self.played }
    }

    /// A policy is no longer attached; what it has decided is kept.
    fn take_away(&mut self, at: usize) {
        let policy = self.policies.remove(at);
        let declared = &policy.both.policy.declared;
        let records = policy.attached.records();
        let decisions: Vec<Decision> = records.iter().map(|record| self.decision(record, declared)).collect();
        self.played.decisions.extend(decisions);
        if !records.is_empty() {
            self.played.policies.push(policy.both);
        }
    }

    /// A record as the machine tells it.
    fn decision(&self, record: &Record, declared: &Declared) -> Decision {
        let path = |id: u64| {
            let at = self.machine.cgroups.iter().position(|cgroup| cgroup.id as u64 == id);
            at.map_or_else(|| id.to_string(), |at| self.machine.path(at))
        };
        let account = Account { record, declared, cgroup: &path };
        let action = Done::from_code(record.action);
        let victim = match action {
            Some(Done::KillProcess | Done::Wait) => Some(record.victim_name.clone()),
            Some(Done::KillCgroup) => Some(path(record.victim)),
            _ => None,
        };
        let ends = declared.rules.iter().zip(&record.ends).map(|(rule, end)| {
            let end = RuleEnd::from_code(u64::from(*end)).map(RuleEnd::text).unwrap_or_default();
            (rule.clone(), end.to_owned())
        });
        Decision {
            attached: path(record.attached),
            domain: path(record.domain),
            audit: record.audit,
            answer: record.answer,
            action: action.map(Done::text).unwrap_or_default().to_owned(),
            rule: account.acting_rule(),
            victim,
            killed: record.killed,
            limit: (action == Some(Done::RaiseLimit)).then_some(record.result),
            ends: ends.collect(),
            candidates: record.candidates.iter().map(|one| (one.name.clone(), one.class)).collect(),
        }
    }

    fn expect(&mut self, expect: &Expect) -> Result<(), End> {
        match expect {
            Expect::Task { task: name, state } => {
                let task = self.task(name)?;
                let found = match (task.killed, task.process.life) {
                    (true, _) => State::Killed,
                    (false, Life::Lives) => State::Alive,
                    _ => State::Dying,
                };
                match (state, found) {
                    (State::Exited(_), _) => unplayable(format!("{name} is {state:?}")),
                    // From now on nobody holds it back.
                    (State::Killed, State::Dying) => {
                        self.bury(name);
                        Ok(())
                    }
                    _ if *state == found => Ok(()),
                    _ => wrong(format!("{name} is not {state:?}")),
                }
            }
            Expect::File { path, file, key, op, value } => {
                let at = self.find(path)?;
                let machine = self.now();
                let found = match (file.as_str(), key.as_deref()) {
                    ("memory.max", None) => machine.cgroup(at).max.map_or(i64::MAX, |max| max * PAGE),
                    ("memory.events", Some("oom_kill")) => machine.sum(at, |own| own.events_oom_kill),
                    ("memory.events.local", Some("oom")) => machine.cgroup(at).own.events_oom,
                    ("memory.events.local", Some("max")) => machine.cgroup(at).own.events_max,
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
            | Expect::Shown { .. }
            | Expect::Pins(_)
            | Expect::Links(_)
            | Expect::Place(_)
            | Expect::Whole(_) => Ok(()),
        }
    }
}
