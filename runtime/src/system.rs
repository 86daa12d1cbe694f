//! Where the running system keeps what is read and written here. Tests put folders of their own in place.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::bpf::Bpf;
use crate::sys::{Kernel, Linux};

/// A kernel and the files by which it is seen.
#[derive(Clone)]
pub struct System<'k> {
    /// Who answers system calls.
    pub kernel: &'k dyn Kernel,
    /// The files.
    pub paths: Paths,
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
        }
    }
}

impl System<'static> {
    /// The running one.
    #[must_use]
    pub fn running() -> Self {
        Self { kernel: &Linux, paths: Paths::default() }
    }
}

impl<'k> System<'k> {
    /// When the machine was started, as far as its clock is right. Records count from then.
    #[must_use]
    pub fn started(&self) -> Option<SystemTime> {
        let text = std::fs::read_to_string(&self.paths.uptime).ok()?;
        let seconds = text.split(' ').next()?.parse().ok()?;
        SystemTime::now().checked_sub(Duration::try_from_secs_f64(seconds).ok()?)
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
