//! The object's own BTF: local copies of the kernel types that relocations name, prototypes, globals.
//!
//! A local structure has just the members that relocations mention, at the offsets of the kernel compiled
//! against, and no anonymous structures in between: loaders match members by name and look through the
//! kernel's anonymous ones.

mod sections;
mod types;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use oomc_abi::btf::write::Builder;
use oomc_abi::btf::{INT_SIGNED, TypeId};
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::relo::RelocKind;
use oomc_abi::resolve::BitField;

pub(super) use sections::map_definition_size;
use types::{Step, Types};

use super::{Error, Module};
use crate::bpf::CoreKind;
use crate::bpf::select::bit_fact;
use crate::ir;

/// What the other sections need to know of the BTF.
#[derive(Debug)]
pub(in crate::object) struct Info {
    /// The types; strings may still be added.
    pub(in crate::object) builder: Builder,
    /// The FUNC of each program.
    pub(in crate::object) funcs: Vec<TypeId>,
    /// For each program, one per CO-RE relocation.
    pub(in crate::object) relos: Vec<Vec<Relo>>,
}

/// A CO-RE relocation in terms of the object's BTF.
#[derive(Clone, Debug)]
pub(in crate::object) struct Relo {
    /// Which instruction.
    pub(in crate::object) insn: u32,
    /// The local type.
    pub(in crate::object) type_id: TypeId,
    /// The path in it.
    pub(in crate::object) access: Rc<str>,
    /// Which fact.
    pub(in crate::object) kind: RelocKind,
    /// The fact by the local type: what the instruction holds.
    pub(in crate::object) value: i64,
}

pub(super) fn build(module: &Module<'_>, kfuncs: &[KfuncId]) -> Result<Info, Error> {
    let mut types = Types::new(module.view);
    let used = Used::new(module, &mut types)?;
    types.int(4, "int", INT_SIGNED);
    let local = Local::new(module, &used, &mut types)?;
    let relos = relocations(module, &local, &mut types)?;
    let mut funcs = vec![sections::program(&mut types, OOM.callback)];
    for signature in module.refs.functions.values() {
        funcs.push(sections::function(&mut types, signature)?);
    }
    for program in module.programs.get(funcs.len()..).unwrap_or_default() {
        funcs.push(sections::program(&mut types, &program.name));
    }
    sections::ksyms(&mut types, module, kfuncs)?;
    sections::globals(&mut types, module);
    sections::maps(&mut types, module);
    sections::ops(&mut types)?;
    sections::license(&mut types);
    Ok(Info { builder: types.builder, funcs, relos })
}

/// The members and enumerators that relocations name. All are collected first, because the order of a copy's
/// members decides the paths. A large policy reads a member thousands of times: each is looked up once.
struct Used {
    paths: BTreeMap<ir::FieldRef, Vec<Step>>,
    enumerators: BTreeMap<String, BTreeSet<String>>,
}

impl Used {
    fn new(module: &Module<'_>, types: &mut Types<'_>) -> Result<Self, Error> {
        let mut used = Self { paths: BTreeMap::new(), enumerators: BTreeMap::new() };
        let mut known = BTreeSet::new();
        for core in module.programs.iter().flat_map(|program| &program.core) {
            match core.kind {
                CoreKind::FieldByteOffset(field)
                | CoreKind::FieldExists(field)
                | CoreKind::FieldFact(_, field) => {
                    if let Entry::Vacant(path) = used.paths.entry(field) {
                        path.insert(types.collect(&module.refs.fields[field])?);
                    }
                }
                CoreKind::EnumValue(of) | CoreKind::EnumExists(of) if known.insert(of) => {
                    let of = &module.refs.enums[of];
                    used.enumerators.entry(of.enumeration.clone()).or_default().insert(of.name.clone());
                }
                CoreKind::EnumValue(_) | CoreKind::EnumExists(_) | CoreKind::TypeIdTarget(_) => {}
            }
        }
        Ok(used)
    }
}

/// A member in terms of the local types.
struct LocalMember {
    type_id: TypeId,
    access: Rc<str>,
    offset: u32,
    bits: Option<BitField>,
}

/// An enumerator in terms of the local types.
struct LocalEnumerator {
    type_id: TypeId,
    access: Rc<str>,
    value: i64,
}

/// What relocations name, in terms of the local types.
struct Local {
    members: BTreeMap<ir::FieldRef, LocalMember>,
    enumerators: BTreeMap<ir::EnumRef, LocalEnumerator>,
}

