//! Joins claims and facts: what a kernel's BTF says about the names in the tables.
//!
//! Owns [`KernelView`]. Takes names as C writes them (`mem_cgroup`, `rss_stat[0].count`), gives offsets,
//! sizes and values, or a [`Missing`] that says what the kernel lacks and which names come close. Knows
//! neither the language nor instructions.

use std::collections::HashSet;
use std::fmt;
use std::sync::OnceLock;

use crate::btf::{Btf, Error, INT_BOOL, INT_SIGNED, Kind, TypeId};
use crate::consts;
use crate::hooks;
use crate::kfuncs::KfuncId;
use crate::profile::{Profile, Unclear};
use crate::shapes;

/// One kernel, as its BTF describes it.
#[derive(Clone, Debug)]
pub struct KernelView {
    btf: Btf,
    /// The same types, and behind them those by which an object asks what a kernel has ([`shapes`]).
    local: Btf,
    page: i64,
}

/// A member found by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// From the start of the container, in bytes.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
    /// Whether it is a number with a sign.
    pub signed: bool,
    /// Tag of the structure that it points to, if it is a pointer to one.
    pub pointee: Option<String>,
    /// What it is.
    pub shape: Shape,
    /// Its type in the kernel's BTF, typedefs and qualifiers stripped.
    pub type_id: TypeId,
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A number, a truth value or an enum.
    Number,
    /// A pointer.
    Pointer,
    /// A structure, a union or an array, inside the container.
    Aggregate,
}

/// A bit-field, as the smallest aligned load that covers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitField {
    /// Where the load begins, in bytes from the start of the container.
    pub offset: u32,
    /// How long it is, in bytes.
    pub size: u32,
    /// How far it is shifted left in 64 bits to drop what is above.
    pub left: u32,
    /// How far it is shifted right then.
    pub right: u32,
    /// The highest bit is a sign.
    pub signed: bool,
    /// It is a truth value.
    pub bool: bool,
}

/// One stretch of a path between two pointers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The structure it starts in.
    pub container: String,
    /// The path inside it.
    pub path: String,
    /// What is there.
    pub member: Member,
}

/// What a kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// No structure or union of this tag.
    Type {
        /// Its tag.
        tag: String,
        /// Tags that come close.
        nearest: Vec<String>,
    },
    /// The structure is declared, but its members are not in this BTF.
    Opaque {
        /// Its tag.
        tag: String,
    },
    /// No member of this name.
    Member {
        /// What it was looked for in: a tag, or the path so far.
        container: String,
        /// Its name.
        member: String,
        /// Names that come close.
        nearest: Vec<String>,
    },
    /// It has no members or elements.
    NotInside {
        /// The path so far.
        path: String,
    },
    /// The member is a pointer: `->` leads on.
    Pointer {
        /// The path so far.
        path: String,
    },
    /// The member is no pointer to a structure.
    NotPointer {
        /// The path so far.
        path: String,
    },
    /// The array is shorter.
    Index {
        /// The path so far.
        path: String,
        /// How many elements it has.
        len: u32,
    },
    /// A structure, or a pointer to one, where a value is needed.
    Whole {
        /// The path.
        path: String,
        /// Names of what is inside.
        members: Vec<String>,
    },
    /// It is something that has no value.
    NoValue {
        /// The path.
        path: String,
    },
    /// The pointer leads out of the kernel's own memory, or has one target for each CPU.
    Elsewhere {
        /// The path so far.
        path: String,
        /// The mark on the pointer's target.
        mark: String,
    },
    /// A bit-field cannot be read in one load.
    BitField {
        /// The path.
        path: String,
    },
    /// The text is not a path.
    Syntax {
        /// The text.
        path: String,
    },
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nearest = match self {
            Self::Type { tag, nearest } => {
                write!(f, "this kernel has no `struct {tag}`")?;
                nearest.as_slice()
            }
            Self::Opaque { tag } => {
                return write!(f, "this BTF does not say what is inside `struct {tag}`");
            }
            Self::Member { container, member, nearest } => {
                write!(f, "this kernel's `{container}` has no member `{member}`")?;
                nearest.as_slice()
            }
            Self::NotInside { path } => return write!(f, "`{path}` has no members or elements"),
            Self::Pointer { path } => return write!(f, "`{path}` is a pointer"),
            Self::NotPointer { path } => return write!(f, "`{path}` is not a pointer to a structure"),
            Self::Index { path, len } => return write!(f, "`{path}` has only {len} elements"),
            Self::BitField { path } => return write!(f, "`{path}` is a bit-field"),
            Self::Whole { path, members } => {
                let shown: Vec<String> = members.iter().take(8).map(|member| format!("`{member}`")).collect();
                let more = if members.len() > shown.len() { ", …" } else { "" };
                return write!(
                    f,
                    "`{path}` is a whole structure; its members are {}{more}",
                    shown.join(", ")
                );
            }
            Self::NoValue { path } => return write!(f, "`{path}` is neither a number nor a text"),
            Self::Elsewhere { path, mark } => {
                return write!(f, "`{path}` cannot be followed: its target is marked `__{mark}`");
            }
            Self::Syntax { path } => return write!(f, "`{path}` is not a path to a member"),
        };
        match nearest {
            [] => Ok(()),
            [first, ..] => write!(f, "; did you mean `{first}`?"),
        }
    }
}

