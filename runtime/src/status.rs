//! What is attached where, what it has done, and taking it away.
//!
//! Reads pins, and links by their ids. Counters are named by the types of their own map, so a loader need
//! not know which counters a policy has. Whoever asks also tidies up: pins of policies whose cgroup is gone
//! are reported once and removed.

use std::os::fd::{AsFd as _, OwnedFd};

use aya_obj::generated::bpf_link_type;
use oomc_abi::btf::Btf;
use oomc_abi::declared::Param;
use oomc_abi::maps::STATS;
use oomc_abi::record::Record;

use crate::bpf::Bpf;
use crate::cgroup::{self, Target};
use crate::config::{Config, Mode};
use crate::error::{Error, Result};
use crate::events;
use crate::object::{Meta, text_of};
use crate::pins::{self, Folder, Pins};
use crate::preflight;
use crate::struct_ops::KernelOps;
use crate::sys::{IdKind, Reply, Syscall};
use crate::system::System;

/// Everything that is attached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Ours, by path.
    pub attached: Vec<Attached>,
    /// Attached by other loaders.
    pub foreign: Vec<Foreign>,
    /// Ours, whose cgroups are gone; their pins were removed.
    pub gone: Vec<Gone>,
}

/// A policy of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Path of the cgroup below the mount.
    pub cgroup: String,
    /// Its id.
    pub cgroup_id: u64,
    /// `name@hash`, as the kernel logs it.
    pub policy: String,
    /// What the object said of itself.
    pub meta: Meta,
    /// Whether it acts, if it can be switched.
    pub mode: Option<Mode>,
    /// Its params with their values.
    pub params: Vec<(Param, i64)>,
    /// What it has done, in the order of the object.
    pub counters: Vec<(String, u64)>,
    /// Its last decision.
    pub last: Option<Record>,
}

/// A policy that another loader attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Path of the cgroup below the mount, if it has one.
    pub cgroup: Option<String>,
    /// Its id.
    pub cgroup_id: u64,
    /// The name that it gave itself.
    pub policy: Option<String>,
    /// Id of the link.
    pub link: u32,
}

/// A policy whose cgroup was removed: the kernel has detached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Path that the cgroup had when the policy was loaded.
    pub cgroup: String,
    /// The id that it had.
    pub cgroup_id: u64,
    /// `name@hash`.
    pub policy: String,
    /// What it had done.
    pub counters: Vec<(String, u64)>,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unloaded {
    /// Detached, with final counters.
    pub detached: Vec<Attached>,
    /// Gone before.
    pub gone: Vec<Gone>,
}

/// A folder whose link is attached.
#[derive(Debug)]
pub(crate) struct Living {
    pub(crate) folder: Folder,
    link: OwnedFd,
    link_id: u32,
}

/// Removes what killed loaders and removed cgroups left, and gives what is attached.
pub(crate) fn sweep(system: &System<'_>, pins: &Pins) -> Result<(Vec<Living>, Vec<Gone>)> {
    let bpf = system.bpf();
    let (mut living, mut gone) = (Vec::new(), Vec::new());
    for folder in pins.folders()? {
        let Some(link) = folder.open(bpf, pins::LINK)? else {
            folder.remove()?;
            continue;
        };
        let info = bpf.link_info(link.as_fd())?;
        if info.cgroup_id != 0 {
            living.push(Living { folder, link, link_id: info.id });
            continue;
        }
        let meta = meta(bpf, &folder);
        gone.push(Gone {
            cgroup: meta.get("cgroup").to_owned(),
            cgroup_id: folder.id,
            policy: name_of(&meta),
            counters: counters(bpf, &folder).unwrap_or_default(),
        });
        folder.remove()?;
    }
    Ok((living, gone))
}

