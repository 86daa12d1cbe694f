//! `cargo xtask test`: the whole gate.

use std::process::Command;
use std::time::Instant;

use crate::{build, kernel, packages, say, vm};

/// Stops at the first stage that fails. Arguments go to the test programs.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let start = Instant::now();
    let stage = |what: &str| say(&format!("== {what}  ({} s)", start.elapsed().as_secs()));

    stage("packages");
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    packages::need(&packages::PACKAGE)?;
    packages::need(&packages::TESTS)?;
    stage("kernel under test");
    kernel::ready()?;
    if component("fmt") {
        stage("format");
        build::loud(
            Command::new("cargo").current_dir(build::root()).args(["fmt", "--all", "--check"]),
            "cargo fmt --check",
        )?;
    } else {
        say("   rustfmt is not installed: the format is not checked");
    }
    stage("build");
    let tools = build::tools()?;
    if component("clippy") {
        stage("lints");
        let mut clippy = build::cargo("clippy");
        clippy.args(["--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]);
        build::loud(&mut clippy, "cargo clippy")?;
    } else {
        say("   clippy is not installed: lints are not checked");
    }
    stage("tests");
    let mut cargo = build::cargo("test");
    cargo.args(["--workspace", "--no-fail-fast", "--"]).args(args).envs(build::variables(&tools));
    cargo.envs(vm::stock_variable());
    build::loud(&mut cargo, "cargo test")?;
    stage("all passed");
    Ok(())
}

fn component(name: &str) -> bool {
    Command::new("cargo").args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}
