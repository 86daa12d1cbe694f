//! A day of `oomc run`: one event after the other in cgroups that come and go, and what the engine then holds.
//!
//! In each of some cgroups somebody runs into the limit again and again; after some deaths the cgroup is removed, and
//! another one takes its place. Each death must be in a record or be counted as the kernel's own, and what the engine
//! holds at the end (memory, descriptors, maps, files) must be no more than soon after the beginning.

#![expect(clippy::indexing_slicing, reason = "of a JSON value an index that is not there gives null")]

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::service::Service;
use crate::{libbpf, tree};

/// Limit of each cgroup.
const LIMIT: u64 = 32 << 20;
/// How long an engine may take until it looks after a new cgroup, and a cgroup until it is empty.
const PATIENCE: Duration = Duration::from_secs(120);
/// After the last death: a victim's memory is waited for ten seconds at most.
const QUIET: Duration = Duration::from_secs(15);
/// Soon after the beginning: when so many of a hundred events are over.
const WARM: u64 = 25;
/// So often it is looked what an engine holds, and so long between two looks.
const LOOKS: u32 = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
/// More memory than this is growth.
const SLACK: u64 = 512;

/// How a day goes.
#[derive(Clone, Copy)]
pub(crate) struct Day<'p> {
    /// The parent of the cgroups.
    pub(crate) path: &'p str,
    /// Cgroups at once.
    pub(crate) cgroups: u32,
    /// Deaths in one before another takes its place.
    pub(crate) anew: u64,
    /// Deaths, all together.
    pub(crate) events: u64,
}

/// What has happened so far.
#[derive(Default)]
struct Seen {
    deaths: AtomicU64,
    made: AtomicU64,
    over: AtomicBool,
}

/// What an engine holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// Resident, in KiB.
    memory: u64,
    descriptors: usize,
    /// Of BPF, on the whole machine.
    maps: usize,
    /// What the next engine would put back.
    files: usize,
}

/// What the engine has said.
#[derive(Debug, Default)]
struct Told {
    /// Records, and processes that died by them.
    records: u64,
    killed: u64,
    /// Last number of each policy.
    last: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

/// Lives through it; what came of it, for a reader.
pub(crate) fn run(service: &mut Service, day: &Day<'_>) -> Result<String, String> {
    let (start, seen) = (Instant::now(), Seen::default());
    let mut told = Told::default();
    let warm = thread::scope(|scope| {
        let places: Vec<_> = (0..day.cgroups)
            .map(|slot| {
                scope.spawn({
                    let seen = &seen;
                    move || live(slot, day, seen)
                })
            })
            .collect();
        let warm = watch(service, day, &seen, &mut told);
        seen.over.store(true, Ordering::Relaxed);
        for place in places {
            place.join().map_err(|_| "a cgroup's thread panicked".to_owned())??;
        }
        warm
    })?;
    let (deaths, made) = (seen.deaths.into_inner(), seen.made.into_inner());
    let kernel = kernels(day.path)?;
    // The socket of the journal takes a few entries at a time: what was decided last comes when those before were read.
    let patient = Instant::now();
    while told.killed + kernel < deaths && patient.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
        told.read(&service.said()?);
    }
    let late = patient.elapsed().as_millis();
    thread::sleep(QUIET);
    told.read(&service.said()?);
    let end = Held::of(service, day.path)?;
    let text = format!(
        "{deaths} deaths in {made} cgroups, {} records that tell {} of them after {late} ms, {kernel} by the kernel's own \
         killer; {warm} soon after the beginning, {end} at the end; {} s",
        told.records,
        told.killed,
        start.elapsed().as_secs()
    );
    let mut wrong = told.wrong;
    // One that both have killed is told by both.
    if told.killed > deaths || told.killed + kernel < deaths {
        wrong.push("records and the kernel's counter do not tell each death".to_owned());
    }
    wrong.extend(warm.grown_to(&end).map(|what| format!("{what} have grown")));
    if wrong.is_empty() { Ok(text) } else { Err(format!("{}; {text}", wrong.join("; "))) }
}

/// Somebody dies in a cgroup, again and again, and the cgroup gives way to another one.
fn live(slot: u32, day: &Day<'_>, seen: &Seen) -> Result<(), String> {
    for generation in 0.. {
        if seen.over.load(Ordering::Relaxed) {
            break;
        }
        let place = format!("{}/s{slot}-{generation}", day.path);
        let lived = one(&place, day, seen);
        if lived.is_err() {
            seen.over.store(true, Ordering::Relaxed);
        }
        lived?;
    }
    Ok(())
}

