//! A recorded machine that policies are tried on: its cgroups by path, and labels as a policy reads them.
//!
//! Takes a snapshot; knows nothing of what a policy makes of it.

use std::collections::HashMap;
use std::path::Path;

use oomc_abi::declared::Declared;
use oomc_compiler::value;
use oomc_sim::machine::{CgroupIndex, Machine, ROOT};
use oomc_sim::{Attached, Policy};
use oomc_snapshot::Snapshot;

use crate::Error;

/// Where cgroups are usually mounted: a path from there is meant to be one from the mount.
const MOUNT: &str = "/sys/fs/cgroup";

/// A path from the mount, of one that may begin with the mount itself.
#[must_use]
pub fn below(mount: &Path, path: &str) -> String {
    let inside = Path::new(path).strip_prefix(mount).ok().and_then(Path::to_str);
    let names = inside.unwrap_or(path).split('/').filter(|name| !name.is_empty());
    format!("/{}", names.collect::<Vec<_>>().join("/"))
}

/// A machine and what stands on its cgroups.
#[derive(Debug)]
pub struct Inputs {
    /// Its cgroups and processes.
    pub machine: Machine,
    /// What the snapshot was restricted to.
    pub top: String,
    paths: HashMap<String, CgroupIndex>,
    /// By path.
    directories: HashMap<String, Directory>,
}

/// A cgroup's directory: who may write to it, and its labels.
#[derive(Debug)]
struct Directory {
    owner: u32,
    mode: u32,
    labels: Vec<(String, String)>,
}

impl Inputs {
    /// Lays out the machine of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot) -> Self {
        let machine = snapshot.machine();
        let paths = (0..machine.cgroups.len()).map(|at| (machine.path(at), at)).collect();
        let directories = snapshot.cgroups.iter().map(|one| {
            let labels = one.labels.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
            (one.path.clone(), Directory { owner: one.owner, mode: one.mode, labels })
        });
        Self { machine, top: snapshot.top.clone(), paths, directories: directories.collect() }
    }

    /// A cgroup by its path from the mount.
    ///
    /// # Errors
    /// [`Error::NoCgroup`].
    pub fn find(&self, path: &str) -> Result<CgroupIndex, Error> {
        let wanted = below(Path::new(MOUNT), path);
        self.paths.get(&wanted).copied().ok_or_else(|| {
            let near = oomc_compiler::diag::suggest::nearest(&wanted, self.paths.keys().map(String::as_str));
            let near = near.map(ToString::to_string);
            Error::NoCgroup { path: wanted, near }
        })
    }

    /// Attaches a policy to a cgroup, with the labels that it trusts; returns a remark on each label that it does not.
    #[must_use]
    pub fn attach(&self, policy: &Policy, at: CgroupIndex) -> (Attached, Vec<String>) {
        let mut machine = self.machine.clone();
        let remarks = self.label(&mut machine, &policy.declared, at);
        (Attached::new(policy, &machine, at), remarks)
    }

    fn label(&self, machine: &mut Machine, declared: &Declared, attached: CgroupIndex) -> Vec<String> {
        let mut remarks = Vec::new();
        let owner = self.directories.get(&machine.path(attached)).map_or(0, |directory| directory.owner);
        for at in ROOT..machine.cgroups.len() {
            let path = machine.path(at);
            let Some(directory) = self.directories.get(&path) else { continue };
            for (name, text) in &directory.labels {
                let Some(label) = declared.labels.iter().find(|label| label.name == *name) else { continue };
                if let Some(why) = label.trust.refuses(directory.owner, directory.mode, owner) {
                    remarks.push(format!("label `{name}` of {path} is ignored: {why}"));
                    continue;
                }
                match value::read(text) {
                    Ok((unit, value)) if unit == label.unit => {
                        if let Some(cgroup) = machine.cgroups.get_mut(at) {
                            cgroup.labels.push((name.clone(), value));
                        }
                    }
                    _ => remarks
                        .push(format!("label `{name}` of {path} is ignored: `{text}` is no value of it")),
                }
            }
        }
        remarks
    }
}
