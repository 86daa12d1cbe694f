//! CO-RE: rewrites the facts of a BTF that instructions hold for another kernel's BTF.
//!
//! Takes an object's code, its BTF and its relocation records, and the target's BTF. Behaves like libbpf 1.7
//! (`src/relo_core.c`): structures are matched by name without flavor, members by name, enumerators by name;
//! what the target lacks is not an error but a poisoned instruction, since it may stand in a branch that
//! never runs there. Knows nothing of ELF, sections or system calls.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use crate::btf::ext::CoreRelo;
use crate::btf::{Btf, INT_SIGNED, Kind, TypeId, essential_name};
use crate::resolve::{covering, find_member};

/// `enum bpf_core_relo_kind` (`include/uapi/linux/bpf.h`, 6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocKind {
    /// Offset of a member in bytes.
    FieldByteOffset = 0,
    /// Its size in bytes.
    FieldByteSize = 1,
    /// Whether the target has it.
    FieldExists = 2,
    /// Whether it is signed.
    FieldSigned = 3,
    /// How far a bit-field is shifted left in a 64-bit register to drop what is above it.
    FieldLshiftU64 = 4,
    /// How far it is shifted right then.
    FieldRshiftU64 = 5,
    /// Number of a type in the object's own BTF.
    TypeIdLocal = 6,
    /// Number of a type in the target's BTF.
    TypeIdTarget = 7,
    /// Whether the target has it.
    TypeExists = 8,
    /// Its size in bytes.
    TypeSize = 9,
    /// Whether the target has an enumerator.
    EnumvalExists = 10,
    /// Its value.
    EnumvalValue = 11,
}

impl RelocKind {
    /// By number; None: unknown, or TYPE_MATCHES (12), which oomc does not use.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::FieldByteOffset,
            1 => Self::FieldByteSize,
            2 => Self::FieldExists,
            3 => Self::FieldSigned,
            4 => Self::FieldLshiftU64,
            5 => Self::FieldRshiftU64,
            6 => Self::TypeIdLocal,
            7 => Self::TypeIdTarget,
            8 => Self::TypeExists,
            9 => Self::TypeSize,
            10 => Self::EnumvalExists,
            11 => Self::EnumvalValue,
            _ => return None,
        })
    }
}

/// An instruction that became an invalid call because the target lacks what it needs.
///
/// Where the verifier can reach it, it refuses the program and names the helper `POISON + record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poisoned {
    /// Which instruction.
    pub insn: u32,
    /// Position of the record in the list.
    pub record: usize,
    /// What the target lacks: `task_struct.signal`.
    pub what: String,
    /// It is one of the ways in which the object asks for it ([`crate::shapes`]): that it is not there says nothing by itself.
    pub one_way: bool,
}

/// Number of the helper that a poisoned instruction calls; the position of the record is added (libbpf).
pub const POISON: i32 = 0x0bad_2310;

/// Why relocations could not be applied: the object is broken or needs a newer oomc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which instruction.
    pub insn: u32,
    /// Position of the record in the list.
    pub record: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The kind is unknown.
    Kind(u32),
    /// The record's path does not fit its type.
    Access(String),
    /// There is no such instruction.
    Instruction,
    /// The instruction cannot hold such a value.
    Unfit(u8),
    /// The instruction does not hold the object's own value.
    Stale {
        /// What it holds.
        found: i64,
        /// What it should hold.
        expected: i64,
    },
    /// Types of the target with the wanted name disagree.
    Ambiguous(String),
    /// The value does not fit the instruction.
    Range(i64),
    /// More different facts than any policy asks for.
    TooMany,
}

/// Most facts that one object asks for; a large policy has some hundreds.
const MAX_FACTS: usize = 4096;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CO-RE relocation {} of instruction {}: ", self.record, self.insn)?;
        match &self.reason {
            Reason::Kind(kind) => write!(f, "unknown kind {kind}"),
            Reason::Access(access) => write!(f, "the path `{access}` does not fit its type"),
            Reason::Instruction => f.write_str("there is no such instruction"),
            Reason::Unfit(opcode) => {
                write!(f, "an instruction with opcode {opcode:#04x} holds no such value")
            }
            Reason::Stale { found, expected } => write!(f, "the instruction holds {found}, not {expected}"),
            Reason::Ambiguous(what) => write!(f, "the kernel has several types for `{what}` that disagree"),
            Reason::Range(value) => write!(f, "the value {value} does not fit the instruction"),
            Reason::TooMany => write!(f, "more than {MAX_FACTS} facts of the kernel are asked for"),
        }
    }
}

