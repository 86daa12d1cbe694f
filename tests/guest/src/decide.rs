//! Asks a policy as user space does on a kernel without the hook, and carries out what it says: the simplest engine that
//! there can be.
//!
//! Waits for nothing and watches nothing: a step of a case says when a cgroup is about to run out. What is asked for
//! and what came of it is told line by line.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use oomc_abi::btf::Btf;
use oomc_abi::record::{Action, Record};
use oomc_abi::request::{Answer, Done, Kind, Outcome, Question, Trigger, Victim};
use oomc_runtime::cgroup;
use oomc_runtime::decide::Read;
use oomc_runtime::object::{Object, relocate};
use oomc_runtime::{Decider, Settings, Shown, System, Target};
use oomc_vm::dead;

use crate::tree;

/// How often a decision may go on before it counts as endless.
const STEPS: u64 = 64;
/// How long somebody who was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// Nanoseconds of a tick of the clock in which a start time is told.
const TICK: u64 = 10_000_000;

/// A policy that is asked.
pub(crate) struct Engine {
    object: Object,
    decider: Decider,
    /// What commands see of it.
    shown: Option<Shown>,
    system: System<'static>,
    decisions: u64,
}

impl Engine {
    /// Loads the program of an object that is for kernels without the hook.
    pub(crate) fn load(file: &str) -> Result<Self, String> {
        let bytes = fs::read(file).map_err(|error| format!("cannot read {file}: {error}"))?;
        let object = Object::parse(&bytes).map_err(|error| format!("{file}: {error}"))?;
        let system = System::running();
        let decider =
            with_kernel(|kernel| Decider::load_into(kernel, &system, &object, &Settings::default()));
        let decider = decider?.map_err(|error| told(&error))?;
        Ok(Self { object, decider, shown: None, system, decisions: 0 })
    }

    /// What the verifier said.
    pub(crate) fn sizes(&self) -> String {
        let program = self.decider.program();
        let (insns, after, processed) = (program.insns, program.xlated, program.verified);
        format!("{insns} instructions, {after} after the verifier, which processed {processed}")
    }

    /// One decision about a cgroup, carried out; what was asked for, line by line.
    pub(crate) fn decide(&mut self, cgroup: &str) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        let folder = tree::folder(cgroup);
        cgroup::count_up(&folder).map_err(|error| format!("memory.stat: {error}"))?;
        let id = fs::metadata(&folder).map_err(|error| format!("{cgroup}: {error}"))?.ino();
        if self.shown.is_none() {
            let target = Target::Cgroup(cgroup.to_owned());
            let shown = Shown::of(&self.system, &self.object, &self.decider, &target);
            self.shown = Some(shown.map_err(|error| told(&error))?);
        }
        self.decisions += 1;
        let mut question = Question::begin(self.decisions, id, id, false, Trigger::Limit);
        for _ in 0..STEPS {
            let answer = self.decider.ask(&self.system, &question).map_err(|error| told(&error))?;
            let done = match answer.kind {
                Kind::End => {
                    lines.extend(self.last_record()?);
                    return Ok(lines);
                }
                Kind::Stale | Kind::Gone => return Err(answer.kind.text().to_owned()),
                _ => carry_out(&answer, &folder, &mut lines)?,
            };
            question = question.after(&answer, &done);
        }
        Err(format!("a decision without end:\n{}", lines.join("\n")))
    }

    fn last_record(&self) -> Result<Option<String>, String> {
        let records = self.decider.records(&self.system).map_err(|error| told(&error))?;
        Ok(records.last().map(sentence))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(shown) = self.shown.take() {
            let _ = shown.remove(&self.system);
        }
    }
}

/// With what is read of the kernel once: it takes a second.
fn with_kernel<T>(use_it: impl FnOnce(&Read) -> T) -> Result<T, String> {
    thread_local!(static KERNEL: OnceCell<Read> = const { OnceCell::new() });
    KERNEL.with(|kernel| {
        if kernel.get().is_none() {
            let read = Read::of(&System::running()).map_err(|error| told(&error))?;
            let _ = kernel.set(read);
        }
        kernel.get().map(use_it).ok_or_else(|| "the kernel was not read".to_owned())
    })
}

/// Lets the verifier look at the programs of objects, and forgets them. Gives a line for each: how many instructions it has,
/// how many of them can never run on this kernel, how many the verifier has left, and how many it looked at.
pub(crate) fn accept(files: &[String], tell: impl FnMut(String)) -> Result<(), String> {
    with_kernel(|kernel| accept_into(kernel, files, tell))?
}

fn accept_into(kernel: &Read, files: &[String], mut tell: impl FnMut(String)) -> Result<(), String> {
    let system = System::running();
    for file in files {
        let wrong = |error: String| format!("{file}: {error}");
        let bytes = fs::read(file).map_err(|error| wrong(error.to_string()))?;
        let object = Object::parse(&bytes).map_err(|error| wrong(error.to_string()))?;
        let decider = Decider::load_into(kernel, &system, &object, &Settings::default());
        let program = decider.map_err(|error| wrong(told(&error)))?.program();
        let asked = object.asked().and_then(|asked| relocated(&asked, kernel.types()));
        let never = asked.map_or(0, |code| dead::count(&code));
        let (insns, after, processed) = (program.insns, program.xlated, program.verified);
        tell(format!(
            "{file}: {insns} instructions, {never} never run here, {after} after the verifier, which processed {processed}"
        ));
    }
    Ok(())
}

