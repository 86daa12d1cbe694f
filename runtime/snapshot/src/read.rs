//! Reads a machine: the tree of cgroup v2 and `/proc`, from whatever directories stand for them.
//!
//! A machine goes on while it is read. A cgroup or process that is gone by then is left out and counted; a value
//! that cannot be read is absent. Files as of Linux 6.12: `Documentation/admin-guide/cgroup-v2.rst`, proc(5).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use oomc_abi::consts::{PAGE_SIZE, PAGE_SIZES};

use crate::check::MOST;
use crate::schema::{Cgroup, FileOfAmounts, Pressure, Process, SCHEMA, Snapshot, Windows};

/// Prefix of the extended attributes that are labels.
const LABEL: &str = "user.oom.";

/// Bytes of a command name.
pub(crate) const COMM: usize = 15;

/// `PF_KTHREAD` (include/linux/sched.h, 6.12).
const KERNEL_THREAD: u64 = 0x0020_0000;

/// SIGKILL in a set of signals. The kernel marks the whole process as exiting when it is sent
/// (`complete_signal()`, kernel/signal.c, 6.12).
const KILL: u64 = 1 << (9 - 1);

/// Clock ticks of `/proc/PID/stat` in a second: `USER_HZ` is 100 on every architecture with BPF.
const TICKS: i64 = 100;

/// Nanoseconds.
const SECOND: i64 = 1_000_000_000;

/// Why nothing can be said of a tree of cgroups.
const NO_V2: &str = "this is no cgroup v2 (it has no `cgroup.controllers`): policies are attached to cgroups of v2, and \
                     in v1 the kernel asks none";
const NO_MEMORY: &str = "cgroup2 is not mounted with a memory controller here (`cgroup.controllers` does not name it): it \
                         is mounted as v1, or the kernel was started with `cgroup_disable=memory`";
const SWITCHED_OFF: &str = "the memory controller is off in this cgroup, so it never runs out of memory: write \
                            `+memory` to `cgroup.subtree_control` of the cgroup above";

/// The directories that a machine is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roots {
    /// Where cgroup2 is mounted, or a copy of it.
    pub cgroups: PathBuf,
    /// `/proc`, or a copy of it.
    pub proc: PathBuf,
}

/// How far the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Cgroups that were read.
    pub cgroups: usize,
    /// Processes that were looked at.
    pub processes: usize,
    /// Processes that there are; 0: not known yet.
    pub of: usize,
}

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The machine.
    pub snapshot: Snapshot,
    /// What a reader should know: what was left out, and why.
    pub remarks: Vec<String>,
}

/// Why a machine could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// A file or directory without which there is no machine.
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not say what it should.
    Strange {
        /// Which.
        path: PathBuf,
        /// What is missing in it.
        lacks: &'static str,
    },
    /// There is no cgroup v2, or it has no memory controller.
    NoMemoryController {
        /// Where it was looked for, or which cgroup.
        path: PathBuf,
        /// How it can be seen, and what to do.
        why: &'static str,
    },
    /// There is no such cgroup.
    NoCgroup(String),
    /// The path leads out of the mount.
    Outside(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Strange { path, lacks } => write!(f, "{} does not say {lacks}", path.display()),
            Self::NoMemoryController { path, why } => write!(f, "{}: {why}", path.display()),
            Self::NoCgroup(path) => write!(f, "there is no cgroup {path}"),
            Self::Outside(path) => write!(f, "{path}: a path below the cgroup mount has no `..`"),
        }
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File { source, .. } => Some(source),
            Self::Strange { .. } | Self::NoMemoryController { .. } | Self::NoCgroup(_) | Self::Outside(_) => {
                None
            }
        }
    }
}

