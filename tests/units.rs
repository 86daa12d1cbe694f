//! The units for systemd: what `systemd-analyze` (Debian package systemd) says of them.
//!
//! It looks for the programs that a unit starts, and oomc is not installed here: another one stands in its place. Whether
//! a unit does what it should is not seen here.

use std::path::Path;
use std::process::Command;

use oomc_tests::child::fresh_folder;
use oomc_tests::{read, root};

/// Tenths: systemd calls up to 2 secure, from 5 on exposed. What attaches policies, and what also kills, writes to cgroups and
/// stays in memory.
const ATTACHING: &str = "20";
const ACTING: &str = "27";

fn analyze(args: &[&str], unit: &Path) -> String {
    let output = Command::new("systemd-analyze").args(args).arg(unit).output();
    let output = output.unwrap_or_else(|error| panic!("systemd-analyze: {error}"));
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn units_are_sound_and_may_do_little() {
    sound("oomc-policies.service", ATTACHES, ATTACHING);
    sound("oomc.service", &format!("{ATTACHES} {ACTS}"), ACTING);
}

/// What attaching a policy needs.
const ATTACHES: &str = "CAP_SYS_ADMIN CAP_BPF CAP_PERFMON CAP_SYS_RESOURCE";
/// What the service needs besides where it carries decisions out itself.
const ACTS: &str = "CAP_KILL CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_IPC_LOCK";

fn sound(name: &str, needs: &str, exposure: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("units");
    let text = read(&root().join("runtime/systemd").join(name));
    let standing_in = text.replace("/usr/bin/oomc ", "/bin/true ");
    assert_ne!(text, standing_in, "{name} starts oomc");
    fresh_folder(&folder, &[(name, standing_in.as_str())]).unwrap_or_else(|error| panic!("{error}"));
    let unit = folder.join(name);
    // It reads the units of this machine, too, and may complain of them.
    let said = analyze(&["verify", "--man=no"], &unit);
    let of_ours: Vec<&str> = said.lines().filter(|line| line.contains("oomc")).collect();
    assert!(of_ours.is_empty(), "{name}: {said}");
    let threshold = format!("--threshold={exposure}");
    analyze(&["security", "--offline=true", "--no-pager", &threshold], &unit);
    let capabilities = text.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    assert_eq!(capabilities, Some(needs), "{name}");
    // Its filter answers every openat2(2) with ENOSYS, whose flags it cannot see (`seccomp_restrict_sxid()`, systemd 252).
    assert!(!text.lines().any(|line| line.starts_with("RestrictSUIDSGID=yes")), "{name} cannot open a pin");
}

/// Where the kernel asks no policy, the service writes to cgroups.
#[test]
fn the_service_may_write_to_cgroups() {
    let text = read(&root().join("runtime/systemd/oomc.service"));
    let has = |line: &str| text.lines().any(|one| one == line);
    assert!(!has("ProtectControlGroups=yes") && has("ReadWritePaths=/sys/fs/bpf /sys/fs/cgroup"));
}

/// What keeps policies attached does not stay away because it failed a few times.
#[test]
fn the_service_is_started_again_however_often_it_fails() {
    let text = read(&root().join("runtime/systemd/oomc.service"));
    let (unit, service) = text.split_once("[Service]").unwrap_or_default();
    assert!(unit.lines().any(|line| line == "StartLimitIntervalSec=0"));
    assert!(service.lines().any(|line| line == "Restart=on-failure"));
    assert!(service.lines().any(|line| line.starts_with("RestartSec=")), "and not at once");
}
