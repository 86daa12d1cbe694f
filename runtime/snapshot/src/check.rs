//! From the bytes of a file to a snapshot that can be: a mistake is told with its place.

use std::collections::{HashMap, HashSet};
use std::fmt;

use oomc_abi::amounts::File;
use oomc_abi::consts::PAGE_SIZES;
use oomc_abi::model::PID_LEVELS;

use crate::bounded::Head;
use crate::read::COMM;
use crate::schema::{Cgroup, OLDEST, Process, SCHEMA, Snapshot};

/// Bytes or counts that no machine has: such a number would only overflow sums.
pub(crate) const MOST: i64 = 1 << 52;

/// Threads have numbers of the same kind as processes.
const MOST_THREADS: i64 = crate::bounded::PROCESSES as i64;

/// Why a file is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text is not JSON, or not of the schema: line and column, from 1, and what is wrong.
    Json {
        /// From 1.
        line: usize,
        /// From 1; 0 at the end of a line.
        column: usize,
        /// What is wrong.
        text: String,
    },
    /// The file is of another schema.
    Schema(u64),
    /// What it says cannot be: the place, such as `cgroups[17].parent`, and why.
    Content {
        /// Which field.
        place: String,
        /// What is wrong with it.
        text: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { line, column, text } => write!(f, "line {line}, column {column}: {}", shown(text)),
            Self::Schema(version) => {
                write!(
                    f,
                    "the snapshot is of schema {version}; this version of oomc reads schema {OLDEST} to {SCHEMA}"
                )
            }
            Self::Content { place, text } => write!(f, "{place}: {}", shown(text)),
        }
    }
}

/// A sentence that may hold anything out of a file: in one line, without what a terminal obeys, and not endless.
fn shown(text: &str) -> String {
    const MOST: usize = 400;
    let mut shown = String::new();
    for (number, letter) in text.chars().enumerate() {
        match letter {
            _ if number == MOST => return shown + "…",
            letter if letter.is_control() => shown.extend(letter.escape_debug()),
            letter => shown.push(letter),
        }
    }
    shown
}

impl std::error::Error for Error {}

/// Reads the text of a snapshot.
///
/// # Errors
/// [`Error`], with the place of the mistake. The first one: what follows from a wrong tree is of no use.
pub fn parse(bytes: &[u8]) -> Result<Snapshot, Error> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Error::Json { line, column, text: "this is not UTF-8".to_owned() }
    })?;
    // Before anything is kept: a file of another schema may have other fields, and one of too many processes shall not
    // cost the memory to hold them.
    let head: Head = serde_json::from_str(text).map_err(|error| json(&error))?;
    if !(u64::from(OLDEST)..=u64::from(SCHEMA)).contains(&head.schema) {
        return Err(Error::Schema(head.schema));
    }
    let snapshot: Snapshot = serde_json::from_str(text).map_err(|error| json(&error))?;
    check(&snapshot).map(|()| snapshot)
}

fn json(error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    // serde_json writes the place behind the sentence.
    let end = text.rfind(" at line ").unwrap_or(text.len());
    let text = match text.get(..end).unwrap_or(&text) {
        text if error.is_eof() => format!("the file ends too early: {text}"),
        text => text.to_owned(),
    };
    Error::Json { line, column, text }
}

fn content<T>(place: impl Into<String>, text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Content { place: place.into(), text: text.into() })
}

