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
use oomc_abi::shown::text_of_bytes;

use crate::bpf::Bpf;
use crate::cgroup::{self, Cgroup, Target};
use crate::config::{Assignment, Changed, Literal, read};
use crate::error::{Error, Result};
use crate::pins::Pins;
use crate::preflight;
use crate::status;
use crate::survey::{Living, Survey, survey};
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

/// Puts labels on a cgroup, for the policy of it or of its nearest ancestor with one.
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
        let attached = &policy.place;
        let owner = fs::metadata(attached).map_err(Error::file("look at", attached))?.uid();
        let attributes = attributes(system, &policy.cgroup.place, owner, &policy.declared, literal)?;
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
    pub(crate) cgroup: u64,
    /// Which of the policy's labels.
    pub(crate) index: u64,
    pub(crate) value: i64,
}

/// All labels in a policy's map.
pub(crate) fn stored(bpf: Bpf<'_>, map: BorrowedFd<'_>) -> Result<Vec<Found>> {
    let mut all = Vec::new();
    for key in bpf.keys(map, LABELS)? {
        let mut value = [0; 8];
        let words =
            (key.get(..8).and_then(|id| id.try_into().ok()), key.get(8..).and_then(|at| at.try_into().ok()));
        let (Some(cgroup), Some(index)) = words else {
            return Err(Error::Unexpected("the keys of the policy's labels have another size".to_owned()));
        };
        // Somebody may take a label away meanwhile.
        if bpf.found(map, &key, &mut value, LABELS)? {
            let (cgroup, index) = (u64::from_ne_bytes(cgroup), u64::from_ne_bytes(index));
            all.push(Found { cgroup, index, value: i64::from_ne_bytes(value) });
        }
    }
    Ok(all)
}

impl Found {
    pub(crate) fn store(&self, bpf: Bpf<'_>, map: BorrowedFd<'_>) -> Result<()> {
        bpf.element_update(map, &key(self.cgroup, self.index), &self.value.to_ne_bytes(), LABELS)
    }
}

/// Reads the attributes of a cgroup and everything below. `owner` is the owner of the attached cgroup.
pub(crate) fn attributes(
    system: &System<'_>,
    from: &Path,
    owner: u32,
    declared: &Declared,
    literal: Literal<'_>,
) -> Result<Attributes> {
    let mut all = Attributes::default();
    if declared.labels.is_empty() {
        return Ok(all);
    }
    let mount = cgroup::mount(system)?;
    let mut open: Vec<PathBuf> = vec![from.to_owned()];
    while let Some(place) = open.pop() {
        // Owner and attribute are of one descriptor, so that nobody puts another directory in between. Cgroups
        // come and go while this runs.
        let Ok(dir) = File::open(&place) else { continue };
        let Ok(data) = dir.metadata() else { continue };
        all.seen.push(data.ino());
        for (index, label) in (0..).zip(&declared.labels) {
            // Whose it is comes first: nobody who is not trusted decides by what he writes whether this goes on.
            let why = match label.trust.refuses(data.uid(), data.mode(), owner) {
                Some(why) if exists(system.bpf(), &dir, label) => why,
                Some(_) => continue,
                None => match attribute(system.bpf(), &dir, label, literal) {
                    Value::None => continue,
                    Value::Number(value) => {
                        all.found.push(Found { cgroup: data.ino(), index, value });
                        continue;
                    }
                    Value::Wrong(why) => why,
                },
            };
            all.ignored.push(Ignored { cgroup: mount.path(&place), label: label.name.clone(), why });
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

/// Whether there is an attribute, without a look at its value.
fn exists(bpf: Bpf<'_>, dir: &File, label: &Label) -> bool {
    !matches!(bpf.attribute(dir.as_fd(), &format!("user.oom.{}", label.name), 0), Ok(None))
}

/// What a directory says of a label.
enum Value {
    /// Nothing.
    None,
    Number(i64),
    /// Something that is no value.
    Wrong(String),
}

/// Reads one attribute. Whatever is in it, this is an answer and no error: it is written by others.
fn attribute(bpf: Bpf<'_>, dir: &File, label: &Label, literal: Literal<'_>) -> Value {
    let name = format!("user.oom.{}", label.name);
    match bpf.attribute(dir.as_fd(), &name, MAX_ATTRIBUTE) {
        Ok(None) => Value::None,
        Ok(Some(bytes)) => {
            let text = text_of_bytes(bytes.trim_ascii_end());
            match read(label.unit, text.trim_end_matches('\0').trim(), literal) {
                Ok(value) => Value::Number(value),
                Err(why) => Value::Wrong(why),
            }
        }
        Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::ERANGE) => {
            Value::Wrong(format!("its value has more than {MAX_ATTRIBUTE} bytes, which no value has"))
        }
        Err(error) => Value::Wrong(format!("its value cannot be read: {error}")),
    }
}

/// A policy that a cgroup's labels are for.
struct Policy<'s> {
    bpf: Bpf<'s>,
    cgroup: &'s Cgroup,
    /// Id of the cgroup that it is attached to.
    id: u64,
    /// Its directory.
    place: PathBuf,
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
    act: impl Fn(&Policy<'_>) -> Result<T>,
) -> Result<Changed<T>> {
    let cgroup = cgroup::open(system, target)?;
    preflight::privilege(system, false)?;
    let bpf = system.bpf();
    let uncovered = || Error::Uncovered { cgroup: cgroup.path.clone() };
    let pins = Pins::lock_existing(system)?.ok_or_else(uncovered)?;
    let survey = survey(bpf, &pins)?;
    let (attached, place, all) = nearest(system, &cgroup, &survey)?.ok_or_else(uncovered)?;
    let mut told = None;
    for Living { folder, .. } in all {
        let meta = status::meta(bpf, folder)?;
        let (map, place) = (folder.open(bpf, LABELS)?, place.clone());
        let policy = Policy { bpf, cgroup: &cgroup, id: folder.id, place, declared: meta.declared(), map };
        let what = act(&policy)?;
        told.get_or_insert_with(|| (status::name_of(&meta), what));
    }
    let (policy, what) = told.ok_or_else(uncovered)?;
    Ok(Changed { cgroup: attached, policy, what })
}

/// The policies of a cgroup or of its nearest ancestor with one, with the path and the directory of their cgroup.
fn nearest<'l>(
    system: &System<'_>,
    cgroup: &Cgroup,
    survey: &'l Survey,
) -> Result<Option<(String, PathBuf, Vec<&'l Living>)>> {
    let mount = cgroup::mount(system)?;
    for (place, path) in mount.ancestors(&cgroup.place) {
        let id = fs::metadata(place).map_err(Error::file("look at", place))?.ino();
        let all = survey.all_on(id)?;
        if !all.is_empty() {
            return Ok(Some((path, place.to_owned(), all)));
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
