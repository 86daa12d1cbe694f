//! What a trial says of a killer.

use crate::plan::Killer;
use crate::report::Seen;

/// How a trial ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The culprit went as a whole, by the killer that was tried, and nobody else.
    pub right: bool,
    /// The innocent one, or a bystander, lost a process.
    pub wrong: bool,
    /// The kernel's own killer killed before the culprit was gone. Where no other one runs this is how it has to be.
    pub kernel_first: bool,
    /// Somebody else died as well, besides the first victim.
    pub second: bool,
    /// Nobody died.
    pub nobody: bool,
    /// Milliseconds from the event until the memory was free; 0 where that was before the event.
    pub freed: Option<u64>,
}

/// The verdict on what was seen.
#[must_use]
pub fn judge(killer: Killer, seen: &Seen) -> Verdict {
    let wrong = seen.innocent.is_some() || seen.bystander.is_some();
    // What the kernel kills when everything is over is not what decided.
    let kernel_first = seen.kernel.is_some_and(|at| seen.freed.is_none_or(|freed| at <= freed));
    let lost = [seen.freed, seen.innocent, seen.bystander].iter().flatten().count();
    Verdict {
        right: seen.freed.is_some() && !wrong && (killer == Killer::Kernel || !kernel_first),
        wrong,
        kernel_first,
        second: lost > 1,
        nobody: lost == 0 && seen.kernel_kills == 0,
        freed: seen.freed.map(|freed| freed.saturating_sub(seen.event.unwrap_or(freed))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_culprit_alone_by_the_killer_is_right() {
        let seen = Seen { event: Some(900), freed: Some(1000), ..Seen::default() };
        let verdict = judge(Killer::Oomd, &seen);
        assert_eq!(verdict, Verdict { right: true, freed: Some(100), ..Verdict::default() });
    }

    #[test]
    fn a_killer_is_not_praised_for_what_the_kernel_did() {
        let seen = Seen { freed: Some(1000), kernel: Some(950), kernel_kills: 1, ..Seen::default() };
        let verdict = judge(Killer::Earlyoom, &seen);
        assert!(!verdict.right && verdict.kernel_first && !verdict.wrong && !verdict.nobody);
        let alone = judge(Killer::Kernel, &seen);
        assert!(alone.right && alone.kernel_first);
    }

    #[test]
    fn a_second_victim_is_wrong_and_counted() {
        let seen = Seen { freed: Some(1000), innocent: Some(1200), ..Seen::default() };
        let verdict = judge(Killer::Nohang, &seen);
        assert!(verdict.wrong && verdict.second && !verdict.right);
        let only = judge(Killer::Nohang, &Seen { innocent: Some(1200), ..Seen::default() });
        assert!(only.wrong && !only.second && !only.nobody && only.freed.is_none());
    }

    #[test]
    fn a_trial_without_a_death_has_nobody() {
        let verdict = judge(Killer::SystemdOomd, &Seen { event: Some(5), ..Seen::default() });
        assert_eq!(verdict, Verdict { nobody: true, ..Verdict::default() });
    }

    #[test]
    fn a_part_of_the_culprit_is_not_the_culprit() {
        let seen = Seen { event: Some(5), kernel: Some(7), kernel_kills: 3, ..Seen::default() };
        let verdict = judge(Killer::Kernel, &seen);
        assert!(!verdict.right && !verdict.nobody && verdict.freed.is_none());
    }

    #[test]
    fn what_the_kernel_kills_afterwards_was_not_first() {
        let seen = Seen { freed: Some(1000), kernel: Some(1500), kernel_kills: 1, ..Seen::default() };
        let verdict = judge(Killer::Oomc, &seen);
        assert!(verdict.right && !verdict.kernel_first);
    }
}
