//! The maps of a policy: what whoever writes, loads, reads and simulates a program calls them and their members.
//!
//! Labels have an entry under the cgroup's id and the label's number. Each counter is two members of a value that each
//! cgroup has: how often, and since when by the boot clock; and the same again for audit mode.

use crate::record;

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
/// What became of the decisions in [`RECORDS`]. Made by the loader; no program has it.
pub const OUTCOMES: &str = "outcomes";
/// Labels that were put on cgroups.
pub const LABELS: &str = "labels";
/// Counters of cgroups.
pub const COUNTERS: &str = "counters";

/// What is known of cgroups and processes by looking again and again ([`crate::watch::Sample`]): whoever asks writes it.
/// The key is an id and the number of a sample, the value a number in the unit of the field; of a rate, per second.
pub const SAMPLES: &str = "samples";

/// The record of the present event and, behind it, what one event needs: a global.
pub const SCRATCH: &str = "scratch";
/// What one kill of a large policy needs: a global.
pub const LOCAL: &str = "local";
/// The cgroups of one unit: a global.
pub const UNITS: &str = "units";
/// What a selection of `all` has found: a global.
pub const FOUND: &str = "found";
/// Question and answer of a program that user space asks ([`crate::request`]): a global.
pub const REQUEST: &str = "request";
/// As [`SCRATCH`], of a program that user space asks: a global.
pub const ASKED: &str = "asked";
/// As [`LOCAL`], of a program that user space asks: a global.
pub const ASKED_LOCAL: &str = "asked_local";
/// As [`FOUND`], of a program that user space asks: a global.
pub const ASKED_FOUND: &str = "asked_found";
/// Texts, which nobody may change: a global.
pub const TEXTS: &str = "rodata";
/// Names of all globals.
pub const GLOBALS: &[&str] =
    &[CONFIG, STATS, SCRATCH, LOCAL, UNITS, FOUND, REQUEST, ASKED, ASKED_LOCAL, ASKED_FOUND, TEXTS];
/// Most labels that are put on cgroups at a time.
pub const MAX_LABELS: u32 = 65_536;
/// Most entries of [`SAMPLES`]; what finds no room is missing.
pub const MAX_SAMPLES: u32 = 16_384;

/// A map that is no global.
#[derive(Clone, Copy, Debug)]
pub struct MapRow {
    /// Its name.
    pub name: &'static str,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Its elements; of a ring buffer, bytes.
    pub entries: u32,
    /// `BPF_F_NO_PREALLOC`: what is not allocated in advance says so.
    pub flags: u32,
}

/// The maps that policies have besides globals; nobody has others.
pub const MAPS: &[MapRow] = &[
    MapRow { name: RECORDS, kind: TYPE_ARRAY, entries: record::KEPT, flags: 0 },
    MapRow { name: EVENTS, kind: TYPE_RINGBUF, entries: record::RING_BYTES, flags: 0 },
    MapRow { name: LABELS, kind: TYPE_HASH, entries: MAX_LABELS, flags: NO_PREALLOC },
    MapRow { name: SAMPLES, kind: TYPE_HASH, entries: MAX_SAMPLES, flags: NO_PREALLOC },
    MapRow { name: COUNTERS, kind: TYPE_CGRP_STORAGE, entries: 0, flags: NO_PREALLOC },
];

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
/// `BPF_F_NO_PREALLOC`.
pub const NO_PREALLOC: u32 = 1;
