//! Compares what a policy did with what a test expects.

use std::collections::BTreeSet;

use oomc_abi::account::Account;
use oomc_abi::amount::exact;
use oomc_abi::declared::Declared;
use oomc_abi::fields::{Measure, Owner};
use oomc_abi::record::{Action, Message};
use oomc_abi::scenario::Expected;

use super::play::{Decision, rule_of};
use crate::machine::{CgroupIndex, Life};

/// An expectation that did not come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Line of the expectation.
    pub line: u32,
    /// As written, without `expect`.
    pub expected: String,
    /// What was found in its place, in the same words where there are any.
    pub found: String,
    /// The decision that it is about, counted from 0.
    pub decision: usize,
}

/// What was found, if it is not what was expected.
pub(super) fn differs(
    decision: &Decision,
    declared: &Declared,
    expected: &Expected,
    rule: Option<&str>,
) -> Option<String> {
    if *expected == Expected::NotAsked {
        return decision.asked.then(|| Seen { decision, declared }.did());
    }
    if !decision.asked && decision.asking.is_some() {
        return Some("not asked: no block was due".to_owned());
    }
    if !decision.asked {
        let attached = decision.before.path(decision.event.attached);
        return Some(format!("the policy was not asked: it is attached to {attached:?}"));
    }
    let seen = Seen { decision, declared };
    let found = if seen.holds(expected) { None } else { Some(seen.instead(expected)) };
    let acting = decision.record.as_ref().and_then(|record| rule_of(record, declared));
    match (found, rule) {
        (Some(found), _) => Some(found),
        (None, Some(rule)) if acting.as_deref() != Some(rule) => {
            let by = acting.map_or_else(|| "by no rule".to_owned(), |acting| format!("by rule {acting:?}"));
            Some(format!("{} {by}", seen.did()))
        }
        (None, _) => None,
    }
}

/// What a policy did, in the words of an expectation: what `expect` has to say for a test to pass.
#[must_use]
pub fn did(decision: &Decision, declared: &Declared) -> String {
    Seen { decision, declared }.did()
}

struct Seen<'a> {
    decision: &'a Decision,
    declared: &'a Declared,
}

