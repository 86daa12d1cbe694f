//! The processes of a case: starts them, tells them what to do, sees how they end.
//!
//! All of them share one processor, and the one that grows runs only when no other wants it: so a
//! victim is gone before the growing one asks again. Without that the kernel itself is free to kill
//! a second one. A dying process counts as reaped (MMF_OOM_SKIP) from the moment in exit_mmap()
//! (mm/mmap.c, 6.12) when it is unmapped, and the pages of a small one are given back after that;
//! and whoever waits for the OOM killer has looked at the limit before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use oomc_vm::script::{Memory, Part, State};

use crate::{map, tree};

/// The one on which all of them run: the last. The first is left to everything else, if there is another one.
fn processor() -> Result<usize, String> {
    let count =
        thread::available_parallelism().map_err(|error| format!("cannot count processors: {error}"))?;
    Ok(count.get() - 1)
}

/// How long a command may take that is expected to come to its end.
const PATIENCE: Duration = Duration::from_secs(45);

/// How long a task must be busy to count as stuck: shorter than the two seconds after which the
/// kernel's reaper takes the memory of a victim that is held back (`OOM_REAPER_DELAY`, 6.12).
const STUCK: Duration = Duration::from_secs(1);

/// How long to look again before an expected end counts as missing.
const LINGER: Duration = Duration::from_secs(60);

/// How often somebody else may get a number first.
const RACES: usize = 50;

/// One process.
struct Process {
    pid: Pid,
    input: ChildStdin,
    answers: Receiver<String>,
    /// The traced thread that will be held back when it dies.
    traced: Option<Pid>,
    held_back: bool,
    end: Option<WaitStatus>,
}

/// All processes of a case, by the names of the script.
#[derive(Default)]
pub(crate) struct Processes {
    by_name: BTreeMap<String, Process>,
}

/// How a command to a process ended.
pub(crate) enum Outcome {
    Done,
    Refused(String),
    Gone,
    Busy,
}

impl Processes {
    /// Starts a process in a cgroup and waits until it holds what it should.
    pub(crate) fn start(&mut self, name: &str, cgroup: &str, parts: &[Part]) -> Result<(), String> {
        let mut command = Command::new("/init");
        command.arg("task").stdin(Stdio::piped()).stdout(Stdio::piped());
        if let Some(uid) =
            parts.iter().find_map(|part| if let Part::Uid(uid) = part { Some(uid) } else { None })
        {
            command.uid(*uid);
        }
        let number = parts.iter().find_map(|part| if let Part::Number(of) = part { Some(of) } else { None });
        let number = number.map(|of| self.find(of).map(|of| of.pid)).transpose()?;
        let child = match number {
            None => command.spawn(),
            Some(number) => spawn_as(&mut command, number),
        };
        let mut child = child.map_err(|error| format!("cannot start {name}: {error}"))?;
        let id = child.id();
        let pid = Pid::from_raw(i32::try_from(id).map_err(|error| error.to_string())?);
        let input = child.stdin.take().ok_or("a task has no input")?;
        let output = child.stdout.take().ok_or("a task has no output")?;
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let (mut shared, processor) = (CpuSet::new(), processor()?);
        shared
            .set(processor)
            .and_then(|()| sched_setaffinity(pid, &shared))
            .map_err(|error| format!("cannot put {name} on processor {processor}: {error}"))?;
        map::put_first(pid.as_raw(), true)?;
        tree::write(cgroup, "cgroup.procs", &id.to_string())?;
        let adj = parts.iter().find_map(|part| if let Part::Adj(adj) = part { Some(*adj) } else { None });
        write_adj(pid, adj.unwrap_or(0))?;
        let process = Process { pid, input, answers, traced: None, held_back: false, end: None };
        if self.by_name.insert(name.to_owned(), process).is_some() {
            return Err(format!("there is already a task `{name}`"));
        }
        self.expect_done(name, &format!("comm {name}"))?;
        for part in parts {
            let command = match part {
                Part::Holds(kind, size) => format!("{} {size}", word(*kind)),
                Part::Comm(comm) => format!("comm {comm}"),
                Part::Threads(count) => format!("threads {count}"),
                Part::Sparse(count) => format!("sparse {count}"),
                Part::Deaf => "deaf".to_owned(),
                Part::Adj(_) | Part::Uid(_) | Part::Number(_) => continue,
            };
            self.expect_done(name, &command)?;
        }
        Ok(())
    }

