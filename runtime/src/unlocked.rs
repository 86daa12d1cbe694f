//! What is attached, seen without the lock: for whoever asks often and must neither wait nor keep anybody waiting.
//!
//! Gives a [`Status`] of what held still while it was read. What vanishes meanwhile is not there; what changes at each
//! look is counted and not told. Changes nothing.

use crate::bpf::Bpf;
use crate::engine_pins;
use crate::error::Result;
use crate::pins::{Folder, FolderKind, Left, Pins};
use crate::preflight;
use crate::status::{AskedBy, Attached, Gone, Status, attached, foreign, name_cgroups};
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
                links.extend(link);
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
    let attached = seen.status.attached.iter().filter(|one| one.asked_by == AskedBy::Kernel);
    let living: Vec<u64> = attached.map(|one| one.cgroup_id).collect();
    for gone in &mut seen.status.gone {
        gone.before = gone.was.asked_by == AskedBy::Kernel && living.contains(&gone.was.cgroup_id);
    }
    name_cgroups(system, &mut seen.status);
    seen.status.attached.sort_by(|a, b| a.cgroup.cmp(&b.cgroup));
    Ok(seen)
}

/// What one folder is, if it holds still.
enum Seen {
    /// By the link of this id, if it is not an engine that asks.
    Attached(Box<Attached>, Option<u32>),
    Gone(Box<Attached>),
    Unfinished,
    Vanished,
    Changing,
    Odd(Left),
}

/// What holds a policy: its link, or the engine that asks it.
fn held(bpf: Bpf<'_>, folder: &Folder) -> Result<Held> {
    if folder.kind == FolderKind::Engine {
        return Ok(match engine_pins::state(bpf, folder)? {
            engine_pins::State::Asked { load_id } => Held::Asked(load_id),
            engine_pins::State::Abandoned => Held::No,
            engine_pins::State::Unfinished => Held::Unfinished,
        });
    }
    Ok(match state(bpf, folder)? {
        State::Attached { link_id, ops_id } => Held::Attached(link_id, ops_id),
        State::Detached => Held::No,
        State::Unfinished => Held::Unfinished,
    })
}

/// As [`held`] says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// Ids of the link and of its `ops`.
    Attached(u32, u32),
    /// Id of the settings.
    Asked(u32),
    No,
    Unfinished,
}

/// Reads a policy between two looks at what holds it: what both say alike held all the while.
fn look(bpf: Bpf<'_>, folder: &Folder) -> Seen {
    let mut last = Seen::Changing;
    for _ in 0..LOOKS {
        let before = match held(bpf, folder) {
            // Its link may be pinned, or the rest be removed, any moment.
            Ok(Held::Unfinished) => {
                last = Seen::Unfinished;
                continue;
            }
            Ok(held) => held,
            // It may be on its way out.
            Err(error) => {
                last = Seen::Odd(odd(folder, &error));
                continue;
            }
        };
        let read = attached(bpf, folder);
        if held(bpf, folder).ok() != Some(before) {
            last = Seen::Changing;
            continue;
        }
        return match (read, before) {
            (Err(error), _) => Seen::Odd(odd(folder, &error)),
            (Ok(one), Held::Attached(link, _)) => Seen::Attached(Box::new(one), Some(link)),
            (Ok(one), Held::Asked(_)) => Seen::Attached(Box::new(one), None),
            (Ok(one), _) => Seen::Gone(Box::new(one)),
        };
    }
    match folder.dir(bpf) {
        Ok(None) => Seen::Vanished,
        _ => last,
    }
}
