//! Where the service writes what it sees: the journal, each decision as an entry with fields; or, started by hand, the
//! terminal, as `oomc events --follow` does.
//!
//! | field | holds |
//! |---|---|
//! | `MESSAGE` | the sentence that `oomc events` prints |
//! | `PRIORITY` | 3 what could not be done, 4 a decision that killed, 5 another one, 6 everything else |
//! | `OOMC_EVENT` | `decision`, `outcome` (a second later, with the decision's `OOMC_RECORD`), `attached`, `detached`, `lost`, `unreadable`, `failed`, `changed`, `removed`, `note` |
//! | `OOMC_CGROUP`, `OOMC_POLICY` | which policy; of a decision also `OOMC_RECORD`, `OOMC_ACTION`, `OOMC_VICTIM`, `OOMC_VICTIM_NAME`, `OOMC_RULE` |
//! | `OOMC_DECISION` | the whole record, as `oomc events --format json` has it |

use std::io::Write as _;

use log::{Level, Record};
use oomc_abi::record::Action;
use oomc_runtime::events::{Followed, Seen};
use oomc_runtime::outcome::Outcome;
use oomc_runtime::{Gone, System};
use serde_json::json;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use super::aside::Aside;
use crate::cmd::events::{Shown, became, record_json, tell_seen};
use crate::exit::{Exit, Failure};
use crate::report::Report;
use crate::screen::harmless;

/// Where it goes.
pub(super) struct Journal<'r> {
    report: &'r Report,
    /// None: to the terminal.
    journal: Option<Aside<Entry>>,
}