/// Everything that is attached, or what is attached to one cgroup.
///
/// # Errors
/// Without privilege, or when pins cannot be read.
pub fn status(system: &System<'_>, only: Option<&Target>) -> Result<Status> {
    let only = only.map(|target| cgroup::open(system, target)).transpose()?;
    preflight::privilege(system, true)?;
    let bpf = system.bpf();
    let (living, gone) = match Pins::lock_existing(system)? {
        Some(pins) => sweep(system, &pins)?,
        None => (Vec::new(), Vec::new()),
    };
    let ours: Vec<u32> = living.iter().map(|living| living.link_id).collect();
    let mut status = Status { gone, ..Status::default() };
    let wanted = |id: u64| only.as_ref().is_none_or(|only| only.id == id);
    for living in living.iter().filter(|living| wanted(living.folder.id)) {
        status.attached.push(attached(bpf, &living.folder)?);
    }
    // Without types of the kernel or without the ops structure nobody has attached anything.
    if let Ok(btf) = preflight::kernel_types(system)
        && let Ok(ops) = KernelOps::find(&btf)
    {
        let found = foreign(bpf, &ops)?;
        status
            .foreign
            .extend(found.into_iter().filter(|one| !ours.contains(&one.link) && wanted(one.cgroup_id)));
    }
    name_cgroups(system, &mut status);
    status.attached.sort_by(|a, b| a.cgroup.cmp(&b.cgroup));
    Ok(status)
}

/// Looks at each policy of ours that is attached, or at one cgroup's, with its pins.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has none of ours.
pub(crate) fn with_living<T>(
    system: &System<'_>,
    only: Option<&Target>,
    look: impl Fn(Attached, &Folder) -> Result<T>,
) -> Result<Vec<T>> {
    let only = only.map(|target| cgroup::open(system, target)).transpose()?;
    preflight::privilege(system, false)?;
    let living = match Pins::lock_existing(system)? {
        Some(pins) => sweep(system, &pins)?.0,
        None => Vec::new(),
    };
    let mut status = Status::default();
    let mut folders = Vec::new();
    for living in living {
        if only.as_ref().is_none_or(|only| only.id == living.folder.id) {
            status.attached.push(attached(system.bpf(), &living.folder)?);
            folders.push(living.folder);
        }
    }
    if let (Some(only), true) = (&only, folders.is_empty()) {
        return Err(Error::Vacant { cgroup: only.path.clone() });
    }
    name_cgroups(system, &mut status);
    status.attached.into_iter().zip(&folders).map(|(one, folder)| look(one, folder)).collect()
}

/// Fills in the paths that the cgroups have now; one may have been renamed since the load.
fn name_cgroups(system: &System<'_>, status: &mut Status) {
    let Ok(mount) = cgroup::mount(system) else { return };
    let ids: Vec<u64> = status
        .attached
        .iter()
        .map(|one| one.cgroup_id)
        .chain(status.foreign.iter().map(|one| one.cgroup_id))
        .collect();
    let mut paths = cgroup::paths(&mount, &ids).into_iter();
    for one in &mut status.attached {
        if let Some(path) = paths.next().flatten() {
            one.cgroup = path;
        }
    }
    for one in &mut status.foreign {
        one.cgroup = paths.next().flatten();
    }
}

