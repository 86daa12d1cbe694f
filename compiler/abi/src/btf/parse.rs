//! From bytes to types: checks everything once, so that later look-ups cannot fail on a checked BTF.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::{Btf, Enumerator, Kind, Member, Param, SecEntry, Type};

/// Why bytes are not a BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Byte at which it was noticed, from the start of what was given.
    pub offset: usize,
    /// What was noticed.
    pub reason: Reason,
}

/// What is wrong with a BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It ends too early.
    Truncated,
    /// It does not start with the magic number.
    Magic,
    /// It is of the other byte order.
    BigEndian,
    /// It has another version.
    Version(u8),
    /// A section lies outside the file.
    Section,
    /// The string section does not start and end with NUL, or is not text.
    Strings,
    /// There is no such string.
    String(u32),
    /// There is no such type.
    TypeId(u32),
    /// The kind of type is unknown.
    Kind(u32),
    /// More types than numbers for them.
    TooMany,
    /// It is larger than any kernel's.
    TooLarge,
    /// A string is longer than any name or line.
    LongString,
    /// More types of one name than any kernel has.
    SameName,
    /// A record of `.BTF.ext` is malformed.
    Record(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid BTF at byte {}: ", self.offset)?;
        match self.reason {
            Reason::Truncated => f.write_str("it ends too early"),
            Reason::Magic => f.write_str("it does not start with the magic number 0xeb9f"),
            Reason::BigEndian => f.write_str("it is big-endian"),
            Reason::Version(version) => write!(f, "version {version}, known is 1"),
            Reason::Section => f.write_str("a section lies outside the data"),
            Reason::Strings => f.write_str("the string section is malformed"),
            Reason::String(at) => write!(f, "there is no string {at}"),
            Reason::TypeId(id) => write!(f, "there is no type {id}"),
            Reason::Kind(kind) => write!(f, "unknown kind of type {kind}"),
            Reason::TooMany => f.write_str("too many types"),
            Reason::TooLarge => write!(f, "it is larger than {} MiB", MAX_BYTES >> 20),
            Reason::LongString => write!(f, "a string is longer than {MAX_STRING} bytes"),
            Reason::SameName => write!(f, "more than {MAX_SAME} types have the same name"),
            Reason::Record(what) => f.write_str(what),
        }
    }
}

impl core::error::Error for Error {}

const fn error<T>(offset: usize, reason: Reason) -> Result<T, Error> {
    Err(Error { offset, reason })
}

pub(super) const MAGIC: u16 = 0xeb9f;
pub(super) const VERSION: u8 = 1;
/// Bytes of the header (`struct btf_header`).
pub(super) const HEADER: u32 = 24;
/// Bytes of the words that each type begins with; the smallest has no more.
const SMALLEST: usize = 12;
/// `BTF_MAX_TYPE`.
const TYPES_MAX: usize = 0x000f_ffff;

// A small file can stand for much work: thousands of types may share one string or one name. The kernel's own are far
// below these limits (its names have at most 511 bytes, `KSYM_NAME_LEN`, 6.12).
const MAX_BYTES: usize = 64 << 20;
const MAX_STRING: usize = 1024;
const MAX_SAME: usize = 4096;

/// The kinds, as numbered in `include/uapi/linux/btf.h`.
pub(super) mod kind {
    pub(crate) const INT: u32 = 1;
    pub(crate) const PTR: u32 = 2;
    pub(crate) const ARRAY: u32 = 3;
    pub(crate) const STRUCT: u32 = 4;
    pub(crate) const UNION: u32 = 5;
    pub(crate) const ENUM: u32 = 6;
    pub(crate) const FWD: u32 = 7;
    pub(crate) const TYPEDEF: u32 = 8;
    pub(crate) const VOLATILE: u32 = 9;
    pub(crate) const CONST: u32 = 10;
    pub(crate) const RESTRICT: u32 = 11;
    pub(crate) const FUNC: u32 = 12;
    pub(crate) const FUNC_PROTO: u32 = 13;
    pub(crate) const VAR: u32 = 14;
    pub(crate) const DATASEC: u32 = 15;
    pub(crate) const FLOAT: u32 = 16;
    pub(crate) const DECL_TAG: u32 = 17;
    pub(crate) const TYPE_TAG: u32 = 18;
    pub(crate) const ENUM64: u32 = 19;
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(word.try_into().ok()?))
}

