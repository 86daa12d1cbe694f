//! From an object to a policy that acts.
//!
//! Order is everything here. Until the link's pin exists, all that was made dies with this process's file
//! descriptors, except pins in a folder without a link, which the next command removes. The link's pin is
//! the last step, and one system call: so a loader may be killed at any moment.

use std::fmt;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use aya_obj::generated::{BPF_F_RDONLY_PROG, BPF_F_SLEEPABLE};

use oomc_abi::declared::Declared;
use oomc_abi::fields::Measure;
use oomc_abi::maps;
use oomc_abi::target::Target as Kernels;

use crate::bpf::{Bpf, unexpected};
use crate::cgroup::{self, Cgroup, Target};
use crate::config::{Assignment, Config, Literal, Mode};
use crate::error::{Error, Result};
use crate::labels::{self, Refreshed};
use crate::object::{self, Object, text_of};
use crate::pins::{self, Folder, Left, Pins};
use crate::preflight::{self, Missing, Ready};
use crate::relocate::Fitted;
use crate::status::{self, Gone};
use crate::struct_ops::KernelOps;
use crate::survey::{Survey, survey};
use crate::sys::{MapAttr, ProgAttr, Reply, Syscall};
use crate::system::System;
use crate::unload::{Unloaded, sweep};
use crate::{foreign, outcome, page, relocate, sanitize, verifier_log};

/// A policy that was attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Path of the cgroup below the mount.
    pub cgroup: String,
    /// Its id.
    pub cgroup_id: u64,
    /// `name@hash`, as the kernel logs it.
    pub policy: String,
    /// Directory of the cgroup.
    pub place: PathBuf,
    /// Why the cgroup does not account for memory, if it does not: then the policy never runs.
    pub no_memory: Option<String>,
    /// The program before and after the verifier.
    pub program: Program,
    /// What this kernel lacks and the policy can do without.
    pub absent: Vec<String>,
    /// Labels that extended attributes gave.
    pub labels: Refreshed,
    /// A policy that had been detached from this cgroup before; its pins were removed.
    pub gone: Vec<Gone>,
}

/// Sizes of a loaded program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Instructions handed in.
    pub insns: u32,
    /// Instructions that the verifier left.
    pub xlated: u32,
    /// Instructions that the verifier walked through.
    pub verified: u32,
}

/// What is set before a policy is asked for the first time.
pub struct Settings<'a> {
    /// The mode, if not as the policy says.
    pub mode: Option<Mode>,
    /// Params that are not to have their defaults.
    pub params: Vec<Assignment>,
    /// Reads values.
    pub literal: Literal<'a>,
    /// Objects that oomc did not make are loaded, too.
    pub foreign: bool,
}

impl Default for Settings<'_> {
    /// As the policy says; attributes of labels are plain numbers.
    fn default() -> Self {
        Self { mode: None, params: Vec::new(), literal: &plain, foreign: false }
    }
}

fn plain(text: &str) -> std::result::Result<(Measure, i64), String> {
    let number = text.parse().map_err(|_| format!("`{text}` is not a plain number"))?;
    Ok((Measure::Count, number))
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("mode", &self.mode).field("params", &self.params).finish()
    }
}

/// Loads an object, attaches it to a cgroup, pins it.
///
/// # Errors
/// Nothing is attached and nothing is pinned then. [`Error::Occupied`] when the cgroup has a policy.
pub fn load(system: &System<'_>, object: &Object, target: &Target) -> Result<Loaded> {
    load_with(system, object, target, &Settings::default())
}