/// Reads a machine, or one cgroup of it with everything below and what stands above.
///
/// # Errors
/// [`ReadError`]: the mount, `meminfo` or `uptime` cannot be read, or there is no such cgroup.
pub fn read(
    roots: &Roots,
    only: Option<&str>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Reading, ReadError> {
    let text = |path: PathBuf| fs::read_to_string(&path).map_err(|source| ReadError::File { path, source });
    let path = roots.proc.join("meminfo");
    let meminfo = text(path.clone())?;
    let memory = kib(&meminfo, "MemTotal");
    // A kernel without swap has no such lines.
    let swap = |key: &str| kib(&meminfo, key).unwrap_or(0);
    let (swap, swap_free) = (swap("SwapTotal"), swap("SwapFree"));
    let swappiness = fs::read_to_string(roots.proc.join("sys/vm/swappiness")).ok();
    let memory = memory.ok_or(ReadError::Strange { path, lacks: "how much memory there is" })?;
    let path = roots.proc.join("uptime");
    let now = seconds(text(path.clone())?.split(' ').next().unwrap_or_default());
    let now = now.ok_or(ReadError::Strange { path, lacks: "how long the machine runs" })?;
    let release = fs::read_to_string(roots.proc.join("sys/kernel/osrelease")).ok();
    let top = only.map_or_else(|| "/".to_owned(), normal);
    if leads_out(&top) {
        return Err(ReadError::Outside(top));
    }
    let mut reader =
        Reader { roots, cgroups: Vec::new(), on: HashSet::new(), gone: 0, odd: 0, outside: 0, progress };
    reader.cgroups_of(&top)?;
    let processes = reader.processes(&top)?;
    let mut remarks = Vec::new();
    if reader.gone > 0 {
        remarks.push(format!("{} cgroups or processes were gone before they were read", reader.gone));
    }
    if reader.odd > 0 {
        remarks.push(format!(
            "{} names are not UTF-8: cgroups of such names were left out, of commands it was replaced",
            reader.odd
        ));
    }
    if reader.outside > 0 {
        remarks.push(format!("{} processes are in cgroups outside of the mount", reader.outside));
    }
    if reader.cgroups.iter().skip(1).any(|one| !one.controller) {
        let bare = reader.cgroups.iter().skip(1).filter(|one| !one.controller).count();
        remarks.push(format!("the memory controller is off in {bare} cgroups"));
    }
    let snapshot = Snapshot {
        schema: SCHEMA,
        top,
        kernel: release.map(|release| release.trim().to_owned()),
        page_size: Some(page_size(&roots.proc)).filter(|size| *size != PAGE_SIZE),
        memory,
        swap,
        swap_free: swap_free.min(swap),
        no_swapping: swappiness.is_some_and(|text| text.trim() == "0"),
        now,
        cgroups: reader.cgroups,
        processes,
    };
    Ok(Reading { snapshot, remarks })
}

/// Bytes in a page of the machine whose `/proc` this is, or a copy of it: what the kernel tells each program at its start
/// (`AT_PAGESZ` in `/proc/PID/auxv`, pairs of words). A copy that does not say is of a machine whose pages are as usual.
#[must_use]
pub fn page_size(proc: &Path) -> i64 {
    const AT_PAGESZ: u64 = 6;
    let bytes = fs::read(proc.join("self/auxv")).unwrap_or_default();
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).ok();
    let pairs = bytes.chunks_exact(16).map(|pair| pair.split_at(8));
    let found =
        pairs.into_iter().find_map(|(key, value)| (word(key) == Some(AT_PAGESZ)).then(|| word(value)));
    let known = |size: &i64| PAGE_SIZES.contains(size);
    found.flatten().and_then(|size| i64::try_from(size).ok()).filter(known).unwrap_or(PAGE_SIZE)
}

/// A path with one `/` before each part.
fn normal(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty());
    format!("/{}", parts.collect::<Vec<_>>().join("/"))
}

/// Whether a path goes up somewhere: `/proc` writes so of what is outside of the reader's cgroup namespace.
fn leads_out(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

struct Reader<'a> {
    roots: &'a Roots,
    cgroups: Vec<Cgroup>,
    /// Those of them in which the memory controller is on.
    on: HashSet<String>,
    /// Cgroups and processes that went away.
    gone: usize,
    /// Names that are not UTF-8.
    odd: usize,
    /// Processes whose cgroups cannot be seen from here.
    outside: usize,
    progress: &'a mut dyn FnMut(Progress),
}

