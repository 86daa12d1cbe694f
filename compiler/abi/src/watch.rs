//! What a policy watches before memory is gone: its `on` blocks, what it samples, and its budget.
//!
//! One definition for the compiler, which writes them into an object as lines of `.oomc.meta`, and for whoever asks the
//! policy: an engine in user space, and the simulator that plays tests. Owns the lines, and the rule by which a block is
//! due ([`Clock`]) and a budget is used up ([`Purse`]). Knows no file and no system call.
//!
//! | key | value |
//! |---|---|
//! | `block` | `NUMBER FIRST END FOR COOLDOWN EVENT`: rules from the first up to the end; nanoseconds; no cooldown: `-` |
//! | `sample` | `NUMBER OWNER FIELD rate`, `NUMBER OWNER FIELD growth WINDOW` |
//! | `budget` | `KILLS NANOSECONDS` |
//!
//! An event is `pressure full avg10 600000` (parts per million), `stall some 150000000 1000000000` (nanoseconds),
//! `usage percent 950000`, `swap bytes 1073741824`, or `limit`.
//!
//! # One look
//!
//! Whoever asks looks at all blocks in the order written. A block is *due* when its event has held at every look for as
//! long as it says, and it does not rest. Each due block is asked ([`crate::request::Question::block`]), up to the first
//! one that makes progress: what the others would have seen has changed. The rules outside of the blocks are block 0. On
//! a kernel without the hook they are asked at the limit, behind the blocks that watch it, if none of them made progress.

use std::collections::VecDeque;

use crate::amount;
use crate::fields::{Measure, Owner};
use crate::record::Action;
use crate::request::Trigger;

/// The key of a block's line.
pub const BLOCK: &str = "block";
/// The key of a sample's line.
pub const SAMPLE: &str = "sample";
/// The key of the budget's line.
pub const BUDGET: &str = "budget";

/// Windows of the kernel's own triggers, in nanoseconds (`WINDOW_MIN_US` and `WINDOW_MAX_US`, `kernel/sched/psi.c`,
/// 6.12).
pub const WINDOWS: core::ops::RangeInclusive<i64> = 500_000_000..=10_000_000_000;
/// How long a block rests after a kill, if it does not say.
pub const COOLDOWN: i64 = 15_000_000_000;
/// How long a victim's memory is expected back.
pub const EXPECTED_FOR: i64 = 10_000_000_000;
/// Most blocks of a policy: their numbers stand in records.
pub const MAX_BLOCKS: usize = 255;
/// Most samples of a policy.
pub const MAX_SAMPLES: usize = 64;

/// A window of the averages of a pressure file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the words of the file")]
pub enum Average {
    Avg10,
    Avg60,
    Avg300,
}

impl Average {
    /// All of them, in the order of the file.
    pub const ALL: [Self; 3] = [Self::Avg10, Self::Avg60, Self::Avg300];

    /// Its word in the file and in a policy.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Avg10 => "avg10",
            Self::Avg60 => "avg60",
            Self::Avg300 => "avg300",
        }
    }
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Of the limit, in parts per million.
    Share(i64),
    /// In bytes.
    Bytes(i64),
}

impl Amount {
    /// Whether so many bytes are more; `limit` is what a share is of.
    #[must_use]
    pub fn is_below(self, bytes: i64, limit: i64) -> bool {
        match self {
            Self::Bytes(most) => bytes > most,
            Self::Share(share) => i128::from(bytes) * 1_000_000 > i128::from(limit) * i128::from(share),
        }
    }

    fn told(self) -> String {
        match self {
            Self::Share(share) => amount::exact(Measure::Ratio, share),
            Self::Bytes(bytes) => amount::exact(Measure::Bytes, bytes),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Share(share) => format!("percent {share}"),
            Self::Bytes(bytes) => format!("bytes {bytes}"),
        }
    }
}

