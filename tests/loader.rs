//! The loader against a kernel of our own: the order of calls, every failure, a death at every moment.
//!
//! [`Fake`] answers system calls from a folder in which each kernel object is a file and each pin a hard
//! link to it, so that what is pinned can be seen without asking the loader. The kernel's types are those
//! of the reference kernel.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use oomc_abi::btf::Btf;
use oomc_abi::consts::BPF_F_CGROUP_FD;
use oomc_abi::fields::Measure;
use oomc_abi::resolve::KernelView;
use oomc_compiler::Source;
use oomc_runtime::error::Kind;
use oomc_runtime::labels::{self, Refreshed};
use oomc_runtime::sys::{IdKind, Kernel, LinkInfo, MapInfo, ProgInfo, Reply, Syscall};
use oomc_runtime::{
    Assignment, Error, Mode, Object, Paths, Settings, System, Target, config, load, load_with, status, unload,
};

const POLICY: &str = "if cgroup.usage > 90% then raise_limit 10% else kill largest in subtree\n";

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ENODATA: i32 = 61;

const STRUCT_OPS: u32 = 26;
const LINK_STRUCT_OPS: u32 = 9;

fn compiled() -> Vec<u8> {
    let source = Source::new("policy.oom", POLICY);
    oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap()
}

fn object() -> Object {
    Object::parse(&compiled()).unwrap()
}

/// A kernel object.
#[derive(Clone, Debug)]
enum Thing {
    Btf(Vec<u8>),
    Map { kind: u32, value: Vec<u8>, frozen: bool, btf: u32, value_type: u32, kernel_value_type: u32 },
    Prog { len: u32 },
    Link { map: u32, cgroup: u64 },
}

/// A kernel in a folder.
struct Fake {
    root: PathBuf,
    things: RefCell<HashMap<u64, (u32, Thing)>>,
    calls: RefCell<Vec<String>>,
    count: Cell<usize>,
    /// Fails the call of this number with this errno.
    fail: Cell<Option<(usize, i32)>>,
    /// The process dies in the call of this number.
    die: Cell<Option<usize>>,
    /// What the verifier says to a program, if it does not like it.
    refusal: RefCell<Option<String>>,
    /// Links name this cgroup instead of the right one.
    stray: Cell<Option<u64>>,
    /// Extended attributes of directories, by inode and name.
    attributes: RefCell<HashMap<(u64, String), String>>,
}

