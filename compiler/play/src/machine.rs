//! The machine that is built on the page: a snapshot, changed step by step, and what the page shows of it.
//!
//! The page keeps the snapshot and sends it with each change; it comes back changed, or stays and a sentence says why
//! not. What a process has is charged to its cgroup and to all above, as the kernel does.

use oomc_abi::amount::short;
use oomc_abi::fields::Unit;
use oomc_snapshot::{Cgroup, Process, SCHEMA, Snapshot, Statistics};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fields::{self, CGROUP, MACHINE, PROCESS};

/// Lines of the tree that are shown: more nobody changes by hand.
const ROWS: usize = 400;

/// A change.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "edit", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Edit {
    /// Another cgroup in a cgroup.
    AddCgroup {
        /// Path.
        to: String,
    },
    /// Another process in a cgroup.
    AddProcess {
        /// Path.
        to: String,
    },
    /// A field gets a value.
    SetCgroup {
        /// Path.
        of: String,
        field: String,
        value: String,
    },
    /// Likewise of a process.
    SetProcess {
        /// Number.
        of: i64,
        field: String,
        value: String,
    },
    /// A cgroup goes, with everything in it.
    RemoveCgroup {
        /// Path.
        of: String,
    },
    /// A process goes.
    RemoveProcess {
        /// Number.
        of: i64,
    },
}

/// A machine, after a change if there is one.
///
/// # Errors
/// A sentence: the machine cannot be, or cannot be changed so.
pub(crate) fn changed(machine: &str, edit: Option<&Edit>) -> Result<Snapshot, String> {
    let mut snapshot = read(machine)?;
    if let Some(edit) = edit {
        apply(&mut snapshot, edit)?;
        // What the change made has to be a machine, too.
        snapshot = read(&text(&snapshot))?;
    }
    Ok(snapshot)
}

/// A machine that somebody sent: the text of a snapshot file.
///
/// # Errors
/// A sentence: what is wrong with it, and where.
pub(crate) fn read(machine: &str) -> Result<Snapshot, String> {
    oomc_snapshot::parse(machine.as_bytes()).map_err(|error| error.to_string())
}

/// The text of a snapshot file. The page keeps it as a text: a browser's numbers do not hold all that stand in it.
pub(crate) fn text(snapshot: &Snapshot) -> String {
    json!(snapshot).to_string()
}

/// Where memory runs out first: in what was recorded, or where there is a limit; none: on the whole machine.
pub(crate) fn event(snapshot: &Snapshot) -> Option<&str> {
    let limited = || snapshot.cgroups.iter().find(|one| one.max.is_some()).map(|one| one.path.as_str());
    Some(snapshot.top.as_str()).filter(|top| *top != "/").or_else(limited)
}

