//! From a decision to its [`Forecast`]: who would die with whom, and by which rule.

use oomc_abi::amount::short;
use oomc_abi::fields::{Owner, Unit};
use oomc_abi::record::{End, Record};
use oomc_sim::Policy;
use oomc_sim::machine::{CgroupIndex, Life, Process, ROOT};
use oomc_sim::scenario::{Decision, KernelsOwn};

use super::tree::{living, tree};
use super::{Candidate, Ended, Entity, Forecast, KeyValue, Protection};
use crate::decision::{Told, told_of_kernel};
use crate::event::Answer;

/// The forecast of a decision.
pub(crate) fn of(policy: &Policy, answer: &Answer, protections: Vec<Protection>) -> Forecast {
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
    let victim = decision.victim(declared).and_then(|(owner, id)| entity(decision, owner, id));
    let kernels = match &decision.kernel {
        Some(KernelsOwn::Killed(at) | KernelsOwn::Waits(at)) => Some(Entity::process(before, *at)),
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
fn who_dies(decision: &Decision) -> Vec<Entity> {
    let lives = decision.before.processes.iter().zip(&decision.after.processes);
    let dies = |(_, (before, after)): &(usize, (&Process, &Process))| {
        before.life == Life::Lives && after.life != Life::Lives
    };
    lives.enumerate().filter(dies).map(|(at, _)| Entity::process(&decision.before, at)).collect()
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
    let mut found = Vec::new();
    for (place, one) in (1..).zip(&told.record.candidates) {
        let Some(entity) = entity(decision, unit, one.id) else { continue };
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
            entity,
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
