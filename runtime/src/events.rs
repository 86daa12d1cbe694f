//! Records of decisions: the last ones, which the policy keeps in an array, and new ones, which it sends.
//!
//! Takes pins, gives [`Record`]s. Sent records are taken by one reader only, so a second one looks into the array
//! instead: it sees the same as long as no more decisions come between two looks than the array keeps.

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use aya::maps::{Map, MapData, RingBuf};
use oomc_abi::declared::Declared;
use oomc_abi::maps::{EVENTS, RECORDS};
use oomc_abi::record::{KEPT, Record};

use crate::bpf::Bpf;
use crate::cgroup::Target;
use crate::error::{Error, Result};
use crate::pins::{self, Folder};
use crate::status;
use crate::system::System;

/// How often a record is read that is being written.
const TRIES: u32 = 3;

/// A policy and its records, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decisions {
    /// Path of the cgroup that the policy is attached to.
    pub cgroup: String,
    /// `name@hash`.
    pub policy: String,
    /// What it declares.
    pub declared: Declared,
    /// The last ones.
    pub records: Vec<Record>,
}

/// The last decisions of every policy of ours, or of one cgroup's.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has no policy of ours.
pub fn decisions(system: &System<'_>, only: Option<&Target>) -> Result<Vec<Decisions>> {
    status::with_living(system, only, |attached, folder| {
        Ok(Decisions {
            records: kept(system.bpf(), folder)?,
            declared: attached.meta.declared(),
            cgroup: attached.cgroup,
            policy: attached.policy,
        })
    })
}

/// The records in a policy's array, the oldest first.
pub(crate) fn kept(bpf: Bpf<'_>, folder: &Folder) -> Result<Vec<Record>> {
    match folder.open(bpf, RECORDS)? {
        Some(map) => records(bpf, &map),
        None => Ok(Vec::new()),
    }
}

fn records(bpf: Bpf<'_>, map: &OwnedFd) -> Result<Vec<Record>> {
    let info = bpf.map_info(map.as_fd(), RECORDS)?;
    let mut value = vec![0; info.value_size as usize];
    let mut found = Vec::new();
    for slot in 0..KEPT.min(info.max_entries) {
        for _ in 0..TRIES {
            bpf.element(map.as_fd(), slot, &mut value, RECORDS)?;
            // Empty or being written.
            if let Some(record) = Record::read(&value) {
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
    Sent { ring: Box<RingBuf<MapData>>, _lock: File },
    /// The array.
    Kept(OwnedFd),
}

/// Somebody who waits for the decisions of one policy.
pub struct Follower<'s> {
    /// Path of the cgroup that the policy is attached to.
    pub cgroup: String,
    /// `name@hash`.
    pub policy: String,
    /// What it declares.
    pub declared: Declared,
    bpf: Bpf<'s>,
    source: Source,
    link: PathBuf,
    /// Number of the last record that was given.
    last: u64,
    waiting: VecDeque<Record>,
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("cgroup", &self.cgroup).field("last", &self.last).finish()
    }
}

/// What a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A decision.
    Decision(Box<Record>),
    /// So many decisions came too fast.
    Missed(u64),
}

/// Follows every policy of ours, or one cgroup's, from the decisions that are kept on.
///
/// # Errors
/// As [`decisions`].
pub fn follow<'s>(system: &System<'s>, only: Option<&Target>) -> Result<Vec<Follower<'s>>> {
    status::with_living(system, only, |attached, folder| {
        let bpf = system.bpf();
        let source = match sent(folder)? {
            Some(source) => source,
            None => {
                let map = folder.open(bpf, RECORDS)?;
                let lacks = || Error::Unexpected(format!("{} keeps no records", attached.policy));
                Source::Kept(map.ok_or_else(lacks)?)
            }
        };
        Ok(Follower {
            declared: attached.meta.declared(),
            cgroup: attached.cgroup,
            policy: attached.policy,
            bpf,
            source,
            link: folder.path(pins::LINK),
            last: 0,
            waiting: kept(bpf, folder)?.into(),
        })
    })
}

/// The ring buffer, unless somebody else reads it.
fn sent(folder: &Folder) -> Result<Option<Source>> {
    let path = folder.path(EVENTS);
    if !path.exists() {
        return Ok(None);
    }
    let lock = File::open(folder.place()).map_err(Error::file("open", folder.place()))?;
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    let broken = |error: aya::maps::MapError| {
        Error::Unexpected(format!("cannot read the ring buffer {}: {error}", path.display()))
    };
    let data = MapData::from_pin(&path).map_err(broken)?;
    let ring = RingBuf::try_from(Map::RingBuf(data)).map_err(broken)?;
    Ok(Some(Source::Sent { ring: Box::new(ring), _lock: lock }))
}

impl Follower<'_> {
    /// The next thing that has been seen. None: nothing new yet.
    ///
    /// # Errors
    /// When the kernel refuses to show the records.
    pub fn poll(&mut self) -> Result<Option<Seen>> {
        if self.waiting.is_empty() {
            self.look()?;
        }
        let Some(record) = self.waiting.pop_front() else { return Ok(None) };
        let expected = self.last + 1;
        if self.last != 0 && record.number > expected {
            let missed = record.number - expected;
            self.last = record.number - 1;
            self.waiting.push_front(record);
            return Ok(Some(Seen::Missed(missed)));
        }
        self.last = record.number;
        Ok(Some(Seen::Decision(Box::new(record))))
    }

    fn look(&mut self) -> Result<()> {
        let last = self.last;
        match &mut self.source {
            Source::Sent { ring, .. } => {
                while let Some(item) = ring.next() {
                    self.waiting.extend(Record::read(&item).filter(|record| record.number > last));
                }
            }
            Source::Kept(map) => {
                let records = records(self.bpf, map)?;
                self.waiting.extend(records.into_iter().filter(|record| record.number > last));
            }
        }
        Ok(())
    }

    /// Whether the policy is still attached.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.link.exists()
    }
}
