//! Does what a policy says: kills, raises a limit, hurries memory back.
//!
//! A process is held by a descriptor before its start time is looked at: so the one that is killed is the one that was
//! chosen, whoever has its number by then. A cgroup is held by its directory, whose number is compared likewise.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use oomc_abi::request::{Answer, Done, ENDED, Kind, Outcome, Victim};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::domain::Domain;
use crate::cgroup::{self, number};
use crate::error::{Error, Result};
use crate::outcome;
use crate::sys::mrelease;
use crate::system::System;

/// Nanoseconds of a tick of the clock in which a start time is told (`USER_HZ` is 100 everywhere, `include/asm-generic/param.h`).
const TICK: u64 = 10_000_000;

/// Victims on their way out.
#[derive(Debug, Default)]
pub(super) struct Flight {
    processes: Vec<OwnedFd>,
    /// Cgroups that are to be empty.
    cgroups: Vec<PathBuf>,
    /// Those that are still there then are killed.
    grace: Option<Instant>,
    begun: Option<Instant>,
    /// Number of the decision's record.
    number: u64,
}

impl Flight {
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.cgroups.is_empty()
    }

    /// The same, of the decision with this record.
    pub(super) fn of(self, number: u64) -> Self {
        Self { number, begun: Some(Instant::now()), ..self }
    }

    /// Whether their memory is back, or has been waited for long enough; and what became of it.
    pub(super) fn landed(
        &mut self,
        domain: &Path,
        limit: Option<u64>,
        patience: Duration,
    ) -> Option<outcome::Outcome> {
        if self.grace.take_if(|grace| *grace <= Instant::now()).is_some() {
            self.end_grace();
        }
        let given = self.grace.is_some();
        self.processes.retain(|process| {
            // Once more: it does nothing before a victim is far enough on its way out.
            if !given {
                let _ = mrelease(process.as_fd());
            }
            alive(process)
        });
        self.cgroups.retain(|place| cgroup::populated(place) == Some(true));
        let over = self.begun.is_none_or(|begun| begun.elapsed() >= patience);
        if !self.is_empty() && (given || !over) {
            return None;
        }
        let usage = number(&domain.join("memory.current"));
        Some(outcome::Outcome {
            number: self.number,
            room: usage.zip(limit).map(|(usage, limit)| limit.saturating_sub(usage)),
            alive: Some(!self.is_empty()),
            others_killed: None,
        })
    }
}

