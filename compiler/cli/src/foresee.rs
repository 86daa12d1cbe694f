//! Finds out what a policy would do on a machine: from a simulated event to a [`Forecast`].
//!
//! The policy's bytes decide; who would die with whom, and what a reader wants to see of the tree, is put together
//! here.

use std::collections::{BTreeMap, BTreeSet};

use oomc_abi::amount::short;
use oomc_abi::fields::{Owner, Unit};
use oomc_abi::record::{End, Record};
use oomc_compiler::Source;
use oomc_compiler::trace::Protection::{Dying, Never};
use oomc_compiler::trace::{Point, PointKind};
use oomc_sim::machine::{CgroupIndex, Life, Machine, PAGE, Process, ProcessIndex, ROOT};
use oomc_sim::scenario::{self, Decision, KernelsOwn};
use oomc_sim::{Attached, Kernel, Policy};

use crate::decision::Told;
use crate::exit::Failure;
use crate::forecast::{Candidate, Ended, Forecast, KeyValue, Kind, Marked, Node, Object, Protection};
use crate::prose;

/// An event that may come.
pub(crate) struct Question<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) machine: &'a Machine,
    /// Where the policy is, or would be, attached.
    pub(crate) attached: CgroupIndex,
    /// Who runs out of memory; none: the whole machine.
    pub(crate) domain: Option<CgroupIndex>,
}

/// What would come of it.
pub(crate) struct Answer {
    pub(crate) decision: Decision,
    /// The domain had less charged than its limit: bytes.
    pub(crate) filled: i64,
}

/// Lets the event happen. Who runs out is full: a snapshot is taken while there is still room.
pub(crate) fn ask(question: &Question<'_>, attached: &mut Attached) -> Result<Answer, Failure> {
    let domain = question.domain.unwrap_or(ROOT);
    let mut machine = question.machine.clone();
    let full = machine.run_out(domain);
    let mut filled = 0;
    if let Some(cgroup) = machine.cgroups.get_mut(domain) {
        filled = (full.charged - cgroup.own.charged) * PAGE;
        cgroup.own = full;
    }
    let event = machine.event(question.domain, question.attached);
    let decision = scenario::decide(question.kernel, attached, machine, event);
    let decision = decision.map_err(Failure::refused)?;
    Ok(Answer { decision, filled })
}

/// The forecast of a decision.
pub(crate) fn forecast(policy: &Policy, answer: &Answer, protections: Vec<Protection>) -> Forecast {
    let decision = &answer.decision;
    let (before, event) = (&decision.before, &decision.event);
    let domain = event.cgroup.unwrap_or(ROOT);
    let declared = &policy.declared;
    let path = |id: u64| decision.path_of(id);
    let mut forecast = Forecast {
        policy: declared.name.clone(),
        attached: before.path(event.attached),
        domain: before.path(domain),
        system: event.cgroup.is_none(),
        protections,
        ..Forecast::default()
    };
    if answer.filled > 0 {
        forecast.remarks.push(format!(
            "there is room for {} now; when memory runs out there is none",
            short(Unit::Bytes, answer.filled)
        ));
    }
    match &decision.record {
        Some(record) => {
            let told = Told { record, declared, cgroup: &path };
            forecast.audit = record.audit;
            forecast.summary = told.would();
            forecast.rule = told.account().acting_rule();
            forecast.rules = ends(record, &declared.rules);
            forecast.remarks.extend(told.account().remarks());
            forecast.candidates = candidates(decision, &told);
        }
        None if decision.asked => forecast.summary = "left to the kernel: nothing is recorded".to_owned(),
        None => {
            let attached = &forecast.attached;
            forecast.summary = format!("not asked: the policy is attached to {attached}, which is not above");
        }
    }
    let victim = decision.victim(declared).and_then(|(owner, id)| object(decision, owner, id));
    let kernels = match &decision.kernel {
        Some(KernelsOwn::Killed(at) | KernelsOwn::Waits(at)) => Some(process(before, *at)),
        Some(KernelsOwn::Nobody) | None => None,
    };
    if let Some(text) = told_of_kernel(decision) {
        forecast.remarks.insert(0, text);
    }
    forecast.dies = who_dies(decision);
    // In audit mode the policy says one thing, and the kernel does another.
    forecast.by_the_kernel = victim.is_none() && kernels.is_some();
    forecast.victim = victim.or(kernels);
    forecast.tree = tree(before, domain, &forecast);
    forecast
}

