//! `cargo xtask soak`: the storm of the ordinary run in the machine, for long, on any variant of the kernel; with `--stock`
//! a day of `oomc run` with churning cgroups, on a kernel as Debian ships it.
//!
//! The machine's log is watched all the time; what the kernel complains of there ends the storm.

use oomc_vm::run::Tools;

use crate::kernel::{self, Variant};
use crate::{build, say, stock, vm};

/// As many as the note of the last results has.
const DEATHS: &str = "10000";

/// The same of a day.
const DAY: &str = "1000";

/// `cargo xtask soak [DEATHS] [--kernel VARIANT | --stock] [--release]`
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (mut deaths, mut variant, mut day, mut release) = (None, Variant::Main, false, false);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--kernel" {
            let name = args.next().ok_or("--kernel wants the name of a variant")?;
            variant = Variant::from_name(name)?;
        } else if arg == vm::ON_STOCK {
            day = true;
        } else if arg == "--release" {
            release = true;
        } else {
            deaths = Some(arg.as_str());
        }
    }
    let deaths = deaths.unwrap_or(if day { DAY } else { DEATHS });
    deaths
        .parse::<u64>()
        .map_err(|_| format!("`{deaths}` is no number of deaths: write a whole number, such as 1000"))?;
    if day {
        return live(deaths, release);
    }
    say(&format!(
        "{deaths} deaths over eight cgroups, and 64 loaders at once, on the kernel {}",
        variant.name()
    ));
    let tools = optimised(build::tools_for(kernel::ready_as(variant)?.join("bzImage"))?, release)?;
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

/// With the program that people install in the place of the debug build, if that is wanted: what it holds is its memory.
fn optimised(tools: Tools, release: bool) -> Result<Tools, String> {
    if !release {
        return Ok(tools);
    }
    build::release(&["oomc"])?;
    Ok(Tools { oomc: build::program("release", "oomc"), ..tools })
}

/// A day on a kernel without the hook.
fn live(deaths: &str, release: bool) -> Result<(), String> {
    say(&format!(
        "{deaths} deaths in cgroups that come and go, for `oomc run` and again for `oomc run --all`"
    ));
    let tools = optimised(build::tools()?, release)?;
    let mut cargo = build::cargo("test");
    cargo
        .args(["-p", "oomc-vm", "--test", "stock", "--", "day"])
        .envs(build::variables(&tools))
        .env(vm::STOCK, stock::image()?)
        .envs([("OOMC_DAY", deaths), ("OOMC_VM_VERBOSE", "1")]);
    build::loud(&mut cargo, "the day")
}
