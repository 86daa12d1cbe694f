//! The ops instance: the value that the kernel registers.
//!
//! Its local structure has the shape of v3 of the series; loaders match its members by name.

use oomc_abi::consts::OOM_NAME_MAX;

/// Its section: registered through a link.
pub(super) const SECTION: &str = ".struct_ops.link";
/// Its variable, and so the map's name.
pub(super) const SYMBOL: &str = "oom_policy";
/// Where the name starts, in bytes; the callback's pointer comes before.
pub(super) const NAME_OFFSET: u32 = 8;
/// Bytes of the name with its NUL.
pub(super) const NAME_SIZE: u32 = OOM_NAME_MAX as u32;
/// Bytes of the structure.
pub(super) const SIZE: u32 = NAME_OFFSET + NAME_SIZE;

/// The image: a null callback, which a relocation fills, and the name, cut to fit.
pub(super) fn image(name: &str) -> Vec<u8> {
    let mut end = name.len().min(OOM_NAME_MAX - 1);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let mut image = vec![0; NAME_OFFSET as usize];
    image.extend(name.bytes().take(end));
    image.resize(SIZE as usize, 0);
    image
}
