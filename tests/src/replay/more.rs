//! A little more memory here or there: what no case may hang on.

use oomc_vm::script::{Action, Case};

/// A few pages more for some: what is there in the machine besides, and nobody can say beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct More {
    /// Who has them.
    pub who: Who,
    /// Those whose number has this bit, in the order in which they are made.
    pub bit: u32,
    /// Or those whose number does not have it.
    pub without: bool,
    /// How many pages.
    pub pages: i64,
}

/// Who has a few pages more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Processes.
    Processes,
    /// Cgroups, besides their processes.
    Cgroups,
}

impl More {
    /// Every way in which of any two processes or cgroups of a case one has more than the other, and once the other
    /// one more than it: two different numbers differ in a bit.
    pub fn each(case: &Case, pages: i64) -> impl Iterator<Item = Self> {
        let made = |action: &Action| match action {
            Action::Task { .. } => (1, 0),
            // Each part of its path may be new.
            Action::Cgroup { path, .. } => (0, path.matches('/').count()),
            _ => (0, 0),
        };
        let counts = case.steps.iter().map(|step| made(&step.action));
        let (processes, cgroups) = counts.fold((0, 1), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        let bits = |count: usize| 0..usize::BITS - count.saturating_sub(1).leading_zeros();
        let processes = bits(processes).map(|bit| (Who::Processes, bit));
        let both = processes.chain(bits(cgroups).map(|bit| (Who::Cgroups, bit)));
        both.flat_map(move |(who, bit)| [false, true].map(|without| Self { who, bit, without, pages }))
    }

    /// How many more the process or cgroup of this number has.
    pub(super) fn of(self, who: Who, number: usize) -> i64 {
        let has = (number >> self.bit & 1 == 1) != self.without;
        if self.who == who && has { self.pages } else { 0 }
    }
}
