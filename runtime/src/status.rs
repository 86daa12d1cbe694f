//! What is attached where, and what it has done.
//!
//! Reads pins, and links by their ids. Counters are named by the types of their own map, so a loader need
//! not know which counters a policy has. Looking changes nothing: a policy whose cgroup is gone keeps its pins, and so
//! its records, until it is unloaded or tidied. What cannot be read is reported and stops nothing else.

use std::os::fd::AsFd as _;

use aya_obj::generated::bpf_link_type;
use oomc_abi::btf::Btf;
use oomc_abi::declared::Param;
use oomc_abi::maps::STATS;
use oomc_abi::record::Record;

use crate::bpf::Bpf;
use crate::cgroup::{self, Target};
use crate::config::{Config, Mode};
use crate::engine_pins;
use crate::error::{Error, Result};
use crate::events;
use crate::object::{Meta, text_of};
use crate::pins::{self, Folder, FolderKind, Left, Pins};
use crate::preflight;
use crate::struct_ops::KernelOps;
use crate::survey::{Only, Survey, odd, relevant, survey, wants, wants_gone, wants_living};
use crate::sys::{IdKind, Reply, Syscall};
use crate::system::System;

/// Everything that is attached, and what is left of what was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Ours, by path.
    pub attached: Vec<Attached>,
    /// Attached by other loaders.
    pub foreign: Vec<Foreign>,
    /// Ours, and detached, with their records.
    pub gone: Vec<Gone>,
    /// What is among the pins besides.
    pub left: Vec<Left>,
}

/// A policy of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Path of the cgroup in the machine's tree.
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
    /// Who asks it, or did.
    pub asked_by: AskedBy,
}

/// Who asks a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedBy {
    /// The kernel, when memory has run out: it is attached.
    Kernel,
    /// An engine, before the limit.
    Engine,
    /// An engine, and the rules in `on` blocks only: the kernel asks the others.
    EngineBlocks,
}

impl AskedBy {
    /// As JSON has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Engine => "oomc run",
            Self::EngineBlocks => "oomc run, on blocks",
        }
    }

    /// Of what the name is.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Kernel, Self::Engine, Self::EngineBlocks].into_iter().find(|one| one.name() == name)
    }
}

/// A policy that another loader attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Path of the cgroup in the machine's tree, if it can be seen.
    pub cgroup: Option<String>,
    /// Its id.
    pub cgroup_id: u64,
    /// The name that it gave itself.
    pub policy: Option<String>,
    /// Id of the link.
    pub link: u32,
}

/// A policy that is attached, or asked, no more, and whose pins are still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// What it was; the cgroup is that of the load.
    pub was: Attached,
    /// The cgroup is still there: whoever unloaded the policy was killed. Otherwise it was removed, and the kernel has
    /// detached the policy.
    pub cgroup_exists: bool,
    /// Another version took its place on this cgroup; `oomc rollback` attaches it again.
    pub before: bool,
}

/// The pins, which are locked for readers as long as they are kept, and what they are; without a folder there is nothing.
fn looked_at<'k>(system: &System<'k>) -> Result<(Option<Pins<'k>>, Survey)> {
    let pins = Pins::look(system)?;
    let survey = match &pins {
        Some(pins) => survey(system.bpf(), pins)?,
        None => Survey::default(),
    };
    Ok((pins, survey))
}

/// Everything that is attached, or what is attached to one cgroup. Changes nothing.
///
/// # Errors
/// Without privilege, or when pins cannot be believed.
pub fn status(system: &System<'_>, only: Option<&Target>) -> Result<Status> {
    preflight::privilege(system, true)?;
    let only = Only::find(system, only)?;
    let bpf = system.bpf();
    let (_pins, mut survey) = looked_at(system)?;
    let living: Vec<u64> = survey.living.iter().map(|living| living.folder.id).collect();
    let ours: Vec<u32> = survey.living.iter().map(|living| living.link_id).collect();
    let present: Vec<Folder> = survey.present().map(|living| living.folder.clone()).collect();
    let mut status = Status { left: relevant(&mut survey, only.as_ref()), ..Status::default() };
    // One that has no directory any more is found by the path that it had.
    let missing = only.as_ref().is_some_and(|only| only.id.is_none());
    for folder in present.iter().filter(|folder| missing || wants(only.as_ref(), folder.id)) {
        match attached(bpf, folder) {
            Ok(one) if wants_living(only.as_ref(), folder.id, &one) => {
                status.left.extend(unread(folder, &one));
                status.attached.push(one);
            }
            Ok(_) => {}
            Err(error) => status.left.push(odd(folder, &error)),
        }
    }
    for folder in survey.gone.iter().chain(&survey.abandoned) {
        match attached(bpf, folder) {
            Ok(was) if wants_gone(only.as_ref(), &was) => {
                status.left.extend(unread(folder, &was));
                let before = was.asked_by == AskedBy::Kernel && living.contains(&folder.id);
                status.gone.push(Gone { was, cgroup_exists: false, before });
            }
            Ok(_) => {}
            Err(error) => status.left.push(odd(folder, &error)),
        }
    }
    // Without types of the kernel or without the ops structure nobody has attached anything.
    if let Ok(btf) = preflight::kernel_types(system)
        && let Ok(ops) = KernelOps::find(&btf)
    {
        let found = foreign(bpf, &ops)?;
        let theirs = found.into_iter().filter(|one| !ours.contains(&one.link));
        status.foreign.extend(theirs.filter(|one| wants(only.as_ref(), one.cgroup_id)));
    }
    name_cgroups(system, &mut status);
    status.attached.sort_by(|a, b| a.cgroup.cmp(&b.cgroup));
    match only {
        Some(Only { missing: Some(missing), .. }) if status.gone.is_empty() && status.attached.is_empty() => {
            Err(missing)
        }
        _ => Ok(status),
    }
}