impl Fake {
    fn new(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("loader").join(name);
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
            fail: Cell::new(None),
            die: Cell::new(None),
            refusal: RefCell::new(None),
            stray: Cell::new(None),
            attributes: RefCell::default(),
        }
    }

    fn system(&self) -> System<'_> {
        let paths = Paths {
            bpffs: self.root.join("bpf"),
            btf: self.root.join("vmlinux"),
            kallsyms: self.root.join("kallsyms"),
            mounts: self.root.join("mounts"),
            process_status: self.root.join("status"),
            uptime: self.root.join("uptime"),
        };
        System { kernel: self, paths }
    }

    /// Runs a loader from its first call on.
    fn fresh(&self) -> System<'_> {
        self.count.set(0);
        self.calls.borrow_mut().clear();
        self.system()
    }

    fn cgroup(&self, name: &str) -> u64 {
        fs::metadata(self.root.join("cgroup").join(name)).unwrap().ino()
    }

    /// Pins of a cgroup, sorted.
    fn pins(&self, cgroup: u64) -> Vec<String> {
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
    fn value(&self, pin: &str) -> Vec<u8> {
        let ino = fs::metadata(self.root.join("bpf/oomc").join(self.cgroup("job").to_string()).join(pin));
        match self.things.borrow().get(&ino.unwrap().ino()) {
            Some((_, Thing::Map { value, .. })) => value.clone(),
            other => panic!("{pin}: {other:?}"),
        }
    }

    fn folders(&self) -> usize {
        fs::read_dir(self.root.join("bpf/oomc")).map_or(0, Iterator::count)
    }

    /// Cgroups of the links that live on without any loader: those with a pin.
    fn links(&self) -> Vec<u64> {
        let files = fs::read_dir(self.root.join("objects")).unwrap();
        let pinned = files.map(|entry| entry.unwrap().metadata().unwrap()).filter(|data| data.nlink() > 1);
        let things = self.things.borrow();
        pinned
            .filter_map(|data| match things.get(&data.ino()) {
                Some((_, Thing::Link { cgroup, .. })) if *cgroup != 0 => Some(*cgroup),
                _ => None,
            })
            .collect()
    }

    fn attached(&self) -> usize {
        self.links().len()
    }

    /// What happens to links when their cgroup is removed.
    fn remove_cgroup(&self, name: &str) {
        let id = self.cgroup(name);
        let _ = fs::remove_file(self.root.join("cgroup").join(name).join("memory.max"));
        fs::remove_dir(self.root.join("cgroup").join(name)).unwrap();
        for (_, thing) in self.things.borrow_mut().values_mut() {
            if let Thing::Link { cgroup, .. } = thing
                && *cgroup == id
            {
                *cgroup = 0;
            }
        }
    }

    fn make(&self, thing: Thing) -> io::Result<Reply> {
        let number = self.things.borrow().len() as u32 + 1;
        let path = self.root.join("objects").join(number.to_string());
        fs::write(&path, b"")?;
        let file = File::open(&path)?;
        self.things.borrow_mut().insert(file.metadata()?.ino(), (number, thing));
        Ok(Reply::Fd(OwnedFd::from(file)))
    }

    fn ino(fd: BorrowedFd<'_>) -> u64 {
        File::from(fd.try_clone_to_owned().unwrap()).metadata().unwrap().ino()
    }

    fn thing(&self, fd: BorrowedFd<'_>) -> (u32, Thing) {
        self.things.borrow().get(&Self::ino(fd)).cloned().expect("a kernel object")
    }

    fn change(&self, fd: BorrowedFd<'_>, change: impl FnOnce(&mut Thing)) -> io::Result<Reply> {
        change(&mut self.things.borrow_mut().get_mut(&Self::ino(fd)).expect("a kernel object").1);
        Ok(Reply::Done)
    }

    fn answer(&self, call: Syscall<'_>) -> io::Result<Reply> {
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
            Syscall::LinkCreate { map, cgroup, flags } => {
                assert_eq!(flags, BPF_F_CGROUP_FD);
                let cgroup = Self::ino(cgroup);
                // No test lets two loaders hold links without pins at the same time.
                if self.links().contains(&cgroup) {
                    return errno(EEXIST);
                }
                let cgroup = self.stray.get().unwrap_or(cgroup);
                self.make(Thing::Link { map: self.thing(map).0, cgroup })
            }
            Syscall::LinkDetach { link } => self.change(link, |thing| {
                if let Thing::Link { cgroup, .. } = thing {
                    *cgroup = 0;
                }
            }),
            Syscall::Pin { object, path } => {
                let (number, _) = self.thing(object);
                fs::hard_link(self.root.join("objects").join(number.to_string()), path)?;
                Ok(Reply::Done)
            }
            Syscall::Pinned { path } => Ok(Reply::Fd(OwnedFd::from(File::open(path)?))),
            Syscall::LinkNext { after } => {
                let things = self.things.borrow();
                let mut ids: Vec<u32> = things
                    .values()
                    .filter(|(_, thing)| matches!(thing, Thing::Link { .. }))
                    .map(|(number, _)| *number)
                    .filter(|number| *number > after)
                    .collect();
                ids.sort_unstable();
                ids.first().map_or(errno(ENOENT), |id| Ok(Reply::Number(*id)))
            }
            Syscall::ById { kind: IdKind::Link | IdKind::Map | IdKind::Btf, id } => {
                Ok(Reply::Fd(OwnedFd::from(File::open(self.root.join("objects").join(id.to_string()))?)))
            }
            Syscall::LinkInfo { link } => match self.thing(link) {
                (id, Thing::Link { map, cgroup }) => {
                    Ok(Reply::Link(LinkInfo { kind: LINK_STRUCT_OPS, id, map_id: map, cgroup_id: cgroup }))
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
            Syscall::MapDelete { .. } | Syscall::MountBpf { .. } => Ok(Reply::Done),
            Syscall::MapNextKey { .. } => errno(ENOENT),
            Syscall::Attribute { of, name, value } => {
                let attributes = self.attributes.borrow();
                let Some(found) = attributes.get(&(Self::ino(of), name.to_owned())) else {
                    return errno(ENODATA);
                };
                value.iter_mut().zip(found.bytes()).for_each(|(to, from)| *to = from);
                Ok(Reply::Number(found.len() as u32))
            }
        }
    }
}

impl Kernel for Fake {
    fn call(&self, call: Syscall<'_>) -> io::Result<Reply> {
        let number = self.count.get();
        self.count.set(number + 1);
        let what = match &call {
            Syscall::Pin { path, .. } => format!("PIN {}", path.file_name().unwrap().display()),
            Syscall::MapCreate(map) => format!("{} {}", call.name(), map.name),
            _ => call.name().to_owned(),
        };
        self.calls.borrow_mut().push(what);
        if self.die.get() == Some(number) {
            panic!("killed in call {number}");
        }
        match self.fail.get() {
            Some((at, errno)) if at == number => Err(io::Error::from_raw_os_error(errno)),
            _ => self.answer(call),
        }
    }
}

fn job() -> Target {
    Target::Cgroup("/job".to_owned())
}

const PINS: [&str; 12] = [
    "config", "events", "link", "meta", "ops", "prog", "records", "rodata", "scratch", "source", "stats",
    "units",
];

/// Pins of the headline; which globals it has is the compiler's business.
fn is_whole(pins: &[String]) -> bool {
    ["config", "events", "link", "meta", "ops", "prog", "records", "source", "stats"]
        .iter()
        .all(|pin| pins.iter().any(|have| have == pin))
        && pins.iter().all(|have| PINS.contains(&have.as_str()))
}

#[test]
fn a_load_does_things_in_order_and_pins_the_link_last() {
    let fake = Fake::new("order");
    let loaded = load(&fake.fresh(), &object(), &job()).unwrap();
    let id = fake.cgroup("job");
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/job", id));
    assert!(loaded.memory);
    assert_eq!(loaded.program.insns, loaded.program.xlated);
    assert!(is_whole(&fake.pins(id)), "{:?}", fake.pins(id));
    assert_eq!(fake.attached(), 1);

    let calls = fake.calls.borrow();
    let at = |what: &str| {
        calls.iter().position(|call| call == what).unwrap_or_else(|| panic!("no {what} in {calls:#?}"))
    };
    let order = [
        "BPF_BTF_LOAD",
        "BPF_MAP_CREATE oomc.stats",
        "BPF_PROG_LOAD",
        "BPF_MAP_CREATE oomc.ops",
        "PIN prog",
        "BPF_LINK_CREATE",
        "PIN link",
    ];
    let places: Vec<usize> = order.iter().map(|what| at(what)).collect();
    assert!(places.is_sorted(), "{calls:#?}");
    assert_eq!(calls.last().map(String::as_str), Some("PIN link"));
    // Between attaching and pinning the kernel is asked where it attached.
    assert_eq!(calls.get(at("BPF_LINK_CREATE") + 1).map(String::as_str), Some("BPF_OBJ_GET_INFO_BY_FD"));
    // Messages that the program hands to the kernel may change no more.
    if calls.iter().any(|call| call == "BPF_MAP_CREATE oomc.rodata") {
        let create = at("BPF_MAP_CREATE oomc.rodata");
        assert_eq!(calls.get(create + 2).map(String::as_str), Some("BPF_MAP_FREEZE"));
        assert!(create < at("BPF_PROG_LOAD"));
    }
}

#[test]
fn the_ops_map_holds_the_program_and_the_name() {
    let fake = Fake::new("ops");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let things = fake.things.borrow();
    let value = things.values().find_map(|(_, thing)| match thing {
        Thing::Map { kind: STRUCT_OPS, value, kernel_value_type, .. } => {
            assert_ne!(*kernel_value_type, 0);
            Some(value.clone())
        }
        _ => None,
    });
    let value = value.unwrap();
    let name = object().ops_name();
    assert!(name.starts_with("policy@") && name.len() == "policy@".len() + 8, "{name}");
    assert!(value.windows(name.len()).any(|bytes| bytes == name.as_bytes()));
}

#[test]
fn every_failing_call_leaves_nothing_behind() {
    let fake = Fake::new("failures");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let calls = fake.count.get();
    let names = fake.calls.borrow().clone();
    unload(&fake.fresh(), Some(&job())).unwrap();
    assert!(calls > 15, "{names:?}");
    for errno in [EPERM, EINVAL] {
        for call in 0..calls {
            fake.fail.set(Some((call, errno)));
            let result = load(&fake.fresh(), &object(), &job());
            fake.fail.set(None);
            let what = names.get(call).unwrap();
            match (what.as_str(), result) {
                // Without a log first, and then with one: the second time it works.
                ("BPF_PROG_LOAD", Ok(_)) => {
                    unload(&fake.fresh(), Some(&job())).unwrap();
                }
                (_, Ok(_)) => panic!("{what} failed and the load went on"),
                (_, Err(error)) => {
                    let kind = if errno == EPERM { Kind::Missing } else { Kind::Refused };
                    assert_eq!(error.kind(), kind, "{what}: {error}");
                    assert!(!error.to_string().is_empty());
                }
            }
            assert_eq!((fake.attached(), fake.folders()), (0, 0), "after a failing {what}");
        }
    }
    load(&fake.fresh(), &object(), &job()).unwrap();
}

#[test]
fn a_loader_killed_at_any_moment_leaves_nothing_half_attached() {
    let fake = Fake::new("killed");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let calls = fake.count.get();
    unload(&fake.fresh(), Some(&job())).unwrap();
    let id = fake.cgroup("job");
    std::panic::set_hook(Box::new(|_| {}));
    for call in 0..calls {
        fake.die.set(Some(call));
        let system = fake.fresh();
        let object = object();
        let outcome = catch_unwind(AssertUnwindSafe(|| load(&system, &object, &job()).map(drop)));
        fake.die.set(None);
        assert!(outcome.is_err(), "call {call} was never made");
        assert_eq!(fake.attached(), 0, "killed in call {call}");
        assert!(!fake.pins(id).contains(&"link".to_owned()));
        // Each command tidies up: in turn a load, a status and an unload.
        match call % 3 {
            0 => assert_eq!(status(&fake.fresh(), None).unwrap().attached, []),
            1 => assert!(matches!(unload(&fake.fresh(), Some(&job())), Err(Error::Vacant { .. }))),
            _ => {
                load(&fake.fresh(), &object, &job()).unwrap();
                unload(&fake.fresh(), Some(&job())).unwrap();
            }
        }
        assert_eq!(fake.folders(), 0, "killed in call {call}");
    }
    let _ = std::panic::take_hook();
}

#[test]
fn an_unloader_killed_at_any_moment_leaves_nothing_half_attached() {
    let fake = Fake::new("killed_unload");
    load(&fake.fresh(), &object(), &job()).unwrap();
    unload(&fake.fresh(), Some(&job())).unwrap();
    let calls = fake.count.get();
    let id = fake.cgroup("job");
    for call in 0..calls {
        load(&fake.fresh(), &object(), &job()).unwrap();
        fake.die.set(Some(call));
        let system = fake.fresh();
        let outcome = catch_unwind(AssertUnwindSafe(|| unload(&system, Some(&job())).map(drop)));
        fake.die.set(None);
        assert!(outcome.is_err(), "call {call} was never made");
        // Either nothing happened yet, or the policy is detached and the rest is tidied up.
        if fake.attached() == 1 {
            assert!(is_whole(&fake.pins(id)), "killed in call {call}");
            unload(&fake.fresh(), Some(&job())).unwrap();
        } else {
            status(&fake.fresh(), None).unwrap();
        }
        assert_eq!((fake.attached(), fake.folders()), (0, 0), "killed in call {call}");
    }
}

#[test]
fn a_cgroup_with_a_policy_of_ours_keeps_it() {
    let fake = Fake::new("ours");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let before = fake.pins(fake.cgroup("job"));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Occupied { cgroup, policy, foreign: false } = &error else { panic!("{error}") };
    assert_eq!(cgroup, "/job");
    assert_eq!(policy.as_deref(), Some(object().ops_name().as_str()));
    assert_eq!(error.kind(), Kind::Refused);
    // It was noticed before anything was made.
    assert!(!fake.calls.borrow().iter().any(|call| call.contains("LOAD") || call.contains("CREATE")));
    assert_eq!(fake.pins(fake.cgroup("job")), before);
    assert_eq!(fake.attached(), 1);
}

#[test]
fn a_cgroup_with_a_policy_of_another_loader_keeps_it() {
    let fake = Fake::new("foreign");
    load(&fake.fresh(), &object(), &job()).unwrap();
    // Another loader's: attached and pinned, but not in our folder.
    let id = fake.cgroup("job");
    fs::rename(fake.root.join("bpf/oomc").join(id.to_string()), fake.root.join("bpf/theirs")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Occupied { policy, foreign: true, .. } = &error else { panic!("{error}") };
    assert_eq!(policy.as_deref(), Some(object().ops_name().as_str()));
    assert_eq!((fake.attached(), fake.folders()), (1, 0));

    let status = status(&fake.fresh(), None).unwrap();
    assert_eq!(status.attached, []);
    let [foreign] = status.foreign.as_slice() else { panic!("{status:?}") };
    assert_eq!((foreign.cgroup.as_deref(), foreign.cgroup_id), (Some("/job"), id));
    assert_eq!(foreign.policy.as_deref(), Some(object().ops_name().as_str()));
    assert!(matches!(unload(&fake.fresh(), Some(&job())), Err(Error::Vacant { .. })));
}

#[test]
fn a_kernel_that_attaches_elsewhere_is_found_out() {
    let fake = Fake::new("stray");
    fake.stray.set(Some(4711));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let wanted = fake.cgroup("job");
    assert!(matches!(error, Error::WrongCgroup { wanted: id, found: 4711 } if id == wanted), "{error}");
    assert!(fake.calls.borrow().iter().any(|call| call == "BPF_LINK_DETACH"));
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

#[test]
fn counters_are_named_by_the_types_of_their_map() {
    let fake = Fake::new("counters");
    load(&fake.fresh(), &object(), &job()).unwrap();
    let stats = File::open(fake.root.join("bpf/oomc").join(fake.cgroup("job").to_string()).join("stats"));
    let stats = OwnedFd::from(stats.unwrap());
    fake.change(std::os::fd::AsFd::as_fd(&stats), |thing| {
        let Thing::Map { value, .. } = thing else { panic!("{thing:?}") };
        for (at, word) in value.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&(at as u64 + 40).to_ne_bytes());
        }
    })
    .unwrap();
    let found = status(&fake.fresh(), Some(&job())).unwrap();
    let [one] = found.attached.as_slice() else { panic!("{found:?}") };
    assert_eq!(one.policy, object().ops_name());
    assert_eq!(one.meta.get("mode"), "enforce");
    assert_eq!(one.counters.first(), Some(&("invocations".to_owned(), 40)));
    assert_eq!(one.counters.get(1), Some(&("kills".to_owned(), 41)));
    assert_eq!(found.foreign, []);
    let unloaded = unload(&fake.fresh(), Some(&job())).unwrap();
    assert_eq!(unloaded.detached.first().map(|one| &one.counters), Some(&one.counters));
}

#[test]
fn pins_of_removed_cgroups_are_reported_once_and_removed() {
    let fake = Fake::new("gone");
    let next = Target::Cgroup("/next".to_owned());
    let loaded = load(&fake.fresh(), &object(), &next).unwrap();
    assert!(!loaded.memory, "the cgroup has no memory.max");
    let check = |gone: &[oomc_runtime::Gone]| {
        let [one] = gone else { panic!("{gone:?}") };
        assert_eq!((one.cgroup.as_str(), one.cgroup_id), ("/next", loaded.cgroup_id));
        assert_eq!(one.policy, object().ops_name());
    };
    fake.remove_cgroup("next");
    check(&status(&fake.fresh(), None).unwrap().gone);
    assert_eq!(fake.folders(), 0);
    assert_eq!(status(&fake.fresh(), None).unwrap().gone, []);

    fs::create_dir(fake.root.join("cgroup/next")).unwrap();
    load(&fake.fresh(), &object(), &next).unwrap();
    fake.remove_cgroup("next");
    assert_eq!(load(&fake.fresh(), &object(), &job()).unwrap().gone.len(), 1);
    assert_eq!(fake.folders(), 1);

    fs::create_dir(fake.root.join("cgroup/next")).unwrap();
    load(&fake.fresh(), &object(), &next).unwrap();
    fake.remove_cgroup("next");
    // Its path still says whom the operator means.
    assert_eq!(unload(&fake.fresh(), Some(&next)).unwrap().gone.len(), 1);
    assert_eq!((fake.attached(), fake.folders()), (1, 1));
    assert!(matches!(unload(&fake.fresh(), Some(&next)), Err(Error::Cgroup { .. })));
}

#[test]
fn two_loaders_do_not_meet() {
    let fake = Fake::new("lock");
    let folder = fake.root.join("bpf/oomc");
    fs::create_dir(&folder).unwrap();
    let other = File::open(&folder).unwrap();
    other.lock().unwrap();
    let (sender, done) = std::sync::mpsc::channel();
    let root = fake.root.clone();
    let thread = std::thread::spawn(move || {
        // A second loader has a kernel of its own here: only the folder is shared.
        let fake = Fake { root, ..Fake::new("lock_other") };
        let result = load(&fake.system(), &object(), &job()).map(drop);
        let _ = sender.send(());
        result
    });
    let wait = std::time::Duration::from_millis(300);
    assert!(done.recv_timeout(wait).is_err(), "it did not wait for the lock");
    assert_eq!(fake.folders(), 0);
    other.unlock().unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(fake.folders(), 1);
}

#[test]
fn bpffs_is_mounted_once_where_nothing_is_mounted() {
    let fake = Fake::new("mount");
    let mut system = fake.fresh();
    // A folder in which nobody can make another one, as `/sys/fs/bpf` is before the mount.
    system.paths.bpffs = "/proc/self/task".into();
    assert!(load(&system, &object(), &job()).is_err());
    assert_eq!(*fake.calls.borrow(), ["mount"]);

    let mut system = fake.fresh();
    system.paths.bpffs = "/proc/self/task".into();
    let mounts = fs::read_to_string(&system.paths.mounts).unwrap();
    fs::write(&system.paths.mounts, format!("{mounts}31 23 0:27 / /proc/self/task rw - bpf none rw\n"))
        .unwrap();
    assert!(load(&system, &object(), &job()).is_err());
    assert_eq!(*fake.calls.borrow(), Vec::<String>::new());
}

#[test]
fn a_refusal_of_the_verifier_is_shown_at_the_line_of_the_policy() {
    let fake = Fake::new("verifier");
    let noise = "0: R1=ctx() R10=fp0\n".repeat(20_000);
    let last = "R2 must be referenced or trusted";
    let end = "processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1\n";
    *fake.refusal.borrow_mut() = Some(format!("{noise}30: (85) call bpf_oom_kill_process#7\n{last}\n{end}"));
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    let Error::Verifier(refusal) = &error else { panic!("{error}") };
    assert_eq!(refusal.message, last);
    assert_eq!(refusal.insn, Some(30));
    assert!(refusal.log.len() > noise.len(), "the log was cut");
    let place = refusal.place.as_ref().unwrap();
    assert_eq!((place.file.as_str(), place.line), ("policy.oom", 1));
    assert_eq!(place.text, POLICY.trim_end());
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
    // First without a log, then with ever larger ones.
    let loads = fake.calls.borrow().iter().filter(|call| *call == "BPF_PROG_LOAD").count();
    assert_eq!(loads, 3);
}

#[test]
fn what_a_kernel_lacks_is_listed_and_nothing_is_tried() {
    let fake = Fake::new("lacks");
    let raise = built("raise_limit 10%", &KernelView::embedded());
    for (name, object, word) in
        [("no_hook.btf", object(), "struct bpf_oom_ops"), ("no_raise.btf", raise, "bpf_mem_cgroup_raise_max")]
    {
        fs::write(fake.root.join("vmlinux"), fixture(name)).unwrap();
        let error = load(&fake.fresh(), &object, &job()).unwrap_err();
        assert_eq!(error.kind(), Kind::Missing, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: {error}");
        assert_eq!(*fake.calls.borrow(), Vec::<String>::new());
    }
    fs::remove_file(fake.root.join("vmlinux")).unwrap();
    let error = load(&fake.fresh(), &object(), &job()).unwrap_err();
    assert_eq!(error.kind(), Kind::Missing);
    assert!(error.to_string().contains("CONFIG_DEBUG_INFO_BTF"), "{error}");
}

/// Types of another kernel.
fn fixture(name: &str) -> Vec<u8> {
    fs::read(oomc_tests::root().join("tests/btf").join(name)).unwrap()
}

fn built(text: &str, view: &KernelView) -> Object {
    let compiled = oomc_compiler::compile(&Source::new("policy.oom", text), view);
    Object::parse(&compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))).unwrap()
}

