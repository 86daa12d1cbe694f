//! The types of what an object itself has: its functions, globals, maps, the ops instance and the license, and the
//! kernel functions and variables that it refers to.

use oomc_abi::btf::{INT_SIGNED, Kind, LINKAGE_EXTERN, LINKAGE_GLOBAL, Member, Param, SecEntry, TypeId};
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::proto;

use super::types::Types;
use crate::ir;
use crate::object::{Error, MAPS, Module, elf, struct_ops};

/// The program as the kernel sees it: one context of 64-bit words.
pub(super) fn program(types: &mut Types<'_>, name: &str) -> TypeId {
    let ret = types.int(4, "int", INT_SIGNED);
    let word = types.int(8, "long long unsigned int", 0);
    let ctx = types.builder.intern("", &Kind::Ptr(word));
    let params = vec![Param { name: "ctx", ty: ctx }];
    let proto = types.builder.intern("", &Kind::FuncProto { ret, params });
    types.builder.add(name, &Kind::Func { proto, linkage: LINKAGE_GLOBAL })
}

/// A function that the verifier checks by itself, because its linkage is global. The tag says that a pointer
/// is never null and points to what its type says.
pub(super) fn function(types: &mut Types<'_>, signature: &ir::Signature) -> Result<TypeId, Error> {
    let word = types.int(8, "long long unsigned int", 0);
    let mut params = Vec::new();
    for (param, name) in signature.params.iter().zip(["a", "b", "c", "d", "e"]) {
        let ty = match param {
            ir::Param::Number => word,
            ir::Param::Trusted(tag) => {
                let place = types.place(tag);
                let object = types.copy(&place)?;
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
    Ok(func)
}

/// Kernel functions and variables. A section without entries would be refused by the kernel.
pub(super) fn ksyms(types: &mut Types<'_>, module: &Module<'_>, kfuncs: &[KfuncId]) -> Result<(), Error> {
    let mut entries = Vec::new();
    for kfunc in kfuncs {
        let row = kfunc.row();
        let proto = proto::parse(row.c).ok_or(Error::Prototype(row.c))?;
        let proto = types.prototype(&proto)?;
        let ty = types.builder.add(row.name, &Kind::Func { proto, linkage: LINKAGE_EXTERN });
        entries.push(SecEntry { ty, offset: 0, size: 0 });
    }
    for ksym in crate::object::ksyms(module.programs) {
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

pub(super) fn globals(types: &mut Types<'_>, module: &Module<'_>) {
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
pub(in crate::object) fn map_definition_size(map: &ir::MapData) -> u32 {
    match map.kind {
        ir::MapKind::RingBuffer => 3 * 8,
        _ => 5 * 8,
    }
}

/// Maps as libbpf defines them: numbers are lengths of arrays, types are what pointers point to.
pub(super) fn maps(types: &mut Types<'_>, module: &Module<'_>) {
    let (mut entries, mut at) = (Vec::new(), 0);
    for (_, map) in crate::object::maps(module) {
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
        types.section(MAPS, at, entries);
    }
}

pub(super) fn ops(types: &mut Types<'_>) -> Result<(), Error> {
    let proto = proto::parse(OOM.c).ok_or(Error::Prototype(OOM.c))?;
    let proto = types.prototype(&proto)?;
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

pub(super) fn license(types: &mut Types<'_>) {
    let byte = types.int(1, "char", INT_SIGNED);
    let size = elf::LICENSE.len() as u32;
    let ty = types.array(byte, size);
    let var = Kind::Var { ty, linkage: u32::from(LINKAGE_GLOBAL) };
    let ty = types.builder.add(elf::LICENSE_SYMBOL, &var);
    types.section("license", size, vec![SecEntry { ty, offset: 0, size }]);
}
