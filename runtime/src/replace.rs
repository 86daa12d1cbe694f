//! One policy for another on the same cgroup, and back.
//!
//! The new one is prepared and pinned beside the old one before the old one is touched; then there are two calls between
//! which nobody is attached: the series has no update of a link. Where the kernel has one, the link is led from one version
//! to the other, and both have a pin of it. What an operator has set goes over: params that are not
//! as the old policy declares them, the mode if it was switched, labels. The old one keeps its pins, its program and its
//! records, detached: [`rollback`] attaches it again as it was, without the verifier. One version before is kept.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oomc_abi::declared::{Declared, Param};
use oomc_abi::maps::LABELS;

use crate::bpf::Bpf;
use crate::cgroup::{self, Cgroup, Target};
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::labels;
use crate::load::{self, Loaded, Settings, load_with};
use crate::object::Object;
use crate::pins::{self, Folder, Pins};
use crate::preflight;
use crate::status::{self, Attached};
use crate::struct_ops::{KernelOps, Led};
use crate::survey::{Living, Survey, survey};
use crate::system::System;

/// A policy that took the place of another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// The new one.
    pub loaded: Loaded,
    /// The one before, as it was; none: the cgroup had none.
    pub before: Option<Attached>,
    /// What went over to the new one.
    pub kept: Kept,
}

/// What an operator had set and what became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Params that keep their values.
    pub params: Vec<(Param, i64)>,
    /// The mode, if it had been switched.
    pub mode: Option<Mode>,
    /// How many labels stay on their cgroups.
    pub labels: u32,
    /// What the new policy does not take.
    pub lost: Vec<Lost>,
}

/// Something that was set and is not any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// `param step`, `label tier`.
    pub what: String,
    /// Why the new policy does not take it.
    pub why: String,
}

/// The version before is attached again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Path of the cgroup.
    pub cgroup: String,
    /// `name@hash` of the policy that was attached, and is now the version before.
    pub from: String,
    /// The policy that is attached now.
    pub to: Attached,
    /// How many labels went over.
    pub labels: u32,
}

/// Puts a policy in the place of the one that is attached to a cgroup; on a cgroup without one, loads it.
///
/// # Errors
/// The old policy stays attached, or is attached again: [`Error::NotReplaced`] says which policy is there then.
pub fn replace(
    system: &System<'_>,
    object: &Object,
    target: &Target,
    settings: &Settings<'_>,
) -> Result<Replaced> {
    load::admit(system, object, settings.foreign)?;
    let (cgroup, ready) = load::meet(system, object, target)?;
    let bpf = system.bpf();
    let pins = Pins::lock(system)?;
    let survey = survey(bpf, &pins)?;
    let Some(living) = survey.on(cgroup.id)? else {
        // The lock goes with the last folder that was found.
        drop((survey, pins));
        let loaded = load_with(system, object, target, settings)?;
        return Ok(Replaced { loaded, before: None, kept: Kept::default() });
    };
    let before = status::attached(bpf, &living.folder)?;
    let declared = object.meta.declared();
    let mut kept = Kept::default();
    let object = with_what_was_set(object, &declared, &before, settings, &mut kept)?;
    let parts = load::prepare(bpf, &object, &ready)?;
    let map = parts.map(&object, LABELS);
    carry_labels(bpf, &living.folder, &before.meta.declared(), map, &declared, &mut kept)?;
    let labels = load::label(system, map, &cgroup, &declared, settings.literal)?;
    let folder = living.folder.other();
    let gone = load::make_room(bpf, &survey, &folder)?;
    let staged = load::pin(bpf, &object, &parts, &cgroup, &folder)
        .and_then(|()| swap(bpf, &ready.ops, living, &folder, &cgroup, &before.policy));
    if let Err(error) = staged {
        // The first error is the one to tell. What this leaves is a folder without a link.
        let _ = folder.remove(bpf);
        return Err(error);
    }
    let loaded = Loaded { labels, gone, ..parts.loaded(&object, cgroup) };
    Ok(Replaced { loaded, before: Some(before), kept })
}

