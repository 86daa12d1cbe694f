//! What it costs to ask something of one candidate, in classes.
//!
//! Instructions differ from kernel to kernel; the order between these classes does not. Passes sort by them.

use oomc_abi::fields::{FieldId, Recipe, Unit as Measure};

use super::{Rank, Ranking, Selector, Step};
use crate::hir::{ArithOp, Direction, ExprId, ExprKind, Key, Policy, Selection, Subject, Unit};

/// A class of cost, the cheap ones first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cost {
    /// A constant, or what lies in memory of the policy.
    #[default]
    Free,
    /// Members of kernel structures.
    Members,
    /// A function of the kernel or two, or a name that is copied and compared.
    Calls,
    /// A walk up to the root.
    Up,
    /// A walk over processes or cgroups below.
    Walk,
}

/// What an expression costs.
#[must_use]
pub fn expr(policy: &Policy, id: ExprId) -> Cost {
    let Some(expr_data) = policy.exprs.get(id) else { return Cost::Free };
    let own = match &expr_data.kind {
        ExprKind::Field(subject, id) => subject_cost(*subject).max(field(*id)),
        ExprKind::Raw(subject, _) => subject_cost(*subject).max(Cost::Members),
        ExprKind::Label(..) => Cost::Up,
        ExprKind::Counter(..) | ExprKind::Sample(..) => Cost::Calls,
        ExprKind::Quantifier(_) => Cost::Walk,
        ExprKind::Matches(..) | ExprKind::SameText(..) => Cost::Calls,
        _ => Cost::Free,
    };
    let operands = expr_data.kind.operands().into_iter().map(|operand| expr(policy, operand));
    operands.fold(own, Cost::max)
}

/// What it costs to get at a subject: those of the event are read before the walk.
fn subject_cost(subject: Subject) -> Cost {
    match subject {
        Subject::Candidate(_) | Subject::Event => Cost::Free,
        Subject::Home(_) | Subject::Parent(_) => Cost::Members,
        Subject::Anchor(_) | Subject::Pick(_) => Cost::Free,
    }
}

fn field(id: FieldId) -> Cost {
    let row = id.row();
    match row.recipe {
        Recipe::NrProcesses | Recipe::IsLeaf => Cost::Walk,
        Recipe::Limit | Recipe::SwapLimit | Recipe::Path => Cost::Up,
        Recipe::Machine(_)
        | Recipe::Stat(_)
        | Recipe::UsageLess(_)
        | Recipe::VmEvents(_)
        | Recipe::MemoryEvents(_) => Cost::Calls,
        _ if row.unit == Measure::Text => Cost::Calls,
        _ => Cost::Members,
    }
}

/// What a step costs.
#[must_use]
pub fn step(policy: &Policy, ranking: &Ranking, step: Step) -> Cost {
    let nevers = |unit: Unit| {
        let nevers = policy.nevers.iter().filter(|never| never.unit == unit);
        nevers.map(|never| expr(policy, never.condition)).max().unwrap_or_default()
    };
    match step {
        Step::Member(_) | Step::Offer => Cost::Free,
        Step::Bound(number) => expr(policy, number),
        Step::Lead => lead(policy, ranking),
        Step::Killable | Step::Living => Cost::Members,
        Step::Unprotected => nevers(ranking.unit),
        Step::Filter => {
            let selection = selection(policy, ranking.of);
            selection.and_then(|selection| selection.filter).map_or(Cost::Free, |filter| expr(policy, filter))
        }
        Step::UnprotectedAbove => Cost::Up,
        Step::UnprotectedGroup | Step::Members => Cost::Walk,
    }
}

/// What the leading keys cost: the class, if there is one, and the first behind it.
fn lead(policy: &Policy, ranking: &Ranking) -> Cost {
    let keys = ranking.ranks.iter().take(lead_of(ranking));
    keys.map(|rank| self::rank(policy, ranking, *rank)).max().unwrap_or_default()
}

