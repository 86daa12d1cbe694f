//! Asks a policy on a kernel that asks none itself, and does what it says: before memory has run out.
//!
//! The attached cgroup and every cgroup below it with a limit of its own is a *domain*. Each has `memory.high` a little
//! below its limit ([`headroom`]), so that the kernel slows it down there and counts it in `memory.events`, which wakes the
//! engine. A domain whose usage is in its headroom is about to run out: the policy is asked, and what it says is done
//! ([`act`]). One victim at a time: until its memory is back, or ten seconds have passed, nobody else is killed there.
//!
//! Rules in `on` blocks are asked when what they watch has happened ([`watched`]), with what they sample ([`sample`]); the
//! others when a domain is about to run out, or with `--system` the machine ([`shortage`]).
//!
//! What cannot be promised: a process that takes all of the headroom before the engine has looked meets the limit, and the
//! kernel's own killer. Its kills are counted and told; where one is seen before the engine acts, nobody else dies, and
//! the time between that look and the engine's own kill is all in which both can kill ([`Happened::KernelKilled`]).
//!
//! Everything that is changed is put back at the end; after a death of the engine, by the next one for the same cgroup.

mod act;
mod blocks;
mod decision;
mod domain;
mod headroom;
mod sample;
mod shortage;
mod watched;

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oomc_abi::maps;
use oomc_abi::record::Record;
use oomc_abi::watch::Block;

use crate::cgroup::{self, Cgroup, Target};
use crate::decide::Decider;
use crate::engine_pins::{self, Shown};
use crate::error::{Error, Result};
use crate::labels::Refreshed;
use crate::load::{self, Settings};
use crate::object::Object;
use crate::outcome::Outcome;
use crate::pins::Left;
use crate::preflight::Missing;
use crate::status::{AskedBy, Gone};
use crate::system::System;
use crate::watch::Watch;
use blocks::Blocks;
use decision::{About, Asker};
use domain::{Domain, Reach, Tree};
pub use headroom::DEFAULT as DEFAULT_HEADROOM;
use headroom::Headroom;
use shortage::Shortage;
use watched::Subject;

/// How long a victim's memory is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks for cgroups with limits, if nothing is heard of them: what is written through another mount of the
/// cgroups nobody hears.
const LOOK: Duration = Duration::from_secs(10);
/// How often it is looked for cgroups that appeared meanwhile.
const ROUNDS: usize = 3;
/// Files of a cgroup that say which cgroups have limits.
const LIMITS: [&str; 2] = ["memory.max", "cgroup.subtree_control"];
/// Between two looks for kills of the kernel's, and whether the cgroup is there, where nothing happens.
const CALM: Duration = Duration::from_secs(1);
/// After a decision that did nothing, or a kill of the kernel's, a domain is left alone for so long.
const REST: Duration = Duration::from_secs(1);
/// While something is waited for.
const SOON: Duration = Duration::from_millis(5);

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
    /// No cgroup has a limit: no rule outside of `on` blocks is asked.
    NoLimit,
    /// Something could not be done.
    Failed(String),
}

/// A policy that is asked.
#[derive(Debug)]
pub struct Engine<'s> {
    asker: Asker<'s>,
    attached: Cgroup,
    /// The attached cgroup, as its `on` blocks see it.
    own: Domain,
    /// Only one engine has a cgroup. The lock goes with the process.
    _lock: File,
    /// What commands see of the policy.
    shown: Shown,
    begun: Begun,
    headroom: Headroom,
    /// Those about which rules outside of `on` blocks are asked.
    domains: Vec<Domain>,
    blocks: Blocks,
    /// With `--system`.
    shortage: Option<Shortage>,
    watch: Watch,
    /// Cgroups below the attached one whose directories are watched.
    known: HashSet<u64>,
    looked: Instant,
    /// When the attached cgroup was seen last.
    there: Instant,
    had_limit: Option<bool>,
}

/// Which rules are asked from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// All of them.
    All,
    /// Those in `on` blocks: the kernel asks the others.
    Blocks,
}

/// What an engine found at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begun {
    /// Labels that extended attributes gave.
    pub labels: Refreshed,
    /// What an engine had left that was killed; its records were removed.
    pub gone: Vec<Gone>,
}

/// How an engine is started.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Which rules it asks.
    pub rules: Rules,
    /// How far below a limit a cgroup is about to run out, in bytes.
    pub headroom: u64,
    /// Where an engine leaves what the next one has to put back; belongs to root.
    pub folder: &'a Path,
}

impl Rules {
    fn asked_by(self) -> AskedBy {
        match self {
            Self::All => AskedBy::Engine,
            Self::Blocks => AskedBy::EngineBlocks,
        }
    }
}

