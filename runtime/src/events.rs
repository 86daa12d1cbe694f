//! Records of decisions: the last ones, which the policy keeps in an array, and new ones, which it sends.
//!
//! Takes pins, gives [`Record`]s. Sent records are taken by one reader only, so a second one looks into the array
//! instead: it sees the same as long as no more decisions come between two looks than the array keeps.

use std::collections::VecDeque;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapData, RingBuf};
use oomc_abi::declared::Declared;
use oomc_abi::maps::{EVENTS, OUTCOMES, RECORDS};
use oomc_abi::record::{FORMAT_KEY, Format, KEPT, Record};

use crate::bpf::Bpf;
use crate::cgroup::{self, Target};
use crate::error::{Error, Result};
use crate::object::Meta;
use crate::outcome::{self, Outcome};
use crate::pins::{Folder, Left};
use crate::preflight;
use crate::status::{self, AskedBy};
use crate::survey::{Living, present};
use crate::sys::Lock;
use crate::system::System;

/// How often a record is read that is being written.
const TRIES: u32 = 3;

/// A policy and its records, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// Path of the cgroup that the policy is attached to, or was.
    pub cgroup: String,
    /// It is not attached, or asked, any more.
    pub gone: bool,
    /// Who asks it, or did.
    pub asked_by: AskedBy,
    /// `name@hash`.
    pub policy: String,
    /// What it declares.
    pub declared: Declared,
    /// The last ones.
    pub records: Vec<Record>,
    /// What became of them, as far as somebody looked.
    pub outcomes: Vec<Outcome>,
}

impl Decisions {
    /// What became of a decision, if somebody looked.
    #[must_use]
    pub fn outcome(&self, record: &Record) -> Option<&Outcome> {
        self.outcomes.iter().find(|outcome| outcome.number == record.number)
    }
}

/// The last decisions of every policy of ours, or of one cgroup's, those that are gone included; and what could not be
/// read.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has no policy of ours.
pub fn decisions(system: &System<'_>, only: Option<&Target>) -> Result<(Vec<Decisions>, Vec<Left>)> {
    status::with_each(system, only, true, |attached, folder, living| {
        Ok(Decisions {
            gone: !living,
            asked_by: attached.asked_by,
            records: kept(system.bpf(), folder)?,
            outcomes: outcome::kept(system.bpf(), folder)?,
            declared: attached.meta.declared(),
            cgroup: attached.cgroup,
            policy: attached.policy,
        })
    })
}

/// The records in a policy's array, the oldest first.
pub(crate) fn kept(bpf: Bpf<'_>, folder: &Folder) -> Result<Vec<Record>> {
    match folder.open(bpf, RECORDS)? {
        Some(map) => records(bpf, &map, format(folder, &status::meta(bpf, folder)?)?),
        None => Ok(Vec::new()),
    }
}

/// The format in which a policy writes its records, if this oomc reads it.
pub(crate) fn format(folder: &Folder, meta: &Meta) -> Result<Format> {
    Format::named(meta.get(FORMAT_KEY)).map_err(|why| Error::Place {
        call: "a look",
        place: folder.place().join(RECORDS),
        why,
        help: String::new(),
    })
}

fn records(bpf: Bpf<'_>, map: &OwnedFd, format: Format) -> Result<Vec<Record>> {
    let info = bpf.map_info(map.as_fd(), RECORDS)?;
    if info.value_size as usize != format.bytes() {
        let (is, wanted) = (info.value_size, format.bytes());
        return Err(Error::Unexpected(format!(
            "its records have {is} bytes, and those of their format {wanted}"
        )));
    }
    let mut value = vec![0; info.value_size as usize];
    let mut found = Vec::new();
    for slot in 0..KEPT.min(info.max_entries) {
        for _ in 0..TRIES {
            bpf.element(map.as_fd(), slot, &mut value, RECORDS)?;
            // Empty or being written.
            if let Some(record) = format.read(&value) {
                found.push(record);
                break;
            }
        }
    }
    found.sort_by_key(|record| record.number);
    Ok(found)
}

/// Where a follower's records come from.
enum Source {
    /// The ring buffer; the lock keeps other readers away from it.
    Sent { ring: Box<RingBuf<MapData>>, _lock: OwnedFd },
    /// The array.
    Kept(OwnedFd),
}

