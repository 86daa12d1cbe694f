//! What a running engine shows of the policy that it asks, in a folder of pins of its own: settings, counters, records,
//! labels, the policy's text. So the commands that look at an attached policy, or change it, find it.
//!
//! The engine has the lock of the folder as long as it lives, and the kernel takes it with the process: a folder whose
//! lock nobody has was left by an engine that was killed. `meta` is pinned last, so a folder with it is whole. The program
//! is never pinned, nor what it is asked by: whoever can run it can make it kill.

use std::os::fd::{AsFd as _, OwnedFd};

use oomc_abi::maps;

use crate::bpf::Bpf;
use crate::cgroup::{self, Cgroup, Target};
use crate::decide::Decider;
use crate::error::{Error, Result};
use crate::foreign;
use crate::load;
use crate::object::{Meta, Object};
use crate::outcome::{self, Outcome};
use crate::pins::{self, Folder, Left, Pins};
use crate::status::{self, AskedBy, Gone};
use crate::survey::survey;
use crate::sys::Lock;
use crate::system::System;
use crate::unload::{Unloaded, sweep};

/// The maps that are pinned, as far as a policy has them.
const MAPS: [&str; 5] = [maps::CONFIG, maps::STATS, maps::RECORDS, maps::LABELS, maps::COUNTERS];
/// Who asks: a key of what is kept of the object.
const ASKED_BY: &str = "asked_by";

/// The folder of an engine that lives.
#[derive(Debug)]
pub struct Shown {
    /// Id of the cgroup. Not its folder, which has the lock of all pins with it.
    cgroup: u64,
    outcomes: OwnedFd,
    /// The lock.
    _dir: OwnedFd,
}

/// What the folder of an engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Of one that runs; the id of the policy's settings.
    Asked { load_id: u32 },
    /// Of one that runs no more.
    Abandoned,
    /// Not whole, or not there.
    Unfinished,
}

/// Looks whether the engine of a folder runs.
pub(crate) fn state(bpf: Bpf<'_>, folder: &Folder) -> Result<State> {
    let Some(dir) = folder.dir(bpf)? else { return Ok(State::Unfinished) };
    let Some(config) = folder.open(bpf, maps::CONFIG)? else { return Ok(State::Unfinished) };
    if folder.open(bpf, pins::META)?.is_none() {
        return Ok(State::Unfinished);
    }
    // A lock that is got is given back with the descriptor.
    if bpf.lock(dir.as_fd(), Lock::Shared, false, &folder.place())? {
        return Ok(State::Abandoned);
    }
    Ok(State::Asked { load_id: bpf.map_info(config.as_fd(), maps::CONFIG)?.id })
}

/// Who asks, by what is kept beside the pins.
pub(crate) fn asked_by(meta: &Meta) -> AskedBy {
    AskedBy::named(meta.get(ASKED_BY)).unwrap_or(AskedBy::Engine)
}

/// Pins what is shown of a policy. Gives, too, what an engine before had left for this cgroup.
///
/// # Errors
/// [`Error::Busy`] when an engine runs for this cgroup.
pub(crate) fn publish(
    system: &System<'_>,
    object: &Object,
    decider: &Decider,
    cgroup: &Cgroup,
    by: AskedBy,
) -> Result<(Shown, Vec<Gone>)> {
    let bpf = system.bpf();
    let pins = Pins::lock(system)?;
    let survey = survey(bpf, &pins)?;
    survey.readable(cgroup.id)?;
    if survey.asked.iter().any(|asked| asked.folder.id == cgroup.id) {
        return Err(Error::Busy { cgroup: cgroup.path.clone() });
    }
    let mut removed = Unloaded::default();
    sweep(bpf, &survey.unfinished, &mut removed);
    let mut gone = Vec::new();
    for old in survey.abandoned.iter().filter(|old| old.id == cgroup.id) {
        gone.push(Gone { was: status::attached(bpf, old)?, cgroup_exists: true, before: false });
        removed.left.extend(old.remove(bpf)?);
    }
    if let Some(Left { place, why, .. }) = removed.left.into_iter().find(|left| left.id == Some(cgroup.id)) {
        return Err(Error::Place { call: "a look", place, why, help: "look who put it there".to_owned() });
    }
    let folder = pins.engine_folder(cgroup.id);
    match fill(bpf, object, decider, cgroup, by, &folder) {
        Ok(shown) => Ok((shown, gone)),
        Err(error) => {
            // The first error is the one to tell. What this leaves is a folder that is not whole.
            let _ = folder.remove(bpf);
            Err(error)
        }
    }
}

fn fill(
    bpf: Bpf<'_>,
    object: &Object,
    decider: &Decider,
    cgroup: &Cgroup,
    by: AskedBy,
    folder: &Folder,
) -> Result<Shown> {
    folder.create(bpf)?;
    let vanished = || Error::Unexpected(format!("{} has vanished", folder.place().display()));
    let dir = folder.dir(bpf)?.ok_or_else(vanished)?;
    // Somebody who looks without the lock of all pins may have it for a moment.
    bpf.lock(dir.as_fd(), Lock::Exclusive, true, &folder.place())?;
    for name in MAPS {
        if let Some(map) = decider.map(name) {
            folder.pin(bpf, map, &pins::of_map(name))?;
        }
    }
    let outcomes = bpf.map_create(&outcome::map())?;
    folder.pin(bpf, outcomes.as_fd(), maps::OUTCOMES)?;
    load::keep(bpf, folder, pins::SOURCE, &object.source)?;
    let mut meta = foreign::remembered(object, &cgroup.path);
    meta.lines.retain(|(key, _)| key != ASKED_BY);
    meta.lines.push((ASKED_BY.to_owned(), by.name().to_owned()));
    load::keep(bpf, folder, pins::META, &meta.text())?;
    Ok(Shown { cgroup: cgroup.id, outcomes, _dir: dir })
}

impl Shown {
    /// Shows the policy of a decider that asks for a cgroup, for whoever asks without an [`Engine`](crate::engine::Engine).
    ///
    /// # Errors
    /// [`Error::Busy`] when an engine runs for this cgroup.
    pub fn of(system: &System<'_>, object: &Object, decider: &Decider, target: &Target) -> Result<Self> {
        let cgroup = cgroup::open(system, target)?;
        Ok(publish(system, object, decider, &cgroup, AskedBy::Engine)?.0)
    }

    /// Keeps what became of a decision beside its record.
    pub(crate) fn keep(&self, bpf: Bpf<'_>, outcome: &Outcome) -> Result<()> {
        outcome::keep(bpf, &self.outcomes, outcome)
    }

    /// Removes the folder, at the engine's clean end; gives what stays there.
    ///
    /// # Errors
    /// When the pins cannot be locked or removed.
    pub fn remove(self, system: &System<'_>) -> Result<Vec<Left>> {
        match Pins::lock_existing(system)? {
            Some(pins) => pins.engine_folder(self.cgroup).remove(system.bpf()),
            None => Ok(Vec::new()),
        }
    }
}
