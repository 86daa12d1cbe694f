//! A kernel for the loader that is made of files, so that what is left can be seen without asking the loader.
//!
//! [`Fake`] answers system calls from a folder in which each kernel object is a file and each pin a hard link to it. It
//! attaches as its types say. It can fail any call with any errno, and die in any. Knows nothing of what it is used for.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]
#![expect(missing_docs, reason = "what stands for itself in tests")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use oomc_abi::btf::Btf;
use oomc_abi::profile::Profile;
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_runtime::sys::{
    Facts, Handlers, IdKind, Kernel, LinkInfo, Linux, MapInfo, ObjectKind, ProgInfo, Reply, Syscall,
};
use oomc_runtime::{Object, Paths, System, Target};

pub const POLICY: &str = "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree\n";

pub const EPERM: i32 = 1;
pub const ENOENT: i32 = 2;
pub const EACCES: i32 = 13;
pub const EEXIST: i32 = 17;
pub const EINVAL: i32 = 22;
pub const ENOSPC: i32 = 28;
pub const ERANGE: i32 = 34;
pub const ENOLINK: i32 = 67;
pub const EOPNOTSUPP: i32 = 95;
pub const ESTALE: i32 = 116;
pub const ENODATA: i32 = 61;

pub const STRUCT_OPS: u32 = 26;
pub const LINK_STRUCT_OPS: u32 = 9;

pub fn compiled() -> Vec<u8> {
    let source = Source::new("policy.oom", POLICY);
    oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap()
}

pub fn object() -> Object {
    Object::parse(&compiled()).unwrap()
}

/// A kernel object.
#[derive(Clone, Debug)]
pub enum Thing {
    Btf(Vec<u8>),
    Map { kind: u32, value: Vec<u8>, frozen: bool, btf: u32, value_type: u32, kernel_value_type: u32 },
    Prog { len: u32 },
    Link { kind: u32, map: u32, cgroup: u64 },
}

/// A kernel in a folder.
pub struct Fake {
    pub root: PathBuf,
    pub things: RefCell<HashMap<u64, (u32, Thing)>>,
    pub calls: RefCell<Vec<String>>,
    pub count: Cell<usize>,
    /// Number of the object that was made last.
    pub made: Cell<u32>,
    /// Fails the call of this number with this errno.
    pub fail: Cell<Option<(usize, i32)>>,
    /// The process dies in the call of this number.
    pub die: Cell<Option<usize>>,
    /// What somebody else does right before the call of this number.
    pub meanwhile: RefCell<Option<(usize, Meanwhile)>>,
    /// What the verifier says to a program, if it does not like it.
    pub refusal: RefCell<Option<String>>,
    /// Links name this cgroup instead of the right one.
    pub stray: Cell<Option<u64>>,
    /// Extended attributes of directories, by inode and name.
    pub attributes: RefCell<HashMap<(u64, String), String>>,
    /// How policies are attached.
    pub profile: Cell<Profile>,
    /// Changes to the handlers of all cgroups, as kernels that take several count them.
    pub revision: Cell<u64>,
    /// How often somebody else changes the handlers right before an attachment.
    pub meddlers: Cell<u32>,
    /// Directories that are not root's, closed to others, and in bpffs, by inode.
    pub facts: RefCell<HashMap<u64, Change>>,
}

/// What somebody else does to a kernel.
pub type Meanwhile = fn(&Fake);

/// How a directory is seen otherwise.
pub type Change = fn(Facts) -> Facts;

/// `BPF_FS_MAGIC`, `SYSFS_MAGIC` and `TMPFS_MAGIC` (`include/uapi/linux/magic.h`, 6.12).
pub const BPFFS: u32 = 0xcafe_4a11;
pub const SYSFS: u32 = 0x6265_6572;
pub const TMPFS: u32 = 0x0102_1994;

