//! Process 1: mounts what the cases need, runs them one after the other, each in a process of its
//! own with a time limit, cleans up after each, reports over the second serial port, reboots.
//!
//! It trusts no case: whatever a case leaves behind (processes, cgroups, pins, swap) is removed
//! here, so that cases do not depend on each other.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use oomc_vm::machine;
use oomc_vm::report::{Message, Progress, Report};

use crate::kmsg::{self, Log};
use crate::{map, places, tree};

/// Runs all the cases and powers off. Does not return in the ordinary course.
pub(crate) fn run() -> Result<(), String> {
    let result = work();
    if let Err(error) = &result {
        // The only reader left is the kernel's console.
        let _ = fs::write("/dev/kmsg", format!("<0>init: {error}"));
    }
    thread::sleep(Duration::from_millis(100));
    let _ = reboot(RebootMode::RB_AUTOBOOT);
    result
}

fn work() -> Result<(), String> {
    mount_all()?;
    let mut port = File::options()
        .write(true)
        .open("/dev/ttyS1")
        .map_err(|error| format!("cannot open /dev/ttyS1: {error}"))?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    send(&mut port, &Message::Ready { kernel: kernel.trim().to_owned() })?;

    let order =
        fs::read_to_string("/cases/order").map_err(|error| format!("cannot read /cases/order: {error}"))?;
    let limit = limit()?;
    let mut log = Log::open()?;
    for name in order.lines() {
        send(&mut port, &Message::Started { case: name.to_owned() })?;
        let start = Instant::now();
        let mut report = one(name, limit)?;
        let left = clean_up();
        report.millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        report.log = log.drain();
        if let Some(line) = kmsg::complaint(&report.log) {
            report.failure = Some(format!("the kernel complained: {line}"));
        } else if let (None, Err(left)) = (&report.failure, left) {
            report.failure = Some(left);
        }
        if report.failure.is_none() {
            report.log.clear();
        }
        send(&mut port, &Message::Finished(report))?;
    }
    send(&mut port, &Message::End)
}

/// How long one case may take: whoever booted the machine says it.
fn limit() -> Result<Duration, String> {
    let words =
        fs::read_to_string("/proc/cmdline").map_err(|error| format!("cannot read /proc/cmdline: {error}"))?;
    words
        .split_whitespace()
        .find_map(|word| word.strip_prefix(machine::LIMIT)?.parse().ok())
        .map(Duration::from_secs)
        .ok_or_else(|| format!("no `{}` in the kernel's command line", machine::LIMIT))
}

fn send(port: &mut File, message: &Message) -> Result<(), String> {
    let mut line = serde_json::to_string(message).map_err(|error| error.to_string())?;
    line.push('\n');
    port.write_all(line.as_bytes()).map_err(|error| format!("cannot write to /dev/ttyS1: {error}"))
}

fn mount_all() -> Result<(), String> {
    // /dev is mounted by the kernel only when the root file system is not the initramfs.
    for (kind, place) in [
        ("devtmpfs", "/dev"),
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("bpf", "/sys/fs/bpf"),
        ("tmpfs", "/tmp"),
        // Its pages are ordinary page cache that nothing can write back: file memory of known size.
        ("ramfs", "/ram"),
    ] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
            .map_err(|error| format!("cannot mount {kind} at {place}: {error}"))?;
    }
    tree::open_to_everybody("/ram")?;
    Ok(())
}

/// Runs one case in a process of its own.
fn one(name: &str, limit: Duration) -> Result<Report, String> {
    let mut report = Report { case: name.to_owned(), ..Report::default() };
    let mut child = Command::new("/proc/self/exe")
        .args(["case", name])
        .current_dir(format!("/cases/{name}"))
        .env("PATH", "/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start the case {name}: {error}"))?;
    let output = child.stdout.take().ok_or("the case has no output")?;
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    let end = Instant::now() + limit;
    let mut passed = false;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(Progress::Step(text)) => report.steps.push(text),
                Ok(Progress::Shown(text)) => report.shown.push(text),
                Ok(Progress::Decided(decision)) => report.decisions.push(decision),
                Ok(Progress::Machine(snapshot)) => report.machine = Some(snapshot),
                Ok(Progress::Failed(text)) => report.failure = Some(text),
                Ok(Progress::Passed) => passed = true,
                Err(_) => report.steps.push(line),
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                report.failure = Some(format!("not finished after {} seconds", limit.as_secs()));
                break;
            }
        }
    }
    finish(&mut child, &mut report, passed)?;
    Ok(report)
}

fn finish(child: &mut Child, report: &mut Report, passed: bool) -> Result<(), String> {
    if report.failure.is_some() {
        // It may already be gone; then there is nothing to kill.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| format!("cannot wait for the case: {error}"))?;
    if report.failure.is_none() && !(passed && status.success()) {
        report.failure = Some(format!("the runner of the case ended with {status}"));
    }
    Ok(())
}

/// Removes what a case may have left. What cannot be removed is the case's failure.
fn clean_up() -> Result<(), String> {
    let end = Instant::now() + Duration::from_secs(20);
    tree::kill_everything();
    loop {
        reap();
        tree::remove_everything();
        if tree::is_empty() {
            break;
        }
        if Instant::now() > end {
            return Err("its cgroups could not be removed within 20 seconds".to_owned());
        }
        tree::kill_everything();
        thread::sleep(Duration::from_millis(20));
    }
    tree::unhide();
    places::restore();
    for folder in ["/sys/fs/bpf", "/ram", "/tmp"] {
        tree::empty_folder(folder);
    }
    map::swap_off();
    Ok(())
}

/// Takes in orphans, which become children of process 1.
fn reap() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}
