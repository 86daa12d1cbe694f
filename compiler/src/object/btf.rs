//! The object's own BTF: local copies of the kernel types that relocations name, prototypes, globals.
//!
//! A local structure has just the members that relocations mention, at the offsets of the kernel compiled
//! against, and no anonymous structures in between: loaders match members by name and look through the
//! kernel's anonymous ones.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use oomc_abi::btf::write::Builder;
use oomc_abi::btf::{
    Enumerator, INT_BOOL, INT_SIGNED, Kind, LINKAGE_EXTERN, LINKAGE_GLOBAL, Member, Param, SecEntry, TypeId,
};
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::proto::{self, Base, CType, Proto};
use oomc_abi::relo::RelocKind;
use oomc_abi::resolve::{KernelView, Part, find_member, flat_array, split};

use super::{Error, Module, elf, struct_ops};
use crate::bpf::CoreKind;
use crate::bpf::select::bit_fact;
use crate::ir;

/// What the other sections need to know of the BTF.
#[derive(Debug)]
pub(super) struct Info {
    /// The types; strings may still be added.
    pub(super) builder: Builder,
    /// The FUNC of each program.
    pub(super) funcs: Vec<TypeId>,
    /// For each program, one per CO-RE relocation.
    pub(super) relos: Vec<Vec<Relo>>,
}

/// A CO-RE relocation in terms of the object's BTF.
#[derive(Clone, Debug)]
pub(super) struct Relo {
    /// Which instruction.
    pub(super) insn: u32,
    /// The local type.
    pub(super) type_id: TypeId,
    /// The path in it.
    pub(super) access: String,
    /// Which fact.
    pub(super) kind: RelocKind,
    /// The fact by the local type: what the instruction holds.
    pub(super) value: i64,
}

/// A structure or union that gets a local copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// By its number in the kernel's BTF.
    Kernel(TypeId),
    /// By its tag; the kernel compiled against lacks it.
    Absent(String),
}

/// A member that a local copy has, in the order of the copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    bit_offset: u32,
    /// Width of a bit-field, or 0.
    bits: u8,
    name: String,
    /// In the kernel's BTF; None: the kernel compiled against lacks the member.
    ty: Option<TypeId>,
}

/// A path as steps: each a member, or an element.
#[derive(Clone, Debug)]
enum Step {
    Member(Place, Wanted),
    Element(u32),
}

