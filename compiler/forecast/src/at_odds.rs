//! Where a policy and `oom_score_adj` say different things of the same process.
//!
//! Takes a policy and a machine; asks the policy what it would do now if nothing were exempt, and compares whom its
//! `never` protects, and whom it would kill, with what the kernel does by itself. Says nothing of clauses that the rules
//! which would run do not ask.

use oomc_sim::Kernel;
use oomc_sim::machine::{CgroupIndex, Machine, ROOT};

use crate::error::Error;

use crate::forecast::{Asked, Entity, Kind};
use crate::inputs::Inputs;
use crate::suite::Suite;
use crate::trial::{Settings, Trial};

/// What is at odds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtOdds {
    /// The policy protects a process that the kernel kills before others, whenever the policy does not decide.
    Exposed {
        /// Who.
        process: Entity,
        /// Its `oom_score_adj`.
        adj: i64,
        /// The clause, and its line.
        clause: (String, u32),
    },
    /// The policy would kill a process that the kernel lets nobody kill.
    Exempt {
        /// Who.
        process: Entity,
    },
    /// Whom a clause protects was not asked.
    NotAsked {
        /// The clause, and its line.
        clause: (String, u32),
    },
}

/// `oom_score_adj` of processes that no OOM kill takes.
const NOBODY_KILLS: i64 = -1000;

/// What is at odds with a policy that is attached to a cgroup, by process.
///
/// # Errors
/// [`Error::Refused`].
pub fn at_odds(
    kernel: &Kernel,
    suite: Suite<'_>,
    mut inputs: Inputs,
    at: CgroupIndex,
    settings: &Settings,
) -> Result<Vec<AtOdds>, Error> {
    let before = inputs.machine.clone();
    for process in &mut inputs.machine.processes {
        if process.adj == NOBODY_KILLS {
            process.adj = 0;
        }
    }
    let mut trial = Trial::new(kernel, suite, inputs, at, settings);
    let (forecast, _) = trial.ask((at != ROOT).then_some(at))?;
    let mut found = Vec::new();
    for one in &forecast.protections {
        let Some(line) = one.line else { continue };
        let clause = (one.clause.clone(), line);
        if one.objects.is_empty() && one.asked != Asked::Everybody {
            found.push(AtOdds::NotAsked { clause });
            continue;
        }
        let protected =
            |entity: &Entity, path: &str| one.objects.iter().any(|object| covers(object, entity, path));
        for (entity, adj) in living(&before).filter(|(_, adj)| *adj > 0) {
            if protected(&entity, &entity.cgroup) {
                found.push(AtOdds::Exposed { process: entity, adj, clause: clause.clone() });
            }
        }
    }
    if !forecast.by_the_kernel {
        let exempt =
            living(&before).filter(|(entity, adj)| *adj == NOBODY_KILLS && forecast.dies.contains(entity));
        found.extend(exempt.map(|(process, _)| AtOdds::Exempt { process }));
    }
    Ok(found)
}

/// Processes that are no part of the kernel, with their `oom_score_adj`.
fn living(machine: &Machine) -> impl Iterator<Item = (Entity, i64)> + '_ {
    let own = machine.processes.iter().enumerate().filter(|(_, process)| !process.kernel);
    own.map(|(at, process)| (Entity::process(machine, at), process.adj))
}

/// Whether what is protected is this process, or a cgroup around it.
fn covers(object: &Entity, process: &Entity, path: &str) -> bool {
    match object.kind {
        Kind::Process => object == process,
        Kind::Cgroup if object.cgroup == "/" => true,
        Kind::Cgroup => {
            path.strip_prefix(&object.cgroup).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}