impl core::error::Error for Missing {}

/// The reference kernel's BTF, reduced; `compiler/abi/btf/README.md` says how it is made.
static EMBEDDED: &[u8] = include_bytes!("../btf/reference.btf");

impl KernelView {
    /// A kernel by its BTF: the content of `/sys/kernel/btf/vmlinux`, for example.
    ///
    /// # Errors
    /// If the bytes are not a BTF.
    pub fn from_btf(bytes: &[u8]) -> Result<Self, Error> {
        Btf::parse(bytes).map(Self::of)
    }

    /// The reference kernel, for work without any other. It is read once.
    #[must_use]
    pub fn embedded() -> Self {
        static VIEW: OnceLock<KernelView> = OnceLock::new();
        VIEW.get_or_init(|| {
            let btf = Btf::parse(EMBEDDED).unwrap_or_else(|error| unreachable!("embedded BTF: {error}"));
            Self::of(btf)
        })
        .clone()
    }

    fn of(btf: Btf) -> Self {
        let local = btf.extended(shapes::declare);
        Self { btf, local, page: consts::PAGE_SIZE }
    }

    /// The reference kernel's reduced BTF, for other tools.
    #[must_use]
    pub fn embedded_btf() -> &'static [u8] {
        EMBEDDED
    }

    /// The same kernel with pages of another size, of which its types say nothing; one of [`consts::PAGE_SIZES`].
    #[must_use]
    pub fn with_page_size(self, page: i64) -> Self {
        Self { page, ..self }
    }

    /// Bytes in a page.
    #[must_use]
    pub fn page_size(&self) -> i64 {
        self.page
    }

    /// `PAGE_COUNTER_MAX` (`include/linux/page_counter.h`, 6.12), in pages: what an unlimited counter holds.
    #[must_use]
    pub fn page_counter_max(&self) -> i64 {
        i64::MAX / self.page
    }

    /// The types themselves.
    #[must_use]
    pub fn btf(&self) -> &Btf {
        &self.btf
    }

    /// The types by which an object asks: those of the kernel under their numbers, and behind them
    /// the ways in which other kernels declare some of them ([`shapes`]).
    #[must_use]
    pub fn local(&self) -> &Btf {
        &self.local
    }

    /// A member by its path, which does not pass a pointer. Bit-fields are not found.
    #[must_use]
    pub fn member(&self, container: &str, path: &str) -> Option<Member> {
        self.lookup(container, path).ok()
    }

    /// Like [`member`](Self::member), saying what is missing.
    ///
    /// Typedefs, qualifiers and anonymous structures on the way are seen through. An array of arrays with one
    /// index is indexed like one flat array, because that is how most kernels' BTF has it.
    ///
    /// # Errors
    /// What the kernel lacks, or what is wrong with the path.
    pub fn lookup(&self, container: &str, path: &str) -> Result<Member, Missing> {
        let place = self.place(container, path)?;
        let bit_field = || Missing::BitField { path: format!("{container}.{path}") };
        if place.width != 0 {
            return Err(bit_field());
        }
        self.describe(place.ty, place.bits).ok_or_else(bit_field)
    }

    /// A bit-field by its path, which does not pass a pointer; None: the member is none, or there is none.
    #[must_use]
    pub fn bit_field(&self, container: &str, path: &str) -> Option<BitField> {
        let place = self.place(container, path).ok().filter(|place| place.width != 0)?;
        let (id, ty) = self.local.resolve(place.ty)?;
        let (signed, bool) = match ty.kind {
            Kind::Int { encoding, .. } => (encoding & INT_SIGNED != 0, encoding & INT_BOOL != 0),
            Kind::Enum { signed, .. } => (signed, false),
            _ => return None,
        };
        let width = u32::from(place.width);
        let (offset, size) = covering(place.bits, width, self.local.size_of(id)?)?;
        let left = 64_u32.checked_sub(place.bits.checked_add(width)?.checked_sub(offset * 8)?)?;
        Some(BitField { offset, size, left, right: 64 - width, signed, bool })
    }

    /// Where a path leads.
    fn place(&self, container: &str, path: &str) -> Result<Located, Missing> {
        let syntax = || Missing::Syntax { path: path.to_owned() };
        let mut place = Located { ty: self.container(container)?, bits: 0, width: 0 };
        let mut so_far = container.to_owned();
        let mut steps = split(path).ok_or_else(syntax)?.into_iter().peekable();
        while let Some(step) = steps.next() {
            match step {
                Part::Name(name) => {
                    let found = self.enter(place.ty, name, &so_far)?;
                    so_far = format!("{so_far}.{name}");
                    let bits = place.bits.checked_add(found.bit_offset).ok_or_else(syntax)?;
                    place = Located { ty: found.ty, bits, width: found.bits };
                }
                Part::Index(index) => {
                    let deeper = matches!(steps.peek(), Some(Part::Index(_)));
                    let entered = element(&self.local, place.ty, deeper);
                    let (element, len) = entered.ok_or_else(|| self.closed(place.ty, &so_far))?;
                    if index >= len {
                        return Err(Missing::Index { path: so_far, len });
                    }
                    let size = self.local.size_of(element).ok_or_else(syntax)?;
                    let at = index.checked_mul(size).and_then(|at| at.checked_mul(8)).ok_or_else(syntax)?;
                    let bits = place.bits.checked_add(at).ok_or_else(syntax)?;
                    so_far = format!("{so_far}[{index}]");
                    place = Located { ty: element, bits, width: 0 };
                }
            }
        }
        Ok(place)
    }

    /// Follows a path through pointers: `real_cred->uid.val` gives two steps.
    ///
    /// # Errors
    /// What the kernel lacks, or what is wrong with the path.
    pub fn path_steps(&self, container: &str, path: &str) -> Result<Vec<Step>, Missing> {
        let mut steps = Vec::new();
        let mut container = container.to_owned();
        let mut parts = path.split("->").peekable();
        while let Some(part) = parts.next() {
            let member = self.lookup(&container, part)?;
            let next = member.pointee.clone();
            let step = Step { container: container.clone(), path: part.to_owned(), member };
            if parts.peek().is_some() {
                container =
                    next.ok_or_else(|| Missing::NotPointer { path: format!("{container}.{part}") })?;
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// The value of an enumerator.
    #[must_use]
    pub fn enumerator(&self, enumeration: &str, name: &str) -> Option<i64> {
        self.btf.by_name(enumeration).find_map(|id| match self.btf.get(id)?.kind {
            Kind::Enum { values, .. } => {
                values.iter().find(|value| value.name == name).map(|value| value.value)
            }
            _ => None,
        })
    }

    /// Names of an enum's constants; empty: there is no such enum.
    #[must_use]
    pub fn enumerators(&self, enumeration: &str) -> Vec<String> {
        match self.btf.enumeration(enumeration).and_then(|id| self.btf.get(id)).map(|ty| ty.kind) {
            Some(Kind::Enum { values, .. }) => values.iter().map(|value| value.name.to_owned()).collect(),
            _ => Vec::new(),
        }
    }

    /// The number of a structure or union.
    #[must_use]
    pub fn type_id(&self, tag: &str) -> Option<TypeId> {
        self.local.composite(tag)
    }

    /// The number of a kernel function; None: this kernel lacks it.
    #[must_use]
    pub fn kfunc(&self, id: KfuncId) -> Option<TypeId> {
        self.btf.function(id.row().name)
    }

    /// How policies are attached.
    ///
    /// # Errors
    /// When the types do not say.
    pub fn profile(&self) -> Result<Profile, Unclear> {
        Profile::of(&self.btf)
    }

    /// Whether this kernel lets BPF handle an OOM at all.
    #[must_use]
    pub fn has_hook(&self) -> bool {
        self.member(hooks::OOM.ops, hooks::OOM.callback).is_some()
    }

    /// Names of the members of a structure, those of anonymous ones inside included.
    #[must_use]
    pub fn members(&self, container: &str) -> Vec<String> {
        let mut names = Vec::new();
        if let Ok(ty) = self.container(container) {
            self.collect(ty, &mut HashSet::new(), &mut names);
        }
        names
    }

    /// Names of kernel functions that come close to one that is missing.
    #[must_use]
    pub fn nearest_function(&self, name: &str) -> Vec<String> {
        nearest(name, self.btf.names().filter(|known| self.btf.function(known).is_some()))
    }

    fn container(&self, tag: &str) -> Result<TypeId, Missing> {
        if let Some(id) = self.local.composite(tag) {
            return Ok(id);
        }
        let mut opaque = false;
        for id in self.local.by_name(tag) {
            match self.local.resolve(id) {
                Some((id, ty)) if matches!(ty.kind, Kind::Struct { .. } | Kind::Union { .. }) => {
                    return Ok(id);
                }
                Some((_, ty)) if matches!(ty.kind, Kind::Fwd { .. }) => opaque = true,
                _ => {}
            }
        }
        if opaque {
            return Err(Missing::Opaque { tag: tag.to_owned() });
        }
        let nearest = nearest(tag, self.btf.names().filter(|known| self.btf.composite(known).is_some()));
        Err(Missing::Type { tag: tag.to_owned(), nearest })
    }

    fn enter(&self, ty: TypeId, name: &str, so_far: &str) -> Result<Found, Missing> {
        let id = self.local.unalias(ty).ok_or_else(|| self.closed(ty, so_far))?;
        if let Some(found) = find_member(&self.local, id, name) {
            return Ok(found);
        }
        let mut names = Vec::new();
        if !self.collect(id, &mut HashSet::new(), &mut names) {
            return Err(self.closed(ty, so_far));
        }
        let nearest = nearest(name, names.iter().map(String::as_str));
        Err(Missing::Member { container: so_far.to_owned(), member: name.to_owned(), nearest })
    }

    fn closed(&self, ty: TypeId, so_far: &str) -> Missing {
        let path = so_far.to_owned();
        match self.local.resolve(ty).map(|(_, ty)| ty.kind) {
            Some(Kind::Ptr(_)) => Missing::Pointer { path },
            _ => Missing::NotInside { path },
        }
    }

    fn collect(&self, id: TypeId, seen: &mut HashSet<TypeId>, names: &mut Vec<String>) -> bool {
        let Some((id, ty)) = self.local.resolve(id) else { return false };
        let (Kind::Struct { members, .. } | Kind::Union { members, .. }) = ty.kind else { return false };
        if seen.len() >= MAX_NESTED || !seen.insert(id) {
            return true;
        }
        for member in members {
            if member.name.is_empty() {
                self.collect(member.ty, seen, names);
            } else {
                names.push(member.name.to_owned());
            }
        }
        true
    }

    fn describe(&self, ty: TypeId, bits: u32) -> Option<Member> {
        let (type_id, kind) = self.local.resolve(ty).map(|(id, ty)| (id, ty.kind))?;
        let size = self.local.size_of(type_id)?;
        let (shape, signed, pointee) = match kind {
            // Old compilers describe a bit-field by an int of that width instead of by its member.
            Kind::Int { size, bits, offset, encoding } => {
                if Some(u32::from(bits)) != size.checked_mul(8) || offset != 0 {
                    return None;
                }
                (Shape::Number, encoding & INT_SIGNED != 0, None)
            }
            Kind::Enum { signed, .. } => (Shape::Number, signed, None),
            Kind::Ptr(to) => {
                let pointee = self.local.resolve(to).filter(|(_, ty)| {
                    matches!(ty.kind, Kind::Struct { .. } | Kind::Union { .. } | Kind::Fwd { .. })
                });
                let tag = pointee.map(|(_, ty)| ty.name.to_owned()).filter(|tag| !tag.is_empty());
                (Shape::Pointer, false, tag)
            }
            _ => (Shape::Aggregate, false, None),
        };
        bits.is_multiple_of(8).then_some(Member { offset: bits / 8, size, signed, pointee, shape, type_id })
    }
}

/// Where a path leads: a type at a bit of the container, and the width of a bit-field or 0.
#[derive(Clone, Copy, Debug)]
struct Located {
    ty: TypeId,
    bits: u32,
    width: u8,
}

/// Offset and size in bytes of the smallest aligned load that covers a bit-field of a type of this size.
#[must_use]
pub fn covering(bit_offset: u32, width: u32, type_size: u32) -> Option<(u32, u32)> {
    let mut size = type_size;
    loop {
        let offset = (bit_offset / 8).checked_div(size)?.checked_mul(size)?;
        if bit_offset.checked_add(width)?.checked_sub(offset * 8)? <= size.checked_mul(8)? {
            return Some((offset, size));
        }
        size = size.checked_mul(2).filter(|size| *size <= 8)?;
    }
}

/// A member found by name, through anonymous structures.
#[derive(Clone, Debug)]
pub struct Found {
    /// From the structure's start.
    pub bit_offset: u32,
    /// Width of a bit-field, or 0.
    pub bits: u8,
    /// Its type.
    pub ty: TypeId,
    /// Positions of the members passed on the way, the found one last.
    pub positions: Vec<u32>,
}

/// Anonymous structures inside one structure that are looked into; the kernel has a few in its largest. It bounds the
/// stack, too.
const MAX_NESTED: usize = 512;

/// Finds a member by name in a structure, a union, and the anonymous ones inside.
#[must_use]
pub fn find_member(btf: &Btf, id: TypeId, name: &str) -> Option<Found> {
    search(btf, id, name, &mut HashSet::new())
}

/// Each type is looked into once, however often it stands in others: what was not in it will not be.
fn search(btf: &Btf, id: TypeId, name: &str, seen: &mut HashSet<TypeId>) -> Option<Found> {
    let id = btf.unalias(id)?;
    if seen.len() >= MAX_NESTED || !seen.insert(id) {
        return None;
    }
    for (at, member) in btf.members_called(id, name) {
        if member.name == name {
            let (bit_offset, bits) = (member.bit_offset, member.bits);
            return Some(Found { bit_offset, bits, ty: member.ty, positions: vec![at] });
        }
        if let Some(mut found) = search(btf, member.ty, name, seen) {
            found.bit_offset = found.bit_offset.checked_add(member.bit_offset)?;
            found.positions.insert(0, at);
            return Some(found);
        }
    }
    None
}

/// What an index enters, and how many there are. `deeper`: another index follows, so that it is a row of them that is
/// entered; otherwise an array of arrays counts as one flat array.
#[must_use]
pub fn element(btf: &Btf, ty: TypeId, deeper: bool) -> Option<(TypeId, u32)> {
    if !deeper {
        return flat_array(btf, ty);
    }
    match btf.resolve(ty)?.1.kind {
        Kind::Array { element, len, .. } => Some((element, len)),
        _ => None,
    }
}

/// Element type and number of elements; directly nested arrays count as one.
#[must_use]
pub fn flat_array(btf: &Btf, ty: TypeId) -> Option<(TypeId, u32)> {
    let Kind::Array { mut element, len: mut total, .. } = btf.resolve(ty)?.1.kind else { return None };
    for _ in 0..8 {
        let Some(Kind::Array { element: inner, len, .. }) = btf.get(element).map(|ty| ty.kind) else { break };
        total = total.checked_mul(len)?;
        element = inner;
    }
    Some((element, total))
}

/// A piece of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A member.
    Name(&'a str),
    /// An element.
    Index(u32),
}

/// Splits `a.b[3].c`; None: it is not such a path.
#[must_use]
pub fn split(path: &str) -> Option<Vec<Part<'_>>> {
    let mut parts = Vec::new();
    for piece in path.split('.') {
        let (name, mut rest) = piece.split_at(piece.find('[').unwrap_or(piece.len()));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        parts.push(Part::Name(name));
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[')?.split_once(']')?;
            parts.push(Part::Index(index.parse().ok()?));
            rest = after;
        }
    }
    Some(parts)
}

