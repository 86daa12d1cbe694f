//! What user space and a policy say to each other on a kernel without the hook.
//!
//! There the policy is a program that is run from user space, decides, and says what is to be done; the engine does it.
//! Both speak through the one value of the map [`crate::maps::REQUEST`]: words of 8 bytes, little endian. The engine
//! writes the whole value ([`Question::bytes`]), runs the program, reads the whole value ([`Answer::read`]).
//! One definition for whoever writes and whoever reads; knows nothing of how a policy came to its decision.
//!
//! # A decision in steps
//!
//! A policy goes on after an action that made no progress, and a block goes on in any case. So a decision is a
//! conversation: the program runs up to the first action that only the engine can carry out, and says which
//! ([`Answer::node`]); the engine does it and asks again, with [`Question::after`], which says how it ended; until the
//! kind is [`Kind::End`]. What has been decided on the way (which branch of an `if`, how each action ended) is the
//! path: one byte for each action of the rule that the decision has come to. It travels with question and answer, so
//! nothing is taken up that the engine did not hand in.
//!
//! What is composed meanwhile and is no state of the decision (the record, what a `pick` chose) lies in the program's
//! own map, with the number of its decision beside it: a question that goes on with another decision than the last
//! one that was begun is answered by [`Kind::Stale`], and the engine begins anew.
//!
//! # What the engine has to do
//!
//! * Kill the victims of a request in their order. One that is gone, or is another process by now (its start time
//!   differs), is passed over; [`Victim::group`] is killed as a whole with it. The outcome is [`Outcome::Progress`]
//!   if anybody died; [`Outcome::Waited`] if nobody did because one has ended by itself since it was chosen, whose
//!   memory comes back; [`Outcome::Nothing`] otherwise, with the victims in [`Question::refused`]: then the program
//!   offers the next ones for the same action, until there is none.
//! * How much of a budget a step took, [`Question::is_a_kill`] says.
//! * After a [`Kind::KillAll`] of as many victims as an answer can hold, ask again with [`Outcome::More`].
//! * A cgroup may be removed before its decision is over. Where somebody was killed, the decision ends then as others do.
//! * Statistics lag: before a decision begins, read `memory.stat` of the domain, which brings them up to date, unless
//!   the kernel has the memory controller's functions ([`crate::target`]).
//! * Which block of rules is asked ([`Question::block`], [`crate::watch`]) and how many kills the budget still has
//!   ([`Question::kills_left`]) stand in each question of a decision; a kill that made progress takes one. While the
//!   memory of an earlier victim is expected back, [`Question::memory_expected`] is set: then kills without `now` make
//!   no progress. Both hold for blocks alone.
//! * Of a kill with a grace ([`Answer::grace`]), victims are told to end (SIGTERM) and have so much time; those that are
//!   there after it are killed. The decision goes on then, and other blocks are asked meanwhile.
//! * Of a [`Kind::Reclaim`], reclaim [`Answer::bytes`] from the domain; [`crate::watch::reclaimed`] says whether what came
//!   back is progress, and [`Done::result`] how much that was.
//! * Before a decision about a block begins, what the policy samples ([`crate::watch::Sample`]) is in the map.
//! * In audit mode nothing is asked for: the first answer is the last one.

use crate::record;

/// Most victims of one answer.
pub const MAX_VICTIMS: usize = 16;
/// Most that were refused, of one action: as many as are tried on the hook.
pub const MAX_REFUSED: usize = 32;
/// Actions of one rule that are told apart; what lies beyond cannot be done here.
pub const MAX_NODES: usize = 128;

/// Where each part of the value begins, in words.
pub mod at {
    use super::{MAX_NODES, MAX_REFUSED, MAX_VICTIMS};
    use crate::record::words;

