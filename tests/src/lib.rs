//! What the tests of the repository share: where it is, and what lies in it.
//!
//! Gives paths and texts. Knows nothing of policies.

pub mod agree;
pub mod browser;
pub mod bulky;
pub mod child;
pub mod constructs;
pub mod driver;
pub mod fake;
pub mod generate;
pub mod http;
pub mod language_client;
pub mod markup;
pub mod mutate;
pub mod page;
pub mod playground;
pub mod relocated;
pub mod replay;
pub mod site;

use std::path::{Path, PathBuf};

/// Bytes that a process of the test machine has mapped of the program that it runs, as measured: it counts as shared memory
/// there. It grows with the guest's program.
pub const MAPPED: i64 = 3 << 20;

/// The top folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// All files below a folder, sorted; build output and version control left out.
///
/// # Panics
/// If a folder cannot be read: the test that asked cannot go on.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => panic!("cannot read {}: {error}", folder.display()),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    folders.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path as it is named in messages: relative to the repository, with `/`.
#[must_use]
pub fn short(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// A number that an environment variable holds.
#[must_use]
pub fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// The text of a file.
///
/// # Panics
/// If it cannot be read or is not UTF-8.
#[must_use]
pub fn read(path: &Path) -> String {
    match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => panic!("cannot read {}: {error}", path.display()),
    }
}

/// The kernel that the test machine boots: the path of its full BTF and what it says.
///
/// `cargo xtask test` names the kernel; without it there is none.
///
/// # Panics
/// If a kernel is named that has no valid BTF beside it.
#[must_use]
pub fn kernel_under_test() -> Option<(String, oomc_abi::resolve::KernelView)> {
    let image = std::env::var_os("OOMC_VM_KERNEL")?;
    let path = std::path::Path::new(&image).with_file_name("vmlinux.btf");
    let read = std::fs::read(&path).map_err(|error| error.to_string());
    let view = read
        .and_then(|bytes| oomc_abi::resolve::KernelView::from_btf(&bytes).map_err(|error| error.to_string()));
    match view {
        Ok(view) => Some((path.display().to_string(), view)),
        Err(error) => panic!("the kernel under test has no BTF at {}: {error}", path.display()),
    }
}
