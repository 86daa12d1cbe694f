//! Makes one walk of those over the same cgroups: a selection is found while a victim in flight is looked for, and a
//! rule's selection in the walk of an earlier rule, when nothing between them can change what it sees.
//!
//! What cannot change it: an action that made no progress has changed nothing, and one that made progress ended the
//! policy; except in a block, which goes on, and where a counter was counted. A walk that ran earlier ran on every
//! way only if no condition stood before it.

use crate::hir::{ActionId, ActionKind, Anchor, PickId, Place, Policy, Subject, Unit};
use crate::plan::{Act, Plan, RankingId, Step, WalkId, is_large};

/// Rankings that one walk fills at most: each that was filled in vain has cost something.
const TRACKS: usize = 4;
/// Joins walks.
pub fn run(policy: &Policy, plan: &mut Plan) {
    if is_large(policy) {
        return;
    }
    for action in policy.actions.keys() {
        join_look_and_selection(plan, action);
    }
    let mut fuse = Fuse { policy, plan, open: None, chosen: Vec::new() };
    for (_, rules) in policy.groups() {
        // Each group is asked by itself.
        (fuse.open, fuse.chosen) = (None, Vec::new());
        for rule in rules {
            fuse.chosen.extend(policy.used_picks(rule.action));
            fuse.action(rule.action);
        }
    }
}

/// `run A, wait A, run B, take R` becomes `run A, wait A, take R` where A can fill R.
fn join_look_and_selection(plan: &mut Plan, action: ActionId) {
    if let [Act::Run(look), Act::Wait(_), Act::Run(walk), Act::Take(ranking)] = *plan.acts[action].as_slice()
        && over_the_domain(plan, walk)
    {
        move_tracks(plan, walk, look);
        plan.acts[action] = vec![Act::Run(look), Act::Wait(look), Act::Take(ranking)];
    }
}

/// Whether a walk visits the cgroups of the OOM domain, some of which compete.
fn over_the_domain(plan: &Plan, walk: WalkId) -> bool {
    let place = plan.walks.get(walk).map(|walk| walk.place);
    matches!(
        place,
        Some(
            Place::Subtree(Subject::Anchor(Anchor::Cgroup | Anchor::Attached))
                | Place::Leaves(Subject::Anchor(Anchor::Cgroup | Anchor::Attached))
        )
    )
}

fn move_tracks(plan: &mut Plan, from: WalkId, to: WalkId) {
    let Some(source) = plan.walks.get_mut(from) else { return };
    let (place, mut tracks) = (source.place, core::mem::take(&mut source.tracks));
    for track in &mut tracks {
        // A process of a leaf competes only because its cgroup does.
        if track.unit == Unit::Process && matches!(place, Place::Leaves(_)) {
            track.steps.insert(0, Step::Member(place));
        }
    }
    if let Some(target) = plan.walks.get_mut(to) {
        target.tracks.extend(tracks);
    }
}

/// Goes through the rules as they run.
struct Fuse<'a> {
    policy: &'a Policy,
    plan: &'a mut Plan,
    /// A walk over the domain that has run by here, on every way, and what it found is still so.
    open: Option<Open>,
    /// Picks that were chosen by here: each at the head of the first rule that uses it.
    chosen: Vec<PickId>,
}

/// A walk whose rankings others may join.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Open {
    walk: WalkId,
    /// How many picks were chosen when it ran.
    picks: usize,
}

impl Fuse<'_> {
    fn action(&mut self, id: ActionId) {
        let policy = self.policy;
        let Some(action) = policy.actions.get(id) else { return };
        match &action.kind {
            ActionKind::Or(first, second) => {
                self.action(*first);
                self.action(*second);
            }
            ActionKind::If { then, otherwise, .. } => {
                // A branch may use what ran before it; what runs in it may not have run behind it.
                let before = self.open;
                self.action(*then);
                // So may `else`, unless the branch that made no progress has counted.
                let kept = self.open.filter(|open| before == Some(*open));
                self.open = kept;
                otherwise.iter().for_each(|otherwise| self.action(*otherwise));
                self.open = self.open.filter(|open| kept == Some(*open));
            }
            ActionKind::Block(actions) if actions.len() == 1 => {
                actions.iter().for_each(|action| self.action(*action));
            }
            // Its actions go on after progress.
            ActionKind::Block(actions) => {
                for action in actions {
                    self.open = None;
                    self.action(*action);
                }
                self.open = None;
            }
            // It may have taken back some memory, and not enough to be progress.
            ActionKind::Count(_) | ActionKind::Reclaim(_) => self.open = None,
            ActionKind::Kill(_) => self.kill(id),
            ActionKind::Wait | ActionKind::RaiseLimit { .. } | ActionKind::Notify(_) | ActionKind::Defer => {}
        }
    }

    fn kill(&mut self, id: ActionId) {
        let [Act::Run(walk), Act::Wait(_), Act::Take(ranking)] = *self.plan.acts[id].as_slice() else {
            // What else a kill does may have killed before it was refused.
            self.open = None;
            return;
        };
        match self.open {
            Some(open) if self.has_room(open.walk) && self.knows_picks(id, open) => {
                self.reuse(id, walk, ranking, open.walk);
            }
            _ => self.open = Some(Open { walk, picks: self.chosen.len() }),
        }
    }

    /// Whether a kill uses no pick that was chosen after the walk.
    fn knows_picks(&self, id: ActionId, open: Open) -> bool {
        let known = self.chosen.get(..open.picks).unwrap_or_default();
        self.policy.used_picks(id).iter().all(|pick| known.contains(pick))
    }

    fn has_room(&self, walk: WalkId) -> bool {
        self.plan.walks.get(walk).is_some_and(|walk| walk.tracks.len() < TRACKS)
    }

    /// The victim in flight was looked for by the open walk, too, and there was none.
    fn reuse(&mut self, id: ActionId, walk: WalkId, ranking: RankingId, open: WalkId) {
        move_tracks(self.plan, walk, open);
        self.plan.acts[id] = vec![Act::Take(ranking)];
    }
}