/// An event that is watched, of the attached cgroup, or of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// An average of `memory.pressure`.
    Pressure {
        /// `full`, not `some`.
        full: bool,
        /// Over which time.
        average: Average,
        /// More than so much, in parts per million.
        above: i64,
    },
    /// The kernel's own trigger.
    Stall {
        /// `full`, not `some`.
        full: bool,
        /// So many nanoseconds of stall.
        above: i64,
        /// In so many nanoseconds, one of [`WINDOWS`].
        per: i64,
    },
    /// Memory in use: `memory.current`.
    Usage(Amount),
    /// Swap in use: `memory.swap.current`.
    Swap(Amount),
    /// The cgroup met its `memory.high` or `memory.max`.
    Limit,
}

impl Event {
    /// What an engine says has woken it.
    #[must_use]
    pub fn trigger(self) -> Trigger {
        match self {
            Self::Pressure { .. } | Self::Stall { .. } => Trigger::Pressure,
            Self::Usage(_) => Trigger::Usage,
            Self::Swap(_) => Trigger::Swap,
            Self::Limit => Trigger::Limit,
        }
    }

    /// As in a policy: `pressure full avg10 > 60%`.
    #[must_use]
    pub fn told(self) -> String {
        let kind = |full: bool| if full { "full" } else { "some" };
        let time = |time| amount::exact(Measure::Duration, time);
        match self {
            Self::Pressure { full, average, above } => {
                let above = amount::exact(Measure::Ratio, above);
                format!("pressure {} {} > {above}", kind(full), average.word())
            }
            Self::Stall { full, above, per } => {
                format!("pressure {} above {} per {}", kind(full), time(above), time(per))
            }
            Self::Usage(amount) => format!("usage > {}", amount.told()),
            Self::Swap(amount) => format!("swap > {}", amount.told()),
            Self::Limit => "limit".to_owned(),
        }
    }

    fn text(self) -> String {
        let kind = |full: bool| if full { "full" } else { "some" };
        match self {
            Self::Pressure { full, average, above } => {
                format!("pressure {} {} {above}", kind(full), average.word())
            }
            Self::Stall { full, above, per } => format!("stall {} {above} {per}", kind(full)),
            Self::Usage(amount) => format!("usage {}", amount.text()),
            Self::Swap(amount) => format!("swap {}", amount.text()),
            Self::Limit => "limit".to_owned(),
        }
    }

    fn read(words: &[&str]) -> Option<Self> {
        let kind = |word: &str| match word {
            "full" => Some(true),
            "some" => Some(false),
            _ => None,
        };
        let amount = |word: &str, number: &str| {
            let number = number.parse().ok().filter(|number| *number >= 0)?;
            match word {
                "percent" => Some(Amount::Share(number)),
                "bytes" => Some(Amount::Bytes(number)),
                _ => None,
            }
        };
        Some(match words {
            ["pressure", full, average, above] => Self::Pressure {
                full: kind(full)?,
                average: Average::ALL.into_iter().find(|known| known.word() == *average)?,
                above: above.parse().ok().filter(|above| *above >= 0)?,
            },
            ["stall", full, above, per] => {
                let per = per.parse().ok().filter(|per| WINDOWS.contains(per))?;
                let above = above.parse().ok().filter(|above| (1..=per).contains(above))?;
                Self::Stall { full: kind(full)?, above, per }
            }
            ["usage", word, number] => Self::Usage(amount(word, number)?),
            ["swap", word, number] => Self::Swap(amount(word, number)?),
            ["limit"] => Self::Limit,
            _ => return None,
        })
    }
}

/// An `on` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// From 1, in the order written.
    pub number: u64,
    /// What is watched.
    pub event: Event,
    /// It has to hold for so many nanoseconds.
    pub lasting: i64,
    /// The block rests for so many nanoseconds after progress; none: [`COOLDOWN`] after a kill.
    pub cooldown: Option<i64>,
    /// Its rules among all of the policy's.
    pub rules: core::ops::Range<usize>,
}

