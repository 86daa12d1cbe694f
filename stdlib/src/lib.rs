//! Ready policies, as text.
//!
//! Each file of `policies/` begins with a comment that says what it does and when to take it; short tests stand in
//! it, the others in the file of tests beside it. Copy one, or load it as it is; `oomc new NAME --from POLICY` does
//! the copying. This crate does not know the compiler: it is text, and tests compile it and run its tests.

/// A ready policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What its file is called, without `.oom`.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The text of the file of tests beside it.
    pub tests: &'static str,
}

impl Policy {
    /// The comment at its beginning, without the signs of a comment.
    #[must_use]
    pub fn doc(&self) -> String {
        let comment = self.text.lines().map_while(|line| line.strip_prefix('#'));
        comment.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
    }

    /// What it does, in the first sentence of its comment.
    #[must_use]
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or_default()
    }
}

macro_rules! policy {
    ($name:literal) => {
        Policy {
            name: $name,
            text: include_str!(concat!("../policies/", $name, ".oom")),
            tests: include_str!(concat!("../policies/", $name, ".oomt")),
        }
    };
}

/// All policies by name.
pub const FILES: &[Policy] = &[
    policy!("batch_first"),
    policy!("busiest_owner"),
    policy!("connections_first"),
    policy!("grow_then_kill"),
    policy!("init_stays"),
    policy!("kernel_default"),
    policy!("largest_leaf"),
    policy!("largest_leaf_without_cache"),
    policy!("largest_process"),
    policy!("largest_tenant"),
    policy!("over_protection_first"),
    policy!("pods_by_class"),
    policy!("tabs_first"),
    policy!("tenant_then_job"),
    policy!("tiers"),
    policy!("watch"),
    policy!("whole_workload"),
    policy!("youngest_first"),
];

/// The policy of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Policy> {
    FILES.iter().find(|policy| policy.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_and_found() {
        assert!(FILES.is_sorted_by_key(|policy| policy.name));
        for policy in FILES {
            assert_eq!(find(policy.name), Some(policy));
        }
        assert_eq!(find("no_such_policy"), None);
    }

    #[test]
    fn a_comment_is_read_without_its_signs() {
        let policy = Policy { name: "", text: "# One does.\n#\n# It is for.\n\n# Not this.\n", tests: "" };
        assert_eq!(policy.doc(), "One does.\n\nIt is for.\n");
        assert_eq!(policy.summary(), "One does.");
    }
}
