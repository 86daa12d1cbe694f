//! Whether an object is, byte for byte, what `oomc build` wrote.
//!
//! The digest is the SHA-256 of the whole file with the digest's own bytes as zeros. Whoever writes an object can
//! compute it: it tells accidents, other tools and old versions apart from what oomc made, and authenticates nothing.

use std::fmt;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _, ObjectSection as _};
use oomc_abi::digest::{BYTES, SECTION};
use sha2::{Digest as _, Sha256};

/// What was found of an object's digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// It is there, and the file has it.
    Holds([u8; BYTES]),
    /// It is there, and the file has another.
    Differs([u8; BYTES]),
    /// There is none.
    Absent,
}

impl Digest {
    /// Whether the file is as it was written.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self, Self::Holds(_))
    }

    /// The digest that the file says it has, in hexadecimal.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Holds(bytes) | Self::Differs(bytes) => Some(hexadecimal(bytes)),
            Self::Absent => None,
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Holds(_) => "its digest holds",
            Self::Differs(_) => "its digest does not hold: it was changed since `oomc build` wrote it",
            Self::Absent => "it has no digest: `oomc build` did not write it, or an older one did",
        })
    }
}

/// Compares the digest in a file with the file's.
pub(crate) fn check(bytes: &[u8], elf: &ElfFile64<'_, LittleEndian>) -> Digest {
    let range = elf.section_by_name(SECTION).and_then(|section| section.file_range());
    let Some((start, _)) = range.filter(|(_, size)| *size == BYTES as u64) else { return Digest::Absent };
    let place = usize::try_from(start).ok().and_then(|start| {
        let rest = bytes.get(start..)?;
        Some((bytes.get(..start)?, rest.first_chunk::<BYTES>()?, rest.get(BYTES..)?))
    });
    let Some((before, said, behind)) = place else { return Digest::Absent };
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update([0; BYTES]);
    hash.update(behind);
    if hash.finalize().as_slice() == said { Digest::Holds(*said) } else { Digest::Differs(*said) }
}

/// SHA-256 of a text, in hexadecimal: what an object calls its hash.
pub(crate) fn of_text(text: &str) -> String {
    hexadecimal(&Sha256::digest(text.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