pub(super) fn build(module: &Module<'_>, kfuncs: &[KfuncId]) -> Result<Info, Error> {
    let mut types = Types::new(module.view);

    // First all members, because a copy's order decides the paths. A large policy reads a member thousands
    // of times: each is looked up once.
    let mut paths: BTreeMap<ir::FieldRef, Vec<Step>> = BTreeMap::new();
    let mut enumerators: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for core in module.programs.iter().flat_map(|program| &program.core) {
        match core.kind {
            CoreKind::FieldByteOffset(field)
            | CoreKind::FieldExists(field)
            | CoreKind::FieldFact(_, field) => {
                if let Entry::Vacant(path) = paths.entry(field) {
                    path.insert(types.collect(&module.refs.fields[field])?);
                }
            }
            CoreKind::EnumValue(used) | CoreKind::EnumExists(used) => {
                let used = &module.refs.enums[used];
                enumerators.entry(used.enumeration.clone()).or_default().insert(used.name.clone());
            }
            CoreKind::TypeIdTarget(_) => {}
        }
    }

    types.int(4, "int", INT_SIGNED);
    let mut enums = BTreeMap::new();
    for (tag, names) in &enumerators {
        enums.insert(tag.clone(), types.enumeration(tag, names));
    }

    let mut named = BTreeMap::new();
    for (used, enumerator) in module.refs.enums.iter() {
        let Some(names) = enumerators.get(&enumerator.enumeration) else { continue };
        let Some(at) = names.iter().position(|name| *name == enumerator.name) else { continue };
        let id = enums.get(&enumerator.enumeration).copied().unwrap_or(0);
        let value = types.enum_value(&enumerator.enumeration, &enumerator.name);
        named.insert(used, (id, at.to_string(), value));
    }
    let mut whole = BTreeMap::new();
    let mut relos = Vec::new();
    let mut placed = BTreeMap::new();
    for (field, steps) in &paths {
        let root = types.place(&module.refs.fields[*field].container);
        let (access, offset) = types.access(steps);
        placed.insert(*field, (types.copy(&root), access, offset));
    }
    for core in module.programs.iter().flat_map(|program| &program.core) {
        let (type_id, access, kind, value) = match core.kind {
            CoreKind::FieldByteOffset(field)
            | CoreKind::FieldExists(field)
            | CoreKind::FieldFact(_, field) => {
                let (id, access, offset) = placed.get(&field).cloned().unwrap_or_default();
                let member = &module.refs.fields[field];
                let bits = module.view.bit_field(&member.container, &member.path);
                let (kind, value) = match (core.kind, bits) {
                    (CoreKind::FieldExists(_), _) => (RelocKind::FieldExists, 1),
                    (CoreKind::FieldFact(fact, _), Some(bits)) => {
                        let kind = match fact {
                            ir::FieldFact::Size => RelocKind::FieldByteSize,
                            ir::FieldFact::LeftShift => RelocKind::FieldLshiftU64,
                            ir::FieldFact::RightShift => RelocKind::FieldRshiftU64,
                            ir::FieldFact::Offset => RelocKind::FieldByteOffset,
                        };
                        (kind, bit_fact(fact, &bits))
                    }
                    (_, Some(bits)) => (RelocKind::FieldByteOffset, bits.offset),
                    (_, None) => (RelocKind::FieldByteOffset, offset),
                };
                let value = i64::from(value);
                (id, access, kind, value)
            }
            CoreKind::EnumValue(used) | CoreKind::EnumExists(used) => {
                let (id, access, value) = named.get(&used).cloned().unwrap_or_default();
                let (kind, value) = match core.kind {
                    CoreKind::EnumExists(_) => (RelocKind::EnumvalExists, 1),
                    _ => (RelocKind::EnumvalValue, value),
                };
                (id, access, kind, value)
            }
            CoreKind::TypeIdTarget(ty) => {
                let id = *whole.entry(ty).or_insert_with(|| {
                    let place = types.place(&module.refs.types[ty]);
                    types.copy(&place)
                });
                (id, "0".to_owned(), RelocKind::TypeIdTarget, i64::from(id))
            }
        };
        relos.push(Relo { insn: core.insn, type_id, access, kind, value });
    }

    let mut relos = relos.into_iter();
    let relos =
        module.programs.iter().map(|program| relos.by_ref().take(program.core.len()).collect()).collect();
    let mut funcs = vec![program(&mut types)];
    for signature in module.refs.functions.values() {
        funcs.push(function(&mut types, signature));
    }
    ksyms(&mut types, module, kfuncs)?;
    globals(&mut types, module);
    maps(&mut types, module);
    ops(&mut types)?;
    license(&mut types);
    Ok(Info { builder: types.builder, funcs, relos })
}

/// Local types under construction.
struct Types<'v> {
    view: &'v KernelView,
    builder: Builder,
    wanted: BTreeMap<Place, BTreeSet<Wanted>>,
    copies: BTreeMap<Place, TypeId>,
}

impl<'v> Types<'v> {
    fn new(view: &'v KernelView) -> Self {
        Self { view, builder: Builder::new(), wanted: BTreeMap::new(), copies: BTreeMap::new() }
    }

    fn place(&self, tag: &str) -> Place {
        match self.view.type_id(tag) {
            Some(id) => Place::Kernel(id),
            None => Place::Absent(tag.to_owned()),
        }
    }

