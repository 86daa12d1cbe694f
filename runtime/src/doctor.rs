//! What of a machine lets policies run on it, and what stands in their way.
//!
//! Reads `/proc` and `/sys` below a folder, so that a machine may be made of files; makes no system call but for the
//! size of a page, changes nothing, and gives a list of findings. What cannot be read is a finding, too.

use std::fs;
use std::path::{Path, PathBuf};

use oomc_abi::btf::Btf;
use oomc_abi::kfuncs::KFUNCS;

use crate::page;
use crate::struct_ops::{KernelOps, Profile};

/// How good a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// As it should be.
    Good,
    /// Policies run; something is left out, or may come as a surprise.
    Note,
    /// It could not be found out.
    Unknown,
    /// Policies cannot be loaded, or are never asked.
    Bad,
}

impl Grade {
    /// In one word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Unknown => "unknown",
            Self::Bad => "bad",
        }
    }
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What: `bpffs`, for example; a kernel function has `function NAME`.
    pub topic: String,
    /// How good it is.
    pub grade: Grade,
    /// What was found, as a sentence without an end.
    pub found: String,
    /// What to do; none if there is nothing to be done.
    pub todo: Option<String>,
}

fn finding(topic: &str, grade: Grade, found: impl Into<String>) -> Finding {
    Finding::new(topic, grade, found)
}

impl Finding {
    /// With nothing to be done.
    #[must_use]
    pub fn new(topic: &str, grade: Grade, found: impl Into<String>) -> Self {
        Self { topic: topic.to_owned(), grade, found: found.into(), todo: None }
    }

    /// With what to do.
    #[must_use]
    pub fn todo(mut self, text: impl Into<String>) -> Self {
        self.todo = Some(text.into());
        self
    }
}

/// Daemons that kill when memory is short, by the name of their command (which has 15 bytes at most).
const DAEMONS: [&str; 4] = ["systemd-oomd", "oomd", "earlyoom", "nohang"];

/// Largest types of a kernel that are read.
const MAX_TYPES: u64 = 64 << 20;

/// Looks at the machine whose files lie below a folder; at the types of another kernel, if that is asked for.
#[must_use]
pub fn examine(root: &Path, types: Option<&Path>) -> Vec<Finding> {
    let machine = Machine { root };
    let mut findings = vec![machine.kernel()];
    machine.types(types, &mut findings);
    findings.push(finding("page size", Grade::Good, format!("{} bytes", page::size())));
    let mounts = machine.mounts();
    machine.cgroups(&mounts, &mut findings);
    findings.extend([
        machine.pressure(),
        machine.swap(),
        machine.bpffs(&mounts),
        machine.capabilities(),
        machine.setting("panic_on_oom", "the machine panics when memory runs out, and asks no policy"),
        machine.setting("oom_kill_allocating_task", "whoever wants memory dies, and no policy is asked"),
    ]);
    machine.daemons(&mut findings);
    findings
}

/// A line of `mountinfo`.
struct Mount {
    /// Which part of the file system is seen.
    root: String,
    place: PathBuf,
    kind: String,
    options: String,
}

struct Machine<'a> {
    root: &'a Path,
}

