//! Taking policies away, and what is left of those that are gone.
//!
//! Looks at a link once more before it is detached, and removes only what oomc has put there. Where it is to take away
//! all, what cannot be taken away stops nothing else and is reported.

use std::os::fd::AsFd as _;
use std::path::PathBuf;

use crate::bpf::Bpf;
use crate::cgroup::Target;
use crate::error::{Error, Result};
use crate::pins::{self, Folder, FolderKind, Left, Pins};
use crate::preflight;
use crate::replace::confirm;
use crate::status::{Attached, Gone, Status, attached, name_cgroups};
use crate::struct_ops::KernelOps;
use crate::survey::{Living, Only, Survey, odd, relevant, survey, wants, wants_gone, wants_living};
use crate::system::{Holder, System};

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unloaded {
    /// Detached, with final counters.
    pub detached: Vec<Attached>,
    /// Gone before.
    pub gone: Vec<Gone>,
    /// Folders of commands that were killed.
    pub leftovers: Vec<PathBuf>,
    /// What stays.
    pub left: Vec<Left>,
}

/// Detaches the policy of one cgroup, or all of ours, and removes what is gone there.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has none of ours.
pub fn unload(system: &System<'_>, target: Option<&Target>) -> Result<Unloaded> {
    preflight::privilege(system, true)?;
    let only = Only::find(system, target)?;
    let Some(pins) = Pins::lock_existing(system)? else {
        return only.map_or_else(|| Ok(Unloaded::default()), |only| Err(only.vacant()));
    };
    let bpf = system.bpf();
    let mut survey = survey(bpf, &pins)?;
    if let Some(id) = only.as_ref().and_then(|only| only.id) {
        survey.readable(id)?;
    }
    let mut unloaded = Unloaded::default();
    sweep(bpf, &survey.unfinished, &mut unloaded);
    survey.unfinished.clear();
    unloaded.left.extend(relevant(&mut survey, only.as_ref()));
    let remover = Remover { bpf, ops: kernel_ops(system, &survey)? };
    // One that has no directory any more is found by the path that it had.
    let missing = only.as_ref().is_some_and(|only| only.id.is_none());
    let had =
        |folder: &Folder| attached(bpf, folder).is_ok_and(|one| wants_living(only.as_ref(), folder.id, &one));
    let meant = |folder: &Folder| wants(only.as_ref(), folder.id) || missing && had(folder);
    for Living { folder, .. } in survey.living.iter().filter(|living| meant(&living.folder)) {
        match remover.detach(folder, &mut unloaded) {
            Ok(last) => unloaded.detached.push(last),
            Err(error) if only.is_some() => return Err(error),
            Err(error) => unloaded.left.push(odd(folder, &error)),
        }
    }
    remover.remove_gone(system, &survey.gone, only.as_ref(), &mut unloaded);
    remover.remove_gone(system, &survey.abandoned, only.as_ref(), &mut unloaded);
    for Living { folder, .. } in survey.asked.iter().filter(|asked| wants(only.as_ref(), asked.folder.id)) {
        let why = format!(
            "{} asks this policy, and takes it away when it ends: end that",
            folder
                .dir(bpf)?
                .map_or_else(|| Ok(Holder::default()), |dir| system.holder_of(&dir, &folder.place()))?
        );
        if only.is_some() && unloaded.detached.is_empty() && unloaded.gone.is_empty() {
            return Err(Error::Place { call: "a look", place: folder.place(), why, help: String::new() });
        }
        // An engine that asks a part of a policy ends with it.
        if !unloaded.detached.iter().any(|detached| detached.cgroup_id == folder.id) {
            unloaded.left.push(Left { place: folder.place(), why, ours: false, id: Some(folder.id) });
        }
    }
    match only {
        Some(only) if unloaded.detached.is_empty() && unloaded.gone.is_empty() => Err(only.vacant()),
        _ => Ok(unloaded),
    }
}

/// Removes what is left of policies that are attached no more. Those that are attached stay as they are.
///
/// # Errors
/// Without privilege, or when pins cannot be believed.
pub fn tidy(system: &System<'_>) -> Result<Unloaded> {
    tidy_but(system, 0)
}