/// A number that is cheaper than the first key and no smaller: what something that is never negative is taken from.
#[must_use]
pub fn bound(policy: &Policy, ranking: &Ranking) -> Option<ExprId> {
    let Some(Rank::Key(first)) = ranking.ranks.first() else { return None };
    // A level has a floor of its own.
    if ranking.stepwise {
        return None;
    }
    let key = selection(policy, ranking.of)?.keys.get(*first)?;
    let ExprKind::Arith(ArithOp::Sub, whole, part) = policy.exprs.get(key.expr)?.kind else { return None };
    let is_amount = match &policy.exprs.get(part)?.kind {
        ExprKind::Int(number) => *number >= 0,
        ExprKind::Field(_, field) => field.row().recipe.is_amount(),
        _ => false,
    };
    let pays = expr(policy, whole) < Cost::Calls && lead(policy, ranking) >= Cost::Calls;
    (is_amount && pays && key.direction == Direction::Desc).then_some(whole)
}

/// How many keys of a ranking lead: the class, and the first behind it.
#[must_use]
pub fn lead_of(ranking: &Ranking) -> usize {
    if ranking.ranks.first() == Some(&Rank::Class) { 2 } else { 1 }
}

/// How many keys are compared with those of the last one that is kept before all else: the leading ones, and where these
/// tie, those behind them that cost no more than members, up to the first amount of memory, in which few are equal.
#[must_use]
pub fn floor_of(policy: &Policy, ranking: &Ranking) -> usize {
    let lead = lead_of(ranking);
    let amount = |rank: &Rank| is_amount(policy, ranking, *rank);
    if ranking.ranks.iter().take(lead).any(amount) {
        return lead;
    }
    let cheap = |rank: &&Rank| self::rank(policy, ranking, **rank) <= Cost::Members;
    let behind: Vec<&Rank> = ranking.ranks.iter().skip(lead).take_while(cheap).collect();
    lead + behind.iter().position(|rank| amount(rank)).map_or(behind.len(), |at| at + 1)
}

/// Whether a key is an amount of memory of the candidate's own, counted in bytes or pages: two are seldom equal in it.
#[must_use]
pub fn is_amount(policy: &Policy, ranking: &Ranking, rank: Rank) -> bool {
    let key = match rank {
        Rank::Key(index) => selection(policy, ranking.of).and_then(|selection| selection.keys.get(index)),
        Rank::Footprint => return true,
        _ => None,
    };
    key.is_some_and(|key| holds_amount(policy, key.expr))
}

fn holds_amount(policy: &Policy, id: ExprId) -> bool {
    match policy.exprs.get(id).map(|expr| &expr.kind) {
        Some(ExprKind::Field(Subject::Candidate(_), field)) => {
            let recipe = field.row().recipe;
            recipe.is_amount() || matches!(recipe, Recipe::Usage(_))
        }
        Some(ExprKind::Arith(ArithOp::Sub, whole, _)) => holds_amount(policy, *whole),
        _ => false,
    }
}

fn rank(policy: &Policy, ranking: &Ranking, rank: Rank) -> Cost {
    match rank {
        Rank::Key(index) => {
            let key = selection(policy, ranking.of).and_then(|selection| selection.keys.get(index));
            key.map_or(Cost::Free, |Key { expr: key, .. }| expr(policy, *key))
        }
        Rank::Class => {
            let own = policy.preferences.iter().filter(|preference| preference.unit == ranking.unit);
            let above = policy.preferences.iter().any(|preference| preference.unit == Unit::Cgroup);
            let own = own.map(|preference| expr(policy, preference.condition)).max().unwrap_or_default();
            // Of a process, its cgroup's class is found once for all of them.
            if above && ranking.unit == Unit::Cgroup { own.max(Cost::Up) } else { own }
        }
        Rank::Unreclaimable | Rank::UnreclaimableOfEquals => Cost::Calls,
        Rank::Footprint | Rank::Start | Rank::Pid | Rank::Serial => Cost::Members,
    }
}

/// The selection that a ranking belongs to.
#[must_use]
pub fn selection(policy: &Policy, of: Selector) -> Option<&Selection> {
    match of {
        Selector::Kill(action) => match &policy.actions.get(action)?.kind {
            crate::hir::ActionKind::Kill(kill) => Some(&kill.selection),
            _ => None,
        },
        Selector::Pick(pick) => policy.picks.get(pick).map(|pick| &pick.selection),
    }
}