    words! {
        /// Which decision, a number of the engine's own; not 0.
        EVENT: 1,
        /// Bits of [`super::GOES_ON`], [`super::SYSTEM`] and [`super::MEMORY_EXPECTED`].
        FLAGS: 1,
        /// Id of the cgroup that is about to run out of memory; the root's if it is the machine.
        DOMAIN: 1,
        /// Id of the cgroup that the policy is for.
        ATTACHED: 1,
        /// What woke the engine: a [`super::Trigger`] in the lowest byte, above it the number of the block that is
        /// asked; 0: the rules outside of blocks. It is part of the record as it stands.
        TRIGGER: 1,
        /// Kills that the budget has left; all ones: there is none.
        KILLS_LEFT: 1,
        /// Rule that the decision has come to; those before it are over. Both ways.
        RULE: 1,
        /// A byte for each action of that rule: a [`super::Outcome`]; of an `if`, which branch. Both ways.
        PATH: MAX_NODES as u32 / 8,
        /// The kernel's answer to what was done last: 0 or a negative errno; of a rise the new limit in bytes.
        RESULT: 1,
        /// Processes that died by it.
        KILLED: 1,
        /// How many were refused.
        REFUSED: 1,
        /// Who: process id or cgroup id, and start time.
        FIRST_REFUSED: MAX_REFUSED as u32 * 2,
        /// What is to be done: a [`super::Kind`]. From here on the program writes.
        KIND: 1,
        /// Which action of the rule that is, from 1.
        NODE: 1,
        /// Of a rise the new limit in bytes; of a reclaim, how many.
        BYTES: 1,
        /// Of a kill, how long its victims have to end by themselves, in nanoseconds; 0: no time.
        GRACE: 1,
        /// Of an end: 1 if anything made progress.
        ANSWER: 1,
        /// How many victims there are.
        VICTIMS: 1,
        /// The victims, in the order in which they are to die.
        FIRST_VICTIM: MAX_VICTIMS as u32 * super::victim::WORDS,
    }
}

/// Where each part of a victim begins, in words. There is room for as many words as make a power of two.
pub mod victim {
    use crate::record::words;

    words! {
        /// Process id in the initial namespace, or cgroup id.
        ID: 1,
        /// When the process was started, by the boot clock, in nanoseconds; 0 of a cgroup.
        START: 1,
        /// Id of the cgroup that the process is in, or of the cgroup itself.
        CGROUP: 1,
        /// Id of the cgroup that dies with the process or cgroup because of `memory.oom.group`; 0: none. Of several
        /// victims no two have the same.
        GROUP: 1,
        /// Bytes that its death is expected to free.
        EXPECTED: 1,
        /// The thread of the process that was found on its way out, when it is to be waited for.
        THREAD: 1,
        /// Nothing yet.
        UNUSED: 2,
    }
}

/// Bytes of the value.
pub const BYTES: u32 = at::WORDS * 8;
/// In [`at::FLAGS`]: the decision was begun before; its record is added to.
pub const GOES_ON: u64 = 1;
/// In [`at::FLAGS`]: the memory of an earlier victim is expected back.
pub const MEMORY_EXPECTED: u64 = 8;
/// [`Done::result`] of a kill whose victims had ended by themselves: `-ESRCH` (`include/uapi/asm-generic/errno-base.h`).
pub const ENDED: i64 = -3;
/// In [`at::FLAGS`]: the machine is short of memory, not a cgroup. The same bit as in a record.
pub const SYSTEM: u64 = record::SYSTEM;

record::codes! {
    /// What woke the engine.
    Trigger {
        Limit = 0, "the cgroup is about to run out";
        Pressure = 1, "tasks wait for memory";
        Usage = 2, "so much is used";
        Swap = 3, "so much is swapped out";
        Oom = 4, "memory has run out";
    }
}

/// Words of [`Trigger`]s in the language, by their codes.
pub const TRIGGERS: [&str; 5] = ["limit", "pressure", "usage", "swap", "oom"];

record::codes! {
    /// How an action ended; which branch an `if` took.
    Outcome {
        Open = 0, "not tried";
        Progress = 1, "made progress";
        Nothing = 2, "made no progress";
        More = 3, "made progress, and there may be more";
        Waited = 4, "waited for a victim that is on its way out, or found it gone";
    }
}

record::codes! {
    /// What a program asks for.
    Kind {
        End = 0, "the decision is over";
        KillProcess = 1, "kill processes";
        KillCgroup = 2, "kill cgroups";
        KillAll = 3, "kill all that a selection finds";
        RaiseLimit = 4, "raise the limit";
        Wait = 5, "hurry a victim that is on its way out";
        Stale = 6, "another decision was begun in between";
        Gone = 7, "the cgroup is gone";
        Reclaim = 8, "reclaim memory";
    }
}

/// A step of a decision: what the engine asks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the parts are those of `at`")]
pub struct Question {
    pub event: u64,
    pub goes_on: bool,
    pub system: bool,
    pub domain: u64,
    pub attached: u64,
    pub trigger: Trigger,
    /// From 1; 0: the rules outside of blocks.
    pub block: u64,
    /// None: there is no budget.
    pub kills_left: Option<u64>,
    /// Of an earlier victim.
    pub memory_expected: bool,
    pub rule: u64,
    pub path: [u8; MAX_NODES],
    pub result: i64,
    pub killed: u64,
    /// Id and start time.
    pub refused: Vec<(u64, u64)>,
}

