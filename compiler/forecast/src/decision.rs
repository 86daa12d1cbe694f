//! THE renderer of decisions: what `events`, `why`, `status`, `sim`, `plan` and a failing test say of one.
//!
//! Takes a record, what its policy declares, and a way to name cgroups. Sentences come from `oomc-abi`'s account;
//! what stands on which line, and what programs get, is decided here.

use oomc_abi::account::{Account, Tense};
use oomc_abi::declared::Declared;
use oomc_abi::record::{Action, Candidate, End, Record};
use oomc_abi::request::TRIGGERS;
use oomc_abi::watch::Block;
use oomc_sim::scenario::{Decision, KernelsOwn};
use serde_json::{Value, json};

use crate::forecast::Entity;

/// A decision with what is needed to tell it.
pub struct Told<'a> {
    /// What was written down of it.
    pub record: &'a Record,
    /// What its policy declares.
    pub declared: &'a Declared,
    /// A cgroup by its id.
    pub cgroup: &'a dyn Fn(u64) -> String,
}

impl<'a> Told<'a> {
    /// What sentences are made of.
    #[must_use]
    pub fn account(&self) -> Account<'a> {
        Account { record: self.record, declared: self.declared, cgroup: self.cgroup }
    }

    /// In one line.
    #[must_use]
    pub fn line(&self) -> String {
        self.account().summary()
    }

    /// What would be done, without who asked and why.
    #[must_use]
    pub fn would(&self) -> String {
        self.account().action_in(Tense::Would)
    }

    /// The best candidates, a line each.
    #[must_use]
    pub fn candidates(&self) -> Vec<String> {
        self.account().candidates().collect()
    }

    /// How each rule ended, and what else there is to know, a line each.
    #[must_use]
    pub fn rest(&self) -> Vec<String> {
        let account = self.account();
        account.rules().chain(account.remarks()).collect()
    }

    /// Everything but the line.
    #[must_use]
    pub fn in_full(&self) -> Vec<String> {
        self.candidates().into_iter().chain(self.rest()).collect()
    }

    /// For programs: numbers are in the unit of their type, moments in nanoseconds of the boot clock.
    #[must_use]
    pub fn json(&self) -> Value {
        let (record, declared) = (self.record, self.declared);
        let account = self.account();
        let ends = declared.rules.iter().zip(&record.ends);
        let ends = ends.map(
            |(rule, end)| json!({ "rule": rule, "end": End::from_code(u64::from(*end)).map(End::text) }),
        );
        let candidate = |candidate: &Candidate| {
            let keys = account.keys().iter().zip(&candidate.keys);
            let keys = keys.map(|(key, value)| json!({ "key": key.text, "value": value }));
            json!({
                "id": candidate.id,
                "name": candidate.name,
                "class": candidate.class,
                "keys": keys.collect::<Vec<Value>>(),
            })
        };
        json!({
            "number": record.number,
            "first_ns": record.first,
            "last_ns": record.last,
            "count": record.count,
            "audit": record.audit,
            "asked": record.asked,
            "system": record.system,
            "domain": record.domain,
            "attached": record.attached,
            // Whoever asks wants no memory himself.
            "trigger": {
                "pid": record.trigger_pid,
                "tid": if record.asked { 0 } else { record.trigger_tid },
                "comm": record.trigger_comm,
            },
            "woken_by": record.woken_by().and_then(|trigger| TRIGGERS.get(usize::from(trigger.code()))),
            "on": declared.block(record.block()).map(Block::told),
            "answer": record.answer,
            "action": Action::from_code(record.action).map(Action::text),
            "rule": account.acting_rule(),
            "result": record.result,
            "victim": { "id": record.victim, "name": record.victim_name },
            "killed": record.killed,
            "expected_bytes": record.expected,
            "failed_walks": record.failed_walks,
            "beyond": record.beyond,
            "inner": record.inner,
            "reason": record.reason.as_ref().map(|reason| account.message(reason)),
            "note": record.notice.as_ref().map(|notice| account.message(notice)),
            "rules": ends.collect::<Vec<Value>>(),
            "candidates": record.candidates.iter().map(candidate).collect::<Vec<Value>>(),
        })
    }
}

/// What the kernel does with an event that the policy leaves to it.
#[must_use]
pub fn told_of_kernel(decision: &Decision) -> Option<String> {
    let who = |at| Entity::process(&decision.before, at).text();
    if kernels_choice_is_unknown(decision) {
        let text = "whom the kernel's own killer would take is not known: the snapshot does not say how much swap the \
                    machine has";
        return Some(text.to_owned());
    }
    Some(match decision.kernel.as_ref()? {
        KernelsOwn::Killed(at) => format!("the kernel's own killer would take {}", who(*at)),
        KernelsOwn::Waits(at) => format!("the kernel would wait for {}", who(*at)),
        KernelsOwn::Nobody => "the kernel's own killer would find nobody".to_owned(),
    })
}

/// The kernel's own killer would have chosen by scores that nobody can know.
#[must_use]
pub(crate) fn kernels_choice_is_unknown(decision: &Decision) -> bool {
    matches!(decision.kernel, Some(KernelsOwn::Killed(_))) && decision.before.scores_are_unknown()
}
