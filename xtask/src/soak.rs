//! `cargo xtask soak`: the storm of the ordinary run in the machine, for long.
//!
//! The same case with another number of deaths; the machine's log is watched as in any case.

use crate::{build, say};

/// As many as the note of the last results has.
const DEATHS: &str = "10000";

/// `cargo xtask soak [DEATHS]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let deaths = args.first().map_or(DEATHS, String::as_str);
    deaths
        .parse::<u64>()
        .map_err(|_| format!("`{deaths}` is no number of deaths: write a whole number, such as 1000"))?;
    say(&format!("{deaths} deaths over eight cgroups, and 64 loaders at once"));
    let tools = build::tools()?;
    let mut cargo = build::cargo("test");
    cargo
        .args(["-p", "oomc-vm", "--test", "vm", "--", "storm"])
        .envs(build::variables(&tools))
        .envs([("OOMC_STORM", deaths), ("OOMC_VM_VERBOSE", "1")]);
    build::loud(&mut cargo, "the storm")
}
