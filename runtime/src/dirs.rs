//! Calls on directories: open without following a link, look, list, make, remove, lock.
//!
//! [`crate::sys`] passes them on, so that tests can answer them otherwise. Everything goes by descriptors, so that
//! nobody can put something else into a path between two calls. Knows nothing of pins.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, ResolveFlags, StatVfsMountFlags};

use crate::sys::ObjectKind;

/// `BPF_FS_MAGIC` (`include/uapi/linux/magic.h`, 6.12): the file system is bpffs.
pub(crate) const BPFFS: u32 = 0xcafe_4a11;
/// `SYSFS_MAGIC`: nothing is mounted over a directory of sysfs.
pub(crate) const SYSFS: u32 = 0x6265_6572;
/// `TMPFS_MAGIC`.
pub(crate) const TMPFS: u32 = 0x0102_1994;

/// What is known of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Number of its file system.
    pub dev: u64,
    /// Its number in there.
    pub ino: u64,
    /// Its owner.
    pub uid: u32,
    /// Who may do what with it, as in `stat(2)`.
    pub mode: u32,
    /// The magic number of its file system.
    pub magic: u32,
    /// Nothing can be changed in it as it is mounted.
    pub read_only: bool,
}

/// Something in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Dir,
    /// A file; in bpffs, a pin.
    File,
    /// A symbolic link.
    Symlink,
    /// Anything else, or the file system does not say.
    Other,
}

/// What a lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Reading: nobody changes anything meanwhile.
    Shared,
    /// Changing: nobody else does anything meanwhile.
    Exclusive,
}

pub(crate) fn open(at: Option<BorrowedFd<'_>>, path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let links = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(match at {
        Some(at) => {
            let resolve = links | ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
            rustix::fs::openat2(at, path, flags, Mode::empty(), resolve)?
        }
        None => rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), links)?,
    })
}

pub(crate) fn look_at(dir: BorrowedFd<'_>) -> io::Result<Facts> {
    let data = rustix::fs::fstat(dir)?;
    let system = rustix::fs::fstatfs(dir)?;
    let mounted = rustix::fs::fstatvfs(dir)?;
    Ok(Facts {
        dev: data.st_dev,
        ino: data.st_ino,
        uid: data.st_uid,
        mode: data.st_mode & 0o7777,
        // The kernel's magic numbers have 32 bits, whatever the field has.
        magic: system.f_type as u32,
        read_only: mounted.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

pub(crate) fn list(dir: BorrowedFd<'_>) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    // A descriptor of its own: the place in a directory belongs to the open file.
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Directory => EntryKind::Dir,
            FileType::RegularFile => EntryKind::File,
            FileType::Symlink => EntryKind::Symlink,
            _ => EntryKind::Other,
        };
        entries.push(Entry { name: name.to_owned(), kind });
    }
    Ok(entries)
}

pub(crate) fn make(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::mkdirat(at, name, Mode::RWXU)?)
}

pub(crate) fn remove(at: BorrowedFd<'_>, name: &OsStr, dir: bool) -> io::Result<()> {
    let flags = if dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    Ok(rustix::fs::unlinkat(at, name, flags)?)
}

pub(crate) fn lock(dir: BorrowedFd<'_>, lock: Lock, wait: bool) -> io::Result<()> {
    let how = match (lock, wait) {
        (Lock::Shared, true) => FlockOperation::LockShared,
        (Lock::Shared, false) => FlockOperation::NonBlockingLockShared,
        (Lock::Exclusive, true) => FlockOperation::LockExclusive,
        (Lock::Exclusive, false) => FlockOperation::NonBlockingLockExclusive,
    };
    Ok(rustix::io::retry_on_intr(|| rustix::fs::flock(dir, how))?)
}

/// As bpftool tells objects apart: by the name of the anonymous file, which `kernel/bpf/syscall.c` (6.12) gives.
pub(crate) fn kind_of(object: BorrowedFd<'_>) -> io::Result<ObjectKind> {
    let place = format!("/proc/self/fd/{}", object.as_raw_fd());
    let name = std::fs::read_link(place)?;
    let name = name.as_os_str().as_bytes();
    Ok(match name.strip_prefix(b"anon_inode:") {
        Some(b"bpf-map") => ObjectKind::Map,
        Some(b"bpf-prog") => ObjectKind::Prog,
        Some(b"bpf_link" | b"bpf-link") => ObjectKind::Link,
        _ => ObjectKind::Other,
    })
}
