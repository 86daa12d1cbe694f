//! Holds what the machine tells of a case against what was played: policy by policy, decision by decision.
//!
//! All of a decision is compared. Takes both lists; knows nothing of how they came about.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use oomc_vm::report::Decision;

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
pub fn differences(played: &[Decision], told: &[Decision]) -> Option<String> {
    let (played, told) = (by_policy(played), by_policy(told));
    let mut text = String::new();
    for cgroup in played.keys().chain(told.keys().filter(|cgroup| !played.contains_key(*cgroup))) {
        let simulator = played.get(cgroup).cloned().unwrap_or_default();
        let kernel = told.get(cgroup).cloned().unwrap_or_default();
        if simulator == kernel {
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
