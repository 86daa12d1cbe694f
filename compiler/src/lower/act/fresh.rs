//! Which statistics an event brings up to date before anything is read.
//!
//! The kernel counts them for each processor and adds them up when somebody asks, at the latest after two seconds
//! (`FLUSH_TIME`, mm/memcontrol.c, 6.12). One flush of the OOM domain serves all that lies in it; what is read above
//! or beside it needs one of the whole machine, which costs more: each cgroup that was charged since then.

use oomc_abi::fields::{FieldId, Recipe};

use crate::hir::{ActionKind, Anchor, ExprId, ExprKind, Place, Policy, Subject, Unit};
use crate::lower::read::may_be_root;

/// Of which cgroups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fresh {
    /// No statistic is read.
    #[default]
    Nothing,
    /// Of the OOM domain.
    Domain,
    /// Of all.
    Machine,
}

impl Fresh {
    /// What a policy needs.
    pub(super) fn of(policy: &Policy) -> Self {
        let roots = may_be_root(policy);
        let mut fresh = ties(policy);
        for expr in policy.exprs.values() {
            let ExprKind::Field(subject, field) = &expr.kind else { continue };
            let own = match subject {
                Subject::Parent(_) if is_statistic(*field, true) => Self::Machine,
                Subject::Home(_) if is_statistic(*field, true) => Self::Domain,
                Subject::Candidate(binder) if is_statistic(*field, roots.contains(binder)) => Self::Domain,
                _ if is_statistic(*field, false) => Self::Domain,
                _ => Self::Nothing,
            };
            fresh = fresh.max(own);
        }
        let above = places(policy).any(|place| is_above(place.of()))
            || clauses(policy).any(|condition| asks_candidates(policy, condition));
        if fresh == Self::Domain && above { Self::Machine } else { fresh }
    }
}

/// Ties between cgroups are broken by a statistic.
fn ties(policy: &Policy) -> Fresh {
    let kills = policy
        .actions
        .values()
        .any(|action| matches!(&action.kind, ActionKind::Kill(kill) if kill.selection.unit == Unit::Cgroup));
    if kills || !policy.picks.is_empty() { Fresh::Domain } else { Fresh::Nothing }
}

/// Whether a field is, or may be at the root, a sum of statistics.
fn is_statistic(field: FieldId, at_the_root: bool) -> bool {
    match field.row().recipe {
        Recipe::Stat(_) | Recipe::UsageLess(_) | Recipe::VmEvents(_) => true,
        Recipe::Usage(_) => at_the_root,
        _ => false,
    }
}

/// Whether a cgroup may lie above the domain.
fn is_above(subject: Subject) -> bool {
    matches!(subject, Subject::Parent(_) | Subject::Anchor(Anchor::Parent | Anchor::Attached))
}

/// Where quantifiers and picks look. A `kill` looks into the domain only.
fn places(policy: &Policy) -> impl Iterator<Item = Place> {
    let picks = policy.picks.values().map(|pick| pick.selection.place);
    picks.chain(policy.exprs.values().filter_map(|expr| match &expr.kind {
        ExprKind::Quantifier(quantifier) => Some(quantifier.place),
        _ => None,
    }))
}

/// The conditions of clauses on cgroups, which are asked about each cgroup above a candidate as well.
fn clauses(policy: &Policy) -> impl Iterator<Item = ExprId> {
    let nevers = policy.nevers.iter().filter(|never| never.unit == Unit::Cgroup);
    let preferences = policy.preferences.iter().filter(|preference| preference.unit == Unit::Cgroup);
    nevers.map(|never| never.condition).chain(preferences.map(|preference| preference.condition))
}

/// Whether an expression asks a candidate for a statistic. Those of the event's cgroups and of picks are brought up to
/// date where they are read.
fn asks_candidates(policy: &Policy, expr: ExprId) -> bool {
    let Some(expr) = policy.exprs.get(expr) else { return false };
    let own = match &expr.kind {
        ExprKind::Field(subject, field) => {
            !matches!(subject, Subject::Anchor(_) | Subject::Pick(_)) && is_statistic(*field, false)
        }
        _ => false,
    };
    own || expr.kind.operands().into_iter().any(|operand| asks_candidates(policy, operand))
}