impl Fake {
    pub fn new(name: &str) -> Self {
        // Without links: none of them is followed.
        let root = folder().join(name);
        let _ = fs::remove_dir_all(&root);
        for folder in ["objects", "bpf", "cgroup/job", "cgroup/next"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        let write = |name: &str, bytes: &[u8]| fs::write(root.join(name), bytes).unwrap();
        write("cgroup/job/memory.max", b"max\n");
        write("vmlinux", KernelView::embedded_btf());
        write("kallsyms", b"ffffffff82345678 D _totalram_pages\n");
        write("status", b"Name:\toomc\nCapEff:\t000001ffffffffff\n");
        let mount = root.join("cgroup");
        write("mounts", format!("30 23 0:26 / {} rw - cgroup2 none rw\n", mount.display()).as_bytes());
        Self {
            root,
            things: RefCell::default(),
            calls: RefCell::default(),
            count: Cell::new(0),
            made: Cell::new(0),
            fail: Cell::new(None),
            die: Cell::new(None),
            meanwhile: RefCell::new(None),
            refusal: RefCell::new(None),
            stray: Cell::new(None),
            attributes: RefCell::default(),
            profile: Cell::new(Profile::CgroupFlag),
            revision: Cell::new(1),
            meddlers: Cell::new(0),
            facts: RefCell::default(),
        }
    }

    /// Is another kernel from now on: the one whose types these are.
    pub fn becomes(&self, types: &[u8]) {
        fs::write(self.root.join("vmlinux"), types).unwrap();
        if let Ok(profile) = Profile::of(&Btf::parse(types).unwrap()) {
            self.profile.set(profile);
        }
    }

    /// Lets a directory be seen otherwise.
    pub fn seen_as(&self, place: &str, change: Change) {
        let ino = fs::symlink_metadata(self.root.join(place)).unwrap().ino();
        self.facts.borrow_mut().insert(ino, change);
    }

    pub fn system(&self) -> System<'_> {
        let paths = Paths {
            bpffs: self.root.join("bpf"),
            btf: self.root.join("vmlinux"),
            kallsyms: self.root.join("kallsyms"),
            mounts: self.root.join("mounts"),
            process_status: self.root.join("status"),
            uptime: self.root.join("uptime"),
            locks: "/proc/locks".into(),
        };
        System { kernel: self, paths, waits: None }
    }

