//! The machine's disks: Debian with the killers' packages and nothing more than they need, made once; and what a run
//! brings, made for each boot.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_peers::plan::Cell;
use sha2::{Digest as _, Sha256};

use crate::{build, kernel, say};

/// The release whose packages are compared.
const RELEASE: &str = "bookworm";
/// What is installed besides what every Debian has: systemd as the first process, the killers, and setfattr.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,attr,systemd-oomd,oomd,earlyoom,nohang";
/// Where the archives of this machine stand; the first that is there.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
/// Its size, and that of the disk of a run.
const ROOT_SIZE: &str = "500M";
const FILES_SIZE: &str = "400M";
/// The file that is read again and again: more than what is left of memory there.
const LARGE: usize = 256 << 20;
/// The configurations, those of the machine itself among them.
const CONFIGURATIONS: &str = "tests/bench/peers";
const OF_THE_MACHINE: &str = "machine";
/// The unit that makes the trials, and where the disk of a run is.
const UNIT: &str = "etc/systemd/system/peers.service";
const MOUNTS: &str = "/dev/nvme1n1 /peers ext4 defaults 0 0\n";

/// The disk with Debian, from the cache.
pub(super) fn root() -> Result<PathBuf, String> {
    let machine = build::root().join(CONFIGURATIONS).join(OF_THE_MACHINE);
    let cache = kernel::cache_base()?.join("oomc/peers").join(key(&machine)?);
    let image = cache.join("root.img");
    if image.exists() {
        return Ok(image);
    }
    say("Installing Debian with the OOM killers into a folder …");
    create(&cache)?;
    let sources = SOURCES.iter().find(|file| Path::new(file).exists());
    let tree = cache.join("tree");
    remove(&tree)?;
    let mut install = Command::new("mmdebstrap");
    install.args([
        "--quiet",
        "--mode=root",
        "--variant=essential",
        "--aptopt=APT::Install-Recommends \"false\"",
    ]);
    let left_out = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];
    install.args(left_out.map(|path| format!("--dpkgopt=path-exclude={path}")));
    install.arg(format!("--include={PACKAGES}")).arg(RELEASE).arg(&tree).args(sources);
    quiet(&mut install, "mmdebstrap (which has to be root)")?;
    // The killers are started one at a time.
    for target in ["multi-user", "timers"] {
        remove(&tree.join(format!("etc/systemd/system/{target}.target.wants")))?;
    }
    copy(&machine, &tree)?;
    let wants = tree.join("etc/systemd/system/multi-user.target.wants");
    create(&wants)?;
    create(&tree.join("peers"))?;
    symlink(format!("/{UNIT}"), wants.join("peers.service"))
        .map_err(|error| format!("cannot make a link in {}: {error}", wants.display()))?;
    write(&tree.join("etc/fstab"), MOUNTS.as_bytes())?;
    let part = cache.join("root.part");
    disk(&tree, &part, ROOT_SIZE)?;
    fs::rename(&part, &image).map_err(|error| format!("cannot move {}: {error}", part.display()))?;
    remove(&tree)?;
    Ok(image)
}

/// The disk of a run: programs, configurations, the plan.
pub(super) fn files(plan: &[Cell]) -> Result<PathBuf, String> {
    let folder = build::scratch("peers");
    let tree = folder.join("files");
    remove(&tree)?;
    let configurations = tree.join("configurations");
    copy(&build::root().join(CONFIGURATIONS), &configurations)?;
    let oomc = configurations.join("oomc/usr");
    program(&build::program("release", "oomc"), &oomc.join("bin/oomc"))?;
    let unit = build::root().join("runtime/systemd/oomc.service");
    file(&unit, &oomc.join("lib/systemd/system/oomc.service"))?;
    program(&build::program("debug", "oomc-peers"), &tree.join("bin/oomc-peers"))?;
    let plan = serde_json::to_string(plan).map_err(|error| error.to_string())?;
    write(&tree.join("plan.json"), plan.as_bytes())?;
    // A hole would be read without the disk.
    write(&tree.join("large"), &vec![1; LARGE])?;
    let image = folder.join("files.img");
    disk(&tree, &image, FILES_SIZE)?;
    remove(&tree)?;
    Ok(image)
}

/// What a root is made of, as a name.
fn key(machine: &Path) -> Result<String, String> {
    let mut hash = Sha256::new();
    [RELEASE, PACKAGES, ROOT_SIZE, MOUNTS].iter().for_each(|part| hash.update(part));
    for path in all(machine)? {
        hash.update(fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?);
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
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

/// A file system of a folder.
fn disk(tree: &Path, image: &Path, size: &str) -> Result<(), String> {
    let mut command = Command::new("/sbin/mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(tree).arg(image).arg(size);
    quiet(&mut command, "mke2fs")
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

fn quiet(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