    /// Notes the members on a path. The kernel compiled against may lack the last one: then it counts as a
    /// pointer, the one kind of member whose size is known.
    fn collect(&mut self, field: &ir::Field) -> Result<Vec<Step>, Error> {
        let bad = || Error::Path(format!("{}.{}", field.container, field.path));
        let parts = split(&field.path).ok_or_else(bad)?;
        let mut place = self.place(&field.container);
        let mut steps = Vec::new();
        // The member's type, until it is entered.
        let mut ty: Option<TypeId> = None;
        let btf = self.view.btf();
        for (at, part) in parts.iter().enumerate() {
            match part {
                Part::Name(name) => {
                    if let Some(ty) = ty {
                        place = Place::Kernel(btf.resolve(ty).ok_or_else(bad)?.0);
                    }
                    let found = match &place {
                        Place::Kernel(id) => find_member(btf, *id, name),
                        Place::Absent(_) => None,
                    };
                    let wanted = match found {
                        Some(found) => Wanted {
                            bit_offset: found.bit_offset,
                            bits: found.bits,
                            name: (*name).to_owned(),
                            ty: Some(found.ty),
                        },
                        None if at + 1 == parts.len() => {
                            Wanted { bit_offset: 0, bits: 0, name: (*name).to_owned(), ty: None }
                        }
                        None => {
                            return Err(self
                                .view
                                .lookup(&field.container, &field.path)
                                .err()
                                .map_or_else(bad, Error::Missing));
                        }
                    };
                    ty = wanted.ty;
                    self.wanted.entry(place.clone()).or_default().insert(wanted.clone());
                    steps.push(Step::Member(place.clone(), wanted));
                }
                Part::Index(index) => {
                    let (element, _) = flat_array(btf, ty.ok_or_else(bad)?).ok_or_else(bad)?;
                    ty = Some(element);
                    steps.push(Step::Element(*index));
                }
            }
        }
        Ok(steps)
    }

    /// The path in numbers, and the offset in bytes.
    fn access(&self, steps: &[Step]) -> (String, u32) {
        let mut access = "0".to_owned();
        let mut offset = 0;
        let mut ty = None;
        for step in steps {
            let index = match step {
                Step::Member(place, wanted) => {
                    offset += wanted.bit_offset / 8;
                    ty = wanted.ty;
                    let members = self.wanted.get(place);
                    members
                        .and_then(|members| members.iter().position(|member| member == wanted))
                        .unwrap_or(0)
                }
                Step::Element(index) => {
                    let element =
                        ty.and_then(|ty| flat_array(self.view.btf(), ty)).map(|(element, _)| element);
                    ty = element;
                    let size = element.and_then(|element| self.view.btf().size_of(element)).unwrap_or(0);
                    offset += index * size;
                    *index as usize
                }
            };
            access.push_str(&format!(":{index}"));
        }
        (access, offset)
    }

    /// The local copy of a structure.
    fn copy(&mut self, place: &Place) -> TypeId {
        if let Some(id) = self.copies.get(place) {
            return *id;
        }
        let id = self.builder.reserve();
        self.copies.insert(place.clone(), id);
        let wanted = self.wanted.get(place).cloned().unwrap_or_default();
        let members: Vec<(Wanted, TypeId)> =
            wanted.into_iter().map(|wanted| (wanted.clone(), self.member_type(wanted.ty))).collect();
        let members = members
            .iter()
            .map(|(wanted, ty)| Member {
                name: &wanted.name,
                ty: *ty,
                bit_offset: wanted.bit_offset,
                bits: wanted.bits,
            })
            .collect::<Vec<_>>();
        let btf = self.view.btf();
        let (tag, kind) = match place {
            Place::Absent(tag) => {
                (tag.as_str(), Kind::Struct { size: if members.is_empty() { 0 } else { 8 }, members })
            }
            Place::Kernel(kernel) => {
                let size = btf.size_of(*kernel).unwrap_or(0);
                let kind = match btf.get(*kernel).map(|ty| ty.kind) {
                    Some(Kind::Union { .. }) => Kind::Union { size, members },
                    _ => Kind::Struct { size, members },
                };
                (btf.name(*kernel), kind)
            }
        };
        self.builder.set(id, tag, &kind);
        id
    }

