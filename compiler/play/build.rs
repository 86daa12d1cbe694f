//! Packs the editor of the page: in the program it takes a third of the place, and browsers unpack it.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script is told by the environment where its files are"
)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::{env, io};

use flate2::Compression;
use flate2::write::GzEncoder;

const EDITOR: &str = "page/editor.js";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={EDITOR}");
    let folder = env::var_os("OUT_DIR").map(PathBuf::from).ok_or(io::ErrorKind::NotFound)?;
    let mut packed = GzEncoder::new(File::create(folder.join("editor.js.gz"))?, Compression::best());
    packed.write_all(&fs::read(EDITOR)?)?;
    packed.finish()?;
    Ok(())
}