impl core::error::Error for Error {}

/// Rewrites code for a target. On an error the code is left half rewritten.
///
/// # Errors
/// If the object is malformed, or the target's types are ambiguous. What the target merely lacks is returned.
pub fn apply(
    code: &mut [u64],
    object: &Btf,
    relos: &[CoreRelo],
    target: &Btf,
) -> Result<Vec<Poisoned>, Error> {
    let mut poisoned = Vec::new();
    // A policy asks for few facts, many times.
    let mut known: HashMap<[u32; 3], Resolved> = HashMap::new();
    for (record, relo) in relos.iter().enumerate() {
        let error = |reason| Error { insn: relo.insn, record, reason };
        let most = known.len() >= MAX_FACTS;
        let resolved = match known.entry([relo.type_id, relo.access, relo.kind]) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(_) if most => return Err(error(Reason::TooMany)),
            Entry::Vacant(place) => place.insert(resolve(object, relo, target).map_err(error)?).clone(),
        };
        let done = match resolved.target {
            Some(value) => patch(code, relo.insn, &resolved, value).map_err(error)?,
            None => false,
        };
        if !done {
            poison(code, relo.insn, record).map_err(error)?;
            let (what, one_way) = (resolved.what, resolved.one_way);
            poisoned.push(Poisoned { insn: relo.insn, record, what, one_way });
        }
    }
    Ok(poisoned)
}

/// Both values of a relocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// By the object's own BTF.
    pub local: Fact,
    /// By the target's; None: it lacks what is asked for.
    pub target: Option<Fact>,
    /// Whether the instruction must hold the local value before.
    pub checked: bool,
    /// Whom it is about: `task_struct.signal`.
    pub what: String,
    /// Whether the object asks for a variant of a kernel's type.
    pub one_way: bool,
}

/// A value, and for an offset the member's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What the instruction holds.
    pub value: i64,
    /// Size of a plain member; 0 where it does not matter.
    pub size: u32,
    /// Whether a load of this member may become wider or narrower: a pointer or an unsigned number.
    pub resizable: bool,
}

impl Fact {
    const fn plain(value: i64) -> Self {
        Self { value, size: 0, resizable: false }
    }
}

/// Computes the values of one relocation.
///
/// # Errors
/// If the record does not fit the object's BTF, or the target's types are ambiguous.
pub fn resolve(object: &Btf, relo: &CoreRelo, target: &Btf) -> Result<Resolved, Reason> {
    let kind = RelocKind::from_number(relo.kind).ok_or(Reason::Kind(relo.kind))?;
    let access = object.string(relo.access).unwrap_or("");
    let bad = || Reason::Access(access.to_owned());
    let path: Vec<u32> = access.split(':').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;

    if kind == RelocKind::TypeIdLocal {
        let fact = Fact::plain(i64::from(relo.type_id));
        let what = object.name(relo.type_id).to_owned();
        return Ok(Resolved { local: fact, target: Some(fact), checked: false, what, one_way: false });
    }
    let local = Spec::of(object, relo.type_id, &path, kind).ok_or_else(bad)?;
    let (fact, checked) = local.fact(object, kind).ok_or_else(bad)?;

    let mut found: Option<(TypeId, Fact)> = None;
    let (_, root) = object.resolve(local.root).ok_or_else(bad)?;
    // A type relocation asks for the type itself, which may be a typedef; others see through it.
    let wanted = if is_type(kind) { relo.type_id } else { local.root };
    let name = essential_name(object.name(wanted));
    for candidate in target.by_name(name) {
        let Some(same) = target.get(candidate) else { continue };
        let root_kind =
            if is_type(kind) { object.get(wanted).ok_or_else(bad)?.kind } else { root.kind.clone() };
        if core::mem::discriminant(&same.kind) != core::mem::discriminant(&root_kind) {
            continue;
        }
        let Some(spec) = local.on(object, target, candidate, kind) else { continue };
        let Some((fact, _)) = spec.fact(target, kind) else { continue };
        match found {
            Some((_, before)) if before.value != fact.value => return Err(Reason::Ambiguous(local.what)),
            Some(_) => {}
            None => found = Some((candidate, fact)),
        }
    }
    let found = match (found, kind) {
        (Some((_, fact)), _) => Some(fact),
        (None, RelocKind::FieldExists | RelocKind::TypeExists | RelocKind::EnumvalExists) => {
            Some(Fact::plain(0))
        }
        (None, _) => None,
    };
    let one_way = name != object.name(wanted);
    Ok(Resolved { local: fact, target: found, checked, what: local.what, one_way })
}