    fn expect_done(&mut self, name: &str, command: &str) -> Result<(), String> {
        match self.command(name, command, PATIENCE)? {
            Outcome::Done => Ok(()),
            Outcome::Refused(error) => Err(format!("`{name}` could not obey `{command}`: {error}")),
            Outcome::Gone => Err(format!("`{name}` died of `{command}`")),
            Outcome::Busy => Err(format!("`{name}` was not done with `{command}` in time")),
        }
    }

    /// Lets a process grow. Stuck is only looked for when it is expected.
    pub(crate) fn grow(
        &mut self,
        name: &str,
        kind: Memory,
        size: u64,
        stuck: bool,
    ) -> Result<Outcome, String> {
        map::put_first(self.find(name)?.pid.as_raw(), false)?;
        let patience = if stuck { STUCK } else { PATIENCE };
        self.command(name, &format!("{} {size}", word(kind)), patience)
    }

    /// Ends the main thread of a process; its others stay.
    pub(crate) fn leader_exits(&mut self, name: &str) -> Result<(), String> {
        self.expect_done(name, "leave")
    }

    fn command(&mut self, name: &str, command: &str, patience: Duration) -> Result<Outcome, String> {
        let process = self.find(name)?;
        if writeln!(process.input, "{command}").and_then(|()| process.input.flush()).is_err() {
            return Ok(Outcome::Gone);
        }
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
            match process.answers.recv_timeout(left) {
                Ok(answer) if answer == "ok" => return Ok(Outcome::Done),
                Ok(answer) => return Ok(Outcome::Refused(answer)),
                Err(RecvTimeoutError::Disconnected) => return Ok(Outcome::Gone),
                Err(RecvTimeoutError::Timeout) => {}
            }
            // One that is held back while it dies keeps its pipe open.
            process.look();
            if process.held_back || process.end.is_some() {
                return Ok(Outcome::Gone);
            }
            if Instant::now() >= end {
                return Ok(Outcome::Busy);
            }
        }
    }

    /// Changes `oom_score_adj`.
    pub(crate) fn adj(&mut self, name: &str, value: i64) -> Result<(), String> {
        let pid = self.find(name)?.pid;
        write_adj(pid, value)
    }

    /// An ordinary SIGKILL.
    pub(crate) fn kill(&mut self, name: &str) -> Result<(), String> {
        let pid = self.find(name)?.pid;
        kill(pid, Signal::SIGKILL).map_err(|error| format!("cannot kill `{name}`: {error}"))
    }

    /// From now on the process, or one of its threads, stops on its way out, before its memory is
    /// gone: as a tracer asks with PTRACE_O_TRACEEXIT (ptrace(2)). The kernel's reaper still takes
    /// the memory two seconds later.
    pub(crate) fn linger(&mut self, name: &str, thread: bool) -> Result<(), String> {
        let process = self.find(name)?;
        let tid = if thread { other_thread(process.pid)? } else { process.pid };
        ptrace::seize(tid, Options::PTRACE_O_TRACEEXIT)
            .map_err(|error| format!("cannot trace `{name}`: {error}"))?;
        process.traced = Some(tid);
        Ok(())
    }

    /// Checks the state of a process; an end is waited for.
    pub(crate) fn expect(&mut self, name: &str, wanted: State) -> Result<(), String> {
        let process = self.find(name)?;
        if matches!(wanted, State::Killed | State::Ended | State::Exited(_)) {
            process.let_go();
        }
        if wanted == State::Alive {
            // An end that is under way is not yet to be seen.
            thread::sleep(Duration::from_millis(50));
        }
        let limit = Instant::now() + LINGER;
        loop {
            process.look();
            let found = match process.end {
                Some(WaitStatus::Signaled(_, Signal::SIGKILL, _)) => Some(State::Killed),
                Some(WaitStatus::Signaled(_, Signal::SIGTERM, _)) => Some(State::Ended),
                Some(WaitStatus::Exited(_, status)) => Some(State::Exited(status)),
                Some(_) => None,
                None if process.held_back => Some(State::Dying),
                None => Some(State::Alive),
            };
            if found == Some(wanted) {
                return Ok(());
            }
            let over = process.end.is_some() || wanted == State::Alive;
            if over || Instant::now() > limit {
                let found = match (found, process.end) {
                    (Some(State::Alive), _) => "alive".to_owned(),
                    (Some(State::Dying), _) => "dying".to_owned(),
                    (_, Some(WaitStatus::Signaled(_, signal, _))) => format!("killed by {signal}"),
                    (_, Some(WaitStatus::Exited(_, status))) => format!("exited with {status}"),
                    (_, end) => format!("{end:?}"),
                };
                return Err(format!("`{name}` is {found}"));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn find(&mut self, name: &str) -> Result<&mut Process, String> {
        self.by_name.get_mut(name).ok_or_else(|| format!("there is no task `{name}`"))
    }
}

impl Process {
    /// Takes note of what has happened to it.
    fn look(&mut self) {
        let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
        for pid in self.traced.into_iter().chain([self.pid]) {
            if self.end.is_some() {
                return;
            }
            match waitpid(pid, Some(flags)) {
                Ok(WaitStatus::PtraceEvent(..)) => self.held_back = true,
                // Any other stop is not what the script asked for: let it run on.
                Ok(WaitStatus::Stopped(stopped, _)) => drop(ptrace::cont(stopped, None)),
                Ok(end @ (WaitStatus::Signaled(ended, ..) | WaitStatus::Exited(ended, _)))
                    if ended == self.pid =>
                {
                    self.end = Some(end);
                }
                _ => {}
            }
        }
    }

    /// Lets one that was held back come to its end.
    fn let_go(&mut self) {
        if let Some(tid) = self.traced
            && self.held_back
        {
            // Fails if it has been freed by something else, which is as good.
            let _ = ptrace::detach(tid, None);
            self.traced = None;
        }
    }
}

/// Starts a process with a number that is free: the kernel gives the next one behind the last, which root may write.
fn spawn_as(command: &mut Command, number: Pid) -> io::Result<Child> {
    for _ in 0..RACES {
        fs::write("/proc/sys/kernel/ns_last_pid", (number.as_raw() - 1).to_string())?;
        let mut child = command.spawn()?;
        if i32::try_from(child.id()) == Ok(number.as_raw()) {
            return Ok(child);
        }
        child.kill()?;
        child.wait()?;
    }
    Err(io::Error::other(format!("somebody else always gets the number {number}")))
}

fn word(kind: Memory) -> &'static str {
    match kind {
        Memory::Anon => "anon",
        Memory::File => "file",
        Memory::Shmem => "shmem",
    }
}

fn write_adj(pid: Pid, value: i64) -> Result<(), String> {
    fs::write(format!("/proc/{pid}/oom_score_adj"), value.to_string())
        .map_err(|error| format!("cannot write oom_score_adj of {pid}: {error}"))
}

/// The thread of a process that was started last.
fn other_thread(pid: Pid) -> Result<Pid, String> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|error| format!("cannot list the threads of {pid}: {error}"))?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
        .filter(|&tid: &i32| tid != pid.as_raw())
        .max()
        .map(Pid::from_raw)
        .ok_or_else(|| format!("{pid} has one thread only"))
}