impl Flight {
    /// Kills those that were told to end and are still there.
    fn end_grace(&mut self) {
        self.begun = Some(Instant::now());
        for process in &self.processes {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        for place in std::mem::take(&mut self.cgroups) {
            // It is gone when this fails.
            let _ = kill_all(place, self);
        }
    }

    /// When there is something to do next, at the latest.
    pub(super) fn pause(&self, soon: Duration) -> Duration {
        match self.grace {
            Some(grace) => grace.saturating_duration_since(Instant::now()).clamp(soon, 20 * soon),
            // The longer it takes, the less it matters: a process with much memory is not looked at two hundred times a second.
            None => self.begun.map_or(soon, |begun| (begun.elapsed() / 8).clamp(soon, 20 * soon)),
        }
    }
}

/// Whether a process has not ended yet.
fn alive(process: &OwnedFd) -> bool {
    // A descriptor of a process can be read when it has ended.
    let mut poll = [rustix::event::PollFd::new(process, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    !matches!(rustix::event::poll(&mut poll, Some(&now)), Ok(count) if count > 0)
}

/// Carries out one answer.
pub(super) fn carry_out(answer: &Answer, domain: &Domain, flight: &mut Flight) -> Result<Done> {
    let mut done = Done { outcome: Outcome::Nothing, result: 0, killed: 0, refused: Vec::new() };
    match answer.kind {
        Kind::RaiseLimit => raise(answer.bytes, domain, &mut done),
        Kind::Reclaim => reclaim(answer.bytes, domain, &mut done),
        Kind::Wait => {
            // The memory of one that is gone is back.
            answer.victims.iter().for_each(|victim| hurry(victim, flight));
            done.outcome = Outcome::Progress;
        }
        Kind::KillProcess | Kind::KillCgroup | Kind::KillAll => {
            let signal = if answer.grace > 0 { Signal::TERM } else { Signal::KILL };
            if answer.grace > 0 {
                flight.grace = Some(Instant::now() + Duration::from_nanos(answer.grace));
            }
            let mut gone = false;
            for victim in &answer.victims {
                let cgroup = answer.kind == Kind::KillCgroup || victim.start == 0;
                let killed = if cgroup {
                    end_cgroup(if victim.group == 0 { victim.id } else { victim.group }, signal, flight)
                } else {
                    end_process(victim, signal, flight)
                };
                match killed {
                    Ok(0) => gone = true,
                    Ok(count) => done.killed += count,
                    Err(error) => {
                        done.result = -i64::from(error.raw_os_error().unwrap_or(libc::EIO));
                        done.refused.push((victim.id, victim.start));
                    }
                }
            }
            done.outcome = match answer.outcome_of(done.killed) {
                // It has ended by itself since it was chosen, and its memory comes back: nobody else has to die for it.
                Outcome::Nothing if gone => {
                    done.result = ENDED;
                    Outcome::Waited
                }
                outcome => outcome,
            };
        }
        Kind::End | Kind::Stale | Kind::Gone => {
            return Err(Error::Unexpected(format!("`{}` is nothing to do", answer.kind)));
        }
    }
    Ok(done)
}

/// Takes memory back from a domain.
fn reclaim(bytes: u64, domain: &Domain, done: &mut Done) {
    let current = domain.place.join("memory.current");
    let before = number(&current).unwrap_or_default();
    // The kernel answers EAGAIN where it could take less: what came back counts.
    let asked = fs::write(domain.place.join("memory.reclaim"), bytes.to_string());
    let back = before.saturating_sub(number(&current).unwrap_or(before)).cast_signed();
    match asked {
        Err(error) if error.raw_os_error() != Some(libc::EAGAIN) => {
            done.result = -i64::from(error.raw_os_error().unwrap_or(libc::EIO));
        }
        _ => {
            done.result = back;
            if oomc_abi::watch::reclaimed(bytes.cast_signed(), back) {
                done.outcome = Outcome::Progress;
            }
        }
    }
}

/// Raises the limit of a domain.
fn raise(bytes: u64, domain: &Domain, done: &mut Done) {
    let file = domain.place.join("memory.max");
    match fs::write(&file, bytes.to_string()) {
        Ok(()) => {
            done.outcome = Outcome::Progress;
            done.result = number(&file).unwrap_or(bytes).cast_signed();
        }
        Err(error) => done.result = -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// Holds the process that was chosen; none: it is gone, or another one has its number.
fn hold(id: u64, start: u64) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return Ok(None) };
    let held = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(None),
        held => held?,
    };
    Ok((started(id) == Some(start / TICK)).then_some(held))
}

/// When a process was started, in ticks: field 22 of its `stat`, counted behind the name, which may hold anything.
fn started(id: u64) -> Option<u64> {
    let stat = fs::read(format!("/proc/{id}/stat")).ok()?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 2..)?).ok()?;
    rest.split(' ').nth(19)?.parse().ok()
}

/// Kills a process, or tells it to end, with its `memory.oom.group` if it has one. Gives how many a signal reached.
fn end_process(victim: &Victim, signal: Signal, flight: &mut Flight) -> io::Result<u64> {
    let Some(held) = hold(victim.id, victim.start)? else { return Ok(0) };
    if victim.group != 0 {
        return end_cgroup(victim.group, signal, flight);
    }
    match pidfd_send_signal(&held, signal) {
        Err(rustix::io::Errno::SRCH) => return Ok(0),
        sent => sent?,
    }
    // Its memory is given back at once, not when it is scheduled next; nothing happens to one that was told to end.
    let _ = mrelease(held.as_fd());
    flight.processes.push(held);
    Ok(1)
}

