//! Ready policies, as text.
//!
//! Each file of `policies/` begins with a comment that says what it does and when to take it. Copy one, or
//! load it as it is. This crate does not know the compiler: it is text, and tests compile it.

/// All policies by name.
pub const FILES: &[(&str, &str)] = &[
    ("batch_first", include_str!("../policies/batch_first.oom")),
    ("grow_then_kill", include_str!("../policies/grow_then_kill.oom")),
    ("kernel_default", include_str!("../policies/kernel_default.oom")),
    ("largest_leaf", include_str!("../policies/largest_leaf.oom")),
    ("largest_process", include_str!("../policies/largest_process.oom")),
    ("largest_tenant", include_str!("../policies/largest_tenant.oom")),
    ("tiers", include_str!("../policies/tiers.oom")),
    ("watch", include_str!("../policies/watch.oom")),
    ("whole_workload", include_str!("../policies/whole_workload.oom")),
    ("youngest_first", include_str!("../policies/youngest_first.oom")),
];

/// The text of the policy of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(FILES.is_sorted_by_key(|(name, _)| name));
        for (name, text) in FILES {
            assert_eq!(find(name), Some(*text));
        }
        assert_eq!(find("no_such_policy"), None);
    }
}
