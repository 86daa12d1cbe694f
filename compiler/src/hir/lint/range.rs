//! Which numbers a field can have.

use oomc_abi::fields::{FieldId, Measure, Owner};

use super::walk::Asks;

/// Numbers from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Range {
    pub(super) const ALL: Self = Self { least: i64::MIN, most: i64::MAX };

    pub(super) fn is_empty(self) -> bool {
        self.least > self.most
    }

    pub(super) fn cut(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.min(other.most) }
    }
}

/// The numbers that a field of a candidate, or of a cgroup, can have, and a sentence about them.
pub(super) fn of(field: FieldId, asks: Asks, candidate: bool) -> (Range, &'static str) {
    let row = field.row();
    let from = |least, most| Range { least, most };
    // Of those that are never candidates.
    let killed = asks == Asks::Kill && candidate;
    match (row.owner, row.name) {
        (Owner::Process, "oom_score_adj") if killed => {
            (from(-999, 1000), "whoever has -1000 is never a candidate, and 1000 is the most")
        }
        (Owner::Process, "oom_score_adj") => (from(-1000, 1000), "`oom_score_adj` runs from -1000 to 1000"),
        (Owner::Process, "pid") if killed => {
            (from(2, i64::MAX), "pid 1 is never a candidate, and none is smaller")
        }
        (Owner::Process, "pid") => (from(1, i64::MAX), "process ids begin at 1"),
        (Owner::Process, "uid") => (from(0, i64::from(u32::MAX)), "users are numbered from 0"),
        (Owner::Process, "badness") => (Range::ALL, ""),
        (Owner::Process | Owner::Cgroup, name) => match row.unit {
            Measure::Bytes if name != "unreclaimable" && name != "working_set" => {
                (from(0, i64::MAX), "an amount of memory is never negative")
            }
            Measure::Duration => (from(0, i64::MAX), "a time is never negative"),
            Measure::Count => (from(0, i64::MAX), "this is never negative"),
            Measure::Ratio if name.starts_with("pressure.") => {
                (from(0, crate::hir::RATIO_ONE), "pressure runs from 0% to 100%")
            }
            _ => (Range::ALL, ""),
        },
        _ => (Range::ALL, ""),
    }
}
