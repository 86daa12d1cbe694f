//! One trial: fresh cgroups, a killer that was started anew, one tenant that grows, and who dies.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use oomc_peers::plan::{Cell, Scope, Workload};
use oomc_peers::report::Seen;

use crate::killer::{self, Running, milliseconds};
use crate::look::{self, Left};
use crate::tenants::{self, Tenant, Tenants};

const MEBIBYTE: u64 = 1 << 20;
/// What the tenants may have where their cgroup is what runs out, besides what they have at the start.
const LIMIT: u64 = 320 * MEBIBYTE;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);
/// How long after the event a trial goes on at most, and how long it takes in all.
const AFTER_EVENT: Duration = Duration::from_secs(30);
const BOUND: Duration = Duration::from_secs(150);
/// How long it goes on when somebody has died: whether somebody else does, too.
const AFTERMATH: Duration = Duration::from_secs(2);
/// How long the machine may take to be calm again.
const CALM: Duration = Duration::from_secs(60);
/// The file for swap, and the one that is read again and again.
const SWAP: &str = "/peers/swap";
const FILE: &str = "/peers/large";

/// The two that matter.
struct Pair {
    innocent: Tenant,
    place: std::path::PathBuf,
    name: &'static str,
}

/// Carries out a trial.
pub(crate) fn run(cell: &Cell) -> Result<Seen, String> {
    calm_down()?;
    let _swap = (cell.workload == Workload::Swap).then(Swap::on).transpose()?;
    killer::configure(cell.killer, cell.scope)?;
    let mut all = Tenants::new()?;
    all.rest(cell.cgroups.saturating_sub(2))?;
    let [good, bad] = names(cell.workload);
    let (innocent, culprit) = (Tenants::place(good)?, Tenants::place(bad)?);
    if good == PROTECTED {
        protect(&innocent)?;
    }
    thread::sleep(Duration::from_secs(1));
    let room = room(cell)?;
    let share = if cell.workload == Workload::LargerInnocent { 55 } else { 25 };
    let held = mebibytes(room * share / 100);
    let innocent = Tenants::start(good, &innocent, "hold", &[held.to_string()])?;
    innocent.ready()?;
    let running = killer::start(cell.killer)?;
    let idle = match &running {
        Some(running) if cell.idle => Some(running.idle()?),
        _ => None,
    };
    let pair = Pair { innocent, place: culprit, name: bad };
    let mut seen = watch(cell, room, held, pair, &mut all, running.as_ref())?;
    seen.idle = idle;
    seen.said = running.as_ref().map(Running::said).unwrap_or_default();
    Ok(seen)
}

/// The innocent one and the culprit. Where the innocent one is the larger one, no configuration names it.
fn names(workload: Workload) -> [&'static str; 2] {
    match workload {
        Workload::LargerInnocent => ["site", "guest"],
        _ => [PROTECTED, "batch"],
    }
}

/// The tenant that all configurations name.
const PROTECTED: &str = "db";

/// Marks a cgroup for the killers that know it by extended attributes: what `ManagedOOMPreference=omit` sets for
/// systemd-oomd, and what oomd wants an operator to set.
fn protect(place: &Path) -> Result<(), String> {
    for name in ["user.oomd_omit", "trusted.oomd_avoid"] {
        let mut command = Command::new("setfattr");
        killer::run(command.args(["-n", name, "-v", "1"]).arg(place))?;
    }
    Ok(())
}

