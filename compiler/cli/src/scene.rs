//! A recorded or live machine that policies are tried on: its cgroups by path, and labels as a policy reads them.
//!
//! Takes snapshots; knows nothing of what a policy makes of them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use oomc_abi::amount::exact;
use oomc_abi::declared::Declared;
use oomc_runtime::{Assignment, config, labels};
use oomc_sim::machine::{CgroupIndex, Machine, ROOT};
use oomc_sim::{Attached, Policy};
use oomc_snapshot::Snapshot;

use crate::cmd::value;
use crate::exit::{Exit, Failure};
use crate::report::reason;

/// Where cgroups are usually mounted: a path from there is meant to be one from the mount.
const MOUNT: &str = "/sys/fs/cgroup";

/// The largest file that is read: a machine with millions of processes.
const MOST: u64 = 2 << 30;

/// A path from the mount, of one that may begin with the mount itself.
pub(crate) fn below(mount: &Path, path: &str) -> String {
    let inside = Path::new(path).strip_prefix(mount).ok().and_then(Path::to_str);
    let names = inside.unwrap_or(path).split('/').filter(|name| !name.is_empty());
    format!("/{}", names.collect::<Vec<_>>().join("/"))
}

/// Sets params of a policy that is tried. Gives what is to be said of it.
pub(crate) fn set(
    attached: &mut Attached,
    declared: &Declared,
    set: &[Assignment],
) -> Result<Vec<String>, Failure> {
    let mut remarks = Vec::new();
    for assignment in set {
        let (param, to) = config::wanted(declared, assignment, &value)?;
        attached.set(&param.name, to);
        remarks.push(format!("{} is set to {}", param.name, exact(param.unit, to)));
    }
    Ok(remarks)
}

/// A machine and what stands on its cgroups.
pub(crate) struct Scene {
    pub(crate) machine: Machine,
    /// What the snapshot was restricted to.
    pub(crate) top: String,
    paths: HashMap<String, CgroupIndex>,
    /// By path.
    directories: HashMap<String, Directory>,
}

/// A cgroup's directory: who may write to it, and its labels.
struct Directory {
    owner: u32,
    mode: u32,
    labels: Vec<(String, String)>,
}

impl Scene {
    pub(crate) fn new(snapshot: &Snapshot) -> Self {
        let machine = snapshot.machine();
        let paths = (0..machine.cgroups.len()).map(|at| (machine.path(at), at)).collect();
        let directories = snapshot.cgroups.iter().map(|one| {
            let labels = one.labels.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
            (one.path.clone(), Directory { owner: one.owner, mode: one.mode, labels })
        });
        Self { machine, top: snapshot.top.clone(), paths, directories: directories.collect() }
    }

    /// From a file.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::refused(format!("cannot read {}: {}", path.display(), reason(&error)))
        };
        let file = File::open(path).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(MOST + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MOST {
            let text = format!("{} is larger than {} GiB: this is no snapshot", path.display(), MOST >> 30);
            return Err(Failure::refused(text));
        }
        let snapshot = oomc_snapshot::parse(&bytes)
            .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
        Ok(Self::new(&snapshot))
    }

    /// A cgroup by its path from the mount.
    pub(crate) fn find(&self, path: &str) -> Result<CgroupIndex, Failure> {
        let wanted = below(Path::new(MOUNT), path);
        self.paths.get(&wanted).copied().ok_or_else(|| {
            let near = oomc_compiler::diag::suggest::nearest(&wanted, self.paths.keys().map(String::as_str));
            let failure = Failure::new(Exit::Refused, format!("there is no cgroup {wanted}"));
            match near {
                Some(near) => failure.help(format!("did you mean {near}?")),
                None => failure,
            }
        })
    }

    /// A policy at a cgroup, with the labels that it may see; and what is to be said of others.
    pub(crate) fn attach(&self, policy: &Policy, at: CgroupIndex) -> (Attached, Vec<String>) {
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
                if let Some(why) = labels::distrust(label.trust, directory.owner, directory.mode, owner) {
                    remarks.push(format!("label `{name}` of {path} is ignored: {why}"));
                    continue;
                }
                match value(text) {
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