/// Lets a victim that is on its way out give its memory back sooner.
fn hurry(victim: &Victim, flight: &mut Flight) {
    let Ok(Some(held)) = hold(victim.id, victim.start) else { return };
    let _ = mrelease(held.as_fd());
    flight.processes.push(held);
}

/// Kills everything in a cgroup and below, or tells it to end.
fn end_cgroup(id: u64, signal: Signal, flight: &mut Flight) -> io::Result<u64> {
    let Some(path) = cgroup::path(&System::running(), id) else { return Ok(0) };
    let Ok(mount) = cgroup::mount(&System::running()) else { return Ok(0) };
    let place = mount.place().join(path.trim_start_matches('/'));
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let held = File::options().read(true).custom_flags(flags).open(&place)?;
    if held.metadata()?.ino() != id {
        return Ok(0);
    }
    if signal == Signal::TERM {
        let (members, _) = killable(&place);
        let reached = members.iter().filter(|(_, one)| pidfd_send_signal(one, Signal::TERM).is_ok()).count();
        if reached > 0 {
            flight.cgroups.push(place);
        }
        return Ok(reached as u64);
    }
    kill_all(place, flight)
}

/// How often it is looked for those who were born while the others were killed.
const ROUNDS: usize = 16;

/// Kills everything in a cgroup and below that may be killed; gives how many there were. `cgroup.kill` would kill those
/// with an `oom_score_adj` of -1000 as well: where there are such, the others are killed one by one.
fn kill_all(place: PathBuf, flight: &mut Flight) -> io::Result<u64> {
    let (mut members, spared) = killable(&place);
    let count = members.len() as u64;
    if count == 0 {
        return Ok(0);
    }
    if !spared {
        fs::write(place.join("cgroup.kill"), "1")?;
        flight.cgroups.push(place);
        return Ok(count);
    }
    let mut known = BTreeSet::new();
    for _ in 0..ROUNDS {
        members.retain(|(pid, _)| known.insert(pid.as_raw_nonzero()));
        if members.is_empty() {
            break;
        }
        for (_, process) in members.drain(..) {
            // It has ended by itself when this fails.
            let _ = pidfd_send_signal(&process, Signal::KILL);
            let _ = mrelease(process.as_fd());
            flight.processes.push(process);
        }
        members = killable(&place).0;
    }
    Ok(count)
}

/// The processes in a cgroup and below that may be killed, each held; and whether there are others.
fn killable(place: &Path) -> (Vec<(Pid, OwnedFd)>, bool) {
    let pids = |place: &Path| -> Vec<Pid> {
        let procs = fs::read_to_string(place.join("cgroup.procs")).unwrap_or_default();
        procs.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
    };
    let (mut found, mut spared) = (Vec::new(), false);
    cgroup::walk(place, "", &mut |place, _| {
        let open = |pid: Pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?));
        let held: Vec<(Pid, OwnedFd)> = pids(place).into_iter().filter_map(open).collect();
        // Who is there now is the one that is held: another one who has his number is not in this cgroup.
        let there = pids(place);
        for (pid, process) in held.into_iter().filter(|(pid, _)| there.contains(pid)) {
            if is_spared(pid) { spared = true } else { found.push((pid, process)) }
        }
    });
    (found, spared)
}

/// Whom the kernel's own killer would not kill either: the first process, and those with an `oom_score_adj` of -1000
/// (`OOM_SCORE_ADJ_MIN`, `mm/oom_kill.c`).
fn is_spared(pid: Pid) -> bool {
    let adj = fs::read_to_string(format!("/proc/{}/oom_score_adj", pid.as_raw_nonzero()));
    pid == Pid::INIT || adj.is_ok_and(|adj| adj.trim() == "-1000")
}