/// Whether the target has what a path of numbers leads to in a type of the object.
pub(crate) fn has(object: &Btf, ty: TypeId, path: &[u32], target: &Btf) -> bool {
    let kind = RelocKind::FieldExists;
    let Some(local) = Spec::of(object, ty, path, kind) else { return false };
    let mut same = target.by_name(essential_name(object.name(local.root)));
    same.any(|candidate| local.on(object, target, candidate, kind).is_some())
}

fn is_type(kind: RelocKind) -> bool {
    matches!(kind, RelocKind::TypeIdTarget | RelocKind::TypeExists | RelocKind::TypeSize)
}

fn is_enum(kind: RelocKind) -> bool {
    matches!(kind, RelocKind::EnumvalExists | RelocKind::EnumvalValue)
}

/// A place in one BTF: a type, a member, or an enumerator.
#[derive(Clone, Debug)]
struct Spec {
    root: TypeId,
    /// Members and elements passed.
    steps: Vec<StepTo>,
    bit_offset: u32,
    /// Width of the bit-field at the end, or 0.
    bits: u8,
    /// Type at the end.
    ty: TypeId,
    /// Value of the enumerator.
    value: i64,
    what: String,
}

#[derive(Clone, Debug)]
enum StepTo {
    /// The name, and the member's type in this BTF.
    Member(String, TypeId),
    Element(u32),
}

impl Spec {
    /// The place that a record names in the object's own BTF.
    fn of(btf: &Btf, type_id: TypeId, path: &[u32], kind: RelocKind) -> Option<Self> {
        let (first, rest) = path.split_first()?;
        let what = btf.name(type_id).to_owned();
        let mut spec =
            Self { root: type_id, steps: Vec::new(), bit_offset: 0, bits: 0, ty: type_id, value: 0, what };
        if is_type(kind) {
            return (*first == 0 && rest.is_empty()).then_some(spec);
        }
        let (root, ty) = btf.resolve(type_id)?;
        spec.root = root;
        spec.ty = root;
        if is_enum(kind) {
            let Kind::Enum { values, .. } = ty.kind else { return None };
            let value = values.get(*first as usize).filter(|_| rest.is_empty())?;
            spec.steps.push(StepTo::Member(value.name.to_owned(), 0));
            spec.value = value.value;
            spec.what = format!("{}.{}", spec.what, value.name);
            return Some(spec);
        }
        spec.what = btf.name(root).to_owned();
        if *first != 0 {
            spec.bit_offset = first.checked_mul(btf.size_of(root)?)?.checked_mul(8)?;
        }
        spec.steps.push(StepTo::Element(*first));
        for index in rest {
            let (_, ty) = btf.resolve(spec.ty)?;
            match ty.kind {
                Kind::Struct { members, .. } | Kind::Union { members, .. } => {
                    let member = members.get(*index as usize)?;
                    spec.bit_offset = spec.bit_offset.checked_add(member.bit_offset)?;
                    spec.bits = member.bits;
                    spec.ty = member.ty;
                    // Anonymous structures carry no name to match by; the search sees through them.
                    if !member.name.is_empty() {
                        spec.steps.push(StepTo::Member(member.name.to_owned(), member.ty));
                        spec.what = format!("{}.{}", spec.what, member.name);
                    }
                }
                Kind::Array { element, .. } => {
                    spec.enter_element(btf, element, *index)?;
                    spec.what = format!("{}[{index}]", spec.what);
                }
                _ => return None,
            }
        }
        Some(spec)
    }

    fn enter_element(&mut self, btf: &Btf, element: TypeId, index: u32) -> Option<()> {
        let at = index.checked_mul(btf.size_of(element)?)?.checked_mul(8)?;
        self.bit_offset = self.bit_offset.checked_add(at)?;
        self.bits = 0;
        self.ty = element;
        self.steps.push(StepTo::Element(index));
        Some(())
    }

