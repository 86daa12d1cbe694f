//! Kernel type information: a graph of types, read on demand.
//!
//! Owns the BTF format (`include/uapi/linux/btf.h`, 6.12; `Documentation/bpf/btf.rst`). Takes bytes that may
//! be anything and gives a [`Btf`]: types by number and by name. Writing, `.BTF.ext`, printing and the
//! reduction to a few types have a file each. Knows no kernel type by name.
//!
//! A type is decoded when it is asked for, so a large BTF costs nothing but its index.

pub mod ext;
pub mod minimize;
mod parse;
pub mod print;
pub mod write;

use std::ops::Range;
use std::sync::Arc;

pub use parse::{Error, Reason};

/// Number of a type; 0 is `void`.
pub type TypeId = u32;

/// A BTF: types with their numbers, strings, and an index of both. Copies share them.
#[derive(Clone, Debug)]
pub struct Btf {
    /// All of it, as it was read.
    bytes: Arc<Vec<u8>>,
    /// Where the type section lies.
    types: Range<usize>,
    /// Where the string section lies; it starts and ends with NUL.
    strings: Range<usize>,
    /// Offset of type n + 1 in the type section.
    offsets: Arc<Vec<u32>>,
    /// Numbers of the named types, sorted by name, then by number.
    names: Arc<Vec<u32>>,
}

/// A type with its name; the name of a nameless one is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type<'a> {
    /// Tag of a structure, name of a typedef or a function.
    pub name: &'a str,
    /// The rest.
    pub kind: Kind<'a>,
}

/// What a type is. Numbers in it are [`TypeId`]s unless the field says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields carry the names of the format's documentation")]
pub enum Kind<'a> {
    /// Nothing; type 0.
    Void,
    /// A number of `size` bytes of which `bits` from bit `offset` count.
    Int { size: u32, bits: u8, offset: u8, encoding: u8 },
    /// A pointer.
    Ptr(TypeId),
    /// `len` elements.
    Array { element: TypeId, index: TypeId, len: u32 },
    /// A structure of `size` bytes.
    Struct { size: u32, members: Vec<Member<'a>> },
    /// A union of `size` bytes.
    Union { size: u32, members: Vec<Member<'a>> },
    /// An enum; `wide` ones (ENUM64) have 64-bit values.
    Enum { size: u32, signed: bool, wide: bool, values: Vec<Enumerator<'a>> },
    /// A structure or union that is declared only.
    Fwd { union: bool },
    /// Another name.
    Typedef(TypeId),
    /// `volatile`.
    Volatile(TypeId),
    /// `const`.
    Const(TypeId),
    /// `restrict`.
    Restrict(TypeId),
    /// A function.
    Func { proto: TypeId, linkage: u16 },
    /// A function's type.
    FuncProto { ret: TypeId, params: Vec<Param<'a>> },
    /// A global variable.
    Var { ty: TypeId, linkage: u32 },
    /// A section and its variables.
    DataSec { size: u32, entries: Vec<SecEntry> },
    /// A floating-point number.
    Float { size: u32 },
    /// A mark on a type, or on one component of it.
    DeclTag { ty: TypeId, component: i32 },
    /// A mark on a pointer's target.
    TypeTag(TypeId),
}

/// [`Kind::Int`] `encoding`: signed.
pub const INT_SIGNED: u8 = 1;
/// [`Kind::Int`] `encoding`: a character.
pub const INT_CHAR: u8 = 2;
/// [`Kind::Int`] `encoding`: a truth value.
pub const INT_BOOL: u8 = 4;

/// Linkage of a static function or variable.
pub const LINKAGE_STATIC: u16 = 0;
/// Linkage of a function or variable that is defined here and seen elsewhere.
pub const LINKAGE_GLOBAL: u16 = 1;
/// Linkage of a function or variable that is defined elsewhere.
pub const LINKAGE_EXTERN: u16 = 2;

/// A member of a structure or union.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// Empty for an anonymous structure or union.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// Offset from the structure's start, in bits.
    pub bit_offset: u32,
    /// Width of a bit-field in bits; 0: not a bit-field.
    pub bits: u8,
}

/// A constant of an enum. An unsigned 64-bit value keeps its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumerator<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its value.
    pub value: i64,
}

/// A parameter of a function type. A last one without name and type means `...`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param<'a> {
    /// May be empty.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
}