/// Whether the object's symbol for raising is weak; none: it has no such symbol.
fn weak_raise(object: &Object) -> Option<bool> {
    object.externs.iter().find(|ext| ext.name == "bpf_mem_cgroup_raise_max").map(|ext| ext.weak)
}

#[test]
fn one_object_serves_kernels_with_and_without_an_optional_function() {
    let (with, without) = (KernelView::embedded(), KernelView::from_btf(&fixture("no_raise.btf")).unwrap());
    for object in [built(POLICY, &with), built(POLICY, &without)] {
        assert_eq!(weak_raise(&object), Some(true));
        for (name, types, absent) in [
            ("with_raise", KernelView::embedded_btf().to_vec(), Vec::new()),
            ("without_raise", fixture("no_raise.btf"), vec!["bpf_mem_cgroup_raise_max"]),
        ] {
            let fake = Fake::new(name);
            fs::write(fake.root.join("vmlinux"), types).unwrap();
            let loaded = load(&fake.system(), &object, &job()).unwrap();
            assert_eq!(loaded.absent, absent);
        }
    }
}

#[test]
fn a_function_that_one_action_cannot_do_without_is_needed() {
    let weak = |text: &str| weak_raise(&built(text, &KernelView::embedded()));
    assert_eq!(weak("raise_limit 10% up to 1GiB or kill largest in subtree"), Some(true));
    assert_eq!(weak("raise_limit 10% up to 1GiB"), Some(false));
    let both = "raise_limit 10% up to 1GiB or wait\nraise_limit 20% up to 1GiB\n";
    assert_eq!(weak(both), Some(false));
    assert_eq!(weak("kill largest in subtree"), None);
}