impl<'s> Engine<'s> {
    /// Loads the policy of an object for a cgroup.
    ///
    /// # Errors
    /// [`Error::Kernel`] with what this kernel lacks; [`Error::Busy`] when another engine has the cgroup.
    pub fn start(
        system: System<'s>,
        object: &Object,
        target: &Target,
        settings: &Settings<'_>,
        start: &Start<'_>,
    ) -> Result<Self> {
        let attached = cgroup::open(&system, target)?;
        if let Some(why) = &attached.no_memory {
            let what = format!("{} has no memory controller: {why}", attached.path);
            return Err(Error::Kernel(vec![Missing { what, help: "" }]));
        }
        let lock = lock(start.folder, &attached)?;
        let decider = Decider::load(&system, object, settings)?;
        let map = decider.map(maps::LABELS);
        let labels = load::label(&system, map, &attached, decider.declared(), settings.literal)?;
        let headroom = Headroom::new(start.folder, attached.id, start.headroom);
        headroom.put_back_all()?;
        let machine = *target == Target::System;
        let subject = Subject { place: &attached.place, machine };
        let blocks = Blocks::new(decider.declared(), subject, start.rules)?;
        let (watch, by) = (Watch::new()?, start.rules.asked_by());
        // Last: what fails leaves nothing.
        let (shown, gone) = engine_pins::publish(&system, object, &decider, &attached, by)?;
        let engine = Self {
            asker: Asker::new(system, decider, attached.id),
            own: Domain::attached(&attached, machine),
            attached,
            _lock: lock,
            shown,
            begun: Begun { labels, gone },
            headroom,
            domains: Vec::new(),
            blocks,
            shortage: machine.then(Shortage::default),
            watch,
            known: HashSet::new(),
            looked: Instant::now(),
            there: Instant::now(),
            had_limit: None,
        };
        Ok(engine)
    }

    /// The policy.
    #[must_use]
    pub fn decider(&self) -> &Decider {
        &self.asker.decider
    }

    /// Path of the cgroup.
    #[must_use]
    pub fn cgroup(&self) -> &str {
        &self.attached.path
    }

    /// What was found at the start.
    #[must_use]
    pub fn begun(&self) -> &Begun {
        &self.begun
    }

    /// What is watched besides limits.
    pub fn watched(&self) -> impl Iterator<Item = &Block> {
        self.blocks.all()
    }

    /// Can be read when a domain met its `memory.high`, or cgroups came or went.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }

    /// Have something urgent to say when the kernel's own triggers fire.
    pub fn urgent(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.blocks.descriptors()
    }

    /// Which of [`Self::urgent`] have said something, in their order: before the next look.
    pub fn hear(&mut self, urgent: &[bool]) {
        self.blocks.hear(urgent);
    }

    /// How long to wait at most before the next look.
    #[must_use]
    pub fn pause(&self) -> Duration {
        let flights = self.domains.iter().filter_map(|domain| Some(domain.flight.as_ref()?.pause(SOON)));
        let rests = self.domains.iter().filter_map(|domain| domain.rests_for());
        let looks = [Some(LOOK.saturating_sub(self.looked.elapsed())), self.blocks.pause(SOON)];
        let shortage = self.shortage.as_ref().filter(|_| self.needs_limits()).map(Shortage::pause);
        let all = flights.chain(rests).chain(looks.into_iter().flatten()).chain(shortage);
        all.min().unwrap_or(LOOK)
    }

    /// Looks at what is watched and at all domains, and asks the policy about what has happened, and about those that are
    /// about to run out.
    ///
    /// # Errors
    /// When the attached cgroup is gone, or the kernel refuses what never fails.
    pub fn look(&mut self) -> Result<Vec<Happened>> {
        let mut happened = Vec::new();
        self.look_around(&mut happened)?;
        self.keep(&happened)?;
        Ok(happened)
    }

