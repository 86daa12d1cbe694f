//! Cgroups: from what an operator writes to a directory and an id, and back.
//!
//! Knows where cgroup2 is mounted. A cgroup's id is the inode number of its directory (kernfs on 64-bit
//! machines, `include/linux/kernfs.h`, 6.12). Knows nothing of policies.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::system::System;

/// Which cgroup an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By path.
    Cgroup(String),
    /// The root cgroup: the whole machine.
    System,
}

/// A cgroup that exists.
#[derive(Debug)]
pub struct Cgroup {
    /// Its directory.
    pub dir: File,
    /// Its id.
    pub id: u64,
    /// Below the mount, with a leading `/`.
    pub path: String,
    /// It accounts for memory, so that an OOM of its own can happen.
    pub memory: bool,
}

/// Where cgroup2 is mounted.
///
/// # Errors
/// [`Error::Kernel`] when it is not.
pub fn mount(system: &System<'_>) -> Result<PathBuf> {
    let place = mounts(system)?.into_iter().find(|(_, kind)| kind == "cgroup2").map(|(place, _)| place);
    place.ok_or_else(|| {
        Error::Kernel(vec![crate::preflight::Missing {
            what: "cgroup2 is not mounted".to_owned(),
            help: "`mount -t cgroup2 none /sys/fs/cgroup`",
        }])
    })
}

/// Mount points and the types of what is mounted there (proc_pid_mountinfo(5)).
pub(crate) fn mounts(system: &System<'_>) -> Result<Vec<(PathBuf, String)>> {
    let path = &system.paths.mounts;
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let mounts = text.lines().filter_map(|line| {
        // The mount point is the fifth word, the type comes after ` - `.
        let (left, right) = line.split_once(" - ")?;
        let place = PathBuf::from(unescape(left.split(' ').nth(4)?));
        Some((place, right.split(' ').next()?.to_owned()))
    });
    Ok(mounts.collect())
}

/// Blanks in mountinfo are written as `\040`.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Finds a cgroup.
///
/// # Errors
/// [`Error::RootByPath`] when the root is named by its path; [`Error::Cgroup`] when there is none.
pub fn open(system: &System<'_>, target: &Target) -> Result<Cgroup> {
    let mount = mount(system)?;
    let path = match target {
        Target::System => "/".to_owned(),
        Target::Cgroup(path) => below(&mount, path)?,
    };
    let place = mount.join(path.trim_start_matches('/'));
    let none = |reason: String| Error::Cgroup { path: path.clone(), reason };
    let dir = File::open(&place).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => none(format!("{} does not exist", place.display())),
        _ => none(format!("{}: {error}", place.display())),
    })?;
    let data = dir.metadata().map_err(Error::file("look at", &place))?;
    let root = fs::metadata(&mount).map_err(Error::file("look at", &mount))?;
    if !data.is_dir() || data.dev() != root.dev() {
        return Err(none(format!("{} is not a directory of cgroup2", place.display())));
    }
    // The root has no file of its own, and always accounts.
    let memory = path == "/" || place.join("memory.max").exists();
    Ok(Cgroup { dir, id: data.ino(), path, memory })
}

/// The path below the mount. An absolute path that already leads there is accepted.
pub(crate) fn below(mount: &Path, path: &str) -> Result<String> {
    let given = Path::new(path);
    let inner = given.strip_prefix(mount).or_else(|_| given.strip_prefix("/")).unwrap_or(given);
    let mut words = Vec::new();
    for component in inner.components() {
        match component {
            Component::Normal(word) => words.push(word.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                let reason = "a path below the cgroup mount has no `..`".to_owned();
                return Err(Error::Cgroup { path: path.to_owned(), reason });
            }
        }
    }
    if words.is_empty() {
        return Err(if path.is_empty() {
            Error::Cgroup { path: "``".to_owned(), reason: "the path is empty".to_owned() }
        } else {
            Error::RootByPath
        });
    }
    Ok(format!("/{}", words.join("/")))
}

/// The path of a cgroup below the mount. None: it is gone.
#[must_use]
pub fn path(system: &System<'_>, id: u64) -> Option<String> {
    paths(&mount(system).ok()?, &[id]).pop().flatten()
}

/// Paths of cgroups with these ids, in their order; None: no such cgroup.
pub(crate) fn paths(mount: &Path, ids: &[u64]) -> Vec<Option<String>> {
    let mut found = vec![None; ids.len()];
    let mut left = ids.len();
    let mut open = vec![mount.to_owned()];
    while let Some(dir) = open.pop()
        && left > 0
    {
        // Cgroups come and go while this runs: one that is gone has no path.
        let Ok(data) = fs::metadata(&dir) else { continue };
        for (slot, _) in found.iter_mut().zip(ids).filter(|(slot, id)| slot.is_none() && **id == data.ino()) {
            let inner = dir.strip_prefix(mount).unwrap_or(&dir);
            *slot = Some(format!("/{}", inner.display()));
            left -= 1;
        }
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        open.extend(
            entries
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    found
}
