//! The text of a policy that runs, from the copy that the loader has pinned with it.
//!
//! Knows nothing of the language: the text is what the object carried.

use std::os::fd::AsFd as _;

use crate::cgroup::Target;
use crate::error::{Error, Result};
use crate::object::text_of;
use crate::pins::{self, Left};
use crate::status::{Attached, with_each};
use crate::system::System;

/// A policy and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The policy.
    pub policy: Attached,
    /// It is not attached any more.
    pub gone: bool,
    /// What it was compiled from, as its object says.
    pub text: String,
}

/// The text of the policy that is attached to a cgroup; of the last one there, if none is attached any more.
///
/// # Errors
/// [`Error::Vacant`] when the cgroup has none of ours.
pub fn show(system: &System<'_>, target: &Target) -> Result<Shown> {
    let (mut all, left) = with_each(system, Some(target), true, |policy, folder, living| {
        let map = folder.open(system.bpf(), pins::SOURCE)?;
        let map = map.ok_or_else(|| Error::Unexpected(format!("{} keeps no text", policy.policy)))?;
        let text = text_of(&system.bpf().map_value(map.as_fd(), pins::SOURCE)?);
        Ok(Shown { policy, gone: !living, text })
    })?;
    // Ids of cgroups grow.
    all.sort_by_key(|one| (!one.gone, one.policy.cgroup_id));
    let unreadable = || match left.first() {
        Some(Left { place, why, .. }) => {
            Error::Place { call: "a look", place: place.clone(), why: why.clone(), help: String::new() }
        }
        None => Error::Unexpected("a policy was there and is not".to_owned()),
    };
    all.pop().ok_or_else(unreadable)
}