/// Who lived, and is killed.
fn who_dies(decision: &Decision) -> Vec<Object> {
    let lives = decision.before.processes.iter().zip(&decision.after.processes);
    let dies = |(_, (before, after)): &(usize, (&Process, &Process))| {
        before.life == Life::Lives && after.life != Life::Lives
    };
    lives.enumerate().filter(dies).map(|(at, _)| process(&decision.before, at)).collect()
}

/// What the kernel does with an event that the policy leaves to it.
pub(crate) fn told_of_kernel(decision: &Decision) -> Option<String> {
    let who = |at| prose::object(&process(&decision.before, at));
    Some(match decision.kernel.as_ref()? {
        KernelsOwn::Killed(at) => format!("the kernel's own killer would take {}", who(*at)),
        KernelsOwn::Waits(at) => format!("the kernel would wait for {}", who(*at)),
        KernelsOwn::Nobody => "the kernel's own killer would find nobody".to_owned(),
    })
}

fn ends(record: &Record, rules: &[String]) -> Vec<Ended> {
    let ends = rules.iter().zip(&record.ends);
    ends.map(|(rule, end)| {
        let end = End::from_code(u64::from(*end)).map_or("ended in an unknown way", End::text);
        Ended { rule: rule.clone(), end: end.to_owned() }
    })
    .collect()
}

/// A process, by its place.
pub(crate) fn process(machine: &Machine, at: ProcessIndex) -> Object {
    let one = machine.process(at);
    Object { kind: Kind::Process, id: one.pid, name: one.comm.clone(), cgroup: machine.path(one.cgroup) }
}

/// A cgroup, by its place.
pub(crate) fn cgroup(machine: &Machine, at: CgroupIndex) -> Object {
    let one = machine.cgroup(at);
    let name = if at == ROOT { "/".to_owned() } else { one.name.clone() };
    Object { kind: Kind::Cgroup, id: one.id, name, cgroup: machine.path(at) }
}

fn object(decision: &Decision, owner: Owner, id: u64) -> Option<Object> {
    match owner {
        Owner::Process => decision.process(id).map(|at| process(&decision.before, at)),
        _ => decision.cgroup(id).map(|at| cgroup(&decision.before, at)),
    }
}

fn candidates(decision: &Decision, told: &Told<'_>) -> Vec<Candidate> {
    let unit = decision.unit(told.declared);
    let account = told.account();
    let mut found = Vec::new();
    for (place, one) in (1..).zip(&told.record.candidates) {
        let Some(object) = object(decision, unit, one.id) else { continue };
        let keys = account.keys().iter().zip(&one.keys).map(|(key, value)| KeyValue {
            key: key.text.clone(),
            value: *value,
            text: value.map_or_else(|| "missing".to_owned(), |value| short(key.unit, value)),
        });
        found.push(Candidate {
            place,
            class: match one.class {
                0 => "preferred",
                2 => "avoided",
                _ => "normal",
            },
            keys: keys.collect(),
            processes: dies(decision, unit, one.id),
            object,
        });
    }
    found
}