/// The instructions of an object as a loader hands them to a kernel with these types. What the object asks for beyond types
/// is taken to be there.
fn relocated(object: &Object, btf: &Btf) -> Option<Vec<u64>> {
    let found = relocate::find(&object.externs, btf, |_| Some(1)).ok()?;
    let fds = relocate::MapFds { globals: vec![0; object.globals.len()], maps: vec![0; object.maps.len()] };
    Some(relocate::apply(object, btf, &found, &fds).ok()?.code)
}

/// An error with all that it knows.
fn told(error: &oomc_runtime::Error) -> String {
    match error {
        oomc_runtime::Error::Verifier(refusal) => format!("{error}\n{refusal:?}"),
        error => error.to_string(),
    }
}

/// What was written down.
fn sentence(record: &Record) -> String {
    let action = Action::from_code(record.action).map_or("?", Action::text);
    let by = record.rule.map_or_else(|| "no rule".to_owned(), |rule| format!("rule {rule}"));
    let candidates: Vec<&str> = record.candidates.iter().map(|one| one.name.as_str()).collect();
    format!(
        "decided: {action} ({by}), victim `{}`, killed {}, candidates {}, asked {}, answer {}",
        record.victim_name,
        record.killed,
        candidates.join(" "),
        record.asked,
        record.answer
    )
}

fn carry_out(answer: &Answer, folder: &Path, lines: &mut Vec<String>) -> Result<Done, String> {
    let mut done = Done { outcome: Outcome::Nothing, result: 0, killed: 0, refused: Vec::new() };
    match answer.kind {
        Kind::RaiseLimit => {
            lines.push(format!("asks to raise the limit to {}", answer.bytes));
            let wanted = answer.bytes.to_string();
            fs::write(folder.join("memory.max"), wanted).map_err(|error| format!("memory.max: {error}"))?;
            done.outcome = Outcome::Progress;
            done.result = answer.bytes.cast_signed();
        }
        Kind::Wait => {
            lines.push("asks to wait for a victim".to_owned());
            done.outcome = Outcome::Progress;
        }
        _ => {
            for victim in &answer.victims {
                let before = done.killed;
                match answer.kind == Kind::KillCgroup || victim.start == 0 {
                    true if victim.group == 0 => kill_cgroup(victim.id, &mut done, lines)?,
                    true => kill_cgroup(victim.group, &mut done, lines)?,
                    false => kill_process(victim, &mut done, lines)?,
                }
                if done.killed == before {
                    done.refused.push((victim.id, victim.start));
                }
            }
            done.outcome = answer.outcome_of(done.killed);
        }
    }
    Ok(done)
}

fn kill_process(victim: &Victim, done: &mut Done, lines: &mut Vec<String>) -> Result<(), String> {
    let pid = i32::try_from(victim.id).map_err(|error| error.to_string())?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    lines.push(format!("asks to kill process `{}`", name.trim()));
    if started(pid) != Some(victim.start / TICK) {
        return Ok(());
    }
    if victim.group != 0 {
        return kill_cgroup(victim.group, done, lines);
    }
    if end(pid) {
        done.killed += 1;
    }
    Ok(())
}

/// Kills all of a cgroup.
fn kill_cgroup(id: u64, done: &mut Done, lines: &mut Vec<String>) -> Result<(), String> {
    let folder = find(&tree::folder("/"), id).ok_or_else(|| format!("no cgroup has the number {id}"))?;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    lines.push(format!("asks to kill cgroup `{name}`"));
    for pid in members(&folder) {
        // The kernel's own killer spares them as well.
        let adj = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap_or_default();
        if adj.trim() != "-1000" && end(pid) {
            done.killed += 1;
        }
    }
    Ok(())
}

/// The processes in a cgroup and below.
fn members(folder: &Path) -> Vec<i32> {
    let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let mut pids: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
    for below in folders(folder) {
        pids.extend(members(&below));
    }
    pids
}

fn folders(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn find(folder: &Path, id: u64) -> Option<std::path::PathBuf> {
    if fs::metadata(folder).is_ok_and(|data| data.ino() == id) {
        return Some(folder.to_owned());
    }
    folders(folder).iter().find_map(|below| find(below, id))
}

/// Kills a process, and waits until it is no more than a number.
fn end(pid: i32) -> bool {
    if kill(Pid::from_raw(pid), Signal::SIGKILL).is_err() {
        return false;
    }
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || field(&state, 3).is_some_and(|state| state == "Z" || state == "X") {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// When a process was started, in ticks since the boot.
fn started(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    field(&text, 22)?.parse().ok()
}

/// A field of `/proc/PID/stat`, from 3 on: those behind the command name.
fn field(text: &str, number: usize) -> Option<&str> {
    text.rsplit_once(')')?.1.split_whitespace().nth(number.checked_sub(3)?)
}