/// The policy that something is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Path of the cgroup that the policy is attached to.
    pub cgroup: String,
    /// `name@hash`.
    pub policy: String,
    /// Id of the link: another one after each load, where links cannot be led to another policy; 0: an engine asks it.
    pub link: u32,
    /// Id of the map with the kernel's structure, or of the settings where an engine asks: another one after each load,
    /// the same one after a rollback.
    pub load: u32,
    /// What it declares.
    pub declared: Declared,
}

/// What is seen of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is attached: from now on, or already when this began.
    Attached,
    /// A decision.
    Decision(Box<Record>),
    /// So many decisions came too fast.
    Lost(u64),
    /// It is attached no more; nothing else comes of it.
    Detached,
    /// Its decisions cannot be read, for this reason.
    Unreadable(String),
}

/// Somebody who waits for the decisions of one policy.
struct Follower<'s> {
    of: Followed,
    bpf: Bpf<'s>,
    source: Source,
    format: Format,
    /// None: the policy was loaded by an oomc that kept none.
    outcomes: Option<OwnedFd>,
    /// Number of the last record that was given.
    last: u64,
    waiting: VecDeque<Record>,
}

impl Follower<'_> {
    fn is(&self) -> (u32, u32) {
        (self.of.link, self.of.load)
    }
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("of", &self.of).field("last", &self.last).finish()
    }
}

/// Somebody who waits for the decisions of every policy of ours, or of one cgroup's, over reloads.
#[derive(Debug)]
pub struct Follow<'s> {
    system: System<'s>,
    only: Option<Target>,
    /// Policies that an engine asks, too.
    asked: bool,
    followers: Vec<Follower<'s>>,
    /// Policies that cannot be followed; said once.
    broken: Vec<(u32, u32)>,
}

/// Follows policies that are attached from the decisions that are kept on; with `asked`, also those that an engine asks,
/// which tells its decisions itself.
///
/// # Errors
/// [`Error::Cgroup`] when there is no such cgroup; it may well have no policy yet.
pub fn follow<'s>(system: System<'s>, only: Option<&Target>, asked: bool) -> Result<Follow<'s>> {
    preflight::privilege(&system, true)?;
    if let Some(target) = only {
        cgroup::open(&system, target)?;
    }
    Ok(Follow { system, only: only.cloned(), asked, followers: Vec::new(), broken: Vec::new() })
}

impl Follow<'_> {
    /// What has been seen since the last time, in order for each policy; with `all`, also which policies come and go.
    /// Does not wait for anybody: while a policy is loaded or unloaded, that is seen the next time.
    ///
    /// # Errors
    /// When pins cannot be believed any more, or the kernel refuses to show them.
    pub fn look(&mut self, all: bool) -> Result<Vec<(Followed, Seen)>> {
        let mut seen = Vec::new();
        // Who is there first, and their decisions then: what a policy decides before it is unloaded is seen.
        let found = if all { present(&self.system, self.only.as_ref(), self.asked)? } else { None };
        let mut broken = Vec::new();
        for follower in &mut self.followers {
            if let Err(error) = follower.drain(&mut seen) {
                seen.push((follower.of.clone(), Seen::Unreadable(error.to_string())));
                broken.push(follower.is());
            }
        }
        self.followers.retain(|follower| !broken.contains(&follower.is()));
        self.broken.extend(broken);
        let Some(present) = found else { return Ok(seen) };
        self.followers.retain(|follower| {
            let lives = present.ids.contains(&follower.is());
            if !lives {
                seen.push((follower.of.clone(), Seen::Detached));
            }
            lives
        });
        for living in &present.wanted {
            let Living { folder, link_id, load_id } = living;
            let is = (*link_id, *load_id);
            if self.followers.iter().any(|follower| follower.is() == is) || self.broken.contains(&is) {
                continue;
            }
            let of = followed(&self.system, living);
            seen.push((of.clone(), Seen::Attached));
            let begun = Follower::new(self.system.bpf(), folder, of.clone());
            match begun.and_then(|mut one| one.drain(&mut seen).map(|()| one)) {
                Ok(follower) => self.followers.push(follower),
                Err(error) => {
                    seen.push((of, Seen::Unreadable(error.to_string())));
                    self.broken.push(is);
                }
            }
        }
        Ok(seen)
    }

    /// Keeps what became of a decision beside its record; a policy that is detached since keeps none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn keep(&self, of: &Followed, outcome: &Outcome) -> Result<()> {
        let follower = self.followers.iter().find(|follower| follower.is() == (of.link, of.load));
        match follower.and_then(|follower| follower.outcomes.as_ref()) {
            Some(map) => outcome::keep(self.system.bpf(), map, outcome),
            None => Ok(()),
        }
    }

    /// What can be read when a policy has decided.
    #[must_use]
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let rings = self.followers.iter().filter_map(|follower| match &follower.source {
            Source::Sent { ring, .. } => Some(ring.as_fd()),
            Source::Kept(_) => None,
        });
        rings.collect()
    }

    /// Whether somebody else reads what a policy sends, so that its decisions have to be looked for.
    #[must_use]
    pub fn has_to_look(&self) -> bool {
        self.followers.iter().any(|follower| matches!(follower.source, Source::Kept(_)))
    }

    /// The policies that are followed now.
    pub fn policies(&self) -> impl Iterator<Item = &Followed> {
        self.followers.iter().map(|follower| &follower.of)
    }

    /// Whether no policy is followed now.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.followers.is_empty()
    }
}