    /// The local type of a member; qualifiers and typedefs are dropped, as loaders drop them.
    fn member_type(&mut self, kernel: Option<TypeId>) -> TypeId {
        let btf = self.view.btf();
        let Some((id, ty)) = kernel.and_then(|id| btf.resolve(id)) else {
            return self.builder.intern("", &Kind::Ptr(0));
        };
        match ty.kind {
            Kind::Int { size, encoding, .. } => self.int(size, ty.name, encoding),
            Kind::Struct { .. } | Kind::Union { .. } => self.copy(&Place::Kernel(id)),
            Kind::Array { .. } => {
                let (element, len) = flat_array(btf, id).unwrap_or((0, 0));
                let element = self.member_type(Some(element));
                self.array(element, len)
            }
            Kind::Enum { size, signed, wide, values } => {
                self.builder.intern(ty.name, &Kind::Enum { size, signed, wide, values })
            }
            Kind::Ptr(to) => {
                let to = self.pointee(to);
                self.builder.intern("", &Kind::Ptr(to))
            }
            _ => self.builder.intern("", &Kind::Ptr(0)),
        }
    }

    /// What a pointer member points to. A structure of which nothing is read is only declared: it may be no
    /// more than that in a reduced BTF, and the object should not show the difference.
    fn pointee(&mut self, kernel: TypeId) -> TypeId {
        let Some((id, ty)) = self.view.btf().resolve(kernel) else { return 0 };
        let union = match ty.kind {
            Kind::Struct { .. } => false,
            Kind::Union { .. } => true,
            Kind::Fwd { union } => union,
            _ => return 0,
        };
        let place = Place::Kernel(id);
        if self.wanted.contains_key(&place) {
            self.copy(&place)
        } else if ty.name.is_empty() {
            0
        } else {
            self.builder.intern(ty.name, &Kind::Fwd { union })
        }
    }

    fn int(&mut self, size: u32, name: &str, encoding: u8) -> TypeId {
        self.builder.intern(name, &Kind::Int { size, bits: (size * 8) as u8, offset: 0, encoding })
    }

    fn array(&mut self, element: TypeId, len: u32) -> TypeId {
        let index = self.int(4, "__ARRAY_SIZE_TYPE__", 0);
        self.builder.intern("", &Kind::Array { element, index, len })
    }

    /// A structure of 64-bit numbers.
    fn words(&mut self, name: &str, members: &[String]) -> TypeId {
        let word = self.int(8, "long long unsigned int", 0);
        let size = members.len() as u32 * 8;
        let members = (0_u32..)
            .zip(members)
            .map(|(at, name)| Member { name, ty: word, bit_offset: at * 64, bits: 0 })
            .collect();
        self.builder.add(name, &Kind::Struct { size, members })
    }

    /// A number in a map's definition.
    fn number_as_pointer(&mut self, number: u32) -> TypeId {
        let int = self.int(4, "int", INT_SIGNED);
        let array = self.array(int, number);
        self.builder.intern("", &Kind::Ptr(array))
    }

    fn enum_value(&self, tag: &str, name: &str) -> i64 {
        self.view.enumerator(tag, name).unwrap_or(0)
    }

    fn enumeration(&mut self, tag: &str, names: &BTreeSet<String>) -> TypeId {
        let btf = self.view.btf();
        let (size, signed, wide) = match btf.enumeration(tag).and_then(|id| btf.get(id)).map(|ty| ty.kind) {
            Some(Kind::Enum { size, signed, wide, .. }) => (size, signed, wide),
            _ => (4, false, false),
        };
        let values =
            names.iter().map(|name| Enumerator { name, value: self.enum_value(tag, name) }).collect();
        self.builder.add(tag, &Kind::Enum { size, signed, wide, values })
    }

    /// A type of a prototype. Structures are copies even if nothing of them is read: libbpf compares kinds,
    /// and a declaration is another kind than a structure.
    fn c_type(&mut self, ty: &CType<'_>) -> TypeId {
        let mut id = match ty.base {
            Base::Void => 0,
            Base::Bool => self.int(1, "_Bool", INT_BOOL),
            Base::Char => self.int(1, "char", INT_SIGNED),
            Base::Int { name, size, signed } => self.int(size, name, if signed { INT_SIGNED } else { 0 }),
            Base::Struct(tag) => {
                let place = self.place(tag);
                self.copy(&place)
            }
            Base::Enum(tag) => self.enumeration(tag, &BTreeSet::new()),
        };
        if ty.constant {
            id = self.builder.intern("", &Kind::Const(id));
        }
        for _ in 0..ty.pointers {
            id = self.builder.intern("", &Kind::Ptr(id));
        }
        id
    }

