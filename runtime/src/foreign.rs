//! Objects that oomc did not make: whether one may be loaded, and what is remembered of it.
//!
//! Takes an object and whether the operator allows such ones. What such an object says of its name is not believed:
//! it goes by the name that it gave to the kernel, and what is odd of it is kept beside its pins.

use crate::error::Result;
use crate::object::{self, Meta, Object};
use crate::preflight;
use crate::system::System;

/// What is odd of a policy that oomc did not make.
const FOREIGN: &str = "foreign";
/// The name that such a policy has in the kernel.
const OPS_NAME: &str = "ops_name";
/// Where a policy was attached.
const CGROUP: &str = "cgroup";
/// What an object has no say in, and what a foreign one is not believed.
const OURS: [&str; 3] = [FOREIGN, OPS_NAME, CGROUP];
const UNBELIEVED: [&str; 2] = ["name", "hash"];

/// Refuses a foreign object unless it is allowed.
pub(crate) fn admit(system: &System<'_>, object: &Object, allowed: bool) -> Result<()> {
    if object.foreign.is_empty() || allowed {
        return Ok(());
    }
    // Only for the names of helpers: without them there are their numbers.
    let types = preflight::kernel_types(system).ok();
    Err(object::Error::NotOurs(object::foreign::told(&object.foreign, types.as_ref())).into())
}

/// What is kept of an object beside its pins.
pub(crate) fn remembered(object: &Object, cgroup: &str) -> Meta {
    let foreign = !object.foreign.is_empty();
    let dropped = |key: &str| OURS.contains(&key) || (foreign && UNBELIEVED.contains(&key));
    let mut meta = object.meta.clone();
    meta.lines.retain(|(key, _)| !dropped(key));
    let mut keep = |key: &str, value: String| meta.lines.push((key.to_owned(), value));
    keep(CGROUP, cgroup.replace(['\n', '\r'], "?"));
    if foreign {
        keep(OPS_NAME, object.ops_name().escape_debug().to_string());
        keep(FOREIGN, object::foreign::told(&object.foreign, None));
    }
    meta
}

/// What a kept description says is odd of its policy. None: it is ours.
#[must_use]
pub fn oddities(meta: &Meta) -> Option<&str> {
    Some(meta.get(FOREIGN)).filter(|text| !text.is_empty())
}

/// The name of a policy by what is kept of it: of a foreign one, what the kernel calls it.
pub(crate) fn name(meta: &Meta) -> String {
    if oddities(meta).is_some() {
        return meta.get(OPS_NAME).to_owned();
    }
    let hash = meta.get("hash");
    format!("{}@{}", meta.get("name"), hash.get(..8).unwrap_or(hash))
}
