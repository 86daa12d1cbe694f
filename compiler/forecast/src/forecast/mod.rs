//! What a policy would do on a machine, as data: what `sim` and `plan` print, and what pictures are drawn from.
//!
//! Numbers are in the unit of their name; texts are ready for people. Knows nothing of how it was found out.

pub(crate) mod account;
pub(crate) mod deaths;
mod entity;
mod lines;
pub(crate) mod protections;
mod tree;

pub use entity::{Entity, Kind};
use serde::Serialize;
pub(crate) use tree::living;

/// What is said of a policy in audit mode.
pub const AUDIT: &str = "audit: nothing is done, only written down";

/// A decision that was not made in earnest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// Name of the policy.
    pub policy: String,
    /// The policy only writes down what it would do.
    pub audit: bool,
    /// Path of the cgroup that it would be attached to.
    pub attached: String,
    /// Path of the cgroup that would run out of memory.
    pub domain: String,
    /// The whole machine would.
    pub system: bool,
    /// The decision in one line.
    pub summary: String,
    /// Why this event cannot come, or no kernel asks the policy then: a sentence.
    pub nobody_asks: Option<String>,
    /// The rule that decides.
    pub rule: Option<String>,
    /// Who would be killed first; by the policy or, where it defers, by the kernel.
    pub victim: Option<Entity>,
    /// Whether it is the kernel that would kill the victim.
    pub by_the_kernel: bool,
    /// All processes that would be killed, by the policy or by the kernel: in the order of the machine.
    pub dies: Vec<Entity>,
    /// Bytes that would come free with them.
    pub frees: i64,
    /// What the decision depends on and nobody knows, in words: then nothing is claimed.
    pub unknown: Vec<String>,
    /// The best candidates of the selection that decides, the best first; at most five.
    pub candidates: Vec<Candidate>,
    /// What is protected, by clause.
    pub protections: Vec<Protection>,
    /// How each rule ended.
    pub rules: Vec<Ended>,
    /// What else a reader should know.
    pub remarks: Vec<String>,
    /// The domain and everything below it, each behind its parent; siblings by path.
    pub tree: Vec<Node>,
    /// What the next events would bring, where several were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
}

/// A later event, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Then {
    /// From 2.
    pub event: u32,
    /// The decision in one line.
    pub summary: String,
    /// The rule that decides.
    pub rule: Option<String>,
    /// All processes that would be killed.
    pub dies: Vec<Entity>,
}

impl Forecast {
    /// In short, as a later event.
    #[must_use]
    pub fn as_then(&self, event: u32) -> Then {
        Then { event, summary: self.summary.clone(), rule: self.rule.clone(), dies: self.dies.clone() }
    }
}

/// Somebody who could be killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// From 1.
    pub place: u32,
    /// Who.
    #[serde(flatten)]
    pub entity: Entity,
    /// `preferred`, `normal` or `avoided`.
    pub class: &'static str,
    /// What it was compared by, the first one first.
    pub keys: Vec<KeyValue>,
    /// How many processes would die.
    pub processes: usize,
    /// Bytes that would come free with them.
    pub frees: i64,
    /// What puts it behind the one before it, where all keys are equal.
    pub tie: Option<String>,
}

/// A key of a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyValue {
    /// As the policy writes it.
    pub key: String,
    /// In the unit of its type; none: missing.
    pub value: Option<i64>,
    /// For people, e.g. `207MiB`, `missing`.
    pub text: String,
}

/// A clause that protects, or what no policy may kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Protection {
    /// As the policy writes it, or in words, e.g. `oom_score_adj -1000`.
    pub clause: String,
    /// Line of the policy; none: holds without being written.
    pub line: Option<u32>,
    /// Whom it protects in the domain.
    pub objects: Vec<Entity>,
    /// Of whom it was asked, where it protects nobody.
    pub asked: Asked,
}

impl Protection {
    /// What is said where it protects nobody.
    #[must_use]
    pub fn nobody(&self) -> &'static str {
        match self.asked {
            Asked::Everybody => "nobody",
            Asked::Some => "nobody of those that the rules that ran came to",
            Asked::Nobody => "not asked by the rules that ran",
        }
    }
}

/// Of whom of the domain the rules that ran have asked a clause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// Of everybody.
    #[default]
    Everybody,
    /// Of some: of the candidates of these rules.
    Some,
    /// Of nobody.
    Nobody,
}

/// A rule and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ended {
    /// Its name.
    pub rule: String,
    /// In words.
    pub end: String,
}

/// A cgroup of the domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// From the cgroup mount.
    pub path: String,
    /// Last component of the path; `/` for the root.
    pub name: String,
    /// Below the domain, which is at 0.
    pub depth: usize,
    /// Bytes, with everything below.
    pub usage: i64,
    /// Bytes of `memory.max`, if it has one.
    pub own_limit: Option<i64>,
    /// Bytes that it can take at most: the smallest limit up to the root, or the machine's memory.
    pub limit: i64,
    /// Processes in it and below.
    pub processes: usize,
    /// Place among the candidates.
    pub candidate: Option<u32>,
    /// As a candidate: `preferred`, `normal` or `avoided`.
    pub class: Option<&'static str>,
    /// It would be killed, or the process that would be killed is in it.
    pub victim: bool,
    /// A clause protects it, or a cgroup above it.
    pub protected: bool,
    /// Processes in it (not below) that are candidates, the victim, or protected.
    pub marked: Vec<Marked>,
}

/// A process that a reader should see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// Who.
    pub pid: i64,
    /// Command name.
    pub name: String,
    /// Bytes: resident, swapped out, and page tables.
    pub footprint: i64,
    /// Place among the candidates.
    pub candidate: Option<u32>,
    /// As a candidate: `preferred`, `normal` or `avoided`.
    pub class: Option<&'static str>,
    /// It would be killed.
    pub victim: bool,
    /// A clause protects it.
    pub protected: bool,
}
