//! Where the running system keeps what is read and written here. Tests put folders of their own in place.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use oomc_abi::shown::{shown, text_of_bytes};

use crate::bpf::Bpf;
use crate::error::Result;
use crate::sys::{Facts, Kernel, Linux};

/// A kernel and the files by which it is seen.
#[derive(Clone)]
pub struct System<'k> {
    /// Who answers system calls.
    pub kernel: &'k dyn Kernel,
    /// The files.
    pub paths: Paths,
    /// Who is told that a command waits, and for whom.
    pub waits: Option<&'k dyn Fn(&Holder)>,
}

/// Who has a lock on oomc's pins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process, if it is known.
    pub pid: Option<u32>,
    /// Its command.
    pub command: Option<String>,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.pid, &self.command) {
            (Some(pid), Some(command)) => write!(f, "process {pid} (`{}`)", shown(command)),
            (Some(pid), None) => write!(f, "process {pid}"),
            (None, _) => f.write_str("another process"),
        }
    }
}

/// Files of the running system.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Where bpffs is mounted.
    pub bpffs: PathBuf,
    /// Types of the kernel.
    pub btf: PathBuf,
    /// Addresses of the kernel's symbols.
    pub kallsyms: PathBuf,
    /// What is mounted where.
    pub mounts: PathBuf,
    /// What this process may do.
    pub process_status: PathBuf,
    /// How long the machine runs.
    pub uptime: PathBuf,
    /// Who has which lock.
    pub locks: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            bpffs: "/sys/fs/bpf".into(),
            btf: "/sys/kernel/btf/vmlinux".into(),
            kallsyms: "/proc/kallsyms".into(),
            mounts: "/proc/self/mountinfo".into(),
            process_status: "/proc/self/status".into(),
            uptime: "/proc/uptime".into(),
            locks: "/proc/locks".into(),
        }
    }
}

impl System<'static> {
    /// The running one.
    #[must_use]
    pub fn running() -> Self {
        Self { kernel: &Linux, paths: Paths::default(), waits: None }
    }
}

impl<'k> System<'k> {
    /// The same, with somebody who is told when a command waits.
    #[must_use]
    pub fn telling(self, waits: &'k dyn Fn(&Holder)) -> Self {
        Self { waits: Some(waits), ..self }
    }

    /// Says for whom this waits: for whoever has the lock of this directory.
    pub(crate) fn tell_waiting(&self, dir: &Facts) {
        if let Some(tell) = self.waits {
            tell(&self.holder(dir));
        }
    }

    /// Who has the lock of this directory.
    pub(crate) fn holder_of(&self, dir: &OwnedFd, place: &Path) -> Result<Holder> {
        Ok(self.holder(&self.bpf().look_at(dir.as_fd(), place)?))
    }

    fn holder(&self, dir: &Facts) -> Holder {
        // proc_locks(5): number, kind, mode, access, process, device and inode.
        let place = format!("{:02x}:{:02x}:{}", libc::major(dir.dev), libc::minor(dir.dev), dir.ino);
        let locks = std::fs::read_to_string(&self.paths.locks).unwrap_or_default();
        let held = locks.lines().find_map(|line| {
            let mut words = line.split_whitespace().skip(1);
            // A line of somebody who waits has an arrow here.
            let (kind, pid) = (words.next()?, words.nth(2)?);
            (kind == "FLOCK" && words.next()? == place).then(|| pid.parse().ok())
        });
        let pid: Option<u32> = held.flatten();
        let command = pid.and_then(|pid| std::fs::read(format!("/proc/{pid}/comm")).ok());
        Holder { pid, command: command.map(|name| text_of_bytes(name.trim_ascii_end())) }
    }

    /// When the machine was started, as far as its clock is right. Records count from then.
    #[must_use]
    pub fn started(&self) -> Option<SystemTime> {
        SystemTime::now().checked_sub(self.since_start()?)
    }

    /// The boot clock, to a hundredth of a second.
    pub(crate) fn since_start(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(&self.paths.uptime).ok()?;
        let seconds = text.split(' ').next()?.parse().ok()?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    pub(crate) fn bpf(&self) -> Bpf<'k> {
        Bpf::new(self.kernel)
    }
}

impl std::fmt::Debug for System<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("System").field("paths", &self.paths).finish_non_exhaustive()
    }
}
