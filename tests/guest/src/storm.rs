//! Many OOM events at once, and what an operator does meanwhile; and many loaders at once.
//!
//! Each of some cgroups has a policy and somebody who runs into its limit again and again. Meanwhile policies are set,
//! switched, replaced, taken away and attached again, readers are killed, and cgroups are removed. Afterwards what was
//! seen and what was counted as lost must add up to what was decided. That the kernel warns of nothing is looked at
//! where the machine is watched.

#![expect(clippy::indexing_slicing, reason = "of a JSON value an index that is not there gives null")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::kmsg::{self, Log};
use crate::{faults, tree};

/// Limit of each cgroup, and what whoever runs into it asks for.
const LIMIT: u64 = 8 << 20;
const GREED: usize = 64 << 20;
/// The follower writes here.
const SEEN: &str = "/tmp/storm.seen";
/// Records that a policy keeps.
const KEPT: u64 = 64;
/// Longer than any storm of these sizes: then something is stuck.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// How often a command is given again that could not allocate memory.
const TRIES: u32 = 200;

/// Runs into the limit of a cgroup: `init eat FOLDER`.
pub(crate) fn eat(folder: &str) -> Result<(), String> {
    fs::write("/proc/self/oom_score_adj", "0").map_err(|error| format!("oom_score_adj: {error}"))?;
    fs::write(Path::new(folder).join("cgroup.procs"), "0").map_err(|error| format!("{folder}: {error}"))?;
    let mut held = Vec::new();
    while held.len() < GREED >> 16 {
        held.push(vec![1_u8; 1 << 16]);
    }
    Err("nobody has stopped it".to_owned())
}

