//! The account of a decision: a [`Record`] in sentences.
//!
//! One renderer for whoever shows records: `oomc events`, the simulator's trace, a failing test. Takes a record,
//! what its policy declares, and a way to name cgroups and moments; knows nothing of where records come from.

use core::fmt;

use crate::amount::short;
use crate::declared::{Declared, Key, Part};
use crate::fields::Measure;
use crate::record::{Action, Candidate, End, Message, Record};
use crate::request::ENDED;

/// What a reader knows besides the record.
pub struct Account<'a> {
    /// The record.
    pub record: &'a Record,
    /// What its policy declares.
    pub declared: &'a Declared,
    /// A cgroup by its id: a path, or a number where the cgroup is gone.
    pub cgroup: &'a dyn Fn(u64) -> String,
}

/// How it is told what a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tense {
    /// It has happened.
    Did,
    /// It has not: the policy only writes down what it would have done.
    WouldHave,
    /// It may come.
    Would,
}

impl fmt::Debug for Account<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Account").field(self.record).finish()
    }
}

impl Account<'_> {
    /// The decision in one line: `#17 /job: killed worker (4711), about 207.3MiB, by rule "kill"`.
    #[must_use]
    pub fn summary(&self) -> String {
        let record = self.record;
        let mut text = format!("#{} {}: {}", record.number, (self.cgroup)(record.domain), self.action());
        if let Some(rule) = self.acting_rule() {
            text.push_str(&format!(", by rule \"{rule}\""));
        }
        if record.asked {
            match self.declared.block(record.block()) {
                Some(block) => text.push_str(&format!(", on {}, by oomc run", block.told())),
                None => text.push_str(", before the limit, by oomc run"),
            }
        }
        if record.system {
            text.push_str(", the whole machine was short of memory");
        }
        if let Some(reason) = record.reason.as_ref().map(|reason| self.message(reason)) {
            text.push_str(&format!(", reason \"{reason}\""));
        }
        if record.count > 1 {
            let seconds = record.last.saturating_sub(record.first);
            let span = short(Measure::Duration, i64::try_from(seconds).unwrap_or(i64::MAX));
            text.push_str(&format!(", {} times in {span}", record.count));
        }
        text
    }

    /// What was done, or in audit mode would have been.
    #[must_use]
    pub fn action(&self) -> String {
        self.action_in(if self.record.audit { Tense::WouldHave } else { Tense::Did })
    }

    /// What was, would have been, or would be done.
    #[must_use]
    pub fn action_in(&self, tense: Tense) -> String {
        let record = self.record;
        let verb = |did: &str, done: &str, base: &str| match tense {
            Tense::Did => did.to_owned(),
            Tense::WouldHave => format!("would have {done}"),
            Tense::Would => format!("would {base}"),
        };
        let kill = verb("killed", "killed", "kill");
        let about = match record.expected {
            bytes if bytes > 0 => format!(", about {}", short(Measure::Bytes, bytes)),
            _ => String::new(),
        };
        let killed = match record.killed {
            0 => String::new(),
            1 => " with 1 process".to_owned(),
            killed => format!(" with {killed} processes"),
        };
        match Action::from_code(record.action) {
            Some(Action::None) => verb("did nothing", "done nothing", "do nothing"),
            Some(Action::KillProcess) => {
                let more = match record.killed.saturating_sub(1) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                format!("{kill} {} ({}){more}{about}", record.victim_name, record.victim)
            }
            Some(Action::KillCgroup) => format!("{kill} {}{killed}{about}", (self.cgroup)(record.victim)),
            Some(Action::KillAll) => format!("{kill} all that was found{killed}{about}"),
            Some(Action::RaiseLimit) => format!(
                "{} the limit by {} to {}",
                verb("raised", "raised", "raise"),
                short(Measure::Bytes, record.expected),
                short(Measure::Bytes, record.result)
            ),
            Some(Action::Reclaim) => {
                let back = match record.result {
                    bytes if bytes > 0 && tense == Tense::Did => {
                        format!(", {} came back", short(Measure::Bytes, bytes))
                    }
                    _ => String::new(),
                };
                let wanted = short(Measure::Bytes, record.expected);
                format!("{} {wanted}{back}", verb("reclaimed", "reclaimed", "reclaim"))
            }
            Some(Action::Wait) if record.asked && record.result == ENDED => {
                let kill = verb("kills", "killed", "kill");
                format!("{kill} nobody: {} ({}) had ended by itself", record.victim_name, record.victim)
            }
            Some(Action::Wait) => format!(
                "{} for {} ({}), which is on its way out",
                verb("waits", "waited", "wait"),
                record.victim_name,
                record.victim
            ),
            Some(Action::Defer) => verb("deferred", "deferred", "defer"),
            None => format!("did something that this version does not know ({})", record.action),
        }
    }

    /// The rule that acted.
    #[must_use]
    pub fn acting_rule(&self) -> Option<String> {
        self.record.rule.map(|rule| self.rule(rule))
    }

    fn rule(&self, number: u64) -> String {
        let name = usize::try_from(number).ok().and_then(|at| self.declared.rules.get(at));
        name.cloned().unwrap_or_else(|| number.saturating_add(1).to_string())
    }

    /// The best candidates of the last selection, a line each: `1. worker (4711)  footprint 207.3MiB`.
    pub fn candidates(&self) -> impl Iterator<Item = String> + '_ {
        (1..).zip(&self.record.candidates).map(|(place, candidate)| self.candidate(place, candidate))
    }

    fn candidate(&self, place: u32, candidate: &Candidate) -> String {
        let mut text = format!("{place}. {} ({})", candidate.name, candidate.id);
        text.push_str(match candidate.class {
            0 => "  preferred",
            2 => "  avoided",
            _ => "",
        });
        for (key, value) in self.keys().iter().zip(&candidate.keys) {
            let value = value.map_or_else(|| "missing".to_owned(), |value| short(key.unit, value));
            text.push_str(&format!("  {} {value}", key.text));
        }
        text
    }

    /// What the candidates were compared by.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        let selection = self.record.selection.and_then(|at| usize::try_from(at).ok());
        selection.and_then(|at| self.declared.selections.get(at)).map_or(&[], Vec::as_slice)
    }

    /// How each rule ended, a line each: `rule "grow": the limit cannot rise`.
    pub fn rules(&self) -> impl Iterator<Item = String> + '_ {
        self.declared.rules.iter().zip(&self.record.ends).map(|(rule, end)| {
            let end = End::from_code(u64::from(*end));
            format!("rule \"{rule}\": {}", end.map_or("ended in an unknown way", End::text))
        })
    }

    /// Who asked for memory, and what a reader should know besides, a line each.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let record = self.record;
        let mut lines = Vec::new();
        // Nobody in a simulation where nobody was named; whoever asks before memory has run out wants none.
        if record.trigger_pid != 0 && !record.asked {
            lines.push(format!("memory was wanted by {} ({})", record.trigger_comm, record.trigger_pid));
        }
        // That a victim had ended is said of the action.
        if record.result < 0 && !(record.asked && record.result == ENDED) {
            lines.push(format!("the kernel answered {}", record.result));
        }
        if let Some(notice) = record.notice.as_ref() {
            lines.push(format!("note: {}", self.message(notice)));
        }
        let counts = [
            (record.failed_walks, "walks could not start: what depends on them was missing"),
            (record.beyond, "candidates or cgroups were beyond a bound of the policy"),
            (record.inner, "processes lie directly in inner cgroups, which are no kill units"),
        ];
        lines.extend(
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        lines
    }

    /// A reason or a note with its values.
    #[must_use]
    pub fn message(&self, message: &Message) -> String {
        let parts = usize::try_from(message.index).ok().and_then(|at| self.declared.messages.get(at));
        let mut values = message.values.iter();
        let parts = parts.map_or(&[][..], Vec::as_slice).iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Value(unit) => match (unit, values.next()) {
                (Measure::Text, Some(value)) if !value.name.is_empty() => value.name.clone(),
                (Measure::Text, _) => "missing".to_owned(),
                (unit, value) => value
                    .and_then(|value| value.number)
                    .map_or_else(|| "missing".to_owned(), |number| short(*unit, number)),
            },
        });
        parts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Value;

    fn declared() -> Declared {
        Declared::read([
            ("rule", "0 grow"),
            ("rule", "1 kill"),
            ("message", "0 {text} had {bytes}, {count} before"),
            ("key", "0 bytes footprint"),
            ("key", "0 duration age"),
        ])
    }

    fn check(record: &Record, summary: &str) -> Vec<String> {
        let declared = declared();
        let account = Account { record, declared: &declared, cgroup: &|id| format!("/c{id}") };
        assert_eq!(account.summary(), summary);
        account.candidates().chain(account.rules()).chain(account.remarks()).collect()
    }

    #[test]
    fn a_kill() {
        let value = |number, name: &str| Value { number, name: name.to_owned() };
        let record = Record {
            number: 17,
            count: 1,
            domain: 5,
            action: u64::from(Action::KillProcess.code()),
            rule: Some(1),
            victim: 4711,
            victim_name: "worker".to_owned(),
            expected: 207 << 20,
            reason: Some(Message {
                index: 0,
                values: vec![value(None, "worker"), value(Some(207 << 20), ""), value(None, "")],
            }),
            trigger_comm: "sh".to_owned(),
            trigger_pid: 12,
            ends: vec![End::NoRoom.code(), End::Progress.code(), 0],
            selection: Some(0),
            candidates: vec![
                Candidate {
                    id: 4711,
                    name: "worker".to_owned(),
                    class: 1,
                    keys: vec![Some(207 << 20), None],
                },
                Candidate {
                    id: 9,
                    name: "sh".to_owned(),
                    class: 2,
                    keys: vec![Some(0), Some(61_000_000_000)],
                },
            ],
            ..Record::default()
        };
        let lines = check(
            &record,
            "#17 /c5: killed worker (4711), about 207MiB, by rule \"kill\", reason \"worker had 207MiB, \
             missing before\"",
        );
        let expected = [
            "1. worker (4711)  footprint 207MiB  age missing",
            "2. sh (9)  avoided  footprint 0B  age 1m1s",
            "rule \"grow\": the limit cannot rise",
            "rule \"kill\": made progress",
            "memory was wanted by sh (12)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_may_come_is_told_so() {
        let declared = declared();
        let told = |action: Action, killed: u64| {
            let (action, victim_name) = (u64::from(action.code()), "worker".to_owned());
            let record = Record { action, killed, victim: 7, victim_name, ..Record::default() };
            Account { record: &record, declared: &declared, cgroup: &|id| format!("/c{id}") }
                .action_in(Tense::Would)
        };
        assert_eq!(told(Action::None, 0), "would do nothing");
        assert_eq!(told(Action::KillProcess, 1), "would kill worker (7)");
        assert_eq!(told(Action::KillProcess, 3), "would kill worker (7) and 2 more");
        assert_eq!(told(Action::KillCgroup, 1), "would kill /c7 with 1 process");
        assert_eq!(told(Action::KillAll, 3), "would kill all that was found with 3 processes");
        assert_eq!(told(Action::RaiseLimit, 0), "would raise the limit by 0B to 0B");
        assert_eq!(told(Action::Wait, 0), "would wait for worker (7), which is on its way out");
        assert_eq!(told(Action::Defer, 0), "would defer");
    }

    #[test]
    fn an_audit_says_what_would_have_been() {
        let record = Record {
            number: 2,
            first: 1_000_000_000,
            last: 3_500_000_000,
            count: 40,
            audit: true,
            system: true,
            domain: 1,
            action: u64::from(Action::RaiseLimit.code()),
            expected: 10 << 20,
            result: 110 << 20,
            ..Record::default()
        };
        let _ = check(
            &record,
            "#2 /c1: would have raised the limit by 10MiB to 110MiB, the whole machine was short of memory, \
             40 times in 2s500ms",
        );
    }
}
