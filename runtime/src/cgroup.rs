//! Cgroups: from what an operator writes to a directory and an id, and back.
//!
//! Knows where cgroup2 is mounted, and how much of its tree can be seen there. A cgroup's id is the inode number of its
//! directory (kernfs on 64-bit machines, `include/linux/kernfs.h`, 6.12). Knows nothing of policies.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{DirEntryExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use oomc_abi::shown::text_of_bytes;

use crate::error::{Error, Result};
use crate::preflight::Missing;
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
    /// Where that is.
    pub place: PathBuf,
    /// Its id.
    pub id: u64,
    /// In the machine's tree, with a leading `/`; in a cgroup namespace as far as that can be seen.
    pub path: String,
    /// Why no OOM of its own can happen, and what to do, if it does not account for memory.
    pub no_memory: Option<String>,
}

/// Where cgroup2 is mounted, and what can be seen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    place: PathBuf,
    /// The path of what is at the mount point. None: the root, and so the whole tree.
    part: Option<String>,
}

/// What is before a path in a cgroup namespace: what is above cannot be seen.
const NAMESPACE: &str = "(cgroup namespace)";
/// What a mount shows whose root lies outside of the namespace.
const OUTSIDE: &str = "(outside of the cgroup namespace)";

impl Mount {
    /// The mount point.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The cgroup of a directory as the machine calls it.
    pub(crate) fn path(&self, place: &Path) -> String {
        let inner = place.strip_prefix(&self.place).unwrap_or(place);
        let inner = text_of_bytes(inner.as_os_str().as_bytes());
        match (&self.part, inner.as_str()) {
            (None, inner) => format!("/{inner}"),
            (Some(part), "") => part.clone(),
            (Some(part), inner) => format!("{part}/{inner}"),
        }
    }

    /// The directory that a path means: a directory below the mount, the path as oomc prints it, or a path from the
    /// mount point on.
    fn directory(&self, path: &str) -> Result<PathBuf> {
        let given = Path::new(path);
        let printed = self.part.as_ref().and_then(|part| given.strip_prefix(part).ok());
        let inner = given.strip_prefix(&self.place).ok().or(printed).unwrap_or(given);
        let mut place = self.place.clone();
        for component in inner.components() {
            match component {
                Component::Normal(word) => place.push(word),
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => {
                    let reason = "a path below the cgroup mount has no `..`".to_owned();
                    return Err(Error::Cgroup { path: path.to_owned(), reason });
                }
            }
        }
        match (path, &self.part) {
            ("", _) => Err(Error::Cgroup { path: "``".to_owned(), reason: "the path is empty".to_owned() }),
            (_, None) if place == self.place => Err(Error::RootByPath),
            _ => Ok(place),
        }
    }

    /// Directories of cgroups from this one up to the mount point, with their paths.
    pub(crate) fn ancestors<'p>(&self, place: &'p Path) -> impl Iterator<Item = (&'p Path, String)> {
        place
            .ancestors()
            .take_while(|place| place.starts_with(&self.place))
            .map(|place| (place, self.path(place)))
    }
}

/// A line of mountinfo, as far as it is needed.
struct Mounted {
    /// What of the file system is at the mount point.
    root: OsString,
    place: PathBuf,
    kind: String,
    /// Options of the file system.
    options: String,
}

/// Where cgroup2 is mounted: the mount of the whole tree if there is one.
///
/// # Errors
/// [`Error::Kernel`] when it is not.
pub fn mount(system: &System<'_>) -> Result<Mount> {
    let mounts = mounts(system)?;
    let hidden = |at: usize, place: &Path| mounts.iter().skip(at + 1).any(|later| later.place == place);
    let seen =
        mounts.iter().enumerate().filter(|(at, one)| one.kind == "cgroup2" && !hidden(*at, &one.place));
    let found: Vec<Mount> = seen.map(|(_, one)| mount_of(one)).collect();
    let whole = found.iter().find(|mount| mount.part.is_none());
    whole.or(found.first()).cloned().ok_or_else(|| Error::Kernel(vec![no_cgroup2(&mounts)]))
}

