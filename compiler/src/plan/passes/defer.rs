//! Asks what a cgroup cannot give back only of two that are equal in all keys before it, where an amount of memory is one
//! of these: two are seldom equal in that, and then both are asked, when they meet.
//!
//! Without an amount, whole places are equal, and each is asked once, when it is offered.

use crate::hir::Policy;
use crate::plan::{Plan, Rank, cost};

/// Defers in all rankings.
pub fn run(policy: &Policy, plan: &mut Plan) {
    for ranking in plan.rankings.values_mut() {
        let amount = |rank: &Rank| cost::is_amount(policy, ranking, *rank);
        if ranking.ranks.iter().any(amount) {
            let ties = ranking.ranks.iter_mut().filter(|rank| **rank == Rank::Unreclaimable);
            ties.for_each(|rank| *rank = Rank::UnreclaimableOfEquals);
        }
    }
}