#[test]
fn without_privilege_nothing_is_tried() {
    let fake = Fake::new("privilege");
    fs::write(fake.root.join("status"), "CapEff:\t0000000000000000\n").unwrap();
    for error in [
        load(&fake.fresh(), &object(), &job()).map(drop).unwrap_err(),
        status(&fake.fresh(), None).map(drop).unwrap_err(),
        unload(&fake.fresh(), None).map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::Privilege(_)), "{error}");
        assert_eq!(error.kind(), Kind::Missing);
    }
    assert_eq!(fake.count.get(), 0);
}

#[test]
fn cgroups_are_named_relative_to_their_mount_or_below_it() {
    let fake = Fake::new("cgroups");
    let mount = fake.root.join("cgroup");
    for path in ["/job", "job", "job/", "./job", mount.join("job").to_str().unwrap()] {
        let loaded = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap();
        assert_eq!(loaded.cgroup, "/job", "{path}");
        unload(&fake.fresh(), Some(&job())).unwrap();
    }
    for path in ["/", ".", mount.to_str().unwrap()] {
        let error = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{path}: {error}");
        assert!(error.to_string().contains("--system"), "{error}");
    }
    for path in ["/nowhere", "/job/../job", "", "/job/memory.max"] {
        let error = load(&fake.fresh(), &object(), &Target::Cgroup(path.to_owned())).unwrap_err();
        assert!(matches!(error, Error::Cgroup { .. }), "{path}: {error}");
    }
    let loaded = load(&fake.fresh(), &object(), &Target::System).unwrap();
    assert_eq!((loaded.cgroup.as_str(), loaded.cgroup_id), ("/", fake.cgroup("")));
    unload(&fake.fresh(), Some(&Target::System)).unwrap();
}

