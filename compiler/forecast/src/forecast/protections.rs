//! Whom a policy's clauses keep out of reach of its kills.

use std::collections::{BTreeMap, BTreeSet};

use oomc_compiler::Source;
use oomc_compiler::trace::Protection::{Dying, Never};
use oomc_compiler::trace::{Point, PointKind};
use oomc_sim::Object;
use oomc_sim::machine::Life;
use oomc_sim::scenario::Decision;

use super::{Entity, Protection};

/// Whom each clause protects, and what protects without being written; from a decision of a traced build.
///
/// A clause is told even if it protects nobody, unless no kill was considered.
pub(crate) fn protections(source: &Source, points: &[Point], decision: &Decision) -> Vec<Protection> {
    let mut found: BTreeMap<u32, BTreeSet<Entity>> = BTreeMap::new();
    let mut considered = false;
    for mark in &decision.marks {
        let Some(point) = points.get(mark.point as usize) else { continue };
        considered |= matches!(point.kind, PointKind::Guard { .. }) && mark.object.is_some();
        let PointKind::Protected(protection) = point.kind else { continue };
        considered = true;
        let machine = &decision.before;
        // The record is made when the victim is on its way out already.
        let lived = |at| machine.process(at).life == Life::Lives;
        if let (Dying, Some(Object::Process(at))) = (protection, mark.object)
            && lived(at)
        {
            continue;
        }
        found.entry(mark.point).or_default().extend(mark.object.map(|object| match object {
            Object::Process(at) => Entity::process(machine, at),
            Object::Cgroup(at) => Entity::cgroup(machine, at),
        }));
    }
    let mut protections = Vec::new();
    for (number, point) in (0..).zip(points) {
        let PointKind::Protected(protection) = point.kind else { continue };
        let objects: Vec<Entity> = found.remove(&number).unwrap_or_default().into_iter().collect();
        let written = matches!(protection, Never(_));
        if objects.is_empty() && !(written && considered) {
            continue;
        }
        let line = written.then(|| source.line_column(point.span.start).0);
        protections.push(Protection { clause: point.text.clone(), line, objects });
    }
    protections
}