    /// The same place in a type of the target.
    fn on(&self, object: &Btf, target: &Btf, root: TypeId, kind: RelocKind) -> Option<Self> {
        let mut spec = Self { root, steps: Vec::new(), bit_offset: 0, bits: 0, ty: root, ..self.clone() };
        if is_type(kind) {
            return Some(spec);
        }
        if is_enum(kind) {
            let Some(StepTo::Member(wanted, _)) = self.steps.first() else { return None };
            let Kind::Enum { values, .. } = target.get(root)?.kind else { return None };
            let value = values.iter().find(|value| essential_name(value.name) == essential_name(wanted))?;
            spec.value = value.value;
            return Some(spec);
        }
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                StepTo::Element(index) if at == 0 => {
                    if *index != 0 {
                        spec.bit_offset = index.checked_mul(target.size_of(root)?)?.checked_mul(8)?;
                    }
                }
                StepTo::Element(index) => {
                    let Kind::Array { element, len, .. } = target.resolve(spec.ty)?.1.kind else {
                        return None;
                    };
                    // A flexible array has no length of its own.
                    if *index >= len && len != 0 {
                        return None;
                    }
                    spec.enter_element(target, element, *index)?;
                }
                StepTo::Member(name, local_ty) => {
                    let found = find_member(target, spec.ty, name)?;
                    if !compatible(object, *local_ty, target, found.ty, 0) {
                        return None;
                    }
                    spec.bit_offset = spec.bit_offset.checked_add(found.bit_offset)?;
                    spec.bits = found.bits;
                    spec.ty = found.ty;
                }
            }
        }
        Some(spec)
    }

    /// The fact of a kind about this place, and whether instructions are checked for it.
    fn fact(&self, btf: &Btf, kind: RelocKind) -> Option<(Fact, bool)> {
        let plain = |value: u32| Some((Fact::plain(i64::from(value)), true));
        match kind {
            RelocKind::FieldExists | RelocKind::TypeExists | RelocKind::EnumvalExists => return plain(1),
            RelocKind::EnumvalValue => return Some((Fact::plain(self.value), true)),
            // The object's number of a type changes when objects are linked, so nobody checks it.
            RelocKind::TypeIdLocal | RelocKind::TypeIdTarget => {
                return Some((Fact::plain(i64::from(self.root)), false));
            }
            RelocKind::TypeSize => return plain(btf.size_of(self.root)?),
            _ => {}
        }
        let (_, ty) = btf.resolve(self.ty)?;
        let mut size = btf.size_of(self.ty)?;
        let mut offset = self.bit_offset / 8;
        let mut width = u32::from(self.bits);
        let bit_field = width != 0;
        if bit_field {
            (offset, size) = covering(self.bit_offset, width, size)?;
        } else {
            width = size.checked_mul(8)?;
        }
        let fact = match kind {
            RelocKind::FieldByteOffset if bit_field => Fact::plain(i64::from(offset)),
            RelocKind::FieldByteOffset => {
                let resizable = match ty.kind {
                    Kind::Ptr(_) => true,
                    Kind::Int { encoding, .. } => encoding & INT_SIGNED == 0,
                    _ => false,
                };
                Fact { value: i64::from(offset), size, resizable }
            }
            RelocKind::FieldByteSize => Fact::plain(i64::from(size)),
            RelocKind::FieldSigned => Fact::plain(i64::from(match ty.kind {
                Kind::Int { encoding, .. } => encoding & INT_SIGNED != 0,
                Kind::Enum { signed, .. } => signed,
                _ => false,
            })),
            RelocKind::FieldLshiftU64 => {
                let end = self.bit_offset.checked_add(width)?.checked_sub(offset * 8)?;
                return Some((Fact::plain(i64::from(64_u32.checked_sub(end)?)), false));
            }
            RelocKind::FieldRshiftU64 => Fact::plain(i64::from(64_u32.checked_sub(width)?)),
            _ => return None,
        };
        Some((fact, !bit_field || kind == RelocKind::FieldRshiftU64))
    }
}

