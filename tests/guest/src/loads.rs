//! What a load takes, time and memory: `oomc load` and the reference loader, in turn, with the same object.

use std::process::Command;

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

/// Runs a program and prints what it took: `init cost PROGRAM ARGUMENT…`.
pub(crate) fn cost(words: &[&str]) -> Result<(), String> {
    crate::run::line(&oomc_vm::cost::of(words)?.to_string())
}