/// How many processes would die with a candidate.
fn dies(decision: &Decision, unit: Owner, id: u64) -> usize {
    let machine = &decision.before;
    let domain = decision.event.cgroup.unwrap_or(ROOT);
    let top = match unit {
        Owner::Process => {
            let Some(at) = decision.process(id) else { return 0 };
            // The kernel extends the kill to the highest group up to the domain.
            let above: Vec<CgroupIndex> = machine.ancestors(machine.home(at)).collect();
            let inside = above.iter().take_while(|above| machine.is_within(**above, domain));
            match inside.filter(|above| machine.cgroup(**above).group).last() {
                Some(group) => *group,
                None => return 1,
            }
        }
        _ => match decision.cgroup(id) {
            Some(at) => at,
            None => return 0,
        },
    };
    living(machine).filter(|at| machine.is_within(machine.home(*at), top)).count()
}

/// Processes that can die.
fn living(machine: &Machine) -> impl Iterator<Item = ProcessIndex> + '_ {
    let lives = |at: &ProcessIndex| {
        let one = machine.process(*at);
        one.life == Life::Lives && !one.kernel && one.pid != 1
    };
    (0..machine.processes.len()).filter(lives)
}

fn tree(machine: &Machine, domain: CgroupIndex, forecast: &Forecast) -> Vec<Node> {
    let mut at: Vec<(Vec<&str>, CgroupIndex)> =
        machine.subtree(domain).map(|at| (names(machine, at), at)).collect();
    at.retain(|(_, at)| !machine.cgroup(*at).removed);
    at.sort();
    let depth = |names: &Vec<&str>| names.len();
    let top = at.first().map_or(0, |(names, _)| depth(names));
    let sums = Sums::of(machine);
    let marks = Marks::of(forecast);
    let mut nodes: Vec<Node> = Vec::with_capacity(at.len());
    for (names, at) in &at {
        let path = machine.path(*at);
        nodes.push(Node {
            name: names.last().map_or_else(|| "/".to_owned(), |name| (*name).to_owned()),
            depth: depth(names) - top,
            usage: sums.usage.get(at).copied().unwrap_or(0),
            own_limit: machine.cgroup(*at).max.map(|max| max * PAGE),
            limit: machine.limit(*at) * PAGE,
            processes: sums.processes.get(at).copied().unwrap_or(0),
            candidate: marks.cgroups.get(path.as_str()).copied(),
            victim: marks.victim == Some((Kind::Cgroup, path.as_str())),
            protected: marks.protected_cgroup(&path),
            marked: Vec::new(),
            path,
        });
    }
    let places: BTreeMap<String, usize> =
        nodes.iter().enumerate().map(|(at, node)| (node.path.clone(), at)).collect();
    let victims = victims(forecast);
    for one in living(machine) {
        let process = machine.process(one);
        let (candidate, protected) =
            (marks.processes.get(&process.pid).copied(), marks.protected.contains(&process.pid));
        let victim = victims.contains(&process.pid);
        if candidate.is_none() && !protected && !victim {
            continue;
        }
        let home = machine.path(machine.home(one));
        let node = places.get(&home).and_then(|at| nodes.get_mut(*at));
        if let Some(node) = node {
            node.victim |= victim;
            node.marked.push(Marked {
                pid: process.pid,
                name: process.comm.clone(),
                footprint: (process.anon + process.file + process.shmem + process.swap) * PAGE
                    + process.pgtables,
                candidate,
                victim,
                protected,
            });
        }
    }
    nodes
}

/// Processes that are shown as victims: of a cgroup that dies as a whole, the cgroup is shown instead.
fn victims(forecast: &Forecast) -> BTreeSet<i64> {
    match &forecast.victim {
        Some(victim) if victim.kind == Kind::Cgroup => BTreeSet::new(),
        Some(victim) if forecast.audit => BTreeSet::from([victim.id]),
        _ => forecast.dies.iter().map(|one| one.id).collect(),
    }
}

fn names(machine: &Machine, at: CgroupIndex) -> Vec<&str> {
    let mut names: Vec<&str> =
        machine.ancestors(at).map(|above| machine.cgroup(above).name.as_str()).collect();
    names.pop();
    names.reverse();
    names
}

/// Bytes used by, and processes in, each cgroup with everything below.
struct Sums {
    usage: BTreeMap<CgroupIndex, i64>,
    processes: BTreeMap<CgroupIndex, usize>,
}