fn check(snapshot: &Snapshot) -> Result<(), Error> {
    if snapshot.page_size.is_some_and(|size| !PAGE_SIZES.contains(&size)) {
        return content("page_size", format!("no machine has such pages: write one of {PAGE_SIZES:?}"));
    }
    amount("memory", snapshot.memory)?;
    amount("swap", snapshot.swap)?;
    amount("swap_free", snapshot.swap_free)?;
    if snapshot.swap_free > snapshot.swap {
        return content("swap_free", "more is free than there is");
    }
    if snapshot.now < 0 {
        return content("now", "a clock is not negative");
    }
    let mut paths: HashMap<&str, usize> = HashMap::new();
    for (at, one) in snapshot.cgroups.iter().enumerate() {
        if let Some(before) = paths.insert(&one.path, at) {
            return content(format!("cgroups[{at}].path"), format!("cgroups[{before}] is {}, too", one.path));
        }
    }
    if snapshot.cgroups.first().is_none_or(|root| root.path != "/" || root.parent.is_some()) {
        return content("cgroups[0]", "the first cgroup has to be the root, `/`, without a parent");
    }
    let mut ids = HashSet::new();
    for (at, one) in snapshot.cgroups.iter().enumerate() {
        if let Err(text) = path(&one.path) {
            return content(format!("cgroups[{at}].path"), text);
        }
        if at > 0 {
            parent(snapshot, &paths, at, one)?;
            controller(snapshot, &paths, at, one)?;
        } else if !one.controller {
            return content("cgroups[0].controller", "it is always on at the root");
        }
        if one.id < 0 || !ids.insert(one.id) {
            return content(format!("cgroups[{at}].id"), format!("{} is not the id of one cgroup", one.id));
        }
        cgroup(at, one)?;
    }
    if !paths.contains_key(snapshot.top.as_str()) {
        return content("top", format!("there is no cgroup {}", snapshot.top));
    }
    sums(snapshot)?;
    let mut pids = HashMap::new();
    for (at, one) in snapshot.processes.iter().enumerate() {
        if let Some(before) = pids.insert(one.pid, at) {
            let text = format!("processes[{before}] is number {}, too", one.pid);
            return content(format!("processes[{at}].pid"), text);
        }
        if !paths.contains_key(one.cgroup.as_str()) {
            return content(format!("processes[{at}].cgroup"), format!("there is no cgroup {}", one.cgroup));
        }
        process(at, one)?;
    }
    lineage(snapshot, &pids)
}

/// Nobody is his own child, nor that of his children.
fn lineage(snapshot: &Snapshot, places: &HashMap<i64, usize>) -> Result<(), Error> {
    // Of each: found to lead to somebody who is not here, or not looked at yet.
    let mut fine = vec![false; snapshot.processes.len()];
    for at in 0..snapshot.processes.len() {
        let (mut chain, mut up) = (vec![], Some(at));
        while let Some(here) = up.filter(|here| fine.get(*here) == Some(&false)) {
            if chain.contains(&here) {
                return content(format!("processes[{at}].parent"), "it is a child of its own children");
            }
            chain.push(here);
            // Nobody is above init, whatever the file says of it.
            let parent = snapshot.processes.get(here).filter(|one| one.pid != 1).and_then(|one| one.parent);
            up = parent.and_then(|parent| places.get(&parent).copied());
        }
        for here in chain {
            if let Some(fine) = fine.get_mut(here) {
                *fine = true;
            }
        }
    }
    Ok(())
}

/// What a model adds up must not overflow.
fn sums(snapshot: &Snapshot) -> Result<(), Error> {
    // The largest one of each cgroup: if these can be summed up, so can those of one kind.
    let most = |one: &Cgroup| {
        let (current, swap) = (one.current.unwrap_or(0), one.swap.unwrap_or(0));
        one.amounts().map(|(_, value)| value).chain([current, swap]).max().unwrap_or(0)
    };
    let sum: i128 = snapshot.cgroups.iter().map(|one| i128::from(most(one))).sum();
    if sum > i128::from(i64::MAX) {
        return content("cgroups", "together they have more than can be counted");
    }
    let threads: i64 = snapshot.processes.iter().map(|one| one.threads.clamp(0, MOST_THREADS + 1)).sum();
    if threads > MOST_THREADS {
        return content("processes", format!("together they have more than {MOST_THREADS} threads"));
    }
    Ok(())
}

/// Whether a path is one from the cgroup mount.
fn path(path: &str) -> Result<(), String> {
    if path.contains('\0') {
        return Err("a path cannot hold a NUL".to_owned());
    }
    let inside = path.strip_prefix('/').ok_or("a path begins with `/`")?;
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if inside.is_empty() || inside.split('/').all(part) {
        return Ok(());
    }
    Err(format!("{path} is no path of a cgroup"))
}

