//! Files of the test machine: makes, fills, reads and removes cgroups, hides a name of the
//! kernel's BTF.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::map;

const MOUNT: &str = "/sys/fs/cgroup";

/// The folder of a cgroup that the script calls `/a/b`.
pub(crate) fn folder(path: &str) -> PathBuf {
    Path::new(MOUNT).join(path.trim_start_matches('/'))
}

/// Makes a cgroup and what is missing above it. All but a `bare` one get the memory controller.
pub(crate) fn make(path: &str, bare: bool) -> Result<(), String> {
    let mut at = PathBuf::from(MOUNT);
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    for (index, name) in names.iter().enumerate() {
        if !(bare && index + 1 == names.len()) {
            let control = at.join("cgroup.subtree_control");
            fs::write(&control, "+memory").map_err(|error| says("write +memory to", &control, &error))?;
        }
        at.push(name);
        if !at.exists() {
            fs::create_dir(&at).map_err(|error| says("create", &at, &error))?;
        }
    }
    Ok(())
}

/// Removes one cgroup.
pub(crate) fn remove(path: &str) -> Result<(), String> {
    let folder = folder(path);
    fs::remove_dir(&folder).map_err(|error| says("remove", &folder, &error))
}

/// Writes one of a cgroup's files.
pub(crate) fn write(path: &str, file: &str, value: &str) -> Result<(), String> {
    let file = folder(path).join(file);
    fs::write(&file, value).map_err(|error| says(&format!("write `{value}` to"), &file, &error))
}

/// Reads one of a cgroup's files.
pub(crate) fn read(path: &str, file: &str) -> Result<String, String> {
    let file = folder(path).join(file);
    fs::read_to_string(&file).map_err(|error| says("read", &file, &error))
}

/// The one label that the guest knows.
const LABEL: &str = "user.oom.tier";

/// Puts the label on a cgroup.
pub(crate) fn set_label(path: &str, value: u64) -> Result<(), String> {
    map::set_attribute(&folder(path), LABEL, &value.to_string())
}

/// Tells each cgroup's id and its label, where it has one of its own.
pub(crate) fn each_label(on: &mut dyn FnMut(u64, u64) -> Result<(), String>) -> Result<(), String> {
    let mut waiting = vec![PathBuf::from(MOUNT)];
    while let Some(folder) = waiting.pop() {
        if let Some(text) = map::attribute(&folder, LABEL)? {
            let value = text.parse().map_err(|_| format!("`{text}` is no number"))?;
            let data = fs::metadata(&folder).map_err(|error| says("look at", &folder, &error))?;
            on(data.ino(), value)?;
        }
        for entry in fs::read_dir(&folder).map_err(|error| says("list", &folder, &error))?.flatten() {
            // Without a look at the file: a cgroup has some sixty.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Kills every process of every cgroup but the root.
pub(crate) fn kill_everything() {
    for entry in fs::read_dir(MOUNT).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            // Fails when the cgroup has gone meanwhile.
            let _ = fs::write(entry.path().join("cgroup.kill"), "1");
        }
    }
}

/// Removes every cgroup below one.
pub(crate) fn remove_below(path: &str) -> Result<(), String> {
    for entry in fs::read_dir(folder(path)).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let inner = format!("{path}/{}", entry.file_name().to_string_lossy());
            remove_below(&inner)?;
            remove(&inner)?;
        }
    }
    Ok(())
}

/// Removes every cgroup that can be removed, deepest first.
pub(crate) fn remove_everything() {
    fn below(folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                below(&entry.path());
                // Fails while a process is still leaving; the caller tries again.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }
    below(Path::new(MOUNT));
}

/// Is the root the only cgroup?
pub(crate) fn is_empty() -> bool {
    !fs::read_dir(MOUNT).into_iter().flatten().flatten().any(|entry| entry.path().is_dir())
}

/// Removes what is in a folder.
pub(crate) fn empty_folder(folder: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
}

/// Lets every user create files in a folder.
pub(crate) fn open_to_everybody(folder: &str) -> Result<(), String> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o1777))
        .map_err(|error| says("change the mode of", Path::new(folder), &error))
}

const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Puts a copy of the kernel's BTF in which this name is misspelt in the place of the kernel's own.
pub(crate) fn hide(name: &str) -> Result<(), String> {
    let mut bytes = fs::read(BTF).map_err(|error| says("read", Path::new(BTF), &error))?;
    let whole = [b"\0", name.as_bytes(), b"\0"].concat();
    let at = bytes
        .windows(whole.len())
        .position(|window| window == whole)
        .ok_or_else(|| format!("the kernel's BTF has no `{name}`"))?;
    // Its first letter: a name that begins otherwise.
    if let Some(letter) = bytes.get_mut(at + 1) {
        *letter = b'X';
    }
    let copy = "/tmp/btf";
    fs::write(copy, bytes).map_err(|error| says("write", Path::new(copy), &error))?;
    mount(Some(copy), BTF, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .map_err(|error| format!("cannot mount {copy} over {BTF}: {error}"))
}

/// Takes back every [`hide`].
pub(crate) fn unhide() {
    while umount2(BTF, MntFlags::MNT_DETACH).is_ok() {}
}

fn says(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