impl Reader<'_> {
    /// The cgroup, what stands above it, and everything below.
    fn cgroups_of(&mut self, top: &str) -> Result<(), ReadError> {
        let mount = &self.roots.cgroups;
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReadError::File { path, source }
        };
        fs::read_dir(mount).map_err(failed(mount))?;
        // From above, and then what is found below.
        let mut path = String::new();
        let mut open = vec![(String::from("/"), None)];
        for part in top.split('/').filter(|part| !part.is_empty()) {
            let above = if path.is_empty() { "/".to_owned() } else { path.clone() };
            path.push('/');
            path.push_str(part);
            open.push((path.clone(), Some(above)));
        }
        for (path, parent) in open {
            self.cgroup(&path, parent).ok_or_else(|| ReadError::NoCgroup(top.to_owned()))?;
        }
        let mut below = self.children(top);
        while let Some(path) = below.pop() {
            let above = path.rsplit_once('/').map_or("", |(above, _)| above);
            let above = if above.is_empty() { "/" } else { above }.to_owned();
            match self.cgroup(&path, Some(above)) {
                Some(()) => below.extend(self.children(&path)),
                None => self.gone += 1,
            }
        }
        Ok(())
    }

    fn place(&self, path: &str) -> PathBuf {
        self.roots.cgroups.join(path.trim_start_matches('/'))
    }

    /// Paths of the cgroups directly in a cgroup, the last one first.
    fn children(&mut self, path: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(path)) else {
            self.gone += 1;
            return Vec::new();
        };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                match entry.file_name().into_string() {
                    Ok(name) => found.push(format!("{}/{name}", path.trim_end_matches('/'))),
                    // A policy would see its bytes; no file of text can hold them.
                    Err(_) => self.odd += 1,
                }
            }
        }
        found.sort_by(|one, other| other.cmp(one));
        found
    }

    /// Reads a cgroup; none if it is gone.
    fn cgroup(&mut self, path: &str, parent: Option<String>) -> Option<()> {
        let place = self.place(path);
        let directory = fs::metadata(&place).ok().filter(fs::Metadata::is_dir)?;
        let file = |name: &str| fs::read_to_string(place.join(name)).ok();
        let number = |name: &str| file(name)?.trim().parse::<i64>().ok();
        let read = fs::read_to_string(place.join("memory.current"));
        // What may not be read is there all the same.
        let there = !matches!(&read, Err(error) if error.kind() == io::ErrorKind::NotFound);
        let current = read.ok().and_then(|text| text.trim().parse().ok());
        let protection = |name: &str| match file(name)?.trim() {
            "max" => Some(MOST),
            text => text.parse().ok().filter(|bytes| *bytes != 0),
        };
        let statistics = file("memory.stat").map(|text| amounts(&text));
        // The root has it, and no such file. Where it was switched on while the tree was read, what is above was
        // read without it.
        let controller = match &parent {
            None => true,
            Some(parent) => there && self.on.contains(parent),
        };
        if controller {
            self.on.insert(path.to_owned());
        }
        self.cgroups.push(Cgroup {
            path: path.to_owned(),
            parent,
            id: directory.ino() as i64,
            owner: directory.uid(),
            mode: directory.mode() & 0o7777,
            labels: labels(&place),
            controller,
            current,
            max: number("memory.max"),
            high: number("memory.high"),
            low: protection("memory.low"),
            min: protection("memory.min"),
            swap: number("memory.swap.current"),
            swap_max: number("memory.swap.max"),
            oom_group: number("memory.oom.group") == Some(1),
            statistics,
            events: file("memory.events").map(|text| amounts(&text)),
            pressure: file("memory.pressure").and_then(|text| pressure(&text)),
        });
        let cgroups = self.cgroups.len();
        (self.progress)(Progress { cgroups, processes: 0, of: 0 });
        Some(())
    }

    fn processes(&mut self, top: &str) -> Result<Vec<Process>, ReadError> {
        let proc = &self.roots.proc;
        let entries = fs::read_dir(proc).map_err(|source| ReadError::File { path: proc.clone(), source })?;
        let mut pids: Vec<i64> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        pids.sort_unstable();
        let known: HashSet<String> = self.cgroups.iter().map(|one| one.path.clone()).collect();
        let (of, cgroups) = (pids.len(), self.cgroups.len());
        let (mut found, mut others) = (Vec::new(), HashMap::new());
        for (number, pid) in (1..).zip(pids) {
            match process(&self.roots.proc.join(pid.to_string()), pid, &mut self.odd) {
                None => self.gone += 1,
                Some(one) if leads_out(&one.cgroup) => self.outside += 1,
                Some(one) if is_within(&one.cgroup, top) => found.push(one),
                Some(one) => drop(others.insert(one.pid, one)),
            }
            (self.progress)(Progress { cgroups, processes: number, of });
        }
        found.extend(ancestors(&found, others));
        for one in &mut found {
            // Its cgroup is younger than the list, gone, or left out: what is above has it, too.
            while !known.contains(&one.cgroup) {
                let above = one.cgroup.rsplit_once('/').map_or("", |(above, _)| above);
                one.cgroup = if above.is_empty() { "/" } else { above }.to_owned();
            }
        }
        Ok(found)
    }
}

