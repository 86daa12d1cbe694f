//! The machine's disk: Debian with the killers' packages and nothing more than they need, installed once, and what a run
//! brings, put together for each boot.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_peers::plan::Cell;

use crate::build;
use crate::debian::{self, quiet};

/// What is installed besides what every Debian has: systemd as the first process, the killers, and setfattr.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,attr,systemd-oomd,oomd,earlyoom,nohang";
/// The disk's size.
const SIZE: &str = "1100M";
/// The file that is read again and again: more than what is left of memory there.
const LARGE: usize = 256 << 20;
/// The file for swap.
const SWAP: usize = 192 << 20;
/// The configurations, those of the machine itself among them.
const CONFIGURATIONS: &str = "tests/bench/peers";
const OF_THE_MACHINE: &str = "machine";
/// The unit that makes the trials.
const UNIT: &str = "etc/systemd/system/peers.service";

/// A folder with Debian, from the cache. It stays as it is.
pub(super) fn debian() -> Result<PathBuf, String> {
    debian::folder("peers", PACKAGES)
}

/// The disk of a boot: Debian, the programs, the configurations, the plan.
pub(super) fn make(debian: &Path, plan: &[Cell]) -> Result<PathBuf, String> {
    let folder = build::scratch("peers");
    let tree = folder.join("tree");
    remove(&tree)?;
    create(&folder)?;
    quiet(Command::new("cp").arg("-a").arg(debian).arg(&tree), "cp")?;
    // The killers are started one at a time.
    let wants = tree.join("etc/systemd/system/multi-user.target.wants");
    remove(&wants)?;
    remove(&tree.join("etc/systemd/system/timers.target.wants"))?;
    let configurations = build::root().join(CONFIGURATIONS);
    copy(&configurations.join(OF_THE_MACHINE), &tree)?;
    create(&wants)?;
    symlink(format!("/{UNIT}"), wants.join("peers.service"))
        .map_err(|error| format!("cannot make a link in {}: {error}", wants.display()))?;

    let own = tree.join("peers");
    copy(&configurations, &own.join("configurations"))?;
    let oomc = own.join("configurations/oomc/usr");
    program(&build::program("release", "oomc"), &oomc.join("bin/oomc"))?;
    let policies = own.join("configurations/oomc/etc/oomc/policies.d");
    let mut compile = Command::new(build::program("release", "oomc"));
    compile.arg("build").arg(policies.join("peers.oom")).arg("-o").arg(policies.join("peers.o"));
    quiet(&mut compile, "oomc build")?;
    let unit = build::root().join("runtime/systemd/oomc.service");
    file(&unit, &oomc.join("lib/systemd/system/oomc.service"))?;
    program(&build::program("debug", "oomc-peers"), &own.join("bin/oomc-peers"))?;
    let plan = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    write(&own.join("plan.json"), plan.as_bytes())?;
    // A hole would be read without the disk, and is no place for swap; mke2fs makes one of what is all zeros.
    write(&own.join("large"), &vec![1; LARGE])?;
    write(&own.join("swap"), &vec![1; SWAP])?;
    let image = folder.join("disk.img");
    debian::image(&tree, &image, SIZE)?;
    remove(&tree)?;
    Ok(image)
}

/// The files below a folder, in order.
fn all(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |error| format!("cannot look into {}: {error}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.is_dir() { found.extend(all(&path)?) } else { found.push(path) }
    }
    found.sort();
    Ok(found)
}

/// Copies the files below a folder; nobody but their owner may write to them, or oomc refuses its policies.
fn copy(from: &Path, to: &Path) -> Result<(), String> {
    for path in all(from)? {
        let name = path.strip_prefix(from).map_err(|error| error.to_string())?;
        file(&path, &to.join(name))?;
    }
    Ok(())
}

fn file(from: &Path, to: &Path) -> Result<(), String> {
    with_mode(from, to, 0o644)
}

fn program(from: &Path, to: &Path) -> Result<(), String> {
    with_mode(from, to, 0o755)
}

fn with_mode(from: &Path, to: &Path, mode: u32) -> Result<(), String> {
    create(to.parent().unwrap_or(to))?;
    fs::copy(from, to)
        .and_then(|_| fs::set_permissions(to, fs::Permissions::from_mode(mode)))
        .map_err(|error| format!("cannot copy {} to {}: {error}", from.display(), to.display()))
}

fn create(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(|error| format!("cannot remove {}: {error}", folder.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