/// As [`load`], with params and mode of one's own.
///
/// # Errors
/// As [`load`]; [`Error::Setting`] when the policy does not take a setting.
pub fn load_with(
    system: &System<'_>,
    object: &Object,
    target: &Target,
    settings: &Settings<'_>,
) -> Result<Loaded> {
    admit(system, object, settings.foreign)?;
    let declared = object.meta.declared();
    let set;
    let object = if settings.mode.is_some() || !settings.params.is_empty() {
        set = with_settings(object, &declared, settings)?;
        &set
    } else {
        object
    };
    let (cgroup, ready) = meet(system, object, target)?;
    let bpf = system.bpf();
    let pins = Pins::lock(system)?;
    let survey = survey(bpf, &pins)?;
    if let Some(living) = survey.on(cgroup.id)? {
        let policy = status::policy_name(bpf, &ready.ops, &living.folder);
        return Err(Error::Occupied { cgroup: cgroup.path, policy, foreign: false });
    }
    let parts = prepare(bpf, object, &ready)?;
    let map = parts.map(object, maps::LABELS);
    let labels = label(system, map, &cgroup, &declared, settings.literal)?;
    let folder = pins.folder(cgroup.id);
    let gone = make_room(bpf, &survey, &folder)?;
    if let Err(error) = publish(system, object, &ready, &parts, &cgroup, &folder) {
        // The first error is the one to tell. What this leaves is a folder without a link.
        let _ = folder.remove(bpf);
        return Err(error);
    }
    Ok(Loaded { labels, gone, ..parts.loaded(object, cgroup) })
}

/// Whether an object is one that may be loaded here: by whom it was made, and for which pages.
pub(crate) fn admit(system: &System<'_>, object: &Object, foreign: bool) -> Result<()> {
    foreign::admit(system, object, foreign)?;
    page::check(object)
}

/// The cgroup, and the kernel's counterpart of what the object needs.
pub(crate) fn meet(system: &System<'_>, object: &Object, target: &Target) -> Result<(Cgroup, Ready)> {
    let cgroup = cgroup::open(system, target)?;
    preflight::privilege(system, false)?;
    Ok((cgroup, preflight::check(system, object)?))
}

/// Removes what killed commands have left, and what is gone from this very cgroup.
pub(crate) fn make_room(bpf: Bpf<'_>, survey: &Survey, folder: &Folder) -> Result<Vec<Gone>> {
    let mut removed = Unloaded::default();
    sweep(bpf, &survey.unfinished, &mut removed);
    let mut gone = Vec::new();
    for old in survey.gone.iter().filter(|old| old.id == folder.id) {
        gone.push(Gone { was: status::attached(bpf, old)?, cgroup_exists: true, before: false });
        removed.left.extend(old.remove(bpf)?);
    }
    match removed.left.into_iter().find(|left| left.id == Some(folder.id)) {
        Some(Left { place, why, .. }) => {
            Err(Error::Place { call: "a look", place, why, help: "look who put it there".to_owned() })
        }
        None => Ok(gone),
    }
}

/// The object with other first values of its settings.
pub(crate) fn with_settings(object: &Object, declared: &Declared, settings: &Settings<'_>) -> Result<Object> {
    let mut object = object.clone();
    Config::in_object(&mut object, |config| {
        for assignment in &settings.params {
            config.assign(declared, assignment, settings.literal)?;
        }
        settings.mode.map_or(Ok(()), |mode| config.switch(mode))
    })?;
    Ok(object)
}

/// Puts the labels that attributes of the cgroup and of all below say into a policy's map, if it has one.
pub(crate) fn label(
    system: &System<'_>,
    map: Option<BorrowedFd<'_>>,
    cgroup: &Cgroup,
    declared: &Declared,
    literal: Literal<'_>,
) -> Result<Refreshed> {
    let Some(map) = map else { return Ok(Refreshed::default()) };
    let bpf = system.bpf();
    let owner = cgroup.dir.metadata().map_err(Error::file("look at", &cgroup.path))?.uid();
    let attributes = labels::attributes(system, &cgroup.place, owner, declared, literal)?;
    for found in &attributes.found {
        found.store(bpf, map)?;
    }
    Ok(attributes.refreshed())
}