fn parent(snapshot: &Snapshot, paths: &HashMap<&str, usize>, at: usize, one: &Cgroup) -> Result<(), Error> {
    let place = format!("cgroups[{at}].parent");
    let Some(above) = one.parent.as_deref() else {
        return content(place, format!("{} has no parent, and is not the root", one.path));
    };
    let Some(found) = paths.get(above) else {
        return content(place, format!("the parent of {}, {above}, is missing", one.path));
    };
    // Up to the root, or round and round.
    let mut seen = HashSet::from([at]);
    let mut up = Some(*found);
    while let Some(above) = up {
        if above < at && seen.len() == 1 {
            break;
        }
        if !seen.insert(above) {
            return content(place, format!("{} is above itself", one.path));
        }
        let parent = snapshot.cgroups.get(above).and_then(|one| one.parent.as_deref());
        up = parent.and_then(|parent| paths.get(parent).copied());
    }
    if *found > at {
        return content(place, format!("{above} stands behind {}; a parent stands before", one.path));
    }
    let own = one.path.rsplit_once('/').map_or("", |(above, _)| above);
    if own != above && !(own.is_empty() && above == "/") {
        return content(place, format!("{above} is not above {}", one.path));
    }
    Ok(())
}

/// The kernel switches it on from above; what is below one that is off would count nowhere.
fn controller(
    snapshot: &Snapshot,
    paths: &HashMap<&str, usize>,
    at: usize,
    one: &Cgroup,
) -> Result<(), Error> {
    let above = one.parent.as_deref().and_then(|above| snapshot.cgroups.get(*paths.get(above)?));
    if one.controller && above.is_some_and(|above| !above.controller) {
        let text = format!("it is on in {}, and off in the cgroup above", one.path);
        return content(format!("cgroups[{at}].controller"), text);
    }
    Ok(())
}

fn amount(place: &str, value: i64) -> Result<(), Error> {
    match value {
        value if value < 0 => content(place, format!("{value} is negative")),
        value if value > MOST => content(place, format!("{value} is more than any machine has")),
        _ => Ok(()),
    }
}

fn cgroup(at: usize, one: &Cgroup) -> Result<(), Error> {
    let amounts = [
        ("current", one.current),
        ("max", one.max),
        ("high", one.high),
        ("low", one.low),
        ("min", one.min),
        ("swap", one.swap),
        ("swap_max", one.swap_max),
    ];
    let some = |(name, value): (&'static str, Option<i64>)| value.map(|value| (name, value));
    for (name, value) in amounts.into_iter().filter_map(some) {
        amount(&format!("cgroups[{at}].{name}"), value)?;
    }
    for (row, value) in one.amounts() {
        let file = match row.file {
            File::Statistics => "statistics",
            File::Events => "events",
        };
        amount(&format!("cgroups[{at}].{file}.{}", row.member), value)?;
    }
    if let Some(pressure) = &one.pressure {
        for (name, windows) in [("some", pressure.some), ("full", pressure.full)] {
            let averages = [windows.avg10, windows.avg60, windows.avg300];
            if averages.iter().any(|average| !(0.0..=100.0).contains(average)) {
                let place = format!("cgroups[{at}].pressure.{name}");
                return content(place, "a share of time is from 0 to 100 percent");
            }
        }
    }
    Ok(())
}

fn process(at: usize, one: &Process) -> Result<(), Error> {
    let place = |name: &str| format!("processes[{at}].{name}");
    let within = |name: &str, value: i64, least: i64, most: i64| {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        content(place(name), format!("{value} is not from {least} to {most}"))
    };
    within("pid", one.pid, 1, crate::bounded::PROCESSES as i64)?;
    within("parent", one.parent.unwrap_or(0), 0, crate::bounded::PROCESSES as i64)?;
    for number in &one.ns_pids {
        within("ns_pids", *number, 1, crate::bounded::PROCESSES as i64)?;
    }
    if one.ns_pids.len() >= PID_LEVELS {
        return content(place("ns_pids"), format!("pid namespaces are at most {PID_LEVELS} deep"));
    }
    within("uid", one.uid, 0, i64::from(u32::MAX))?;
    within("oom_score_adj", one.oom_score_adj, -1000, 1000)?;
    within("threads", one.threads, 0, crate::bounded::PROCESSES as i64)?;
    within("start", one.start, 0, i64::MAX)?;
    if one.comm.len() > COMM || one.comm.contains('\0') {
        return content(place("comm"), format!("a command name has at most {COMM} bytes, and none is NUL"));
    }
    for (name, value) in [
        ("anon", one.anon),
        ("file", one.file),
        ("shmem", one.shmem),
        ("swap", one.swap),
        ("page_tables", one.page_tables),
    ] {
        amount(&place(name), value)?;
    }
    Ok(())
}
