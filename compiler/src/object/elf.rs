//! Sections, symbols and relocations.

use std::collections::HashMap;

use object::elf::RelocationType;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, RelocationFlags, SectionKind, SymbolFlags, SymbolKind,
    SymbolScope,
};
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KfuncId;

use super::btf_ext::Bytes;
use super::{Error, Module, btf, ksyms, meta, struct_ops};
use crate::bpf::RelocTarget;
use crate::ir;

/// The kernel lets only programs under the GPL call its functions.
pub(super) const LICENSE: &[u8] = b"GPL\0";
/// Symbol of the license.
pub(super) const LICENSE_SYMBOL: &str = "_license";

// Relocation types of BPF (LLVM, `BPFELFObjectWriter.cpp`; libbpf, `libbpf_internal.h`).
const R_BPF_64_64: u32 = 1;
const R_BPF_64_ABS64: u32 = 2;
const R_BPF_64_32: u32 = 10;

/// `.s`: the program may sleep, which killing, raising and walking tasks need.
pub(super) fn program_section() -> String {
    format!("struct_ops.s/{}", OOM.callback)
}

/// Where libbpf and LLVM expect what programs call.
pub(super) const FUNCTIONS_SECTION: &str = ".text";

/// The section of a program by its position: the callback has one, its functions share another.
pub(super) fn code_section(position: usize) -> String {
    if position == 0 { program_section() } else { FUNCTIONS_SECTION.to_owned() }
}

/// A section of globals.
#[derive(Clone, Debug)]
pub(super) struct GlobalSection {
    /// Its name.
    pub(super) name: String,
    /// In bytes.
    pub(super) size: u32,
    /// What lies in it, and at which byte.
    pub(super) globals: Vec<(ir::Global, u32)>,
}

/// Sections of globals, in the order in which the module has them.
pub(super) fn sections(refs: &ir::Refs) -> Vec<GlobalSection> {
    let mut sections: Vec<GlobalSection> = Vec::new();
    for (global, data) in refs.globals.iter() {
        let len = data.data.len() as u32;
        match sections.iter_mut().find(|section| section.name == data.section) {
            Some(section) => {
                let at = section.size.next_multiple_of(8);
                section.globals.push((global, at));
                section.size = at + len;
            }
            None => sections.push(GlobalSection {
                name: data.section.clone(),
                size: len,
                globals: vec![(global, 0)],
            }),
        }
    }
    sections
}

