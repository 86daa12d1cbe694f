//! `oomc events [-f] [--cgroup PATH]`

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oomc_abi::amount::short;
use oomc_abi::declared::Declared;
use oomc_abi::fields::Measure;
use oomc_abi::record::Record;
use oomc_forecast::decision::Told;
use oomc_runtime::events::{self, Followed, Seen};
use oomc_runtime::outcome::Outcome as Became;
use oomc_runtime::{AskedBy, System, cgroup};
use serde_json::{Value, json};

use crate::args::Events;
use crate::cmd::status::{left_json, tell_left};
use crate::cmd::waiting;
use crate::exit::{Exit, Outcome};
use crate::report::Report;

/// Between two looks for new decisions.
const PAUSE: Duration = Duration::from_millis(100);
/// So many looks for decisions to one for policies that come and go.
const ROUNDS: u32 = 5;

pub(crate) fn run(report: &Report, args: &Events) -> Outcome {
    let waits = waiting(report);
    let system = System::running().telling(&waits);
    if args.follow {
        return follow(report, &system, args);
    }
    let (all, left) = events::decisions(&system, args.which.target().as_ref())?;
    let mut records: Vec<_> =
        all.iter().flat_map(|one| one.records.iter().map(move |record| (one, record))).collect();
    records.sort_by_key(|(_, record)| record.first);
    for (one, record) in &records {
        Shown::new(&system, record, &one.declared).tell(report);
        if let Some(text) = one.outcome(record).and_then(|outcome| outcome_text(one.asked_by, outcome)) {
            report.remark(format_args!("    {text}"));
        }
    }
    if records.is_empty() {
        report.line(if all.is_empty() { "no policy is attached" } else { "nothing was decided yet" });
    }
    let exit = tell_left(report, &left);
    let records = records
        .iter()
        .map(|(one, record)| event_json(&one.policy, record, &one.declared, one.outcome(record)));
    let records: Vec<Value> = records.collect();
    report.result("events", exit, json!({ "events": records, "left": left_json(&left) }));
    Ok(exit)
}

/// Prints decisions as they come, over reloads, until it is interrupted or nobody reads any more.
fn follow(report: &Report, system: &System<'_>, args: &Events) -> Outcome {
    let mut follow = events::follow(system.clone(), args.which.target().as_ref(), true)?;
    let mut first = true;
    for round in (0..ROUNDS).cycle() {
        for (of, seen) in follow.look(round == 0)? {
            tell_seen(report, system, &of, &seen);
        }
        if first && follow.is_empty() {
            report.remark("no policy is attached yet");
        }
        first = false;
        if report.flush().is_err() {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(Exit::Ok)
}

/// Prints what was seen of a policy.
pub(crate) fn tell_seen(report: &Report, system: &System<'_>, of: &Followed, seen: &Seen) {
    let Followed { cgroup, policy, link, load: _, declared } = of;
    let whose = json!({ "cgroup": cgroup, "policy": policy, "link": link });
    match seen {
        Seen::Attached => {
            report.remark(format_args!("{cgroup}: {policy} is attached"));
            report.result("events", Exit::Ok, json!({ "attached": whose }));
        }
        Seen::Decision(record) => {
            Shown::new(system, record, declared).tell(report);
            let event = event_json(policy, record, declared, None);
            report.result("events", Exit::Ok, json!({ "event": event }));
        }
        Seen::Lost(count) => {
            report.insist(format_args!("{cgroup}: {count} decisions came too fast and are not shown"));
            let lost = json!({ "cgroup": cgroup, "policy": policy, "link": link, "decisions": count });
            report.result("events", Exit::Ok, json!({ "lost": lost, "missed": count, "cgroup": cgroup }));
        }
        Seen::Unreadable(why) => {
            report.insist(format_args!("{cgroup}: the decisions of {policy} cannot be read: {why}"));
            let unreadable = json!({ "cgroup": cgroup, "policy": policy, "link": link, "why": why });
            report.result("events", Exit::Ok, json!({ "unreadable": unreadable }));
        }
        Seen::Detached => {
            report.remark(format_args!("{cgroup}: {policy} is detached"));
            report.result("events", Exit::Ok, json!({ "detached": whose }));
        }
    }
}

/// A record with what is needed to print it.
pub(crate) struct Shown<'a> {
    system: &'a System<'a>,
    record: &'a Record,
    declared: &'a Declared,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(system: &'a System<'a>, record: &'a Record, declared: &'a Declared) -> Self {
        Self { system, record, declared }
    }

    pub(crate) fn with<T>(&self, show: impl FnOnce(&Told<'_>) -> T) -> T {
        let name = |id| cgroup::path(self.system, id).unwrap_or_else(|| format!("cgroup {id} (gone)"));
        show(&Told { record: self.record, declared: self.declared, cgroup: &name })
    }

    /// When and what.
    pub(crate) fn line(&self) -> String {
        let since = Duration::from_nanos(self.record.first);
        let when = self.system.started().and_then(|started| started.checked_add(since));
        let when = when.map_or_else(|| format!("{since:?} after the start"), utc);
        format!("{when} {}", self.with(|told| told.line()))
    }

    /// The line, the candidates, and with `--verbose` everything else.
    fn tell(&self, report: &Report) {
        report.line(self.line());
        self.with(|told| {
            for candidate in told.candidates() {
                report.remark(format_args!("    {candidate}"));
            }
            for line in told.rest() {
                report.detail(format_args!("    {line}"));
            }
        });
    }
}

/// A moment as `2026-11-26T12:56:14Z`, by the proleptic Gregorian calendar.
pub(crate) fn utc(moment: SystemTime) -> String {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut day) = (1970, days);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", day + 1)
}

/// A decision for programs, with what became of it; none: nobody looked, or it is not known yet.
pub(crate) fn event_json(
    policy: &str,
    record: &Record,
    declared: &Declared,
    outcome: Option<&Became>,
) -> Value {
    let outcome = outcome.map(|outcome| {
        json!({
            "free_below_limit": outcome.room,
            "victim_alive": outcome.alive,
            "others_killed": outcome.others_killed,
        })
    });
    json!({ "policy": policy, "record": record_json(record, declared), "outcome": outcome })
}

/// What became of a decision, for people: looked at a second later, or by an engine when the victim's memory was back.
pub(crate) fn outcome_text(asked_by: AskedBy, outcome: &Became) -> Option<String> {
    let when = if asked_by == AskedBy::Kernel { "a second later" } else { "then" };
    became(when, outcome)
}

/// What became of a decision, looked at when this says.
pub(crate) fn became(when: &str, outcome: &Became) -> Option<String> {
    outcome.text(when, |bytes| short(Measure::Bytes, i64::try_from(bytes).unwrap_or(i64::MAX)))
}

/// A record for programs, with numbers for cgroups.
pub(crate) fn record_json(record: &Record, declared: &Declared) -> Value {
    Told { record, declared, cgroup: &|id| id.to_string() }.json()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let at = |seconds| utc(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_795_697_774), "2026-11-26T12:56:14Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
