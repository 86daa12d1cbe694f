//! The `on` blocks of a policy: which is due, and what asking it leads to ([`oomc_abi::watch`] says the rule).

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use oomc_abi::declared::Declared;
use oomc_abi::watch::{Block, Budget, Event, Purse};

use super::act::Flight;
use super::decision::{About, Asker};
use super::domain::{Domain, Reach};
use super::sample::Sampler;
use super::watched::{self, Subject, Watched};
use super::{Happened, PATIENCE, Rules};
use crate::error::{Error, Result};
use crate::preflight::Missing;

/// Between two looks at what is sampled while an event of the policy is near.
const LOOK: Duration = Duration::from_nanos(watched::LOOK.cast_unsigned());
/// The same while none is: a look reads a file of each cgroup, or of each process.
const CALM: Duration = Duration::from_secs(5);
/// What is sampled is not older when a block is asked: who has grown since would not be seen.
const FRESH: Duration = Duration::from_millis(100);

/// All of them.
#[derive(Debug)]
pub(super) struct Blocks {
    place: PathBuf,
    machine: bool,
    watched: Vec<Watched>,
    sampler: Sampler,
    sampled: Option<Instant>,
    budget: Option<Budget>,
    purse: Purse,
    /// Victims whose memory is expected, and of which block.
    flights: Vec<(u64, Flight)>,
    has_bare_rules: bool,
    begun: Instant,
}

impl Blocks {
    /// # Errors
    /// With what this kernel does not let us watch.
    pub(super) fn new(declared: &Declared, subject: Subject<'_>, rules: Rules) -> Result<Self> {
        let watched = declared.blocks.iter().map(|block| {
            Watched::new(block.clone(), subject).map_err(|error| {
                let what = format!("`on {}` cannot be watched: {error}", block.event.told());
                let help = "pressure needs a kernel with CONFIG_PSI, started with `psi=1` where it is off by default";
                Error::Kernel(vec![Missing { what, help }])
            })
        });
        let sampler = Sampler::new(&declared.samples)
            .map_err(|what| Error::Kernel(vec![Missing { what, help: "" }]))?;
        Ok(Self {
            place: subject.place.to_owned(),
            machine: subject.machine,
            watched: watched.collect::<Result<_>>()?,
            sampler,
            sampled: None,
            budget: declared.budget,
            purse: Purse::default(),
            flights: Vec::new(),
            has_bare_rules: rules == Rules::All
                && (0..declared.rules.len()).any(|rule| declared.is_bare(rule)),
            begun: Instant::now(),
        })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Block> {
        self.watched.iter().map(|watched| &watched.block)
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.watched.iter().filter_map(Watched::descriptor)
    }

    /// Which of the descriptors have said something urgent, in their order.
    pub(super) fn hear(&mut self, urgent: &[bool]) {
        let triggers = self.watched.iter_mut().filter(|watched| watched.descriptor().is_some());
        for (watched, _) in triggers.zip(urgent).filter(|(_, urgent)| **urgent) {
            watched.hear();
        }
    }

    /// Whether there are rules outside.
    pub(super) fn has_bare_rules(&self) -> bool {
        self.has_bare_rules
    }

    pub(super) fn watch_limit(&self) -> bool {
        self.all().any(|block| block.event == Event::Limit)
    }

    /// Whether a victim's memory is to come back yet.
    pub(super) fn expects_memory(&self) -> bool {
        !self.flights.is_empty()
    }

    /// How long to wait at most before the next look; none: nobody waits.
    pub(super) fn pause(&self, soon: Duration) -> Option<Duration> {
        if self.watched.is_empty() {
            return None;
        }
        let now = self.now();
        let wait =
            |due: i64| Duration::from_nanos(u64::try_from(due.saturating_sub(now)).unwrap_or_default());
        let dues = self.watched.iter().map(|watched| wait(watched.next_look()));
        let flights = self.flights.iter().map(|(_, flight)| flight.pause(soon));
        // What somebody else looks at, the limit or a trigger of the kernel's, is there at each look.
        dues.filter(|wait| !wait.is_zero()).chain(flights).chain([LOOK]).min()
    }

    /// One look. Gives whether a block has made progress.
    pub(super) fn look(
        &mut self,
        asker: &mut Asker<'_>,
        own: &mut Domain,
        limit: Reach,
        happened: &mut Vec<Happened>,
    ) -> Result<bool> {
        self.land(own, happened);
        if self.watched.is_empty() {
            return Ok(false);
        }
        let now = self.now();
        let subject = Subject { place: &self.place, machine: self.machine };
        let due: Vec<usize> = (0..)
            .zip(&mut self.watched)
            .filter_map(|(at, watched)| watched.look(subject, now, limit).then_some(at))
            .collect();
        let rhythm = sampling(due.is_empty(), self.watched.iter().any(Watched::is_near));
        if !self.sampler.is_empty() && self.sampled.is_none_or(|sampled| sampled.elapsed() >= rhythm) {
            self.sampled = Some(Instant::now());
            self.sampler.look(&asker.system, &asker.decider, own, now)?;
        }
        for at in due {
            if self.ask(at, asker, own, happened)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn ask(
        &mut self,
        at: usize,
        asker: &mut Asker<'_>,
        own: &mut Domain,
        happened: &mut Vec<Happened>,
    ) -> Result<bool> {
        let now = self.now();
        let (kills_left, memory_expected) = (self.purse.left(self.budget, now), self.expects_memory());
        let Some(watched) = self.watched.get_mut(at) else { return Ok(false) };
        let block = watched.block.number;
        // A block waits until those whom it told to end are gone.
        if self.flights.iter().any(|(of, _)| *of == block) {
            return Ok(false);
        }
        let trigger = watched.block.event.trigger();
        let about = About { block, trigger, machine: self.machine, kills_left, memory_expected };
        // What the kernel has killed so far is no reason to leave this one out.
        own.killed_otherwise();
        let Some(ended) = asker.decide(own, &about, happened)? else { return Ok(false) };
        watched.clock.asked(&watched.block, now, ended.progress, ended.kills > 0);
        if !ended.progress {
            watched.was_asked_in_vain(now);
        }
        (0..ended.kills).for_each(|_| self.purse.spend(now));
        if !ended.flight.is_empty() {
            self.flights.push((block, ended.flight.of(asker.told)));
        }
        Ok(ended.progress)
    }

    fn land(&mut self, own: &Domain, happened: &mut Vec<Happened>) {
        self.flights.retain_mut(|(_, flight)| match flight.landed(&own.place, own.limit, PATIENCE) {
            None => true,
            Some(outcome) => {
                happened.push(Happened::Became(outcome));
                false
            }
        });
    }

    /// Nanoseconds since the engine began.
    fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(i64::MAX)
    }
}

/// After which time what is sampled is looked at again.
fn sampling(nobody_is_due: bool, near: bool) -> Duration {
    match (nobody_is_due, near) {
        (false, _) => FRESH,
        (true, true) => LOOK,
        (true, false) => CALM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sampled_is_looked_at_seldom_while_nothing_is_near() {
        // Looks in a minute, of an engine that wakes a hundred times a second.
        let looks = |due: bool, near: bool| {
            let (mut last, mut count) = (None, 0);
            for at in (0..60_000).step_by(10).map(Duration::from_millis) {
                if last.is_none_or(|last| at - last >= sampling(!due, near)) {
                    (last, count) = (Some(at), count + 1);
                }
            }
            count
        };
        assert_eq!((looks(false, false), looks(false, true), looks(true, true)), (12, 60, 600));
    }
}