/// A variable's place in its section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecEntry {
    /// A [`Kind::Var`] or [`Kind::Func`].
    pub ty: TypeId,
    /// In bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

impl Kind<'_> {
    /// The type that this one only qualifies or renames, if it is such a one.
    #[must_use]
    pub fn alias(&self) -> Option<TypeId> {
        match self {
            Self::Typedef(to)
            | Self::Volatile(to)
            | Self::Const(to)
            | Self::Restrict(to)
            | Self::TypeTag(to) => Some(*to),
            _ => None,
        }
    }
}

/// A section, whose place was found inside the bytes when they were read.
#[expect(clippy::indexing_slicing, reason = "a section of other bytes would be another BTF")]
fn section<'a>(bytes: &'a [u8], place: &Range<usize>) -> &'a [u8] {
    &bytes[place.clone()]
}

/// How many steps of renaming or nesting are followed before a graph counts as endless.
const DEPTH_MAX: u32 = 64;

impl Btf {
    /// Reads and checks a BTF: every type can be decoded, every number and string it names exists.
    ///
    /// # Errors
    /// What is wrong, with its offset. Split BTF (of modules) and big-endian BTF are refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(bytes.to_vec())
    }

    /// The same of bytes that nobody else needs: they are not copied.
    ///
    /// # Errors
    /// As of [`Btf::parse`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, Error> {
        parse::parse(bytes)
    }

    fn types(&self) -> &[u8] {
        section(&self.bytes, &self.types)
    }

    fn strings(&self) -> &[u8] {
        section(&self.bytes, &self.strings)
    }

    /// One more than the largest number of a type; `void` included.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.offsets.len() as u32 + 1
    }

    /// Whether it has no type but `void`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// All numbers but that of `void`.
    pub fn ids(&self) -> impl Iterator<Item = TypeId> + use<> {
        1..self.len()
    }

    /// A type. None: there is no such number.
    #[must_use]
    pub fn get(&self, id: TypeId) -> Option<Type<'_>> {
        if id == 0 {
            return Some(Type { name: "", kind: Kind::Void });
        }
        let offset = self.offsets.get(id as usize - 1)?;
        parse::decode(self.types(), self.strings(), *offset as usize).ok().map(|(ty, _)| ty)
    }

    /// A type's name, without decoding the rest.
    #[must_use]
    pub fn name(&self, id: TypeId) -> &str {
        self.head(id).and_then(|(_, head)| self.string(head.name())).unwrap_or("")
    }

    /// What a type begins with, without decoding the rest.
    fn head(&self, id: TypeId) -> Option<(usize, parse::Head)> {
        let offset = *self.offsets.get(id.checked_sub(1)? as usize)? as usize;
        Some((offset, parse::Head::at(self.types(), offset)?))
    }

    /// Whether it is a structure or union with members; what is only declared is none.
    #[must_use]
    pub fn is_composite(&self, id: TypeId) -> bool {
        self.head(id).is_some_and(|(_, head)| head.is_composite())
    }

    /// The members of a structure or union that have this name or none, by their positions, without decoding the others.
    /// The largest structures have hundreds.
    pub fn members_called<'a>(
        &'a self,
        id: TypeId,
        name: &'a str,
    ) -> impl Iterator<Item = (u32, Member<'a>)> + 'a {
        let strings = self.strings();
        let all = self.head(id).into_iter().flat_map(move |(offset, head)| {
            (0..head.members())
                .filter_map(move |at| Some((at, parse::member(self.types(), offset, head, at)?)))
        });
        all.filter_map(move |(at, (named, member))| {
            let name = if parse::is_string(strings, named, name) { name } else { "" };
            (!name.is_empty() || parse::is_string(strings, named, ""))
                .then_some((at, Member { name, ..member }))
        })
    }

    /// A string by its offset.
    #[must_use]
    pub fn string(&self, offset: u32) -> Option<&str> {
        parse::string_at(self.strings(), offset)
    }

    /// Numbers of all types of this name, ascending.
    pub fn by_name<'a>(&'a self, name: &'a str) -> impl Iterator<Item = TypeId> + 'a {
        let first = self.names.partition_point(|id| self.name(*id) < name);
        self.names.iter().skip(first).copied().take_while(move |id| self.name(*id) == name)
    }

    /// The structure or union of this tag.
    #[must_use]
    pub fn composite(&self, tag: &str) -> Option<TypeId> {
        self.by_name(tag).find(|id| self.is_composite(*id))
    }

    /// The enum of this tag.
    #[must_use]
    pub fn enumeration(&self, tag: &str) -> Option<TypeId> {
        self.find(tag, |kind| matches!(kind, Kind::Enum { .. }))
    }

    /// The function of this name.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<TypeId> {
        self.find(name, |kind| matches!(kind, Kind::Func { .. }))
    }

    /// The first type of this name that is wanted.
    pub fn find(&self, name: &str, wanted: impl Fn(&Kind<'_>) -> bool) -> Option<TypeId> {
        self.by_name(name).find(|id| self.get(*id).is_some_and(|ty| wanted(&ty.kind)))
    }

    /// Follows typedefs and qualifiers. None: no such type, or they never end.
    #[must_use]
    pub fn resolve(&self, id: TypeId) -> Option<(TypeId, Type<'_>)> {
        let id = self.unalias(id)?;
        Some((id, self.get(id)?))
    }

    /// As [`resolve`](Self::resolve), without decoding the type.
    #[must_use]
    pub fn unalias(&self, mut id: TypeId) -> Option<TypeId> {
        for _ in 0..DEPTH_MAX {
            if id == 0 {
                return Some(id);
            }
            match self.head(id)?.1.alias() {
                Some(next) => id = next,
                None => return Some(id),
            }
        }
        None
    }

    /// Size of a type in bytes. None: it has none (a function, `void`, a declaration), or it is not finite.
    #[must_use]
    pub fn size_of(&self, mut id: TypeId) -> Option<u32> {
        let mut count = 1_u32;
        for _ in 0..DEPTH_MAX {
            let known = self.unalias(id)?;
            if let Some(size) = self.head(known).and_then(|(_, head)| head.composite_size()) {
                return count.checked_mul(size);
            }
            let size = match self.get(known)?.kind {
                Kind::Int { size, .. }
                | Kind::Enum { size, .. }
                | Kind::Float { size }
                | Kind::DataSec { size, .. } => size,
                Kind::Ptr(_) => 8,
                Kind::Array { element, len, .. } => {
                    count = count.checked_mul(len)?;
                    id = element;
                    continue;
                }
                Kind::Var { ty, .. } => {
                    id = ty;
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }

    /// The same types under the same numbers, and behind them those that `add` adds.
    #[must_use]
    pub fn extended(&self, add: impl FnOnce(&mut write::Builder)) -> Self {
        let mut builder = write::Builder::behind(self.len() - 1, self.strings.len() as u32);
        add(&mut builder);
        let (records, strings) = builder.parts();
        let mut bytes = self.types().to_vec();
        let mut offsets = self.offsets.to_vec();
        for record in records {
            offsets.push(bytes.len() as u32);
            bytes.extend(record);
        }
        let types = 0..bytes.len();
        bytes.extend([self.strings(), strings].concat());
        let strings = types.end..bytes.len();
        let mut names = self.names.to_vec();
        let mut all = Self {
            bytes: Arc::new(bytes),
            types,
            strings,
            offsets: Arc::new(offsets),
            names: Arc::clone(&self.names),
        };
        for id in self.len()..all.len() {
            let name = all.name(id);
            if !name.is_empty() {
                names.insert(names.partition_point(|known| all.name(*known) <= name), id);
            }
        }
        all.names = Arc::new(names);
        all
    }

    /// Names of all named types, sorted, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|id| self.name(*id))
    }
}

/// A name without the part from the last `___` on: the name that the kernel knows (`struct foo___old` is a
/// local variant of `struct foo`).
#[must_use]
pub fn essential_name(name: &str) -> &str {
    // A flavor needs something before and after the three underscores (libbpf, bpf_core_essential_name_len).
    let bytes = name.as_bytes();
    let at = (1..bytes.len().saturating_sub(3)).rev().find(|at| {
        bytes.get(*at..at + 3) == Some(b"___")
            && bytes.get(at - 1) != Some(&b'_')
            && bytes.get(at + 3).is_some_and(|byte| *byte != b'_')
    });
    at.and_then(|at| name.get(..at)).unwrap_or(name)
}

#[cfg(test)]
mod tests;
