//! The Debian package: the tree, what `packaging/debian` says of it, and `dpkg-deb` (Debian package dpkg).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{EPOCH, Made, NAME, VERSION, cannot, tree};
use crate::build;

/// What Debian calls the machines that the program is built for.
const ARCHITECTURE: &str = "amd64";
/// What runs when a package comes and goes.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Makes the package; gives its file.
pub(super) fn make(made: &Made) -> Result<PathBuf, String> {
    let from = build::root().join("packaging/debian");
    let root = made.to.join("debian");
    super::fresh(&root)?;
    super::quiet(Command::new("cp").arg("-a").arg(made.tree.join(".")).arg(&root), "cp")?;
    let about = root.join("DEBIAN");
    fs::create_dir(&about).map_err(|error| cannot("create", &about, &error))?;
    for script in SCRIPTS {
        tree::copy(&from.join(script), &about.join(script), 0o755)?;
    }
    let control = fs::read_to_string(from.join("control"))
        .map_err(|error| cannot("read", &from.join("control"), &error))?
        .replace("@VERSION@", VERSION)
        .replace("@KIB@", &size(&made.tree)?.div_ceil(1024).to_string());
    fs::write(about.join("control"), control).map_err(|error| cannot("write", &about, &error))?;
    let package = made.to.join(format!("{NAME}_{VERSION}_{ARCHITECTURE}.deb"));
    let mut tool = Command::new("dpkg-deb");
    tool.args(["--root-owner-group", "-Zxz"]).env(EPOCH, &made.epoch);
    if made.quick {
        tool.arg("-z0");
    }
    super::quiet(tool.arg("--build").args([&root, &package]), "dpkg-deb")?;
    fs::remove_dir_all(&root).map_err(|error| cannot("remove", &root, &error))?;
    Ok(package)
}

/// Bytes of all files.
fn size(folder: &Path) -> Result<u64, String> {
    let mut sum = 0;
    for entry in fs::read_dir(folder).map_err(|error| cannot("look into", folder, &error))? {
        let path = entry.map_err(|error| cannot("look into", folder, &error))?.path();
        let data = fs::symlink_metadata(&path).map_err(|error| cannot("look at", &path, &error))?;
        sum += if data.is_dir() { size(&path)? } else { data.len() };
    }
    Ok(sum)
}