/// Attaches the version before again, with the params and the mode that it had. Labels are of cgroups, and go over.
///
/// # Errors
/// [`Error::NoVersion`] when none is kept, [`Error::Vacant`] when the cgroup has no policy of ours.
pub fn rollback(system: &System<'_>, target: &Target) -> Result<RolledBack> {
    let cgroup = cgroup::open(system, target)?;
    preflight::privilege(system, true)?;
    let bpf = system.bpf();
    let vacant = || Error::Vacant { cgroup: cgroup.path.clone() };
    let pins = Pins::lock_existing(system)?.ok_or_else(vacant)?;
    let survey = survey(bpf, &pins)?;
    let living = survey.on(cgroup.id)?.ok_or_else(vacant)?;
    let folder = before(&survey, living).ok_or_else(|| Error::NoVersion { cgroup: cgroup.path.clone() })?;
    let ops = KernelOps::find(&preflight::kernel_types(system)?).map_err(Error::Kernel)?;
    confirm(bpf, Some(&ops), folder)?;
    let now = status::meta(bpf, &living.folder)?;
    let to = status::attached(bpf, folder)?;
    let mut kept = Kept::default();
    let map = folder.open(bpf, LABELS)?;
    let map = map.as_ref().map(OwnedFd::as_fd);
    carry_labels(bpf, &living.folder, &now.declared(), map, &to.meta.declared(), &mut kept)?;
    let from = status::name_of(&now);
    swap(bpf, &ops, living, folder, &cgroup, &from)?;
    Ok(RolledBack { cgroup: cgroup.path.clone(), from, to, labels: kept.labels })
}

/// The version before the one that is attached.
fn before<'s>(survey: &'s Survey, living: &Living) -> Option<&'s Folder> {
    survey.gone.iter().find(|folder| folder.id == living.folder.id)
}

/// Refuses a struct_ops for something else than the handling of OOM events.
pub(crate) fn confirm(bpf: Bpf<'_>, ops: Option<&KernelOps>, folder: &Folder) -> Result<()> {
    let place = folder.place().join(pins::OPS);
    let why = |why: &str| Error::Place {
        call: "BPF_OBJ_GET_INFO_BY_FD",
        place: place.clone(),
        why: why.to_owned(),
        help: String::new(),
    };
    let map = folder.open(bpf, pins::OPS)?.ok_or_else(|| why("it is gone"))?;
    let value = bpf.map_info(map.as_fd(), pins::OPS)?.kernel_value_type;
    match ops {
        Some(ops) if ops.value_type == value => Ok(()),
        _ => Err(why("it is a struct_ops for something else than OOM events")),
    }
}

/// Leads the link from one version to the other; where links cannot be led, detaches one version and attaches the other
/// one, and if that fails, the first one again.
fn swap(
    bpf: Bpf<'_>,
    kernel: &KernelOps,
    living: &Living,
    to: &Folder,
    cgroup: &Cgroup,
    policy: &str,
) -> Result<()> {
    let from = &living.folder;
    confirm(bpf, Some(kernel), from)?;
    let missing =
        |folder: &Folder, pin: &str| Error::Unexpected(format!("{} has no {pin}", folder.place().display()));
    let ops = |folder: &Folder| folder.open(bpf, pins::OPS)?.ok_or_else(|| missing(folder, pins::OPS));
    let (before, after) = (ops(from)?, ops(to)?);
    let link = from.open(bpf, pins::LINK)?.ok_or_else(|| missing(from, pins::LINK))?;
    if kernel.profile.updates() {
        share_link(bpf, &link, living.link_id, to)?;
        let led = kernel.lead(bpf, link.as_fd(), before.as_fd(), after.as_fd(), &cgroup.path)?;
        if led == Led::Done {
            return Ok(());
        }
    }
    bpf.detach(link.as_fd())?;
    let Err(error) = take_over(bpf, kernel, &after, to, cgroup) else { return Ok(()) };
    let lost = take_over(bpf, kernel, &before, from, cgroup).err().map(|error| error.to_string());
    Err(Error::NotReplaced { policy: policy.to_owned(), lost, source: Box::new(error) })
}

