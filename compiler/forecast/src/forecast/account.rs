//! From a decision to its [`Forecast`]: who would die with whom, and by which rule.

use oomc_abi::amount::short;
use oomc_abi::fields::{Owner, Unit};
use oomc_abi::record::{Action, End, Record};
use oomc_sim::Policy;
use oomc_sim::machine::{CgroupIndex, Machine, ROOT};
use oomc_sim::scenario::{Decision, KernelsOwn};

use super::deaths::{Deaths, footprint};
use super::tree::tree;
use super::{Candidate, Ended, Entity, Forecast, KeyValue, Protection};
use crate::asked::nobody_asks;
use crate::decision::{Told, kernels_choice_is_unknown, told_of_kernel};
use crate::event::Answer;

/// The forecast of a decision.
pub(crate) fn of(
    policy: &Policy,
    answer: &Answer,
    protections: Vec<Protection>,
    unknown: Vec<String>,
) -> Forecast {
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
    let swap = swap_left(before, domain);
    if swap > 0 {
        forecast.remarks.push(format!(
            "{} of swap are free for it: who has how much in memory by then is not known",
            short(Unit::Bytes, swap)
        ));
    }
    forecast.nobody_asks = nobody_asks(before, event.attached, event.cgroup);
    if !unknown.is_empty() {
        return not_known(forecast, unknown, decision);
    }
    let mut deaths = Deaths::of(decision);
    if kernels_choice_is_unknown(decision) {
        deaths = Deaths::by_the_policy(decision);
    }
    match &decision.record {
        Some(record) => {
            let record = &as_it_would_be(record, decision, &deaths);
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
    let victim = decision.victim(declared).and_then(|(owner, id)| entity(decision, owner, id));
    let kernels = match &decision.kernel {
        Some(KernelsOwn::Killed(_)) if kernels_choice_is_unknown(decision) => None,
        Some(KernelsOwn::Killed(at) | KernelsOwn::Waits(at)) => Some(Entity::process(before, *at)),
        Some(KernelsOwn::Nobody) | None => None,
    };
    if let Some(text) = told_of_kernel(decision) {
        forecast.remarks.insert(0, text);
    }
    forecast.dies = deaths.processes.iter().map(|at| Entity::process(before, *at)).collect();
    forecast.frees = forecast.frees.max(deaths.frees);
    let shared = deaths.processes.iter().map(|at| before.process(*at).shmem).max().unwrap_or(0) * before.page;
    if shared > 0 {
        forecast.remarks.push(format!(
            "up to {} of what comes free is shared memory: it stays as long as a file of tmpfs or anybody else holds it",
            short(Unit::Bytes, shared)
        ));
    }
    // In audit mode the policy says one thing, and the kernel does another.
    forecast.by_the_kernel = victim.is_none() && kernels.is_some();
    forecast.victim = victim.or(kernels);
    forecast.tree = tree(before, domain, &forecast);
    forecast
}

/// Bytes that can still be swapped out of a cgroup before it runs out of memory.
fn swap_left(machine: &Machine, domain: CgroupIndex) -> i64 {
    let own = |at: CgroupIndex| {
        let most = machine.cgroup(at).swap_max?;
        Some((most - machine.sum(at, |own| own.swapped)).max(0))
    };
    let least = machine.ancestors(domain).filter_map(own).min();
    least.map_or(machine.swap_free, |least| least.min(machine.swap_free)) * machine.page
}

/// The record with who dies and what comes free as they would be: the policy knows whom it chose, and the kernel takes
/// others with them.
pub(crate) fn as_it_would_be(record: &Record, decision: &Decision, deaths: &Deaths) -> Record {
    let action = Action::from_code(record.action);
    let mut record = record.clone();
    let by_the_policy = match action {
        Some(Action::KillProcess) if record.audit && record.killed <= 1 => {
            Deaths::with(decision, Owner::Process, record.victim)
        }
        Some(Action::KillProcess | Action::KillCgroup | Action::KillAll) if !record.audit => deaths.clone(),
        _ => return record,
    };
    let by_the_policy = by_the_policy.expecting(action, record.expected);
    record.killed = by_the_policy.processes.len() as u64;
    record.expected = by_the_policy.frees;
    record
}

/// A decision that depends on what nobody knows: nothing is claimed of it.
fn not_known(mut forecast: Forecast, unknown: Vec<String>, decision: &Decision) -> Forecast {
    forecast.summary = format!("not known: the policy asks for {}", unknown.join(", "));
    forecast.audit = decision.record.as_ref().is_some_and(|record| record.audit);
    forecast.protections.clear();
    forecast.unknown = unknown;
    forecast.tree = tree(&decision.before, decision.event.cgroup.unwrap_or(ROOT), &forecast);
    forecast
}

fn ends(record: &Record, rules: &[String]) -> Vec<Ended> {
    let ends = rules.iter().zip(&record.ends);
    ends.map(|(rule, end)| {
        let end = End::from_code(u64::from(*end)).map_or("ended in an unknown way", End::text);
        Ended { rule: rule.clone(), end: end.to_owned() }
    })
    .collect()
}

fn entity(decision: &Decision, owner: Owner, id: u64) -> Option<Entity> {
    match owner {
        Owner::Process => decision.process(id).map(|at| Entity::process(&decision.before, at)),
        _ => decision.cgroup(id).map(|at| Entity::cgroup(&decision.before, at)),
    }
}

fn candidates(decision: &Decision, told: &Told<'_>) -> Vec<Candidate> {
    let unit = decision.unit(told.declared);
    let account = told.account();
    let mut found: Vec<Candidate> = Vec::new();
    let mut before: Option<&oomc_abi::record::Candidate> = None;
    for (place, one) in (1..).zip(&told.record.candidates) {
        let Some(entity) = entity(decision, unit, one.id) else { continue };
        let deaths = Deaths::with(decision, unit, one.id);
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
            processes: deaths.processes.len(),
            frees: deaths.frees,
            tie: before.and_then(|before| tie(decision, unit, before, one)),
            entity,
        });
        before = Some(one);
    }
    found
}

/// What decides between two candidates of one class whose keys are all equal: the order that the language gives ties.
fn tie(
    decision: &Decision,
    unit: Owner,
    before: &oomc_abi::record::Candidate,
    one: &oomc_abi::record::Candidate,
) -> Option<String> {
    if before.class != one.class || before.keys != one.keys || one.keys.is_empty() {
        return None;
    }
    let machine = &decision.before;
    let (sizes, born, what) = match unit {
        Owner::Process => {
            let (a, b) = (decision.process(before.id)?, decision.process(one.id)?);
            let start = |at| machine.process(at).start;
            ((footprint(machine, a), footprint(machine, b)), (start(a), start(b)), "footprint")
        }
        _ => {
            let (a, b) = (decision.cgroup(before.id)?, decision.cgroup(one.id)?);
            let of =
                |at| machine.sum(at, |own| own.anon + own.shmem + own.kernel - own.slab_reclaimable).max(0);
            ((of(a), of(b)), (machine.cgroup(a).serial, machine.cgroup(b).serial), "unreclaimable")
        }
    };
    let why = match (sizes.0 == sizes.1, born.0 == born.1) {
        (false, _) => format!("its `{what}` is smaller"),
        (true, false) => "it is older".to_owned(),
        (true, true) => "its number is lower".to_owned(),
    };
    Some(format!("as the one before it in all keys; {why}"))
}
