//! The processes of the tenants. Each enters its cgroup before it takes memory, and writes a line when it has what it begins
//! with; they end by being killed.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const MEBIBYTE: usize = 1 << 20;
const PAGE: usize = 4096;

/// The main process of the tenants' unit: moves away from the unit's own cgroup, so that there can be others below it.
pub(crate) fn keep() -> Result<(), String> {
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| format!("no cgroup: {error}"))?;
    let path = own.trim().strip_prefix("0::").ok_or("no unified cgroups")?;
    let unit = format!("/sys/fs/cgroup{path}");
    let write = |file: &str, text: &str| {
        fs::write(file, text).map_err(|error| format!("cannot write {file}: {error}"))
    };
    fs::create_dir(format!("{unit}/keeper")).map_err(|error| format!("cannot make a cgroup: {error}"))?;
    write(&format!("{unit}/keeper/cgroup.procs"), "0")?;
    write(&format!("{unit}/cgroup.subtree_control"), "+memory +pids")?;
    sleep()
}

/// A tenant that does nothing.
pub(crate) fn rest(cgroup: &str) -> Result<(), String> {
    enter(cgroup)?;
    sleep()
}

/// A tenant that has its memory, and uses it now and then.
pub(crate) fn hold(cgroup: &str, mebibytes: &str) -> Result<(), String> {
    enter(cgroup)?;
    let mut held = Vec::new();
    take(&mut held, number(mebibytes)?);
    say("ready")?;
    loop {
        thread::sleep(Duration::from_millis(500));
        for chunk in &mut held {
            chunk.iter_mut().step_by(PAGE).for_each(|byte| *byte = byte.wrapping_add(1));
        }
    }
}

/// One of the small ones of a fork bomb; it is in its parent's cgroup.
pub(crate) fn small(mebibytes: &str) -> Result<(), String> {
    let mut held = Vec::new();
    take(&mut held, number(mebibytes)?);
    sleep()
}

/// Takes so many MiB, and then so many a second; 0: as fast as it can.
pub(crate) fn leak(cgroup: &str, first: &str, rate: &str) -> Result<(), String> {
    enter(cgroup)?;
    let (first, rate) = (number(first)?, number(rate)?);
    let mut held = Vec::new();
    take(&mut held, first);
    say("ready")?;
    loop {
        take(&mut held, 1);
        if rate > 0 {
            thread::sleep(Duration::from_millis(1000 / u64::try_from(rate).unwrap_or(1)));
        }
    }
}

/// Starts small ones without end.
pub(crate) fn bomb(cgroup: &str, mebibytes: &str) -> Result<(), String> {
    enter(cgroup)?;
    say("ready")?;
    // By its own name, which is the tenant's.
    let own = env::args().next().ok_or("no name")?;
    let mut children = Vec::new();
    loop {
        let child = Command::new(&own).args(["small", mebibytes]).stdout(Stdio::null()).spawn();
        match child {
            Ok(child) => children.push(child),
            Err(_) => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Takes so many MiB, and then reads a file again and again; says `again` when it begins to read what it has read before.
pub(crate) fn read(cgroup: &str, first: &str, file: &str) -> Result<(), String> {
    enter(cgroup)?;
    let mut held = Vec::new();
    take(&mut held, number(first)?);
    say("ready")?;
    let cannot = |error: io::Error| format!("cannot read {file}: {error}");
    let mut reader = File::open(file).map_err(cannot)?;
    let mut buffer = vec![0; MEBIBYTE];
    loop {
        while reader.read(&mut buffer).map_err(cannot)? > 0 {}
        reader.rewind().map_err(cannot)?;
        say("again")?;
    }
}

fn enter(cgroup: &str) -> Result<(), String> {
    // What the program that started it has is not what a tenant has.
    for file in [format!("{cgroup}/cgroup.procs"), "/proc/self/oom_score_adj".to_owned()] {
        fs::write(&file, "0").map_err(|error| format!("cannot write {file}: {error}"))?;
    }
    Ok(())
}

/// Takes memory, and touches all of it.
fn take(held: &mut Vec<Vec<u8>>, mebibytes: usize) {
    held.extend((0..mebibytes).map(|_| vec![1; MEBIBYTE]));
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn say(line: &str) -> Result<(), String> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).map_err(|error| format!("cannot write: {error}"))
}

fn sleep() -> ! {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
