//! The plan of a policy: which walks there are, what each asks of whom and in which order, and what takes from them.
//!
//! It stands between the checked policy and IR, as a query planner's plan stands between a query and its execution.
//! [`build`] writes down what the language says, clause by clause; the [`passes`] join walks and put what is cheap
//! before what is dear; [`crate::lower`] turns each step into a few instructions. The plan names the policy's
//! expressions, clauses and actions by their numbers and holds none of them. Knows no instruction and no kernel.
//!
//! Invariants, established by [`build`], kept by every pass, relied on by [`crate::lower`]:
//! - each ranking is filled by exactly one track, and that track by the walk of the acts that take from it, or of
//!   acts that run before them on every way;
//! - a track ends with [`Step::Offer`] and has no other;
//! - a track of cgroups begins with the step that says which cgroups of the place compete ([`Step::Member`]);
//! - a walk that notes victims in flight is over the OOM domain.

#![expect(clippy::indexing_slicing, reason = "an entity indexes the maps of the plan or policy that made it")]

pub mod join;

pub mod build;
pub mod cost;

pub mod passes;

pub mod print;
pub mod read;

pub use build::build;

use cranelift_entity::{PrimaryMap, SecondaryMap, entity_impl};

use crate::hir::{ActionId, ExprId, PickId, Place, Policy, Unit};

/// A walk over the cgroups of a place, and over their processes where a step asks for them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WalkId(u32);
entity_impl!(WalkId, "walk");

/// The best candidates of one selection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RankingId(u32);
entity_impl!(RankingId, "ranking");

/// The plan of a policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// All walks.
    pub walks: PrimaryMap<WalkId, Walk>,
    /// All rankings.
    pub rankings: PrimaryMap<RankingId, Ranking>,
    /// What each `kill` and `wait` does, in order; nothing for other actions.
    pub acts: SecondaryMap<ActionId, Vec<Act>>,
    /// The walk that chooses each pick.
    pub picks: SecondaryMap<PickId, Option<(WalkId, RankingId)>>,
}

/// What a walk visits, and what it does there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Which cgroups.
    pub place: Place,
    /// It notes a victim in flight, and ends there.
    pub in_flight: bool,
    /// What it asks, ranking by ranking.
    pub tracks: Vec<Track>,
}

/// How one ranking is filled: the steps for each candidate, in order. A step that says no ends the candidate's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Which.
    pub ranking: RankingId,
    /// What is compared, as in the ranking.
    pub unit: Unit,
    /// In order.
    pub steps: Vec<Step>,
    /// Expressions that are the same for all processes of a cgroup: found out once for it, if anybody asks.
    pub per_cgroup: Vec<ExprId>,
    /// Quantifiers over the processes of a cgroup that competes, which are found out while its members are looked at.
    pub in_members: Vec<ExprId>,
}

/// What is asked of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The cgroup competes in this place: it is a kill unit, a leaf, a child, as [`Place`] says of cgroups.
    Member(Place),
    /// By this number, which is no smaller than the first key, it is not below the last one that is kept.
    Bound(ExprId),
    /// It is not below the last one that is kept, as far as the leading key tells.
    Lead,
    /// It is a process that the kernel lets a policy kill: not pid 1, no kernel thread, `oom_score_adj` above −1000.
    Killable,
    /// It is not dying.
    Living,
    /// No `never` protects the candidate itself.
    Unprotected,
    /// No `never` protects its cgroup or one above.
    UnprotectedAbove,
    /// Its kill would be extended to no `memory.oom.group` that holds something protected.
    UnprotectedGroup,
    /// Nothing in the kill unit is protected or must not be killed, and somebody is left to be killed.
    Members,
    /// The author's condition is true.
    Filter,
    /// Finds its place among those that are kept, by all keys.
    Offer,
}

/// Which selection a ranking belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// That of a `kill`.
    Kill(ActionId),
    /// That of a `pick`.
    Pick(PickId),
}

/// The best candidates of a selection, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Whose.
    pub of: Selector,
    /// What is compared.
    pub unit: Unit,
    /// Kept are the kill units that repeated descents end in: cgroups compete level by level, each with its units.
    pub stepwise: bool,
    /// How many are kept.
    pub capacity: u32,
    /// Compared in order; the larger wins.
    pub ranks: Vec<Rank>,
}

/// A key of a ranking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rank {
    /// Preferred, normal or avoided.
    Class,
    /// The author's key of this index.
    Key(usize),
    /// The tie rule of processes: the larger one.
    Footprint,
    /// Then the one that was started later.
    Start,
    /// Then the higher number.
    Pid,
    /// The tie rule of cgroups: the one with more that cannot be reclaimed.
    Unreclaimable,
    /// The same, asked only of two that are equal in all before it.
    UnreclaimableOfEquals,
    /// Then the one that was made later; no two have the same.
    Serial,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Runs a walk; its rankings are empty before.
    Run(WalkId),
    /// If the walk has noted a victim in flight, waits for it, which is progress.
    Wait(WalkId),
    /// Kills down a ranking.
    Take(RankingId),
    /// Kills everything that the selection finds.
    All,
}

/// Candidates of a selection that are kept at least: those that a record tells.
pub const KEPT: u32 = oomc_abi::record::MAX_CANDIDATES as u32;

/// From this many kills on a policy is large. By then one function would still be accepted: a kill costs a few
/// thousand instructions of the verifier's million.
const LARGE: usize = 32;
/// And from this many rules of any kind: a function should not be so long that its compilation is slow.
const LONG: usize = 256;

/// Whether a policy is large: then it becomes several functions, and its walks stay as they are, because kills that
/// differ only in numbers share theirs.
#[must_use]
pub fn is_large(policy: &Policy) -> bool {
    policy.kills().count() >= LARGE || policy.rules.len() >= LONG
}

/// Instructions that the code of one `kill` has at least, however much of it is shared.
const LEAST_OF_A_KILL: usize = 32;

/// Instructions that a policy has at least: what is beyond the kernel's limit need not be compiled to be refused.
#[must_use]
pub fn least_instructions(policy: &Policy) -> usize {
    policy.kills().count() * LEAST_OF_A_KILL
}

impl Plan {
    /// Forgets the walks that nobody runs, and numbers the others anew.
    pub fn tidy(&mut self) {
        let mut named = SecondaryMap::new();
        self.walk_names().for_each(|walk| named[*walk] = true);
        let mut numbers = SecondaryMap::new();
        for (id, walk) in core::mem::take(&mut self.walks) {
            if named[id] {
                numbers[id] = Some(self.walks.push(walk));
            }
        }
        for walk in self.walk_names() {
            if let Some(number) = numbers[*walk] {
                *walk = number;
            }
        }
    }

    /// Each place that names a walk.
    fn walk_names(&mut self) -> impl Iterator<Item = &mut WalkId> {
        let acts = self.acts.values_mut().flatten().filter_map(|act| match act {
            Act::Run(walk) | Act::Wait(walk) => Some(walk),
            Act::Take(_) | Act::All => None,
        });
        acts.chain(self.picks.values_mut().flatten().map(|(walk, _)| walk))
    }
}