/// One cgroup, from its making to its end.
fn one(place: &str, day: &Day<'_>, seen: &Seen) -> Result<(), String> {
    tree::make(place, false)?;
    tree::write(place, "memory.max", &LIMIT.to_string())?;
    seen.made.fetch_add(1, Ordering::Relaxed);
    until("nobody looks after it", place, || Ok(tree::read(place, "memory.high")?.trim() != "max"))?;
    for _ in 0..day.anew {
        if seen.over.load(Ordering::Relaxed) {
            break;
        }
        let status = Command::new("/init").arg("eat").arg(tree::folder(place)).stderr(Stdio::null()).status();
        let status = status.map_err(|error| format!("{place}: {error}"))?;
        if !killed(status) {
            return Err(format!("{place}: nobody has killed who met the limit: {status}"));
        }
        seen.deaths.fetch_add(1, Ordering::Relaxed);
    }
    until("it cannot be removed", place, || Ok(tree::remove(place).is_ok()))
}

fn until(why: &str, place: &str, mut holds: impl FnMut() -> Result<bool, String>) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while !holds()? {
        if Instant::now() > end {
            return Err(format!("{place}: {why}"));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn killed(status: ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt as _;
    status.signal() == Some(Signal::SIGKILL as i32)
}

/// Reads what the engine says until there were enough deaths. Gives what it held soon after the beginning.
fn watch(service: &mut Service, day: &Day<'_>, seen: &Seen, told: &mut Told) -> Result<Held, String> {
    let mut warm = None;
    loop {
        told.read(&service.said()?);
        let deaths = seen.deaths.load(Ordering::Relaxed);
        if warm.is_none() && deaths * 100 >= day.events * WARM {
            warm = Some(Held::of(service, day.path)?);
        }
        if deaths >= day.events || seen.over.load(Ordering::Relaxed) {
            return warm.ok_or_else(|| "it was over before it had begun".to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Processes below a cgroup that the kernel's own killer has killed, also in cgroups that are gone.
fn kernels(path: &str) -> Result<u64, String> {
    let text = tree::read(path, "memory.events")?;
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
    count.ok_or_else(|| format!("{path}: memory.events without oom_kill"))
}

impl Held {
    /// The least of some looks: while the engine reads a file, or holds a victim, it has a descriptor more.
    fn of(service: &Service, path: &str) -> Result<Self, String> {
        let mut held = Self::now(service, path)?;
        for _ in 1..LOOKS {
            thread::sleep(BETWEEN_LOOKS);
            let Self { memory, descriptors, maps, files } = Self::now(service, path)?;
            held.memory = held.memory.min(memory);
            held.descriptors = held.descriptors.min(descriptors);
            held.maps = held.maps.min(maps);
            held.files = held.files.min(files);
        }
        Ok(held)
    }

    fn now(service: &Service, path: &str) -> Result<Self, String> {
        let list =
            |place: &str| fs::read_dir(place).map_err(|error| format!("cannot look into {place}: {error}"));
        let pid = service.pid()?;
        let notes = list("/run/oomc")?.flatten();
        let notes = notes.filter(|entry| entry.file_name().to_string_lossy().starts_with("high-"));
        // Cgroups that are there have their notes.
        let cgroups = list(&tree::folder(path).to_string_lossy())?.flatten();
        let cgroups = cgroups.filter(|entry| entry.path().is_dir()).count();
        Ok(Self {
            memory: service.resident().ok_or("the service has ended")?,
            descriptors: list(&format!("/proc/{pid}/fd"))?.count(),
            maps: libbpf::maps(),
            files: notes.count().saturating_sub(cgroups),
        })
    }

    /// What there is more of at the end.
    fn grown_to(self, end: &Self) -> impl Iterator<Item = &'static str> {
        [
            ("pages of the engine", end.memory > self.memory + SLACK),
            ("descriptors of the engine", end.descriptors > self.descriptors),
            ("maps", end.maps > self.maps),
            ("notes of what is to be put back", end.files > self.files),
        ]
        .into_iter()
        .filter_map(|(what, grown)| grown.then_some(what))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { memory, descriptors, maps, files } = self;
        write!(f, "{memory} KiB, {descriptors} descriptors, {maps} maps, {files} notes too many")
    }
}

impl Told {
    fn read(&mut self, said: &str) {
        for line in said.lines() {
            if ["OOMC_EVENT=lost", "OOMC_EVENT=unreadable"].contains(&line) {
                self.wrong.push(line.to_owned());
            }
            let Some(text) = line.strip_prefix("OOMC_DECISION=") else { continue };
            let Ok(record) = serde_json::from_str::<Value>(text) else {
                self.wrong.push("a record is no JSON".to_owned());
                continue;
            };
            self.records += 1;
            self.killed += record["killed"].as_u64().unwrap_or(0);
            let (attached, number) = (record["attached"].to_string(), record["number"].as_u64().unwrap_or(0));
            let before = self.last.insert(attached.clone(), number).unwrap_or(0);
            if number != before + 1 {
                self.wrong.push(format!("behind record {before} of cgroup {attached} comes {number}"));
            }
        }
    }
}
