//! What is attached, seen without the lock: for whoever asks often and must neither wait nor keep anybody waiting.
//!
//! Gives a [`Status`] of what held still while it was read. What vanishes meanwhile is not there; what changes at each
//! look is counted and not told. Changes nothing.

use crate::bpf::Bpf;
use crate::error::Result;
use crate::pins::{Folder, Left, Pins};
use crate::preflight;
use crate::status::{Attached, Gone, Status, attached, foreign, name_cgroups};
use crate::struct_ops::KernelOps;
use crate::survey::{State, odd, state};
use crate::system::System;

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlocked {
    /// What held still. Folders without a link are not among what is left.
    pub status: Status,
    /// Folders without a link: of a load that is under way, or was killed.
    pub unfinished: usize,
    /// Policies that were attached, replaced or taken away meanwhile.
    pub changing: usize,
}

/// How often a policy is looked at that changes at each look.
const LOOKS: usize = 3;

/// Everything that is attached, as far as it can be said without the lock. Waits for nobody.
///
/// # Errors
/// Without privilege, or when pins cannot be believed.
pub fn unlocked(system: &System<'_>) -> Result<Unlocked> {
    preflight::privilege(system, true)?;
    let bpf = system.bpf();
    let mut seen = Unlocked::default();
    let mut links = Vec::new();
    let pins = Pins::unlocked(system)?;
    let (folders, left) = pins.as_ref().map_or_else(|| Ok(Default::default()), Pins::folders)?;
    seen.status.left = left;
    for folder in &folders {
        match look(bpf, folder) {
            Seen::Attached(one, link) => {
                links.push(link);
                seen.status.attached.push(*one);
            }
            Seen::Gone(was) => {
                seen.status.gone.push(Gone { was: *was, cgroup_exists: false, before: false });
            }
            Seen::Unfinished => seen.unfinished += 1,
            Seen::Vanished => {}
            Seen::Changing => seen.changing += 1,
            Seen::Odd(left) => seen.status.left.push(left),
        }
    }
    // Without types of the kernel or without the ops structure nobody has attached anything.
    if let Ok(btf) = preflight::kernel_types(system)
        && let Ok(ops) = KernelOps::find(&btf)
    {
        let found = foreign(bpf, &ops)?;
        // A link that a load has made since, or is about to pin: there is a folder for its cgroup, or was one.
        let now = pins.as_ref().map_or_else(|| Ok(Default::default()), Pins::folders)?.0;
        let ours = |id: u64| folders.iter().chain(&now).any(|folder| folder.id == id);
        for one in found.into_iter().filter(|one| !links.contains(&one.link)) {
            match ours(one.cgroup_id) {
                true => seen.changing += 1,
                false => seen.status.foreign.push(one),
            }
        }
    }
    let living: Vec<u64> = seen.status.attached.iter().map(|one| one.cgroup_id).collect();
    for gone in &mut seen.status.gone {
        gone.before = living.contains(&gone.was.cgroup_id);
    }
    name_cgroups(system, &mut seen.status);
    seen.status.attached.sort_by(|a, b| a.cgroup.cmp(&b.cgroup));
    Ok(seen)
}

/// What one folder is, if it holds still.
enum Seen {
    Attached(Box<Attached>, u32),
    Gone(Box<Attached>),
    Unfinished,
    Vanished,
    Changing,
    Odd(Left),
}

/// Reads a policy between two looks at its link: what both say alike held all the while.
fn look(bpf: Bpf<'_>, folder: &Folder) -> Seen {
    let mut last = Seen::Changing;
    for _ in 0..LOOKS {
        let before = match state(bpf, folder) {
            // Its link may be pinned, or the rest be removed, any moment.
            Ok(State::Unfinished) => {
                last = Seen::Unfinished;
                continue;
            }
            Ok(state) => state,
            // It may be on its way out.
            Err(error) => {
                last = Seen::Odd(odd(folder, &error));
                continue;
            }
        };
        let read = attached(bpf, folder);
        if state(bpf, folder).ok() != Some(before) {
            last = Seen::Changing;
            continue;
        }
        return match (read, before) {
            (Err(error), _) => Seen::Odd(odd(folder, &error)),
            (Ok(one), State::Attached { link_id, .. }) => Seen::Attached(Box::new(one), link_id),
            (Ok(one), _) => Seen::Gone(Box::new(one)),
        };
    }
    match folder.dir(bpf) {
        Ok(None) => Seen::Vanished,
        _ => last,
    }
}