/// Loads an object into the kernel's verifier and forgets it: nothing is attached, nothing is pinned.
///
/// # Errors
/// As [`load`].
pub fn verify(system: &System<'_>, object: &Object) -> Result<Program> {
    admit(system, object, false)?;
    preflight::privilege(system, false)?;
    let ready = preflight::check(system, object)?;
    Ok(prepare(system.bpf(), object, &ready)?.program)
}

/// What lives in the kernel as long as its descriptors do.
pub(crate) struct Parts {
    /// In the order of the object's globals.
    globals: Vec<OwnedFd>,
    /// In the order of the object's other maps.
    maps: Vec<OwnedFd>,
    prog: OwnedFd,
    pub(crate) ops: OwnedFd,
    program: Program,
    absent: Vec<String>,
}

impl Parts {
    /// A map of the object's, by its name.
    pub(crate) fn map(&self, object: &Object, name: &str) -> Option<BorrowedFd<'_>> {
        let position = object.maps.iter().position(|map| map.name == name)?;
        self.maps.get(position).map(|map| map.as_fd())
    }

    /// What there is to tell once it is attached.
    pub(crate) fn loaded(self, object: &Object, cgroup: Cgroup) -> Loaded {
        Loaded {
            cgroup: cgroup.path,
            cgroup_id: cgroup.id,
            policy: object.ops_name(),
            place: cgroup.place,
            no_memory: cgroup.no_memory,
            program: self.program,
            absent: self.absent,
            labels: Refreshed::default(),
            gone: Vec::new(),
        }
    }
}

/// The maps of an object and its types, in the kernel.
pub(crate) struct Made {
    pub(crate) btf: OwnedFd,
    /// In the order of the object's globals.
    pub(crate) globals: Vec<OwnedFd>,
    /// In the order of the object's other maps.
    pub(crate) maps: Vec<OwnedFd>,
}

impl Made {
    /// The numbers of the descriptors.
    pub(crate) fn fds(&self) -> relocate::MapFds {
        let numbers =
            |maps: &[OwnedFd]| maps.iter().map(|map| map.as_raw_fd().cast_unsigned()).collect::<Vec<_>>();
        relocate::MapFds { globals: numbers(&self.globals), maps: numbers(&self.maps) }
    }
}

/// Makes the maps of an object, with its first values in them.
pub(crate) fn make_maps(bpf: Bpf<'_>, object: &Object) -> Result<Made> {
    let damaged = || Error::Object(object::Error::Broken("the types contradict themselves".to_owned()));
    let btf = bpf.btf_load(&sanitize::for_kernel(object).ok_or_else(damaged)?)?;
    let mut globals = Vec::new();
    for global in &object.globals {
        let name = format!("oomc.{}", global.map_name());
        let attr = MapAttr {
            value_size: global.data.len() as u32,
            flags: if global.read_only { BPF_F_RDONLY_PROG } else { 0 },
            btf: (global.ty != 0).then_some(btf.as_fd()),
            value_type: global.ty,
            ..MapAttr::array(&name)
        };
        globals.push(filled(bpf, &attr, &global.data, global.read_only)?);
    }
    let mut maps = Vec::new();
    for map in &object.maps {
        maps.push(bpf.map_create(&MapAttr {
            name: &format!("oomc.{}", map.name),
            kind: map.kind,
            key_size: map.key.0,
            value_size: map.value.0,
            max_entries: map.max_entries,
            flags: map.flags,
            btf: (map.key.1 != 0).then_some(btf.as_fd()),
            key_type: map.key.1,
            value_type: map.value.1,
            kernel_value_type: 0,
        })?);
    }
    Ok(Made { btf, globals, maps })
}