/// What came of a storm, for a reader.
pub(crate) fn run(object: &str, path: &str, cgroups: u32, events: u64) -> Result<String, String> {
    let start = Instant::now();
    let places: Vec<String> = (0..cgroups).map(|at| format!("{path}/s{at}")).collect();
    for place in &places {
        make(place)?;
        oomc(&["load", object, "--cgroup", place])?;
    }
    let output = File::create(SEEN).map_err(|error| format!("{SEEN}: {error}"))?;
    let follower = spawn(&["events", "--follow", "--format", "json"], output.into())?;
    let (deaths, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let acts = thread::scope(|scope| {
        for place in &places {
            scope.spawn(|| storm(place, events, &deaths, &over));
        }
        let watch = scope.spawn(|| watch(&over));
        faults::mark(true)?;
        let acts = operate(object, &places, events, &deaths, &over, start);
        over.store(true, Ordering::Relaxed);
        faults::mark(false)?;
        watch.join().map_err(|_| "the reader of the kernel's log panicked")??;
        acts
    })?;
    // What was decided last is on its way.
    thread::sleep(Duration::from_millis(1500));
    let seen = followed(follower)?;
    let decided = add_up(&places)?;
    oomc(&["unload", "--all"])?;
    for place in &places {
        tree::remove(place)?;
    }
    let deaths = deaths.into_inner();
    let spent = start.elapsed().as_secs();
    Ok(format!("{deaths} deaths, {seen}, {decided}, {acts} acts of an operator, {spent} s"))
}

fn make(place: &str) -> Result<(), String> {
    tree::make(place, false)?;
    tree::write(place, "memory.max", &LIMIT.to_string())
}

/// Somebody dies in this cgroup, again and again.
fn storm(place: &str, events: u64, deaths: &AtomicU64, over: &AtomicBool) {
    while deaths.load(Ordering::Relaxed) < events && !over.load(Ordering::Relaxed) {
        let child = Command::new("/init").arg("eat").arg(tree::folder(place)).stderr(Stdio::null()).status();
        match child {
            Ok(status) if killed(status) => drop(deaths.fetch_add(1, Ordering::Relaxed)),
            // The cgroup is just not there.
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(Signal::SIGKILL as i32)
}

/// Reads the kernel's log, which holds only the last minute of a storm, until the storm is over.
fn watch(over: &AtomicBool) -> Result<(), String> {
    let mut log = Log::open()?;
    while !over.load(Ordering::Relaxed) {
        let lines = log.drain();
        if let Some(line) = kmsg::complaint(&lines) {
            over.store(true, Ordering::Relaxed);
            return Err(format!("the kernel complained: {line}"));
        }
        if kmsg::has_gap(&lines) {
            over.store(true, Ordering::Relaxed);
            return Err("the kernel's log was faster than its reader".to_owned());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

/// What an operator does until there were enough deaths: one thing after the other, in turn on each cgroup.
fn operate(
    object: &str,
    places: &[String],
    events: u64,
    deaths: &AtomicU64,
    over: &AtomicBool,
    start: Instant,
) -> Result<u64, String> {
    let mut acts = 0;
    while deaths.load(Ordering::Relaxed) < events && !over.load(Ordering::Relaxed) {
        if start.elapsed() > PATIENCE {
            return Err(format!("only {} deaths in {PATIENCE:?}", deaths.load(Ordering::Relaxed)));
        }
        for (at, place) in (acts..).zip(places) {
            match at % 8 {
                0 => {
                    oomc(&["set", "--cgroup", place, if at % 16 == 0 { "least=1MiB" } else { "least=2MiB" }])?
                }
                1 => oomc(&["mode", "audit", "--cgroup", place])?,
                2 => oomc(&["mode", "enforce", "--cgroup", place])?,
                3 => oomc(&["load", object, "--replace", "--cgroup", place])?,
                4 => {
                    oomc(&["unload", "--cgroup", place])?;
                    oomc(&["load", object, "--cgroup", place])?;
                }
                5 => {
                    let mut reader = spawn(&["events", "--follow", "--cgroup", place], Stdio::null())?;
                    thread::sleep(Duration::from_millis(50));
                    reader.kill().map_err(|error| format!("cannot kill a reader: {error}"))?;
                    reader.wait().map_err(|error| format!("cannot wait for a reader: {error}"))?;
                }
                6 => oomc(&["status"]).and_then(|()| oomc(&["metrics"]))?,
                _ => again(object, place)?,
            }
            acts += 1;
            if deaths.load(Ordering::Relaxed) >= events {
                break;
            }
        }
    }
    Ok(acts)
}

/// Removes a cgroup with its policy, and makes both anew.
fn again(object: &str, place: &str) -> Result<(), String> {
    let folder = tree::folder(place);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        fs::write(folder.join("cgroup.kill"), "1").map_err(|error| format!("{place}: {error}"))?;
        match tree::remove(place) {
            Ok(()) => break,
            Err(error) if Instant::now() > until => return Err(error),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
    oomc(&["tidy"])?;
    make(place)?;
    oomc(&["load", object, "--cgroup", place])
}

fn spawn(args: &[&str], output: Stdio) -> Result<Child, String> {
    Command::new("/bin/oomc")
        .args(args)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start oomc: {error}"))
}

fn output(args: &[&str]) -> Result<Output, String> {
    Command::new("/bin/oomc").args(args).output().map_err(|error| format!("cannot start oomc: {error}"))
}

/// Gives a command, which must do it. Where the kernel is made to have no memory for it, it may say so and must leave
/// everything so that it does it when it is given again.
fn oomc(args: &[&str]) -> Result<(), String> {
    let tries = if faults::hit_the_marked() { TRIES } else { 1 };
    let mut says = String::new();
    for _ in 0..tries {
        let output = output(args)?;
        if output.status.success() {
            return Ok(());
        }
        let text = [output.stdout, output.stderr].concat();
        says = format!(
            "oomc {} ended with {}: {}",
            args.join(" "),
            output.status,
            String::from_utf8_lossy(&text)
        );
        // In some places the kernel says EINVAL where it has no memory (seen of BPF_PROG_LOAD): a call that is named.
        if !says.contains("BPF_") {
            break;
        }
    }
    Err(says)
}

fn json(args: &[&str]) -> Result<Value, String> {
    let output = output(args)?;
    serde_json::from_slice(&output.stdout).map_err(|error| format!("oomc {}: {error}", args.join(" ")))
}

/// Ends the follower. The decisions that it has told and those that it says were lost are all that there were, from the
/// first to the last of each policy.
fn followed(mut follower: Child) -> Result<String, String> {
    let pid = i32::try_from(follower.id()).map_err(|error| error.to_string())?;
    kill(Pid::from_raw(pid), Signal::SIGINT).map_err(|error| format!("cannot interrupt oomc: {error}"))?;
    follower.wait().map_err(|error| format!("cannot wait for oomc: {error}"))?;
    let text = fs::read_to_string(SEEN).map_err(|error| format!("{SEEN}: {error}"))?;
    let (mut told, mut lost, mut wanted) = (0, 0, 0);
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines() {
        // The last one may be cut off.
        let Ok(document) = serde_json::from_str::<Value>(line) else { continue };
        lost += document["lost"]["decisions"].as_u64().unwrap_or(0);
        let record = &document["event"]["record"];
        let Some(number) = record["number"].as_u64() else { continue };
        told += 1;
        let before = last.insert(record["attached"].to_string(), number);
        // Numbers begin anew with each load.
        wanted += before.filter(|before| *before < number).map_or(1, |before| number - before);
    }
    if told + lost != wanted {
        return Err(format!("{told} decisions were told and {lost} called lost, of {wanted}"));
    }
    Ok(format!("{told} decisions told and {lost} lost, of {wanted}"))
}

/// Events that a policy was asked about are the events in its records; of records that are kept no more, at least one
/// each.
fn add_up(places: &[String]) -> Result<String, String> {
    let status = json(&["status", "--format", "json"])?;
    let attached = status["attached"].as_array().ok_or("a status without policies")?;
    if attached.len() != places.len() {
        return Err(format!("{} policies are attached to {} cgroups", attached.len(), places.len()));
    }
    let mut asked = 0;
    for one in attached {
        let place = one["cgroup"].as_str().unwrap_or_default();
        let events = one["counters"]["invocations"].as_u64().ok_or("no counter of events")?;
        let kept = json(&["events", "--cgroup", place, "--format", "json"])?;
        let kept = kept["events"].as_array().ok_or("no events")?;
        let kept = own(kept, one["last_decision"]["number"].as_u64().unwrap_or(0));
        let number = |record: &Value, key: &str| record["record"][key].as_u64().unwrap_or(0);
        let counted: u64 = kept.iter().map(|record| number(record, "count")).sum();
        let gone = kept.first().map_or(0, |first| number(first, "number") - 1);
        if counted + gone > events || (gone == 0 && counted != events) {
            return Err(format!(
                "{place}: {events} events, of which records tell {counted}, and {gone} are gone"
            ));
        }
        asked += events;
    }
    Ok(format!("{asked} events of the policies that are attached at the end"))
}

/// The records of the version that is attached, by the number of its last one: all are told in the order of their time, so
/// those of the version before come first.
fn own(kept: &[Value], last: u64) -> &[Value] {
    let own = usize::try_from(last.min(KEPT)).unwrap_or(0);
    kept.get(kept.len().saturating_sub(own)..).unwrap_or_default()
}

/// Many loaders at once: one attaches its policy, the others say that there is one.
pub(crate) fn crowd(object: &str, path: &str, count: u32) -> Result<String, String> {
    let start = Instant::now();
    let loaders: Vec<Child> = (0..count)
        .map(|_| spawn(&["load", object, "--cgroup", path], Stdio::null()))
        .collect::<Result<_, _>>()?;
    let mut codes: BTreeMap<Option<i32>, u32> = BTreeMap::new();
    for mut loader in loaders {
        let status = loader.wait().map_err(|error| format!("cannot wait for oomc: {error}"))?;
        *codes.entry(status.code()).or_default() += 1;
    }
    // 4: refused, because the cgroup has a policy.
    if codes != BTreeMap::from([(Some(0), 1), (Some(4), count - 1)]) {
        return Err(format!("{count} loaders ended so: {codes:?}"));
    }
    Ok(format!("one of {count} loaders has attached its policy, {} ms", start.elapsed().as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A version before that decided more often than records are kept, and one that did so 45 times.
    #[test]
    fn records_of_the_version_before_are_not_its_own() {
        let numbers = (18..=81).chain(1..=45);
        let kept: Vec<Value> =
            numbers.map(|number| serde_json::json!({ "record": { "number": number } })).collect();
        let first = |last| own(&kept, last).first().map(|one| one["record"]["number"].as_u64());
        assert_eq!((own(&kept, 45).len(), first(45)), (45, Some(Some(1))));
        assert_eq!(own(&kept, 0).len(), 0);
        assert_eq!(own(&kept[64..], KEPT + 9).len(), 45);
    }
}