/// Calls of a policy's own functions lead to where the kernel is told that a function begins.
#[test]
fn functions_follow_the_callback() {
    let text: String =
        (1..=40).map(|at| format!("kill largest process in subtree where rss > {at}MiB\n")).collect();
    let source = Source::new("many.oom", text);
    let object = oomc_compiler::compile(&source, &KernelView::embedded()).object.unwrap();
    let object = Object::parse(&object).unwrap();
    let [funcs] = object.ext.funcs.as_slice() else { panic!("one section: {:?}", object.ext.funcs) };
    let starts: Vec<u32> = funcs.records.iter().map(|func| func.insn).collect();
    assert!(starts.len() > 3 && starts.is_sorted(), "{starts:?}");
    let mut called = vec![0];
    for (at, insn) in (0_i64..).zip(&object.code) {
        if insn & 0xf0ff == 0x1085 && insn >> 32 != 0xffff_ffff {
            let callee = u32::try_from(at + 1 + i64::from((insn >> 32) as i32)).unwrap();
            assert!(starts.contains(&callee), "instruction {at} calls {callee}");
            called.push(callee);
        }
    }
    called.sort_unstable();
    called.dedup();
    assert_eq!(called, starts, "every function is called");
    for (section, what) in [(object.ext.lines.len(), "lines"), (object.ext.relos.len(), "relocations")] {
        assert_eq!(section, 1, "{what}");
    }
    let ends = |at: u32| object.code.get(at as usize).map(|insn| *insn as u8);
    assert!(starts.iter().skip(1).all(|start| matches!(ends(start - 1), Some(0x95 | 0x05 | 0x06))));
    let fake = Fake::new("functions");
    load(&fake.fresh(), &object, &job()).unwrap();
}