fn followed(system: &System<'_>, living: &Living) -> Followed {
    let Living { folder, link_id, load_id } = living;
    // Without it the decisions are told without names.
    let meta = status::meta(system.bpf(), folder).unwrap_or_default();
    let cgroup = cgroup::path(system, folder.id).unwrap_or_else(|| meta.get("cgroup").to_owned());
    let policy = status::name_of(&meta);
    Followed { cgroup, policy, link: *link_id, load: *load_id, declared: meta.declared() }
}

/// The ring buffer, unless somebody else reads it.
fn sent(bpf: Bpf<'_>, folder: &Folder) -> Result<Option<Source>> {
    let (Some(map), Some(dir)) = (folder.open(bpf, EVENTS)?, folder.dir(bpf)?) else { return Ok(None) };
    if !bpf.lock(dir.as_fd(), Lock::Exclusive, false, &folder.place())? {
        return Ok(None);
    }
    let broken = |error: aya::maps::MapError| {
        Error::Unexpected(format!("cannot read the ring buffer in {}: {error}", folder.place().display()))
    };
    let data = MapData::from_fd(map).map_err(broken)?;
    let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(broken)?;
    Ok(Some(Source::Sent { ring: Box::new(ring), _lock: dir }))
}

impl<'s> Follower<'s> {
    fn new(bpf: Bpf<'s>, folder: &Folder, of: Followed) -> Result<Self> {
        let source = match sent(bpf, folder)? {
            Some(source) => source,
            None => {
                let lacks = || Error::Unexpected(format!("{} keeps no records", of.policy));
                Source::Kept(folder.open(bpf, RECORDS)?.ok_or_else(lacks)?)
            }
        };
        let format = format(folder, &status::meta(bpf, folder)?)?;
        let outcomes = folder.open(bpf, OUTCOMES)?;
        Ok(Self { of, bpf, source, format, outcomes, last: 0, waiting: kept(bpf, folder)?.into() })
    }

    /// Everything that is new.
    fn drain(&mut self, seen: &mut Vec<(Followed, Seen)>) -> Result<()> {
        if self.waiting.is_empty() {
            self.look()?;
        }
        while let Some(record) = self.waiting.pop_front() {
            if self.last != 0 && record.number > self.last + 1 {
                seen.push((self.of.clone(), Seen::Lost(record.number - self.last - 1)));
            }
            self.last = record.number;
            seen.push((self.of.clone(), Seen::Decision(Box::new(record))));
        }
        Ok(())
    }

    fn look(&mut self) -> Result<()> {
        let last = self.last;
        match &mut self.source {
            Source::Sent { ring, .. } => {
                while let Some(item) = ring.next() {
                    self.waiting.extend(self.format.read(&item).filter(|record| record.number > last));
                }
            }
            Source::Kept(map) => {
                let records = records(self.bpf, map, self.format)?;
                self.waiting.extend(records.into_iter().filter(|record| record.number > last));
            }
        }
        Ok(())
    }
}
