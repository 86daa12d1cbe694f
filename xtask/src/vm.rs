//! `cargo xtask vm`: the cases of `tests/cases/run`, in the machine.

use crate::build;

/// Arguments go to the test program: a part of a name, `--list`, …
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let tools = build::tools()?;
    let mut cargo = build::cargo("test");
    cargo.args(["--quiet", "-p", "oomc-vm", "--test", "vm", "--"]).args(args).envs(build::variables(&tools));
    build::loud(&mut cargo, "the run of the cases in the machine")
}