/// Records that a newer oomc's policy writes.
fn unread(folder: &Folder, one: &Attached) -> Option<Left> {
    events::format(folder, &one.meta).err().map(|error| odd(folder, &error))
}

/// Looks at each policy of ours, or at one cgroup's, with its pins and whether it is attached, or asked, now: those that are
/// and, if they are wanted, those that are gone. Gives what could be read, and what could not.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has none of ours.
pub(crate) fn with_each<T>(
    system: &System<'_>,
    only: Option<&Target>,
    with_gone: bool,
    look: impl Fn(Attached, &Folder, bool) -> Result<T>,
) -> Result<(Vec<T>, Vec<Left>)> {
    preflight::privilege(system, true)?;
    let only = Only::find(system, only)?;
    let bpf = system.bpf();
    let (_pins, mut survey) = looked_at(system)?;
    let mut left = relevant(&mut survey, only.as_ref());
    left.retain(|left| !left.ours);
    let mut status = Status::default();
    let mut folders = Vec::new();
    let present = survey.living.into_iter().chain(survey.asked).map(|living| (living.folder, true));
    let gone = survey.gone.into_iter().chain(survey.abandoned).map(|folder| (folder, false));
    for (folder, living) in present.chain(gone.filter(|_| with_gone)) {
        match attached(bpf, &folder) {
            Ok(one) if living && wants_living(only.as_ref(), folder.id, &one) => status.attached.push(one),
            Ok(one) if !living && wants_gone(only.as_ref(), &one) => {
                status.gone.push(Gone { was: one, cgroup_exists: false, before: false });
            }
            Ok(_) => continue,
            Err(error) => {
                left.push(odd(&folder, &error));
                continue;
            }
        }
        folders.push((folder, living));
    }
    if let Some(only) = only
        && folders.is_empty()
    {
        let refused = left.into_iter().next().map(|Left { place, why, .. }| Error::Place {
            call: "a look",
            place,
            why,
            help: String::new(),
        });
        return Err(refused.unwrap_or_else(|| only.vacant()));
    }
    name_cgroups(system, &mut status);
    let mut seen = Vec::new();
    let all = status.attached.into_iter().chain(status.gone.into_iter().map(|gone| gone.was));
    for (one, (folder, living)) in all.zip(&folders) {
        match look(one, folder, *living) {
            Ok(what) => seen.push(what),
            Err(error) => left.push(odd(folder, &error)),
        }
    }
    Ok((seen, left))
}

/// Fills in the paths that the cgroups have now; one may have been renamed since the load.
pub(crate) fn name_cgroups(system: &System<'_>, status: &mut Status) {
    let Ok(mount) = cgroup::mount(system) else { return };
    let ids: Vec<u64> = (status.attached.iter().map(|one| one.cgroup_id))
        .chain(status.foreign.iter().map(|one| one.cgroup_id))
        .chain(status.gone.iter().map(|one| one.was.cgroup_id))
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
    for one in &mut status.gone {
        one.cgroup_exists = paths.next().flatten().is_some();
    }
}

pub(crate) fn attached(bpf: Bpf<'_>, folder: &Folder) -> Result<Attached> {
    let meta = meta(bpf, folder)?;
    let (mode, params) = match Config::pinned(bpf, folder)? {
        Some((mut config, _)) => (Some(config.mode()?), config.params(&meta.declared())),
        None => (None, Vec::new()),
    };
    Ok(Attached {
        mode,
        params,
        // Records of a newer oomc are reported where they are asked for; the rest is read all the same.
        last: match events::format(folder, &meta) {
            Ok(_) => events::kept(bpf, folder)?.pop(),
            Err(_) => None,
        },
        cgroup: meta.get("cgroup").to_owned(),
        cgroup_id: folder.id,
        asked_by: match folder.kind {
            FolderKind::Engine => engine_pins::asked_by(&meta),
            FolderKind::First | FolderKind::Second => AskedBy::Kernel,
        },
        policy: name_of(&meta),
        counters: counters(bpf, folder)?,
        meta,
    })
}

/// What an object said of itself, from the copy beside its pins; nothing, if there is none.
pub(crate) fn meta(bpf: Bpf<'_>, folder: &Folder) -> Result<Meta> {
    let Some(map) = folder.open(bpf, pins::META)? else { return Ok(Meta::default()) };
    Ok(Meta::parse(&text_of(&bpf.map_value(map.as_fd(), pins::META)?)))
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
    let types = Btf::read(bpf.btf_data(info.btf_id)?)
        .map_err(|error| Error::Unexpected(format!("the types of the counters cannot be read: {error}")))?;
    let number = |at: usize| Some(u64::from_ne_bytes(value.get(at..at + 8)?.try_into().ok()?));
    let words = crate::object::named_words(&types, info.value_type).into_iter();
    Ok(words.filter_map(|(name, at)| Some((name, number(at)?))).collect())
}

/// Links of the ops structure, ours included.
pub(crate) fn foreign(bpf: Bpf<'_>, ops: &KernelOps) -> Result<Vec<Foreign>> {
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
