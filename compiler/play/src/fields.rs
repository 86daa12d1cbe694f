//! What the page lets one change of a cgroup and of a process: THE list, from which the page makes its forms.
//!
//! Values are texts as the language writes them (`64MiB`, `1h`); an empty one takes a limit away.

use oomc_abi::amount::exact;
use oomc_abi::fields::Unit;
use oomc_compiler::value;
use oomc_snapshot::{Cgroup, Process, Snapshot};
use serde::Serialize;

use crate::machine::{charge, rename};

/// Something that can be changed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Field {
    /// What the page calls it by.
    pub(crate) name: &'static str,
    /// For people.
    pub(crate) label: &'static str,
    /// A value as an example; none: it is on or off.
    pub(crate) example: Option<&'static str>,
}

const fn text(name: &'static str, label: &'static str, example: &'static str) -> Field {
    Field { name, label, example: Some(example) }
}

/// Of a cgroup. The root has no name and no limit: the machine's memory stands in their place.
pub(crate) const CGROUP: [Field; 6] = [
    text("name", "Name", "job"),
    text("limit", "Limit (memory.max)", "1GiB"),
    text("low", "Promise (memory.low)", "256MiB"),
    text("extra", "Page cache, without a process", "64MiB"),
    text("labels", "Labels", "tier=300"),
    Field { name: "oom_group", label: "Dies as a whole (memory.oom.group)", example: None },
];

/// Of the root.
pub(crate) const MACHINE: [Field; 1] = [text("memory", "Memory of the machine", "8GiB")];

/// Of a process.
pub(crate) const PROCESS: [Field; 4] = [
    text("comm", "Name", "worker"),
    text("memory", "Memory", "64MiB"),
    text("adj", "oom_score_adj", "0"),
    text("age", "Age", "1h"),
];

/// A value of each field of a cgroup, in their order.
pub(crate) fn of_cgroup(snapshot: &Snapshot, at: usize) -> Vec<String> {
    let Some(one) = snapshot.cgroups.get(at) else { return Vec::new() };
    if at == 0 {
        return vec![bytes(snapshot.memory)];
    }
    let optional = |value: Option<i64>| value.map(bytes).unwrap_or_default();
    let labels: Vec<String> = one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    vec![
        one.path.rsplit('/').next().unwrap_or_default().to_owned(),
        optional(one.max),
        optional(one.low.filter(|low| *low != 0)),
        bytes(one.statistics.unwrap_or_default().file),
        labels.join(" "),
        one.oom_group.to_string(),
    ]
}

/// Likewise of a process.
pub(crate) fn of_process(snapshot: &Snapshot, one: &Process) -> Vec<String> {
    let age = exact(Unit::Duration, (snapshot.now - one.start).max(0) / MILLISECOND * MILLISECOND);
    vec![one.comm.clone(), bytes(one.anon), one.oom_score_adj.to_string(), age]
}

const MILLISECOND: i64 = 1_000_000;

fn bytes(value: i64) -> String {
    exact(Unit::Bytes, value)
}

/// Changes a field of a cgroup.
///
/// # Errors
/// A sentence.
pub(crate) fn set_cgroup(snapshot: &mut Snapshot, at: usize, name: &str, value: &str) -> Result<(), String> {
    match name {
        "memory" if at == 0 => snapshot.memory = size(value)?,
        "name" if at > 0 => rename(snapshot, at, value)?,
        "extra" if at > 0 => {
            let wanted = size(value)?;
            let own = |one: &Cgroup| one.statistics.unwrap_or_default().file;
            let change = wanted - snapshot.cgroups.get(at).map_or(0, own);
            charge(snapshot, at, |statistics| &mut statistics.file, change);
        }
        _ => {
            let one = snapshot.cgroups.get_mut(at).filter(|_| at > 0).ok_or("the root has no such field")?;
            match name {
                "limit" => one.max = optional(value)?,
                "low" => one.low = optional(value)?,
                "labels" => one.labels = labels(value)?,
                "oom_group" => one.oom_group = value == "true",
                _ => return Err(format!("a cgroup has no field `{name}`")),
            }
        }
    }
    Ok(())
}

/// Changes a field of a process.
///
/// # Errors
/// A sentence.
pub(crate) fn set_process(snapshot: &mut Snapshot, at: usize, name: &str, value: &str) -> Result<(), String> {
    let now = snapshot.now;
    let one = snapshot.processes.get_mut(at).ok_or("there is no such process")?;
    match name {
        "comm" => value.clone_into(&mut one.comm),
        "adj" => {
            one.oom_score_adj = value.parse().map_err(|_| format!("`{value}` is not from -1000 to 1000"))?;
        }
        "age" => one.start = now - of(value, Unit::Duration)?,
        "memory" => {
            let wanted = size(value)?;
            let (change, cgroup) = (wanted - one.anon, one.cgroup.clone());
            one.anon = wanted;
            if let Some(home) = snapshot.cgroups.iter().position(|one| one.path == cgroup) {
                charge(snapshot, home, |statistics| &mut statistics.anon, change);
            }
        }
        _ => return Err(format!("a process has no field `{name}`")),
    }
    Ok(())
}

/// Bytes.
pub(crate) fn size(text: &str) -> Result<i64, String> {
    of(text, Unit::Bytes)
}

fn optional(text: &str) -> Result<Option<i64>, String> {
    if text.trim().is_empty() { Ok(None) } else { size(text).map(Some) }
}

fn of(text: &str, unit: Unit) -> Result<i64, String> {
    let what = if unit == Unit::Bytes { "a size, for example `64MiB`" } else { "a time, for example `1h`" };
    match value::read(text.trim())? {
        (found, value) if found == unit && value >= 0 => Ok(value),
        _ => Err(format!("`{text}` is not {what}")),
    }
}

fn labels(text: &str) -> Result<std::collections::BTreeMap<String, String>, String> {
    let one = |pair: &str| {
        let (name, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` is not `name=value`"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    text.split_whitespace().map(one).collect()
}
