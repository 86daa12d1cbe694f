//! Turns an object's types into types that the kernel takes.
//!
//! The kernel knows no externs: their functions become global ones, their variables numbers, and `.ksyms`
//! a section of dummies (as in libbpf 1.7, `bpf_object__collect_externs`). Sizes and offsets of sections
//! that a compiler left open are filled in from the ELF file. Numbers of types and offsets of strings stay,
//! so that line information fits both. Knows nothing of system calls.

use std::collections::HashMap;

use oomc_abi::btf::{Btf, INT_SIGNED, Kind, LINKAGE_EXTERN, LINKAGE_GLOBAL, TypeId};

use crate::object::{DataSection, Object};

// The format (`include/uapi/linux/btf.h`, 6.12).
const HEADER: usize = 24;
const KIND_INT: u32 = 1;
const KIND_VAR: u32 = 14;
const KSYMS: &str = ".ksyms";
const DUMMY: &str = "dummy_ksym";
/// Bytes of a dummy.
const DUMMY_SIZE: u32 = 4;

/// The types for `BPF_BTF_LOAD`. None: the bytes contradict the types read from them.
pub(crate) fn for_kernel(object: &Object) -> Option<Vec<u8>> {
    let mut raw = Raw::split(&object.btf_bytes)?;
    let btf = &object.btf;
    let offsets = raw.offsets(btf)?;
    let at = |id: TypeId| offsets.get(id.checked_sub(1)? as usize).copied();

    let mut dummy = None;
    let mut open: HashMap<&str, &DataSection> =
        object.data_sections.iter().rev().map(|section| (section.name.as_str(), section)).collect();
    for id in btf.ids() {
        let Kind::DataSec { entries, .. } = btf.get(id)?.kind else { continue };
        let name = btf.name(id);
        let start = at(id)?;
        if name != KSYMS {
            // Once: a second description of a section would cost as much as the first.
            let Some(place) = open.remove(name) else { continue };
            fill(&mut raw, btf, start, &entries.iter().map(|entry| entry.ty).collect::<Vec<_>>(), place)?;
            continue;
        }
        let (dummy_id, dummy_name) = match dummy {
            Some(dummy) => dummy,
            None => *dummy.insert(raw.add_dummy(btf)),
        };
        let int = raw.int?;
        for (index, entry) in (0_u32..).zip(&entries) {
            let ty = entry.ty;
            let place = at(ty)?;
            let slot = start + 12 + 12 * index as usize;
            match btf.get(ty)?.kind {
                Kind::Func { proto, linkage: LINKAGE_EXTERN } => {
                    let info = raw.word(place + 4)? & !0xffff | u32::from(LINKAGE_GLOBAL);
                    raw.set(place + 4, info)?;
                    name_parameters(&mut raw, btf, at(proto)?, proto, dummy_name)?;
                    raw.set(slot, dummy_id)?;
                }
                Kind::Var { .. } => {
                    raw.set(place + 8, int)?;
                    raw.set(place + 12, u32::from(LINKAGE_GLOBAL))?;
                }
                _ => {}
            }
            raw.set(slot + 4, index * DUMMY_SIZE)?;
            raw.set(slot + 8, DUMMY_SIZE)?;
        }
        raw.set(start + 8, entries.len() as u32 * DUMMY_SIZE)?;
    }
    Some(raw.join())
}

/// Sizes and offsets that only the ELF file knows.
fn fill(raw: &mut Raw, btf: &Btf, start: usize, variables: &[TypeId], place: &DataSection) -> Option<()> {
    raw.set(start + 8, place.size)?;
    let places: HashMap<&str, u32> =
        place.variables.iter().rev().map(|(name, offset)| (name.as_str(), *offset)).collect();
    let mut entries = Vec::new();
    for (index, variable) in variables.iter().enumerate() {
        let slot = start + 12 + 12 * index;
        let mut entry = [raw.word(slot)?, raw.word(slot + 4)?, raw.word(slot + 8)?];
        if let Some(offset) = places.get(btf.name(*variable)) {
            entry[1] = *offset;
        }
        entries.push(entry);
    }
    // The kernel wants them ascending.
    entries.sort_by_key(|entry| entry[1]);
    for (index, entry) in entries.iter().enumerate() {
        for (at, word) in entry.iter().enumerate() {
            raw.set(start + 12 + 12 * index + 4 * at, *word)?;
        }
    }
    Some(())
}

