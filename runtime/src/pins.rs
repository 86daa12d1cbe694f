//! Pins: what makes a policy outlive its loader, and the lock that keeps loaders apart.
//!
//! Owns `/sys/fs/bpf/oomc/<cgroup-id>/`, and `<cgroup-id>b` for the other of two versions that follow each other on one
//! cgroup. Invariant: a folder with a pinned `link` is whole, because the link
//! is pinned last; a folder without one is what a killed loader left, and its program is attached nowhere.
//! What a running engine shows of the policy that it asks lies in `<cgroup-id>r` ([`crate::engine_pins`]).
//! Whoever changes anything here holds the [`Pins`] with the exclusive lock, whoever looks holds them with the shared one.
//!
//! The folder is believed only if root made it and nobody else can write to it. Everything in it goes by descriptors
//! and follows no link. What oomc did not put there is neither read nor removed, but reported as [`Left`].

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use oomc_abi::maps;
use oomc_abi::shown::text_of_bytes;

use crate::bpf::Bpf;
use crate::dirs::{BPFFS, SYSFS, TMPFS};
use crate::error::{Error, Result};
use crate::sys::{Entry, EntryKind, Facts, Lock, ObjectKind};
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

/// Pins that are not a map of the object.
const OWN: [&str; 5] = [LINK, PROG, OPS, META, SOURCE];
/// Maps of an object of ours.
const MAPS: [&str; 12] = [
    maps::CONFIG,
    maps::STATS,
    maps::RECORDS,
    maps::EVENTS,
    maps::OUTCOMES,
    maps::LABELS,
    maps::COUNTERS,
    "rodata",
    "scratch",
    "local",
    "units",
    "found",
];
/// Before the name of any other map.
const OTHER: &str = "map_";

/// Something among the pins that no policy needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Where it is.
    pub place: PathBuf,
    /// What is wrong with it.
    pub why: String,
    /// `oomc tidy` removes it. Otherwise oomc did not make it, and leaves it alone.
    pub ours: bool,
    /// The cgroup that its name says.
    pub(crate) id: Option<u64>,
}

/// All of oomc's pins, locked.
#[derive(Debug)]
pub(crate) struct Pins<'k> {
    bpf: Bpf<'k>,
    root: Rc<Root>,
}

/// What is seen without waiting.
pub(crate) enum Glance<'k> {
    /// Somebody changes something.
    Busy,
    /// There is no folder.
    Nothing,
    /// They are locked for looking.
    Pins(Pins<'k>),
}

#[derive(Debug)]
struct Root {
    /// Unlocked when closed, also when the process dies.
    dir: OwnedFd,
    place: PathBuf,
}

impl<'k> Pins<'k> {
    /// Takes the lock for changes. Makes what is missing: the folder, and the mount below it if nothing is mounted
    /// there.
    pub(crate) fn lock(system: &System<'k>) -> Result<Self> {
        let mut mounted = false;
        loop {
            let Some(parent) = parent(system, true)? else {
                if mounted {
                    return Err(refused("mount", &system.paths.bpffs, "bpffs was mounted and is not there"));
                }
                mount(system)?;
                mounted = true;
                continue;
            };
            if let Some(pins) = Self::take(system, &parent, true, Lock::Exclusive)? {
                return Ok(pins);
            }
        }
    }

    /// Takes the lock for changes, but None when there is no folder: then there is nothing to remove.
    pub(crate) fn lock_existing(system: &System<'k>) -> Result<Option<Self>> {
        Self::existing(system, Lock::Exclusive)
    }

    /// Takes the lock for looking. None when there is no folder: then there is nothing to see.
    pub(crate) fn look(system: &System<'k>) -> Result<Option<Self>> {
        Self::existing(system, Lock::Shared)
    }