impl Question {
    /// The first step of a decision.
    #[must_use]
    pub fn begin(event: u64, domain: u64, attached: u64, system: bool, trigger: Trigger) -> Self {
        Self {
            event,
            goes_on: false,
            system,
            domain,
            attached,
            trigger,
            block: 0,
            kills_left: None,
            memory_expected: false,
            rule: 0,
            path: [0; MAX_NODES],
            result: 0,
            killed: 0,
            refused: Vec::new(),
        }
    }

    /// The same about a block of rules.
    #[must_use]
    pub fn of_block(self, block: u64) -> Self {
        Self { block, ..self }
    }

    /// The step after an answer: the same decision, of which one action more has ended. Those that were refused for
    /// the action stay so, whether it goes on with others or not.
    #[must_use]
    pub fn after(&self, answer: &Answer, done: &Done) -> Self {
        let mut next = Self {
            goes_on: true,
            rule: answer.rule,
            path: answer.path,
            result: done.result,
            killed: done.killed,
            ..self.clone()
        };
        if self.is_a_kill(answer, done) {
            next.kills_left = self.kills_left.map(|left| left.saturating_sub(1));
        }
        next.refused.clear();
        let open = done.outcome == Outcome::Nothing && !done.refused.is_empty();
        if open || done.outcome == Outcome::More {
            next.refused.extend(self.refused.iter().filter(|_| self.same_action(answer)));
            next.refused.extend(&done.refused);
        }
        // Who has refused often enough is asked no more.
        let exhausted = next.refused.len() > MAX_REFUSED;
        next.refused.truncate(MAX_REFUSED);
        let outcome = match done.outcome {
            _ if open && !exhausted => Outcome::Open,
            // A kill may have waited instead: nobody was killed then.
            Outcome::Progress if answer.kind == Kind::Wait => Outcome::Waited,
            outcome => outcome,
        };
        if let Some(slot) = next.path.get_mut(answer.node as usize) {
            *slot = outcome.code();
        }
        next
    }

    /// Whether what was done is a kill that takes from a budget: of all that a selection finds, the first part.
    #[must_use]
    pub fn is_a_kill(&self, answer: &Answer, done: &Done) -> bool {
        let kills = matches!(answer.kind, Kind::KillProcess | Kind::KillCgroup | Kind::KillAll);
        let goes_on = answer.path.get(answer.node as usize) == Some(&Outcome::More.code());
        kills && !goes_on && matches!(done.outcome, Outcome::Progress | Outcome::More)
    }

    /// Whether the answer is about an action that was open when it was asked.
    fn same_action(&self, answer: &Answer) -> bool {
        self.rule == answer.rule
    }

    /// The whole value, as the program finds it.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut words = vec![0; at::WORDS as usize];
        let mut put = |at: u32, value: u64| {
            if let Some(word) = words.get_mut(at as usize) {
                *word = value;
            }
        };
        let flag = |set: bool, bit: u64| if set { bit } else { 0 };
        put(at::EVENT, self.event);
        let flags = flag(self.goes_on, GOES_ON) | flag(self.system, SYSTEM);
        put(at::FLAGS, flags | flag(self.memory_expected, MEMORY_EXPECTED));
        put(at::DOMAIN, self.domain);
        put(at::ATTACHED, self.attached);
        put(at::TRIGGER, u64::from(self.trigger.code()) | self.block << 8);
        put(at::KILLS_LEFT, self.kills_left.unwrap_or(u64::MAX));
        put(at::RULE, self.rule);
        for (word, bytes) in (at::PATH..).zip(self.path.as_chunks::<8>().0) {
            put(word, u64::from_le_bytes(*bytes));
        }
        put(at::RESULT, self.result.cast_unsigned());
        put(at::KILLED, self.killed);
        put(at::REFUSED, self.refused.len().min(MAX_REFUSED) as u64);
        for (number, (id, start)) in (0..).zip(self.refused.iter().take(MAX_REFUSED)) {
            put(at::FIRST_REFUSED + 2 * number, *id);
            put(at::FIRST_REFUSED + 2 * number + 1, *start);
        }
        words.into_iter().flat_map(u64::to_le_bytes).collect()
    }
}

/// How an action ended that the engine carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// [`Outcome::Progress`], [`Outcome::Nothing`], of a kill also [`Outcome::Waited`], of a [`Kind::KillAll`] also
    /// [`Outcome::More`].
    pub outcome: Outcome,
    /// 0 or a negative errno; of a rise the new limit in bytes, of a reclaim the bytes that came back.
    pub result: i64,
    /// Processes that died.
    pub killed: u64,
    /// Victims that could not be killed: id and start time.
    pub refused: Vec<(u64, u64)>,
}

