//! A killer as a unit of systemd: its configuration, its start, what it takes, what it has said.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use oomc_peers::plan::{Killer, Scope};
use oomc_peers::report::Idle;

/// Where the configurations lie: a folder of each killer, with the files by their paths.
const CONFIGURATIONS: &str = "/peers/configurations";
/// What a killer may do before its first trial: averages want some looks.
const SETTLE: Duration = Duration::from_secs(5);
/// How long it is watched while nothing happens.
const WATCHED: Duration = Duration::from_secs(10);
/// Lines of its journal that are kept.
const LINES: &str = "12";

/// One that runs; it is stopped with the value.
pub(crate) struct Running {
    unit: &'static str,
    cgroup: String,
}

/// Puts the configuration of a killer in its place, for a scope.
pub(crate) fn configure(killer: Killer, scope: Scope) -> Result<(), String> {
    let special = if scope == Scope::Machine { "-machine" } else { "-cgroup" };
    for folder in [killer.name().to_owned(), format!("{}{special}", killer.name())] {
        let folder = format!("{CONFIGURATIONS}/{folder}");
        if Path::new(&folder).is_dir() {
            let from = format!("{folder}/.");
            let how = ["-r", "--remove-destination", "--no-preserve=ownership"];
            run(Command::new("cp").args(how).args([&from, "/"]))?;
        }
    }
    systemctl(&["daemon-reload"])
}

/// Starts it, and waits until it has settled.
pub(crate) fn start(killer: Killer) -> Result<Option<Running>, String> {
    let Some(unit) = killer.unit() else { return Ok(None) };
    systemctl(&["reset-failed"])?;
    systemctl(&["start", unit]).map_err(|why| format!("{why}\n{}", said(unit).join("\n")))?;
    thread::sleep(SETTLE);
    systemctl(&["is-active", "--quiet", unit])
        .map_err(|_| format!("{unit} is not active:\n{}", said(unit).join("\n")))?;
    let cgroup = run(Command::new("systemctl").args(["show", "-P", "ControlGroup", unit]))?;
    Ok(Some(Running { unit, cgroup: format!("/sys/fs/cgroup{}", cgroup.trim()) }))
}

impl Running {
    /// Microseconds of a CPU that it has taken since its start.
    pub(crate) fn cpu(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("{}/cpu.stat", self.cgroup)).ok()?;
        text.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())
    }

    /// Resident memory of all its processes, in KiB.
    fn resident(&self) -> Option<u64> {
        let pids = fs::read_to_string(format!("{}/cgroup.procs", self.cgroup)).ok()?;
        let of = |pid: &str| -> Option<u64> {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim().strip_suffix(" kB")?.parse().ok()
        };
        Some(pids.lines().filter_map(of).sum())
    }

    /// Watches it while nothing happens.
    pub(crate) fn idle(&self) -> Result<Idle, String> {
        let gone = || format!("{} is gone", self.unit);
        let (start, before) = (Instant::now(), self.cpu().ok_or_else(gone)?);
        thread::sleep(WATCHED);
        let (after, span) = (self.cpu().ok_or_else(gone)?, start.elapsed());
        let resident = self.resident().ok_or_else(gone)?;
        Ok(Idle { span: milliseconds(span), cpu: after.saturating_sub(before), resident })
    }

    /// The last lines that it has written into the journal.
    pub(crate) fn said(&self) -> Vec<String> {
        said(self.unit)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended needs no stop.
        let _ = systemctl(&["stop", self.unit]);
    }
}

fn said(unit: &str) -> Vec<String> {
    let text = run(Command::new("journalctl").args(["-q", "-o", "cat", "-n", LINES, "-u", unit]));
    text.unwrap_or_default().lines().map(str::to_owned).collect()
}

pub(crate) fn systemctl(args: &[&str]) -> Result<(), String> {
    run(Command::new("systemctl").args(args)).map(|_| ())
}

/// What a program prints.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {}", output.status, why.trim()))
}

pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
