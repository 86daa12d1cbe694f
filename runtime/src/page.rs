//! Whether a policy counts in pages of the size that this machine has.
//!
//! The kernel counts memory in pages, and its types do not say how large they are: a policy is compiled for one size,
//! and its object says which. Takes an object, and gives nothing or what this machine lacks.

use crate::error::{Error, Result};
use crate::object::Object;
use crate::preflight::Missing;
use crate::sys;

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "oomc runs on 64-bit machines only: amounts of memory and the kernel's pointers have 64 bits in it"
);

/// Bytes in a page of this machine.
#[must_use]
pub fn size() -> i64 {
    sys::page_size()
}

/// Compares an object's with this machine's.
pub(crate) fn check(object: &Object) -> Result<()> {
    let here = size();
    match object.meta.page_size() {
        Some(size) if size == here => Ok(()),
        found => {
            let of = found.map_or_else(|| "unknown size".to_owned(), |size| format!("{size} bytes"));
            Err(Error::Kernel(vec![Missing {
                what: format!("the object is for pages of {of}, this machine's have {here}"),
                help: "compile the policy here, or with `oomc build --page-size` for this machine's pages",
            }]))
        }
    }
}