pub(crate) fn prepare(bpf: Bpf<'_>, object: &Object, ready: &Ready) -> Result<Parts> {
    let made = make_maps(bpf, object)?;
    let fitted = relocate::apply(object, &ready.btf, &ready.found, &made.fds())?;
    let hook = Hook { ops_type: ready.ops.ops_type, member: ready.ops.callback };
    let prog = prog_load(bpf, object, Some(hook), &fitted, &made.btf)?;
    let Made { btf, globals, maps } = made;
    let info = bpf.prog_info(prog.as_fd())?;
    let program = Program {
        insns: fitted.code.len() as u32,
        xlated: info.xlated_len / 8,
        verified: info.verified_insns,
    };
    let ops = ready.ops.create(bpf, object, btf.as_fd(), prog.as_raw_fd().cast_unsigned())?;
    let functions = object.externs.iter().zip(&ready.found);
    let absent = functions
        .filter(|(_, found)| **found == relocate::Found::Absent)
        .map(|(ext, _)| ext.name.clone())
        .chain(fitted.absent())
        .collect();
    Ok(Parts { globals, maps, prog, ops, program, absent })
}

/// A map of one element with its first value.
fn filled(bpf: Bpf<'_>, attr: &MapAttr<'_>, value: &[u8], frozen: bool) -> Result<OwnedFd> {
    let map = bpf.map_create(attr)?;
    if frozen || value.iter().any(|byte| *byte != 0) {
        bpf.map_update(map.as_fd(), value, attr.name)?;
    }
    if frozen {
        bpf.map_freeze(map.as_fd(), attr.name)?;
    }
    Ok(map)
}

/// First and largest size of the verifier's log, in bytes. The kernel takes up to `UINT_MAX >> 2`.
const LOG_FIRST: usize = 64 << 10;
const LOG_LAST: usize = 64 << 20;

/// The member of a struct_ops type that a program implements.
pub(crate) struct Hook {
    pub(crate) ops_type: u32,
    pub(crate) member: u32,
}

/// Loads the program of an object.
pub(crate) fn prog_load(
    bpf: Bpf<'_>,
    object: &Object,
    hook: Option<Hook>,
    fitted: &Fitted,
    btf: &OwnedFd,
) -> Result<OwnedFd> {
    let target = if hook.is_some() { Kernels::Hook } else { Kernels::Asked };
    let ours = |name: u32| object.btf.string(name) == Some(&object.section);
    let funcs: Vec<[u32; 2]> = object
        .ext
        .funcs
        .iter()
        .filter(|section| ours(section.name))
        .flat_map(|section| section.records.iter().map(|func| [func.insn, func.type_id]))
        .collect();
    let lines: Vec<[u32; 4]> = object
        .ext
        .lines
        .iter()
        .filter(|section| ours(section.name))
        .flat_map(|section| &section.records)
        .map(|line| [line.insn, line.file, line.text, line.line << 10 | line.column])
        .collect();
    let prog = ProgAttr {
        name: &object.program,
        code: &fitted.code,
        license: &object.license,
        kind: target.row().kind,
        flags: BPF_F_SLEEPABLE,
        ops_type: hook.as_ref().map_or(0, |hook| hook.ops_type),
        member: hook.as_ref().map_or(0, |hook| hook.member),
        btf: btf.as_fd(),
        funcs: &funcs,
        lines: &lines,
    };
    // Without a log first: writing one costs more than verifying.
    let mut log = Vec::new();
    let mut size = LOG_FIRST;
    loop {
        let error = match bpf.raw(Syscall::ProgLoad { prog: &prog, log: &mut log }) {
            Ok(Reply::Fd(fd)) => return Ok(fd),
            Ok(other) => return Err(unexpected(&other)),
            Err(error) => error,
        };
        let full = error.raw_os_error() == Some(libc::ENOSPC);
        if log.is_empty() {
            log = vec![0; size];
            continue;
        }
        if full && size < LOG_LAST {
            size *= 8;
            log = vec![0; size];
            continue;
        }
        // A kernel without memory says little of the program, whatever it has looked at so far.
        let refusal = verifier_log::read(object, text_of(&log));
        let refusal = refusal.filter(|_| error.raw_os_error() != Some(libc::ENOMEM));
        let Some(refusal) = refusal else {
            return Err(Error::Call {
                call: "BPF_PROG_LOAD",
                object: format!("the program of `{}`", object.ops_name()),
                source: error,
            });
        };
        // What a kernel lacks is no fault of the program.
        return Err(match fitted.poisoned.iter().find(|poisoned| Some(poisoned.insn) == refusal.insn) {
            Some(lacks) => Error::Kernel(vec![Missing {
                what: format!("this kernel has no `{}` as the policy reads it", lacks.what),
                help: "it is older or newer than the kernels that this oomc knows",
            }]),
            None => Error::Verifier(Box::new(refusal)),
        });
    }
}

