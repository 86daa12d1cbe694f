//! From a checked policy to the plan that says the same, clause by clause: each `kill` looks for a victim in flight
//! by a walk of its own, then for its candidates by another one, and asks everything of everybody.

use oomc_abi::fields::{self, Owner, Recipe};

use super::{Act, KEPT, Plan, Rank, Ranking, RankingId, Selector, Step, Track, Walk, WalkId};
use crate::hir::{
    ActionId, ActionKind, BinderId, ExprId, ExprKind, Kill, Place, Policy, Selection, Subject, Unit,
};

/// The plan of a policy, as the language says it.
#[must_use]
pub fn build(policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    for (id, pick) in policy.picks.iter() {
        let steps = selected(&pick.selection, Vec::new());
        let chosen = ranked(policy, &mut plan, Selector::Pick(id), &pick.selection, 1, steps);
        plan.picks[id] = Some(chosen);
    }
    for (id, action) in policy.actions.iter() {
        match &action.kind {
            ActionKind::Kill(kill) => plan.acts[id] = kill_acts(policy, &mut plan, id, kill),
            ActionKind::Wait => plan.acts[id] = wait_acts(&mut plan),
            _ => {}
        }
    }
    plan
}

/// Looks for a victim in flight, and waits for it.
fn wait_acts(plan: &mut Plan) -> Vec<Act> {
    let walk = plan.walks.push(Walk { place: Place::DOMAIN, in_flight: true, tracks: Vec::new() });
    vec![Act::Run(walk), Act::Wait(walk)]
}

fn kill_acts(policy: &Policy, plan: &mut Plan, id: ActionId, kill: &Kill) -> Vec<Act> {
    let mut acts = if kill.now { Vec::new() } else { wait_acts(plan) };
    let selection = &kill.selection;
    if selection.all {
        acts.push(Act::All);
    } else {
        let capacity = kill.until.map_or(KEPT, |until| KEPT.max(until.at_most.into()));
        let steps = selected(selection, protections(policy, selection));
        let (walk, ranking) = ranked(policy, plan, Selector::Kill(id), selection, capacity, steps);
        acts.extend([Act::Run(walk), Act::Take(ranking)]);
    }
    acts
}

/// A walk for one ranking.
fn ranked(
    policy: &Policy,
    plan: &mut Plan,
    of: Selector,
    selection: &Selection,
    capacity: u32,
    steps: Vec<Step>,
) -> (WalkId, RankingId) {
    let unit = selection.unit;
    let ranks = ranks(policy, selection, matches!(of, Selector::Kill(_)));
    let stepwise = selection.stepwise;
    let ranking = plan.rankings.push(Ranking { of, unit, stepwise, capacity, ranks });
    let tracks = vec![Track { ranking, unit, steps, per_cgroup: Vec::new(), in_members: Vec::new() }];
    (plan.walks.push(Walk { place: selection.place, in_flight: false, tracks }), ranking)
}

/// What keeps a candidate from being killed, in the order of the reference (§5).
fn protections(policy: &Policy, selection: &Selection) -> Vec<Step> {
    let protects = |unit: Unit| policy.nevers.iter().any(|never| never.unit == unit);
    let mut steps = Vec::new();
    if protects(Unit::Cgroup) {
        steps.push(Step::UnprotectedAbove);
    }
    match selection.unit {
        Unit::Process => {
            if !policy.nevers.is_empty() {
                steps.push(Step::UnprotectedGroup);
            }
            steps.extend([Step::Killable, Step::Living]);
            if protects(Unit::Process) {
                steps.push(Step::Unprotected);
            }
        }
        Unit::Cgroup => {
            // The units of the domain lie in no group but their own; to any other the kernel would extend the kill.
            if !policy.nevers.is_empty() && !matches!(selection.place, Place::Subtree(Subject::Anchor(_))) {
                steps.push(Step::UnprotectedGroup);
            }
            steps.push(Step::Members);
        }
    }
    steps
}

fn selected(selection: &Selection, asked: Vec<Step>) -> Vec<Step> {
    let member = (selection.unit == Unit::Cgroup).then_some(Step::Member(selection.place));
    let mut steps: Vec<Step> = member.into_iter().chain(asked).collect();
    steps.extend(selection.filter.map(|_| Step::Filter));
    steps.push(Step::Offer);
    steps
}

/// The keys of a selection: the class, what the author wrote, and the tie rule of the language (reference §5).
fn ranks(policy: &Policy, selection: &Selection, kill: bool) -> Vec<Rank> {
    let class = (kill && !policy.preferences.is_empty()).then_some(Rank::Class);
    let mut ranks: Vec<Rank> = class.into_iter().collect();
    ranks.extend((0..selection.keys.len()).map(Rank::Key));
    // Candidates that are equal in a written key are equal in it as a tie, too.
    let written = |recipe: Recipe| {
        selection.keys.iter().any(|key| candidate_recipe(policy, key.expr, selection.binder) == Some(recipe))
    };
    let field = |owner, name| fields::find(owner, name).map(|field| field.row().recipe);
    match selection.unit {
        Unit::Process => {
            if !field(Owner::Process, "footprint").is_some_and(written) {
                ranks.push(Rank::Footprint);
            }
            if !written(Recipe::Age) {
                ranks.push(Rank::Start);
            }
            ranks.push(Rank::Pid);
        }
        Unit::Cgroup => {
            if !field(Owner::Cgroup, "unreclaimable").is_some_and(written) {
                ranks.push(Rank::Unreclaimable);
            }
            ranks.push(Rank::Serial);
        }
    }
    ranks
}

fn candidate_recipe(policy: &Policy, expr: ExprId, binder: BinderId) -> Option<Recipe> {
    match policy.exprs.get(expr)?.kind {
        ExprKind::Field(Subject::Candidate(of), field) if of == binder => Some(field.row().recipe),
        _ => None,
    }
}
