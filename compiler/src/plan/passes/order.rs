//! Puts what is cheap before what is dear, and the comparison with the last one that is kept before all that costs as
//! much: most candidates cost one number, and nothing else is asked of them. Where the first key is a difference whose
//! second part is dear, its first part alone is compared before.
//!
//! Safe because a step only says no: whoever passes all of them passes them in any order. The step that says which
//! cgroups compete stays first, because it also follows the walk; the offer stays last.

use crate::hir::Policy;
use crate::plan::cost::{self, Cost};
use crate::plan::{Plan, Ranking, Step, Track};

/// Orders the steps of all tracks.
pub fn run(policy: &Policy, plan: &mut Plan) {
    let rankings = &plan.rankings;
    for track in plan.walks.values_mut().flat_map(|walk| &mut walk.tracks) {
        if let Some(ranking) = rankings.get(track.ranking) {
            order(policy, ranking, track);
        }
    }
}

fn order(policy: &Policy, ranking: &Ranking, track: &mut Track) {
    if !track.steps.contains(&Step::Lead) {
        track.steps.push(Step::Lead);
    }
    if let Some(bound) = cost::bound(policy, ranking) {
        track.steps.push(Step::Bound(bound));
    }
    track.steps.sort_by_key(|step| {
        let place = match step {
            Step::Member(_) => 0,
            Step::Offer => 2,
            _ => 1,
        };
        let cost = if place == 1 { cost::step(policy, ranking, *step) } else { Cost::Free };
        (place, cost, *step != Step::Lead)
    });
}