fn mount_of(one: &Mounted) -> Mount {
    let part = match one.root.as_bytes() {
        // Every cgroup but the root of the machine's tree has this file, also one that a namespace shows as its root.
        b"/" if one.place.join("cgroup.events").exists() => Some(NAMESPACE.to_owned()),
        b"/" => None,
        root if root.starts_with(b"/..") => Some(OUTSIDE.to_owned()),
        root => Some(text_of_bytes(root)),
    };
    Mount { place: one.place.clone(), part }
}

fn no_cgroup2(mounts: &[Mounted]) -> Missing {
    match memory_of_v1(mounts) {
        Some(place) => Missing {
            what: format!("only cgroup v1 is mounted, with the memory controller at {place}"),
            help: "policies are for cgroup2: start the kernel with `systemd.unified_cgroup_hierarchy=1` or `cgroup_no_v1=all`",
        },
        None => Missing {
            what: "cgroup2 is not mounted".to_owned(),
            help: "`mount -t cgroup2 none /sys/fs/cgroup`",
        },
    }
}

/// Where the memory controller of cgroup v1 is mounted.
fn memory_of_v1(mounts: &[Mounted]) -> Option<String> {
    let memory = |one: &&Mounted| one.kind == "cgroup" && one.options.split(',').any(|word| word == "memory");
    mounts.iter().find(memory).map(|one| text_of_bytes(one.place.as_os_str().as_bytes()))
}

/// What is mounted where (proc_pid_mountinfo(5)).
fn mounts(system: &System<'_>) -> Result<Vec<Mounted>> {
    let path = &system.paths.mounts;
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    Ok(bytes.split(|byte| *byte == b'\n').filter_map(mounted).collect())
}

fn mounted(line: &[u8]) -> Option<Mounted> {
    // Behind the fifth word are any number of others, then ` - `, the type, the source and the options.
    let at = line.windows(3).position(|three| three == b" - ")?;
    let (left, right) = (line.get(..at)?, line.get(at + 3..)?);
    let mut left = left.split(|byte| *byte == b' ').skip(3);
    let (root, place) = (left.next()?, left.next()?);
    let mut right = right.split(|byte| *byte == b' ');
    let kind = right.next()?;
    let options = right.nth(1).unwrap_or_default();
    Some(Mounted {
        root: OsString::from_vec(unescape(root)),
        place: OsString::from_vec(unescape(place)).into(),
        kind: text_of_bytes(kind),
        options: text_of_bytes(options),
    })
}

/// Blanks, ends of lines, backslashes and `#` are written in three octal digits: `\040`.
fn unescape(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        if *first == b'\\'
            && let Some(digits) = rest.get(..3)
            && let Some(byte) =
                std::str::from_utf8(digits).ok().and_then(|digits| u8::from_str_radix(digits, 8).ok())
        {
            plain.push(byte);
            text = rest.get(3..).unwrap_or_default();
        } else {
            plain.push(*first);
            text = rest;
        }
    }
    plain
}

