//! What an author's desk is made of: the parser for tree-sitter, the extension for VS Code, the book.
//!
//! None of them is part of the gate, which tests what they are made from. A book whose mdBook was built once is looked at
//! in the gate, too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use crate::{build, packages, say};

/// The version of mdBook that makes the book.
const MDBOOK: &str = "0.5.4";

/// The least version of Node that `vsce` runs on.
const NODE: u32 = 20;

/// `cargo xtask tree-sitter`: makes the parser of `grammar/tree-sitter/grammar.js`, and records of which grammar it is.
pub(crate) fn tree_sitter(_args: &[String]) -> Result<(), String> {
    let folder = build::root().join("grammar/tree-sitter");
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&folder).args(["run", "--quiet", "--locked", "--manifest-path", "generate/Cargo.toml"]);
    cargo.env("CARGO_TARGET_DIR", tools().join("tree-sitter"));
    build::loud(&mut cargo, "the generator of tree-sitter (it needs node)")?;
    let grammar =
        fs::read(folder.join("grammar.js")).map_err(|error| format!("cannot read grammar.js: {error}"))?;
    let digest: String = Sha256::digest(&grammar).iter().map(|byte| format!("{byte:02x}")).collect();
    write(&folder.join("src/grammar.sha256"), &format!("{digest}\n"))
}

/// `cargo xtask vscode`: packs the extension, in a copy, so that what npm fetches does not lie among the sources.
pub(crate) fn vscode(_args: &[String]) -> Result<(), String> {
    let version = Command::new("node").arg("--version").output();
    let version = version.map_err(|error| format!("node cannot be started: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < NODE) {
        return Err(format!(
            "the extension is packed by Node {NODE} or later; this one is {}",
            version.trim()
        ));
    }
    let (from, to) = (build::root().join("grammar/vscode"), tools().join("vscode"));
    let mut copy = Command::new("cp");
    fs::create_dir_all(&to).map_err(|error| format!("cannot create {}: {error}", to.display()))?;
    build::loud(copy.arg("-rT").args([&from, &to]), "cp")?;
    let licences = ["LICENSE-MIT", "LICENSE-APACHE"].map(|name| fs::read_to_string(build::root().join(name)));
    let licences: Result<Vec<String>, _> = licences.into_iter().collect();
    write(
        &to.join("LICENSE.txt"),
        &licences.map_err(|error| format!("cannot read a licence: {error}"))?.join("\n\n"),
    )?;
    build::loud(Command::new("npm").current_dir(&to).args(["ci", "--ignore-scripts"]), "npm ci")?;
    let package = tools().with_file_name("vscode").join("oom.vsix");
    if let Some(folder) = package.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    }
    let mut pack = Command::new("npx");
    pack.current_dir(&to).args(["--no-install", "vsce", "package", "--out"]).arg(&package);
    build::loud(&mut pack, "vsce")?;
    say(&format!("{}", package.display()));
    Ok(())
}

/// `cargo xtask book [--unseen]`: builds the book, and looks at each of its pages in a browser; the first time mdBook
/// itself is built, which takes minutes.
pub(crate) fn book(args: &[String]) -> Result<(), String> {
    let seen = !args.iter().any(|arg| arg == "--unseen");
    if seen {
        packages::need(&packages::BOOK)?;
    }
    if !has_mdbook() {
        say(&format!("Building mdBook {MDBOOK}, once; this takes some minutes."));
        let mut cargo = Command::new("cargo");
        cargo.args([
            "install",
            "mdbook",
            "--locked",
            "--quiet",
            "--no-default-features",
            "--features",
            "search",
        ]);
        cargo.args(["--version", MDBOOK, "--root"]).arg(tools());
        build::loud(&mut cargo, "cargo install mdbook")?;
    }
    let to = built()?;
    if seen {
        let mut cargo = build::cargo("test");
        cargo.args(["-p", "oomc-tests", "--test", "book"]).env(BOOK, &to);
        build::loud(&mut cargo, "a look at the book in a browser")?;
    }
    say(&format!("{}", to.join("index.html").display()));
    Ok(())
}

/// The variable by which the test `book` finds the built book.
const BOOK: &str = "OOMC_BOOK";

/// The same for the gate, if mdBook was built before.
pub(crate) fn book_variable() -> Result<Option<(&'static str, PathBuf)>, String> {
    if !has_mdbook() {
        return Ok(None);
    }
    built().map(|folder| Some((BOOK, folder)))
}

fn has_mdbook() -> bool {
    let version = Command::new(mdbook()).arg("--version").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(MDBOOK))
}

fn mdbook() -> PathBuf {
    tools().join("bin/mdbook")
}

/// Builds the book; where it is.
fn built() -> Result<PathBuf, String> {
    let to = tools().with_file_name("book");
    let mut command = Command::new(mdbook());
    command.arg("build").arg(build::root().join("book")).arg("--dest-dir").arg(&to);
    build::loud(&mut command, "mdbook")?;
    Ok(to)
}

/// Programs that tasks have built for themselves.
fn tools() -> PathBuf {
    build::root().join("target/tools")
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}
