//! The instructions of an object as a loader hands them to the kernel with these types.

use oomc_abi::btf::Btf;
use oomc_object::Object;
use oomc_object::relocate::{MapFds, apply, find};

/// `None`: nothing that could be handed over. What the object asks for beyond types is taken to be there.
#[must_use]
pub fn relocated(object: &Object, btf: &Btf) -> Option<Vec<u64>> {
    let found = find(&object.externs, btf, |_| Some(1)).ok()?;
    let fds = MapFds { globals: vec![0; object.globals.len()], maps: vec![0; object.maps.len()] };
    Some(apply(object, btf, &found, &fds).ok()?.code)
}
