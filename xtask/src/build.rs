//! Builds this workspace once, statically, for tests and machine alike.
//!
//! One target with a statically linked C library serves both: the tests run on the host, and
//! `oomc` and the guest's first process run in a machine that has no libraries.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use oomc_vm::run::Tools;

use crate::{kernel, packages};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// A cargo command for the static target.
pub(crate) fn cargo(command: &str) -> Command {
    let mut cargo = plain_cargo(command);
    cargo
        .args(["--target", TARGET])
        .env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static");
    cargo
}

/// A cargo command.
pub(crate) fn plain_cargo(command: &str) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).arg(command);
    cargo
}

/// What the linker does for an optimised build, besides: like functions become one, relocations are packed, what only a
/// panic that finds its way back would read is left out, and what everyday commands run lies side by side. The paths are
/// those of the files from the top of the repository.
const SMALL: &str = "-C target-feature=+crt-static -C link-arg=-Wl,--icf=all -C link-arg=-Wl,-z,pack-relative-relocs \
                     -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,xtask/release.ld \
                     -C link-arg=-Wl,-T,xtask/order.ld";

/// The optimised build of these packages.
pub(crate) fn release(packages: &[&str]) -> Result<(), String> {
    let mut cargo = optimised("build");
    cargo.args(packages.iter().flat_map(|package| ["-p", package]));
    loud(&mut cargo, "the optimised build")
}

/// The optimised build of `oomc`, whose linker writes down what lies where.
pub(crate) fn release_with_map(map: &Path) -> Result<(), String> {
    let mut cargo = optimised("rustc");
    cargo
        .args(["-p", "oomc", "--bin", "oomc", "--", "-C"])
        .arg(format!("link-arg=-Wl,-Map={}", map.display()));
    loud(&mut cargo, "the optimised build")
}

fn optimised(command: &str) -> Command {
    let mut cargo = cargo(command);
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", SMALL).args(["--locked", "--release"]);
    cargo
}

/// Runs a command whose output goes to the reader.
pub(crate) fn loud(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start {what}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status})")) }
}

/// Everything the machine needs: the kernel under test, `oomc` and the guest's first process.
pub(crate) fn tools() -> Result<Tools, String> {
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    tools_for(kernel::ready()?.join("bzImage"))
}

/// The same for another kernel.
pub(crate) fn tools_for(kernel: PathBuf) -> Result<Tools, String> {
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    loud(cargo("build").args(["-p", "oomc", "-p", "oomc-guest"]), "the build of oomc and of the guest")?;
    Ok(Tools { kernel, oomc: stripped("oomc")?, guest: stripped("oomc-guest")? })
}

/// A program of the debug build without its line tables: a quarter, which is what the guest's memory holds.
pub(crate) fn stripped(name: &str) -> Result<PathBuf, String> {
    let folder = target().join("machine");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    strip(&program("debug", name), &folder)
}

/// The variables by which the test program of the machine finds its tools.
pub(crate) fn variables(tools: &Tools) -> [(&'static str, &Path); 3] {
    [("OOMC_VM_KERNEL", &tools.kernel), ("OOMC_VM_OOMC", &tools.oomc), ("OOMC_VM_GUEST", &tools.guest)]
}

/// Where a program built for the static target lies.
pub(crate) fn program(profile: &str, name: &str) -> PathBuf {
    target().join(TARGET).join(profile).join(name)
}

/// A folder for what a run in the machine leaves.
pub(crate) fn scratch(name: &str) -> PathBuf {
    target().join("machine").join(name)
}

fn strip(program: &Path, folder: &Path) -> Result<PathBuf, String> {
    let result = folder.join(program.file_name().unwrap_or_default());
    let output = Command::new("objcopy")
        .arg("--strip-debug")
        .args([program, &result])
        .output()
        .map_err(|error| format!("cannot start objcopy: {error}"))?;
    if output.status.success() {
        return Ok(result);
    }
    Err(format!("cannot strip {}: {}", program.display(), String::from_utf8_lossy(&output.stderr)))
}

/// Where everything is built.
pub(crate) fn target() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target"));
    root().join(folder)
}