/// Pins everything, attaches, pins the link.
fn publish(
    system: &System<'_>,
    object: &Object,
    ready: &Ready,
    parts: &Parts,
    cgroup: &Cgroup,
    folder: &Folder,
) -> Result<()> {
    let bpf = system.bpf();
    pin(bpf, object, parts, cgroup, folder)?;
    let link = attach(bpf, &ready.ops, parts.ops.as_fd(), cgroup)?;
    let Some(link) = link else {
        let policy = status::foreign_on(system, &ready.ops, cgroup.id);
        return Err(Error::Occupied { cgroup: cgroup.path.clone(), policy, foreign: true });
    };
    folder.pin(bpf, link.as_fd(), pins::LINK)
}

/// Pins everything but the link.
pub(crate) fn pin(
    bpf: Bpf<'_>,
    object: &Object,
    parts: &Parts,
    cgroup: &Cgroup,
    folder: &Folder,
) -> Result<()> {
    folder.create(bpf)?;
    for (global, map) in object.globals.iter().zip(&parts.globals) {
        folder.pin(bpf, map.as_fd(), &pins::of_map(global.map_name()))?;
    }
    for (map, fd) in object.maps.iter().zip(&parts.maps) {
        folder.pin(bpf, fd.as_fd(), &pins::of_map(&map.name))?;
    }
    folder.pin(bpf, parts.prog.as_fd(), pins::PROG)?;
    folder.pin(bpf, parts.ops.as_fd(), pins::OPS)?;
    folder.pin(bpf, bpf.map_create(&outcome::map())?.as_fd(), maps::OUTCOMES)?;
    keep(bpf, folder, pins::META, &foreign::remembered(object, &cgroup.path).text())?;
    keep(bpf, folder, pins::SOURCE, &object.source)
}

/// Attaches, and looks where the kernel attached. None: the cgroup has a policy.
pub(crate) fn attach(
    bpf: Bpf<'_>,
    kernel: &KernelOps,
    ops: BorrowedFd<'_>,
    cgroup: &Cgroup,
) -> Result<Option<OwnedFd>> {
    let Some(link) = kernel.attach(bpf, ops, cgroup.dir.as_fd(), &cgroup.path)? else { return Ok(None) };
    // A kernel that does not know the flag attaches to nothing at all, without a word.
    let found = bpf.link_info(link.as_fd())?.cgroup_id;
    if found != cgroup.id {
        bpf.detach(link.as_fd())?;
        return Err(Error::WrongCgroup { wanted: cgroup.id, found });
    }
    Ok(Some(link))
}

/// A text in a map of its own, for whoever asks later.
pub(crate) fn keep(bpf: Bpf<'_>, folder: &Folder, pin: &str, text: &str) -> Result<()> {
    let value = if text.is_empty() { b"\n" } else { text.as_bytes() };
    let name = format!("oomc.{pin}");
    let attr = MapAttr { value_size: value.len() as u32, flags: BPF_F_RDONLY_PROG, ..MapAttr::array(&name) };
    let map = filled(bpf, &attr, value, true)?;
    folder.pin(bpf, map.as_fd(), pin)
}
