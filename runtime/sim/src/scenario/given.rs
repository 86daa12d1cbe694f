//! What a test says of an object, applied to what it has said so far: one arm for each field that can be given.

use oomc_abi::fields::{self, Owner, Recipe, Scale};
use oomc_abi::scenario::{self, Given, Named, Property, Value};

use super::described::{Described, DescribedCgroup, DescribedProcess, total};
use crate::machine::{CONSTRAINTS, CgroupIndex, Counter, Event, Life, ROOT};

/// Removed cgroups that one property can ask for.
const MOST_REMOVED: i64 = 1000;

/// Bytes of a command name, as the kernel keeps it.
const COMM: usize = 15;

/// What one object's properties say besides what the machine holds.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// The policy is attached here.
    pub(super) attached: Option<CgroupIndex>,
    /// Labels or counters of this cgroup were given.
    pub(super) kept: Option<CgroupIndex>,
}

/// Applies what is said of an object.
///
/// # Errors
/// A sentence: a value that cannot be.
pub(super) fn given(described: &mut Described, given: &Given, line: u32) -> Result<Said, String> {
    let at = described.cgroup(&given.cgroup);
    let mut said = Said::default();
    match given.pid {
        None => {
            if let Some(one) = described.cgroups.get_mut(at) {
                one.line = line;
            }
            for property in &given.properties {
                cgroup(described, at, property, &mut said)?;
            }
        }
        Some(pid) => {
            let clock_and_page = (described.now, described.page);
            let one = described.process(at, pid);
            (one.line, one.process.cgroup) = (line, at);
            let mut exited = false;
            for property in &given.properties {
                process(one, property, clock_and_page, &mut exited)?;
            }
            if exited {
                described.remove(|one| one.process.pid == i64::from(pid));
            }
        }
    }
    Ok(said)
}

/// Applies a pressure that is seen.
///
/// # Errors
/// A sentence: a value that cannot be.
pub(super) fn pressure_of(
    described: &mut Described,
    at: CgroupIndex,
    property: &Property,
) -> Result<(), String> {
    cgroup(described, at, property, &mut Said::default())
}

/// A number that is not negative.
fn amount(name: &str, value: i64) -> Result<i64, String> {
    if value < 0 { Err(format!("`{name}` cannot be negative")) } else { Ok(value) }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Number(number) => *number,
        Value::Text(_) => 0,
    }
}

fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        Value::Number(_) => "",
    }
}

/// The number of a process that a property names.
fn process_number(name: &str, value: &Value) -> Result<u32, String> {
    let found = scenario::split(text(value)).and_then(|(_, pid)| pid);
    found.ok_or_else(|| format!("`{name}` is the name of a process: \"/job#100\""))
}

/// State and window of a pressure field, as [`Cgroup::pressure`](crate::machine::Cgroup::pressure) has them.
fn pressure(name: &str) -> Option<(usize, usize)> {
    let (state, window) = name.strip_prefix("pressure.")?.split_once('.')?;
    let state = ["some", "full"].iter().position(|one| *one == state)?;
    Some((state, ["avg10", "avg60", "avg300"].iter().position(|one| *one == window)?))
}

