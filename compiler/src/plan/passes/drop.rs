//! Leaves out what cannot decide anything: whether a process is dying, where the look for victims in flight has just
//! turned away who is; keys behind one that no two candidates share; and walks that nobody runs any more.

use oomc_abi::fields::Recipe;

use crate::hir::{ExprKind, Policy, Subject, Unit};
use crate::plan::{Plan, Rank, Ranking, Step, cost};

/// Drops from all walks and rankings.
pub fn run(policy: &Policy, plan: &mut Plan) {
    for ranking in plan.rankings.values_mut() {
        drop_unreachable_keys(policy, ranking);
    }
    for walk in plan.walks.values_mut().filter(|walk| walk.in_flight) {
        for track in walk.tracks.iter_mut().filter(|track| track.unit == Unit::Process) {
            track.steps.retain(|step| *step != Step::Living);
        }
    }
    plan.tidy();
}

/// No two processes share a process id, and no two cgroups an id or a place in the order of creation.
fn drop_unreachable_keys(policy: &Policy, ranking: &mut Ranking) {
    let Some(selection) = cost::selection(policy, ranking.of) else { return };
    let unique = |rank: &Rank| {
        let Rank::Key(index) = rank else { return false };
        let expr = selection.keys.get(*index).and_then(|key| policy.exprs.get(key.expr));
        let Some(ExprKind::Field(Subject::Candidate(of), field)) = expr.map(|expr| &expr.kind) else {
            return false;
        };
        let path = match field.row().recipe {
            Recipe::Member { path, .. } => path,
            _ => return false,
        };
        *of == selection.binder && UNIQUE.contains(&(ranking.unit, path))
    };
    if let Some(at) = ranking.ranks.iter().position(unique) {
        ranking.ranks.retain({
            let mut place = 0;
            move |rank| {
                place += 1;
                // The author's keys stay: a record tells them.
                place <= at + 1 || matches!(rank, Rank::Key(_))
            }
        });
    }
}

/// Members in which no two candidates of a unit agree.
const UNIQUE: &[(Unit, &str)] =
    &[(Unit::Process, "tgid"), (Unit::Cgroup, "css.serial_nr"), (Unit::Cgroup, "css.cgroup->kn->id")];
