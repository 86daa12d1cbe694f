//! A kernel as Debian ships it, for programs that need no hook: found in the cache, or fetched.
//!
//! Takes the newest package of a pattern from the configured archives and unpacks it, without installing anything. The
//! cache is keyed by the package's name, which has the kernel's version in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::say;

/// The packages, without their version.
const PREFIX: &str = "linux-image-6.12.";
const SUFFIX: &str = "+deb12-cloud-amd64";

/// The kernel's image; the sentence says why there is none.
///
/// # Errors
/// Neither the archives nor the cache have a package.
pub(crate) fn image() -> Result<PathBuf, String> {
    let cache = cache()?;
    let newest = match newest() {
        Ok(name) => name,
        // Without archives, what was fetched before is as good.
        Err(why) => match cached(&cache) {
            Some(image) => return Ok(image),
            None => return Err(why),
        },
    };
    let folder = cache.join(&newest);
    if let Some(image) = image_in(&folder) {
        return Ok(image);
    }
    say(&format!("Fetching {newest}"));
    let work = cache.join(format!("{newest}.part"));
    if work.exists() {
        fs::remove_dir_all(&work).map_err(|error| cannot("remove", &work, &error))?;
    }
    fs::create_dir_all(&work).map_err(|error| cannot("create", &work, &error))?;
    quiet(Command::new("apt-get").current_dir(&work).args(["download", "-qq", &newest]), "apt-get download")?;
    let package = fs::read_dir(&work).into_iter().flatten().flatten().map(|entry| entry.path());
    let package = package.into_iter().find(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = package.ok_or_else(|| format!("apt-get has fetched no package {newest}"))?;
    let tree = work.join("tree");
    quiet(Command::new("dpkg-deb").arg("-x").arg(&package).arg(&tree), "dpkg-deb")?;
    let image = image_in(&tree.join("boot")).ok_or_else(|| format!("{newest} has no kernel"))?;
    let done = work.join("done");
    fs::create_dir_all(&done).map_err(|error| cannot("create", &done, &error))?;
    let name = image.file_name().unwrap_or_default();
    fs::copy(&image, done.join(name)).map_err(|error| cannot("copy", &image, &error))?;
    fs::rename(&done, &folder).map_err(|error| cannot("move", &done, &error))?;
    fs::remove_dir_all(&work).map_err(|error| cannot("remove", &work, &error))?;
    image_in(&folder).ok_or_else(|| format!("{newest} was not kept"))
}

/// The package with the highest version that the archives have. A machine whose lists of packages are missing gets them.
fn newest() -> Result<String, String> {
    listed().or_else(|_| {
        quiet(Command::new("apt-get").args(["update", "-qq"]), "apt-get update")?;
        listed()
    })
}

/// The same, of the lists as they are.
fn listed() -> Result<String, String> {
    let output = Command::new("apt-cache")
        .args(["pkgnames", PREFIX])
        .output()
        .map_err(|error| format!("cannot start apt-cache: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = |name: &&str| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u32>().ok();
    let found = text.lines().filter(|name| version(name).is_some()).max_by_key(|name| version(name));
    found.map(str::to_owned).ok_or_else(|| format!("the package archives have no {PREFIX}*{SUFFIX}"))
}

/// The newest of those that were fetched before.
fn cached(cache: &Path) -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(cache).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    folders.sort();
    folders.iter().rev().find_map(|folder| image_in(folder))
}

/// The kernel's image in a folder.
fn image_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_image =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"));
    entries.into_iter().find(is_image)
}

/// `$XDG_CACHE_HOME/oomc/stock`, by default below `~/.cache`.
fn cache() -> Result<PathBuf, String> {
    let folder = crate::kernel::cache_base()?.join("oomc/stock");
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    Ok(folder)
}

fn quiet(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
