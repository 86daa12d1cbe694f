//! What a policy would do on a machine, as data: what `sim` and `plan` print, and what pictures are drawn from.
//!
//! Numbers are in the unit of their name; texts are ready for people. Knows nothing of how it was found out.

use serde::Serialize;

/// What is said of a policy in audit mode.
pub(crate) const AUDIT: &str = "audit: nothing is done, only written down";

/// A decision that was not made in earnest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Forecast {
    /// Name of the policy.
    pub(crate) policy: String,
    /// The policy only writes down what it would do.
    pub(crate) audit: bool,
    /// Path of the cgroup that it would be attached to.
    pub(crate) attached: String,
    /// Path of the cgroup that would run out of memory.
    pub(crate) domain: String,
    /// The whole machine would.
    pub(crate) system: bool,
    /// The decision in one line.
    pub(crate) summary: String,
    /// The rule that decides.
    pub(crate) rule: Option<String>,
    /// Who would be killed first; by the policy or, where it defers, by the kernel.
    pub(crate) victim: Option<Object>,
    /// Whether it is the kernel that would kill the victim.
    pub(crate) by_the_kernel: bool,
    /// All processes that would be killed, by the policy or by the kernel: in the order of the machine.
    pub(crate) dies: Vec<Object>,
    /// The best candidates of the selection that decides, the best first; at most five.
    pub(crate) candidates: Vec<Candidate>,
    /// What is protected, by clause.
    pub(crate) protections: Vec<Protection>,
    /// How each rule ended.
    pub(crate) rules: Vec<Ended>,
    /// What else a reader should know.
    pub(crate) remarks: Vec<String>,
    /// The domain and everything below it, each behind its parent; siblings by path.
    pub(crate) tree: Vec<Node>,
}

/// A process or a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Object {
    /// Which of the two.
    pub(crate) kind: Kind,
    /// Process id, or inode number of the cgroup's directory.
    pub(crate) id: i64,
    /// Command name, or last component of the path.
    pub(crate) name: String,
    /// Path of the cgroup, or of the one that the process is in.
    pub(crate) cgroup: String,
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A process.
    Process,
    /// A cgroup.
    Cgroup,
}

/// Somebody who could be killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Candidate {
    /// From 1.
    pub(crate) place: u32,
    /// Who.
    #[serde(flatten)]
    pub(crate) object: Object,
    /// `preferred`, `normal` or `avoided`.
    pub(crate) class: &'static str,
    /// What it was compared by, the first one first.
    pub(crate) keys: Vec<KeyValue>,
    /// How many processes would die.
    pub(crate) processes: usize,
}

/// A key of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct KeyValue {
    /// As the policy writes it.
    pub(crate) key: String,
    /// In the unit of its type; none: missing.
    pub(crate) value: Option<i64>,
    /// For people, e.g. `207MiB`, `missing`.
    pub(crate) text: String,
}

/// A clause that protects, or what no policy may kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Protection {
    /// As the policy writes it, or in words, e.g. `oom_score_adj -1000`.
    pub(crate) clause: String,
    /// Line of the policy; none: holds without being written.
    pub(crate) line: Option<u32>,
    /// Whom it protects in the domain.
    pub(crate) objects: Vec<Object>,
}

/// A rule and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Ended {
    /// Its name.
    pub(crate) rule: String,
    /// In words.
    pub(crate) end: String,
}

/// A cgroup of the domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Node {
    /// From the cgroup mount.
    pub(crate) path: String,
    /// Last component of the path; `/` for the root.
    pub(crate) name: String,
    /// Below the domain, which is at 0.
    pub(crate) depth: usize,
    /// Bytes, with everything below.
    pub(crate) usage: i64,
    /// Bytes of `memory.max`, if it has one.
    pub(crate) own_limit: Option<i64>,
    /// Bytes that it can take at most: the smallest limit up to the root, or the machine's memory.
    pub(crate) limit: i64,
    /// Processes in it and below.
    pub(crate) processes: usize,
    /// Place among the candidates.
    pub(crate) candidate: Option<u32>,
    /// It would be killed, or the process that would be killed is in it.
    pub(crate) victim: bool,
    /// A clause protects it, or a cgroup above it.
    pub(crate) protected: bool,
    /// Processes in it (not below) that are candidates, the victim, or protected.
    pub(crate) marked: Vec<Marked>,
}

/// A process that a reader should see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Marked {
    /// Who.
    pub(crate) pid: i64,
    /// Command name.
    pub(crate) name: String,
    /// Bytes: resident, swapped out, and page tables.
    pub(crate) footprint: i64,
    /// Place among the candidates.
    pub(crate) candidate: Option<u32>,
    /// It would be killed.
    pub(crate) victim: bool,
    /// A clause protects it.
    pub(crate) protected: bool,
}
