//! Whom a policy's clauses keep out of reach of its kills.

use std::collections::{BTreeMap, BTreeSet};

use oomc_compiler::Source;
use oomc_compiler::trace::Protection::{Dying, Never};
use oomc_compiler::trace::{Point, PointKind};
use oomc_sim::Object;
use oomc_sim::machine::{CgroupIndex, Life, ProcessIndex, ROOT};
use oomc_sim::scenario::Decision;

use super::tree::living;
use super::{Asked, Entity, Protection};

/// Whom each clause protects, what protects without being written, and whom a group ties to somebody protected; from a
/// decision of a traced build.
///
/// A clause is told even if it protects nobody, unless no kill was considered: then with whom it was asked of.
pub(crate) fn protections(source: &Source, points: &[Point], decision: &Decision) -> Vec<Protection> {
    let mut found: BTreeMap<u32, BTreeSet<Object>> = BTreeMap::new();
    let mut considered = false;
    let machine = &decision.before;
    for mark in &decision.marks {
        let Some(point) = points.get(mark.point as usize) else { continue };
        considered |= matches!(point.kind, PointKind::Guard { .. }) && mark.object.is_some();
        let PointKind::Protected(protection) = point.kind else { continue };
        considered = true;
        // The record is made when the victim is on its way out already.
        let lived = |at| machine.process(at).life == Life::Lives;
        if let (Dying, Some(Object::Process(at))) = (protection, mark.object)
            && lived(at)
        {
            continue;
        }
        found.entry(mark.point).or_default().extend(mark.object);
    }
    let mut protections = Vec::new();
    for (number, point) in (0..).zip(points) {
        let PointKind::Protected(protection) = point.kind else { continue };
        let protected = found.get(&number).cloned().unwrap_or_default();
        let written = matches!(protection, Never(_));
        if protected.is_empty() && !(written && considered) {
            continue;
        }
        let line = written.then(|| source.line_column(point.span.start).0);
        let asked = if protected.is_empty() { asked(points, point, decision) } else { Asked::Everybody };
        let objects: BTreeSet<Entity> = protected.into_iter().map(|one| Entity::of(machine, one)).collect();
        let objects = objects.into_iter().collect();
        protections.push(Protection { clause: point.text.clone(), line, objects, asked });
    }
    let never = |number: &u32| {
        points.get(*number as usize).is_some_and(|point| !matches!(point.kind, PointKind::Protected(Dying)))
    };
    let protected: BTreeSet<Object> = found
        .iter()
        .filter(|(number, _)| never(number))
        .flat_map(|(_, objects)| objects.iter().copied())
        .collect();
    protections.extend(tied_down(decision, &protected));
    protections
}

/// Of whom a clause was asked: its condition was passed for them.
fn asked(points: &[Point], clause: &Point, decision: &Decision) -> Asked {
    let (start, end) = (clause.span.start, clause.span.end);
    let inside = |point: &Point| {
        matches!(point.kind, PointKind::Guard { .. }) && point.span.start >= start && point.span.end <= end
    };
    let marks = decision.marks.iter().filter(|mark| points.get(mark.point as usize).is_some_and(inside));
    let of: BTreeSet<Object> = marks.filter_map(|mark| mark.object).collect();
    let machine = &decision.before;
    let domain = decision.event.cgroup.unwrap_or(ROOT);
    let was = |at: ProcessIndex| {
        of.contains(&Object::Process(at))
            || machine.ancestors(machine.home(at)).any(|above| of.contains(&Object::Cgroup(above)))
    };
    let mut there = living(machine).filter(|at| machine.is_within(machine.home(*at), domain));
    match (of.is_empty(), there.all(was)) {
        (true, _) => Asked::Nobody,
        (false, true) => Asked::Everybody,
        (false, false) => Asked::Some,
    }
}

/// Whom nobody protects and who cannot be killed all the same: the kernel would take the whole `memory.oom.group`, and
/// somebody in it is protected.
fn tied_down(decision: &Decision, protected: &BTreeSet<Object>) -> Vec<Protection> {
    let machine = &decision.before;
    let domain = decision.event.cgroup.unwrap_or(ROOT);
    let is_protected = |at: ProcessIndex| {
        protected.contains(&Object::Process(at))
            || machine.ancestors(machine.home(at)).any(|above| protected.contains(&Object::Cgroup(above)))
    };
    let mut groups: BTreeMap<CgroupIndex, Vec<ProcessIndex>> = BTreeMap::new();
    for at in living(machine) {
        let inside =
            machine.ancestors(machine.home(at)).take_while(|above| machine.is_within(*above, domain));
        if let Some(group) = inside.filter(|above| machine.cgroup(*above).group && *above != ROOT).last() {
            groups.entry(group).or_default().push(at);
        }
    }
    let mut found = Vec::new();
    for (group, members) in groups {
        let Some(held) = members.iter().find(|at| is_protected(**at)) else { continue };
        let others: Vec<Entity> =
            members.iter().filter(|at| !is_protected(**at)).map(|at| Entity::process(machine, *at)).collect();
        if !others.is_empty() {
            let with = Entity::process(machine, *held);
            let clause =
                format!("memory.oom.group of {} with {} ({})", machine.path(group), with.name, with.id);
            found.push(Protection { clause, line: None, objects: others, asked: Asked::Everybody });
        }
    }
    found
}