    fn look_around(&mut self, happened: &mut Vec<Happened>) -> Result<()> {
        let changes = self.watch.changes(&LIMITS)?;
        if self.there.elapsed() >= CALM {
            // Nobody hears that a directory is removed which is held open.
            self.there = Instant::now();
            if !self.own.is_there() {
                return Err(self.gone());
            }
        }
        if changes.tree || self.had_limit.is_none() || self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.find_domains(happened)?;
        }
        let limit = self.limit_reach();
        let progress = self.blocks.look(&mut self.asker, &mut self.own, limit, happened)?;
        if progress || !self.blocks.has_bare_rules() {
            return Ok(());
        }
        for domain in &mut self.domains {
            let reach = if self.own.machine { limit } else { domain.reach(&self.headroom) };
            let waits = domain.id == self.own.id && self.blocks.expects_memory();
            let about = reach == Reach::There;
            if about || changes.any || domain.flight.is_some() || domain.kills_unseen_for(CALM) {
                look_at(&mut self.asker, domain, about && !waits, happened)?;
            }
        }
        Ok(())
    }

    /// Puts back what was changed, and takes away what commands see; gives what stays there.
    ///
    /// # Errors
    /// When a file of a cgroup that is there refuses.
    pub fn stop(self) -> Result<Vec<Left>> {
        self.headroom.put_back_all()?;
        self.shown.remove(&self.asker.system)
    }

    /// Puts back what was changed, and leaves the records to be read: the engine ends because something is wrong.
    ///
    /// # Errors
    /// As [`Self::stop`].
    pub fn abandon(self) -> Result<()> {
        self.headroom.put_back_all()
    }

    /// Keeps what became of decisions beside their records.
    fn keep(&self, happened: &[Happened]) -> Result<()> {
        happened.iter().try_for_each(|happened| match happened {
            Happened::Became(outcome) => self.shown.keep(self.asker.system.bpf(), outcome),
            _ => Ok(()),
        })
    }

    /// Whether it matters how near a limit is.
    fn needs_limits(&self) -> bool {
        self.blocks.has_bare_rules() || self.blocks.watch_limit()
    }

    /// How near the attached cgroup, or the machine, is to running out.
    fn limit_reach(&mut self) -> Reach {
        match &mut self.shortage {
            Some(shortage) => shortage.look(),
            None => self.own.reach(&self.headroom),
        }
    }

    fn gone(&self) -> Error {
        Error::Cgroup { path: self.attached.path.clone(), reason: "it was removed".to_owned() }
    }

    /// The cgroups that can be about to run out. The machine is one.
    fn tree(&mut self) -> Result<Vec<Domain>> {
        if self.own.machine {
            return Ok(vec![Domain::attached(&self.attached, true)]);
        }
        let mut rounds = 0;
        loop {
            let Tree { domains, places } = domain::find(&self.attached).ok_or_else(|| self.gone())?;
            rounds += 1;
            let new: Vec<_> = places.iter().filter(|(id, _)| !self.known.contains(id)).collect();
            for (_, place) in &new {
                self.watch.directory(place)?;
            }
            let all_known = new.is_empty();
            self.known = places.into_iter().map(|(id, _)| id).collect();
            // What appeared in a directory before it was watched is seen in another round; where cgroups come all the time,
            // at the next look.
            if all_known || rounds == ROUNDS {
                return Ok(domains);
            }
        }
    }

    /// Finds the cgroups with limits, and gives each its headroom.
    fn find_domains(&mut self, happened: &mut Vec<Happened>) -> Result<()> {
        let mut found = self.tree()?;
        let own = found.iter().find(|domain| domain.id == self.own.id);
        self.own.limit = own.and_then(|domain| domain.limit);
        if !self.needs_limits() {
            found.clear();
        }
        let had_limit = self.had_limit.replace(!found.is_empty());
        if had_limit != Some(false) && found.is_empty() && self.needs_limits() {
            happened.push(Happened::NoLimit);
        }
        let (kept, gone): (Vec<Domain>, Vec<Domain>) = std::mem::take(&mut self.domains)
            .into_iter()
            .partition(|domain| found.iter().any(|found| found.id == domain.id));
        self.domains = kept;
        // Before another cgroup of the same name gets its own.
        for domain in gone {
            if let Err(error) = self.headroom.take_back(domain.id) {
                happened.push(Happened::Failed(error.to_string()));
            }
        }
        for new in found {
            self.know(new, happened)?;
        }
        Ok(())
    }

    /// Begins to look at a domain, or sees that its limit has changed.
    fn know(&mut self, new: Domain, happened: &mut Vec<Happened>) -> Result<()> {
        let limit = new.limit;
        let known = self.domains.iter_mut().find(|domain| domain.id == new.id);
        let domain = match known {
            Some(known) if known.limit == limit => return Ok(()),
            Some(known) => {
                known.limit = limit;
                known
            }
            None => {
                self.watch.file(&new.place.join("memory.events"))?;
                self.domains.push(new);
                let Some(last) = self.domains.last_mut() else { return Ok(()) };
                last
            }
        };
        let Some(limit) = limit else { return Ok(()) };
        match self.headroom.give(domain, limit) {
            Ok(headroom::Given::Set(high)) => {
                happened.push(Happened::High { cgroup: domain.path.clone(), high });
            }
            Ok(headroom::Given::Lower) => happened.push(Happened::Lower { cgroup: domain.path.clone() }),
            Ok(headroom::Given::AsBefore) => {}
            Err(error) => happened.push(Happened::Failed(error.to_string())),
        }
        Ok(())
    }
}

/// Looks at a domain, and asks the rules outside of `on` blocks if it is about to run out.
fn look_at(
    asker: &mut Asker<'_>,
    domain: &mut Domain,
    about_to_run_out: bool,
    happened: &mut Vec<Happened>,
) -> Result<()> {
    if let Some(killed) = domain.killed_otherwise() {
        domain.rest(REST);
        happened.push(Happened::KernelKilled { cgroup: domain.path.clone(), killed });
    }
    if let Some(flight) = &mut domain.flight {
        let Some(outcome) = flight.landed(&domain.place, domain.limit, PATIENCE) else { return Ok(()) };
        domain.flight = None;
        happened.push(Happened::Became(outcome));
    }
    if !about_to_run_out || domain.rests_for().is_some() {
        return Ok(());
    }
    let about = About::limit(domain.machine);
    let Some(ended) = asker.decide(domain, &about, happened)? else { return Ok(()) };
    if !ended.flight.is_empty() {
        domain.flight = Some(ended.flight.of(asker.told));
    } else {
        // Where a victim has ended by itself, nobody says when its memory is back.
        domain.rest(if ended.progress { SOON } else { REST });
    }
    Ok(())
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
