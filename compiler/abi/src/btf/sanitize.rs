//! The form of an object's BTF that a kernel takes.
//!
//! Externs are the loader's business: the kernel refuses extern functions, variables without a type and the
//! section `.ksyms` that lists them (`kernel/bpf/btf.c`, 6.12). They are rewritten in place, so that numbers
//! of types and offsets of strings stay and `.BTF.ext` needs no change.

use super::parse::{Error, kind, sections};
use super::{Btf, Kind, LINKAGE_EXTERN, LINKAGE_GLOBAL, TypeId};

/// Rewrites a `.BTF` section for `BPF_BTF_LOAD`.
///
/// # Errors
/// If the bytes are not a BTF.
pub fn for_kernel(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let btf = Btf::parse(bytes)?;
    let (types, _) = sections(bytes)?;
    let mut out = bytes.to_vec();
    let mut put = |at: usize, word: u32| {
        if let Some(slot) = out.get_mut(at..at + 4) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
    };
    let int = btf.ids().find(|id| matches!(btf.get(*id), Some(ty) if is_int(&ty.kind))).unwrap_or(0);
    for id in btf.ids() {
        let Some(at) = btf.offsets.get(id - 1).map(|at| types.start + at as usize) else { continue };
        let Some(ty) = btf.get(id) else { continue };
        match ty.kind {
            Kind::Func { linkage: LINKAGE_EXTERN, .. } => {
                put(at + 4, kind::FUNC << 24 | u32::from(LINKAGE_GLOBAL));
            }
            Kind::Var { linkage, .. } if linkage == u32::from(LINKAGE_EXTERN) => {
                put(at + 8, int);
                put(at + 12, u32::from(LINKAGE_GLOBAL));
            }
            // A nameless structure of numbers has records of the same length as a section.
            Kind::DataSec { entries, .. } if ty.name == ".ksyms" => {
                put(at, 0);
                put(at + 4, kind::STRUCT << 24 | entries.len() as u32);
                put(at + 8, entries.len() as u32 * 4);
                for (index, entry) in entries.iter().enumerate() {
                    let record = at + 12 + index * 12;
                    put(record, name_of(&btf, entry.ty));
                    put(record + 4, int);
                    put(record + 8, index as u32 * 32);
                }
            }
            _ => {}
        }
    }
    Ok(out)
}

fn is_int(kind: &Kind<'_>) -> bool {
    matches!(kind, Kind::Int { size: 4, bits: 32, offset: 0, .. })
}

/// Offset of a type's name.
fn name_of(btf: &Btf, id: TypeId) -> u32 {
    id.checked_sub(1)
        .and_then(|at| btf.offsets.get(at))
        .and_then(|at| super::parse::u32_at(&btf.types, at as usize))
        .unwrap_or(0)
}
