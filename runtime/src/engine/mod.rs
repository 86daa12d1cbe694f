//! Asks a policy on a kernel that asks none itself, and does what it says: before memory has run out.
//!
//! The attached cgroup and every cgroup below it with a limit of its own is a *domain*. Each has `memory.high` a little
//! below its limit ([`headroom`]), so that the kernel slows it down there and counts it in `memory.events`, which wakes the
//! engine. A domain whose usage is in its headroom is about to run out: the policy is asked, and what it says is done
//! ([`act`]). One victim at a time: until its memory is back, or ten seconds have passed, nobody else is killed there.
//!
//! What cannot be promised: a process that takes all of the headroom before the engine has looked meets the limit, and the
//! kernel's own killer. Its kills are counted and told; where one is seen before the engine acts, nobody else dies, and
//! the time between that look and the engine's own kill is all in which both can kill ([`Happened::KernelKilled`]).
//!
//! Everything that is changed is put back at the end; after a death of the engine, by the next one for the same cgroup.

mod act;
mod domain;
mod headroom;

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oomc_abi::record::Record;
use oomc_abi::request::{Kind, Question, Trigger};

use crate::cgroup::{self, Cgroup, Target};
use crate::decide::Decider;
use crate::error::{Error, Result};
use crate::load::Settings;
use crate::object::Object;
use crate::outcome::Outcome;
use crate::preflight::Missing;
use crate::system::System;
use crate::watch::Watch;
use act::{Flight, carry_out};
use domain::Domain;
pub use headroom::DEFAULT as DEFAULT_HEADROOM;
use headroom::Headroom;

/// How long a victim's memory is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for cgroups with limits, if nothing happens.
const LOOK: Duration = Duration::from_secs(2);
/// After a decision that did nothing, or a kill of the kernel's, a domain is left alone for so long.
const REST: Duration = Duration::from_secs(1);
/// While something is waited for.
const SOON: Duration = Duration::from_millis(5);
/// Steps of a decision; each ends an action, of which a policy has fewer.
const STEPS: u32 = 512;

/// What an engine has seen or done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A decision, carried out.
    Decision(Box<Record>),
    /// What became of it.
    Became(Outcome),
    /// The kernel's own killer has killed so many processes in this cgroup: what the engine kills is not among them.
    KernelKilled {
        /// Path of the cgroup.
        cgroup: String,
        /// Processes.
        killed: u64,
    },
    /// `memory.high` of this cgroup is so many bytes from now on.
    High {
        /// Path of the cgroup.
        cgroup: String,
        /// Bytes.
        high: u64,
    },
    /// Somebody has set `memory.high` of this cgroup lower than the headroom would: it stays, and what meets it is slowed
    /// down before the policy is asked.
    Lower {
        /// Path of the cgroup.
        cgroup: String,
    },
    /// No cgroup has a limit: nobody is asked.
    NoLimit,
    /// Something could not be done.
    Failed(String),
}

/// A policy that is asked.
#[derive(Debug)]
pub struct Engine<'s> {
    system: System<'s>,
    decider: Decider,
    attached: Cgroup,
    /// Only one engine has a cgroup. The lock goes with the process.
    _lock: File,
    headroom: Headroom,
    domains: Vec<Domain>,
    watch: Watch,
    looked: Instant,
    /// Decisions so far.
    event: u64,
    /// Number of the last record that was told.
    told: u64,
    had_limit: Option<bool>,
}

impl<'s> Engine<'s> {
    /// Loads the policy of an object for a cgroup. `headroom` is in bytes; `folder` is where an engine leaves what the next
    /// one has to put back, and belongs to root.
    ///
    /// # Errors
    /// [`Error::Kernel`] with what this kernel lacks; [`Error::Busy`] when another engine has the cgroup.
    pub fn start(
        system: System<'s>,
        object: &Object,
        target: &Target,
        settings: &Settings<'_>,
        headroom: u64,
        folder: &Path,
    ) -> Result<Self> {
        let attached = cgroup::open(&system, target)?;
        if let Some(why) = &attached.no_memory {
            let what = format!("{} has no memory controller: {why}", attached.path);
            return Err(Error::Kernel(vec![Missing { what, help: "" }]));
        }
        let lock = lock(folder, &attached)?;
        let decider = Decider::load(&system, object, settings)?;
        let headroom = Headroom::new(folder, attached.id, headroom);
        headroom.put_back_all()?;
        let engine = Self {
            system,
            decider,
            attached,
            _lock: lock,
            headroom,
            domains: Vec::new(),
            watch: Watch::new()?,
            looked: Instant::now(),
            event: 0,
            told: 0,
            had_limit: None,
        };
        engine.watch.directory(&engine.attached.place)?;
        Ok(engine)
    }

