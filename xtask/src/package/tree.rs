//! The files of a package, laid out as they are installed.
//!
//! Program, manual pages, completions, units, texts, and the empty folder of standing policies. Pages and completions are
//! what the program itself prints.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{cannot, fresh, quiet};
use crate::build;

/// From the repository to where it is installed.
const TEXTS: [(&str, &str); 7] = [
    ("runtime/systemd/oomc.service", "usr/lib/systemd/system/oomc.service"),
    ("runtime/systemd/oomc-policies.service", "usr/lib/systemd/system/oomc-policies.service"),
    ("packaging/debian/copyright", "usr/share/doc/oomc/copyright"),
    ("LICENSE-MIT", "usr/share/doc/oomc/LICENSE-MIT"),
    ("LICENSE-APACHE", "usr/share/doc/oomc/LICENSE-APACHE"),
    ("README.md", "usr/share/doc/oomc/README.md"),
    ("CHANGELOG.md", "usr/share/doc/oomc/CHANGELOG.md"),
];

/// Shells, and where each looks for completions of installed programs. Debian's zsh looks in `vendor-completions`, others'
/// in `site-functions`.
const COMPLETIONS: [(&str, &str); 4] = [
    ("bash", "usr/share/bash-completion/completions/oomc"),
    ("fish", "usr/share/fish/vendor_completions.d/oomc.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_oomc"),
    ("zsh", "usr/share/zsh/site-functions/_oomc"),
];

const PAGES: &str = "usr/share/man/man1";
/// Where standing policies are put.
const POLICIES: &str = "etc/oomc/policies.d";

/// Lays the files out; gives the folder.
pub(super) fn make(program: &Path, tree: &Path) -> Result<PathBuf, String> {
    fresh(tree)?;
    // Folders have the modes that they are installed with, whatever the umask is.
    copy(program, &tree.join("usr/bin/oomc"), 0o755)?;
    for (from, to) in TEXTS {
        copy(&build::root().join(from), &tree.join(to), 0o644)?;
    }
    for (shell, to) in COMPLETIONS {
        let said = Command::new(program).args(["completions", shell]).output();
        let said = said.map_err(|error| cannot("run", program, &error))?;
        if !said.status.success() {
            return Err(format!("oomc prints no completions for {shell}"));
        }
        write(&tree.join(to), &said.stdout)?;
    }
    pages(program, &tree.join(PAGES))?;
    folder(&tree.join(POLICIES))?;
    all_folders(tree)?;
    Ok(tree.to_owned())
}

/// One page per command, compressed as both systems want them.
fn pages(program: &Path, to: &Path) -> Result<(), String> {
    folder(to)?;
    quiet(Command::new(program).arg("man").arg(to), "oomc man")?;
    for entry in fs::read_dir(to).map_err(|error| cannot("look into", to, &error))? {
        let page = entry.map_err(|error| cannot("look into", to, &error))?.path();
        // Without a name and a time in it.
        quiet(Command::new("gzip").args(["-9", "-n"]).arg(&page), "gzip")?;
        mode(&page.with_added_extension("gz"), 0o644)?;
    }
    Ok(())
}

/// Copies a file, with this mode; folders above are made.
pub(super) fn copy(from: &Path, to: &Path, bits: u32) -> Result<(), String> {
    folder(to.parent().unwrap_or(Path::new("/")))?;
    fs::copy(from, to).map_err(|error| cannot("copy", from, &error))?;
    mode(to, bits)
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), String> {
    folder(to.parent().unwrap_or(Path::new("/")))?;
    fs::write(to, bytes).map_err(|error| cannot("write", to, &error))?;
    mode(to, 0o644)
}

fn folder(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| cannot("create", path, &error))
}

fn all_folders(top: &Path) -> Result<(), String> {
    mode(top, 0o755)?;
    for entry in fs::read_dir(top).map_err(|error| cannot("look into", top, &error))? {
        let path = entry.map_err(|error| cannot("look into", top, &error))?.path();
        if path.is_dir() {
            all_folders(&path)?;
        }
    }
    Ok(())
}

fn mode(path: &Path, bits: u32) -> Result<(), String> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
        .map_err(|error| cannot("set the mode of", path, &error))
}