/// As [`tidy`], but keeps so many of those whose cgroups were made last.
///
/// # Errors
/// As [`tidy`].
pub fn tidy_but(system: &System<'_>, keep: usize) -> Result<Unloaded> {
    preflight::privilege(system, true)?;
    let Some(pins) = Pins::lock_existing(system)? else { return Ok(Unloaded::default()) };
    let bpf = system.bpf();
    let mut survey = survey(bpf, &pins)?;
    let living: Vec<u64> = survey.living.iter().map(|living| living.folder.id).collect();
    // The version before one that is attached can be attached again.
    survey.gone.retain(|folder| !living.contains(&folder.id));
    survey.gone.append(&mut survey.abandoned);
    // By the ids of their cgroups, which grow.
    survey.gone.sort_by_key(|folder| folder.id);
    survey.gone.truncate(survey.gone.len().saturating_sub(keep));
    let mut tidied = Unloaded { left: survey.left.clone(), ..Unloaded::default() };
    sweep(bpf, &survey.unfinished, &mut tidied);
    let remover = Remover { bpf, ops: kernel_ops(system, &survey)? };
    remover.remove_gone(system, &survey.gone, None, &mut tidied);
    Ok(tidied)
}

/// Removes folders without a link.
pub(crate) fn sweep(bpf: Bpf<'_>, unfinished: &[Folder], removed: &mut Unloaded) {
    for folder in unfinished {
        match folder.remove_leftover(bpf) {
            Ok(left) if left.is_empty() => removed.leftovers.push(folder.place()),
            Ok(left) => removed.left.extend(left),
            Err(error) => removed.left.push(odd(folder, &error)),
        }
    }
}

/// The kernel's ops structure, if there is anything that has to be compared with it.
fn kernel_ops(system: &System<'_>, survey: &Survey) -> Result<Option<KernelOps>> {
    if survey.living.is_empty() && survey.gone.iter().all(|gone| gone.kind == FolderKind::Engine) {
        return Ok(None);
    }
    KernelOps::find(&preflight::kernel_types(system)?).map(Some).map_err(Error::Kernel)
}

/// Takes policies away, after a last look whether they are policies.
struct Remover<'k> {
    bpf: Bpf<'k>,
    ops: Option<KernelOps>,
}

impl Remover<'_> {
    fn detach(&self, folder: &Folder, unloaded: &mut Unloaded) -> Result<Attached> {
        confirm(self.bpf, self.ops.as_ref(), folder)?;
        if let Some(link) = folder.open(self.bpf, pins::LINK)? {
            match self.bpf.detach(link.as_fd()) {
                Ok(()) => {}
                // Then closing the last descriptor does it, below.
                Err(Error::Call { source, .. }) if source.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
                Err(error) => return Err(error),
            }
        }
        // After detaching, so that nothing is counted any more. What cannot be read does not stop this.
        let last = attached(self.bpf, folder);
        unloaded.left.extend(folder.remove(self.bpf)?);
        last
    }

    fn remove_gone(&self, system: &System<'_>, gone: &[Folder], only: Option<&Only>, removed: &mut Unloaded) {
        let mut status = Status::default();
        let looked_at = |folder: &Folder| {
            let was = attached(self.bpf, folder)?;
            match folder.kind {
                // It has no program that could be somebody else's.
                FolderKind::Engine => Ok(was),
                _ => confirm(self.bpf, self.ops.as_ref(), folder).map(|()| was),
            }
        };
        for folder in gone {
            let was = match looked_at(folder) {
                Ok(was) => was,
                Err(error) => {
                    removed.left.push(odd(folder, &error));
                    continue;
                }
            };
            if !wants_gone(only, &was) {
                continue;
            }
            match folder.remove(self.bpf) {
                Ok(left) => {
                    removed.left.extend(left);
                    status.gone.push(Gone { was, cgroup_exists: false, before: false });
                }
                Err(error) => removed.left.push(odd(folder, &error)),
            }
        }
        name_cgroups(system, &mut status);
        removed.gone.extend(status.gone);
    }
}