fn cgroup(
    described: &mut Described,
    at: CgroupIndex,
    property: &Property,
    said: &mut Said,
) -> Result<(), String> {
    let Property { name, value } = property;
    let (now, page) = (described.now, described.page);
    let name = match name {
        Named::Field(name) if name == "nr_dying_descendants" => {
            let count = amount(name, number(value))?;
            if count > MOST_REMOVED {
                return Err(format!("`{name}` is at most {MOST_REMOVED} in a test"));
            }
            for _ in 0..count {
                let removed = described.add(at, "removed");
                if let Some(one) = described.cgroups.get_mut(removed) {
                    one.cgroup.removed = true;
                }
            }
            return Ok(());
        }
        Named::Field(name) if at == ROOT && ["limit", "own_limit"].contains(&name.as_str()) => {
            described.memory = amount(name, number(value))?;
            return Ok(());
        }
        // What may be swapped out anywhere is the machine's swap.
        Named::Field(name) if at == ROOT && name == "swap_limit" => {
            described.swap = Some(amount(name, number(value))?);
            return Ok(());
        }
        Named::Field(name) => name.as_str(),
        other => {
            let Some(one) = described.cgroups.get_mut(at) else { return Ok(()) };
            return kept(one, at, now, other, number(value), said);
        }
    };
    let Some(one) = described.cgroups.get_mut(at) else { return Ok(()) };
    let number = number(value);
    if let Some(total) = total(name) {
        one.totals.insert(total, amount(name, number)?);
        return Ok(());
    }
    if let Some((state, window)) = pressure(name) {
        let place = one.cgroup.pressure.get_or_insert_default().get_mut(state);
        if let Some(place) = place.and_then(|windows| windows.get_mut(window)) {
            // Percent with eleven bits of fraction, from parts per million.
            *place = (amount(name, number)? << 11) / 10_000;
        }
        return Ok(());
    }
    let cgroup = &mut one.cgroup;
    match name {
        "limit" | "own_limit" => cgroup.max = Some(amount(name, number)? / page),
        "high" => cgroup.high = Some(amount(name, number)? / page),
        "low" => cgroup.low = amount(name, number)? / page,
        "min" => cgroup.min = amount(name, number)? / page,
        "swap_limit" => cgroup.swap_max = Some(amount(name, number)? / page),
        "oom_group" => cgroup.group = number != 0,
        "id" => cgroup.id = amount(name, number)?,
        "age_rank" => cgroup.serial = amount(name, number)?,
        "attached" => said.attached = (number != 0).then_some(at),
        "no_memory_controller" if at == ROOT => {
            return Err("the root always has the memory controller".to_owned());
        }
        "no_memory_controller" => cgroup.bare = number != 0,
        other => {
            let (path, value) = member(Owner::Cgroup, other, number, page)
                .ok_or_else(|| format!("a test cannot give `{other}` of a cgroup"))?;
            replace(&mut cgroup.members, path, value);
        }
    }
    Ok(())
}

/// The path and value of the member that a field is read from as it stands.
pub(super) fn member(owner: Owner, name: &str, number: i64, page: i64) -> Option<(&'static str, i64)> {
    match fields::find(owner, name)?.row().recipe {
        Recipe::Member { path, scale: Scale::One } => Some((path, number)),
        Recipe::Member { path, scale: Scale::Pages } => Some((path, number / page)),
        _ => None,
    }
}

/// What the policy or the kernel keeps for a cgroup.
fn kept(
    one: &mut DescribedCgroup,
    at: CgroupIndex,
    now: i64,
    name: &Named,
    number: i64,
    said: &mut Said,
) -> Result<(), String> {
    let cgroup = &mut one.cgroup;
    match name {
        Named::Label(name) => replace(&mut cgroup.labels, name, number),
        Named::Counter(name) => {
            let counted = (amount(name, number)?, now);
            replace(&mut cgroup.counters, name, Counter { real: counted, audit: counted });
        }
        Named::Member(path) => {
            replace(&mut cgroup.members, path, number);
            return Ok(());
        }
        Named::Field(_) => return Ok(()),
    }
    said.kept = Some(at);
    Ok(())
}

fn replace<T>(list: &mut Vec<(String, T)>, name: &str, value: T) {
    match list.iter_mut().find(|(found, _)| found == name) {
        Some((_, found)) => *found = value,
        None => list.push((name.to_owned(), value)),
    }
}