impl Machine<'_> {
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    fn kernel(&self) -> Finding {
        match self.read("/proc/sys/kernel/osrelease") {
            Some(release) => finding("kernel", Grade::Good, format!("Linux {}", release.trim())),
            None => finding("kernel", Grade::Unknown, "/proc/sys/kernel/osrelease cannot be read"),
        }
    }

    /// Types, profile, and each function.
    fn types(&self, other: Option<&Path>, findings: &mut Vec<Finding>) {
        let path = other.map_or_else(|| self.path("/sys/kernel/btf/vmlinux"), Path::to_owned);
        let large = fs::metadata(&path).is_ok_and(|data| data.len() > MAX_TYPES);
        let bytes = if large { Err("it is too large".to_owned()) } else { read_bytes(&path) };
        let types = bytes.and_then(|bytes| Btf::read(bytes).map_err(|error| error.to_string()));
        let types = match types {
            Ok(types) => types,
            Err(why) => {
                let found = format!("the kernel's types cannot be read: {why}");
                let todo = "the kernel needs CONFIG_DEBUG_INFO_BTF=y";
                findings.push(finding("types", Grade::Bad, found).todo(todo));
                return;
            }
        };
        findings.push(finding("types", Grade::Good, format!("{} types", types.len())));
        findings.push(match KernelOps::find(&types) {
            Ok(ops) => finding("profile", Grade::Good, profile(ops.profile)),
            Err(missing) => {
                let text: Vec<String> = missing.iter().map(|one| one.what.clone()).collect();
                let help: Vec<&str> =
                    missing.iter().map(|one| one.help).filter(|help| !help.is_empty()).collect();
                let found = finding("profile", Grade::Bad, text.join("; "));
                if help.is_empty() { found } else { found.todo(help.join("; ")) }
            }
        });
        for row in KFUNCS {
            let topic = format!("function {}", row.name);
            findings.push(match (types.function(row.name), row.flags.optional) {
                (Some(_), _) => finding(&topic, Grade::Good, "is there"),
                (None, true) => finding(&topic, Grade::Note, "is not there; policies do without")
                    .todo(without(row.surface)),
                (None, false) => finding(&topic, Grade::Bad, "is not there").todo(without(row.surface)),
            });
        }
    }

    fn mounts(&self) -> Vec<Mount> {
        let text = self.read("/proc/self/mountinfo").unwrap_or_default();
        text.lines().filter_map(mount).collect()
    }

    fn cgroups(&self, mounts: &[Mount], findings: &mut Vec<Finding>) {
        let of = |kind: &'static str| mounts.iter().filter(move |mount| mount.kind == kind);
        let whole = of("cgroup2").find(|mount| mount.root == "/");
        let old = of("cgroup").count();
        let Some(mount) = whole else {
            let (found, todo) = match (of("cgroup2").next(), old) {
                (Some(part), _) => (
                    format!("{} shows only a part of the cgroups, {}", part.place.display(), part.root),
                    "load policies outside of the container or cgroup namespace",
                ),
                (None, 0) => ("no cgroups are mounted".to_owned(), "mount -t cgroup2 none /sys/fs/cgroup"),
                (None, _) => (
                    "only cgroups of version 1 are mounted".to_owned(),
                    "boot with systemd.unified_cgroup_hierarchy=1, or mount cgroup2",
                ),
            };
            findings.push(finding("cgroups", Grade::Bad, found).todo(todo));
            return;
        };
        let place = mount.place.display();
        findings.push(finding("cgroups", Grade::Good, format!("cgroup2 is mounted at {place}")));
        let has = |file: &str| {
            let text = self.read(mount.place.join(file))?;
            Some(text.split_whitespace().any(|word| word == "memory"))
        };
        findings.push(match (has("cgroup.controllers"), has("cgroup.subtree_control")) {
            (None, _) => {
                finding("controllers", Grade::Unknown, format!("{place}/cgroup.controllers cannot be read"))
            }
            (Some(false), _) if old > 0 => {
                let found = "the memory controller belongs to cgroups of version 1";
                finding("controllers", Grade::Bad, found).todo("boot with cgroup_no_v1=memory")
            }
            (Some(false), _) => {
                let found = "there is no memory controller";
                finding("controllers", Grade::Bad, found)
                    .todo("the kernel needs CONFIG_MEMCG=y, and no cgroup_disable=memory")
            }
            (Some(true), Some(false)) => {
                let found = "the memory controller is on nowhere below the root";
                finding("controllers", Grade::Note, found)
                    .todo(format!("echo +memory > {place}/cgroup.subtree_control"))
            }
            (Some(true), _) => finding("controllers", Grade::Good, "the memory controller is on"),
        });
    }

    fn pressure(&self) -> Finding {
        match self.read("/proc/pressure/memory") {
            Some(_) => finding("pressure", Grade::Good, "the kernel measures pressure (PSI)"),
            None => finding(
                "pressure",
                Grade::Note,
                "the kernel does not measure pressure: its fields are missing",
            )
            .todo("boot with psi=1; the kernel needs CONFIG_PSI=y"),
        }
    }

    fn swap(&self) -> Finding {
        let total = self.read("/proc/meminfo").and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("SwapTotal:"))?;
            line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        match total {
            None => finding("swap", Grade::Unknown, "/proc/meminfo does not say"),
            Some(0) => finding("swap", Grade::Good, "there is none"),
            Some(kib) => finding("swap", Grade::Good, format!("{} MiB", kib >> 10)),
        }
    }

    fn bpffs(&self, mounts: &[Mount]) -> Finding {
        use std::os::unix::fs::MetadataExt as _;
        const PLACE: &str = "/sys/fs/bpf";
        // The last mount of a place is the one that is seen.
        let Some(mount) = mounts.iter().rfind(|mount| mount.place == Path::new(PLACE)) else {
            return finding(
                "bpffs",
                Grade::Note,
                format!("nothing is mounted at {PLACE}; `oomc load` does it"),
            )
            .todo(format!("mount -t bpf -o mode=0700 bpf {PLACE}"));
        };
        if mount.kind != "bpf" {
            return finding("bpffs", Grade::Bad, format!("{PLACE} is {}, not bpffs", mount.kind))
                .todo(format!("umount {PLACE}; mount -t bpf -o mode=0700 bpf {PLACE}"));
        }
        if mount.options.split(',').any(|option| option == "ro") {
            return finding("bpffs", Grade::Bad, format!("{PLACE} is mounted read-only"))
                .todo(format!("mount -o remount,rw {PLACE}"));
        }
        let Ok(data) = fs::metadata(self.path(PLACE)) else {
            return finding("bpffs", Grade::Unknown, format!("{PLACE} cannot be looked at"));
        };
        let mode = data.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return finding("bpffs", Grade::Bad, format!("others may write to {PLACE} (mode {mode:04o})"))
                .todo(format!("chmod 0700 {PLACE}, and mount it with mode=0700"));
        }
        finding("bpffs", Grade::Good, format!("{PLACE} has mode {mode:04o}"))
    }

    fn capabilities(&self) -> Finding {
        // Numbers: `include/uapi/linux/capability.h`, 6.12.
        const NEEDED: [(&str, u32); 4] =
            [("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39), ("CAP_SYS_RESOURCE", 24)];
        let held = self.read("/proc/self/status").and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("CapEff:").map(str::to_owned))?;
            u64::from_str_radix(line.trim(), 16).ok()
        });
        let Some(held) = held else {
            return finding("capabilities", Grade::Unknown, "/proc/self/status does not say");
        };
        let has = |number: u32| held & 1 << number != 0;
        let names = |wanted: bool| {
            let all = NEEDED.iter().filter(|(_, number)| has(*number) == wanted).map(|(name, _)| *name);
            all.collect::<Vec<_>>().join(", ")
        };
        if has(21) || (has(38) && has(39)) {
            return finding("capabilities", Grade::Good, format!("this process has {}", names(true)));
        }
        finding("capabilities", Grade::Bad, "this process may not load policies")
            .todo(format!("run as root; it lacks {}", names(false)))
    }

    fn setting(&self, name: &str, otherwise: &str) -> Finding {
        let value = self.read(format!("/proc/sys/vm/{name}"));
        match value.as_deref().map(str::trim) {
            Some("0") => finding(name, Grade::Good, "is off"),
            Some(value) => finding(name, Grade::Bad, format!("is {value}: {otherwise}"))
                .todo(format!("sysctl vm.{name}=0")),
            None => finding(name, Grade::Unknown, format!("/proc/sys/vm/{name} cannot be read")),
        }
    }

    fn daemons(&self, findings: &mut Vec<Finding>) {
        let mut found: Vec<String> = fs::read_dir(self.path("/proc"))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
            .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
            .map(|comm| comm.trim_end().to_owned())
            .filter(|comm| DAEMONS.contains(&comm.as_str()))
            .collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            findings.push(finding("other daemons", Grade::Good, "none that kills when memory is short"));
        }
        findings.extend(found.into_iter().map(|name| {
            let text = format!("{name} runs: it may kill before the kernel asks a policy");
            finding("other daemons", Grade::Note, text)
                .todo(format!("stop {name}, or let it watch other cgroups than the policies"))
        }));
    }
}

fn read_bytes(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Which of the two ways of attaching a kernel has.
fn profile(profile: Profile) -> String {
    match profile {
        Profile::CgroupFlag => "policies attach by BPF_F_CGROUP_FD (v3 of the BPF OOM series)".to_owned(),
        Profile::Generic => {
            "policies attach by the generic link of cgroups, and are replaced without a gap".to_owned()
        }
    }
}

fn without(surface: Option<&str>) -> String {
    match surface {
        Some(word) => format!("policies with `{word}` need a kernel that has it"),
        None => "it needs a kernel with the BPF OOM series and what that builds on".to_owned(),
    }
}

fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(3);
    let (root, place, options) = (left.next()?, left.next()?, left.next()?);
    let kind = right.split(' ').next()?;
    let mount = Mount {
        root: plain(root),
        place: plain(place).into(),
        kind: kind.to_owned(),
        options: options.to_owned(),
    };
    Some(mount)
}

/// Without the octal escapes of spaces and the like.
fn plain(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, meant)| text.replace(escape, meant))
}
