//! Pins: what makes a policy outlive its loader, and the lock that keeps loaders apart.
//!
//! Owns `/sys/fs/bpf/oomc/<cgroup-id>/`. Invariant: a folder with a pinned `link` is whole, because the link
//! is pinned last; a folder without one is what a killed loader left, and its program is attached nowhere.
//! Whoever changes anything here holds the [`Pins`], which is the lock.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::bpf::Bpf;
use crate::error::{Error, Result};
use crate::system::System;

/// The pin without which a folder means nothing.
pub(crate) const LINK: &str = "link";
/// The program.
pub(crate) const PROG: &str = "prog";
/// The ops map.
pub(crate) const OPS: &str = "ops";
/// Map with the lines of `.oomc.meta`.
pub(crate) const META: &str = "meta";
/// Map with the policy's text.
pub(crate) const SOURCE: &str = "source";

/// All of oomc's pins, locked.
#[derive(Debug)]
pub(crate) struct Pins {
    root: PathBuf,
    /// Unlocked when closed, also when the process dies.
    _lock: File,
}

impl Pins {
    /// Takes the lock; waits for another loader. Makes what is missing: the folder, and the mount below it
    /// if nothing is mounted there.
    pub(crate) fn lock(system: &System<'_>) -> Result<Self> {
        let root = system.paths.bpffs.join("oomc");
        let mut mounted = false;
        loop {
            match DirBuilder::new().mode(0o700).create(&root) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Ok(()) => {}
                // sysfs takes no folders: bpffs is not mounted there.
                Err(error) if !mounted && unmounted(&error) => {
                    mount(system, error)?;
                    mounted = true;
                    continue;
                }
                Err(error) => return Err(Error::file("make", &root)(error)),
            }
            let lock = File::open(&root).map_err(Error::file("open", &root))?;
            lock.lock().map_err(Error::file("lock", &root))?;
            // Somebody may have removed the folder while this waited for it.
            let same = |a: &fs::Metadata, b: &fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
            if let (Ok(held), Ok(named)) = (lock.metadata(), fs::metadata(&root))
                && same(&held, &named)
            {
                return Ok(Self { root, _lock: lock });
            }
        }
    }

    /// As [`lock`](Self::lock), but None when there is no folder: then there is nothing to see or to remove.
    pub(crate) fn lock_existing(system: &System<'_>) -> Result<Option<Self>> {
        if system.paths.bpffs.join("oomc").exists() { Self::lock(system).map(Some) } else { Ok(None) }
    }

    /// Folders of cgroups by id, ascending.
    pub(crate) fn folders(&self) -> Result<Vec<Folder>> {
        let mut folders = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(Error::file("read", &self.root))? {
            let entry = entry.map_err(Error::file("read", &self.root))?;
            if let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                folders.push(Folder { id, path: entry.path() });
            }
        }
        folders.sort_by_key(|folder| folder.id);
        Ok(folders)
    }

    /// The folder of a cgroup, which may not exist.
    pub(crate) fn folder(&self, id: u64) -> Folder {
        Folder { id, path: self.root.join(id.to_string()) }
    }
}

/// What a folder that is not bpffs answers to whoever makes one in it.
fn unmounted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOENT | libc::EROFS))
}

/// Mounts bpffs where it belongs, unless something is mounted there already: then `error` stands.
fn mount(system: &System<'_>, error: io::Error) -> Result<()> {
    let place = &system.paths.bpffs;
    // Of two loaders that come here at once one mounts; a second mount would hide the pins of the first.
    let below = File::open(place).map_err(Error::file("open", place))?;
    below.lock().map_err(Error::file("lock", place))?;
    let now = fs::metadata(place).map_err(Error::file("look at", place))?;
    let then = below.metadata().map_err(Error::file("look at", place))?;
    if (now.dev(), now.ino()) != (then.dev(), then.ino()) {
        return Ok(());
    }
    if crate::cgroup::mounts(system)?.iter().any(|(mount, _)| mount == place) {
        return Err(Error::file("make a folder in", place)(error));
    }
    system.bpf().mount(place)
}

/// The pins of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) id: u64,
    path: PathBuf,
}

impl Folder {
    pub(crate) fn path(&self, pin: &str) -> PathBuf {
        self.path.join(pin)
    }

    /// The folder itself.
    pub(crate) fn place(&self) -> &Path {
        &self.path
    }

    pub(crate) fn create(&self) -> Result<()> {
        DirBuilder::new().mode(0o700).create(&self.path).map_err(Error::file("make", &self.path))
    }

    /// Opens a pin. None: there is none of this name.
    pub(crate) fn open(&self, bpf: Bpf<'_>, pin: &str) -> Result<Option<OwnedFd>> {
        let path = self.path(pin);
        if path.exists() { bpf.pinned(&path).map(Some) } else { Ok(None) }
    }

    pub(crate) fn pin(&self, bpf: Bpf<'_>, object: BorrowedFd<'_>, pin: &str) -> Result<()> {
        bpf.pin(object, &self.path(pin))
    }

    /// Removes everything, the link first: without it the rest is but leftovers.
    pub(crate) fn remove(&self) -> Result<()> {
        let gone = |result: io::Result<()>, path: &Path| match result {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::file("remove", path)(error)),
            _ => Ok(()),
        };
        let link = self.path(LINK);
        gone(fs::remove_file(&link), &link)?;
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) => return gone(Err(error), &self.path),
        };
        for entry in entries {
            let path = entry.map_err(Error::file("read", &self.path))?.path();
            gone(fs::remove_file(&path), &path)?;
        }
        gone(fs::remove_dir(&self.path), &self.path)
    }
}