    /// Takes the lock for looking if nobody has to be waited for.
    pub(crate) fn glance(system: &System<'k>) -> Result<Glance<'k>> {
        let Some(parent) = parent(system, false)? else { return Ok(Glance::Nothing) };
        let bpf = system.bpf();
        let place = system.paths.bpffs.join(NAME);
        let Some(dir) = folder_of(bpf, &parent, &place)? else { return Ok(Glance::Nothing) };
        believed(bpf, &dir, &place)?;
        match bpf.lock(dir.as_fd(), Lock::Shared, false, &place)? {
            true => Ok(Glance::Pins(Self { bpf, root: Rc::new(Root { dir, place }) })),
            false => Ok(Glance::Busy),
        }
    }

    /// The folder as it is, without the lock: what is seen in it may vanish or change at any moment. None when there is
    /// no folder.
    pub(crate) fn unlocked(system: &System<'k>) -> Result<Option<Self>> {
        let Some(parent) = parent(system, false)? else { return Ok(None) };
        let bpf = system.bpf();
        let place = system.paths.bpffs.join(NAME);
        let Some(dir) = folder_of(bpf, &parent, &place)? else { return Ok(None) };
        believed(bpf, &dir, &place)?;
        Ok(Some(Self { bpf, root: Rc::new(Root { dir, place }) }))
    }

    fn existing(system: &System<'k>, lock: Lock) -> Result<Option<Self>> {
        match parent(system, false)? {
            Some(parent) => Self::take(system, &parent, false, lock),
            None => Ok(None),
        }
    }

    fn take(system: &System<'k>, parent: &OwnedFd, make: bool, lock: Lock) -> Result<Option<Self>> {
        let bpf = system.bpf();
        let place = system.paths.bpffs.join(NAME);
        loop {
            if make {
                bpf.make_dir(parent.as_fd(), OsStr::new(NAME), &place).map_err(writable)?;
            }
            let Some(dir) = folder_of(bpf, parent, &place)? else {
                if make {
                    // Somebody removed it between the two calls.
                    continue;
                }
                return Ok(None);
            };
            let facts = believed(bpf, &dir, &place)?;
            if !bpf.lock(dir.as_fd(), lock, false, &place)? {
                system.tell_waiting(&facts);
                bpf.lock(dir.as_fd(), lock, true, &place)?;
            }
            // Somebody may have removed the folder while this waited for it.
            let Some(now) = folder_of(bpf, parent, &place)? else { continue };
            let now = bpf.look_at(now.as_fd(), &place)?;
            if (now.dev, now.ino) == (facts.dev, facts.ino) {
                return Ok(Some(Self { bpf, root: Rc::new(Root { dir, place }) }));
            }
        }
    }

    /// Folders of cgroups by id, ascending, and what is there besides.
    pub(crate) fn folders(&self) -> Result<(Vec<Folder>, Vec<Left>)> {
        let (mut folders, mut left) = (Vec::new(), Vec::new());
        for entry in self.bpf.list(self.root.dir.as_fd(), &self.root.place)? {
            let place = self.root.place.join(&entry.name);
            let named = folder_name(&entry.name);
            let odd = |why: String| Left { place, why, ours: false, id: named.map(|(id, _)| id) };
            let Some((id, kind)) = named else {
                left.push(odd("oomc gives no such name".to_owned()));
                continue;
            };
            let folder = Folder { kind, ..self.folder(id) };
            match folder.dir(self.bpf).and_then(|dir| match dir {
                Some(dir) => believed(self.bpf, &dir, &folder.place()).map(|_| true),
                None => Ok(false),
            }) {
                Ok(true) => folders.push(folder),
                Ok(false) => {}
                Err(Error::Place { why, .. }) => left.push(odd(why)),
                Err(error) => left.push(odd(error.to_string())),
            }
        }
        folders.sort_by_key(|folder| (folder.id, folder.kind));
        left.sort_by(|a, b| a.place.cmp(&b.place));
        Ok((folders, left))
    }

    /// The first folder of a cgroup, which may not exist.
    pub(crate) fn folder(&self, id: u64) -> Folder {
        Folder { id, kind: FolderKind::First, root: Rc::clone(&self.root) }
    }

    /// The folder of a cgroup's running engine, which may not exist.
    pub(crate) fn engine_folder(&self, id: u64) -> Folder {
        Folder { kind: FolderKind::Engine, ..self.folder(id) }
    }
}

/// Oomc's folder in bpffs.
const NAME: &str = "oomc";

/// Which of a cgroup's folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FolderKind {
    /// Of a policy that is attached, or was.
    First,
    /// Of the version before that one, or after it.
    Second,
    /// Of a policy that an engine asks, or asked.
    Engine,
}

impl FolderKind {
    /// What stands behind the id in the folder's name. bpffs takes no dots.
    fn suffix(self) -> &'static str {
        match self {
            Self::First => "",
            Self::Second => "b",
            Self::Engine => "r",
        }
    }
}

/// The id that a folder's name says, and which folder it is, if oomc would have given it this name.
fn folder_name(name: &OsStr) -> Option<(u64, FolderKind)> {
    let name = name.to_str()?;
    let digits = name.trim_end_matches(|c: char| !c.is_ascii_digit());
    let suffix = name.get(digits.len()..)?;
    let kinds = [FolderKind::First, FolderKind::Second, FolderKind::Engine];
    let kind = kinds.into_iter().find(|kind| kind.suffix() == suffix)?;
    let id: u64 = digits.parse().ok()?;
    (digits == id.to_string()).then_some((id, kind))
}