impl Local {
    fn new(module: &Module<'_>, used: &Used, types: &mut Types<'_>) -> Result<Self, Error> {
        let enumerators = Self::enumerators(module, used, types);
        let mut members = BTreeMap::new();
        for (field, steps) in &used.paths {
            let path = &module.refs.fields[*field];
            let root = types.place(&path.container);
            let (access, offset) = types.access(steps)?;
            let bits = module.view.bit_field(&path.container, &path.path);
            let type_id = types.copy(&root)?;
            members.insert(*field, LocalMember { type_id, access: access.into(), offset, bits });
        }
        Ok(Self { members, enumerators })
    }

    fn enumerators(
        module: &Module<'_>,
        used: &Used,
        types: &mut Types<'_>,
    ) -> BTreeMap<ir::EnumRef, LocalEnumerator> {
        let mut local = BTreeMap::new();
        for (tag, names) in &used.enumerators {
            let type_id = types.enumeration(tag, names);
            for (of, enumerator) in module.refs.enums.iter().filter(|(_, of)| of.enumeration == *tag) {
                if let Some(at) = names.iter().position(|name| *name == enumerator.name) {
                    let value = types.enum_value(tag, &enumerator.name);
                    local.insert(of, LocalEnumerator { type_id, access: at.to_string().into(), value });
                }
            }
        }
        local
    }

    fn member(&self, field: ir::FieldRef) -> Result<&LocalMember, Error> {
        self.members.get(&field).ok_or(Error::Internal("a member has no local type"))
    }

    fn enumerator(&self, of: ir::EnumRef) -> Result<&LocalEnumerator, Error> {
        self.enumerators.get(&of).ok_or(Error::Internal("an enumerator has no local type"))
    }
}

/// The relocations of each program.
fn relocations(module: &Module<'_>, local: &Local, types: &mut Types<'_>) -> Result<Vec<Vec<Relo>>, Error> {
    let whole: Rc<str> = "0".into();
    let mut ids = BTreeMap::new();
    let mut all = Vec::with_capacity(module.programs.len());
    for program in module.programs {
        let mut relos = Vec::with_capacity(program.core.len());
        for core in &program.core {
            let (type_id, access, kind, value) = match core.kind {
                CoreKind::FieldByteOffset(field)
                | CoreKind::FieldExists(field)
                | CoreKind::FieldFact(_, field) => {
                    let member = local.member(field)?;
                    let (kind, value) = member_fact(core.kind, member);
                    (member.type_id, &member.access, kind, i64::from(value))
                }
                CoreKind::EnumValue(of) => {
                    let of = local.enumerator(of)?;
                    (of.type_id, &of.access, RelocKind::EnumvalValue, of.value)
                }
                CoreKind::EnumExists(of) => {
                    let of = local.enumerator(of)?;
                    (of.type_id, &of.access, RelocKind::EnumvalExists, 1)
                }
                CoreKind::TypeIdTarget(ty) => {
                    let id = match ids.entry(ty) {
                        Entry::Occupied(id) => *id.get(),
                        Entry::Vacant(entry) => {
                            let place = types.place(&module.refs.types[ty]);
                            *entry.insert(types.copy(&place)?)
                        }
                    };
                    (id, &whole, RelocKind::TypeIdTarget, i64::from(id))
                }
            };
            relos.push(Relo { insn: core.insn, type_id, access: Rc::clone(access), kind, value });
        }
        all.push(relos);
    }
    Ok(all)
}

/// Which fact of a member a relocation is about, and the fact by the local type.
fn member_fact(kind: CoreKind, member: &LocalMember) -> (RelocKind, u32) {
    match (kind, &member.bits) {
        (CoreKind::FieldExists(_), _) => (RelocKind::FieldExists, 1),
        (CoreKind::FieldFact(fact, _), Some(bits)) => {
            let kind = match fact {
                ir::FieldFact::Size => RelocKind::FieldByteSize,
                ir::FieldFact::LeftShift => RelocKind::FieldLshiftU64,
                ir::FieldFact::RightShift => RelocKind::FieldRshiftU64,
                ir::FieldFact::Offset => RelocKind::FieldByteOffset,
            };
            (kind, bit_fact(fact, bits))
        }
        (_, Some(bits)) => (RelocKind::FieldByteOffset, bits.offset),
        (_, None) => (RelocKind::FieldByteOffset, member.offset),
    }
}
