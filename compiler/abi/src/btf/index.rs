//! A BTF with its index beside it, so that starting costs nothing: the form in which oomc carries one.
//!
//! Layout, little endian: the text `OOMCBTF1`; u32 number of types; u32 number of named types; offsets of
//! the types (u32 each); numbers of the named types sorted by name (u32 each); the BTF itself.
//! Only bytes made by [`write`] are given to [`read`]; a test compares index and full parse.

use std::borrow::Cow;

use super::parse::{Error, Reason, sections, u32_at};
use super::{Btf, write::header};

const MAGIC: &[u8; 8] = b"OOMCBTF1";

/// Little-endian numbers, owned or part of the program's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table(Cow<'static, [u8]>);

impl Table {
    pub(super) fn new(values: impl IntoIterator<Item = u32>) -> Self {
        Self(Cow::Owned(values.into_iter().flat_map(u32::to_le_bytes).collect()))
    }

    pub(super) fn len(&self) -> u32 {
        (self.0.len() / 4) as u32
    }

    pub(super) fn get(&self, at: u32) -> Option<u32> {
        u32_at(&self.0, at as usize * 4)
    }

    /// Number of leading values that satisfy a condition which no later value satisfies.
    pub(super) fn partition_point(&self, condition: impl Fn(u32) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&condition) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// A BTF with its index, for [`read`].
#[must_use]
pub fn write(btf: &Btf) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend(btf.offsets.len().to_le_bytes());
    out.extend(btf.names.len().to_le_bytes());
    out.extend(&*btf.offsets.0);
    out.extend(&*btf.names.0);
    out.extend(header(btf.types.len() as u32, btf.strings.len() as u32));
    out.extend(&*btf.types);
    out.extend(&*btf.strings);
    out
}

/// The plain BTF inside, for other tools.
#[must_use]
pub fn plain(bytes: &[u8]) -> Option<&[u8]> {
    let count = u32_at(bytes, 8)? as usize + u32_at(bytes, 12)? as usize;
    bytes.get(16 + count * 4..)
}

/// Takes what [`write`] made, without reading the types.
///
/// # Errors
/// Only if the bytes are something else.
pub fn read(bytes: &'static [u8]) -> Result<Btf, Error> {
    let truncated = Error { offset: bytes.len(), reason: Reason::Truncated };
    if bytes.get(..8) != Some(MAGIC) {
        return Err(Error { offset: 0, reason: Reason::Magic });
    }
    let offsets = u32_at(bytes, 8).ok_or(truncated)? as usize * 4;
    let names = u32_at(bytes, 12).ok_or(truncated)? as usize * 4;
    let part = |start: usize, len: usize| bytes.get(start..start + len).ok_or(truncated);
    let raw = bytes.get(16 + offsets + names..).ok_or(truncated)?;
    let (types, strings) = sections(raw)?;
    Ok(Btf {
        offsets: Table(Cow::Borrowed(part(16, offsets)?)),
        names: Table(Cow::Borrowed(part(16 + offsets, names)?)),
        types: Cow::Borrowed(raw.get(types).ok_or(truncated)?),
        strings: Cow::Borrowed(raw.get(strings).ok_or(truncated)?),
    })
}