/// Refuses a machine whose cgroups no memory controller of v2 counts: there, nobody runs out of memory but the machine.
///
/// # Errors
/// [`ReadError::NoMemoryController`].
pub fn has_memory_controller(roots: &Roots, snapshot: &Snapshot) -> Result<(), ReadError> {
    let (mount, top) = (&roots.cgroups, snapshot.top.as_str());
    let refuse = |path: &Path, why| Err(ReadError::NoMemoryController { path: path.to_owned(), why });
    let counts = || snapshot.cgroups.iter().any(|one| one.current.is_some()) || has_counting_child(mount);
    match fs::read_to_string(mount.join("cgroup.controllers")) {
        Ok(list) if !list.split_whitespace().any(|name| name == "memory") => return refuse(mount, NO_MEMORY),
        // The root of every cgroup v2 has this file. A copy of a tree may lack it, and shows what it is in others.
        Err(_) if !counts() => return refuse(mount, NO_V2),
        Ok(_) | Err(_) => {}
    }
    let off = snapshot.cgroups.iter().any(|one| one.path == top && !one.controller);
    if off { refuse(&mount.join(top.trim_start_matches('/')), SWITCHED_OFF) } else { Ok(()) }
}

/// Whether the memory controller of v2 counts in a cgroup right below the mount.
fn has_counting_child(mount: &Path) -> bool {
    let children = fs::read_dir(mount).into_iter().flatten().flatten();
    children.map(|child| child.path().join("memory.current")).any(|file| file.exists())
}

/// Whether a path is another one, or below it.
fn is_within(path: &str, top: &str) -> bool {
    top == "/" || path == top || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'))
}

/// Those of the others whose children or children's children are among the processes.
fn ancestors(processes: &[Process], mut others: HashMap<i64, Process>) -> Vec<Process> {
    let mut found = Vec::new();
    for one in processes {
        let mut up = one.parent;
        while let Some(above) = up.and_then(|pid| others.remove(&pid)) {
            up = above.parent;
            found.push(above);
        }
    }
    found
}