#[test]
fn every_cut_object_is_refused() {
    let whole = compiled();
    assert!(Object::parse(&whole).is_ok());
    for len in 0..whole.len() {
        assert!(Object::parse(whole.get(..len).unwrap()).is_err(), "the first {len} bytes");
    }
}

#[test]
fn a_damaged_object_is_refused_or_loads_something_without_a_panic() {
    let whole = compiled();
    let view = Btf::parse(KernelView::embedded_btf()).unwrap();
    assert!(view.composite("bpf_oom_ops").is_some());
    let fake = Fake::new("damaged");
    let mut refused = 0;
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = whole.clone();
            *bytes.get_mut(at).unwrap() ^= bit;
            match Object::parse(&bytes) {
                // Reading is enough for most; fitting to a kernel takes longer.
                Ok(object) if at % 97 == 0 => {
                    let _ = oomc_runtime::verify(&fake.fresh(), &object);
                }
                Ok(_) => {}
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 1000, "only {refused} were noticed");
    assert_eq!((fake.attached(), fake.folders()), (0, 0));
}

/// Says that it is another policy than it is: refused; with leave it goes by the name that the kernel has.
#[test]
fn a_foreign_object_is_shown_as_what_it_is() {
    let mut object = object();
    let call = |helper: u64| 0x85 | helper << 32;
    let at = object.code.iter().position(|insn| *insn == call(130)).unwrap();
    object.code[at] = call(109);
    object.meta.lines.insert(0, ("cgroup".to_owned(), "/elsewhere".to_owned()));
    object.meta.lines.insert(0, ("name".to_owned(), "lab".to_owned()));
    object.foreign = oomc_object::foreign::oddities(&object);
    let fake = Fake::new("foreign");
    let error = load(&fake.fresh(), &object, &job()).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    let odd = "it calls the helper of number 109; it calls itself something else than `lab`";
    assert_eq!(error.to_string(), format!("the object is foreign: {odd}"));
    let error = oomc_runtime::verify(&fake.fresh(), &object).unwrap_err();
    assert_eq!(error.to_string(), format!("the object is foreign: {odd}"));
    assert_eq!((fake.count.get(), fake.attached(), fake.folders()), (0, 0, 0), "nothing was tried");

    let settings = Settings { foreign: true, ..Settings::default() };
    load_with(&fake.fresh(), &object, &job(), &settings).unwrap();
    let status = status(&fake.fresh(), None).unwrap();
    let [one] = status.attached.as_slice() else { panic!("{status:?}") };
    assert_eq!(one.policy, object.ops_name());
    assert_eq!(oomc_runtime::foreign::oddities(&one.meta), Some(odd));
    assert_eq!((one.cgroup.as_str(), one.meta.get("name")), ("/job", ""));
}