/// An entry of the journal.
struct Entry {
    level: Level,
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl<'r> Journal<'r> {
    pub(super) fn new(report: &'r Report) -> Result<Self, Failure> {
        let journal = connected_to_journal().then(JournalLog::empty).and_then(Result::ok);
        let journal = journal.map(|journal| journal.with_syslog_identifier("oomc".to_owned()));
        let aside = journal.map(|journal| Aside::new("journal", move |entry: Entry| entry.send(&journal)));
        let journal = aside.transpose().map_err(|error| {
            Failure::refused(format!("cannot start the thread that writes to the journal: {error}"))
        })?;
        Ok(Self { report, journal })
    }

    /// What was seen of a policy.
    pub(super) fn seen(&self, system: &System<'_>, of: &Followed, seen: &Seen) {
        let Followed { cgroup, policy, declared, .. } = of;
        let whose = [("OOMC_CGROUP", cgroup.as_str()), ("OOMC_POLICY", policy.as_str())];
        if self.journal.is_none() {
            return tell_seen(self.report, system, of, seen);
        }
        match seen {
            Seen::Attached => {
                self.entry(Level::Debug, "attached", &format!("{cgroup}: {policy} is attached"), &whose)
            }
            Seen::Detached => {
                self.entry(Level::Debug, "detached", &format!("{cgroup}: {policy} is detached"), &whose)
            }
            Seen::Lost(count) => {
                let text = format!("{cgroup}: {count} decisions came too fast and are not shown");
                self.entry(Level::Warn, "lost", &text, &whose);
            }
            Seen::Unreadable(why) => {
                let text = format!("{cgroup}: the decisions of {policy} cannot be read: {why}");
                self.entry(Level::Error, "unreadable", &text, &whose);
            }
            Seen::Decision(record) => {
                let action = Action::from_code(record.action);
                let kills =
                    matches!(action, Some(Action::KillProcess | Action::KillCgroup | Action::KillAll));
                let level = if kills && !record.audit { Level::Warn } else { Level::Info };
                let rule = record.rule.and_then(|rule| declared.rules.get(usize::try_from(rule).ok()?));
                let document = record_json(record, declared).to_string();
                let action =
                    action.map_or_else(|| record.action.to_string(), |action| action.text().to_owned());
                let (number, victim) = (record.number.to_string(), record.victim.to_string());
                let mut fields = whose.to_vec();
                fields.extend([("OOMC_RECORD", number.as_str()), ("OOMC_ACTION", action.as_str())]);
                fields.push(("OOMC_DECISION", document.as_str()));
                if record.victim != 0 {
                    fields.extend([
                        ("OOMC_VICTIM", victim.as_str()),
                        ("OOMC_VICTIM_NAME", record.victim_name.as_str()),
                    ]);
                }
                if let Some(rule) = rule {
                    fields.push(("OOMC_RULE", rule));
                }
                // The journal has the time.
                let text = Shown::new(system, record, declared).with(|told| told.line());
                self.entry(level, "decision", &text, &fields);
            }
        }
    }

    /// What became of a decision, seen `when`.
    pub(super) fn outcome(&self, of: &Followed, number: u64, when: &str, outcome: &Outcome) {
        let Some(text) = became(when, outcome) else { return };
        let text = format!("#{number} {}: {text}", of.cgroup);
        let number = number.to_string();
        let fields = [
            ("OOMC_CGROUP", of.cgroup.as_str()),
            ("OOMC_POLICY", of.policy.as_str()),
            ("OOMC_RECORD", number.as_str()),
        ];
        // What was claimed and is not there is what an operator has to know.
        let level = if outcome.alive == Some(true) { Level::Warn } else { Level::Debug };
        self.say(level, "outcome", &text, &fields);
    }

    /// The records of a policy whose cgroup is gone make room.
    pub(super) fn removed(&self, gone: &Gone) {
        let text = format!("{}: {}: its records make room for later ones", gone.was.cgroup, gone.was.policy);
        let whose = [("OOMC_CGROUP", gone.was.cgroup.as_str()), ("OOMC_POLICY", gone.was.policy.as_str())];
        self.say(Level::Debug, "removed", &text, &whose);
    }

    /// Something was changed at a cgroup.
    pub(super) fn changed(&self, cgroup: &str, text: &str) {
        self.say(Level::Info, "changed", text, &[("OOMC_CGROUP", cgroup)]);
    }

    /// Something could not be done; what is so stays so.
    pub(super) fn failed(&self, cgroup: &str, text: &str) {
        self.say(Level::Error, "failed", text, &[("OOMC_CGROUP", cgroup)]);
    }

    /// A sentence about the service itself.
    pub(super) fn note(&self, text: &str) {
        self.say(Level::Debug, "note", text, &[]);
    }

    fn say(&self, level: Level, event: &'static str, text: &str, fields: &[(&'static str, &str)]) {
        if self.journal.is_some() {
            return self.entry(level, event, text, fields);
        }
        if level == Level::Error {
            self.report.insist(text)
        } else {
            self.report.remark(text)
        }
        self.report.result("run", Exit::Ok, json!({ "event": event, "text": text }));
    }

    fn entry(&self, level: Level, event: &'static str, text: &str, fields: &[(&'static str, &str)]) {
        let Some(journal) = &self.journal else { return };
        let entry = |level, event: &str, text: &str, fields: &[(&'static str, &str)]| {
            let mut all = vec![("OOMC_EVENT", event.to_owned())];
            all.extend(fields.iter().map(|(name, value)| (*name, (*value).to_owned())));
            Entry { level, text: harmless(text, false).to_string(), fields: all }
        };
        journal.say_lost(|lost| {
            let text = format!("{lost} entries are left out: the journal did not take them in time");
            entry(Level::Error, "lost", &text, &[])
        });
        journal.say(entry(level, event, text, fields));
    }
}

impl Entry {
    fn send(&self, journal: &JournalLog) {
        let (text, fields) = (&self.text, self.fields.as_slice());
        let sent = journal.journal_send(
            &Record::builder().level(self.level).args(format_args!("{text}")).key_values(&fields).build(),
        );
        // A journal that takes no entry may still take a line; whoever reads neither cannot be told.
        if sent.is_err() {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}
