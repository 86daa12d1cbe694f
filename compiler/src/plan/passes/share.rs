//! Marks quantifiers over the processes of a cgroup that competes: they are found out in the walk that looks at its
//! members anyway, instead of in one of their own.
//!
//! Safe because the author's condition is asked behind the members, of the same cgroup, and such a quantifier reads
//! nothing but its processes. A cgroup whose processes could not be walked is protected by then.

use crate::hir::{BinderId, ExprId, ExprKind, Place, Policy, Subject, Unit};
use crate::plan::{Plan, Step, Track, cost};

/// Marks in all tracks of walks that look for victims in flight: these walk the processes of each cgroup.
pub fn run(policy: &Policy, plan: &mut Plan) {
    let rankings = &plan.rankings;
    let walks = plan.walks.values_mut().filter(|walk| walk.in_flight);
    for track in walks.flat_map(|walk| &mut walk.tracks).filter(|track| asks_members_first(track)) {
        let selection = rankings.get(track.ranking).and_then(|ranking| cost::selection(policy, ranking.of));
        let Some(selection) = selection else { continue };
        let mut found = Vec::new();
        selection.filter.iter().for_each(|filter| quantifiers(policy, selection.binder, *filter, &mut found));
        track.in_members = found;
    }
}

fn asks_members_first(track: &Track) -> bool {
    let place = |step: Step| track.steps.iter().position(|of| *of == step);
    let both = place(Step::Members).zip(place(Step::Filter));
    track.unit == Unit::Cgroup && both.is_some_and(|(members, filter)| members < filter)
}

/// The quantifiers over a candidate's own processes in an expression, but for those that stand in others.
fn quantifiers(policy: &Policy, binder: BinderId, id: ExprId, found: &mut Vec<ExprId>) {
    let Some(expr) = policy.exprs.get(id) else { return };
    match &expr.kind {
        ExprKind::Quantifier(quantifier) => {
            let own = quantifier.place == Place::Cgroup(Subject::Candidate(binder));
            if own && quantifier.unit == Unit::Process && !found.contains(&id) {
                found.push(id);
            }
        }
        kind => kind.operands().into_iter().for_each(|operand| quantifiers(policy, binder, operand, found)),
    }
}