impl Sums {
    fn of(machine: &Machine) -> Self {
        let mut sums = Self { usage: BTreeMap::new(), processes: BTreeMap::new() };
        for (at, one) in machine.cgroups.iter().enumerate().filter(|(_, one)| !one.bare) {
            for above in machine.ancestors(at) {
                // The root has no counter of its own: its usage is what the machine holds.
                let bytes = if above == ROOT { one.own.anon + one.own.file } else { one.own.charged * PAGE };
                *sums.usage.entry(above).or_default() += bytes;
            }
        }
        for process in living(machine) {
            for above in machine.ancestors(machine.process(process).cgroup) {
                *sums.processes.entry(above).or_default() += 1;
            }
        }
        sums
    }
}

/// What a forecast says of whom.
struct Marks<'a> {
    cgroups: BTreeMap<&'a str, u32>,
    processes: BTreeMap<i64, u32>,
    victim: Option<(Kind, &'a str)>,
    protected: BTreeSet<i64>,
    protected_cgroups: BTreeSet<&'a str>,
}

impl<'a> Marks<'a> {
    fn of(forecast: &'a Forecast) -> Self {
        let mut marks = Self {
            cgroups: BTreeMap::new(),
            processes: BTreeMap::new(),
            victim: forecast.victim.as_ref().map(|one| (one.kind, one.cgroup.as_str())),
            protected: BTreeSet::new(),
            protected_cgroups: BTreeSet::new(),
        };
        for one in &forecast.candidates {
            match one.object.kind {
                Kind::Process => drop(marks.processes.insert(one.object.id, one.place)),
                Kind::Cgroup => drop(marks.cgroups.insert(one.object.cgroup.as_str(), one.place)),
            }
        }
        for one in forecast.protections.iter().flat_map(|clause| &clause.objects) {
            match one.kind {
                Kind::Process => drop(marks.protected.insert(one.id)),
                Kind::Cgroup => drop(marks.protected_cgroups.insert(one.cgroup.as_str())),
            }
        }
        marks
    }

    /// It, or a cgroup above it.
    fn protected_cgroup(&self, path: &str) -> bool {
        let below =
            |top: &&str| path.strip_prefix(*top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.protected_cgroups.iter().any(below)
    }
}

/// Whom each clause protects, and what protects without being written; from a decision of a traced build.
///
/// A clause is told even if it protects nobody, unless no kill was considered.
pub(crate) fn protections(source: &Source, points: &[Point], decision: &Decision) -> Vec<Protection> {
    let mut found: BTreeMap<u32, BTreeSet<Object>> = BTreeMap::new();
    let mut considered = false;
    for mark in &decision.marks {
        let Some(point) = points.get(mark.point as usize) else { continue };
        considered |= matches!(point.kind, PointKind::Guard { .. }) && mark.object.is_some();
        let PointKind::Protected(protection) = point.kind else { continue };
        considered = true;
        let machine = &decision.before;
        // The record is made when the victim is on its way out already.
        let lived = |at| machine.process(at).life == Life::Lives;
        if let (Dying, Some(oomc_sim::Object::Process(at))) = (protection, mark.object)
            && lived(at)
        {
            continue;
        }
        found.entry(mark.point).or_default().extend(mark.object.map(|object| match object {
            oomc_sim::Object::Process(at) => process(machine, at),
            oomc_sim::Object::Cgroup(at) => cgroup(machine, at),
        }));
    }
    let mut protections = Vec::new();
    for (number, point) in (0..).zip(points) {
        let PointKind::Protected(protection) = point.kind else { continue };
        let objects: Vec<Object> = found.remove(&number).unwrap_or_default().into_iter().collect();
        let written = matches!(protection, Never(_));
        if objects.is_empty() && !(written && considered) {
            continue;
        }
        let line = written.then(|| source.line_column(point.span.start).0);
        protections.push(Protection { clause: point.text.clone(), line, objects });
    }
    protections
}