/// Detaches the policy of one cgroup, or all of ours.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has none of ours.
pub fn unload(system: &System<'_>, only: Option<&Target>) -> Result<Unloaded> {
    preflight::privilege(system, false)?;
    let bpf = system.bpf();
    let pins = Pins::lock_existing(system)?;
    let (living, gone) = match &pins {
        Some(pins) => sweep(system, pins)?,
        None => (Vec::new(), Vec::new()),
    };
    let id = match only {
        None => None,
        Some(target) => match cgroup::open(system, target) {
            Ok(cgroup) if living.iter().any(|living| living.folder.id == cgroup.id) => Some(cgroup.id),
            Ok(cgroup) => {
                if gone.iter().any(|gone| gone.cgroup == cgroup.path) {
                    return Ok(Unloaded { detached: Vec::new(), gone });
                }
                return Err(Error::Vacant { cgroup: cgroup.path });
            }
            Err(Error::Cgroup { path, .. }) if gone.iter().any(|gone| gone.cgroup == path) => {
                return Ok(Unloaded { detached: Vec::new(), gone });
            }
            Err(error) => return Err(error),
        },
    };
    let mut detached = Vec::new();
    for living in living.iter().filter(|living| id.is_none_or(|id| living.folder.id == id)) {
        match bpf.detach(living.link.as_fd()) {
            Ok(()) => {}
            // Then closing the last descriptor does it, below.
            Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
        // After detaching, so that nothing is counted any more. What cannot be read does not stop this.
        let last = attached(bpf, &living.folder);
        living.folder.remove()?;
        detached.push(last?);
    }
    Ok(Unloaded { detached, gone })
}

fn attached(bpf: Bpf<'_>, folder: &Folder) -> Result<Attached> {
    let meta = meta(bpf, folder);
    let (mode, params) = match Config::pinned(bpf, folder)? {
        Some((mut config, _)) => (Some(config.mode()?), config.params(&meta.declared())),
        None => (None, Vec::new()),
    };
    Ok(Attached {
        mode,
        params,
        last: events::kept(bpf, folder)?.pop(),
        cgroup: meta.get("cgroup").to_owned(),
        cgroup_id: folder.id,
        policy: name_of(&meta),
        counters: counters(bpf, folder)?,
        meta,
    })
}

pub(crate) fn meta(bpf: Bpf<'_>, folder: &Folder) -> Meta {
    let text = folder.open(bpf, pins::META).ok().flatten().and_then(|map| {
        let value = bpf.map_value(map.as_fd(), pins::META).ok()?;
        Some(text_of(&value))
    });
    Meta::parse(&text.unwrap_or_default())
}

pub(crate) fn name_of(meta: &Meta) -> String {
    crate::foreign::name(meta)
}

/// The name by which the kernel knows the policy of a folder.
pub(crate) fn policy_name(bpf: Bpf<'_>, ops: &KernelOps, folder: &Folder) -> Option<String> {
    let map = folder.open(bpf, pins::OPS).ok().flatten()?;
    ops.name_in(&bpf.map_value(map.as_fd(), pins::OPS).ok()?)
}

/// Numbers of eight bytes in the map `stats`, named by the map's own types.
fn counters(bpf: Bpf<'_>, folder: &Folder) -> Result<Vec<(String, u64)>> {
    let Some(map) = folder.open(bpf, STATS)? else { return Ok(Vec::new()) };
    let info = bpf.map_info(map.as_fd(), STATS)?;
    if info.btf_id == 0 {
        return Ok(Vec::new());
    }
    let value = bpf.map_value(map.as_fd(), STATS)?;
    let types = Btf::parse(&bpf.btf_data(info.btf_id)?)
        .map_err(|error| Error::Unexpected(format!("the types of the counters cannot be read: {error}")))?;
    let number = |at: usize| Some(u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?));
    let words = crate::object::named_words(&types, info.value_type).into_iter();
    Ok(words.filter_map(|(name, at)| Some((name, number(at)?))).collect())
}

/// Links of the ops structure, ours included.
fn foreign(bpf: Bpf<'_>, ops: &KernelOps) -> Result<Vec<Foreign>> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        after = match bpf.raw(Syscall::LinkNext { after }) {
            Ok(Reply::Number(next)) => next,
            Ok(other) => return Err(crate::bpf::unexpected(&other)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(source) => {
                return Err(Error::Call { call: "BPF_LINK_GET_NEXT_ID", object: "links".to_owned(), source });
            }
        };
        // Links come and go while this runs.
        let Ok(link) = bpf.by_id(IdKind::Link, after) else { continue };
        let Ok(info) = bpf.link_info(link.as_fd()) else { continue };
        if info.kind != bpf_link_type::BPF_LINK_TYPE_STRUCT_OPS as u32 || info.cgroup_id == 0 {
            continue;
        }
        let Ok(map) = bpf.by_id(IdKind::Map, info.map_id) else { continue };
        if bpf.map_info(map.as_fd(), "ops").is_ok_and(|map| map.kernel_value_type == ops.value_type) {
            let value = bpf.map_value(map.as_fd(), "ops").unwrap_or_default();
            let policy = ops.name_in(&value);
            found.push(Foreign { cgroup: None, cgroup_id: info.cgroup_id, policy, link: info.id });
        }
    }
}

/// Name of the policy that another loader attached to a cgroup.
pub(crate) fn foreign_on(system: &System<'_>, ops: &KernelOps, id: u64) -> Option<String> {
    foreign(system.bpf(), ops).ok()?.into_iter().find(|one| one.cgroup_id == id)?.policy
}
