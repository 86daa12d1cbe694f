//! `cargo xtask soak`: the storm of the ordinary run in the machine, for long, on any variant of the kernel.
//!
//! The machine's log is watched all the time; what the kernel complains of there ends the storm.

use crate::kernel::{self, Variant};
use crate::{build, say};

/// As many as the note of the last results has.
const DEATHS: &str = "10000";

/// `cargo xtask soak [DEATHS] [--kernel VARIANT]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut deaths, mut variant) = (DEATHS, Variant::Main);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--kernel" {
            let name = args.next().ok_or("--kernel wants the name of a variant")?;
            variant = Variant::from_name(name)?;
        } else {
            deaths = arg;
        }
    }
    deaths
        .parse::<u64>()
        .map_err(|_| format!("`{deaths}` is no number of deaths: write a whole number, such as 1000"))?;
    say(&format!(
        "{deaths} deaths over eight cgroups, and 64 loaders at once, on the kernel {}",
        variant.name()
    ));
    let tools = build::tools_for(kernel::ready_as(variant)?.join("bzImage"))?;
    let mut cargo = build::cargo("test");
    cargo
        .args(["-p", "oomc-vm", "--test", "vm", "--", "storm"])
        .envs(build::variables(&tools))
        .envs([("OOMC_STORM", deaths), ("OOMC_VM_VERBOSE", "1")]);
    if variant == Variant::Failslab {
        cargo.env("OOMC_STORM_FAULTS", "1");
    }
    build::loud(&mut cargo, "the storm")
}