/// How many bytes the tenants can use up; sets the limit of their cgroup, if it is what runs out.
fn room(cell: &Cell) -> Result<u64, String> {
    let left = look::left().ok_or("no /proc/meminfo")?;
    if cell.scope == Scope::Machine {
        return Ok(left.available);
    }
    let place = Path::new(tenants::PLACE);
    let used = look::number(place, "memory.current").ok_or("the tenants have no memory controller")?;
    let limit = used + LIMIT;
    for (file, text) in [("memory.max", limit.to_string()), ("memory.swap.max", "0".to_owned())] {
        fs::write(place.join(file), text).map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    Ok(LIMIT)
}

/// What the culprit does.
fn face(cell: &Cell, room: u64, held: u64) -> (&'static str, Vec<String>) {
    let left = mebibytes(room).saturating_sub(held);
    let words = |words: &[u64]| words.iter().map(u64::to_string).collect::<Vec<_>>();
    match cell.workload {
        Workload::SlowLeak => ("leak", words(&[left / 3, (left / 20).max(1)])),
        Workload::FastLeak => ("leak", words(&[1, 0])),
        Workload::ForkBomb => ("bomb", words(&[2])),
        Workload::LargerInnocent => ("leak", words(&[1, (left / 8).max(1)])),
        Workload::Swap => ("leak", words(&[left / 2, 40])),
        Workload::PageCache => {
            let first = left.saturating_sub(mebibytes(room) / 10);
            ("read", vec![first.to_string(), FILE.to_owned()])
        }
    }
}

/// Lets the culprit grow, and looks who dies.
fn watch(
    cell: &Cell,
    room: u64,
    held: u64,
    mut pair: Pair,
    all: &mut Tenants,
    running: Option<&Running>,
) -> Result<Seen, String> {
    let mut seen = Seen::default();
    let (face, args) = face(cell, room, held);
    let kills_before = look::kernel_kills();
    let cpu_before = running.and_then(Running::cpu);
    let services = services();
    let mut culprit = Tenants::start(pair.name, &pair.place, face, &args)?;
    let start = Instant::now();
    let mut again = 0;
    let mut has_begun = false;
    loop {
        let now = milliseconds(start.elapsed());
        has_begun |= look::is_populated(&pair.place);
        again += u32::from(culprit.has_spoken());
        let left = look::left().ok_or("no /proc/meminfo")?;
        // The first line says that it has what it begins with, the second that it has read all of the file.
        if seen.event.is_none() && is_short(cell, room, &left, again > 1) {
            seen.event = Some(now);
        }
        seen.kernel_kills = look::kernel_kills().saturating_sub(kills_before);
        seen.kernel = seen.kernel.or((seen.kernel_kills > 0).then_some(now));
        seen.innocent = seen.innocent.or(pair.innocent.ended().then_some(now));
        if seen.freed.is_none() && has_begun && !look::is_populated(&pair.place) {
            // Its process is a child of this one, and dead until somebody asks.
            culprit.ended();
            // Page cache stays, and is no shortage.
            seen.freed = (look::anon(&pair.place) < room / 20).then_some(now);
        }
        seen.bystander = seen.bystander.or(all.lost().then_some(now));
        if seen.freed.is_some() && seen.cpu.is_none() {
            (seen.cpu, seen.span) = (took(running, cpu_before), now);
        }
        let first = [seen.freed, seen.innocent, seen.bystander].into_iter().flatten().min();
        let is_over = first.is_some_and(|first| now > first + milliseconds(AFTERMATH))
            || seen.event.is_some_and(|event| now > event + milliseconds(AFTER_EVENT))
            || start.elapsed() > BOUND;
        if is_over {
            break;
        }
        thread::sleep(LOOK);
    }
    if seen.cpu.is_none() {
        (seen.cpu, seen.span) = (took(running, cpu_before), milliseconds(start.elapsed()));
    }
    if services.iter().any(|place| !look::is_populated(Path::new(place))) {
        seen.bystander = seen.bystander.or(Some(milliseconds(start.elapsed())));
    }
    Ok(seen)
}

/// Whether memory is short: of a cgroup nine tenths of what the tenants may use up are in use, of the machine a tenth is left,
/// with swap a tenth of both; and where a file is read again and again, when what was read before is read again.
fn is_short(cell: &Cell, room: u64, left: &Left, again: bool) -> bool {
    let machine = left.available < left.total / 10;
    match (cell.workload, cell.scope) {
        (Workload::PageCache, _) => again,
        (Workload::Swap, _) => machine && left.swap_free < left.swap_total / 10,
        (_, Scope::Machine) => machine,
        (_, Scope::Cgroup) => {
            let place = Path::new(tenants::PLACE);
            let used = look::number(place, "memory.current").zip(look::number(place, "memory.max"));
            used.is_some_and(|(used, limit)| used > limit.saturating_sub(room / 10))
        }
    }
}

/// What the killer took since then.
fn took(running: Option<&Running>, before: Option<u64>) -> Option<u64> {
    Some(running?.cpu()?.saturating_sub(before?))
}

/// The services of the machine that nobody may kill, by their cgroups.
fn services() -> Vec<String> {
    let all = ["system.slice/dbus.service", "system.slice/systemd-journald.service"];
    let places = all.map(|name| format!("/sys/fs/cgroup/{name}"));
    places.into_iter().filter(|place| look::is_populated(Path::new(place))).collect()
}

/// Waits until nothing of an earlier trial presses on memory: killers that watch the machine would act at once.
fn calm_down() -> Result<(), String> {
    fs::write("/proc/sys/vm/drop_caches", "3").map_err(|error| format!("cannot drop caches: {error}"))?;
    let until = Instant::now() + CALM;
    loop {
        let text = fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
        let average =
            text.split("avg10=").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        if average.is_none_or(|average| average < 2.0) || Instant::now() > until {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(500));
    }
}

fn mebibytes(bytes: u64) -> u64 {
    bytes / MEBIBYTE
}

/// Swap, as long as the value lives.
struct Swap;

impl Swap {
    fn on() -> Result<Self, String> {
        killer::run(Command::new("mkswap").args(["-f", SWAP]))?;
        killer::run(Command::new("swapon").arg(SWAP))?;
        Ok(Self)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // What stays on is seen in the next trial's figures; the trial itself has ended.
        let _ = killer::run(Command::new("swapoff").arg(SWAP));
    }
}
