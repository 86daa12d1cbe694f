//! What instructions refer to by number: kernel members, enumerators, types and variables, and the globals, maps
//! and functions of the module.

use cranelift_entity::PrimaryMap;
use oomc_abi::maps;

use super::entities::*;
use super::function::Type;

/// A kernel member by its C path, resolved against BTF when code is selected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The structure that the path starts in.
    pub container: String,
    /// Members separated by `.`, with constant indices in brackets; never through a pointer.
    pub path: String,
}

/// What is known of a bit-field. With the number around it, which begins at the member's address, in 64 bits:
/// shifted left, then right, it is the bit-field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldFact {
    /// Bytes of the number.
    Size,
    /// How far to the left.
    LeftShift,
    /// How far to the right then.
    RightShift,
    /// Where the member begins in its structure, in bytes; of any member, not only of a bit-field.
    Offset,
}

impl FieldFact {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Size, Self::LeftShift, Self::RightShift, Self::Offset];

    /// In text.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::LeftShift => "lshift",
            Self::RightShift => "rshift",
            Self::Offset => "offset",
        }
    }
}

/// An enumerator by its C names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enumerator {
    /// The enum's tag.
    pub enumeration: String,
    /// The enumerator.
    pub name: String,
}

/// A global of the module, shared by its functions.
///
/// One global is one section, and so one map of one element: the verifier forgets what a map value holds, and
/// the loader needs no symbol offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalData {
    /// The variable's name: `stats`.
    pub name: String,
    /// Section, and so map: `.bss.stats`, `.bss.scratch`, `.rodata`.
    pub section: String,
    /// Names of its members, 8 bytes each, in order. Empty: plain bytes.
    pub members: Vec<String>,
    /// Bytes. For a zero-initialised one, only its length counts.
    pub data: Vec<u8>,
    /// Frozen, read-only to programs.
    pub read_only: bool,
}

/// A map that is no global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapData {
    /// Its name: `labels`.
    pub name: String,
    /// What it is.
    pub kind: MapKind,
    /// Names of the key's members, 8 bytes each; empty: the key is one number of 4 bytes.
    pub key: Vec<String>,
    /// Names of the value's members, 8 bytes each; empty: plain bytes.
    pub value: Vec<String>,
    /// Bytes of a value that has no members.
    pub value_bytes: u32,
    /// Elements; of a ring buffer, bytes.
    pub max_entries: u32,
}

/// Kinds of maps (`enum bpf_map_type`, `include/uapi/linux/bpf.h`, 6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`, allocated as it fills.
    Hash,
    /// `BPF_MAP_TYPE_ARRAY`.
    Array,
    /// `BPF_MAP_TYPE_RINGBUF`: no keys, no values.
    RingBuffer,
    /// `BPF_MAP_TYPE_CGRP_STORAGE`: a value for each cgroup, gone with it.
    CgroupStorage,
}

impl MapKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Hash, Self::Array, Self::RingBuffer, Self::CgroupStorage];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Hash => maps::TYPE_HASH,
            Self::Array => maps::TYPE_ARRAY,
            Self::RingBuffer => maps::TYPE_RINGBUF,
            Self::CgroupStorage => maps::TYPE_CGRP_STORAGE,
        }
    }

    /// Its flags: what is not allocated in advance says so (`BPF_F_NO_PREALLOC`).
    #[must_use]
    pub fn flags(self) -> u32 {
        match self {
            Self::Hash | Self::CgroupStorage => maps::NO_PREALLOC,
            Self::Array | Self::RingBuffer => 0,
        }
    }

    /// In text.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Array => "array",
            Self::RingBuffer => "ring",
            Self::CgroupStorage => "cgroup_storage",
        }
    }
}

/// What a function takes. What it gives is always a number: the verifier allows nothing else of a function
/// that it checks by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// A 64-bit number.
    Number,
    /// A trusted pointer to a kernel structure with this tag, never null.
    Trusted(String),
}

impl Param {
    /// Its type as a value.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            Self::Number => Type::I64,
            Self::Trusted(_) => Type::Ptr,
        }
    }
}

/// A function that others call, by what a caller must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Symbol.
    pub name: String,
    /// What it takes, at most five.
    pub params: Vec<Param>,
}

/// What instructions refer to by number. All functions of a module have the same.
#[derive(Clone, Debug, Default)]
pub struct Refs {
    /// Kernel members read.
    pub fields: PrimaryMap<FieldRef, Field>,
    /// Enumerators used.
    pub enums: PrimaryMap<EnumRef, Enumerator>,
    /// Types whose ids are used, by tag.
    pub types: PrimaryMap<TypeRef, String>,
    /// Kernel variables used; weak.
    pub ksyms: PrimaryMap<KsymRef, String>,
    /// Globals of the module.
    pub globals: PrimaryMap<Global, GlobalData>,
    /// Maps that are no global.
    pub maps: PrimaryMap<MapRef, MapData>,
    /// Functions that others call.
    pub functions: PrimaryMap<FuncRef, Signature>,
}
