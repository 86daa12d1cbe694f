//! What whoever watches a machine does in a test: it looks, finds the blocks that are due, asks them, and does what they
//! say.
//!
//! Takes what a test says is seen ([`oomc_abi::scenario::Seen`]) and the machine, gives decisions. When a block is due
//! and when a budget is used up stands in [`oomc_abi::watch`], as for the engine.

use std::collections::BTreeMap;

use oomc_abi::amounts::Amount;
use oomc_abi::fields::Owner;
use oomc_abi::record::Action;
use oomc_abi::request::Question;
use oomc_abi::scenario::Seen;
use oomc_abi::watch::{Block, Clock, History, Purse, is_kill};

use super::play::Decision;
use crate::kernel::Kernel;
use crate::machine::{CgroupIndex, Event, Life, Machine, ROOT};
use crate::oom::Simulation;
use crate::policy::{Attached, Policy};

/// What somebody was asked, and what he was told that had been found by looking again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The first step of the conversation.
    pub question: Question,
    /// By the number of the sample and the id of the cgroup or process.
    pub samples: BTreeMap<(u32, i64), i64>,
}

/// What is known from one look to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Watching {
    attached: Option<Attached>,
    clocks: Vec<Clock>,
    purse: Purse,
    /// Somebody was killed, and no time has passed since.
    expected: bool,
    /// By sample and id.
    histories: BTreeMap<(u32, i64), History>,
    decisions: u64,
}

/// One look: what is seen of which cgroup, when, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) seen: Seen,
    /// None: the machine.
    pub(super) cgroup: Option<CgroupIndex>,
    pub(super) lasting: i64,
}

impl Watching {
    /// Time passes: whoever was killed is gone, and his memory is back.
    pub(super) fn time_passes(&mut self) {
        self.expected = false;
    }

    /// Sets a param of the policy that watches.
    pub(super) fn set(&mut self, name: &str, value: i64) {
        if let Some(attached) = &mut self.attached {
            attached.set(name, value);
        }
    }

    /// Takes down what the policy looks at again and again.
    pub(super) fn sample(&mut self, policy: &Policy, machine: &Machine) {
        for sample in &policy.declared.samples {
            let number = sample.number as u32;
            for (id, value) in values(machine, sample.owner, &sample.field) {
                self.histories.entry((number, id)).or_default().look(machine.now, value);
            }
        }
    }

    /// Looks, and asks each block that is due up to the first that makes progress; gives the decisions.
    ///
    /// # Errors
    /// A sentence, as [`super::decide`].
    pub(super) fn look(
        &mut self,
        kernel: &Kernel,
        policy: &Policy,
        (machine, place): (Machine, CgroupIndex),
        (look, event): (Look, &Event),
        params: &BTreeMap<String, i64>,
    ) -> Result<Vec<Decision>, String> {
        self.sample(policy, &machine);
        let blocks = &policy.declared.blocks;
        self.clocks.resize(blocks.len(), Clock::default());
        let domain = look.cgroup.unwrap_or(ROOT);
        let mut due = Vec::new();
        for (block, clock) in blocks.iter().zip(&mut self.clocks) {
            if domain != place || look.seen.trigger() != block.event.trigger() {
                continue;
            }
            let holds = look.seen.meets(block.event, usage(&machine, domain), swap(&machine, domain));
            clock.look(block, machine.now.saturating_sub(look.lasting), holds);
            if clock.look(block, machine.now, holds) {
                due.push(Some(block.clone()));
            }
        }
        // Without the hook, the rules outside of blocks are asked then.
        let bare = (0..policy.declared.rules.len()).any(|rule| policy.declared.is_bare(rule));
        if look.seen == Seen::Limit && bare && machine.is_within(domain, place) {
            due.push(None);
        }
        let mut decisions = Vec::new();
        let mut machine = machine;
        for block in due {
            let decision =
                self.ask(kernel, policy, (machine.clone(), place), (look, event), (&block, params))?;
            machine = decision.after.clone();
            let progress = made_progress(&decision);
            decisions.push(decision);
            if progress {
                break;
            }
        }
        if decisions.is_empty() {
            // Somebody looked, and had nothing to ask.
            let question = Question::begin(self.decisions, 0, 0, look.cgroup.is_none(), look.seen.trigger());
            let asking = Some(Asking { question, samples: BTreeMap::new() });
            let nothing = Decision::nothing(machine, event.clone());
            decisions.push(Decision { asked: false, asking, ..nothing });
        }
        Ok(decisions)
    }