/// A process of the sample: its name, its memory and its age.
type Worker = (&'static str, &'static str, &'static str);

/// What is on the page before anything is: a machine that shows what a policy is for.
pub(crate) fn sample() -> Snapshot {
    let mut snapshot = Snapshot {
        schema: SCHEMA,
        top: "/".to_owned(),
        memory: 8 << 30,
        now: 24 * HOUR,
        cgroups: vec![Cgroup {
            path: "/".to_owned(),
            id: 1,
            mode: MODE,
            controller: true,
            ..Cgroup::default()
        }],
        ..Snapshot::default()
    };
    /// A cgroup, a limit of it, and who works in it.
    type Edit<'a> = (&'a str, Option<(&'a str, &'a str)>, &'a [Worker]);
    let edits: [Edit<'_>; 3] = [
        ("/job", Some(("limit", "2GiB")), &[("sshd", "16MiB", "23h")]),
        ("/job/db", Some(("low", "1GiB")), &[("postgres", "900MiB", "20h")]),
        ("/job/batch", None, &[("worker", "620MiB", "2h"), ("worker", "480MiB", "10m")]),
    ];
    for (path, set, processes) in edits {
        // These are sound; a test says so.
        let _ = add_cgroup(&mut snapshot, path);
        let at = snapshot.cgroups.len() - 1;
        if let Some((field, value)) = set {
            let _ = fields::set_cgroup(&mut snapshot, at, field, value);
        }
        for (comm, memory, age) in processes {
            add_process(&mut snapshot, at);
            let process = snapshot.processes.len() - 1;
            for (field, value) in [("comm", comm), ("memory", memory), ("age", age)] {
                let _ = fields::set_process(&mut snapshot, process, field, value);
            }
        }
    }
    snapshot
}

const HOUR: i64 = 3_600_000_000_000;

/// Of a cgroup's directory, as the kernel makes it.
const MODE: u32 = 0o755;

fn apply(snapshot: &mut Snapshot, edit: &Edit) -> Result<(), String> {
    let cgroup = |snapshot: &Snapshot, path: &str| {
        let found = snapshot.cgroups.iter().position(|one| one.path == path);
        found.ok_or_else(|| format!("there is no cgroup {path}"))
    };
    let process = |snapshot: &Snapshot, pid: i64| {
        let found = snapshot.processes.iter().position(|one| one.pid == pid);
        found.ok_or_else(|| format!("there is no process {pid}"))
    };
    match edit {
        Edit::AddCgroup { to } => {
            cgroup(snapshot, to)?;
            let above = if to == "/" { "" } else { to.as_str() };
            let free = |number: &u32| {
                let path = format!("{above}/new{number}");
                snapshot.cgroups.iter().all(|one| one.path != path)
            };
            let number = (1..).find(free).unwrap_or_default();
            add_cgroup(snapshot, &format!("{above}/new{number}"))
        }
        Edit::AddProcess { to } => {
            let at = cgroup(snapshot, to)?;
            add_process(snapshot, at);
            let process = snapshot.processes.len() - 1;
            fields::set_process(snapshot, process, "memory", "64MiB")
        }
        Edit::SetCgroup { of, field, value } => {
            let at = cgroup(snapshot, of)?;
            fields::set_cgroup(snapshot, at, field, value)
        }
        Edit::SetProcess { of, field, value } => {
            let at = process(snapshot, *of)?;
            fields::set_process(snapshot, at, field, value)
        }
        Edit::RemoveCgroup { of } => {
            cgroup(snapshot, of)?;
            remove_cgroup(snapshot, of)
        }
        Edit::RemoveProcess { of } => {
            let at = process(snapshot, *of)?;
            remove_process(snapshot, at);
            Ok(())
        }
    }
}

fn add_cgroup(snapshot: &mut Snapshot, path: &str) -> Result<(), String> {
    let (above, _) = path.rsplit_once('/').ok_or("a path begins with `/`")?;
    let parent = if above.is_empty() { "/" } else { above };
    let controller = snapshot.cgroups.iter().any(|one| one.path == parent && one.controller);
    let id = snapshot.cgroups.iter().map(|one| one.id).max().unwrap_or(0).checked_add(1);
    snapshot.cgroups.push(Cgroup {
        path: path.to_owned(),
        parent: Some(parent.to_owned()),
        id: id.ok_or("there is no number left for a cgroup")?,
        mode: MODE,
        controller,
        current: controller.then_some(0),
        ..Cgroup::default()
    });
    Ok(())
}

fn add_process(snapshot: &mut Snapshot, at: usize) {
    let pid = snapshot.processes.iter().map(|one| one.pid).max().unwrap_or(99).max(99) + 1;
    snapshot.processes.push(Process {
        pid,
        cgroup: snapshot.cgroups.get(at).map(|one| one.path.clone()).unwrap_or_default(),
        comm: "worker".to_owned(),
        threads: 1,
        start: (snapshot.now - HOUR).max(0),
        ..Process::default()
    });
}

fn remove_process(snapshot: &mut Snapshot, at: usize) {
    let one = snapshot.processes.remove(at);
    if let Some(home) = snapshot.cgroups.iter().position(|cgroup| cgroup.path == one.cgroup) {
        charge(snapshot, home, |statistics| &mut statistics.anon, -one.anon);
        charge(snapshot, home, |statistics| &mut statistics.file, -(one.file + one.shmem));
    }
    for child in &mut snapshot.processes {
        child.parent = child.parent.filter(|parent| *parent != one.pid);
    }
}

fn remove_cgroup(snapshot: &mut Snapshot, path: &str) -> Result<(), String> {
    if path == "/" || path == snapshot.top {
        return Err("this cgroup stays: everything else is in it".to_owned());
    }
    let is_inside = |other: &str| is_within(other, path);
    while let Some(at) = snapshot.processes.iter().position(|one| is_inside(&one.cgroup)) {
        remove_process(snapshot, at);
    }
    let at = snapshot.cgroups.iter().position(|one| one.path == path).unwrap_or(0);
    let held = snapshot.cgroups.get(at).and_then(|one| one.statistics).unwrap_or_default();
    charge(snapshot, at, |statistics| &mut statistics.file, -held.file);
    charge(snapshot, at, |statistics| &mut statistics.anon, -held.anon);
    snapshot.cgroups.retain(|one| !is_inside(&one.path));
    Ok(())
}

/// It, or a cgroup below it.
fn is_within(path: &str, top: &str) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || top == "/")
}

