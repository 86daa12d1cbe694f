//! `cargo xtask package [--debug] [--to FOLDER]`: the program as people install it.
//!
//! Makes a statically linked program and, of the same files ([`tree`]), a Debian package ([`deb`]) and an RPM package
//! ([`rpm`]), by the tools that those systems make theirs with. The same sources give the same packages: times in them are
//! that of the commit.

mod deb;
mod rpm;
mod tree;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{build, packages, say};

/// What packages are called.
const NAME: &str = "oomc";
/// The workspace's.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The variable by which those who make packages say which time is in them.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// What was asked for.
struct Wanted {
    /// Packages for tests: of the build that tests have anyway, hardly compressed.
    debug: bool,
    to: PathBuf,
}

/// What both packages are made of.
struct Made {
    /// Holds the files as they are installed.
    tree: PathBuf,
    /// Their times.
    epoch: String,
    /// Where packages go.
    to: PathBuf,
    quick: bool,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let wanted = wanted(args)?;
    packages::need(&packages::BUILD)?;
    packages::need(&packages::PACKAGE)?;
    let program = built(wanted.debug)?;
    fresh(&wanted.to)?;
    let placed = wanted.to.join(NAME);
    tree::copy(&program, &placed, 0o755)?;
    let made = Made {
        tree: tree::make(&placed, &wanted.to.join("tree"))?,
        epoch: epoch()?,
        to: wanted.to,
        quick: wanted.debug,
    };
    let (deb, rpm) = (deb::make(&made)?, rpm::make(&made)?);
    for file in [&placed, &deb, &rpm] {
        let size = fs::metadata(file).map_err(|error| cannot("look at", file, &error))?.len();
        say(&format!("{}  {:.1} MB", file.display(), size as f64 / 1e6));
    }
    Ok(())
}

fn wanted(args: &[String]) -> Result<Wanted, String> {
    let mut wanted = Wanted { debug: false, to: build::target().join("package") };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--debug" => wanted.debug = true,
            "--to" => wanted.to = PathBuf::from(args.next().ok_or("`--to` needs a folder")?),
            other => return Err(format!("package takes `--debug` and `--to FOLDER`, not `{other}`")),
        }
    }
    Ok(wanted)
}

/// The program, statically linked; stripped, as release builds are.
fn built(debug: bool) -> Result<PathBuf, String> {
    if debug {
        build::loud(build::cargo("build").args(["--locked", "-p", NAME]), "the build of oomc")?;
        return build::stripped(NAME);
    }
    build::release(&[NAME])?;
    Ok(build::program("release", NAME))
}

/// The time that stands in packages: what the environment says, or that of the commit.
fn epoch() -> Result<String, String> {
    if let Ok(epoch) = env::var(EPOCH) {
        return Ok(epoch);
    }
    let output = Command::new("git")
        .current_dir(build::root())
        .args(["log", "-1", "--format=%ct"])
        .output()
        .map_err(|error| format!("cannot start git: {error}; {EPOCH} says which time packages have"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if said.parse::<u64>().is_err() {
        return Err(format!("git knows no commit here; {EPOCH} says which time packages have"));
    }
    Ok(said)
}

/// An empty folder.
fn fresh(folder: &Path) -> Result<(), String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| cannot("remove", folder, &error))?;
    }
    fs::create_dir_all(folder).map_err(|error| cannot("create", folder, &error))
}

/// Runs a tool that has something to say only when it fails.
fn quiet(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("cannot start {name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("{name} failed ({}):\n{}", output.status, String::from_utf8_lossy(&said)))
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("cannot {what} {}: {error}", path.display())
}