    fn ask(
        &mut self,
        kernel: &Kernel,
        policy: &Policy,
        (machine, place): (Machine, CgroupIndex),
        (look, event): (Look, &Event),
        (block, params): (&Option<Block>, &BTreeMap<String, i64>),
    ) -> Result<Decision, String> {
        let now = machine.now;
        let own = policy.asked(kernel).map_err(|unfit| unfit.to_string())?;
        let own = own.ok_or("the policy has no program for kernels without the hook")?;
        let attached = self.attached.get_or_insert_with(|| {
            let mut attached = Attached::new(&own, &machine, place);
            for (name, value) in params {
                attached.set(name, *value);
            }
            attached
        });
        let samples: BTreeMap<(u32, i64), i64> = policy
            .declared
            .samples
            .iter()
            .flat_map(|sample| {
                let number = sample.number as u32;
                let known = self.histories.range((number, i64::MIN)..=(number, i64::MAX));
                known.filter_map(|(key, history)| Some((*key, history.value(sample.course)?)))
            })
            .collect();
        for ((number, id), _) in self.histories.iter() {
            attached.put_sample(*id, *number, samples.get(&(*number, *id)).copied());
        }
        self.decisions += 1;
        let id = |at: CgroupIndex| machine.cgroup(at).id.cast_unsigned();
        let (domain, attached_id) = (id(look.cgroup.unwrap_or(ROOT)), id(place));
        let system = look.cgroup.is_none();
        let begin = Question::begin(self.decisions, domain, attached_id, system, look.seen.trigger());
        let question = Question {
            block: block.as_ref().map_or(0, |block| block.number),
            kills_left: self.purse.left(policy.declared.budget, now).filter(|_| block.is_some()),
            memory_expected: self.expected && block.is_some(),
            ..begin
        };
        let mut simulation = Simulation::new(kernel, machine).map_err(|lacking| lacking.to_string())?;
        let before = simulation.machine().clone();
        let talk = simulation.talk(attached, event, question.clone()).map_err(|refusal| {
            format!("the program does what the kernel would refuse, which is a fault of oomc: {refusal}")
        })?;
        let talk = talk.ok_or("the cgroup has no memory controller: nobody can be asked about it")?;
        let after = simulation.machine().clone();
        let lived =
            |at: &usize| before.process(*at).life == Life::Lives && after.process(*at).life != Life::Lives;
        let decision = Decision {
            killed: (0..after.processes.len()).filter(lived).collect(),
            answer: talk.run.answer,
            record: attached.records().pop(),
            marks: talk.run.marks,
            unknown: simulation.unfilled().collect(),
            asking: Some(Asking { question, samples }),
            after: after.clone(),
            ..Decision::nothing(before.clone(), event.clone())
        };
        (0..talk.kills).filter(|_| block.is_some()).for_each(|_| self.purse.spend(now));
        let killed = decision.record.as_ref().is_some_and(|record| is_kill(record.action));
        self.expected |= !decision.killed.is_empty();
        if let Some(block) = block
            && let Some(clock) = policy.declared.blocks.iter().position(|one| one.number == block.number)
            && let Some(clock) = self.clocks.get_mut(clock)
        {
            clock.asked(block, now, made_progress(&decision), killed);
        }
        Ok(decision)
    }
}

/// Whether a decision made progress, or in audit mode would have.
fn made_progress(decision: &Decision) -> bool {
    let record = decision.record.as_ref();
    let would = record.is_some_and(|record| {
        let idle = [Action::None, Action::Defer].map(|action| u64::from(action.code()));
        record.audit && record.rule.is_some() && !idle.contains(&record.action)
    });
    decision.answer != 0 || would
}

/// What a cgroup uses, and what a share of it is of, in bytes.
fn usage(machine: &Machine, at: CgroupIndex) -> [i64; 2] {
    let used = if at == ROOT {
        machine.sum(at, |own| own.anon) + machine.sum(at, |own| own.file)
    } else {
        machine.sum(at, |own| own.charged).saturating_mul(machine.page)
    };
    [used, machine.limit(at).saturating_mul(machine.page)]
}

/// What a cgroup has swapped out, and what a share of it is of, in bytes.
fn swap(machine: &Machine, at: CgroupIndex) -> [i64; 2] {
    let limits = machine.ancestors(at).filter_map(|above| machine.cgroup(above).swap_max);
    let limit = limits.chain([machine.swap]).min().unwrap_or(machine.swap);
    [machine.sum(at, |own| own.swapped), limit].map(|pages| pages.saturating_mul(machine.page))
}

/// A field of each cgroup or process, by their ids.
fn values(machine: &Machine, owner: Owner, field: &str) -> Vec<(i64, i64)> {
    if owner == Owner::Process {
        let lives = |at: &usize| machine.process(*at).life == Life::Lives;
        let all = (0..machine.processes.len()).filter(lives);
        return all
            .filter_map(|at| Some((machine.process(at).pid, of_process(machine, at, field)?)))
            .collect();
    }
    let there =
        (0..machine.cgroups.len()).filter(|at| !machine.cgroup(*at).bare && !machine.cgroup(*at).removed);
    there.filter_map(|at| Some((machine.cgroup(at).id, of_cgroup(machine, at, field)?))).collect()
}

fn of_cgroup(machine: &Machine, at: CgroupIndex, field: &str) -> Option<i64> {
    match field {
        "usage" => Some(usage(machine, at)[0]),
        "swap" => Some(swap(machine, at)[0]),
        name => {
            let amount = Amount::of_field(name)?;
            Some(machine.subtree(at).map(|below| machine.cgroup(below).own.get(amount)).sum())
        }
    }
}

fn of_process(machine: &Machine, at: usize, field: &str) -> Option<i64> {
    let one = machine.process(at);
    let pages = |parts: &[i64]| parts.iter().map(|pages| (*pages).max(0)).sum::<i64>() * machine.page;
    Some(match field {
        "rss" => pages(&[one.anon, one.file, one.shmem]),
        "anon" => pages(&[one.anon]),
        "file" => pages(&[one.file]),
        "shmem" => pages(&[one.shmem]),
        "swap" => pages(&[one.swap]),
        "pgtables" => one.pgtables,
        "footprint" => pages(&[one.anon, one.file, one.shmem, one.swap]) + one.pgtables,
        _ => return None,
    })
}