pub(super) fn write(module: &Module<'_>, kfuncs: &[KfuncId], bytes: &Bytes) -> Result<Vec<u8>, Error> {
    let mut out = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let mut add = |name: &str, kind, data: &[u8], align| {
        let section = out.add_section(Vec::new(), name.into(), kind);
        out.set_section_data(section, data.to_vec(), align);
        section
    };
    let flat = |codes: &[Vec<u64>]| -> Vec<u8> {
        codes.iter().flatten().flat_map(|word| word.to_le_bytes()).collect()
    };
    let (callback, functions) = bytes.codes.split_at(bytes.codes.len().min(1));
    let program = add(&program_section(), SectionKind::Text, &flat(callback), 8);
    let text = match functions {
        [] => program,
        _ => add(FUNCTIONS_SECTION, SectionKind::Text, &flat(functions), 8),
    };
    let ops = add(struct_ops::SECTION, SectionKind::Data, &struct_ops::image(module.ops_name), 8);
    let license = add("license", SectionKind::Data, LICENSE, 1);

    let mut globals = Vec::new();
    for section in sections(module.refs) {
        let zero = section.name.starts_with(".bss");
        let kind = match section.name.as_str() {
            _ if zero => SectionKind::UninitializedData,
            name if name.starts_with(".rodata") => SectionKind::ReadOnlyData,
            _ => SectionKind::Data,
        };
        let id = out.add_section(Vec::new(), section.name.clone().into(), kind);
        if zero {
            out.append_section_bss(id, u64::from(section.size), 8);
        } else {
            let mut data = vec![0; section.size as usize];
            for (global, at) in &section.globals {
                let from = &module.refs.globals[*global].data;
                if let Some(to) = data.get_mut(*at as usize..*at as usize + from.len()) {
                    to.copy_from_slice(from);
                }
            }
            out.set_section_data(id, data, 8);
        }
        globals.extend(section.globals.iter().map(|(global, at)| (*global, id, *at)));
    }

    let mut map_places = Vec::new();
    let mut map_bytes = 0;
    for (map, data) in super::maps(module) {
        let size = btf::map_definition_size(data);
        map_places.push((map, data, map_bytes, size));
        map_bytes += size;
    }
    let map_section = (map_bytes > 0).then(|| {
        let id = out.add_section(Vec::new(), super::MAPS.into(), SectionKind::Data);
        out.set_section_data(id, vec![0; map_bytes as usize], 8);
        id
    });

    for (name, data) in [
        (".BTF", bytes.btf.as_slice()),
        (".BTF.ext", &bytes.ext),
        (".oomc.source", module.source.text.as_bytes()),
        (".oomc.meta", meta::text(module).as_bytes()),
    ] {
        let section = out.add_section(Vec::new(), name.into(), SectionKind::Other);
        out.set_section_data(section, data.to_vec(), if name.starts_with(".BTF") { 4 } else { 1 });
    }

    let size = flat(callback).len() as u64;
    let entry = define(&mut out, OOM.callback, SymbolKind::Text, program, 0, size);
    let mut places = vec![(program, 0)];
    let mut symbols = Vec::new();
    let mut at = 0;
    for ((func, signature), code) in module.refs.functions.iter().zip(functions) {
        let size = code.len() as u64 * 8;
        let symbol = define(&mut out, &signature.name, SymbolKind::Text, text, at, size);
        symbols.push((RelocTarget::Func(func), symbol));
        places.push((text, at));
        at += size;
    }
    define(&mut out, struct_ops::SYMBOL, SymbolKind::Data, ops, 0, u64::from(struct_ops::SIZE));
    define(&mut out, LICENSE_SYMBOL, SymbolKind::Data, license, 0, LICENSE.len() as u64);
    for (global, section, at) in globals {
        let data = &module.refs.globals[global];
        let size = data.data.len() as u64;
        let symbol = define(&mut out, &data.name, SymbolKind::Data, section, u64::from(at), size);
        symbols.push((RelocTarget::Global(global), symbol));
    }
    for (map, data, at, size) in map_places {
        if let Some(section) = map_section {
            let (at, size) = (u64::from(at), u64::from(size));
            let symbol = define(&mut out, &data.name, SymbolKind::Data, section, at, size);
            symbols.push((RelocTarget::Map(map), symbol));
        }
    }
    for kfunc in kfuncs {
        let row = kfunc.row();
        // Who looks whether a function is there can do without.
        let weak = module
            .programs
            .iter()
            .flat_map(|program| &program.relocs)
            .any(|reloc| reloc.target == RelocTarget::KfuncAddr(*kfunc));
        let symbol = declare(&mut out, row.name, weak);
        symbols.extend([(RelocTarget::Kfunc(*kfunc), symbol), (RelocTarget::KfuncAddr(*kfunc), symbol)]);
    }
    for ksym in ksyms(module.programs) {
        let symbol = declare(&mut out, &module.refs.ksyms[ksym], true);
        symbols.push((RelocTarget::Ksym(ksym), symbol));
    }

    let mut relocate = |section, offset, symbol, r_type| {
        let flags = RelocationFlags::Elf { r_type: RelocationType(r_type) };
        // The addend stays 0: the writer would put another one over the instruction's bytes.
        out.add_relocation(section, Relocation { offset, symbol, addend: 0, flags })
            .map_err(|error| Error::Elf(error.to_string()))
    };
    relocate(ops, 0, entry, R_BPF_64_ABS64)?;
    let symbols: HashMap<RelocTarget, SymbolId> = symbols.into_iter().collect();
    let relocs = module.programs.iter().zip(places);
    for (reloc, (section, start)) in
        relocs.flat_map(|(program, place)| program.relocs.iter().map(move |reloc| (reloc, place)))
    {
        let symbol = symbols.get(&reloc.target).copied();
        let symbol = symbol.ok_or(Error::Instruction(reloc.insn))?;
        let r_type = match reloc.target {
            RelocTarget::Kfunc(_) | RelocTarget::Func(_) => R_BPF_64_32,
            RelocTarget::KfuncAddr(_)
            | RelocTarget::Global(_)
            | RelocTarget::Ksym(_)
            | RelocTarget::Map(_) => R_BPF_64_64,
        };
        relocate(section, start + u64::from(reloc.insn) * 8, symbol, r_type)?;
    }
    out.write().map_err(|error| Error::Elf(error.to_string()))
}

/// A global symbol of default visibility: libbpf turns hidden variables into static ones.
fn define(
    out: &mut Object<'_>,
    name: &str,
    kind: SymbolKind,
    section: SectionId,
    value: u64,
    size: u64,
) -> SymbolId {
    out.add_symbol(Symbol {
        name: name.into(),
        value,
        size,
        kind,
        scope: SymbolScope::Dynamic,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

/// An undefined symbol without a type, the only form in which libbpf takes one for a ksym.
fn declare(out: &mut Object<'_>, name: &str, weak: bool) -> SymbolId {
    out.add_symbol(Symbol {
        name: name.into(),
        value: 0,
        size: 0,
        kind: SymbolKind::Unknown,
        scope: SymbolScope::Unknown,
        weak,
        section: SymbolSection::Undefined,
        flags: SymbolFlags::None,
    })
}