fn refused(call: &'static str, place: &Path, why: impl Into<String>) -> Error {
    Error::Place { call, place: place.to_owned(), why: why.into(), help: String::new() }
}

fn helped(call: &'static str, place: &Path, why: impl Into<String>, help: impl Into<String>) -> Error {
    Error::Place { call, place: place.to_owned(), why: why.into(), help: help.into() }
}

/// The directory where bpffs belongs. None: nothing is mounted there.
fn parent(system: &System<'_>, change: bool) -> Result<Option<OwnedFd>> {
    let (bpf, place) = (system.bpf(), &system.paths.bpffs);
    let dir = bpf.open_dir(None, place, place).map_err(|error| match errno(&error) {
        Some(libc::ENOENT) => helped(
            "openat2",
            place,
            "it does not exist",
            "sysfs has it where the kernel has CONFIG_BPF_SYSCALL=y: `mount -t sysfs sysfs /sys`",
        ),
        Some(libc::ELOOP | libc::ENOTDIR) => {
            helped("openat2", place, "it, or something above it, is a link or a file", "bpffs belongs there")
        }
        _ => error,
    })?;
    let facts = bpf.look_at(dir.as_fd(), place)?;
    if facts.magic == SYSFS {
        return Ok(None);
    }
    bpffs(&facts, place)?;
    let others = facts.mode & 0o022 != 0;
    // Where others may write, the sticky bit at least keeps what is root's.
    if facts.uid != 0 || others && facts.mode & 0o1000 == 0 {
        let why = format!("others than root may change what is in it ({})", owner(&facts));
        let help = format!("`chown root {0}; chmod 700 {0}`", place.display());
        return Err(helped("fstat", place, why, help));
    }
    if change && facts.read_only {
        let help = format!("`mount -o remount,rw {}`", place.display());
        return Err(helped("statfs", place, "it is mounted read-only, and a policy needs pins there", help));
    }
    Ok(Some(dir))
}

fn bpffs(facts: &Facts, place: &Path) -> Result<()> {
    if facts.magic == BPFFS {
        return Ok(());
    }
    let what = match facts.magic {
        TMPFS => "a tmpfs is mounted there, which takes no pins".to_owned(),
        other => format!("it is not in bpffs but in a file system with the number {other:#x}"),
    };
    let help = format!(
        "`umount {0}` if nobody needs it, or `mount -t bpf -o mode=700 bpf {0}` over it",
        place.display()
    );
    Err(helped("statfs", place, what, help))
}

/// Refuses a folder that somebody else than root could have filled.
fn believed(bpf: Bpf<'_>, dir: &OwnedFd, place: &Path) -> Result<Facts> {
    let facts = bpf.look_at(dir.as_fd(), place)?;
    bpffs(&facts, place)?;
    if facts.uid == 0 && facts.mode & 0o022 == 0 {
        return Ok(facts);
    }
    let why = format!("others than root may change what is in it ({})", owner(&facts));
    let above = place.parent().unwrap_or(place);
    let help = format!(
        "what is in it cannot be believed: close bpffs to others by `chmod 700 {}`, then `rm -r {}`, which follows no \
         link, and load the policies again",
        above.display(),
        place.display()
    );
    Err(helped("fstat", place, why, help))
}

fn owner(facts: &Facts) -> String {
    format!("owner {}, mode {:o}", facts.uid, facts.mode)
}

fn folder_of(bpf: Bpf<'_>, parent: &OwnedFd, place: &Path) -> Result<Option<OwnedFd>> {
    match bpf.open_dir(Some(parent.as_fd()), Path::new(NAME), place) {
        Ok(dir) => Ok(Some(dir)),
        Err(error) => match errno(&error) {
            Some(libc::ENOENT) => Ok(None),
            Some(libc::ELOOP | libc::ENOTDIR) => {
                let help = format!("`rm {}`", place.display());
                Err(helped("openat2", place, "it is a link or a file, and oomc makes a directory", help))
            }
            _ => Err(error),
        },
    }
}

fn errno(error: &Error) -> Option<i32> {
    match error {
        Error::Call { source, .. } | Error::File { source, .. } => source.raw_os_error(),
        _ => None,
    }
}

/// EROFS by its cause.
fn writable(error: Error) -> Error {
    match (errno(&error), error) {
        (Some(libc::EROFS), Error::Call { call, object, .. }) => Error::Place {
            call,
            place: object.into(),
            why: "bpffs is mounted read-only".to_owned(),
            help: "mount it read-write".to_owned(),
        },
        (_, error) => error,
    }
}