/// Gives a cgroup and what is in it another name.
///
/// # Errors
/// A sentence.
pub(crate) fn rename(snapshot: &mut Snapshot, at: usize, name: &str) -> Result<(), String> {
    let before = snapshot.cgroups.get(at).map(|one| one.path.clone()).unwrap_or_default();
    if name.is_empty() || name.contains('/') {
        return Err("the name of a cgroup is not empty, and has no `/`".to_owned());
    }
    let above = before.rsplit_once('/').map_or("", |(above, _)| above);
    let after = format!("{above}/{name}");
    let moved = |path: &str| {
        let rest = path.strip_prefix(&before).filter(|_| is_within(path, &before))?;
        Some(format!("{after}{rest}"))
    };
    for one in &mut snapshot.cgroups {
        one.path = moved(&one.path).unwrap_or_else(|| one.path.clone());
        one.parent = one.parent.take().map(|path| moved(&path).unwrap_or(path));
    }
    for one in &mut snapshot.processes {
        one.cgroup = moved(&one.cgroup).unwrap_or_else(|| one.cgroup.clone());
    }
    snapshot.top = moved(&snapshot.top).unwrap_or_else(|| snapshot.top.clone());
    Ok(())
}

/// Charges bytes of a kind to a cgroup and to all above; never less than nothing, as counters of a live machine lag.
pub(crate) fn charge(snapshot: &mut Snapshot, at: usize, kind: fn(&mut Statistics) -> &mut i64, change: i64) {
    let path = snapshot.cgroups.get(at).map(|one| one.path.clone()).unwrap_or_default();
    for one in snapshot.cgroups.iter_mut().filter(|one| is_within(&path, &one.path) && one.controller) {
        let amount = kind(one.statistics.get_or_insert_default());
        *amount = amount.saturating_add(change).max(0);
        if let Some(current) = &mut one.current {
            *current = current.saturating_add(change).max(0);
        }
    }
}

/// What the page shows of a machine.
pub(crate) fn shown(snapshot: &Snapshot) -> Value {
    let mut rows = Vec::new();
    let mut order: Vec<usize> = (0..snapshot.cgroups.len()).collect();
    order.sort_by_key(|at| snapshot.cgroups.get(*at).map(|one| one.path.split('/').collect::<Vec<_>>()));
    let total = snapshot.cgroups.len() + snapshot.processes.len();
    for at in order {
        let Some(one) = snapshot.cgroups.get(at) else { continue };
        if rows.len() >= ROWS {
            break;
        }
        let depth = if at == 0 { 0 } else { one.path.matches('/').count() };
        let name = if at == 0 { "/" } else { one.path.rsplit('/').next().unwrap_or_default() };
        rows.push(json!({
            "cgroup": one.path, "shown": oomc_picture::visible(&one.path), "depth": depth,
            "name": oomc_picture::visible(name),
            "about": about(snapshot, at, one), "values": fields::of_cgroup(snapshot, at),
        }));
        for process in snapshot.processes.iter().filter(|process| process.cgroup == one.path) {
            rows.push(json!({
                "pid": process.pid, "cgroup": one.path, "depth": depth + 1,
                "name": oomc_picture::visible(&process.comm),
                "about": bytes(process.anon + process.file + process.shmem),
                "values": fields::of_process(snapshot, process),
            }));
        }
    }
    rows.truncate(ROWS);
    let more = total - rows.len();
    json!({
        "machine": text(snapshot), "rows": rows, "more": more,
        "fields": { "cgroup": CGROUP, "machine": MACHINE, "process": PROCESS },
    })
}