impl Block {
    /// The value of its line.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { number, event, lasting, cooldown, rules } = self;
        let cooldown = cooldown.map_or_else(|| "-".to_owned(), |time| time.to_string());
        format!("{number} {} {} {lasting} {cooldown} {}", rules.start, rules.end, event.text())
    }

    /// From the value of its line.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [number, first, end, lasting, cooldown, event @ ..] = words.as_slice() else { return None };
        let time = |text: &str| text.parse().ok().filter(|time| *time >= 0);
        let (first, end) = (first.parse().ok()?, end.parse().ok()?);
        Some(Self {
            number: number.parse().ok().filter(|number| (1..=MAX_BLOCKS as u64).contains(number))?,
            event: Event::read(event)?,
            lasting: time(lasting)?,
            cooldown: match *cooldown {
                "-" => None,
                text => Some(time(text)?),
            },
            rules: (first <= end).then_some(first..end)?,
        })
    }

    /// As in a policy: `pressure full avg10 > 60% for 30s`.
    #[must_use]
    pub fn told(&self) -> String {
        match self.lasting {
            0 => self.event.told(),
            time => format!("{} for {}", self.event.told(), amount::exact(Measure::Duration, time)),
        }
    }
}

/// How a field that is looked at again and again becomes a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Course {
    /// Growth per second between the last two looks.
    Rate,
    /// Growth over so many nanoseconds.
    Growth(i64),
}

/// A number that only whoever looks again and again knows: it stands in the map [`crate::maps::SAMPLES`], under the id of
/// the cgroup or process and [`Sample::number`]. What does not stand there is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// From 0.
    pub number: u64,
    /// Of a cgroup, or of a process.
    pub owner: Owner,
    /// Name of the field.
    pub field: String,
    /// What is made of it.
    pub course: Course,
}

impl Sample {
    /// The value of its line.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { number, owner, field, course } = self;
        let owner = owner.name();
        match course {
            Course::Rate => format!("{number} {owner} {field} rate"),
            Course::Growth(window) => format!("{number} {owner} {field} growth {window}"),
        }
    }

    /// From the value of its line.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split(' ').collect();
        let [number, owner, field, course @ ..] = words.as_slice() else { return None };
        let owner = [Owner::Process, Owner::Cgroup].into_iter().find(|known| known.name() == *owner)?;
        let course = match course {
            ["rate"] => Course::Rate,
            ["growth", window] => Course::Growth(window.parse().ok().filter(|window| *window > 0)?),
            _ => return None,
        };
        let number = number.parse().ok().filter(|number| *number < MAX_SAMPLES as u64)?;
        Some(Self { number, owner, field: (*field).to_owned(), course })
    }
}

/// How many kills the blocks of a policy have. A kill is an action that killed, whomever it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// So many.
    pub kills: u64,
    /// In so many nanoseconds.
    pub per: i64,
}

impl Budget {
    /// The value of its line.
    #[must_use]
    pub fn text(self) -> String {
        format!("{} {}", self.kills, self.per)
    }

    /// From the value of its line.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (kills, per) = text.split_once(' ')?;
        Some(Self { kills: kills.parse().ok()?, per: per.parse().ok().filter(|per| *per > 0)? })
    }
}

/// Since when a block's event holds, and until when it rests. Times are nanoseconds of any one clock that does not run
/// back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    since: Option<i64>,
    rests_until: i64,
}

impl Clock {
    /// A look: whether the event holds now. Gives whether the block is due.
    pub fn look(&mut self, block: &Block, now: i64, holds: bool) -> bool {
        if !holds {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now.saturating_sub(since) >= block.lasting && now >= self.rests_until
    }

    /// When the block can be due at the earliest, if its event goes on: none, if it does not hold.
    #[must_use]
    pub fn due_at(&self, block: &Block) -> Option<i64> {
        Some(self.since?.saturating_add(block.lasting).max(self.rests_until))
    }

    /// The block was asked: what came of it.
    pub fn asked(&mut self, block: &Block, now: i64, progress: bool, killed: bool) {
        if progress {
            let rest = block.cooldown.unwrap_or(if killed { COOLDOWN } else { 0 });
            self.rests_until = now.saturating_add(rest);
        }
    }
}

/// What of a budget was spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purse {
    spent: VecDeque<i64>,
}

