//! Two policies, or one with other params, asked the same: where they decide otherwise.

use oomc_abi::record::Record;
use oomc_sim::machine::{CgroupIndex, Event, Life, Machine, ROOT};
use oomc_sim::{Attached, Kernel, Simulation};

use crate::decision::Told;
use crate::{Error, Inputs, Settings, Suite};

/// A policy on its side of the comparison.
#[derive(Debug)]
pub struct Side<'k> {
    /// Its file, and what was set.
    pub name: String,
    suite: Suite<'k>,
    attached: Attached,
}

impl<'k> Side<'k> {
    /// Attaches a policy to a cgroup, in mode enforce; returns a remark on each label that the policy does not trust.
    #[must_use]
    pub fn new(
        suite: Suite<'k>,
        inputs: &Inputs,
        at: CgroupIndex,
        settings: &Settings,
    ) -> (Self, Vec<String>) {
        let (mut attached, remarks) = inputs.attach(&suite.policy, at);
        settings.apply(&mut attached);
        attached.set_audit(false);
        (Self { name: suite.source().name.clone(), suite, attached }, remarks)
    }
}

/// An event that they decide otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path of the cgroup that runs out of memory.
    pub cgroup: String,
    /// What either of them would do, in words.
    pub texts: [String; 2],
}

/// An event of which it is not known whether they decide it alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotKnown {
    /// Path of the cgroup that runs out of memory.
    pub cgroup: String,
    /// Who asks for what nobody knows, in words.
    pub why: String,
}

/// What became of a comparison; of the places in neither list both decide alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Where they decide otherwise.
    pub differences: Vec<Difference>,
    /// Where it is not known.
    pub not_known: Vec<NotKnown>,
}

/// Whoever can run out of memory: the cgroup itself, and those below it with a limit of their own.
#[must_use]
pub fn places(machine: &Machine, top: CgroupIndex) -> Vec<CgroupIndex> {
    let limited = |at: &CgroupIndex| *at == top || machine.cgroup(*at).max.is_some();
    machine.subtree(top).filter(limited).filter(|at| !machine.cgroup(*at).removed).collect()
}

/// Asks both policies what they do when each of the places runs out of memory, one at a time.
///
/// # Errors
/// [`Error::Kernel`], [`Error::Refused`].
pub fn compare(
    kernel: &Kernel,
    machine: &Machine,
    attached: CgroupIndex,
    places: &[CgroupIndex],
    sides: [&Side<'_>; 2],
) -> Result<Compared, Error> {
    let simulation = Simulation::new(kernel, machine.clone());
    let mut simulation = simulation.map_err(|lacking| Error::Kernel(lacking.to_string()))?;
    let mut compared = Compared::default();
    let [before, after] = sides;
    for place in places {
        let (own, full) = (machine.cgroup(*place).own, machine.run_out(*place));
        simulation.set_own(*place, full);
        let domain = (*place != ROOT).then_some(*place);
        let event = simulation.machine().event(domain, attached);
        let one = decide(&mut simulation, machine, before, &event)?;
        let other = decide(&mut simulation, machine, after, &event)?;
        simulation.set_own(*place, own);
        let cgroup = machine.path(*place);
        let asks = |side: &Side<'_>, decided: &Decided| {
            let asked = &decided.unknown;
            (!asked.is_empty()).then(|| format!("{} asks for {}", side.name, asked.join(", ")))
        };
        let why: Vec<String> = [asks(before, &one), asks(after, &other)].into_iter().flatten().collect();
        if !why.is_empty() {
            compared.not_known.push(NotKnown { cgroup, why: why.join("; ") });
        } else if one.becomes != other.becomes {
            let texts =
                [tell(machine, before, one.record.as_ref()), tell(machine, after, other.record.as_ref())];
            compared.differences.push(Difference { cgroup, texts });
        }
    }
    Ok(compared)
}

/// What a policy decided.
struct Decided {
    record: Option<Record>,
    becomes: Becomes,
    /// What it depends on and nobody knows, in words.
    unknown: Vec<String>,
}

/// What becomes of the machine: who did it by which rule is the policies' own.
#[derive(PartialEq, Eq)]
struct Becomes {
    /// Otherwise the next handler decides, or the kernel.
    handled: bool,
    lives: Vec<Life>,
    limits: Vec<Option<i64>>,
}

/// Asks a copy of the policy; the machine is as it was for the next question.
fn decide(
    simulation: &mut Simulation<'_>,
    machine: &Machine,
    side: &Side<'_>,
    event: &Event,
) -> Result<Decided, Error> {
    let mut attached = side.attached.clone();
    let run = simulation.ask(&mut attached, event).map_err(|refusal| {
        Error::Refused(format!("{}: a fault of oomc: the kernel would refuse: {refusal}", side.name))
    })?;
    let Machine { processes, cgroups, .. } = simulation.machine();
    let becomes = Becomes {
        handled: run.handled(),
        lives: processes.iter().map(|process| process.life).collect(),
        limits: cgroups.iter().map(|cgroup| cgroup.max).collect(),
    };
    let read: Vec<_> = simulation.unfilled().collect();
    let unknown = side.suite.unknown(machine, &read);
    simulation.undo(machine);
    Ok(Decided { record: attached.records().pop(), becomes, unknown })
}

fn tell(machine: &Machine, side: &Side<'_>, record: Option<&Record>) -> String {
    let Some(record) = record else { return "did not decide".to_owned() };
    let name = |id: u64| {
        let found = (0..machine.cgroups.len()).find(|at| machine.cgroup(*at).id as u64 == id);
        found.map_or_else(|| format!("cgroup {id}"), |at| machine.path(at))
    };
    let told = Told { record, declared: &side.suite.policy.declared, cgroup: &name };
    match told.account().acting_rule() {
        Some(rule) => format!("{}, by rule \"{rule}\"", told.would()),
        None => told.would(),
    }
}
