//! The cgroups that a reader of a forecast sees, and who of them is candidate, victim or protected.

use std::collections::{BTreeMap, BTreeSet};

use oomc_sim::machine::{CgroupIndex, Life, Machine, ProcessIndex, ROOT};

use super::deaths::footprint;
use super::{Forecast, Kind, Marked, Node};

/// The domain and everything below it, each behind its parent; siblings by path.
pub(super) fn tree(machine: &Machine, domain: CgroupIndex, forecast: &Forecast) -> Vec<Node> {
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
            own_limit: machine.cgroup(*at).max.map(|max| max * machine.page),
            limit: machine.limit(*at) * machine.page,
            processes: sums.processes.get(at).copied().unwrap_or(0),
            candidate: marks.cgroups.get(path.as_str()).map(|(place, _)| *place),
            class: marks.cgroups.get(path.as_str()).map(|(_, class)| *class),
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
                footprint: footprint(machine, one),
                candidate: candidate.map(|(place, _)| place),
                class: candidate.map(|(_, class)| class),
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
                let bytes =
                    if above == ROOT { one.own.anon + one.own.file } else { one.own.charged * machine.page };
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
    /// Place and class among the candidates.
    cgroups: BTreeMap<&'a str, (u32, &'static str)>,
    processes: BTreeMap<i64, (u32, &'static str)>,
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
            match one.entity.kind {
                Kind::Process => _ = marks.processes.insert(one.entity.id, (one.place, one.class)),
                Kind::Cgroup => {
                    _ = marks.cgroups.insert(one.entity.cgroup.as_str(), (one.place, one.class));
                }
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

/// Processes that can die.
pub(crate) fn living(machine: &Machine) -> impl Iterator<Item = ProcessIndex> + '_ {
    let lives = |at: &ProcessIndex| {
        let one = machine.process(*at);
        one.life == Life::Lives && !one.kernel && one.pid != 1
    };
    (0..machine.processes.len()).filter(lives)
}
