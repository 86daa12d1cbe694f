//! The record of a decision: what a policy writes down about each event, and how a reader finds it again.
//!
//! One definition for whoever writes (generated code) and whoever reads (loader, simulator, tests). A record is a
//! fixed number of 8-byte words, little endian. The last [`KEPT`] records lie in an array map, each in the slot
//! of its number modulo [`KEPT`]; new ones go through a ring buffer, too. Equal decisions in a row are one record
//! with a count. Knows nothing of how a policy came to its decision.
//!
//! Records outlive the oomc that compiled their policy. The format in which a policy writes stands in its metadata
//! ([`FORMAT_KEY`]); what is new in a format stands behind what was there before, and before the closing number.

use crate::shown::text_of_bytes;

/// The format in which policies write from now on.
pub const FORMAT: u32 = 1;
/// The formats that are read, each with its words. A row never changes; a new part of a record is a new row.
const FORMATS: &[(u32, u32)] = &[(1, 168)];
/// The key in a policy's metadata that tells the format of its records. Policies without it write the first.
pub const FORMAT_KEY: &str = "record";

/// Records that are kept for a reader who comes later.
pub const KEPT: u32 = 64;
/// Bytes of the ring buffer: a power of two, and whole pages.
pub const RING_BYTES: u32 = 256 << 10;
/// Rules whose ends are told, from the first one.
pub const MAX_RULES: usize = 256;
/// Candidates that are told, the best first.
pub const MAX_CANDIDATES: usize = 5;
/// Keys of a candidate that are told, the first one first.
pub const MAX_KEYS: usize = 8;
/// Values of a message.
pub const MAX_VALUES: usize = 4;
/// Bytes of a name, the NUL included; a longer name is cut.
pub const NAME_BYTES: usize = 32;
/// Words of a name, and of a message's value.
pub const NAME_WORDS: u32 = NAME_BYTES as u32 / 8;