/// A file of lines `KEY VALUE`.
fn amounts<T: FileOfAmounts>(text: &str) -> T {
    let values: BTreeMap<&str, i64> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(key, value)| Some((key, value.trim().parse().ok()?)))
        .collect();
    T::of(|key| values.get(key).copied())
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`
fn pressure(text: &str) -> Option<Pressure> {
    let windows = |state: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(state))?;
        let get = |key: &str| {
            let word = line.split(' ').find_map(|word| word.strip_prefix(key))?;
            word.parse::<f64>().ok()
        };
        Some(Windows { avg10: get("avg10=")?, avg60: get("avg60=")?, avg300: get("avg300=")? })
    };
    Some(Pressure { some: windows("some ")?, full: windows("full ")? })
}

fn labels(place: &Path) -> BTreeMap<String, String> {
    // A file system without extended attributes has no labels.
    let names = xattr::list(place).into_iter().flatten();
    let names = names.filter_map(|name| Some(name.to_str()?.strip_prefix(LABEL)?.to_owned()));
    names
        .filter_map(|name| {
            let value = xattr::get(place, format!("{LABEL}{name}")).ok()??;
            // As the loader reads it: some tools write a NUL at its end, some a line.
            Some((name, String::from_utf8(value).ok()?.trim_end_matches('\0').trim().to_owned()))
        })
        .collect()
}

/// `KEY:   123 kB`, in bytes.
fn kib(text: &str, key: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    Some(line.trim().split(' ').next()?.parse::<i64>().ok()? << 10)
}

/// `KEY:   0000000000000100`, a bit for each signal.
fn signals(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| u64::from_str_radix(line.trim(), 16).ok()).unwrap_or(0)
}

/// `123.45` seconds, in nanoseconds.
fn seconds(text: &str) -> Option<i64> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let part = format!("{part:0<9}").get(..9)?.parse::<i64>().ok()?;
    Some(whole.parse::<i64>().ok()? * SECOND + part)
}

/// What is said of a thread besides the main one.
fn other_status(place: &Path, pid: i64) -> Option<String> {
    let threads = fs::read_dir(place.join("task")).ok()?.flatten();
    let mut others = threads.filter(|thread| thread.file_name().to_str() != Some(&pid.to_string()));
    others.find_map(|thread| fs::read_to_string(thread.path().join("status")).ok())
}

/// Reads a process; none if it is gone.
fn process(place: &Path, pid: i64, odd: &mut usize) -> Option<Process> {
    let bytes = |name: &str| fs::read(place.join(name)).ok();
    let text = |name: &str| Some(String::from_utf8_lossy(&bytes(name)?).into_owned());
    let stat = text("stat")?;
    // The command name may hold anything, also parentheses: what counts stands behind the last one.
    let rest = stat.get(stat.rfind(')')? + 1..)?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let comm = bytes("comm")?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let mut name = String::from_utf8_lossy(comm).into_owned();
    if name.as_bytes() != comm {
        *odd += 1;
    }
    // What stands for a wrong byte takes three; and of a thread of the kernel the file tells a longer name than
    // `task_struct.comm` holds.
    while name.len() > COMM {
        name.pop();
    }
    let status = text("status")?;
    let cgroup = text("cgroup")?;
    let cgroup = cgroup.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let exited = matches!(field(3)?, "Z" | "X");
    let threads = field(20)?.parse().ok()?;
    // A cgroup that was removed under its last process: only who has exited can be in one, and another cgroup may
    // have its path by now.
    let cgroup = match cgroup.strip_suffix(" (deleted)") {
        Some(_) if exited => return None,
        Some(cgroup) => cgroup,
        None => cgroup,
    };
    // A main thread that has exited has no memory any more; the others still have what they share.
    let living = if exited && threads > 1 { other_status(place, pid) } else { None };
    let living = living.as_ref().unwrap_or(&status);
    let ns_pids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    let ns_pids = ns_pids.split_whitespace().skip(1).filter_map(|number| number.parse().ok()).collect();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let size = |key: &str| kib(living, key).unwrap_or(0);
    Some(Process {
        pid,
        cgroup: normal(cgroup),
        comm: name,
        uid: uid.split_whitespace().next()?.parse().ok()?,
        oom_score_adj: text("oom_score_adj")?.trim().parse().ok()?,
        anon: size("RssAnon"),
        file: size("RssFile"),
        shmem: size("RssShmem"),
        swap: size("VmSwap"),
        page_tables: size("VmPTE"),
        threads,
        start: field(22)?.parse::<i64>().ok()?.saturating_mul(SECOND / TICKS),
        parent: field(4)?.parse().ok(),
        ns_pids,
        kernel_thread: field(9)?.parse::<u64>().ok()? & KERNEL_THREAD != 0,
        exiting: exited,
        killed: ["SigPnd", "ShdPnd"].into_iter().any(|key| signals(living, key) & KILL != 0),
    })
}