    /// The policy's name.
    #[must_use]
    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// Path of the cgroup.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.attached.path
    }

    /// Can be read when a domain met its `memory.high`, or cgroups came or went.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// How long to wait at most before the next look.
    #[must_use]
    pub fn pause(&self) -> Duration {
        if self.domains.iter().any(|domain| domain.flight.is_some()) {
            return SOON;
        }
        let rest = self.domains.iter().filter_map(|domain| domain.rests_for()).min();
        let look = LOOK.saturating_sub(self.looked.elapsed());
        rest.map_or(look, |rest| rest.min(look))
    }

    /// Looks at all domains, and asks the policy about those that are about to run out.
    ///
    /// # Errors
    /// When the attached cgroup is gone, or the kernel refuses what never fails.
    pub fn look(&mut self) -> Result<Vec<Happened>> {
        let mut happened = Vec::new();
        let something = self.watch.happened()?;
        if something || self.had_limit.is_none() || self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.find_domains(&mut happened)?;
        }
        for index in 0..self.domains.len() {
            self.look_at(index, &mut happened)?;
        }
        Ok(happened)
    }

    /// Puts back what was changed.
    ///
    /// # Errors
    /// When a file of a cgroup that is there refuses.
    pub fn stop(self) -> Result<()> {
        self.headroom.put_back_all()
    }

    /// Finds the cgroups with limits, and gives each its headroom.
    fn find_domains(&mut self, happened: &mut Vec<Happened>) -> Result<()> {
        let gone = || Error::Cgroup { path: self.attached.path.clone(), reason: "it was removed".to_owned() };
        let found = domain::find(&self.attached).ok_or_else(gone)?;
        if self.had_limit.replace(!found.is_empty()) != Some(!found.is_empty()) && found.is_empty() {
            happened.push(Happened::NoLimit);
        }
        self.domains.retain(|domain| found.iter().any(|found| found.id == domain.id));
        for place in domain::places(&self.attached) {
            self.watch.directory(&place)?;
        }
        for new in found {
            let known = self.domains.iter_mut().find(|domain| domain.id == new.id);
            let limit = new.limit;
            let domain = match known {
                Some(known) if known.limit == limit => continue,
                Some(known) => {
                    known.limit = limit;
                    known
                }
                None => {
                    self.watch.file(&new.place.join("memory.events"))?;
                    self.watch.file(&new.place.join("memory.max"))?;
                    self.domains.push(new);
                    let Some(last) = self.domains.last_mut() else { continue };
                    last
                }
            };
            match self.headroom.give(domain) {
                Ok(headroom::Given::Set(high)) => {
                    happened.push(Happened::High { cgroup: domain.path.clone(), high });
                }
                Ok(headroom::Given::Lower) => happened.push(Happened::Lower { cgroup: domain.path.clone() }),
                Ok(headroom::Given::AsBefore) => {}
                Err(error) => happened.push(Happened::Failed(error.to_string())),
            }
        }
        Ok(())
    }

    fn look_at(&mut self, index: usize, happened: &mut Vec<Happened>) -> Result<()> {
        let Some(domain) = self.domains.get_mut(index) else { return Ok(()) };
        if let Some(killed) = domain.killed_otherwise() {
            domain.rest(REST);
            let cgroup = domain.path.clone();
            happened.push(Happened::KernelKilled { cgroup, killed });
        }
        if let Some(flight) = &mut domain.flight {
            let Some(outcome) = flight.landed(&domain.place, domain.limit, PATIENCE) else { return Ok(()) };
            domain.flight = None;
            happened.push(Happened::Became(outcome));
        }
        // A cgroup that is going away has no usage.
        let Some(usage) = domain.usage() else { return Ok(()) };
        if usage < self.headroom.from(domain.limit) || domain.rests_for().is_some() {
            return Ok(());
        }
        self.decide(index, happened)
    }

    /// One decision about a domain.
    fn decide(&mut self, index: usize, happened: &mut Vec<Happened>) -> Result<()> {
        let Some(domain) = self.domains.get_mut(index) else { return Ok(()) };
        // Brings the statistics up to date.
        if fs::read(domain.place.join("memory.stat")).is_err() {
            return Ok(());
        }
        self.event += 1;
        let mut question = Question::begin(self.event, domain.id, self.attached.id, false, Trigger::Limit);
        let mut flight = Flight::default();
        for _ in 0..STEPS {
            let answer = self.decider.ask(&self.system, &question)?;
            match answer.kind {
                Kind::End => {
                    self.tell(happened)?;
                    return self.end(index, answer.progress, flight);
                }
                // It is gone, and with it the question.
                Kind::Gone => return Ok(()),
                Kind::Stale => {
                    return Err(Error::Unexpected(
                        "somebody else has asked the policy in between".to_owned(),
                    ));
                }
                _ => {}
            }
            let Some(domain) = self.domains.get_mut(index) else { return Ok(()) };
            // The kernel's own killer was faster: nobody else has to die.
            if let Some(killed) = domain.killed_otherwise() {
                domain.rest(REST);
                happened.push(Happened::KernelKilled { cgroup: domain.path.clone(), killed });
                return Ok(());
            }
            let done = carry_out(&answer, domain, &mut flight)?;
            question = question.after(&answer, &done);
        }
        Err(Error::Unexpected(format!("a decision did not end after {STEPS} steps")))
    }

    /// What follows from a decision that has ended.
    fn end(&mut self, index: usize, progress: bool, flight: Flight) -> Result<()> {
        let Some(domain) = self.domains.get_mut(index) else { return Ok(()) };
        if flight.is_empty() {
            // Of a rise the new limit is seen at the next look; nothing else can be expected to change at once.
            if progress {
                self.looked = Instant::now().checked_sub(LOOK).unwrap_or(self.looked)
            } else {
                domain.rest(REST)
            }
        } else {
            domain.flight = Some(flight.of(self.told));
        }
        Ok(())
    }

    /// The records that were not told yet.
    fn tell(&mut self, happened: &mut Vec<Happened>) -> Result<()> {
        for record in self.decider.records(&self.system)? {
            if record.number > self.told {
                self.told = record.number;
                happened.push(Happened::Decision(Box::new(record)));
            }
        }
        Ok(())
    }
}

/// Takes the lock of a cgroup.
fn lock(folder: &Path, attached: &Cgroup) -> Result<File> {
    let place: PathBuf = folder.join(format!("engine-{}", attached.id));
    let file = File::options().create(true).truncate(false).write(true).open(&place);
    let file = file.map_err(Error::file("open", &place))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { cgroup: attached.path.clone() }),
        Err(fs::TryLockError::Error(error)) => Err(Error::file("lock", &place)(error)),
    }
}
