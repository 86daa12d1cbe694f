//! Labels: numbers that an administrator puts on cgroups, and that hold for everything below.
//!
//! They lie in a map of the policy, by the cgroup's id. They come from `oomc label`, and at load and refresh from
//! extended attributes `user.oom.NAME` of cgroup directories. An attribute that somebody could have written whom
//! the policy does not trust is ignored, and reported.

use std::fs::{self, File};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::declared::{Declared, Label};
use oomc_abi::maps::LABELS;

use crate::bpf::Bpf;
use crate::cgroup::{self, Cgroup, Target};
use crate::config::{Assignment, Changed, Literal, read};
use crate::error::{Error, Result};
use crate::pins::Pins;
use crate::preflight;
use crate::status::{self, Living};
use crate::system::System;

/// What is written for a label that is taken away.
const INHERIT: &str = "inherit";
/// Bytes of an attribute that are read; no literal is longer.
const MAX_ATTRIBUTE: usize = 64;

/// What attributes gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// How many labels were set.
    pub set: u32,
    /// Attributes that count as not set.
    pub ignored: Vec<Ignored>,
}

/// An attribute that counts as not set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Path of the cgroup below the mount.
    pub cgroup: String,
    /// Name of the label.
    pub label: String,
    /// Why, as the end of a sentence.
    pub why: String,
}

/// A label that was put on a cgroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Path of the cgroup below the mount.
    pub cgroup: String,
    /// The label.
    pub label: Label,
    /// None: taken away, the cgroup inherits.
    pub value: Option<i64>,
}

/// Puts labels on a cgroup, for the policy that is attached to it or to its nearest ancestor with one.
///
/// # Errors
/// [`Error::Uncovered`] when there is no such policy, [`Error::Setting`] when it has no such label.
pub fn put(
    system: &System<'_>,
    target: &Target,
    assignments: &[Assignment],
    literal: Literal<'_>,
) -> Result<Changed<Vec<Put>>> {
    with_policy(system, target, |policy| {
        let mut put = Vec::new();
        for Assignment { name, value } in assignments {
            let (index, label) = find(&policy.declared, name)?;
            let value = match value.as_str() {
                INHERIT => None,
                value => Some(read(label.unit, value, literal).map_err(Error::Setting)?),
            };
            put.push((index, Put { cgroup: policy.cgroup.path.clone(), label: label.clone(), value }));
        }
        for (index, put) in &put {
            policy.store(policy.cgroup.id, *index, put.value)?;
        }
        Ok(put.into_iter().map(|(_, put)| put).collect())
    })
}

/// Reads the attributes of a cgroup and everything below anew. What `oomc label` has put stays where a cgroup
/// has no attribute; labels of cgroups that are gone are forgotten.
///
/// # Errors
/// As [`put`].
pub fn refresh(system: &System<'_>, target: &Target, literal: Literal<'_>) -> Result<Changed<Refreshed>> {
    with_policy(system, target, |policy| {
        let mount = cgroup::mount(system)?;
        let attached = mount.join(policy.attached.trim_start_matches('/'));
        let owner = fs::metadata(&attached).map_err(Error::file("look at", &attached))?.uid();
        let attributes =
            attributes(policy.bpf, &mount, &policy.cgroup.path, owner, &policy.declared, literal)?;
        for found in &attributes.found {
            policy.store(found.cgroup, found.index, Some(found.value))?;
        }
        if policy.cgroup.id == policy.id {
            policy.forget(&attributes.seen)?;
        }
        Ok(attributes.refreshed())
    })
}

/// What the attributes below a cgroup say.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    pub(crate) found: Vec<Found>,
    ignored: Vec<Ignored>,
    /// Ids of the cgroups that were looked at.
    seen: Vec<u64>,
}

impl Attributes {
    pub(crate) fn refreshed(self) -> Refreshed {
        Refreshed { set: self.found.len() as u32, ignored: self.ignored }
    }
}

/// A label on a cgroup.
#[derive(Debug)]
pub(crate) struct Found {
    cgroup: u64,
    index: u64,
    value: i64,
}

impl Found {
    pub(crate) fn store(&self, bpf: Bpf<'_>, map: BorrowedFd<'_>) -> Result<()> {
        bpf.element_update(map, &key(self.cgroup, self.index), &self.value.to_ne_bytes(), LABELS)
    }
}

