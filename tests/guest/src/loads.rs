//! What a load takes, time and memory: `oomc load` and the reference loader, in turn, with the same object.

use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

use crate::tree;

/// Loads it by each loader, and takes it away again: `count` times, after one time that is not counted. Gives a line
/// for each load: who, nanoseconds, kibibytes.
pub(crate) fn compare(object: &str, cgroup: &str, count: u32) -> Result<Vec<String>, String> {
    let folder = tree::folder(cgroup);
    let folder = folder.to_str().ok_or_else(|| format!("{cgroup} is no text"))?;
    let mut lines = Vec::new();
    for at in 0..=count {
        let own = apart(&["/bin/oomc", "load", object, "--cgroup", cgroup])?;
        say(Command::new("/bin/oomc").args(["unload", "--cgroup", cgroup]))?;
        let other = apart(&["/init", "libbpf", "once", object, folder])?;
        if at > 0 {
            lines.push(format!("oomc {own}"));
            lines.push(format!("libbpf {other}"));
        }
    }
    Ok(lines)
}

/// Runs a program in a process that has no other child: the kernel tells the largest memory of all children together.
fn apart(words: &[&str]) -> Result<String, String> {
    say(Command::new("/init").arg("cost").args(words))
}

/// What a program prints.
fn say(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot start a loader: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("a loader ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Runs a program and prints nanoseconds and kibibytes: `init cost PROGRAM ARGUMENT…`.
pub(crate) fn cost(words: &[&str]) -> Result<(), String> {
    let (program, args) = words.split_first().ok_or("no program")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cannot start {program}: {error}"))?;
    let nanoseconds = start.elapsed().as_nanos();
    if !status.success() {
        return Err(format!("{program} ended with {status}"));
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| format!("getrusage: {error}"))?;
    crate::run::line(&format!("{nanoseconds} {}", usage.max_rss()))
}