/// Finds a cgroup.
///
/// # Errors
/// [`Error::RootByPath`] when the root is named by its path; [`Error::Cgroup`] when there is none;
/// [`Error::PartOfTree`] when the whole machine is meant and cannot be seen.
pub fn open(system: &System<'_>, target: &Target) -> Result<Cgroup> {
    let mount = mount(system)?;
    let place = match (target, &mount.part) {
        (Target::Cgroup(path), _) => mount.directory(path)?,
        (Target::System, None) => mount.place.clone(),
        (Target::System, Some(part)) => {
            return Err(Error::PartOfTree { place: mount.place.clone(), part: part.clone() });
        }
    };
    let path = mount.path(&place);
    let none = |reason: String| Error::Cgroup { path: path.clone(), reason };
    let shown = text_of_bytes(place.as_os_str().as_bytes());
    let dir = File::open(&place).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => none(format!("{shown} does not exist")),
        std::io::ErrorKind::PermissionDenied => Error::file("open", &place)(error),
        _ => none(format!("{shown}: {error}")),
    })?;
    let data = dir.metadata().map_err(Error::file("look at", &place))?;
    let root = fs::metadata(&mount.place).map_err(Error::file("look at", &mount.place))?;
    if !data.is_dir() || data.dev() != root.dev() {
        return Err(none(format!("{shown} is not a directory of cgroup2")));
    }
    let no_memory = no_memory(system, &mount, &place);
    Ok(Cgroup { dir, place, id: data.ino(), path, no_memory })
}

/// Why a cgroup does not account for memory, and what to do.
fn no_memory(system: &System<'_>, mount: &Mount, place: &Path) -> Option<String> {
    let has = |place: &Path, file: &str| {
        let text = fs::read_to_string(place.join(file)).ok()?;
        Some(text.split_whitespace().any(|word| word == "memory"))
    };
    // The root of the tree has no limit; it accounts where the controller is there at all.
    let here = has(&mount.place, "cgroup.controllers");
    if place.join("memory.max").exists() || (place == mount.place && here != Some(false)) {
        return None;
    }
    if here == Some(false) {
        let mounts = mounts(system).unwrap_or_default();
        return Some(match (memory_of_v1(&mounts), &mount.part) {
            (Some(v1), _) => format!(
                "the memory controller belongs to cgroup v1, at {v1}; start the kernel with \
                 `systemd.unified_cgroup_hierarchy=1` or `cgroup_no_v1=memory`"
            ),
            (None, None) => "this kernel has none: it was built without CONFIG_MEMCG, or started with \
                             `cgroup_disable=memory`"
                .to_owned(),
            (None, Some(part)) => {
                format!("{part} has none either: enable it above, outside of this container")
            }
        });
    }
    // From the top: a cgroup cannot have what the one above does not give.
    let mut above: Vec<&Path> = mount.ancestors(place).skip(1).map(|(place, _)| place).collect();
    above.reverse();
    let gap = above.into_iter().find(|place| has(place, "cgroup.subtree_control") != Some(true));
    let gap = gap.or(place.parent()).unwrap_or(place);
    let gap = text_of_bytes(gap.as_os_str().as_bytes());
    Some(format!("enable it above: `echo +memory > {gap}/cgroup.subtree_control`"))
}

/// Cgroups inside each other that are looked into: more than a container in a container in a service has.
const DEPTH: usize = 32;

/// Walks a directory of cgroups and everything below, with their paths, of which the first one is given. One that is removed
/// meanwhile is none; one whose name is no text is left out with what is below.
pub fn walk(place: &Path, path: &str, visit: &mut dyn FnMut(&Path, &str)) {
    walk_to(place, path, 0, DEPTH, &mut |place, path, _| visit(place, path));
}

/// As [`walk`], with the ids of the cgroups; that of the first one is given. A directory tells the ids of those in it, so
/// that nobody has to ask for each.
pub(crate) fn walk_with_ids(place: &Path, path: &str, id: u64, visit: &mut dyn FnMut(&Path, &str, u64)) {
    walk_to(place, path, id, DEPTH, visit);
}

fn walk_to(place: &Path, path: &str, id: u64, depth: usize, visit: &mut dyn FnMut(&Path, &str, u64)) {
    visit(place, path, id);
    let Some(depth) = depth.checked_sub(1) else { return };
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    // A link leads out of the tree; cgroupfs has none.
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        if let Some(name) = entry.file_name().to_str() {
            let path = format!("{}/{name}", path.trim_end_matches('/'));
            walk_to(&entry.path(), &path, entry.ino(), depth, visit);
        }
    }
}