/// Mounts bpffs where it belongs. Of two loaders that come here at once one mounts: a second mount would hide the pins
/// of the first.
fn mount(system: &System<'_>) -> Result<()> {
    let (bpf, place) = (system.bpf(), &system.paths.bpffs);
    let below = bpf.open_dir(None, place, place)?;
    let facts = bpf.look_at(below.as_fd(), place)?;
    if !bpf.lock(below.as_fd(), Lock::Exclusive, false, place)? {
        system.tell_waiting(&facts);
        bpf.lock(below.as_fd(), Lock::Exclusive, true, place)?;
    }
    let now = bpf.look_at(bpf.open_dir(None, place, place)?.as_fd(), place)?;
    if (now.dev, now.ino) != (facts.dev, facts.ino) {
        return Ok(());
    }
    bpf.mount(place).map_err(|error| match errno(&error) {
        Some(libc::EPERM | libc::EACCES) => Error::Privilege(format!(
            "bpffs is not mounted at {0}, and mounting it needs root (CAP_SYS_ADMIN): `mount -t bpf -o mode=700 bpf {0}`",
            place.display()
        )),
        _ => error,
    })
}

/// The pins of one policy.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) id: u64,
    pub(crate) kind: FolderKind,
    root: Rc<Root>,
}

impl Folder {
    /// The other folder of the same cgroup, which may not exist: for the version before this one, or after it.
    pub(crate) fn other(&self) -> Self {
        let kind = if self.kind == FolderKind::First { FolderKind::Second } else { FolderKind::First };
        Self { kind, ..self.clone() }
    }

    fn name(&self) -> String {
        format!("{}{}", self.id, self.kind.suffix())
    }

    /// The folder itself.
    pub(crate) fn place(&self) -> PathBuf {
        self.root.place.join(self.name())
    }

    /// A descriptor of its own. None: there is no such folder.
    pub(crate) fn dir(&self, bpf: Bpf<'_>) -> Result<Option<OwnedFd>> {
        let (name, place) = (self.name(), self.place());
        match bpf.open_dir(Some(self.root.dir.as_fd()), Path::new(&name), &place) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) => match errno(&error) {
                Some(libc::ENOENT) => Ok(None),
                Some(libc::ELOOP | libc::ENOTDIR) => {
                    Err(refused("openat2", &place, "it is not a directory but a link or a file"))
                }
                _ => Err(error),
            },
        }
    }

    pub(crate) fn create(&self, bpf: Bpf<'_>) -> Result<()> {
        let name = self.name();
        match bpf.make_dir(self.root.dir.as_fd(), OsStr::new(&name), &self.place()).map_err(writable)? {
            true => Ok(()),
            false => Err(refused("mkdirat", &self.place(), "it is there already")),
        }
    }

    /// Opens a pin. None: there is none of this name.
    pub(crate) fn open(&self, bpf: Bpf<'_>, pin: &str) -> Result<Option<OwnedFd>> {
        match self.dir(bpf)? {
            Some(dir) => self.open_in(bpf, &dir, pin),
            None => Ok(None),
        }
    }

    fn open_in(&self, bpf: Bpf<'_>, dir: &OwnedFd, pin: &str) -> Result<Option<OwnedFd>> {
        let place = self.place().join(pin);
        let object = match bpf.pinned(dir.as_fd(), pin, &place) {
            Err(error) if errno(&error) == Some(libc::ENOENT) => return Ok(None),
            result => result?,
        };
        let (kind, wanted) = (bpf.kind_of(object.as_fd(), &place)?, kind_of(pin));
        if kind == wanted {
            return Ok(Some(object));
        }
        Err(refused("BPF_OBJ_GET", &place, format!("it is {}, not {}", kind.name(), wanted.name())))
    }

    pub(crate) fn pin(&self, bpf: Bpf<'_>, object: BorrowedFd<'_>, pin: &str) -> Result<()> {
        let place = self.place().join(pin);
        if !is_ours(pin) {
            return Err(refused("BPF_OBJ_PIN", &place, "no pin can have this name"));
        }
        let gone = || refused("openat2", &self.place(), "somebody has removed it");
        let dir = self.dir(bpf)?.ok_or_else(gone)?;
        bpf.pin(object, dir.as_fd(), pin, &place)
    }

    /// Removes one pin.
    pub(crate) fn unpin(&self, bpf: Bpf<'_>, pin: &str) -> Result<()> {
        match self.dir(bpf)? {
            Some(dir) => bpf.remove_file(dir.as_fd(), OsStr::new(pin), &self.place().join(pin)),
            None => Ok(()),
        }
    }

    /// Removes everything that oomc has put there, the link first: without it the rest is but leftovers. Whoever calls
    /// has looked at the link. Gives what stays.
    pub(crate) fn remove(&self, bpf: Bpf<'_>) -> Result<Vec<Left>> {
        let Some(dir) = self.dir(bpf)? else { return Ok(Vec::new()) };
        let mut left = Vec::new();
        let mut entries = bpf.list(dir.as_fd(), &self.place())?;
        entries.sort_by_key(|entry| (entry.name != LINK, entry.name.clone()));
        for entry in entries {
            let place = self.place().join(&entry.name);
            match self.stays(bpf, &dir, &entry)? {
                Some(why) => left.push(Left { place, why, ours: false, id: Some(self.id) }),
                None => bpf.remove_file(dir.as_fd(), &entry.name, &place)?,
            }
        }
        if left.is_empty() {
            let name = self.name();
            bpf.remove_dir(self.root.dir.as_fd(), OsStr::new(&name), &self.place())?;
        }
        Ok(left)
    }

    /// As [`remove`](Self::remove), of a folder in which no link was found: if there is one after all, it stays whole,
    /// because removing the pin of a link takes its policy away.
    pub(crate) fn remove_leftover(&self, bpf: Bpf<'_>) -> Result<Vec<Left>> {
        let Some(dir) = self.dir(bpf)? else { return Ok(Vec::new()) };
        let entries = bpf.list(dir.as_fd(), &self.place())?;
        if entries.iter().any(|entry| entry.name == LINK) {
            let why = "it has a link, which could not be opened before".to_owned();
            return Ok(vec![Left { place: self.place(), why, ours: false, id: Some(self.id) }]);
        }
        self.remove(bpf)
    }

    /// Why an entry is not removed. A pin of ours that leads to something else may be all that keeps another one's link.
    fn stays(&self, bpf: Bpf<'_>, dir: &OwnedFd, entry: &Entry) -> Result<Option<String>> {
        let Some(name) = entry.name.to_str().filter(|name| is_ours(name) && entry.kind == EntryKind::File)
        else {
            return Ok(Some("oomc did not put it there".to_owned()));
        };
        match self.open_in(bpf, dir, name) {
            Ok(_) => Ok(None),
            Err(Error::Place { why, .. }) => Ok(Some(why)),
            Err(error) => Err(error),
        }
    }
}