/// What a program answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the parts are those of `at`")]
pub struct Answer {
    pub kind: Kind,
    pub rule: u64,
    pub path: [u8; MAX_NODES],
    pub node: u64,
    pub bytes: u64,
    /// How long the victims of a kill have to end by themselves, in nanoseconds.
    pub grace: u64,
    /// Of an end: whether anything made progress.
    pub progress: bool,
    pub victims: Vec<Victim>,
}

/// Who is to die, or to be waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the parts are those of `victim`")]
pub struct Victim {
    pub id: u64,
    pub start: u64,
    pub cgroup: u64,
    pub group: u64,
    pub expected: i64,
    pub thread: u64,
}

impl Answer {
    /// How a kill ended that has killed so many. Where an answer to all of a selection is full, there may be more of them.
    #[must_use]
    pub fn outcome_of(&self, killed: u64) -> Outcome {
        let full = self.kind == Kind::KillAll && self.victims.len() == MAX_VICTIMS;
        match (killed > 0, full) {
            (true, true) => Outcome::More,
            (true, false) => Outcome::Progress,
            (false, _) => Outcome::Nothing,
        }
    }

    /// Reads the value after a run; none if the bytes are no whole one, or no program has written them.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u64> = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        if words.len() < at::WORDS as usize {
            return None;
        }
        let word = |at: u32| words.get(at as usize).copied().unwrap_or_default();
        let path = bytes.get(at::PATH as usize * 8..)?.first_chunk::<MAX_NODES>()?;
        let victim = |number: u32| {
            let start = at::FIRST_VICTIM + number * victim::WORDS;
            Victim {
                id: word(start + victim::ID),
                start: word(start + victim::START),
                cgroup: word(start + victim::CGROUP),
                group: word(start + victim::GROUP),
                expected: word(start + victim::EXPECTED).cast_signed(),
                thread: word(start + victim::THREAD),
            }
        };
        let victims = word(at::VICTIMS).min(MAX_VICTIMS as u64) as u32;
        Some(Self {
            kind: Kind::from_code(word(at::KIND))?,
            rule: word(at::RULE),
            path: *path,
            node: word(at::NODE),
            bytes: word(at::BYTES),
            grace: word(at::GRACE),
            progress: word(at::ANSWER) != 0,
            victims: (0..victims).map(victim).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(node: u64, victims: Vec<Victim>) -> Answer {
        let mut path = [0; MAX_NODES];
        path[1] = Outcome::Progress.code();
        Answer { kind: Kind::KillProcess, rule: 2, path, node, bytes: 0, grace: 0, progress: false, victims }
    }

    #[test]
    fn a_victim_has_a_power_of_two_of_words() {
        assert_eq!(victim::WORDS, 8);
        assert!(MAX_NODES.is_multiple_of(8));
    }

    #[test]
    fn what_is_asked_stands_where_the_program_looks() {
        let mut question = Question::begin(7, 40, 30, true, Trigger::Pressure).of_block(2);
        question.path[9] = 2;
        question.refused = vec![(812, 5)];
        let bytes = question.bytes();
        let word = |at: u32| u64::from_le_bytes(bytes[at as usize * 8..][..8].try_into().unwrap());
        assert_eq!(bytes.len(), BYTES as usize);
        assert_eq!((word(at::EVENT), word(at::FLAGS), word(at::DOMAIN)), (7, SYSTEM, 40));
        assert_eq!((word(at::ATTACHED), word(at::TRIGGER)), (30, 0x201));
        assert_eq!(word(at::KILLS_LEFT), u64::MAX, "no budget");
        assert_eq!(word(at::PATH + 1), 2 << 8, "the tenth action");
        assert_eq!((word(at::REFUSED), word(at::FIRST_REFUSED), word(at::FIRST_REFUSED + 1)), (1, 812, 5));
    }

    #[test]
    fn an_action_that_was_done_is_closed() {
        let question = Question::begin(7, 40, 30, false, Trigger::Limit);
        let done = Done { outcome: Outcome::Progress, result: 0, killed: 1, refused: Vec::new() };
        let next = question.after(&answer(3, Vec::new()), &done);
        assert!(next.goes_on);
        assert_eq!((next.rule, next.path[1], next.path[3], next.killed), (2, 1, 1, 1));
    }

    #[test]
    fn a_kill_that_made_progress_takes_from_the_budget() {
        let question = Question { kills_left: Some(2), ..Question::begin(7, 40, 30, false, Trigger::Usage) };
        let mut done = Done { outcome: Outcome::Progress, result: 0, killed: 9, refused: Vec::new() };
        let next = question.after(&answer(3, Vec::new()), &done);
        assert_eq!(next.kills_left, Some(1));
        done.outcome = Outcome::Nothing;
        assert_eq!(next.after(&answer(4, Vec::new()), &done).kills_left, Some(1));
        let reclaim = Answer { kind: Kind::Reclaim, ..answer(4, Vec::new()) };
        done.outcome = Outcome::Progress;
        assert_eq!(next.after(&reclaim, &done).kills_left, Some(1));
    }

    #[test]
    fn a_kill_that_waited_has_killed_nobody() {
        let question = Question { kills_left: Some(2), ..Question::begin(7, 40, 30, false, Trigger::Usage) };
        let done = Done { outcome: Outcome::Progress, result: 0, killed: 0, refused: Vec::new() };
        let next = question.after(&Answer { kind: Kind::Wait, ..answer(3, Vec::new()) }, &done);
        assert_eq!((next.path[3], next.kills_left), (Outcome::Waited.code(), Some(2)));
    }

    #[test]
    fn all_that_a_selection_finds_are_one_kill() {
        let question = Question { kills_left: Some(2), ..Question::begin(7, 40, 30, false, Trigger::Usage) };
        let more = Done { outcome: Outcome::More, result: 0, killed: 16, refused: Vec::new() };
        let all = Answer { kind: Kind::KillAll, ..answer(3, Vec::new()) };
        let next = question.after(&all, &more);
        assert_eq!((next.kills_left, next.path[3]), (Some(1), Outcome::More.code()));
        let again = Answer { path: next.path, ..all };
        let rest = Done { outcome: Outcome::Progress, killed: 3, ..more };
        assert_eq!(next.after(&again, &rest).kills_left, Some(1));
    }

    #[test]
    fn triggers_have_words() {
        assert_eq!(TRIGGERS[usize::from(Trigger::Oom.code())], "oom");
        assert_eq!(TRIGGERS[usize::from(Trigger::Swap.code())], "swap");
        assert_eq!(Trigger::from_code(TRIGGERS.len() as u64), None);
    }

    #[test]
    fn an_action_whose_victims_were_refused_goes_on_with_others() {
        let question = Question { rule: 2, ..Question::begin(7, 40, 30, false, Trigger::Limit) };
        let done = Done { outcome: Outcome::Nothing, result: -3, killed: 0, refused: vec![(812, 5)] };
        let next = question.after(&answer(3, Vec::new()), &done);
        assert_eq!((next.path[3], &next.refused[..]), (0, &[(812, 5)][..]));
        let again = Done { refused: vec![(813, 6)], ..done };
        let next = next.after(&answer(3, Vec::new()), &again);
        assert_eq!(next.refused, [(812, 5), (813, 6)]);
        let none = Done { refused: Vec::new(), ..again };
        let next = next.after(&answer(3, Vec::new()), &none);
        assert_eq!((next.path[3], next.refused.len()), (Outcome::Nothing.code(), 0));
    }

    #[test]
    fn nobody_is_asked_for_ever() {
        let mut question = Question { rule: 2, ..Question::begin(7, 40, 30, false, Trigger::Limit) };
        for pid in 0..=MAX_REFUSED as u64 {
            let done = Done { outcome: Outcome::Nothing, result: -3, killed: 0, refused: vec![(pid, 1)] };
            question = question.after(&answer(3, Vec::new()), &done);
        }
        assert_eq!(question.path[3], Outcome::Nothing.code());
    }

    #[test]
    fn what_is_answered_is_read() {
        let mut bytes = vec![0; BYTES as usize];
        let mut put = |at: u32, value: u64| {
            bytes[at as usize * 8..][..8].copy_from_slice(&value.to_le_bytes());
        };
        put(at::KIND, u64::from(Kind::KillProcess.code()));
        put(at::NODE, 3);
        put(at::VICTIMS, 2);
        put(at::FIRST_VICTIM + victim::WORDS + victim::ID, 812);
        put(at::FIRST_VICTIM + victim::WORDS + victim::GROUP, 44);
        let read = Answer::read(&bytes).expect("a whole answer");
        assert_eq!((read.kind, read.node, read.victims.len()), (Kind::KillProcess, 3, 2));
        assert_eq!((read.victims[1].id, read.victims[1].group), (812, 44));
        bytes[at::KIND as usize * 8] = 99;
        assert_eq!(Answer::read(&bytes), None, "no program writes this");
        assert_eq!(Answer::read(&bytes[8..]), None, "cut off");
    }
}