/// Brings the statistics of all cgroups up to date that can be seen: who asks a policy about one cgroup may be told about
/// those above it.
///
/// # Errors
/// The cgroup has no statistics, or is gone.
pub fn count_up(place: &Path) -> io::Result<()> {
    let statistics = |place: &Path| place.join("memory.stat");
    let seen = place.ancestors().map(statistics).take_while(|file| file.exists()).last();
    // Reading is what makes the kernel add up, for the cgroup and everything below (mm/memcontrol.c, 6.12).
    fs::read(seen.unwrap_or_else(|| statistics(place))).map(drop)
}

/// A number in a file of a cgroup; none: it is gone, or says `max`. One read gives all of so short a file.
pub(crate) fn number(file: &Path) -> Option<u64> {
    let mut text = [0; 32];
    let count = File::open(file).ok()?.read(&mut text).ok()?;
    std::str::from_utf8(text.get(..count)?).ok()?.trim().parse().ok()
}

/// `oom_kill` of a cgroup and everything below: what the kernel's killer, or a policy that it asked, has killed.
pub(crate) fn oom_kills(cgroup: &Path) -> Option<u64> {
    let events = fs::read_to_string(cgroup.join("memory.events")).ok()?;
    events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.parse().ok())
}

/// Whether there is a process in a cgroup or below it; none: it is gone.
pub(crate) fn populated(cgroup: &Path) -> Option<bool> {
    let events = fs::read_to_string(cgroup.join("cgroup.events")).ok()?;
    Some(events.lines().any(|line| line == "populated 1"))
}

/// The path of a cgroup. None: it is gone, or cannot be seen from here.
#[must_use]
pub fn path(system: &System<'_>, id: u64) -> Option<String> {
    paths(&mount(system).ok()?, &[id]).pop().flatten()
}

/// Paths of cgroups with these ids, in their order; None: no such cgroup.
pub(crate) fn paths(mount: &Mount, ids: &[u64]) -> Vec<Option<String>> {
    let mut found = vec![None; ids.len()];
    let mut left = ids.len();
    let mut open = vec![mount.place.clone()];
    while let Some(dir) = open.pop()
        && left > 0
    {
        // Cgroups come and go while this runs: one that is gone has no path.
        let Ok(data) = fs::metadata(&dir) else { continue };
        for (slot, _) in found.iter_mut().zip(ids).filter(|(slot, id)| slot.is_none() && **id == data.ino()) {
            *slot = Some(mount.path(&dir));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_as_the_kernel_writes_them() {
        let line = b"30 23 0:26 /job\\040one /mnt/a\\134b\\040\\303\\251 rw,nosuid shared:9 - cgroup2 none rw,memory_recursiveprot";
        let one = mounted(line).expect("a mount");
        assert_eq!(one.root, "/job one");
        assert_eq!(one.place, Path::new("/mnt/a\\b é"));
        assert_eq!((one.kind.as_str(), one.options.as_str()), ("cgroup2", "rw,memory_recursiveprot"));
        assert_eq!(unescape(b"\\04"), b"\\04");
        assert_eq!(unescape(b"\\9990"), b"\\9990");
        assert!(mounted(b"").is_none());
    }

    #[test]
    fn a_part_of_the_tree_is_called_what_it_is() {
        let job = Mount { place: "/mnt/c".into(), part: Some("/job".to_owned()) };
        assert_eq!(job.path(Path::new("/mnt/c")), "/job");
        assert_eq!(job.path(Path::new("/mnt/c/a")), "/job/a");
        for path in ["a", "/a", "/job/a", "/mnt/c/a"] {
            assert_eq!(job.directory(path).expect(path), Path::new("/mnt/c/a"), "{path}");
        }
        let whole = Mount { place: "/mnt/c".into(), part: None };
        assert_eq!(whole.path(Path::new("/mnt/c/job/a")), "/job/a");
        assert!(matches!(whole.directory("/"), Err(Error::RootByPath)));
    }
}