impl Seen<'_> {
    fn action(&self) -> Action {
        let record = self.decision.record.as_ref();
        record.and_then(|record| Action::from_code(record.action)).unwrap_or(Action::None)
    }

    fn audit(&self) -> bool {
        self.decision.record.as_ref().is_some_and(|record| record.audit)
    }

    fn holds(&self, expected: &Expected) -> bool {
        let action = self.action();
        match expected {
            Expected::NotAsked => false,
            Expected::KillNobody => self.processes().is_empty() && self.cgroups().is_empty(),
            Expected::KillProcesses(names) => same(&self.processes(), names),
            Expected::KillCgroups(names) => same(&self.cgroups(), names),
            Expected::RaiseLimit(path, bytes) => self.raised().as_ref() == Some(&(path.clone(), *bytes)),
            Expected::Reclaim(bytes) => self.reclaimed() == Some(*bytes),
            Expected::Notify(text) => self.notice().as_ref() == Some(text),
            Expected::Reason(text) => self.reason().as_ref() == Some(text),
            Expected::Candidates(names) => self.candidates() == *names,
            Expected::Freed(bytes) => self.freed() == *bytes,
            Expected::Wait => action == Action::Wait,
            Expected::Defer => matches!(action, Action::None | Action::Defer) && self.decision.answer == 0,
        }
    }

    /// Processes that died by the policy, or in audit mode the one that it names.
    fn processes(&self) -> Vec<String> {
        if !self.audit() {
            return self.decision.killed.iter().map(|at| self.decision.name_of(*at)).collect();
        }
        match self.decision.victim(self.declared) {
            Some((Owner::Cgroup, id)) => {
                // The record of a kill that was not made names a cgroup; its processes are the machine's to tell.
                let inside = self.decision.cgroup(id).map(|top| self.killable(top)).unwrap_or_default();
                if inside.is_empty() { vec![self.decision.path_of(id)] } else { inside }
            }
            Some((owner, id)) => vec![self.decision.object(owner, id)],
            None => Vec::new(),
        }
    }

    /// Cgroups that died as a whole: the highest ones.
    fn cgroups(&self) -> Vec<String> {
        if self.audit() {
            let victim = self.decision.victim(self.declared);
            return victim.map(|(owner, id)| self.decision.object(owner, id)).into_iter().collect();
        }
        let machine = &self.decision.before;
        let mut left: BTreeSet<usize> = self.decision.killed.iter().copied().collect();
        let mut found = Vec::new();
        // A parent stands before its children. Of a chain of cgroups without processes of their own, the one that
        // the policy named is meant, else the lowest.
        let named = self.decision.record.as_ref().map(|record| record.victim);
        let mut tops: Vec<CgroupIndex> = (1..machine.cgroups.len()).collect();
        tops.sort_by_key(|at| named != Some(machine.cgroup(*at).id as u64));
        for top in tops {
            let inside = self.inside(top);
            let group = machine.cgroup(top).group;
            let whole = matches!(self.action(), Action::KillCgroup | Action::KillAll) || group;
            if whole && !inside.is_empty() && inside.iter().all(|at| left.contains(at)) {
                left.retain(|at| !inside.contains(at));
                found.push(machine.path(top));
            }
        }
        found.extend(left.into_iter().map(|at| self.decision.name_of(at)));
        found
    }

    /// Processes of a cgroup and all below that a kill of it takes.
    fn inside(&self, top: CgroupIndex) -> Vec<usize> {
        let machine = &self.decision.before;
        let lives = |at: &usize| machine.process(*at).life == Life::Lives && !machine.process(*at).kernel;
        (0..machine.processes.len())
            .filter(|at| machine.is_within(machine.home(*at), top))
            .filter(lives)
            .collect()
    }

    fn killable(&self, top: CgroupIndex) -> Vec<String> {
        self.inside(top).into_iter().map(|at| self.decision.name_of(at)).collect()
    }

    /// The cgroup whose limit rose, and its new limit in bytes.
    fn raised(&self) -> Option<(String, i64)> {
        let (before, after) = (&self.decision.before, &self.decision.after);
        if self.audit() {
            let record = self.decision.record.as_ref().filter(|_| self.action() == Action::RaiseLimit)?;
            return Some((self.decision.path_of(record.domain), record.result));
        }
        let rose = (0..before.cgroups.len()).find(|at| before.cgroup(*at).max != after.cgroup(*at).max)?;
        Some((before.path(rose), after.cgroup(rose).max? * after.page))
    }

    fn message(&self, message: &Message) -> String {
        let record = self.decision.record.as_ref();
        let Some(record) = record else { return String::new() };
        let name = |id| self.decision.path_of(id);
        Account { record, declared: self.declared, cgroup: &name }.message(message)
    }

    fn notice(&self) -> Option<String> {
        self.decision.record.as_ref()?.notice.as_ref().map(|notice| self.message(notice))
    }

    fn reason(&self) -> Option<String> {
        self.decision.record.as_ref()?.reason.as_ref().map(|reason| self.message(reason))
    }

    fn candidates(&self) -> Vec<String> {
        let record = self.decision.record.as_ref();
        let candidates = record.map_or(&[][..], |record| &record.candidates);
        let unit = self.decision.unit(self.declared);
        candidates.iter().map(|candidate| self.decision.object(unit, candidate.id)).collect()
    }

    fn freed(&self) -> i64 {
        let killed = matches!(self.action(), Action::KillProcess | Action::KillCgroup | Action::KillAll);
        self.decision.record.as_ref().filter(|_| killed).map_or(0, |record| record.expected)
    }

    /// How much was to be reclaimed, if enough came back.
    fn reclaimed(&self) -> Option<i64> {
        let record = self.decision.record.as_ref().filter(|_| self.action() == Action::Reclaim)?;
        Some(record.expected)
    }

    /// What was done, in the words of an expectation.
    fn did(&self) -> String {
        let list =
            |names: Vec<String>| names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        match self.action() {
            Action::KillProcess => format!("kill process {}", list(self.processes())),
            Action::KillCgroup | Action::KillAll => format!("kill cgroup {}", list(self.cgroups())),
            Action::RaiseLimit => match self.raised() {
                Some((path, bytes)) => format!("raise_limit {path:?} to {}", exact(Measure::Bytes, bytes)),
                None => "raise_limit".to_owned(),
            },
            Action::Reclaim => match self.reclaimed() {
                Some(bytes) => format!("reclaim {}", exact(Measure::Bytes, bytes)),
                None => "reclaim".to_owned(),
            },
            Action::Wait => "wait".to_owned(),
            Action::None | Action::Defer => "defer".to_owned(),
        }
    }

    /// What was found in the place of an expectation.
    fn instead(&self, expected: &Expected) -> String {
        let text = |what: &str, text: Option<String>| match text {
            Some(text) => format!("{what} {text:?}"),
            None => format!("no {what}"),
        };
        match expected {
            Expected::Notify(_) => text("notify", self.notice()),
            Expected::Reason(_) => text("reason", self.reason()),
            Expected::Freed(_) => format!("freed {}", exact(Measure::Bytes, self.freed())),
            Expected::Candidates(_) => {
                let names: Vec<String> = self.candidates().iter().map(|name| format!("{name:?}")).collect();
                if names.is_empty() {
                    "no candidates".to_owned()
                } else {
                    format!("candidates {}", names.join(", "))
                }
            }
            _ => self.did(),
        }
    }
}

/// Whether these are the same names in any order.
fn same(found: &[String], expected: &[String]) -> bool {
    let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<String>>();
    set(found) == set(expected)
}
