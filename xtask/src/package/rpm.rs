//! The RPM package: the tree, `packaging/rpm/oomc.spec`, and `rpmbuild` (Debian package rpm).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{EPOCH, Made, NAME, VERSION, cannot};
use crate::build;

/// What RPM calls the machines that the program is built for.
const ARCHITECTURE: &str = "x86_64";

/// Makes the package; gives its file.
pub(super) fn make(made: &Made) -> Result<PathBuf, String> {
    let work = made.to.join("rpm");
    super::fresh(&work)?;
    let list = work.join("files");
    fs::write(&list, files(&made.tree)?).map_err(|error| cannot("write", &list, &error))?;
    let define = |name: &str, value: &Path| format!("{name} {}", value.display());
    let mut tool = Command::new("rpmbuild");
    tool.env(EPOCH, &made.epoch).args(["-bb", "--quiet", "--target", ARCHITECTURE]);
    for definition in [
        define("_topdir", &work),
        define("_rpmdir", &made.to),
        define("oomc_tree", &made.tree),
        define("oomc_list", &list),
        format!("oomc_version {VERSION}"),
        "_rpmfilename %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm".to_owned(),
        format!("_binary_payload {}", if made.quick { "w1.gzdio" } else { "w9.xzdio" }),
    ] {
        tool.args(["--define", &definition]);
    }
    super::quiet(tool.arg(build::root().join("packaging/rpm/oomc.spec")), "rpmbuild")?;
    fs::remove_dir_all(&work).map_err(|error| cannot("remove", &work, &error))?;
    Ok(made.to.join(format!("{NAME}-{VERSION}-1.{ARCHITECTURE}.rpm")))
}

/// The list of files as RPM wants it: folders that are ours are named as such, others belong to the system.
fn files(tree: &Path) -> Result<String, String> {
    let mut lines = vec!["%dir /etc/oomc".to_owned(), "%dir /etc/oomc/policies.d".to_owned()];
    lines.push("%dir /usr/share/doc/oomc".to_owned());
    let mut folders = vec![tree.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| cannot("look into", &folder, &error))? {
            let path = entry.map_err(|error| cannot("look into", &folder, &error))?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let within = path.strip_prefix(tree).map_err(|error| format!("{}: {error}", path.display()))?;
            lines.push(format!("/{}", within.display()));
        }
    }
    lines.sort();
    Ok(lines.join("\n") + "\n")
}