/// What is pinned by this name.
fn kind_of(pin: &str) -> ObjectKind {
    match pin {
        LINK => ObjectKind::Link,
        PROG => ObjectKind::Prog,
        _ => ObjectKind::Map,
    }
}

/// Whether oomc gives this name to a pin.
fn is_ours(pin: &str) -> bool {
    OWN.contains(&pin)
        || MAPS.contains(&pin)
        || pin.strip_prefix(OTHER).is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

/// The pin of an object's map. bpffs takes no dots in names.
pub(crate) fn of_map(map: &str) -> String {
    let name = map.replace('.', "_");
    if MAPS.contains(&name.as_str()) { name } else { format!("{OTHER}{name}") }
}

impl std::fmt::Display for Left {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = text_of_bytes(self.place.as_os_str().as_bytes());
        write!(f, "{}: {}", oomc_abi::shown::shown(&place), self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_numbers_as_oomc_writes_them() {
        let read = |name: &str| folder_name(OsStr::new(name));
        let first = |id| Some((id, FolderKind::First));
        assert_eq!((read("1"), read("18446744073709551615")), (first(1), first(u64::MAX)));
        assert_eq!(read("17b"), Some((17, FolderKind::Second)));
        assert_eq!(read("17r"), Some((17, FolderKind::Engine)));
        for name in [
            "",
            "b",
            "r",
            "01",
            "01b",
            "1bb",
            "1br",
            "1x",
            "r1",
            "+1",
            "-1",
            "1 ",
            "..",
            "18446744073709551616",
            "\u{661}",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
    }

    #[test]
    fn pins_have_names_that_lead_nowhere_else() {
        for name in ["link", "records", "map_hits_2"] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["", ".", "..", "/etc", "map_", "map_/etc/x", "map_../x", "Link", "x"] {
            assert!(!is_ours(name), "{name}");
        }
        assert_eq!((of_map("config").as_str(), of_map("link").as_str()), ("config", "map_link"));
        assert!(!is_ours(&of_map("/etc/cron.d/x")));
    }
}