#[test]
fn what_is_no_object_of_ours_is_named_so() {
    let says = |bytes: &[u8]| Object::parse(bytes).unwrap_err().to_string();
    assert!(says(b"").contains("empty"));
    assert!(says(b"kill largest in subtree").contains("not an object"));
    assert!(says(&fs::read("/proc/self/exe").unwrap()).contains("not one for BPF"));
    // An object of oomc in another format.
    let mut other = compiled();
    let at = other.windows(9).position(|bytes| bytes == b"format=1\n").unwrap();
    *other.get_mut(at + 7).unwrap() = b'9';
    assert!(says(&other).contains("format `9`"), "{}", says(&other));
}

const TUNABLE: &str = "mode audit
param step = 25% range 1% .. 100%
param floor = 64MiB range 4KiB .. 1GiB
label tier: count = 100 trust owner
if cgroup.tier < 50 and cgroup.usage > floor then { raise_limit step up to 1GiB } else kill largest in subtree
";

fn tunable() -> Object {
    let compiled = oomc_compiler::compile(&Source::new("tunable.oom", TUNABLE), &KernelView::embedded());
    Object::parse(&compiled.object.unwrap_or_else(|| panic!("{:?}", compiled.diagnostics))).unwrap()
}

/// The literals that the tests below write.
fn literal(text: &str) -> Result<(Measure, i64), String> {
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| format!("`{text}` is not a value"));
    match (text.strip_suffix('%'), text.strip_suffix("MiB")) {
        (Some(percent), _) => Ok((Measure::Ratio, number(percent)? * 10_000)),
        (_, Some(bytes)) => Ok((Measure::Bytes, number(bytes)? << 20)),
        _ => Ok((Measure::Count, number(text)?)),
    }
}

fn assign(text: &str) -> Vec<Assignment> {
    text.split(' ').map(|one| one.parse().unwrap()).collect()
}

/// Mode and params as `status` tells them.
fn settings(system: &System<'_>) -> (Option<Mode>, Vec<i64>) {
    let status = status(system, None).unwrap();
    let one = status.attached.first().unwrap();
    (one.mode, one.params.iter().map(|(_, value)| *value).collect())
}

#[test]
fn params_and_mode_change_without_a_reload() {
    let fake = Fake::new("settings");
    let system = fake.system();
    load(&system, &tunable(), &job()).unwrap();
    assert_eq!(settings(&system), (Some(Mode::Audit), vec![250_000, 64 << 20]));

    let changed = config::set(&system, &job(), &assign("step=30% floor=1MiB"), &literal).unwrap();
    assert_eq!((changed.cgroup.as_str(), changed.what.len()), ("/job", 2));
    assert_eq!(changed.what.first().map(|change| (change.from, change.to)), Some((250_000, 300_000)));
    assert_eq!(config::mode(&system, &job(), Mode::Enforce).unwrap().what, Mode::Audit);
    assert_eq!(settings(&system), (Some(Mode::Enforce), vec![300_000, 1 << 20]));
    // The epoch grows with each switch, and only then.
    config::mode(&system, &job(), Mode::Enforce).unwrap();
    config::mode(&system, &job(), Mode::Audit).unwrap();
    assert_eq!(fake.value("config").get(8..16), Some(2_i64.to_le_bytes().as_slice()));
}