/// Names for places in words, one after the other.
macro_rules! words {
    ($( $(#[doc = $doc:literal])* $name:ident: $count:expr, )*) => {
        words!(@place 0; $( $(#[doc = $doc])* $name: $count, )*);
    };
    (@place $at:expr; $(#[doc = $doc:literal])* $name:ident: $count:expr, $($rest:tt)*) => {
        $(#[doc = $doc])*
        pub const $name: u32 = $at;
        words!(@place $name + $count; $($rest)*);
    };
    (@place $at:expr;) => {
        /// How many words there are.
        pub const WORDS: u32 = $at;
    };
}

/// Where each part of a record begins, in words.
pub mod at {
    use super::{MAX_CANDIDATES, MAX_RULES, MAX_VALUES, NAME_WORDS};

    words! {
        /// The record's number, from 1. Written again at the end: a reader who finds two numbers tries again.
        NUMBER: 1,
        /// The first of the equal decisions, by the boot clock, in nanoseconds.
        FIRST: 1,
        /// The last one.
        LAST: 1,
        /// How many there were.
        COUNT: 1,
        /// Id of the cgroup that the policy is attached to.
        ATTACHED: 1,
        /// Who allocated: process id in the upper, thread id in the lower half. Of a decision that user space asked
        /// for: no process, and what woke it, a [`crate::request::Trigger`] in the lowest byte, above it the block's number.
        TRIGGER: 1,
        /// Its command name, 16 bytes.
        TRIGGER_COMM: 2,
        /// Bits of [`super::AUDIT`], [`super::SYSTEM`] and [`super::ASKED`]. The words from here to the failed walks are those in which
        /// equal decisions agree: the same was done about the same cgroup for the same reason.
        FLAGS: 1,
        /// Id of the cgroup whose limit was hit.
        DOMAIN: 1,
        /// What the policy answered: 1 for progress.
        ANSWER: 1,
        /// What was done in the end: an [`super::Action`].
        ACTION: 1,
        /// By which rule, from 0.
        RULE: 1,
        /// The kernel's answer to it, 0 or a negative errno; of a rise the new limit in bytes.
        RESULT: 1,
        /// Process id or cgroup id of the (first) victim.
        VICTIM: 1,
        /// The reason of the kill, as a number from 1 into the policy's messages; 0: none.
        REASON: 1,
        /// The last `notify`, in the same way.
        NOTICE: 1,
        /// Walks that could not start: what depends on them was missing.
        FAILED_WALKS: 1,
        /// The victim's name.
        VICTIM_NAME: NAME_WORDS,
        /// Processes that were killed, as far as the policy did it itself; in audit mode, that it would have killed.
        KILLED: 1,
        /// Bytes that the victims were expected to free; of a rise, by how much.
        EXPECTED: 1,
        /// Cgroups or candidates beyond a bound of the policy's own.
        BEYOND: 1,
        /// Processes directly in inner cgroups, which belong to no kill unit.
        INNER: 1,
        /// Which of the policy's kills the candidates are of, as a number from 1; 0: none was asked.
        SELECTION: 1,
        /// How many candidates there are.
        CANDIDATES: 1,
        /// One byte for each rule: an [`super::End`]. The words from the flags to here are 0 when a decision begins;
        /// those behind count only as far as the numbers above say so.
        ENDS: MAX_RULES as u32 / 8,
        /// The values of the reason: a number in the first word, or a name.
        REASON_VALUES: MAX_VALUES as u32 * NAME_WORDS,
        /// Those of the last `notify`.
        NOTICE_VALUES: MAX_VALUES as u32 * NAME_WORDS,
        /// The best candidates of the last selection.
        FIRST_CANDIDATE: MAX_CANDIDATES as u32 * super::candidate::WORDS,
        /// The record's number.
        NUMBER_AGAIN: 1,
    }
}

/// Where each part of a candidate begins, in words.
pub mod candidate {
    use super::{MAX_KEYS, NAME_WORDS};

    words! {
        /// Process id or cgroup id.
        ID: 1,
        /// Its name.
        NAME: NAME_WORDS,
        /// 0 preferred, 1 normal, 2 avoided.
        CLASS: 1,
        /// A bit for each key whose value was missing.
        MISSING: 1,
        /// The keys' values, in the order of comparison.
        KEYS: MAX_KEYS as u32,
    }
}

/// Words in which equal decisions agree, from [`at::FLAGS`] on.
pub const SAME_WORDS: u32 = at::FAILED_WALKS + 1 - at::FLAGS;

/// Bytes of a record.
pub const BYTES: u32 = at::WORDS * 8;
/// In [`at::FLAGS`]: nothing was done, only written down.
pub const AUDIT: u64 = 1;
/// In [`at::FLAGS`]: the whole machine was short of memory.
pub const SYSTEM: u64 = 2;
/// In [`at::FLAGS`]: user space asked before memory had run out, and did what was decided.
pub const ASKED: u64 = 4;

pub(crate) use words;

macro_rules! codes {
    ($(#[doc = $doc:literal])* $name:ident { $( $variant:ident = $code:literal, $text:literal; )* }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name {
            $( #[doc = $text] $variant = $code, )*
        }

        impl $name {
            /// From its number.
            #[must_use]
            pub fn from_code(code: u64) -> Option<Self> {
                match code {
                    $( $code => Some(Self::$variant), )*
                    _ => None,
                }
            }

            /// Its number in a record.
            #[must_use]
            pub fn code(self) -> u8 {
                self as u8
            }

            /// In a sentence.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $( Self::$variant => $text, )*
                }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(self.text())
            }
        }
    };
}

pub(crate) use codes;

codes! {
    /// What a policy did in the end.
    Action {
        None = 0, "did nothing";
        KillProcess = 1, "killed a process";
        KillCgroup = 2, "killed a cgroup";
        KillAll = 3, "killed all that a selection found";
        RaiseLimit = 4, "raised the limit";
        Wait = 5, "waits for a victim that is on its way out";
        Defer = 6, "deferred";
        Reclaim = 7, "reclaimed memory";
    }
}

codes! {
    /// How a rule ended.
    End {
        NotReached = 0, "not reached";
        Progress = 1, "made progress";
        NotTrue = 2, "its condition was not true";
        NoCandidate = 3, "nobody to kill";
        Refused = 4, "the kernel refused";
        NoRoom = 5, "the limit cannot rise";
        NoVictim = 6, "no victim is on its way out";
        Deferred = 7, "deferred";
        NothingPicked = 8, "its pick chose nothing";
        Unavailable = 9, "the kernel lacks a function for it";
        Missing = 10, "a value was missing";
        Quiet = 11, "only counted or notified";
        OverBudget = 12, "the budget of kills is used up";
        Expected = 13, "memory of an earlier victim is expected back";
        TooLittle = 14, "too little memory came back";
    }
}

/// A record, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the parts are those of `at`")]
pub struct Record {
    pub number: u64,
    pub first: u64,
    pub last: u64,
    pub count: u64,
    pub audit: bool,
    pub system: bool,
    /// User space asked, before memory had run out.
    pub asked: bool,
    pub domain: u64,
    pub attached: u64,
    pub trigger_pid: u32,
    pub trigger_tid: u32,
    pub trigger_comm: String,
    pub answer: u64,
    pub action: u64,
    /// None: no rule acted.
    pub rule: Option<u64>,
    pub result: i64,
    pub victim: u64,
    pub victim_name: String,
    pub killed: u64,
    pub expected: i64,
    pub failed_walks: u64,
    pub beyond: u64,
    pub inner: u64,
    /// None: no reason.
    pub reason: Option<Message>,
    pub notice: Option<Message>,
    /// One code for each of the first rules.
    pub ends: Vec<u8>,
    /// Which of the policy's kills the candidates are of, from 0.
    pub selection: Option<u64>,
    pub candidates: Vec<Candidate>,
}

/// A message with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Which of the policy's messages, from 0.
    pub index: u64,
    /// In the order of the text.
    pub values: Vec<Value>,
}

/// A value of a message: the same bytes as a number and as a name; which of the two, the policy tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// None: missing, or it is a name.
    pub number: Option<i64>,
    /// Empty: missing, or it is a number.
    pub name: String,
}

/// A candidate with its keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    /// Process id or cgroup id.
    pub id: u64,
    /// Command name, or the last component of the path.
    pub name: String,
    /// 0 preferred, 1 normal, 2 avoided.
    pub class: u64,
    /// In the order of comparison; none: missing.
    pub keys: Vec<Option<i64>>,
}

/// A format of records that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    words: u32,
}

impl Format {
    /// What a policy's metadata says; the first format where it says nothing.
    ///
    /// # Errors
    /// A sentence, if it is none that is read here.
    pub fn named(text: &str) -> Result<Self, String> {
        let number = if text.is_empty() { Some(1) } else { text.parse().ok() };
        let row = FORMATS.iter().find(|(format, _)| number == Some(*format));
        row.map(|(_, words)| Self { words: *words }).ok_or_else(|| {
            format!(
                "its records have format `{}`, this oomc reads formats up to {FORMAT}: ask a newer oomc",
                crate::shown::shown(text)
            )
        })
    }

    /// Bytes of a record.
    #[must_use]
    pub fn bytes(self) -> usize {
        self.words as usize * 8
    }

    /// Reads a record that was written in this format; what it did not tell yet is 0.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Option<Record> {
        let (parts, number) = bytes.get(..self.bytes())?.split_last_chunk::<8>()?;
        let mut whole = parts.to_vec();
        whole.resize(at::NUMBER_AGAIN as usize * 8, 0);
        whole.extend(number);
        Record::read(&whole)
    }
}

impl Record {
    /// What woke whoever asked; none: the kernel asked, because memory had run out.
    #[must_use]
    pub fn woken_by(&self) -> Option<crate::request::Trigger> {
        let code = u64::from(self.trigger_tid & 0xff);
        crate::request::Trigger::from_code(code).filter(|_| self.asked)
    }

    /// The block that was asked, from 1; 0: the rules outside of blocks.
    #[must_use]
    pub fn block(&self) -> u64 {
        if self.asked { u64::from(self.trigger_tid >> 8) } else { 0 }
    }

    /// Reads a record of the newest format; none if the bytes are no whole one, or while it is being written.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| word.try_into().map(u64::from_le_bytes).unwrap_or_default())
            .collect();
        if words.len() < at::WORDS as usize {
            return None;
        }
        let word = |at: u32| words.get(at as usize).copied().unwrap_or_default();
        let number = word(at::NUMBER);
        if number == 0 || number != word(at::NUMBER_AGAIN) {
            return None;
        }
        let name = |at: u32, len: usize| {
            let bytes = bytes.get(at as usize * 8..).unwrap_or_default();
            let bytes = bytes.get(..len).unwrap_or_default();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            // Whatever a process calls itself: two names that differ stay different.
            text_of_bytes(bytes.get(..end).unwrap_or_default())
        };
        let message = |index: u32, values: u32| {
            let index = word(index).checked_sub(1)?;
            let values = (0..MAX_VALUES as u32).map(|value| values + value * NAME_WORDS);
            let value = |at| Value {
                number: (word(at + 1) == 1).then(|| word(at).cast_signed()),
                name: name(at, NAME_BYTES),
            };
            Some(Message { index, values: values.map(value).collect() })
        };
        let flags = word(at::FLAGS);
        let ends = bytes.get(at::ENDS as usize * 8..).unwrap_or_default();
        let candidates = word(at::CANDIDATES).min(MAX_CANDIDATES as u64) as u32;
        let candidate = |at: u32| Candidate {
            id: word(at + candidate::ID),
            name: name(at + candidate::NAME, NAME_BYTES),
            class: word(at + candidate::CLASS),
            keys: (0..MAX_KEYS as u32)
                .map(|key| {
                    let missing = word(at + candidate::MISSING) >> key & 1 == 1;
                    (!missing).then(|| word(at + candidate::KEYS + key).cast_signed())
                })
                .collect(),
        };
        Some(Self {
            number,
            first: word(at::FIRST),
            last: word(at::LAST),
            count: word(at::COUNT),
            audit: flags & AUDIT != 0,
            system: flags & SYSTEM != 0,
            asked: flags & ASKED != 0,
            domain: word(at::DOMAIN),
            attached: word(at::ATTACHED),
            trigger_pid: (word(at::TRIGGER) >> 32) as u32,
            trigger_tid: word(at::TRIGGER) as u32,
            trigger_comm: name(at::TRIGGER_COMM, 16),
            answer: word(at::ANSWER),
            action: word(at::ACTION),
            rule: Some(word(at::RULE)).filter(|rule| *rule != u64::MAX),
            result: word(at::RESULT).cast_signed(),
            victim: word(at::VICTIM),
            victim_name: name(at::VICTIM_NAME, NAME_BYTES),
            killed: word(at::KILLED),
            expected: word(at::EXPECTED).cast_signed(),
            failed_walks: word(at::FAILED_WALKS),
            beyond: word(at::BEYOND),
            inner: word(at::INNER),
            reason: message(at::REASON, at::REASON_VALUES),
            notice: message(at::NOTICE, at::NOTICE_VALUES),
            ends: ends.get(..MAX_RULES).unwrap_or_default().to_vec(),
            selection: word(at::SELECTION).checked_sub(1),
            candidates: (0..candidates)
                .map(|index| candidate(at::FIRST_CANDIDATE + index * candidate::WORDS))
                .collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bytes: &mut [u8], at: u32, value: u64) {
        bytes[at as usize * 8..][..8].copy_from_slice(&value.to_le_bytes());
    }

    #[test]
    fn what_is_written_is_read() {
        let mut bytes = vec![0; BYTES as usize];
        assert_eq!(Record::read(&bytes), None, "a slot that nobody has written");
        put(&mut bytes, at::NUMBER, 7);
        assert_eq!(Record::read(&bytes), None, "a record that is being written");
        put(&mut bytes, at::NUMBER_AGAIN, 7);
        put(&mut bytes, at::FLAGS, AUDIT);
        put(&mut bytes, at::RULE, u64::MAX);
        put(&mut bytes, at::TRIGGER, 812 << 32 | 813);
        put(&mut bytes, at::REASON, 2);
        put(&mut bytes, at::CANDIDATES, 1);
        put(&mut bytes, at::FIRST_CANDIDATE + candidate::MISSING, 0b10);
        put(&mut bytes, at::FIRST_CANDIDATE + candidate::KEYS, 5);
        bytes[at::ENDS as usize * 8 + 1] = End::NoRoom.code();
        bytes[at::TRIGGER_COMM as usize * 8..][..4].copy_from_slice(b"sshd");
        let record = Record::read(&bytes).expect("a whole record");
        assert_eq!((record.number, record.audit, record.system, record.rule), (7, true, false, None));
        assert_eq!(
            (record.trigger_pid, record.trigger_tid, record.trigger_comm.as_str()),
            (812, 813, "sshd")
        );
        assert_eq!(record.reason.map(|reason| reason.index), Some(1));
        assert_eq!(record.ends.get(1), Some(&5));
        assert_eq!(record.candidates.len(), 1);
        assert_eq!(record.candidates[0].keys[..2], [Some(5), None]);
        assert_eq!(Record::read(&bytes[..bytes.len() - 8]), None, "cut off");
    }

    /// Whoever gives a record a new part gives it a new format, or records of policies that run would be read wrongly.
    #[test]
    fn the_newest_format_is_the_one_that_is_written() {
        assert_eq!(FORMATS.last(), Some(&(FORMAT, at::WORDS)));
        assert!(FORMATS.is_sorted(), "what is new stands behind what was there");
    }

    #[test]
    fn an_older_format_is_read_and_an_unknown_one_is_named() {
        let shorter = Format { words: at::FIRST_CANDIDATE };
        let mut bytes = vec![0; shorter.bytes()];
        put(&mut bytes, at::NUMBER, 7);
        put(&mut bytes, at::VICTIM, 812);
        assert_eq!(shorter.read(&bytes), None, "a record that is being written");
        put(&mut bytes, at::FIRST_CANDIDATE - 1, 7);
        let record = shorter.read(&bytes).expect("a whole record");
        assert_eq!((record.number, record.victim, record.candidates.len()), (7, 812, 0));
        assert_eq!(shorter.read(&bytes[8..]), None, "cut off");
        assert_eq!(Format::named("").map(Format::bytes), Ok(FORMATS[0].1 as usize * 8));
        for odd in ["0", "2000000000000", "two", "\u{1b}[2J"] {
            let says = Format::named(odd).expect_err("no format");
            assert!(says.contains("format `") && !says.contains('\u{1b}'), "{says}");
        }
    }

    #[test]
    fn codes_are_their_own_inverse() {
        for code in 0..15 {
            assert_eq!(End::from_code(code).map(|end| u64::from(end.code())), Some(code));
        }
        assert_eq!(End::from_code(15), None);
        assert_eq!(Action::from_code(4), Some(Action::RaiseLimit));
    }
}
