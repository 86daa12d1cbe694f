//! From types to bytes. The same calls in the same order give the same bytes.

use std::collections::HashMap;

use super::parse::{HEADER, MAGIC, VERSION, kind};
use super::{Kind, TypeId};

/// The header of a BTF whose type section is followed by its string section.
pub(super) fn header(types: u32, strings: u32) -> Vec<u8> {
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.extend([VERSION, 0]);
    for word in [HEADER, 0, types, types, strings] {
        out.extend(word.to_le_bytes());
    }
    out
}

/// A BTF under construction.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// Types that come before.
    before: u32,
    /// Bytes of strings that come before.
    strings_before: u32,
    types: Vec<Vec<u8>>,
    strings: Vec<u8>,
    known: HashMap<String, u32>,
    interned: HashMap<Vec<u8>, TypeId>,
    fault: Option<&'static str>,
}

impl Builder {
    /// Without types.
    #[must_use]
    pub fn new() -> Self {
        Self { strings: vec![0], ..Self::default() }
    }

    /// Adds to a BTF with so many types and bytes of strings.
    pub(super) fn behind(types: u32, strings: u32) -> Self {
        Self { before: types, strings_before: strings, ..Self::default() }
    }

    /// The records of the types, and the strings.
    pub(super) fn parts(&self) -> (&[Vec<u8>], &[u8]) {
        (&self.types, &self.strings)
    }

    /// Offset of a string, which is stored once. What follows a NUL is cut off.
    pub fn string(&mut self, text: &str) -> u32 {
        let text = text.split('\0').next().unwrap_or("");
        if text.is_empty() {
            return 0;
        }
        if let Some(at) = self.known.get(text) {
            return *at;
        }
        let at = self.strings_before + self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        self.known.insert(text.to_owned(), at);
        at
    }

    /// Adds a type.
    pub fn add(&mut self, name: &str, kind: &Kind<'_>) -> TypeId {
        let id = self.reserve();
        self.set(id, name, kind);
        id
    }

    /// The number of an equal type, or that of a new one.
    pub fn intern(&mut self, name: &str, kind: &Kind<'_>) -> TypeId {
        let bytes = self.encode(name, kind);
        if let Some(id) = self.interned.get(&bytes) {
            return *id;
        }
        let id = self.reserve();
        self.interned.insert(bytes.clone(), id);
        self.put(id, bytes);
        id
    }

    /// A number for a type that is [`set`](Self::set) later, so that types can name each other.
    pub fn reserve(&mut self) -> TypeId {
        self.types.push(Vec::new());
        self.before + self.types.len() as u32
    }

    /// Defines a reserved type.
    pub fn set(&mut self, id: TypeId, name: &str, kind: &Kind<'_>) {
        let bytes = self.encode(name, kind);
        self.put(id, bytes);
    }

    fn put(&mut self, id: TypeId, bytes: Vec<u8>) {
        match id.checked_sub(self.before + 1).and_then(|at| self.types.get_mut(at as usize)) {
            Some(slot) if slot.is_empty() => *slot = bytes,
            Some(_) => self.fault = Some("a type is defined twice"),
            None => self.fault = Some("a type is defined that was not reserved"),
        }
    }

    /// Why what was added is no BTF, if it is none: a mistake of whoever added it.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let undefined = self.types.iter().any(Vec::is_empty);
        self.fault.or_else(|| undefined.then_some("a type is reserved and not defined"))
    }

    /// The `.BTF` section; a BTF only if there is no [`fault`](Self::fault).
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let types: Vec<u8> = self.types.concat();
        let mut out = header(types.len() as u32, self.strings.len() as u32);
        out.extend(types);
        out.extend(&self.strings);
        out
    }

    fn encode(&mut self, name: &str, ty: &Kind<'_>) -> Vec<u8> {
        let mut words = Vec::new();
        let (number, flag, len, size) = match ty {
            // `void` has no record of its own; an int of no width is the nearest thing, and harmless.
            Kind::Void => (kind::INT, false, 0, 0),
            Kind::Int { size, bits, offset, encoding } => {
                words.push(u32::from(*encoding) << 24 | u32::from(*offset) << 16 | u32::from(*bits));
                (kind::INT, false, 0, *size)
            }
            Kind::Ptr(to) => (kind::PTR, false, 0, *to),
            Kind::Array { element, index, len } => {
                words.extend([*element, *index, *len]);
                (kind::ARRAY, false, 0, 0)
            }
            Kind::Struct { size, members } | Kind::Union { size, members } => {
                let flag = members.iter().any(|member| member.bits != 0);
                for member in members {
                    let place = member.bit_offset | u32::from(member.bits) << 24;
                    words.extend([self.string(member.name), member.ty, place]);
                }
                let number = if matches!(ty, Kind::Struct { .. }) { kind::STRUCT } else { kind::UNION };
                (number, flag, members.len(), *size)
            }
            Kind::Enum { size, signed, wide, values } => {
                for value in values {
                    words.extend([self.string(value.name), value.value as u32]);
                    if *wide {
                        words.push((value.value >> 32) as u32);
                    }
                }
                (if *wide { kind::ENUM64 } else { kind::ENUM }, *signed, values.len(), *size)
            }
            Kind::Fwd { union } => (kind::FWD, *union, 0, 0),
            Kind::Typedef(to) => (kind::TYPEDEF, false, 0, *to),
            Kind::Volatile(to) => (kind::VOLATILE, false, 0, *to),
            Kind::Const(to) => (kind::CONST, false, 0, *to),
            Kind::Restrict(to) => (kind::RESTRICT, false, 0, *to),
            Kind::Func { proto, linkage } => (kind::FUNC, false, usize::from(*linkage), *proto),
            Kind::FuncProto { ret, params } => {
                for param in params {
                    words.extend([self.string(param.name), param.ty]);
                }
                (kind::FUNC_PROTO, false, params.len(), *ret)
            }
            Kind::Var { ty, linkage } => {
                words.push(*linkage);
                (kind::VAR, false, 0, *ty)
            }
            Kind::DataSec { size, entries } => {
                for entry in entries {
                    words.extend([entry.ty, entry.offset, entry.size]);
                }
                (kind::DATASEC, false, entries.len(), *size)
            }
            Kind::Float { size } => (kind::FLOAT, false, 0, *size),
            Kind::DeclTag { ty, component } => {
                words.push(*component as u32);
                (kind::DECL_TAG, false, 0, *ty)
            }
            Kind::TypeTag(to) => (kind::TYPE_TAG, false, 0, *to),
        };
        if len > 0xffff {
            self.fault = Some("a type has more members than the format can count");
        }
        let info = u32::from(flag) << 31 | number << 24 | (len as u32 & 0xffff);
        [self.string(name), info, size].into_iter().chain(words).flat_map(u32::to_le_bytes).collect()
    }
}
