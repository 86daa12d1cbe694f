//! One decision: the policy is asked, what it says is done, and it is asked again, until it says that this is the end.

use std::fs;

use oomc_abi::request::{Kind, Question, Trigger};

use super::act::{Flight, carry_out};
use super::domain::Domain;
use super::{Happened, REST};
use crate::decide::Decider;
use crate::error::{Error, Result};
use crate::system::System;

/// Steps of a decision; each ends an action, of which a policy has fewer.
const STEPS: u32 = 512;

/// What a policy is asked about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About {
    /// From 1; 0: the rules outside of blocks.
    pub(super) block: u64,
    pub(super) trigger: Trigger,
    /// The machine is short of memory.
    pub(super) machine: bool,
    /// Of the budget; none: there is no budget.
    pub(super) kills_left: Option<u64>,
    /// Of an earlier victim.
    pub(super) memory_expected: bool,
}

impl About {
    /// The rules outside of blocks.
    pub(super) fn limit(machine: bool) -> Self {
        Self { block: 0, trigger: Trigger::Limit, machine, kills_left: None, memory_expected: false }
    }
}

/// A decision that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) progress: bool,
    /// Actions that have killed.
    pub(super) kills: u64,
    pub(super) flight: Flight,
}

/// Who asks.
#[derive(Debug)]
pub(super) struct Asker<'s> {
    pub(super) system: System<'s>,
    pub(super) decider: Decider,
    /// Id of the attached cgroup.
    attached: u64,
    /// Decisions so far.
    event: u64,
    /// Number of the last record that was told.
    pub(super) told: u64,
}

impl<'s> Asker<'s> {
    pub(super) fn new(system: System<'s>, decider: Decider, attached: u64) -> Self {
        Self { system, decider, attached, event: 0, told: 0 }
    }

    /// None: the cgroup is gone, or the kernel's own killer was faster.
    pub(super) fn decide(
        &mut self,
        domain: &mut Domain,
        about: &About,
        happened: &mut Vec<Happened>,
    ) -> Result<Option<Ended>> {
        // Brings the statistics up to date.
        if fs::read(domain.place.join("memory.stat")).is_err() {
            return Ok(None);
        }
        self.event += 1;
        let begin = Question::begin(self.event, domain.id, self.attached, about.machine, about.trigger);
        let mut question = Question {
            kills_left: about.kills_left,
            memory_expected: about.memory_expected,
            ..begin.of_block(about.block)
        };
        let (mut flight, mut kills) = (Flight::default(), 0);
        for _ in 0..STEPS {
            let answer = self.decider.ask(&self.system, &question)?;
            match answer.kind {
                Kind::End => {
                    self.tell(happened)?;
                    return Ok(Some(Ended { progress: answer.progress, kills, flight }));
                }
                // It is gone, and with it the question.
                Kind::Gone => return Ok(None),
                Kind::Stale => {
                    let what = "somebody else has asked the policy in between".to_owned();
                    return Err(Error::Unexpected(what));
                }
                _ => {}
            }
            // The kernel's own killer was faster: nobody else has to die.
            if let Some(killed) = domain.killed_otherwise() {
                domain.rest(REST);
                happened.push(Happened::KernelKilled { cgroup: domain.path.clone(), killed });
                return Ok(None);
            }
            let done = carry_out(&answer, domain, &mut flight)?;
            kills += u64::from(question.is_a_kill(&answer, &done));
            question = question.after(&answer, &done);
        }
        Err(Error::Unexpected(format!("a decision did not end after {STEPS} steps")))
    }

    /// The records that were not told yet.
    fn tell(&mut self, happened: &mut Vec<Happened>) -> Result<()> {
        self.decider.drain()?;
        for record in self.decider.records(&self.system)? {
            if record.number > self.told {
                self.told = record.number;
                happened.push(Happened::Decision(Box::new(record)));
            }
        }
        Ok(())
    }
}
