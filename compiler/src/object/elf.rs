//! Sections, symbols and relocations.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use object::elf::RelocationType;
use object::read::elf::ElfFile64;
use object::write::{Object, Relocation, SectionId, Symbol, SymbolId, SymbolSection};
use object::{
    Architecture, BinaryFormat, Endianness, Object as _, ObjectSection as _, RelocationFlags, SectionKind,
    SymbolFlags, SymbolKind, SymbolScope,
};
use oomc_abi::digest;
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::target::Target;
use sha2::{Digest as _, Sha256};

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

/// Where libbpf and LLVM expect what programs call.
pub(super) const FUNCTIONS_SECTION: &str = ".text";

/// The section of a program by its position: the callback has one, functions that are called share another, and each
/// further program has its own.
pub(super) fn code_section(refs: &ir::Refs, position: usize) -> &'static str {
    let further = position.checked_sub(refs.functions.len() + 1);
    match (position, further) {
        (0, _) => Target::Hook.row().section,
        (_, None) => FUNCTIONS_SECTION,
        (_, Some(_)) => Target::Asked.row().section,
    }
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

pub(super) fn write<'m>(
    module: &'m Module<'m>,
    kfuncs: &[KfuncId],
    bytes: &'m Bytes,
) -> Result<Vec<u8>, Error> {
    let mut writer = Writer {
        out: Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little),
        module,
        symbols: HashMap::new(),
    };
    // First all sections, then all symbols: so they have been numbered since the first version.
    let (callback, functions) = bytes.codes.split_at(bytes.codes.len().min(1));
    let (functions, further) = functions
        .split_at_checked(module.refs.functions.len())
        .ok_or(Error::Internal("a function that is declared has no code"))?;
    let program = writer.code(Target::Hook.row().section, callback);
    let text = if functions.is_empty() { program } else { writer.code(FUNCTIONS_SECTION, functions) };
    let asked = (!further.is_empty()).then(|| writer.code(Target::Asked.row().section, further));
    let ops = writer.add(struct_ops::SECTION, SectionKind::Data, struct_ops::image(module.ops_name), 8);
    let license = writer.add("license", SectionKind::Data, LICENSE, 1);
    let globals = writer.globals()?;
    let maps = writer.maps();
    writer.descriptions(bytes)?;

    let size = length(callback);
    let entry = writer.define(OOM.callback, SymbolKind::Text, program, 0, size);
    let mut places = vec![(program, 0)];
    places.extend(writer.functions(text, functions));
    if let Some(section) = asked {
        writer.define(Target::Asked.row().program, SymbolKind::Text, section, 0, length(further));
        places.push((section, 0));
    }
    writer.define(struct_ops::SYMBOL, SymbolKind::Data, ops, 0, u64::from(struct_ops::SIZE));
    writer.define(LICENSE_SYMBOL, SymbolKind::Data, license, 0, LICENSE.len() as u64);
    for (target, name, section, at, size) in globals.into_iter().chain(maps) {
        let symbol = writer.define(name, SymbolKind::Data, section, at, size);
        writer.symbols.insert(target, symbol);
    }
    writer.kernel_symbols(kfuncs);

    writer.relocate(ops, 0, entry, R_BPF_64_ABS64)?;
    writer.relocations(&places)?;
    let bytes = writer.out.write().map_err(|error| Error::Elf(error.to_string()))?;
    with_digest(bytes)
}

/// Puts the SHA-256 of everything into the place that was left for it.
fn with_digest(mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let hash = Sha256::digest(&bytes);
    let range = {
        let file = ElfFile64::<Endianness>::parse(bytes.as_slice());
        let file = file.map_err(|error| Error::Elf(error.to_string()))?;
        file.section_by_name(digest::SECTION).and_then(|section| section.file_range())
    };
    let place = range.and_then(|(at, size)| bytes.get_mut(at as usize..)?.get_mut(..size as usize));
    let place = place.filter(|place| place.len() == digest::BYTES);
    place.ok_or(Error::Internal("the object has no place for its digest"))?.copy_from_slice(&hash);
    Ok(bytes)
}