    /// Runs a loader from its first call on.
    pub fn fresh(&self) -> System<'_> {
        self.count.set(0);
        self.calls.borrow_mut().clear();
        self.system()
    }

    pub fn cgroup(&self, name: &str) -> u64 {
        fs::metadata(self.root.join("cgroup").join(name)).unwrap().ino()
    }

    /// Pins of a cgroup, sorted.
    pub fn pins(&self, cgroup: u64) -> Vec<String> {
        let folder = self.root.join("bpf/oomc").join(cgroup.to_string());
        let mut names: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The value of the pinned map of this name.
    pub fn value(&self, pin: &str) -> Vec<u8> {
        let ino = fs::metadata(self.root.join("bpf/oomc").join(self.cgroup("job").to_string()).join(pin));
        match self.things.borrow().get(&ino.unwrap().ino()) {
            Some((_, Thing::Map { value, .. })) => value.clone(),
            other => panic!("{pin}: {other:?}"),
        }
    }

    pub fn folders(&self) -> usize {
        fs::read_dir(self.root.join("bpf/oomc")).map_or(0, Iterator::count)
    }

    /// Cgroups of the links that live on without any loader: those with a pin.
    pub fn links(&self) -> Vec<u64> {
        let files = fs::read_dir(self.root.join("objects")).unwrap();
        let pinned = files.map(|entry| entry.unwrap().metadata().unwrap()).filter(|data| data.nlink() > 1);
        let things = self.things.borrow();
        pinned
            .filter_map(|data| match things.get(&data.ino()) {
                Some((_, Thing::Link { map, cgroup, .. })) if *map != 0 && *cgroup != 0 => Some(*cgroup),
                _ => None,
            })
            .collect()
    }

    /// Whether anybody has an object: by a pin, or open.
    pub fn lives(&self, number: u32) -> bool {
        let place = self.root.join("objects").join(number.to_string());
        let pinned = fs::metadata(&place).is_ok_and(|data| data.nlink() > 1);
        let mut open = fs::read_dir("/proc/self/fd").unwrap().flatten();
        pinned || open.any(|entry| fs::read_link(entry.path()).is_ok_and(|to| to == place))
    }

    pub fn attached(&self) -> usize {
        self.links().len()
    }

    /// What happens to links when their cgroup is removed.
    pub fn remove_cgroup(&self, name: &str) {
        let id = self.cgroup(name);
        let _ = fs::remove_file(self.root.join("cgroup").join(name).join("memory.max"));
        fs::remove_dir(self.root.join("cgroup").join(name)).unwrap();
        for (_, thing) in self.things.borrow_mut().values_mut() {
            if let Thing::Link { cgroup, map, .. } = thing
                && *cgroup == id
            {
                (*cgroup, *map) = (0, 0);
            }
        }
    }

    /// Frees what has no pin: between two commands nobody has a descriptor.
    pub fn collect(&self) {
        for entry in fs::read_dir(self.root.join("objects")).unwrap() {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            // What is described by types that are pinned with it is asked for them.
            let in_use = matches!(self.things.borrow().get(&data.ino()), Some((_, Thing::Btf(_))));
            if data.nlink() == 1 && !in_use {
                self.things.borrow_mut().remove(&data.ino());
                fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    pub fn make(&self, thing: Thing) -> io::Result<Reply> {
        let number = self.made.get() + 1;
        self.made.set(number);
        let path = self.root.join("objects").join(number.to_string());
        fs::write(&path, b"")?;
        let file = File::open(&path)?;
        self.things.borrow_mut().insert(file.metadata()?.ino(), (number, thing));
        Ok(Reply::Fd(OwnedFd::from(file)))
    }

    pub fn ino(fd: BorrowedFd<'_>) -> u64 {
        File::from(fd.try_clone_to_owned().unwrap()).metadata().unwrap().ino()
    }

    pub fn thing(&self, fd: BorrowedFd<'_>) -> (u32, Thing) {
        self.things.borrow().get(&Self::ino(fd)).cloned().expect("a kernel object")
    }

    pub fn change(&self, fd: BorrowedFd<'_>, change: impl FnOnce(&mut Thing)) -> io::Result<Reply> {
        change(&mut self.things.borrow_mut().get_mut(&Self::ino(fd)).expect("a kernel object").1);
        Ok(Reply::Done)
    }

    pub fn answer(&self, call: Syscall<'_>) -> io::Result<Reply> {
        let errno = |number| Err(io::Error::from_raw_os_error(number));
        match call {
            Syscall::BtfLoad { btf, .. } => match Btf::parse(btf) {
                Ok(_) => self.make(Thing::Btf(btf.to_vec())),
                Err(_) => errno(EINVAL),
            },
            Syscall::MapCreate(map) => {
                let btf = map.btf.map_or(0, |btf| self.thing(btf).0);
                self.make(Thing::Map {
                    kind: map.kind,
                    value: vec![0; map.value_size as usize],
                    frozen: false,
                    btf,
                    value_type: map.value_type,
                    kernel_value_type: map.kernel_value_type,
                })
            }
            Syscall::MapUpdate { map, value: new, .. } => match self.thing(map).1 {
                Thing::Map { frozen: true, .. } => errno(EPERM),
                Thing::Map { value, .. } if value.len() != new.len() => errno(EINVAL),
                _ => self.change(map, |thing| {
                    if let Thing::Map { value, .. } = thing {
                        *value = new.to_vec();
                    }
                }),
            },
            Syscall::MapLookup { map, value: out, .. } => match self.thing(map).1 {
                Thing::Map { value, .. } => {
                    out.copy_from_slice(&value);
                    Ok(Reply::Done)
                }
                other => panic!("a look into {other:?}"),
            },
            Syscall::MapFreeze { map } => self.change(map, |thing| {
                if let Thing::Map { frozen, .. } = thing {
                    *frozen = true;
                }
            }),
            Syscall::ProgLoad { prog, log } => match &*self.refusal.borrow() {
                Some(text) if !log.is_empty() && log.len() <= text.len() => errno(ENOSPC),
                Some(text) => {
                    log.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
                    errno(EINVAL)
                }
                None => self.make(Thing::Prog { len: prog.code.len() as u32 * 8 }),
            },
            Syscall::ProgRun { .. } => panic!("the loader runs no program"),
            Syscall::LinkCreate { map, cgroup, flags, revision } => {
                assert_eq!(flags, self.profile.get().link_flags());
                let cgroup = Self::ino(cgroup);
                match self.profile.get() {
                    Profile::CgroupFlag => {
                        assert_eq!(revision, 0, "there is none");
                        // No test lets two loaders hold links without pins at the same time.
                        if self.links().contains(&cgroup) {
                            return errno(EEXIST);
                        }
                    }
                    Profile::Generic => {
                        if let Some(left) = self.meddlers.get().checked_sub(1) {
                            self.meddlers.set(left);
                            self.revision.set(self.revision.get() + 2);
                        }
                        if revision != 0 && revision != self.revision.get() {
                            return errno(ESTALE);
                        }
                        self.revision.set(self.revision.get() + 1);
                    }
                }
                let cgroup = self.stray.get().unwrap_or(cgroup);
                self.make(Thing::Link { kind: LINK_STRUCT_OPS, map: self.thing(map).0, cgroup })
            }
            Syscall::LinkUpdate { link, from, to } => {
                let (from, to) = (self.thing(from).0, self.thing(to).0);
                match self.thing(link).1 {
                    _ if self.profile.get() == Profile::CgroupFlag => errno(EOPNOTSUPP),
                    Thing::Link { cgroup: 0, .. } => errno(ENOLINK),
                    Thing::Link { map, .. } if map != from => errno(EPERM),
                    _ => self.change(link, |thing| {
                        if let Thing::Link { map, .. } = thing {
                            *map = to;
                        }
                    }),
                }
            }
            Syscall::Handlers { cgroup, .. } => {
                assert_eq!(self.profile.get(), Profile::Generic, "others cannot be asked");
                let cgroup = Self::ino(cgroup);
                let count = self.links().iter().filter(|one| **one == cgroup).count() as u32;
                Ok(Reply::Handlers(Handlers { count, revision: self.revision.get() }))
            }
            Syscall::LinkDetach { link } => self.change(link, |thing| {
                // It still names its cgroup.
                if let Thing::Link { map, .. } = thing {
                    *map = 0;
                }
            }),
            Syscall::Pin { object, dir, name } => {
                let (number, _) = self.thing(object);
                fs::hard_link(self.root.join("objects").join(number.to_string()), inside(dir).join(name))?;
                Ok(Reply::Done)
            }
            Syscall::Pinned { dir, name } => {
                Ok(Reply::Fd(OwnedFd::from(File::open(inside(dir).join(name))?)))
            }
            Syscall::KindOf { object } => {
                Ok(Reply::Kind(match self.things.borrow().get(&Self::ino(object)) {
                    Some((_, Thing::Map { .. })) => ObjectKind::Map,
                    Some((_, Thing::Prog { .. })) => ObjectKind::Prog,
                    Some((_, Thing::Link { .. })) => ObjectKind::Link,
                    _ => ObjectKind::Other,
                }))
            }
            Syscall::LookAt { dir } => {
                let Reply::Facts(facts) = Linux.call(Syscall::LookAt { dir })? else { panic!("no facts") };
                let facts =
                    Facts { uid: 0, magic: BPFFS, read_only: false, mode: facts.mode & 0o755, ..facts };
                let change = self.facts.borrow().get(&facts.ino).copied();
                Ok(Reply::Facts(change.map_or(facts, |change| change(facts))))
            }
            call @ (Syscall::OpenDir { .. }
            | Syscall::List { .. }
            | Syscall::MakeDir { .. }
            | Syscall::RemoveDir { .. }
            | Syscall::RemoveFile { .. }
            | Syscall::Lock { .. }) => Linux.call(call),
            Syscall::LinkNext { after } => {
                let things = self.things.borrow();
                let mut ids: Vec<u32> = things
                    .values()
                    .filter(|(_, thing)| matches!(thing, Thing::Link { .. }))
                    .map(|(number, _)| *number)
                    .filter(|number| *number > after && self.lives(*number))
                    .collect();
                ids.sort_unstable();
                ids.first().map_or(errno(ENOENT), |id| Ok(Reply::Number(*id)))
            }
            Syscall::ById { kind: IdKind::Link | IdKind::Map | IdKind::Btf, id } => {
                Ok(Reply::Fd(OwnedFd::from(File::open(self.root.join("objects").join(id.to_string()))?)))
            }
            Syscall::LinkInfo { link } => match self.thing(link) {
                (id, Thing::Link { kind, map, cgroup }) => {
                    Ok(Reply::Link(LinkInfo { kind, id, map_id: map, cgroup_id: cgroup }))
                }
                other => panic!("{other:?} is no link"),
            },
            Syscall::MapInfo { map } => match self.thing(map) {
                (id, Thing::Map { kind, value, btf, value_type, kernel_value_type, .. }) => {
                    let value_size = value.len() as u32;
                    Ok(Reply::Map(MapInfo {
                        kind,
                        id,
                        key_size: 4,
                        value_size,
                        max_entries: 1,
                        btf_id: btf,
                        value_type,
                        kernel_value_type,
                    }))
                }
                other => panic!("{other:?} is no map"),
            },
            Syscall::ProgInfo { prog } => match self.thing(prog) {
                (id, Thing::Prog { len }) => {
                    Ok(Reply::Prog(ProgInfo { id, xlated_len: len, verified_insns: 1 }))
                }
                other => panic!("{other:?} is no program"),
            },
            Syscall::BtfData { btf, data } => match self.thing(btf).1 {
                Thing::Btf(bytes) => {
                    data.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
                    Ok(Reply::Number(bytes.len() as u32))
                }
                other => panic!("{other:?} is no BTF"),
            },
            // Only maps of one element are kept apart here.
            Syscall::MapDelete { .. } => Ok(Reply::Done),
            Syscall::MountBpf { place } => {
                self.facts.borrow_mut().remove(&fs::metadata(place)?.ino());
                Ok(Reply::Done)
            }
            Syscall::MapNextKey { .. } => errno(ENOENT),
            Syscall::Attribute { of, name, value } => {
                let attributes = self.attributes.borrow();
                let Some(found) = attributes.get(&(Self::ino(of), name.to_owned())) else {
                    return errno(ENODATA);
                };
                if !value.is_empty() && value.len() < found.len() {
                    return errno(ERANGE);
                }
                value.iter_mut().zip(found.bytes()).for_each(|(to, from)| *to = from);
                Ok(Reply::Number(found.len() as u32))
            }
        }
    }
}

/// The folder that a descriptor leads to.
fn inside(dir: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir)).into()
}

impl Kernel for Fake {
    fn call(&self, call: Syscall<'_>) -> io::Result<Reply> {
        let number = self.count.get();
        self.count.set(number + 1);
        let what = match &call {
            Syscall::Pin { name, .. } => format!("PIN {name}"),
            Syscall::MapCreate(map) => format!("{} {}", call.name(), map.name),
            _ => call.name().to_owned(),
        };
        self.calls.borrow_mut().push(what);
        let due = self.meanwhile.borrow_mut().take_if(|(at, _)| *at == number);
        if let Some((_, act)) = due {
            let before = self.calls.borrow().clone();
            act(self);
            self.calls.replace(before);
            self.count.set(number + 1);
        }
        if self.die.get() == Some(number) {
            panic!("killed in call {number}");
        }
        match self.fail.get() {
            Some((at, errno)) if at == number => {
                // What is not there has been removed by somebody else.
                if errno == ENOENT && matches!(call, Syscall::RemoveFile { .. } | Syscall::RemoveDir { .. }) {
                    self.answer(call)?;
                }
                Err(io::Error::from_raw_os_error(errno))
            }
            _ => self.answer(call),
        }
    }
}

pub fn job() -> Target {
    Target::Cgroup("/job".to_owned())
}

pub const PINS: [&str; 13] = [
    "config", "events", "link", "meta", "ops", "outcomes", "prog", "records", "rodata", "scratch", "source",
    "stats", "units",
];

/// Pins of the headline; which globals it has is the compiler's business.
pub fn is_whole(pins: &[String]) -> bool {
    ["config", "events", "link", "meta", "ops", "prog", "records", "source", "stats"]
        .iter()
        .all(|pin| pins.iter().any(|have| have == pin))
        && pins.iter().all(|have| PINS.contains(&have.as_str()))
}

/// Where the folders of all of them lie, without links: none of them is followed.
fn folder() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let target = here.ancestors().nth(3).unwrap();
    fs::create_dir_all(target.join("tmp/loader")).unwrap();
    fs::canonicalize(target.join("tmp/loader")).unwrap()
}

/// Types of another kernel.
pub fn fixture(name: &str) -> Vec<u8> {
    fs::read(crate::root().join("tests/btf").join(name)).unwrap()
}
