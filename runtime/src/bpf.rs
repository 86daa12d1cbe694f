//! [`Syscall`]s with typed answers: which call failed on which object becomes an [`Error`] here.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use oomc_abi::shown::shown_bytes;

use crate::error::{Error, Result};
use crate::sys::{
    Entry, Facts, IdKind, Kernel, LinkInfo, Lock, MapAttr, MapInfo, ObjectKind, ProgInfo, Reply, Syscall,
};

/// A kernel that is asked on behalf of somebody who wants sentences.
#[derive(Clone, Copy)]
pub(crate) struct Bpf<'k> {
    kernel: &'k dyn Kernel,
}

impl std::fmt::Debug for Bpf<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bpf")
    }
}

impl<'k> Bpf<'k> {
    pub(crate) fn new(kernel: &'k dyn Kernel) -> Self {
        Self { kernel }
    }

    /// The bare answer, for callers that look at the errno.
    pub(crate) fn raw(&self, call: Syscall<'_>) -> io::Result<Reply> {
        self.kernel.call(call)
    }

    fn call(&self, call: Syscall<'_>, object: &str) -> Result<Reply> {
        let name = call.name();
        self.kernel.call(call).map_err(|source| Error::Call { call: name, object: object.to_owned(), source })
    }

    fn fd(&self, call: Syscall<'_>, object: &str) -> Result<OwnedFd> {
        match self.call(call, object)? {
            Reply::Fd(fd) => Ok(fd),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn btf_load(&self, btf: &[u8]) -> Result<OwnedFd> {
        let first = self.raw(Syscall::BtfLoad { btf, log: &mut [] });
        let error = match first {
            Ok(Reply::Fd(fd)) => return Ok(fd),
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => error,
        };
        let mut log = vec![0; 64 << 10];
        // Only for its words: the outcome is known.
        let _ = self.raw(Syscall::BtfLoad { btf, log: &mut log });
        let text = crate::object::text_of(&log);
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        let object = if last.is_empty() {
            "the object's types".to_owned()
        } else {
            format!("the object's types (`{}`)", last.trim())
        };
        Err(Error::Call { call: "BPF_BTF_LOAD", object, source: error })
    }

    pub(crate) fn map_create(&self, map: &MapAttr<'_>) -> Result<OwnedFd> {
        self.fd(Syscall::MapCreate(map), &format!("map {}", map.name))
    }

    pub(crate) fn map_update(&self, map: BorrowedFd<'_>, value: &[u8], name: &str) -> Result<()> {
        self.element_update(map, &0_u32.to_ne_bytes(), value, name)
    }

    /// Sets an element of a map of many.
    pub(crate) fn element_update(
        &self,
        map: BorrowedFd<'_>,
        key: &[u8],
        value: &[u8],
        name: &str,
    ) -> Result<()> {
        self.call(Syscall::MapUpdate { map, key, value }, &format!("map {name}")).map(drop)
    }

    /// Removes an element; false: there was none.
    pub(crate) fn element_delete(&self, map: BorrowedFd<'_>, key: &[u8], name: &str) -> Result<bool> {
        match self.call(Syscall::MapDelete { map, key }, &format!("map {name}")) {
            Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// All keys of a map, which others may change meanwhile.
    pub(crate) fn keys(&self, map: BorrowedFd<'_>, name: &str) -> Result<Vec<Vec<u8>>> {
        let info = self.map_info(map, name)?;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        // A key that is removed under the walk sends it back to the first one.
        while keys.len() < info.max_entries as usize {
            let mut key = vec![0; info.key_size as usize];
            let after = keys.last().map(Vec::as_slice);
            match self.call(Syscall::MapNextKey { map, after, key: &mut key }, &format!("map {name}")) {
                Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => break,
                result => result?,
            };
            keys.push(key);
        }
        Ok(keys)
    }

    /// A member of an array.
    pub(crate) fn element(
        &self,
        map: BorrowedFd<'_>,
        index: u32,
        value: &mut [u8],
        name: &str,
    ) -> Result<()> {
        let key = index.to_ne_bytes();
        self.call(Syscall::MapLookup { map, key: &key, value }, &format!("map {name}")).map(drop)
    }

    /// Reads an element of a map of many; false: there is none.
    pub(crate) fn found(
        &self,
        map: BorrowedFd<'_>,
        key: &[u8],
        value: &mut [u8],
        name: &str,
    ) -> Result<bool> {
        match self.call(Syscall::MapLookup { map, key, value }, &format!("map {name}")) {
            Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            result => result.map(|_| true),
        }
    }

    /// An extended attribute of at most so many bytes. None: there is none.
    pub(crate) fn attribute(&self, of: BorrowedFd<'_>, name: &str, most: usize) -> Result<Option<Vec<u8>>> {
        let mut value = vec![0; most];
        match self.raw(Syscall::Attribute { of, name, value: &mut value }) {
            Ok(Reply::Number(len)) => {
                value.truncate(len as usize);
                Ok(Some(value))
            }
            Ok(other) => Err(unexpected(&other)),
            Err(error) if error.raw_os_error() == Some(libc::ENODATA) => Ok(None),
            // Cgroups of this kernel take no such attributes.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
            Err(source) => {
                Err(Error::Call { call: "fgetxattr", object: format!("attribute {name}"), source })
            }
        }
    }

    pub(crate) fn map_freeze(&self, map: BorrowedFd<'_>, name: &str) -> Result<()> {
        self.call(Syscall::MapFreeze { map }, &format!("map {name}")).map(drop)
    }

    /// The value of a map of one element.
    pub(crate) fn map_value(&self, map: BorrowedFd<'_>, name: &str) -> Result<Vec<u8>> {
        let info = self.map_info(map, name)?;
        let mut value = vec![0; readable(info.value_size, &format!("map {name}"))?];
        self.element(map, 0, &mut value, name)?;
        Ok(value)
    }

    pub(crate) fn map_info(&self, map: BorrowedFd<'_>, name: &str) -> Result<MapInfo> {
        match self.call(Syscall::MapInfo { map }, &format!("map {name}"))? {
            Reply::Map(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a program that user space asks; gives what it returns.
    pub(crate) fn prog_run(&self, prog: BorrowedFd<'_>) -> Result<u32> {
        match self.call(Syscall::ProgRun { prog }, "the program")? {
            Reply::Number(number) => Ok(number),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn link_info(&self, link: BorrowedFd<'_>) -> Result<LinkInfo> {
        match self.call(Syscall::LinkInfo { link }, "the link")? {
            Reply::Link(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn prog_info(&self, prog: BorrowedFd<'_>) -> Result<ProgInfo> {
        match self.call(Syscall::ProgInfo { prog }, "the program")? {
            Reply::Prog(info) => Ok(info),
            other => Err(unexpected(&other)),
        }
    }

    /// The bytes of a loaded BTF.
    pub(crate) fn btf_data(&self, id: u32) -> Result<Vec<u8>> {
        let btf = self.by_id(IdKind::Btf, id)?;
        let name = format!("BTF {id}");
        let read = |data: &mut Vec<u8>| match self.call(Syscall::BtfData { btf: btf.as_fd(), data }, &name)? {
            Reply::Number(size) => Ok(size),
            other => Err(unexpected(&other)),
        };
        // Asked twice: for the size, then for the bytes.
        let size = read(&mut Vec::new())?;
        let mut data = vec![0; readable(size, &name)?];
        read(&mut data)?;
        Ok(data)
    }

    pub(crate) fn by_id(&self, kind: IdKind, id: u32) -> Result<OwnedFd> {
        self.fd(Syscall::ById { kind, id }, &format!("{kind:?} {id}"))
    }

    pub(crate) fn pin(
        &self,
        object: BorrowedFd<'_>,
        dir: BorrowedFd<'_>,
        name: &str,
        place: &Path,
    ) -> Result<()> {
        self.call(Syscall::Pin { object, dir, name }, &path(place)).map(drop)
    }

    pub(crate) fn pinned(&self, dir: BorrowedFd<'_>, name: &str, place: &Path) -> Result<OwnedFd> {
        self.fd(Syscall::Pinned { dir, name }, &path(place))
    }

    pub(crate) fn kind_of(&self, object: BorrowedFd<'_>, place: &Path) -> Result<ObjectKind> {
        match self.call(Syscall::KindOf { object }, &path(place))? {
            Reply::Kind(kind) => Ok(kind),
            other => Err(unexpected(&other)),
        }
    }

    /// Opens a directory; `place` is how messages call it.
    pub(crate) fn open_dir(&self, at: Option<BorrowedFd<'_>>, name: &Path, place: &Path) -> Result<OwnedFd> {
        self.fd(Syscall::OpenDir { at, path: name }, &path(place))
    }

    pub(crate) fn look_at(&self, dir: BorrowedFd<'_>, place: &Path) -> Result<Facts> {
        match self.call(Syscall::LookAt { dir }, &path(place))? {
            Reply::Facts(facts) => Ok(facts),
            other => Err(unexpected(&other)),
        }
    }

    pub(crate) fn list(&self, dir: BorrowedFd<'_>, place: &Path) -> Result<Vec<Entry>> {
        match self.call(Syscall::List { dir }, &path(place))? {
            Reply::Entries(entries) => Ok(entries),
            other => Err(unexpected(&other)),
        }
    }

    /// Makes a directory. False: there is something of this name.
    pub(crate) fn make_dir(&self, at: BorrowedFd<'_>, name: &OsStr, place: &Path) -> Result<bool> {
        unless(self.call(Syscall::MakeDir { at, name }, &path(place)), libc::EEXIST)
    }

    /// Removes a directory, if there is one.
    pub(crate) fn remove_dir(&self, at: BorrowedFd<'_>, name: &OsStr, place: &Path) -> Result<()> {
        unless(self.call(Syscall::RemoveDir { at, name }, &path(place)), libc::ENOENT).map(drop)
    }

    /// Removes a file, if there is one.
    pub(crate) fn remove_file(&self, at: BorrowedFd<'_>, name: &OsStr, place: &Path) -> Result<()> {
        unless(self.call(Syscall::RemoveFile { at, name }, &path(place)), libc::ENOENT).map(drop)
    }

    /// Takes a lock. False: somebody else has it, and this was not to wait.
    pub(crate) fn lock(&self, dir: BorrowedFd<'_>, lock: Lock, wait: bool, place: &Path) -> Result<bool> {
        match self.call(Syscall::Lock { dir, lock, wait }, &path(place)) {
            Err(Error::Call { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(false),
            result => result.map(|_| true),
        }
    }

    pub(crate) fn detach(&self, link: BorrowedFd<'_>) -> Result<()> {
        self.call(Syscall::LinkDetach { link }, "the link").map(drop)
    }

    pub(crate) fn mount(&self, place: &Path) -> Result<()> {
        self.call(Syscall::MountBpf { place }, &format!("bpffs at {}", path(place))).map(drop)
    }
}

/// A path as messages have it.
fn path(place: &Path) -> String {
    shown_bytes(place.as_os_str().as_bytes())
}

/// False: the call ended with this errno.
fn unless(result: Result<Reply>, errno: i32) -> Result<bool> {
    match result {
        Err(Error::Call { source, .. }) if source.raw_os_error() == Some(errno) => Ok(false),
        result => result.map(|_| true),
    }
}

/// Most bytes of one thing that is read from the kernel; a policy's largest map has a few hundred thousand.
const MAX_READ: u32 = 64 << 20;

/// A size, if so much may be read.
fn readable(size: u32, what: &str) -> Result<usize> {
    if size > MAX_READ {
        let most = MAX_READ >> 20;
        return Err(Error::Unexpected(format!("{what} has {size} bytes; more than {most} MiB are not read")));
    }
    Ok(size as usize)
}

pub(crate) fn unexpected(reply: &Reply) -> Error {
    Error::Unexpected(format!("a system call gave an answer of the wrong kind: {reply:?}"))
}