    fn prototype(&mut self, proto: &Proto<'_>) -> TypeId {
        let ret = self.c_type(&proto.ret);
        let params = proto.params.iter().map(|(name, ty)| Param { name, ty: self.c_type(ty) }).collect();
        self.builder.intern("", &Kind::FuncProto { ret, params })
    }

    fn section(&mut self, name: &str, size: u32, entries: Vec<SecEntry>) {
        self.builder.add(name, &Kind::DataSec { size, entries });
    }
}

/// The program as the kernel sees it: one context of 64-bit words.
fn program(types: &mut Types<'_>) -> TypeId {
    let ret = types.int(4, "int", INT_SIGNED);
    let word = types.int(8, "long long unsigned int", 0);
    let ctx = types.builder.intern("", &Kind::Ptr(word));
    let params = vec![Param { name: "ctx", ty: ctx }];
    let proto = types.builder.intern("", &Kind::FuncProto { ret, params });
    types.builder.add(OOM.callback, &Kind::Func { proto, linkage: LINKAGE_GLOBAL })
}

/// A function that the verifier checks by itself, because its linkage is global. The tag says that a pointer
/// is never null and points to what its type says.
fn function(types: &mut Types<'_>, signature: &ir::Signature) -> TypeId {
    let word = types.int(8, "long long unsigned int", 0);
    let mut params = Vec::new();
    for (param, name) in signature.params.iter().zip(["a", "b", "c", "d", "e"]) {
        let ty = match param {
            ir::Param::Number => word,
            ir::Param::Trusted(tag) => {
                let place = types.place(tag);
                let object = types.copy(&place);
                types.builder.intern("", &Kind::Ptr(object))
            }
        };
        params.push(Param { name, ty });
    }
    let proto = types.builder.intern("", &Kind::FuncProto { ret: word, params });
    let func = types.builder.add(&signature.name, &Kind::Func { proto, linkage: LINKAGE_GLOBAL });
    for (component, param) in (0..).zip(&signature.params) {
        if matches!(param, ir::Param::Trusted(_)) {
            types.builder.add("arg:trusted", &Kind::DeclTag { ty: func, component });
        }
    }
    func
}

/// Kernel functions and variables. A section without entries would be refused by the kernel.
fn ksyms(types: &mut Types<'_>, module: &Module<'_>, kfuncs: &[KfuncId]) -> Result<(), Error> {
    let mut entries = Vec::new();
    for kfunc in kfuncs {
        let row = kfunc.row();
        let proto = proto::parse(row.c).ok_or(Error::Prototype(row.c))?;
        let proto = types.prototype(&proto);
        let ty = types.builder.add(row.name, &Kind::Func { proto, linkage: LINKAGE_EXTERN });
        entries.push(SecEntry { ty, offset: 0, size: 0 });
    }
    for ksym in super::ksyms(module.programs) {
        // Without a type: the loader then asks kallsyms instead of BTF.
        let ty = types.builder.intern("", &Kind::Const(0));
        let var = Kind::Var { ty, linkage: u32::from(LINKAGE_EXTERN) };
        let ty = types.builder.add(&module.refs.ksyms[ksym], &var);
        entries.push(SecEntry { ty, offset: 0, size: 0 });
    }
    if !entries.is_empty() {
        types.section(".ksyms", 0, entries);
    }
    Ok(())
}