/// The kernel wants names for the parameters of a function that has a body.
fn name_parameters(raw: &mut Raw, btf: &Btf, start: usize, proto: TypeId, name: u32) -> Option<()> {
    let Kind::FuncProto { params, .. } = btf.get(proto)?.kind else { return None };
    for (index, param) in params.iter().enumerate() {
        if param.name.is_empty() && param.ty != 0 {
            raw.set(start + 12 + 8 * index, name)?;
        }
    }
    Some(())
}

/// The two sections of a BTF.
struct Raw {
    types: Vec<u8>,
    strings: Vec<u8>,
    /// A number of four bytes.
    int: Option<TypeId>,
    /// Types added.
    added: u32,
}

impl Raw {
    fn split(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize);
        let start = word(4)?;
        let section = |at: usize| {
            let from = start.checked_add(word(at)?)?;
            Some(bytes.get(from..from.checked_add(word(at + 4)?)?)?.to_vec())
        };
        Some(Self { types: section(8)?, strings: section(16)?, int: None, added: 0 })
    }

    fn word(&self, at: usize) -> Option<u32> {
        Some(u32::from_le_bytes(self.types.get(at..at + 4)?.try_into().ok()?))
    }

    fn set(&mut self, at: usize, word: u32) -> Option<()> {
        self.types.get_mut(at..at + 4)?.copy_from_slice(&word.to_le_bytes());
        Some(())
    }

    /// Offset of each type in the type section.
    fn offsets(&self, btf: &Btf) -> Option<Vec<usize>> {
        let mut at = 0;
        let mut offsets = Vec::new();
        for id in btf.ids() {
            offsets.push(at);
            let words = match btf.get(id)?.kind {
                Kind::Int { .. } | Kind::Var { .. } | Kind::DeclTag { .. } => 1,
                Kind::Array { .. } => 3,
                Kind::Struct { members, .. } | Kind::Union { members, .. } => 3 * members.len(),
                Kind::Enum { wide, values, .. } => values.len() * if wide { 3 } else { 2 },
                Kind::FuncProto { params, .. } => 2 * params.len(),
                Kind::DataSec { entries, .. } => 3 * entries.len(),
                _ => 0,
            };
            at += 12 + 4 * words;
        }
        (at == self.types.len()).then_some(offsets)
    }

    /// A variable that stands for functions, and where its name is.
    fn add_dummy(&mut self, btf: &Btf) -> (TypeId, u32) {
        let plain = |id: &TypeId| {
            matches!(btf.get(*id).map(|ty| ty.kind), Some(Kind::Int { size: 4, bits: 32, offset: 0, .. }))
        };
        let name = self.string(DUMMY);
        let int = btf.ids().find(plain).unwrap_or_else(|| {
            let encoding = u32::from(INT_SIGNED) << 24 | 32;
            let name = self.string("int");
            self.add(btf, &[name, KIND_INT << 24, 4, encoding])
        });
        self.int = Some(int);
        (self.add(btf, &[name, KIND_VAR << 24, int, u32::from(LINKAGE_GLOBAL)]), name)
    }

    fn string(&mut self, text: &str) -> u32 {
        let at = self.strings.len() as u32;
        self.strings.extend(text.bytes().chain([0]));
        at
    }

    fn add(&mut self, btf: &Btf, words: &[u32]) -> TypeId {
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self.added += 1;
        btf.len() - 1 + self.added
    }

    fn join(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = vec![0x9f, 0xeb, 1, 0];
        for word in [HEADER as u32, 0, types, types, strings] {
            out.extend(word.to_le_bytes());
        }
        out.extend(&self.types);
        out.extend(&self.strings);
        out
    }
}