/// Reads the attributes of a cgroup and everything below. `owner` is the owner of the attached cgroup.
pub(crate) fn attributes(
    bpf: Bpf<'_>,
    mount: &Path,
    from: &str,
    owner: u32,
    declared: &Declared,
    literal: Literal<'_>,
) -> Result<Attributes> {
    let mut all = Attributes::default();
    if declared.labels.is_empty() {
        return Ok(all);
    }
    let mut open: Vec<PathBuf> = vec![mount.join(from.trim_start_matches('/'))];
    while let Some(place) = open.pop() {
        // Owner and attribute are of one descriptor, so that nobody puts another directory in between. Cgroups
        // come and go while this runs.
        let Ok(dir) = File::open(&place) else { continue };
        let Ok(data) = dir.metadata() else { continue };
        all.seen.push(data.ino());
        for (index, label) in (0..).zip(&declared.labels) {
            let name = format!("user.oom.{}", label.name);
            let Some(bytes) = bpf.attribute(dir.as_fd(), &name, MAX_ATTRIBUTE)? else { continue };
            let text = String::from_utf8_lossy(&bytes);
            let text = text.trim_end_matches('\0').trim();
            let value = label
                .trust
                .refuses(data.uid(), data.mode(), owner)
                .map_or_else(|| read(label.unit, text, literal), Err);
            match value {
                Ok(value) => all.found.push(Found { cgroup: data.ino(), index, value }),
                Err(why) => all.ignored.push(Ignored {
                    cgroup: format!("/{}", place.strip_prefix(mount).unwrap_or(&place).display()),
                    label: label.name.clone(),
                    why,
                }),
            }
        }
        let entries = fs::read_dir(&place).into_iter().flatten().flatten();
        open.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    Ok(all)
}

/// The policy that a cgroup's labels are for.
struct Policy<'s> {
    bpf: Bpf<'s>,
    cgroup: Cgroup,
    /// Id of the cgroup that it is attached to.
    id: u64,
    /// Its path.
    attached: String,
    declared: Declared,
    map: Option<std::os::fd::OwnedFd>,
}

impl Policy<'_> {
    fn map(&self) -> Result<BorrowedFd<'_>> {
        let map = self.map.as_ref().map(std::os::fd::AsFd::as_fd);
        map.ok_or_else(|| Error::Setting("the policy has no labels".to_owned()))
    }

    fn store(&self, cgroup: u64, index: u64, value: Option<i64>) -> Result<()> {
        match value {
            Some(value) => Found { cgroup, index, value }.store(self.bpf, self.map()?),
            None => self.bpf.element_delete(self.map()?, &key(cgroup, index), LABELS).map(drop),
        }
    }

    /// Forgets the labels of all cgroups but these.
    fn forget(&self, living: &[u64]) -> Result<()> {
        let map = self.map()?;
        for key in self.bpf.keys(map, LABELS)? {
            let id = key.get(..8).and_then(|id| id.try_into().ok()).map(u64::from_ne_bytes);
            if id.is_some_and(|id| !living.contains(&id)) {
                self.bpf.element_delete(map, &key, LABELS)?;
            }
        }
        Ok(())
    }
}

fn with_policy<T>(
    system: &System<'_>,
    target: &Target,
    act: impl FnOnce(&Policy<'_>) -> Result<T>,
) -> Result<Changed<T>> {
    let cgroup = cgroup::open(system, target)?;
    preflight::privilege(system, false)?;
    let bpf = system.bpf();
    let uncovered = || Error::Uncovered { cgroup: cgroup.path.clone() };
    let pins = Pins::lock_existing(system)?.ok_or_else(uncovered)?;
    let (living, _) = status::sweep(system, &pins)?;
    let (attached, living) = nearest(system, &cgroup, &living)?.ok_or_else(uncovered)?;
    let meta = status::meta(bpf, &living.folder);
    let map = living.folder.open(bpf, LABELS)?;
    let id = living.folder.id;
    let policy = Policy { bpf, cgroup, id, attached, declared: meta.declared(), map };
    let what = act(&policy)?;
    Ok(Changed { cgroup: policy.attached, policy: status::name_of(&meta), what })
}

/// The policy of a cgroup or of its nearest ancestor with one, with the path of its cgroup.
fn nearest<'l>(
    system: &System<'_>,
    cgroup: &Cgroup,
    living: &'l [Living],
) -> Result<Option<(String, &'l Living)>> {
    let mount = cgroup::mount(system)?;
    for path in Path::new(&cgroup.path).ancestors() {
        let place = mount.join(path.strip_prefix("/").unwrap_or(path));
        let id = fs::metadata(&place).map_err(Error::file("look at", &place))?.ino();
        if let Some(living) = living.iter().find(|living| living.folder.id == id) {
            return Ok(Some((path.display().to_string(), living)));
        }
    }
    Ok(None)
}

fn find<'d>(declared: &'d Declared, name: &str) -> Result<(u64, &'d Label)> {
    (0..).zip(&declared.labels).find(|(_, label)| label.name == name).ok_or_else(|| {
        let names: Vec<String> = declared.labels.iter().map(|label| format!("`{}`", label.name)).collect();
        Error::Setting(match names.as_slice() {
            [] => format!("the policy has no label `{name}`; it has none at all"),
            _ => format!("the policy has no label `{name}`; it has {}", names.join(", ")),
        })
    })
}

/// As the program looks it up: the cgroup's id and the label's number.
fn key(cgroup: u64, index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&cgroup.to_ne_bytes());
    second.copy_from_slice(&index.to_ne_bytes());
    key
}
