//! One pass over all files of standing policies.

use std::collections::BTreeMap;
use std::path::Path;

use oomc_runtime::System;

use super::{Done, Hands, Outcome, apply, read_all};
use crate::exit::{Exit, Failure};

/// What a pass did.
pub(crate) struct Pass {
    /// Files that say nothing.
    pub(crate) unreadable: Vec<Failure>,
    /// What was done, with the file that says so.
    pub(crate) done: Vec<(String, Done)>,
}

impl Pass {
    /// How a command ends that has done this.
    pub(crate) fn worst(&self) -> Exit {
        let done = self.done.iter().filter_map(|(_, done)| done.failure.as_ref());
        self.unreadable.iter().chain(done).map(|failure| failure.exit).max().unwrap_or(Exit::Ok)
    }
}

/// Makes the machine so as the files of a folder say. Each file and each cgroup is for itself. `object` gives the object
/// of a policy.
pub(crate) fn pass(
    system: &System<'_>,
    folder: &Path,
    hands: &mut dyn Hands,
    object: &mut dyn FnMut(&Path) -> Result<Vec<u8>, Failure>,
) -> Result<Pass, Failure> {
    let (all, unreadable) = read_all(folder)?;
    let now = oomc_runtime::status(system, None)?;
    let (mut taken, mut done) = (BTreeMap::new(), Vec::new());
    for one in &all {
        let file = one.file.display().to_string();
        let made = apply(system, one, &now.attached, &mut taken, hands, &mut || object(&one.policy));
        let made = made.unwrap_or_else(|failure| {
            let cgroup = one.cgroup.text().to_owned();
            vec![Done { cgroup, outcome: Outcome::Failed, failure: Some(failure) }]
        });
        done.extend(made.into_iter().map(|one| (file.clone(), one)));
    }
    Ok(Pass { unreadable, done })
}
