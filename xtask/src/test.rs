//! `cargo xtask test`: the whole gate.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use crate::{build, desk, kernel, packages, say, vm};

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
    let stock = vm::stock_variable();
    let book = desk::book_variable()?;
    let tests = |what: &[&str]| {
        let mut cargo = build::cargo("test");
        cargo.args(what).args(["--no-fail-fast", "--"]).args(args).envs(build::variables(&tools));
        cargo.envs(stock.clone()).envs(book.clone());
        cargo
    };
    build::loud(build::cargo("test").args(["--workspace", "--no-run", "--quiet"]), "the build of the tests")?;
    // The machines wait much of their time: the other tests run meanwhile. What is said of the machines comes last.
    stage("tests, and the machines beside them");
    let mut machines = tests(&["-p", "oomc-vm"]);
    let machines = machines.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let machines = machines.map_err(|error| format!("cannot start the tests in the machines: {error}"))?;
    let machines = thread::spawn(move || machines.wait_with_output());
    let others = build::loud(&mut tests(&["--workspace", "--exclude", "oomc-vm"]), "cargo test");
    stage("the machines");
    let machines = machines.join().map_err(|_| "the wait for the machines panicked")?;
    let machines = machines.map_err(|error| format!("cannot wait for the machines: {error}"))?;
    say(&String::from_utf8_lossy(&[machines.stdout, machines.stderr].concat()));
    others?;
    if !machines.status.success() {
        return Err(format!("the tests in the machines failed ({})", machines.status));
    }
    stage("all passed");
    Ok(())
}

fn component(name: &str) -> bool {
    Command::new("cargo").args([name, "--version"]).output().is_ok_and(|output| output.status.success())
}
