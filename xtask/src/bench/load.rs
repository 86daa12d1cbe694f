//! `cargo xtask bench load`: what a load takes, beside the reference loader with the same object, in the machine.
//!
//! Both load the headline's program for the hook, attach it and end; `oomc load` checks the object and pins what it
//! attached besides. The machine's clock counts instructions, so that a figure says nothing about the host.

use std::fs;

use oomc_vm::machine::{Clock, Hardware};
use oomc_vm::report::Report;
use oomc_vm::run::{self as machine, Tools};
use oomc_vm::script;

use super::{Cost, POLICY, median};
use crate::{build, kernel, packages, say};

/// Loads by each, after one that is not counted.
const LOADS: u32 = 11;

/// At most this many times what the reference loader takes.
const GOAL: f64 = 1.0;

/// Measures and prints.
///
/// # Errors
/// The sentence names what is missing or failed.
pub(super) fn run() -> Result<(), String> {
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    say("Building oomc and the reference loader, optimised …");
    build::release(&["oomc", "oomc-guest"])?;
    let tools = Tools {
        kernel: kernel::ready()?.join("bzImage"),
        oomc: build::program("release", "oomc"),
        guest: build::program("release", "oomc-guest"),
    };
    let policy = build::root().join(POLICY);
    let text =
        fs::read_to_string(&policy).map_err(|error| format!("cannot read {}: {error}", policy.display()))?;
    let story =
        format!("{text}\n#> cgroup /job\n#> compare {LOADS} loads --cgroup /job\n#> expect links 0\n");
    let hardware = Hardware { clock: Clock::Instructions, ..Hardware::CASES };
    let mut report: Option<Report> = None;
    say(&format!("Loading {LOADS} times by each, in turn …"));
    machine::run_on(
        hardware,
        &tools,
        &build::scratch("bench"),
        vec![script::parse("load", &story)?],
        &[],
        &mut |result| report = Some(result),
    )?;
    let report = report.ok_or("the machine said nothing")?;
    if let Some(failure) = &report.failure {
        return Err(format!("{failure}\n{}\n{}", report.steps.join("\n"), report.log.join("\n")));
    }
    say(&table(&costs(&report.shown, "oomc")?, &costs(&report.shown, "libbpf")?));
    Ok(())
}

/// What the loads by one of the two took.
fn costs(lines: &[String], who: &str) -> Result<Vec<Cost>, String> {
    let costs: Vec<Cost> = lines.iter().filter_map(|line| line.strip_prefix(who)?.parse().ok()).collect();
    if costs.len() == LOADS as usize {
        Ok(costs)
    } else {
        Err(format!("the machine told of {} loads", costs.len()))
    }
}

/// A figure's name, how it is read, and how many of it are one in the table.
type Figure = (&'static str, fn(&Cost) -> u64, f64);

fn table(own: &[Cost], other: &[Cost]) -> String {
    let mut text = format!(
        "\nMedians of {LOADS} loads of the headline by each, in turn.\n\n{:<28}{:>12}{:>12}{:>8}{:>16}\n",
        "", "oomc load", "libbpf 1.7", "ratio", "goal"
    );
    let figures: [Figure; 2] = [
        ("time, thousand instructions", |cost| cost.nanoseconds, 1e3),
        ("peak memory, KiB", |cost| cost.kibibytes, 1.0),
    ];
    for (name, figure, unit) in figures {
        let (own, other) = (median(own, figure) / unit, median(other, figure) / unit);
        let ratio = own / other;
        let verdict = if ratio <= GOAL { "met" } else { "NOT met" };
        text.push_str(&format!(
            "{name:<28}{own:>12.0}{other:>12.0}{ratio:>8.2}{:>16}\n",
            format!("≤ {GOAL:.1}  {verdict}")
        ));
    }
    text
}
