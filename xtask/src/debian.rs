//! Debian in a folder, installed once, and disks made of folders: for machines whose first process is systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::packages::Package;
use crate::{kernel, say};

/// To make the folder of packages, and a disk of a folder.
pub(crate) const TOOLS: [Package; 2] = [("mmdebstrap", "mmdebstrap"), ("e2fsprogs", "/sbin/mke2fs")];

/// The release.
const RELEASE: &str = "bookworm";
/// Where the archives of this machine stand; the first that is there.
const SOURCES: [&str; 2] = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"];
/// What no machine here reads.
const LEFT_OUT: [&str; 3] = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*"];

/// A folder with what every Debian has and these packages, from the cache of this name. It stays as it is.
pub(crate) fn folder(name: &str, packages: &str) -> Result<PathBuf, String> {
    let cache = kernel::cache_base()?.join("oomc").join(name);
    let folder = cache.join(key(packages));
    if folder.exists() {
        return Ok(folder);
    }
    say(&format!("Installing Debian into a folder, with {packages} …"));
    fs::create_dir_all(&cache).map_err(|error| format!("cannot create {}: {error}", cache.display()))?;
    let part = cache.join("part");
    if part.exists() {
        fs::remove_dir_all(&part).map_err(|error| format!("cannot remove {}: {error}", part.display()))?;
    }
    let mut install = Command::new("mmdebstrap");
    install.args(["--quiet", "--mode=root", "--variant=essential"]);
    install.arg("--aptopt=APT::Install-Recommends \"false\"");
    install.args(LEFT_OUT.map(|path| format!("--dpkgopt=path-exclude={path}")));
    let sources = SOURCES.iter().find(|file| Path::new(file).exists());
    install.arg(format!("--include={packages}")).arg(RELEASE).arg(&part).args(sources);
    quiet(&mut install, "mmdebstrap (which has to be root)")?;
    fs::rename(&part, &folder).map_err(|error| format!("cannot move {}: {error}", part.display()))?;
    Ok(folder)
}

/// A disk with the content of a folder.
pub(crate) fn image(tree: &Path, image: &Path, size: &str) -> Result<(), String> {
    let mut command = Command::new("/sbin/mke2fs");
    command.args(["-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d"]).arg(tree).arg(image).arg(size);
    quiet(&mut command, "mke2fs")
}

/// What Debian is made of, as a name.
fn key(packages: &str) -> String {
    let hash = Sha256::digest(format!("{RELEASE} {packages}"));
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Runs a program; its output is shown only when it fails.
pub(crate) fn quiet(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