/// Gives a folder a pin of this link, in the place of any other one.
fn share_link(bpf: Bpf<'_>, link: &OwnedFd, id: u32, to: &Folder) -> Result<()> {
    if let Some(old) = to.open(bpf, pins::LINK)? {
        if bpf.link_info(old.as_fd())?.id == id {
            return Ok(());
        }
        to.unpin(bpf, pins::LINK)?;
    }
    to.pin(bpf, link.as_fd(), pins::LINK)
}

/// Attaches the policy of a folder. Its link of before leads nowhere any more, and makes room for the new one.
fn take_over(
    bpf: Bpf<'_>,
    kernel: &KernelOps,
    ops: &OwnedFd,
    folder: &Folder,
    cgroup: &Cgroup,
) -> Result<()> {
    let link = load::attach(bpf, kernel, ops.as_fd(), cgroup)?;
    let occupied = || Error::Occupied { cgroup: cgroup.path.clone(), policy: None, foreign: true };
    let link = link.ok_or_else(occupied)?;
    if folder.open(bpf, pins::LINK)?.is_some() {
        folder.unpin(bpf, pins::LINK)?;
    }
    folder.pin(bpf, link.as_fd(), pins::LINK)
}

/// The object with what was set for the policy before, as far as it takes it, and then with the settings of this load.
fn with_what_was_set(
    object: &Object,
    declared: &Declared,
    before: &Attached,
    settings: &Settings<'_>,
    kept: &mut Kept,
) -> Result<Object> {
    let wanted = |name: &str| settings.params.iter().any(|assignment| assignment.name == name);
    // What is as the policy before declares it was not set by anybody.
    let set = before.params.iter().filter(|(param, value)| *value != param.default && !wanted(&param.name));
    for (old, value) in set {
        match takes(declared, old, *value) {
            Ok(param) => kept.params.push((param.clone(), *value)),
            Err(why) => kept.lost.push(Lost { what: format!("param {}", old.name), why }),
        }
    }
    let as_declared = before.meta.get("mode");
    let switched = before.mode.filter(|mode| !as_declared.is_empty() && mode.name() != as_declared);
    kept.mode = switched.filter(|_| settings.mode.is_none());
    let mut object = object.clone();
    if !kept.params.is_empty() || kept.mode.is_some() {
        Config::in_object(&mut object, |config| {
            kept.params.iter().try_for_each(|(param, value)| config.put(&param.name, *value))?;
            kept.mode.map_or(Ok(()), |mode| config.switch(mode))
        })?;
    }
    if settings.mode.is_none() && settings.params.is_empty() {
        return Ok(object);
    }
    load::with_settings(&object, declared, settings)
}

/// The param of a policy that takes the value of one of another policy.
fn takes<'d>(declared: &'d Declared, old: &Param, value: i64) -> std::result::Result<&'d Param, String> {
    let param = declared.param(&old.name).ok_or("the new policy has none of this name")?;
    if param.unit != old.unit {
        return Err("the new policy has one of another type".to_owned());
    }
    match value < param.least || value > param.most {
        true => Err("its value is out of the range that the new policy has".to_owned()),
        false => Ok(param),
    }
}

/// Copies the labels of one policy into the map of another one, if it has any.
fn carry_labels(
    bpf: Bpf<'_>,
    from: &Folder,
    old: &Declared,
    to: Option<BorrowedFd<'_>>,
    new: &Declared,
    kept: &mut Kept,
) -> Result<()> {
    let Some(map) = from.open(bpf, LABELS)? else { return Ok(()) };
    for found in labels::stored(bpf, map.as_fd())? {
        let Some(label) = old.labels.get(found.index as usize) else { continue };
        let same = |other: &&oomc_abi::declared::Label| other.name == label.name && other.unit == label.unit;
        match (to, (0..).zip(&new.labels).find(|(_, other)| same(other))) {
            (Some(to), Some((index, _))) => {
                labels::Found { index, ..found }.store(bpf, to)?;
                kept.labels += 1;
            }
            _ => {
                let what = format!("label {}", label.name);
                if !kept.lost.iter().any(|lost| lost.what == what) {
                    kept.lost.push(Lost { what, why: "the new policy has no such label".to_owned() });
                }
            }
        }
    }
    Ok(())
}
