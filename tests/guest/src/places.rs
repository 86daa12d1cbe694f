//! What somebody else than oomc does to the machine's files: makes folders and links where they do harm, gives them
//! away, mounts a cgroup where it misleads.
//!
//! Knows nothing of oomc.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::set_name;
use oomc_vm::script::Place;

use crate::tree;

/// Where `first` mounts; taken back after the case.
const EARLY: &str = "/tmp/early";

/// Does it.
pub(crate) fn act(place: &Place) -> Result<(), String> {
    let says = |error: io::Error| error.to_string();
    match place {
        Place::Folder(path, uid) => {
            fs::create_dir(path).and_then(|()| chown(path, Some(*uid), Some(*uid))).map_err(says)
        }
        Place::File(path) => fs::write(path, "something").map_err(says),
        Place::Text(path, text) => {
            let here = std::env::current_dir().map_err(says)?;
            let text = text.replace("{here}", &here.display().to_string());
            if let Some(folder) = Path::new(path).parent() {
                fs::create_dir_all(folder).map_err(says)?;
            }
            fs::write(path, text).map_err(says)
        }
        Place::Link(path, target) => symlink(target, path).map_err(says),
        Place::Mode(path, mode) => {
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).map_err(says)?;
            let now = fs::metadata(path).map_err(says)?.permissions().mode() & 0o7777;
            if now == *mode { Ok(()) } else { Err(format!("its mode is {now:o} all the same")) }
        }
        Place::Clear(path) => {
            let data = fs::symlink_metadata(path).map_err(says)?;
            if data.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.map_err(says)
        }
        Place::Lock(path, millis) => {
            let mut other = Command::new("/init");
            other.args(["lock", path, &millis.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut locked = other.spawn().map_err(says)?.stdout.take().ok_or("no pipe")?;
            locked.read_exact(&mut [0]).map_err(says)
        }
        Place::First(cgroup, path) => first(cgroup, path),
    }
}

/// Has the lock on a directory as another oomc would have it.
pub(crate) fn lock(path: &str, millis: &str) -> Result<(), String> {
    let says = |error: io::Error| error.to_string();
    set_name(c"oomc").map_err(|error| error.to_string())?;
    let dir = fs::File::open(path).map_err(says)?;
    dir.lock().map_err(says)?;
    io::stdout().write_all(b".").and_then(|()| io::stdout().flush()).map_err(says)?;
    thread::sleep(Duration::from_millis(millis.parse().map_err(|_| format!("`{millis}` is no time"))?));
    Ok(())
}

/// Mounts a cgroup, and then the whole tree anew: it comes behind in the list of mounts.
fn first(cgroup: &str, path: &str) -> Result<(), String> {
    if path != EARLY {
        return Err(format!("only {EARLY} is unmounted afterwards"));
    }
    let (whole, says) = (tree::folder("/"), |error: nix::errno::Errno| error.to_string());
    fs::create_dir(path).map_err(|error| error.to_string())?;
    mount(Some(&tree::folder(cgroup)), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(says)?;
    umount2(&whole, MntFlags::MNT_DETACH).map_err(says)?;
    mount(Some("cgroup2"), &whole, Some("cgroup2"), MsFlags::empty(), None::<&str>).map_err(says)
}

/// Whether there is something, be it a link that leads nowhere.
pub(crate) fn exists(path: &str) -> bool {
    fs::symlink_metadata(Path::new(path)).is_ok()
}

/// Takes back what a case may have mounted, and closes bpffs to nobody again.
pub(crate) fn restore() {
    while umount2(EARLY, MntFlags::MNT_DETACH).is_ok() {}
    // As bpffs is when nobody says otherwise.
    let _ = fs::set_permissions("/sys/fs/bpf", fs::Permissions::from_mode(0o1777));
    // As many as the kernel gives a small machine.
    let _ = fs::write("/proc/sys/fs/inotify/max_user_watches", "8192");
}