fn about(snapshot: &Snapshot, at: usize, one: &Cgroup) -> String {
    let held = one.statistics.unwrap_or_default();
    let usage = bytes(one.current.unwrap_or(held.anon + held.file));
    match one.max {
        _ if at == 0 => format!("{usage} of {}", bytes(snapshot.memory)),
        Some(max) => format!("{usage} of {}", bytes(max)),
        None => usage,
    }
}

fn bytes(value: i64) -> String {
    short(Unit::Bytes, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(edits: &[Value]) -> Result<Snapshot, String> {
        let mut snapshot = sample();
        for edit in edits {
            let edit: Edit = serde_json::from_value(edit.clone()).unwrap();
            snapshot = changed(&text(&snapshot), Some(&edit))?;
        }
        Ok(snapshot)
    }

    fn usage(snapshot: &Snapshot, path: &str) -> Option<i64> {
        snapshot.cgroups.iter().find(|one| one.path == path)?.current.map(|bytes| bytes >> 20)
    }

    #[test]
    fn the_sample_is_a_machine() {
        let snapshot = changed(&text(&sample()), None).unwrap();
        assert_eq!(usage(&snapshot, "/job"), Some(16 + 900 + 620 + 480));
        assert_eq!(snapshot.processes.len(), 4);
        assert_eq!(shown(&snapshot)["rows"].as_array().unwrap().len(), 8);
    }

    #[test]
    fn what_is_added_counts_above_and_what_goes_does_not() {
        let added = after(&[json!({ "edit": "add_process", "to": "/job/db" })]).unwrap();
        assert_eq!((usage(&added, "/job/db"), usage(&added, "/job")), (Some(964), Some(2080)));
        let set = after(&[json!({ "edit": "set_process", "of": 102, "field": "memory", "value": "20MiB" })])
            .unwrap();
        assert_eq!((usage(&set, "/job/batch"), usage(&set, "/job")), (Some(500), Some(1416)));
        let cache = json!({ "edit": "set_cgroup", "of": "/job/db", "field": "extra", "value": "100MiB" });
        let gone = json!({ "edit": "remove_cgroup", "of": "/job/db" });
        let removed = after(&[cache, gone]).unwrap();
        assert_eq!((usage(&removed, "/job/db"), usage(&removed, "/job")), (None, Some(1116)));
        assert_eq!(removed.processes.len(), 3);
    }

    #[test]
    fn a_new_name_moves_what_is_inside() {
        let renamed = json!({ "edit": "set_cgroup", "of": "/job", "field": "name", "value": "pool" });
        let renamed = after(&[renamed]).unwrap();
        assert_eq!(usage(&renamed, "/pool/batch"), Some(1100));
        assert!(renamed.processes.iter().all(|one| one.cgroup.starts_with("/pool")));
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        let wrong = [
            (json!({ "edit": "set_cgroup", "of": "/job", "field": "limit", "value": "1GB" }), "GiB"),
            (json!({ "edit": "set_cgroup", "of": "/job", "field": "name", "value": "a/b" }), "no `/`"),
            (json!({ "edit": "set_cgroup", "of": "/job/db", "field": "name", "value": "batch" }), "too"),
            (json!({ "edit": "set_cgroup", "of": "/", "field": "limit", "value": "1GiB" }), "root"),
            (json!({ "edit": "set_process", "of": 100, "field": "adj", "value": "1001" }), "1000"),
            (json!({ "edit": "set_process", "of": 100, "field": "comm", "value": "sixteen letters!" }), "15"),
            (json!({ "edit": "set_process", "of": 7, "field": "comm", "value": "x" }), "no process 7"),
            (json!({ "edit": "set_process", "of": 100, "field": "memory", "value": "-1MiB" }), "64MiB"),
            (json!({ "edit": "remove_cgroup", "of": "/" }), "stays"),
            (json!({ "edit": "add_process", "to": "/nowhere" }), "/nowhere"),
        ];
        for (edit, words) in wrong {
            let sentence = after(std::slice::from_ref(&edit)).unwrap_err();
            assert!(sentence.contains(words), "{edit}: {sentence}");
        }
    }

    #[test]
    fn names_show_what_they_hide() {
        let hostile = json!({ "edit": "set_process", "of": 100, "field": "comm", "value": "\u{202e}<b>" });
        let rows = shown(&after(&[hostile]).unwrap());
        assert!(rows["rows"].to_string().contains("[U+202E]<b>"), "{rows}");
    }
}