/// At most three names that differ little from the wanted one, the nearest first.
#[must_use]
pub fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let limit = (wanted.len() / 3).max(1);
    // The beginning of a longer name is what a person remembers of it.
    let begins = |name: &str| wanted.len() > 1 && name.starts_with(wanted);
    let mut close: Vec<(usize, &str)> = names
        .filter(|name| begins(name) || name.len().abs_diff(wanted.len()) <= limit)
        .map(|name| (if begins(name) { 1 } else { distance(wanted.as_bytes(), name.as_bytes()) }, name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    close.sort_unstable();
    close.dedup();
    close.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}

/// How many bytes must be inserted, removed or replaced.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, x) in a.iter().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let best = (*cell + 1).min(left + 1).min(diagonal + usize::from(x != y));
            diagonal = core::mem::replace(cell, best);
            left = best;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_through_whatever_lies_between() {
        let view = KernelView::embedded();
        let adj = view.member("signal_struct", "oom_score_adj").expect("a plain member");
        assert_eq!((adj.size, adj.signed, adj.shape), (2, true, Shape::Number));
        let anon = view
            .member("mm_struct", "rss_stat[1].count")
            .expect("an element of an array in an anonymous structure");
        let file = view.member("mm_struct", "rss_stat[0].count").expect("another");
        assert!(anon.offset > file.offset);
        let signal = view.member("task_struct", "signal").expect("a pointer");
        assert_eq!(signal.pointee.as_deref(), Some("signal_struct"));
        let css = view.member("mem_cgroup", "css").expect("an embedded structure");
        assert_eq!((css.offset, css.shape), (0, Shape::Aggregate));
    }

    #[test]
    fn paths_are_followed_through_pointers() {
        let view = KernelView::embedded();
        let steps = view.path_steps("mem_cgroup", "css.cgroup->kn->id").expect("all there");
        let containers: Vec<&str> = steps.iter().map(|step| step.container.as_str()).collect();
        assert_eq!(containers, ["mem_cgroup", "cgroup", "kernfs_node"]);
        assert_eq!(steps.last().map(|step| step.member.size), Some(8));
    }

    #[test]
    fn what_is_missing_is_named() {
        let view = KernelView::embedded();
        let say = |container, path| view.lookup(container, path).expect_err("missing").to_string();
        assert_eq!(
            say("task_strukt", "pid"),
            "this kernel has no `struct task_strukt`; did you mean `task_struct`?"
        );
        assert_eq!(
            say("signal_struct", "oom_score_ad"),
            "this kernel's `signal_struct` has no member `oom_score_ad`; did you mean `oom_score_adj`?"
        );
        assert_eq!(say("task_struct", "signal.nr_threads"), "`task_struct.signal` is a pointer");
        assert_eq!(say("task_struct", "pid.x"), "`task_struct.pid` has no members or elements");
        assert_eq!(say("mm_struct", "rss_stat[9].count"), "`mm_struct.rss_stat` has only 4 elements");
        assert_eq!(say("task_struct", "a..b"), "`a..b` is not a path to a member");
        assert_eq!(
            view.path_steps("task_struct", "pid->x").expect_err("no pointer").to_string(),
            "`task_struct.pid` is not a pointer to a structure"
        );
    }

    #[test]
    fn bit_fields_are_refused() {
        let view = KernelView::embedded();
        assert!(matches!(view.lookup("task_struct", "in_execve"), Err(Missing::BitField { .. })));
    }

    #[test]
    fn the_reference_kernel_has_the_hook() {
        let view = KernelView::embedded();
        assert!(view.has_hook());
        assert_eq!(view.profile(), Ok(Profile::CgroupFlag));
        assert!(view.enumerator("memcg_stat_item", "MEMCG_KMEM").is_some());
        assert_eq!(view.enumerator("memcg_stat_item", "MEMCG_KNEM"), None);
    }
}
