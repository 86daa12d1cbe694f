//! Holds what the machine tells of a case against what was played: policy by policy, decision by decision.
//!
//! All of a decision is compared, except for the few cases in [`IN_PART`]; and what the kernel does between a kill and
//! the moment when the victim's memory is free has no counterpart in a model, as long as it does nothing. Takes both
//! lists; knows nothing of how they came about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oomc_abi::record::Action;
use oomc_vm::report::Decision;

/// What is left out of the comparison of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum But {
    /// Limits may be one percent apart.
    ExactLimits,
    /// The kernel may decide more often; as many decisions as were played are compared.
    MoreDecisions,
}

/// A case that is compared in part.
#[derive(Clone, Copy, Debug)]
pub struct InPart {
    /// The case.
    pub case: &'static str,
    /// What is left out.
    pub but: But,
    /// Why.
    pub why: &'static str,
}

/// The cases that are compared in part. All others are compared as a whole.
pub const IN_PART: &[InPart] = &[
    InPart {
        case: "headline_raises_then_kills",
        but: But::ExactLimits,
        why: "the second rise goes up to what the parent still has, and pages of the kernel's own lie there",
    },
    InPart {
        case: "raise_leaves_room_for_ancestors",
        but: But::ExactLimits,
        why: "the second rise goes up to what the parent still has, and pages of the kernel's own lie there",
    },
    InPart {
        case: "operator_labels_a_directory",
        but: But::MoreDecisions,
        why: "the one that grows may be there again before the last victim's memory is",
    },
];

/// What is left out of the comparison of a case, if anything is.
#[must_use]
pub fn left_out(case: &str) -> Option<But> {
    IN_PART.iter().find(|part| part.case == case).map(|part| part.but)
}

/// Each policy's decisions, by the cgroup that it is attached to.
type ByPolicy<'a> = BTreeMap<&'a str, Vec<&'a Decision>>;

fn by_policy(decisions: &[Decision]) -> ByPolicy<'_> {
    let mut found = ByPolicy::new();
    for decision in decisions {
        found.entry(&decision.attached).or_default().push(decision);
    }
    found
}

/// In what the two differ: both sequences of each policy that differs; none: in nothing.
#[must_use]
pub fn differences(case: &str, played: &[Decision], told: &[Decision]) -> Option<String> {
    let (played, told) = (by_policy(played), by_policy(told));
    let mut text = String::new();
    for cgroup in played.keys().chain(told.keys().filter(|cgroup| !played.contains_key(*cgroup))) {
        let simulator = played.get(cgroup).cloned().unwrap_or_default();
        let kernel = told.get(cgroup).cloned().unwrap_or_default();
        if are_equal(left_out(case), &simulator, &kernel) {
            continue;
        }
        _ = writeln!(text, "the policy of {cgroup}:");
        for (who, decisions) in [("simulator", simulator), ("kernel", kernel)] {
            _ = writeln!(text, "  {who}: {} decisions", decisions.len());
            decisions.iter().for_each(|decision| _ = writeln!(text, "    {decision:?}"));
        }
    }
    (!text.is_empty()).then_some(text)
}

/// Whether both are the same, but for moments that only the kernel has: a victim is dead, its memory is not free yet,
/// and whoever grows asks again. Nobody is killed then and no limit rises, and the next decision is the one after the
/// kill.
fn are_alike(simulator: &[&Decision], kernel: &[&Decision]) -> bool {
    let mut expected = simulator.iter().peekable();
    let mut after_a_kill = false;
    for told in kernel {
        if expected.next_if(|decision| *decision == told).is_some() {
            after_a_kill = told.killed > 0 && !told.audit;
        } else if !(after_a_kill && is_idle(told)) {
            return false;
        }
    }
    expected.next().is_none()
}

/// It waits, or does nothing.
fn is_idle(decision: &Decision) -> bool {
    let idle = [Action::None, Action::Wait, Action::Defer].map(Action::text);
    idle.contains(&decision.action.as_str()) && decision.killed == 0 && decision.limit.is_none()
}

fn are_equal(but: Option<But>, simulator: &[&Decision], kernel: &[&Decision]) -> bool {
    match but {
        None => are_alike(simulator, kernel),
        Some(But::MoreDecisions) => kernel.starts_with(simulator),
        Some(But::ExactLimits) => {
            let alike = |(one, other): (&&Decision, &&Decision)| match (one.limit, other.limit) {
                (Some(limit), Some(told)) => {
                    let near = limit.abs_diff(told) <= limit.unsigned_abs() / 100;
                    near && Decision { limit: None, ..(*one).clone() }
                        == Decision { limit: None, ..(*other).clone() }
                }
                _ => one == other,
            };
            simulator.len() == kernel.len() && simulator.iter().zip(kernel).all(alike)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(action: Action, victim: &str) -> Decision {
        let killed = u64::from(!victim.is_empty());
        Decision {
            attached: "/job".to_owned(),
            action: action.text().to_owned(),
            victim: (killed > 0).then(|| victim.to_owned()),
            killed,
            ..Decision::default()
        }
    }

    #[test]
    fn only_idle_moments_after_a_kill_are_the_kernels_own() {
        let (a, b) = (decision(Action::KillProcess, "a"), decision(Action::KillProcess, "b"));
        let (idle, waits) = (decision(Action::None, ""), decision(Action::Wait, ""));
        let played = [a.clone(), b.clone()];
        let same = |told: &[&Decision]| {
            let told: Vec<Decision> = told.iter().map(|one| (*one).clone()).collect();
            differences("case", &played, &told).is_none()
        };
        assert!(same(&[&a, &b]));
        assert!(same(&[&a, &waits, &idle, &b, &idle]));
        assert!(!same(&[&idle, &a, &b]), "nobody is dying yet");
        assert!(!same(&[&a, &idle]), "and b?");
        assert!(!same(&[&a, &b, &a]), "one more dies");
        assert!(!same(&[&b, &a]), "another order");
    }
}