fn process(
    one: &mut DescribedProcess,
    property: &Property,
    (now, page): (i64, i64),
    exited: &mut bool,
) -> Result<(), String> {
    let Property { name, value } = property;
    let name = match name {
        Named::Field(name) => name.as_str(),
        Named::Member(path) => {
            replace(&mut one.process.members, path, number(value));
            return Ok(());
        }
        Named::Label(_) | Named::Counter(_) => return Ok(()),
    };
    let (number, process) = (number(value), &mut one.process);
    match name {
        "rss" => one.rss = Some(amount(name, number)?),
        "footprint" => one.footprint = Some(amount(name, number)?),
        "anon" => one.anon = Some(amount(name, number)?),
        "file" => one.file = Some(amount(name, number)?),
        "shmem" => one.shmem = Some(amount(name, number)?),
        "swap" => one.swap = amount(name, number)?,
        "pgtables" => process.pgtables = amount(name, number)?,
        "oom_score_adj" if !(-1000..=1000).contains(&number) => {
            return Err("`oom_score_adj` is from -1000 to 1000".to_owned());
        }
        "oom_score_adj" => process.adj = number,
        "comm" if text(value).len() > COMM => {
            return Err(format!("`comm` is at most {COMM} bytes: the kernel cuts what is longer"));
        }
        "comm" => text(value).clone_into(&mut process.comm),
        "uid" => process.uid = amount(name, number)?,
        "age" => process.start = now - amount(name, number)?,
        "nr_threads" if !(1..=4096).contains(&number) => {
            return Err("`nr_threads` is from 1 to 4096 in a test".to_owned());
        }
        "nr_threads" => process.threads = number,
        "dying" => {
            process.life = match number {
                0 => Life::Lives,
                _ => Life::Dying { chosen: true, reaped: false },
            };
        }
        "kernel_thread" => process.kernel = number != 0,
        "leader_gone" => {
            process.leader_gone = number != 0;
            process.threads = process.threads.max(1 + i64::from(process.leader_gone));
        }
        "exited" => *exited = number != 0,
        "parent" => process.parent = Some(i64::from(process_number(name, value)?)),
        "ns_pid" if number < 1 => return Err("`ns_pid` is at least 1".to_owned()),
        "ns_pid" => process.ns_pids = vec![number],
        "shares_memory_with" => one.shares_with = Some(process_number(name, value)?),
        other => {
            let (path, value) = member(Owner::Process, other, number, page)
                .ok_or_else(|| format!("a test cannot give `{other}` of a process"))?;
            replace(&mut process.members, path, value);
        }
    }
    Ok(())
}

/// Applies what is said of an event.
///
/// # Errors
/// A sentence: a value that cannot be.
pub(super) fn event(event: &mut Event, described: &Described, properties: &[Property]) -> Result<(), String> {
    for Property { name, value } in properties {
        let Named::Field(name) = name else { continue };
        let number = number(value);
        match name.as_str() {
            "order" if !(-1..=10).contains(&number) => {
                return Err("`order` is from 0 to 10; -1 is an administrator who asks by SysRq".to_owned());
            }
            "order" => event.order = number,
            "total" => event.total = amount(name, number)? / described.page,
            "constraint" => {
                let found = CONSTRAINTS.iter().position(|known| *known == text(value));
                event.constraint =
                    found.ok_or_else(|| format!("`constraint` is one of {}", CONSTRAINTS.join(", ")))?;
            }
            "trigger" => {
                let pid = i64::from(process_number(name, value)?);
                let found = described.processes.iter().position(|one| one.process.pid == pid);
                event.trigger = Some(found.ok_or("the process that wants memory is gone")?);
            }
            other => return Err(format!("a test cannot give `{other}` of an event")),
        }
    }
    Ok(())
}

/// Whether a property of this name has an arm here.
#[cfg(test)]
pub(super) fn is_known(owner: Owner, name: &str, value: Value) -> bool {
    use oomc_abi::consts::PAGE_SIZE;
    let mut described = Described::new(PAGE_SIZE);
    let at = described.cgroup("/job");
    let property = Property { name: Named::Field(name.to_owned()), value };
    let outcome = match owner {
        Owner::Cgroup => cgroup(&mut described, at, &property, &mut Said::default()),
        Owner::Process => process(described.process(at, 1), &property, (0, PAGE_SIZE), &mut false),
        // What the machine has follows from its cgroups.
        Owner::Machine => return false,
        Owner::Event => {
            described.process(at, 100);
            event(&mut Event::default(), &described, &[property])
        }
    };
    !matches!(outcome, Err(text) if text.starts_with("a test cannot give"))
}