fn globals(types: &mut Types<'_>, module: &Module<'_>) {
    for section in elf::sections(module.refs) {
        let mut entries = Vec::new();
        for (global, offset) in &section.globals {
            let global = &module.refs.globals[*global];
            let size = global.data.len() as u32;
            let ty = if global.members.is_empty() {
                let byte = types.int(1, "char", INT_SIGNED);
                types.array(byte, size)
            } else {
                types.words(&global.name, &global.members)
            };
            let var = Kind::Var { ty, linkage: u32::from(LINKAGE_GLOBAL) };
            let ty = types.builder.add(&global.name, &var);
            entries.push(SecEntry { ty, offset: *offset, size });
        }
        types.section(&section.name, section.size, entries);
    }
}

/// Bytes of a map's definition: a pointer for each thing that it says.
pub(super) fn map_definition_size(map: &ir::MapData) -> u32 {
    match map.kind {
        ir::MapKind::RingBuffer => 3 * 8,
        _ => 5 * 8,
    }
}

/// Maps as libbpf defines them: numbers are lengths of arrays, types are what pointers point to.
fn maps(types: &mut Types<'_>, module: &Module<'_>) {
    let (mut entries, mut at) = (Vec::new(), 0);
    for (_, map) in super::maps(module) {
        let mut members = vec![
            ("type", types.number_as_pointer(map.kind.number())),
            ("max_entries", types.number_as_pointer(map.max_entries)),
            ("map_flags", types.number_as_pointer(map.kind.flags())),
        ];
        if map.kind != ir::MapKind::RingBuffer {
            let key = match map.key.as_slice() {
                [] => types.int(4, "int", INT_SIGNED),
                names => types.words(&format!("oomc_{}_key", map.name), names),
            };
            let value = match map.value.as_slice() {
                [] => {
                    let byte = types.int(1, "char", INT_SIGNED);
                    types.array(byte, map.value_bytes)
                }
                names => types.words(&format!("oomc_{}", map.name), names),
            };
            members.push(("key", types.builder.intern("", &Kind::Ptr(key))));
            members.push(("value", types.builder.intern("", &Kind::Ptr(value))));
        }
        let size = map_definition_size(map);
        let members = (0_u32..)
            .zip(members)
            .map(|(index, (name, ty))| Member { name, ty, bit_offset: index * 64, bits: 0 })
            .collect();
        let ty = types.builder.add("", &Kind::Struct { size, members });
        let var = Kind::Var { ty, linkage: u32::from(LINKAGE_GLOBAL) };
        let ty = types.builder.add(&map.name, &var);
        entries.push(SecEntry { ty, offset: at, size });
        at += size;
    }
    if !entries.is_empty() {
        types.section(super::MAPS, at, entries);
    }
}

fn ops(types: &mut Types<'_>) -> Result<(), Error> {
    let proto = proto::parse(OOM.c).ok_or(Error::Prototype(OOM.c))?;
    let proto = types.prototype(&proto);
    let callback = types.builder.intern("", &Kind::Ptr(proto));
    let byte = types.int(1, "char", INT_SIGNED);
    let name = types.array(byte, struct_ops::NAME_SIZE);
    let members = vec![
        Member { name: OOM.callback, ty: callback, bit_offset: 0, bits: 0 },
        Member { name: OOM.name_member, ty: name, bit_offset: struct_ops::NAME_OFFSET * 8, bits: 0 },
    ];
    let ty = types.builder.add(OOM.ops, &Kind::Struct { size: struct_ops::SIZE, members });
    let var = Kind::Var { ty, linkage: u32::from(LINKAGE_GLOBAL) };
    let ty = types.builder.add(struct_ops::SYMBOL, &var);
    types.section(
        struct_ops::SECTION,
        struct_ops::SIZE,
        vec![SecEntry { ty, offset: 0, size: struct_ops::SIZE }],
    );
    Ok(())
}

fn license(types: &mut Types<'_>) {
    let byte = types.int(1, "char", INT_SIGNED);
    let size = elf::LICENSE.len() as u32;
    let ty = types.array(byte, size);
    let var = Kind::Var { ty, linkage: u32::from(LINKAGE_GLOBAL) };
    let ty = types.builder.add(elf::LICENSE_SYMBOL, &var);
    types.section("license", size, vec![SecEntry { ty, offset: 0, size }]);
}
