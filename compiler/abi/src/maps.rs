//! The maps of a policy: what whoever writes, loads, reads and simulates a program calls them and their members.
//!
//! Labels have an entry under the cgroup's id and the label's number. Each counter is two members of a value that each
//! cgroup has: how often, and since when by the boot clock; and the same again for audit mode.

/// Mode and params: a global, with a member of eight bytes for each.
pub const CONFIG: &str = "config";
/// A member of [`CONFIG`]: not 0 in audit mode.
pub const AUDIT: &str = "audit";
/// A member of [`CONFIG`], and of the counters: grows with each switch of the mode; what audit mode had counted is void
/// then.
pub const EPOCH: &str = "epoch";
/// How often a policy did what: a global.
pub const STATS: &str = "stats";
/// The last records.
pub const RECORDS: &str = "records";
/// New records, as they are written.
pub const EVENTS: &str = "events";
/// Labels that were put on cgroups.
pub const LABELS: &str = "labels";
/// Counters of cgroups.
pub const COUNTERS: &str = "counters";

/// One of the two tallies that each counter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// What was done.
    Real,
    /// What audit mode would have done.
    Audit,
}

impl Tally {
    /// Both, in the order of the members.
    pub const BOTH: [Self; 2] = [Self::Real, Self::Audit];

    /// The member that says how often.
    #[must_use]
    pub fn count(self, counter: &str) -> String {
        match self {
            Self::Real => counter.to_owned(),
            Self::Audit => format!("audit_{counter}"),
        }
    }

    /// The member that says since when.
    #[must_use]
    pub fn since(self, counter: &str) -> String {
        format!("{}_since", self.count(counter))
    }
}

/// `BPF_MAP_TYPE_HASH` (`include/uapi/linux/bpf.h`, 6.12).
pub const TYPE_HASH: u32 = 1;
/// `BPF_MAP_TYPE_ARRAY`.
pub const TYPE_ARRAY: u32 = 2;
/// `BPF_MAP_TYPE_RINGBUF`.
pub const TYPE_RINGBUF: u32 = 27;
/// `BPF_MAP_TYPE_CGRP_STORAGE`.
pub const TYPE_CGRP_STORAGE: u32 = 32;