impl Purse {
    /// Kills that are left; none: there is no budget.
    pub fn left(&mut self, budget: Option<Budget>, now: i64) -> Option<u64> {
        let budget = budget?;
        while self.spent.front().is_some_and(|at| now.saturating_sub(*at) >= budget.per) {
            self.spent.pop_front();
        }
        Some(budget.kills.saturating_sub(self.spent.len() as u64))
    }

    /// A kill that made progress.
    pub fn spend(&mut self, now: i64) {
        self.spent.push_back(now);
    }
}

/// What was seen of one value, the oldest look first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    looks: VecDeque<(i64, i64)>,
}

/// Looks that are kept of one value: an hour of one a second.
const LOOKS: usize = 3_600;

impl History {
    /// A look: when, and what was there. A second one at the same time counts instead of the first.
    pub fn look(&mut self, now: i64, value: i64) {
        if self.looks.back().is_some_and(|(at, _)| *at == now) {
            self.looks.pop_back();
        }
        self.looks.push_back((now, value));
        while self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
    }

    /// Forgets what no growth over so many nanoseconds needs.
    pub fn forget_before(&mut self, window: i64) {
        let Some((now, _)) = self.looks.back().copied() else { return };
        // The last look that is old enough stays, and for a rate the one before the last.
        while self.looks.len() > 2
            && self.looks.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= window)
        {
            self.looks.pop_front();
        }
    }

    /// The number that is made of it: per second between the last two looks, or over the window, from the last look that
    /// is as old as that. None before there are two such looks.
    #[must_use]
    pub fn value(&self, course: Course) -> Option<i64> {
        let (now, value) = *self.looks.back()?;
        match course {
            Course::Rate => {
                let (at, before) = *self.looks.get(self.looks.len().checked_sub(2)?)?;
                let grown = i128::from(value) - i128::from(before);
                let per_second = (grown * 1_000_000_000).checked_div(i128::from(now) - i128::from(at))?;
                i64::try_from(per_second).ok()
            }
            Course::Growth(window) => {
                let is_old = |(at, _): &&(i64, i64)| now.saturating_sub(*at) >= window;
                let (_, before) = self.looks.iter().rev().find(is_old)?;
                Some(value.saturating_sub(*before))
            }
        }
    }
}

/// Whether an action of a record is a kill.
#[must_use]
pub fn is_kill(action: u64) -> bool {
    matches!(Action::from_code(action), Some(Action::KillProcess | Action::KillCgroup | Action::KillAll))
}