/// Whether a member of the target may stand for one of the object (libbpf, `bpf_core_fields_are_compat`).
fn compatible(object: &Btf, local: TypeId, target: &Btf, other: TypeId, depth: u32) -> bool {
    let (Some((_, local)), Some((_, other))) = (object.resolve(local), target.resolve(other)) else {
        return false;
    };
    let composite = |kind: &Kind<'_>| matches!(kind, Kind::Struct { .. } | Kind::Union { .. });
    if composite(&local.kind) && composite(&other.kind) {
        return true;
    }
    match (&local.kind, &other.kind) {
        (Kind::Ptr(_), Kind::Ptr(_)) | (Kind::Float { .. }, Kind::Float { .. }) => true,
        (Kind::Fwd { .. }, Kind::Fwd { .. }) | (Kind::Enum { .. }, Kind::Enum { .. }) => {
            local.name.is_empty()
                || other.name.is_empty()
                || essential_name(local.name) == essential_name(other.name)
        }
        (Kind::Int { offset: 0, .. }, Kind::Int { offset: 0, .. }) => true,
        (Kind::Array { element: a, .. }, Kind::Array { element: b, .. }) => {
            depth < 8 && compatible(object, *a, target, *b, depth + 1)
        }
        _ => false,
    }
}

// Instruction classes and modes (`include/uapi/linux/bpf_common.h`).
const CLASS: u8 = 0x07;
const LD: u8 = 0x00;
const LDX: u8 = 0x01;
const ST: u8 = 0x02;
const STX: u8 = 0x03;
const ALU: u8 = 0x04;
const ALU64: u8 = 0x07;
const SRC_REG: u8 = 0x08;
const LDDW: u8 = 0x18;
const CALL: u64 = 0x85;
const SIZE: u8 = 0x18;

/// False: the instruction cannot be used on the target and must be poisoned.
fn patch(code: &mut [u64], insn: u32, relo: &Resolved, target: Fact) -> Result<bool, Reason> {
    let Some(slot) = code.get_mut(insn as usize) else { return Err(Reason::Instruction) };
    let opcode = *slot as u8;
    let stale = |found: i64| {
        let expected = relo.local.value;
        let holds = !relo.checked || found == expected || found as u32 == expected as u32;
        if holds { Ok(()) } else { Err(Reason::Stale { found, expected }) }
    };
    match opcode & CLASS {
        ALU | ALU64 if opcode & SRC_REG == 0 => {
            stale(i64::from((*slot >> 32) as i32))?;
            let value = target.value;
            if value != i64::from(value as i32) && value != i64::from(value as u32) {
                return Err(Reason::Range(value));
            }
            *slot = *slot & 0xffff_ffff | u64::from(value as u32) << 32;
        }
        LDX | ST | STX => {
            stale(i64::from((*slot >> 16) as i16))?;
            let offset = i16::try_from(target.value).map_err(|_| Reason::Range(target.value))?;
            let mut opcode = opcode;
            if relo.local.size != target.size {
                // A narrower or wider unsigned number or pointer is read as it is on the target.
                let size = match target.size {
                    1 => 0x10,
                    2 => 0x08,
                    4 => 0x00,
                    8 => 0x18,
                    _ => return Ok(false),
                };
                if !(relo.local.resizable && target.resizable) {
                    return Ok(false);
                }
                opcode = opcode & !SIZE | size;
            }
            *slot = *slot & 0xffff_ffff_0000_ff00 | u64::from(opcode) | u64::from(offset as u16) << 16;
        }
        LD if opcode == LDDW => {
            let low = *slot >> 32;
            let second = code.get_mut(insn as usize + 1).ok_or(Reason::Instruction)?;
            stale(((*second >> 32) << 32 | low) as i64)?;
            *second = *second & 0xffff_ffff | (target.value as u64 >> 32) << 32;
            let first = code.get_mut(insn as usize).ok_or(Reason::Instruction)?;
            *first = *first & 0xffff_ffff | (target.value as u64) << 32;
        }
        _ => return Err(Reason::Unfit(opcode)),
    }
    Ok(true)
}

fn poison(code: &mut [u64], insn: u32, record: usize) -> Result<(), Reason> {
    let call = CALL | u64::from((POISON + record as i32) as u32) << 32;
    let slot = code.get_mut(insn as usize).ok_or(Reason::Instruction)?;
    let wide = *slot as u8 == LDDW;
    *slot = call;
    if wide {
        // Both halves of a wide load, so that no half is left to be decoded.
        *code.get_mut(insn as usize + 1).ok_or(Reason::Instruction)? = call;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
