//! The units for systemd: what `systemd-analyze` (Debian package systemd) says of them.
//!
//! It looks for the programs that a unit starts, and oomc is not installed here: another one stands in its place. Whether
//! a unit does what it should is not seen here.

use std::path::Path;
use std::process::Command;

use oomc_tests::child::fresh_folder;
use oomc_tests::{read, root};

/// Tenths: systemd calls up to 2 secure, from 5 on exposed.
const EXPOSURE: &str = "20";

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
    for name in ["oomc-policies.service", "oomc.service"] {
        sound(name);
    }
}

fn sound(name: &str) {
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
    let threshold = format!("--threshold={EXPOSURE}");
    analyze(&["security", "--offline=true", "--no-pager", &threshold], &unit);
    let capabilities = text.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    assert_eq!(capabilities, Some("CAP_SYS_ADMIN CAP_BPF CAP_PERFMON CAP_SYS_RESOURCE"), "{name}");
}