/// Whether so many bytes that came back are progress of a `reclaim` of so many: a tenth.
#[must_use]
pub fn reclaimed(wanted: i64, back: i64) -> bool {
    back > 0 && i128::from(back) * 10 >= i128::from(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn block(event: Event, lasting: i64, cooldown: Option<i64>) -> Block {
        Block { number: 3, event, lasting, cooldown, rules: 2..4 }
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let events = [
            Event::Pressure { full: true, average: Average::Avg10, above: 600_000 },
            Event::Stall { full: false, above: 150_000_000, per: SECOND },
            Event::Usage(Amount::Share(950_000)),
            Event::Swap(Amount::Bytes(1 << 30)),
            Event::Limit,
        ];
        for event in events {
            for cooldown in [None, Some(0), Some(15 * SECOND)] {
                let block = block(event, 30 * SECOND, cooldown);
                assert_eq!(Block::read(&block.text()), Some(block));
            }
        }
        let sample = Sample {
            number: 1,
            owner: Owner::Cgroup,
            field: "events.oom".to_owned(),
            course: Course::Growth(SECOND),
        };
        assert_eq!(Sample::read(&sample.text()), Some(sample));
        let budget = Budget { kills: 3, per: 600 * SECOND };
        assert_eq!(Budget::read(&budget.text()), Some(budget));
        let told: Vec<String> = events.into_iter().map(|event| block(event, 0, None).told()).collect();
        assert_eq!(
            told,
            [
                "pressure full avg10 > 60%",
                "pressure some above 150ms per 1s",
                "usage > 95%",
                "swap > 1GiB",
                "limit"
            ]
        );
    }

    #[test]
    fn lines_that_no_compiler_writes_are_not_read() {
        for odd in [
            "",
            "0 0 1 0 - limit",
            "1 2 1 0 - limit",
            "1 0 1 -1 - limit",
            "1 0 1 0 - stall full 2 20000000000",
            "1 0 1 0 - stall full 600000000 500000000",
            "1 0 1 0 - pressure most avg10 3",
            "1 0 1 0 - usage percent -3",
        ] {
            assert_eq!(Block::read(odd), None, "{odd}");
        }
        assert_eq!(Sample::read("64 cgroup pgscan rate"), None);
        assert_eq!(Sample::read("0 machine memory rate"), None);
        assert_eq!(Budget::read("3 0"), None);
    }

    #[test]
    fn a_block_is_due_when_its_event_has_held_and_it_does_not_rest() {
        let block = block(Event::Limit, 30 * SECOND, Some(15 * SECOND));
        let mut clock = Clock::default();
        assert!(!clock.look(&block, 0, true));
        assert!(!clock.look(&block, 20 * SECOND, false), "it did not hold at this look");
        assert!(!clock.look(&block, 40 * SECOND, true));
        assert_eq!(clock.due_at(&block), Some(70 * SECOND));
        assert!(clock.look(&block, 70 * SECOND, true));
        clock.asked(&block, 70 * SECOND, false, false);
        assert!(clock.look(&block, 71 * SECOND, true), "without progress it is asked at the next look");
        clock.asked(&block, 71 * SECOND, true, false);
        assert!(!clock.look(&block, 85 * SECOND, true));
        assert!(clock.look(&block, 86 * SECOND, true));
    }

    #[test]
    fn without_a_cooldown_a_block_rests_after_a_kill_alone() {
        let block = block(Event::Limit, 0, None);
        let mut clock = Clock::default();
        clock.asked(&block, 0, true, false);
        assert!(clock.look(&block, 0, true));
        clock.asked(&block, 0, true, true);
        assert!(!clock.look(&block, 14 * SECOND, true));
        assert!(clock.look(&block, 15 * SECOND, true));
    }

    #[test]
    fn a_budget_comes_back_with_time() {
        let budget = Some(Budget { kills: 2, per: 10 * SECOND });
        let mut purse = Purse::default();
        assert_eq!(purse.left(None, 0), None);
        purse.spend(0);
        purse.spend(4 * SECOND);
        assert_eq!(purse.left(budget, 5 * SECOND), Some(0));
        assert_eq!(purse.left(budget, 10 * SECOND), Some(1));
        assert_eq!(purse.left(budget, 14 * SECOND), Some(2));
    }

    #[test]
    fn a_rate_is_between_the_last_two_looks_and_growth_over_its_window() {
        let mut history = History::default();
        history.look(0, 100);
        assert_eq!((history.value(Course::Rate), history.value(Course::Growth(SECOND))), (None, None));
        history.look(2 * SECOND, 500);
        assert_eq!(history.value(Course::Rate), Some(200));
        assert_eq!(history.value(Course::Growth(3 * SECOND)), None, "nobody has looked for so long");
        history.look(4 * SECOND, 400);
        assert_eq!(
            (history.value(Course::Rate), history.value(Course::Growth(3 * SECOND))),
            (Some(-50), Some(300))
        );
        history.forget_before(2 * SECOND);
        assert_eq!((history.looks.len(), history.value(Course::Growth(2 * SECOND))), (2, Some(-100)));
    }

    #[test]
    fn shares_are_of_the_limit_and_a_tenth_is_progress() {
        assert!(Amount::Share(950_000).is_below(96, 100));
        assert!(!Amount::Share(950_000).is_below(95, 100));
        assert!(Amount::Bytes(5).is_below(6, i64::MAX));
        assert!(reclaimed(100, 10) && !reclaimed(100, 9) && !reclaimed(0, 0));
    }
}
