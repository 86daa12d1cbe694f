//! Leaves out what cannot decide anything: whether a process is dying, where the look for victims in flight has just
//! turned away who is; keys behind one that no two candidates share; and walks that nobody runs any more.

use cranelift_entity::PrimaryMap;
use oomc_abi::fields::Recipe;

use crate::hir::{ExprKind, Policy, Subject, Unit};
use crate::plan::{Act, Plan, Rank, Ranking, Step, Walk, WalkId, cost};

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
    drop_idle_walks(plan);
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

fn drop_idle_walks(plan: &mut Plan) {
    let runs = |id: WalkId| {
        let acts = plan.acts.values().flatten();
        acts.into_iter().any(|act| *act == Act::Run(id))
            || plan.picks.values().flatten().any(|(walk, _)| *walk == id)
    };
    let kept: Vec<(WalkId, Walk)> =
        plan.walks.iter().filter(|(id, _)| runs(*id)).map(|(id, walk)| (id, walk.clone())).collect();
    let renumbered = |old: WalkId| {
        let at = kept.iter().position(|(id, _)| *id == old);
        at.map_or(old, |at| WalkId::from_u32(at as u32))
    };
    for act in plan.acts.values_mut().flatten() {
        match act {
            Act::Run(walk) | Act::Wait(walk) => *walk = renumbered(*walk),
            Act::Take(_) | Act::Descend | Act::All => {}
        }
    }
    for (walk, _) in plan.picks.values_mut().flatten() {
        *walk = renumbered(*walk);
    }
    plan.walks = kept.into_iter().map(|(_, walk)| walk).collect::<PrimaryMap<WalkId, Walk>>();
}