#[test]
fn what_a_param_does_not_take_is_refused_with_its_range() {
    let fake = Fake::new("ranges");
    let system = fake.system();
    load(&system, &tunable(), &job()).unwrap();
    let refused = |text: &str| {
        let error = config::set(&system, &job(), &assign(text), &literal).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{error}");
        error.to_string()
    };
    assert_eq!(refused("floor=2MiB step=101%"), "`step` is within 1% .. 100%, and 101% is not");
    assert_eq!(refused("step=30"), "`30` is not a percent such as `25%`; `step` is within 1% .. 100%");
    assert_eq!(refused("floor=much"), "`much` is not a value; `floor` is within 4KiB .. 1GiB");
    assert_eq!(refused("stop=1%"), "the policy has no param `stop`; it has `step`, `floor`");
    assert_eq!(settings(&system).1, [250_000, 64 << 20], "all or none");
    let error = config::set(&system, &Target::Cgroup("next".to_owned()), &assign("step=1%"), &literal);
    assert!(matches!(error, Err(Error::Vacant { .. })), "{error:?}");
}

#[test]
fn a_policy_can_begin_with_other_settings() {
    let fake = Fake::new("first_settings");
    let system = fake.system();
    let begin = |text: &str| Settings {
        mode: Some(Mode::Enforce),
        params: assign(text),
        literal: &literal,
        foreign: false,
    };
    let error = load_with(&system, &tunable(), &job(), &begin("step=0%")).unwrap_err();
    assert_eq!(error.to_string(), "`step` is within 1% .. 100%, and 0% is not");
    assert_eq!((fake.folders(), fake.attached()), (0, 0));
    load_with(&system, &tunable(), &job(), &begin("step=7%")).unwrap();
    assert_eq!(settings(&system), (Some(Mode::Enforce), vec![70_000, 64 << 20]));
}

#[test]
fn labels_come_from_attributes_of_those_who_are_trusted() {
    let fake = Fake::new("labels");
    let system = fake.system();
    let put = |cgroup: &str, text: &str| {
        let key = (fake.cgroup(cgroup), "user.oom.tier".to_owned());
        fake.attributes.borrow_mut().insert(key, text.to_owned());
    };
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    put("job/inner", "3");
    put("next", "4");
    let settings = Settings { literal: &literal, ..Settings::default() };
    let loaded = load_with(&system, &tunable(), &job(), &settings).unwrap();
    assert_eq!(loaded.labels, Refreshed { set: 1, ignored: Vec::new() }, "one is below, one is not");
    assert_eq!(fake.value("labels"), 3_i64.to_le_bytes());

    put("job/inner", "30MiB");
    let refreshed = labels::refresh(&system, &job(), &literal).unwrap().what;
    let ignored = refreshed.ignored.first().map(|one| (one.cgroup.as_str(), one.why.as_str()));
    assert_eq!(ignored, Some(("/job/inner", "`30MiB` is not a plain number such as `3`")));
    put("job/inner", "5");
    fs::set_permissions(fake.root.join("cgroup/job/inner"), fs::Permissions::from_mode(0o777)).unwrap();
    let refreshed = labels::refresh(&system, &job(), &literal).unwrap().what;
    let ignored = refreshed.ignored.first().map(|one| one.why.as_str());
    assert_eq!(ignored, Some("others than its owner may write to the directory"));
    assert_eq!((refreshed.set, fake.value("labels")), (0, 3_i64.to_le_bytes().to_vec()));
}

#[test]
fn a_label_is_for_the_nearest_policy() {
    let fake = Fake::new("nearest");
    let system = fake.system();
    fs::create_dir(fake.root.join("cgroup/job/inner")).unwrap();
    load(&system, &tunable(), &job()).unwrap();
    let inner = Target::Cgroup("job/inner".to_owned());
    let put = labels::put(&system, &inner, &assign("tier=7"), &literal).unwrap();
    assert_eq!(put.cgroup, "/job");
    assert_eq!(put.what.first().map(|put| (put.cgroup.as_str(), put.value)), Some(("/job/inner", Some(7))));
    assert_eq!(fake.value("labels"), 7_i64.to_le_bytes());
    let put = labels::put(&system, &inner, &assign("tier=inherit"), &literal).unwrap();
    assert_eq!(put.what.first().map(|put| put.value), Some(None));
    let refused = |target: &Target, text: &str| {
        labels::put(&system, target, &assign(text), &literal).unwrap_err().to_string()
    };
    assert_eq!(refused(&inner, "teir=7"), "the policy has no label `teir`; it has `tier`");
    assert_eq!(
        refused(&Target::Cgroup("next".to_owned()), "tier=7"),
        "no policy that oomc loaded is attached to /next or to a cgroup above it"
    );
}
