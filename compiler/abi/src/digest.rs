//! The digest of an object: where it stands, so that writers and readers agree.
//!
//! It is the SHA-256 of the whole file with the section's own bytes as zeros. It tells accidents and code of others
//! from what `oomc build` wrote; it is no signature, because whoever writes an object can compute it.
//! Computing it is left to those who have the bytes: this crate has no hash function.

/// Its section.
pub const SECTION: &str = ".oomc.digest";
/// Bytes of a SHA-256.
pub const BYTES: usize = 32;