/// Bytes of code.
fn length(codes: &[Vec<u64>]) -> u64 {
    codes.iter().map(|code| code.len() as u64 * 8).sum()
}

/// A piece of data that gets a symbol: what it is, its name, its section, where it begins, how long it is.
type Datum<'m> = (RelocTarget, &'m str, SectionId, u64, u64);

struct Writer<'m> {
    out: Object<'m>,
    module: &'m Module<'m>,
    /// The symbol that relocations refer to.
    symbols: HashMap<RelocTarget, SymbolId>,
}

impl<'m> Writer<'m> {
    fn add(
        &mut self,
        name: &str,
        kind: SectionKind,
        data: impl Into<Cow<'m, [u8]>>,
        align: u64,
    ) -> SectionId {
        let section = self.out.add_section(Vec::new(), name.into(), kind);
        self.out.set_section_data(section, data, align);
        section
    }

    fn code(&mut self, name: &str, codes: &[Vec<u64>]) -> SectionId {
        let words = codes.iter().flatten();
        let mut data = Vec::with_capacity(codes.iter().map(|code| code.len() * 8).sum());
        words.for_each(|word| data.extend_from_slice(&word.to_le_bytes()));
        self.add(name, SectionKind::Text, data, 8)
    }

    /// Sections of globals.
    fn globals(&mut self) -> Result<Vec<Datum<'m>>, Error> {
        let refs = self.module.refs;
        let mut globals = Vec::new();
        for section in sections(refs) {
            let zero = section.name.starts_with(".bss");
            let kind = match section.name.as_str() {
                _ if zero => SectionKind::UninitializedData,
                name if name.starts_with(".rodata") => SectionKind::ReadOnlyData,
                _ => SectionKind::Data,
            };
            let id = self.out.add_section(Vec::new(), section.name.clone().into(), kind);
            if zero {
                self.out.append_section_bss(id, u64::from(section.size), 8);
            } else {
                self.out.set_section_data(id, section_data(refs, &section)?, 8);
            }
            globals.extend(section.globals.iter().map(|(global, at)| {
                let data = &refs.globals[*global];
                let (at, size) = (u64::from(*at), data.data.len() as u64);
                (RelocTarget::Global(*global), data.name.as_str(), id, at, size)
            }));
        }
        Ok(globals)
    }

    /// The section of maps; none without a map.
    fn maps(&mut self) -> Vec<Datum<'m>> {
        let maps: Vec<_> = super::maps(self.module).collect();
        let bytes = maps.iter().map(|(_, data)| u64::from(btf::map_definition_size(data))).sum::<u64>();
        if bytes == 0 {
            return Vec::new();
        }
        let section = self.add(super::MAPS, SectionKind::Data, vec![0; bytes as usize], 8);
        let mut end = 0;
        let place = |(map, data): (ir::MapRef, &'m ir::MapData)| {
            let (at, size) = (end, u64::from(btf::map_definition_size(data)));
            end += size;
            (RelocTarget::Map(map), data.name.as_str(), section, at, size)
        };
        maps.into_iter().map(place).collect()
    }

    /// What tells loaders and readers of the rest.
    fn descriptions(&mut self, bytes: &'m Bytes) -> Result<(), Error> {
        let source = self.module.source.text.as_bytes();
        let meta = meta::text(self.module)?.into_bytes();
        self.add(".BTF", SectionKind::Other, bytes.btf.as_slice(), 4);
        self.add(".BTF.ext", SectionKind::Other, bytes.ext.as_slice(), 4);
        self.add(".oomc.source", SectionKind::Other, source, 1);
        self.add(".oomc.meta", SectionKind::Other, meta, 1);
        self.add(digest::SECTION, SectionKind::Other, vec![0; digest::BYTES], 1);
        Ok(())
    }

    /// Symbols of the functions behind the callback; gives where each lies.
    fn functions(&mut self, section: SectionId, codes: &[Vec<u64>]) -> Vec<(SectionId, u64)> {
        let mut places = Vec::with_capacity(codes.len());
        let mut at = 0;
        for ((func, signature), code) in self.module.refs.functions.iter().zip(codes) {
            let size = code.len() as u64 * 8;
            let symbol = self.define(&signature.name, SymbolKind::Text, section, at, size);
            self.symbols.insert(RelocTarget::Func(func), symbol);
            places.push((section, at));
            at += size;
        }
        places
    }

    /// Kernel functions and variables.
    fn kernel_symbols(&mut self, kfuncs: &[KfuncId]) {
        let programs = self.module.programs;
        // Who looks whether a function is there can do without.
        let weak: HashSet<KfuncId> = super::first_uses(programs, |target| match target {
            RelocTarget::KfuncAddr(kfunc) => Some(kfunc),
            _ => None,
        })
        .into_iter()
        .collect();
        for kfunc in kfuncs {
            let symbol = self.declare(kfunc.row().name, weak.contains(kfunc));
            self.symbols.insert(RelocTarget::Kfunc(*kfunc), symbol);
            self.symbols.insert(RelocTarget::KfuncAddr(*kfunc), symbol);
        }
        for ksym in ksyms(programs) {
            let symbol = self.declare(&self.module.refs.ksyms[ksym], true);
            self.symbols.insert(RelocTarget::Ksym(ksym), symbol);
        }
    }

    /// The relocations of each program, which lies at its place.
    fn relocations(&mut self, places: &[(SectionId, u64)]) -> Result<(), Error> {
        for (program, (section, start)) in self.module.programs.iter().zip(places) {
            for reloc in &program.relocs {
                let symbol = self.symbols.get(&reloc.target).copied();
                let symbol = symbol.ok_or(Error::Instruction(reloc.insn))?;
                let r_type = match reloc.target {
                    RelocTarget::Kfunc(_) | RelocTarget::Func(_) => R_BPF_64_32,
                    RelocTarget::KfuncAddr(_)
                    | RelocTarget::Global(_)
                    | RelocTarget::Ksym(_)
                    | RelocTarget::Map(_) => R_BPF_64_64,
                };
                self.relocate(*section, start + u64::from(reloc.insn) * 8, symbol, r_type)?;
            }
        }
        Ok(())
    }

    fn relocate(
        &mut self,
        section: SectionId,
        offset: u64,
        symbol: SymbolId,
        r_type: u32,
    ) -> Result<(), Error> {
        let flags = RelocationFlags::Elf { r_type: RelocationType(r_type) };
        // The addend stays 0: the writer would put another one over the instruction's bytes.
        let relocation = Relocation { offset, symbol, addend: 0, flags };
        self.out.add_relocation(section, relocation).map_err(|error| Error::Elf(error.to_string()))
    }

    /// A global symbol of default visibility: libbpf turns hidden variables into static ones.
    fn define(
        &mut self,
        name: &str,
        kind: SymbolKind,
        section: SectionId,
        value: u64,
        size: u64,
    ) -> SymbolId {
        self.out.add_symbol(Symbol {
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
    fn declare(&mut self, name: &str, weak: bool) -> SymbolId {
        self.out.add_symbol(Symbol {
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
}

/// What a section of globals holds.
fn section_data(refs: &ir::Refs, section: &GlobalSection) -> Result<Vec<u8>, Error> {
    let mut data = vec![0; section.size as usize];
    for (global, at) in &section.globals {
        let from = &refs.globals[*global].data;
        let to = data.get_mut(*at as usize..*at as usize + from.len());
        to.ok_or(Error::Internal("a global lies outside of its section"))?.copy_from_slice(from);
    }
    Ok(data)
}