pub(super) fn string_at(strings: &[u8], at: u32) -> Option<&str> {
    let rest = strings.get(at as usize..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    core::str::from_utf8(rest.get(..end)?).ok()
}

/// The two sections behind a header: types, then strings, as ranges of `bytes`.
pub(super) fn sections(bytes: &[u8]) -> Result<(core::ops::Range<usize>, core::ops::Range<usize>), Error> {
    let word = |at| u32_at(bytes, at).ok_or(Error { offset: at, reason: Reason::Truncated });
    let first = word(0)?;
    if first as u16 != MAGIC {
        let reason = if (first as u16).swap_bytes() == MAGIC { Reason::BigEndian } else { Reason::Magic };
        return error(0, reason);
    }
    let version = (first >> 16) as u8;
    if version != VERSION {
        return error(2, Reason::Version(version));
    }
    let header = word(4)?;
    if header < HEADER {
        return error(4, Reason::Section);
    }
    let range = |at: usize| {
        let start = u64::from(header) + u64::from(word(at)?);
        let end = start + u64::from(word(at + 4)?);
        if end > bytes.len() as u64 { error(at, Reason::Section) } else { Ok(start as usize..end as usize) }
    };
    Ok((range(8)?, range(16)?))
}

/// How two strings compare: both end in a NUL, which is less than any other byte.
fn compare(strings: &[u8], a: u32, b: u32) -> Ordering {
    let tail = |at: u32| strings.get(at as usize..).unwrap_or_default().iter();
    for (one, other) in tail(a).zip(tail(b)) {
        match one.cmp(other) {
            Ordering::Equal if *one == 0 => break,
            Ordering::Equal => {}
            unequal => return unequal,
        }
    }
    Ordering::Equal
}

/// Reads a BTF in the place where it lies: that of a kernel is the most that a loader holds.
pub(super) fn parse(bytes: Vec<u8>) -> Result<Btf, Error> {
    if bytes.len() > MAX_BYTES {
        return error(0, Reason::TooLarge);
    }
    let (types_at, strings_at) = sections(&bytes)?;
    let section = |at: core::ops::Range<usize>| {
        bytes.get(at.clone()).ok_or(Error { offset: at.start, reason: Reason::Section })
    };
    let (types, strings) = (section(types_at.clone())?, section(strings_at.clone())?);
    if strings.first() != Some(&0) || strings.last() != Some(&0) || core::str::from_utf8(strings).is_err() {
        return error(strings_at.start, Reason::Strings);
    }
    if strings.split(|byte| *byte == 0).any(|string| string.len() > MAX_STRING) {
        return error(strings_at.start, Reason::LongString);
    }

    let shift = |failure: Error| Error { offset: failure.offset + types_at.start, ..failure };
    // Room for as many as there can be: what stays unused takes no memory.
    let room = types.len() / SMALLEST;
    let mut offsets = Vec::with_capacity(room);
    // By their numbers.
    let mut named: Vec<u32> = Vec::with_capacity(room);
    // A type may name a later one: the numbers are compared with the count when that is known.
    let mut largest = 0;
    let mut at = 0;
    while at < types.len() {
        if offsets.len() >= TYPES_MAX {
            return error(types_at.start + at, Reason::TooMany);
        }
        let (ty, next) = decode(types, strings, at).map_err(shift)?;
        offsets.push(at as u32);
        if !ty.name.is_empty() {
            named.push(offsets.len() as u32);
        }
        largest = ty.kind.references().into_iter().fold(largest, u32::max);
        at = next;
    }
    let count = offsets.len() as u32;
    if largest > count {
        for offset in &offsets {
            let (ty, _) = decode(types, strings, *offset as usize).map_err(shift)?;
            if let Some(id) = ty.kind.references().into_iter().find(|id| *id > count) {
                return error(types_at.start + *offset as usize, Reason::TypeId(id));
            }
        }
    }
    // A type's first word is the offset of its name.
    let name = |id: &u32| {
        let offset = offsets.get(*id as usize - 1).map_or(0, |offset| *offset as usize);
        u32_at(types, offset).unwrap_or(0)
    };
    let by_name = |a: &u32, b: &u32| compare(strings, name(a), name(b));
    named.sort_unstable_by(|a, b| by_name(a, b).then(a.cmp(b)));
    if named.chunk_by(|a, b| by_name(a, b).is_eq()).any(|same| same.len() > MAX_SAME) {
        return error(types_at.start, Reason::SameName);
    }
    Ok(Btf {
        bytes: Arc::new(bytes),
        types: types_at,
        strings: strings_at,
        offsets: Arc::new(offsets),
        names: Arc::new(named),
    })
}

/// The words that each type begins with (`struct btf_type`).
#[derive(Clone, Copy)]
pub(super) struct Head {
    name: u32,
    info: u32,
    /// Its size or the type that it leads to, by its kind.
    size: u32,
}

impl Head {
    /// The beginning of the type at an offset of the type section.
    pub(super) fn at(types: &[u8], at: usize) -> Option<Self> {
        Some(Self { name: u32_at(types, at)?, info: u32_at(types, at + 4)?, size: u32_at(types, at + 8)? })
    }

    pub(super) fn name(self) -> u32 {
        self.name
    }

    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn flag(self) -> bool {
        self.info >> 31 == 1
    }

    fn len(self) -> u32 {
        self.info & 0xffff
    }

    /// The type that this one only qualifies or renames, if it is such a one.
    pub(super) fn alias(self) -> Option<u32> {
        let is_alias = matches!(
            self.kind(),
            kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG
        );
        is_alias.then_some(self.size)
    }

    pub(super) fn is_composite(self) -> bool {
        matches!(self.kind(), kind::STRUCT | kind::UNION)
    }

    /// Bytes of a structure or union; none of anything else.
    pub(super) fn composite_size(self) -> Option<u32> {
        self.is_composite().then_some(self.size)
    }

    /// How many members a structure or union has; anything else has none.
    pub(super) fn members(self) -> u32 {
        if self.is_composite() { self.len() } else { 0 }
    }
}

/// Bytes of a member behind them.
const MEMBER: usize = 12;

/// A member of the structure or union at an offset of the type section, and the offset of its name.
pub(super) fn member(types: &[u8], start: usize, head: Head, at: u32) -> Option<(u32, Member<'static>)> {
    let at = start + SMALLEST + at as usize * MEMBER;
    let place = u32_at(types, at + 8)?;
    let (bit_offset, bits) = placed(place, head.flag());
    Some((u32_at(types, at)?, Member { name: "", ty: u32_at(types, at + 4)?, bit_offset, bits }))
}

/// Bit of a member, and the width of a bit-field; `flag` says that both stand in the word.
fn placed(place: u32, flag: bool) -> (u32, u8) {
    if flag { (place & 0xff_ffff, (place >> 24) as u8) } else { (place, 0) }
}

/// Whether the string at an offset is this one.
pub(super) fn is_string(strings: &[u8], at: u32, text: &str) -> bool {
    let rest = strings.get(at as usize..).unwrap_or_default();
    rest.strip_prefix(text.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

/// Decodes the type at an offset of the type section; also gives the offset behind it.
pub(super) fn decode<'a>(types: &[u8], strings: &'a [u8], start: usize) -> Result<(Type<'a>, usize), Error> {
    let mut at = start;
    let mut word = || {
        let value = u32_at(types, at).ok_or(Error { offset: at, reason: Reason::Truncated })?;
        at += 4;
        Ok::<u32, Error>(value)
    };
    let text = |at: u32| string_at(strings, at).ok_or(Error { offset: start, reason: Reason::String(at) });
    let head = Head { name: word()?, info: word()?, size: word()? };
    let (name, size, len, flag) = (text(head.name)?, head.size, head.len(), head.flag());
    let kind = match head.kind() {
        kind::INT => {
            let data = word()?;
            Kind::Int {
                size,
                bits: data as u8,
                offset: (data >> 16) as u8,
                encoding: ((data >> 24) & 0xf) as u8,
            }
        }
        kind::PTR => Kind::Ptr(size),
        kind::ARRAY => Kind::Array { element: word()?, index: word()?, len: word()? },
        composite @ (kind::STRUCT | kind::UNION) => {
            let mut members = Vec::new();
            for _ in 0..len {
                let (name, ty, place) = (text(word()?)?, word()?, word()?);
                let (bit_offset, bits) = placed(place, flag);
                members.push(Member { name, ty, bit_offset, bits });
            }
            if composite == kind::STRUCT {
                Kind::Struct { size, members }
            } else {
                Kind::Union { size, members }
            }
        }
        kind::ENUM => {
            let mut values = Vec::new();
            for _ in 0..len {
                let (name, value) = (text(word()?)?, word()?);
                let value = if flag { i64::from(value as i32) } else { i64::from(value) };
                values.push(Enumerator { name, value });
            }
            Kind::Enum { size, signed: flag, wide: false, values }
        }
        kind::ENUM64 => {
            let mut values = Vec::new();
            for _ in 0..len {
                let (name, low, high) = (text(word()?)?, word()?, word()?);
                values.push(Enumerator { name, value: (u64::from(high) << 32 | u64::from(low)) as i64 });
            }
            Kind::Enum { size, signed: flag, wide: true, values }
        }
        kind::FWD => Kind::Fwd { union: flag },
        kind::TYPEDEF => Kind::Typedef(size),
        kind::VOLATILE => Kind::Volatile(size),
        kind::CONST => Kind::Const(size),
        kind::RESTRICT => Kind::Restrict(size),
        kind::FUNC => Kind::Func { proto: size, linkage: len as u16 },
        kind::FUNC_PROTO => {
            let mut params = Vec::new();
            for _ in 0..len {
                params.push(Param { name: text(word()?)?, ty: word()? });
            }
            Kind::FuncProto { ret: size, params }
        }
        kind::VAR => Kind::Var { ty: size, linkage: word()? },
        kind::DATASEC => {
            let mut entries = Vec::new();
            for _ in 0..len {
                entries.push(SecEntry { ty: word()?, offset: word()?, size: word()? });
            }
            Kind::DataSec { size, entries }
        }
        kind::FLOAT => Kind::Float { size },
        kind::DECL_TAG => Kind::DeclTag { ty: size, component: word()? as i32 },
        kind::TYPE_TAG => Kind::TypeTag(size),
        other => return error(start, Reason::Kind(other)),
    };
    Ok((Type { name, kind }, at))
}

impl Kind<'_> {
    /// Every type that it names.
    #[must_use]
    pub fn references(&self) -> Vec<u32> {
        match self {
            Self::Void | Self::Int { .. } | Self::Enum { .. } | Self::Fwd { .. } | Self::Float { .. } => {
                Vec::new()
            }
            Self::Ptr(to)
            | Self::Typedef(to)
            | Self::Volatile(to)
            | Self::Const(to)
            | Self::Restrict(to)
            | Self::TypeTag(to)
            | Self::Func { proto: to, .. }
            | Self::Var { ty: to, .. }
            | Self::DeclTag { ty: to, .. } => vec![*to],
            Self::Array { element, index, .. } => vec![*element, *index],
            Self::Struct { members, .. } | Self::Union { members, .. } => {
                members.iter().map(|member| member.ty).collect()
            }
            Self::FuncProto { ret, params } => {
                core::iter::once(*ret).chain(params.iter().map(|param| param.ty)).collect()
            }
            Self::DataSec { entries, .. } => entries.iter().map(|entry| entry.ty).collect(),
        }
    }

    /// Replaces every type that it names.
    pub fn map_references(&mut self, mut map: impl FnMut(u32) -> u32) {
        match self {
            Self::Void | Self::Int { .. } | Self::Enum { .. } | Self::Fwd { .. } | Self::Float { .. } => {}
            Self::Ptr(to)
            | Self::Typedef(to)
            | Self::Volatile(to)
            | Self::Const(to)
            | Self::Restrict(to)
            | Self::TypeTag(to)
            | Self::Func { proto: to, .. }
            | Self::Var { ty: to, .. }
            | Self::DeclTag { ty: to, .. } => *to = map(*to),
            Self::Array { element, index, .. } => {
                *element = map(*element);
                *index = map(*index);
            }
            Self::Struct { members, .. } | Self::Union { members, .. } => {
                for member in members {
                    member.ty = map(member.ty);
                }
            }
            Self::FuncProto { ret, params } => {
                *ret = map(*ret);
                for param in params {
                    param.ty = map(param.ty);
                }
            }
            Self::DataSec { entries, .. } => {
                for entry in entries {
                    entry.ty = map(entry.ty);
                }
            }
        }
    }
}
