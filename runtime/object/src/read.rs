//! From bytes to an [`Object`]: every section, symbol and relocation is looked at once.
//!
//! The work and the memory are linear in the file's size. Where a small file could stand for much (sections that are
//! only a size, one name for thousands of symbols), a limit that no policy comes near ends it with a sentence.
//! Knows nothing of what may stand in an object besides its form: that is [`crate::foreign`]'s.

use std::collections::HashMap;

use object::elf::{R_BPF_64_32, R_BPF_64_64};
use object::read::elf::ElfFile64;
use object::{
    Architecture, LittleEndian, Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _,
    RelocationFlags, RelocationTarget, SectionIndex, SectionKind, SymbolIndex,
};
use oomc_abi::btf::ext;
use oomc_abi::btf::{self, Btf, Kind, TypeId};
use oomc_abi::hooks::OOM;

use crate::insn::{CALL, LDDW, PSEUDO_CALL};
use crate::{
    DataSection, Error, Extern, ExternKind, FORMAT, Global, MapDef, Meta, Object, Ops, Reloc, Target, broken,
    digest, foreign,
};

/// An 8-byte address in data (libbpf, `libbpf_internal.h`).
const R_BPF_64_ABS64: u32 = 2;
/// The kernel's limit for privileged programs (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`, 6.12).
const MAX_INSNS: usize = 1_000_000;
/// Where definitions of maps lie.
const MAPS_SECTION: &str = ".maps";
/// Where the ops instance lies.
const OPS_SECTION: &str = ".struct_ops.link";
/// Where the functions lie that the callback calls; libbpf, too, puts what is used of them behind it.
const FUNCTIONS_SECTION: &str = ".text";
/// Bytes of the largest object. The largest policy that the kernel takes has about a third of it.
const MAX_FILE: usize = 32 << 20;
/// Sections; a policy has about two dozen.
const MAX_SECTIONS: usize = 128;
/// Symbols; a policy has some for each of its functions.
const MAX_SYMBOLS: usize = 65_536;
/// Bytes of the name of a section or symbol.
const MAX_NAME: usize = 255;
/// Functions and variables of the kernel.
const MAX_EXTERNS: usize = 512;
/// Maps that are no globals.
const MAX_MAPS: usize = 64;
/// Bytes of all globals together: far more than any policy needs, far less than memory.
const MAX_GLOBALS: u64 = 16 << 20;

type Elf<'a> = ElfFile64<'a, LittleEndian>;

/// Reads an object.
pub(crate) fn object(bytes: &[u8]) -> Result<Object, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(Error::NotElf);
    }
    let elf = Elf::parse(bytes)?;
    if elf.architecture() != Architecture::Bpf || elf.kind() != ObjectKind::Relocatable {
        return Err(Error::OtherMachine);
    }
    if bytes.len() > MAX_FILE {
        return Err(broken(format!("it is larger than {} MiB", MAX_FILE >> 20)));
    }
    within_limits(&elf)?;
    let mut object = Reader { elf: &elf }.read()?;
    object.digest = digest::check(bytes, &elf);
    object.foreign = foreign::oddities(&object);
    Ok(object)
}

/// Counts and names, before anything is made of them.
fn within_limits(elf: &Elf<'_>) -> Result<(), Error> {
    let most = |what: &str, found: usize, most: usize| match found > most {
        true => Err(broken(format!("it has {found} {what}; {most} is the most"))),
        false => Ok(()),
    };
    most("sections", elf.sections().count(), MAX_SECTIONS)?;
    most("symbols", elf.symbols().count(), MAX_SYMBOLS)?;
    let too_long = |name: &[u8]| name.len() > MAX_NAME;
    let long = || broken(format!("a name in it is longer than {MAX_NAME} bytes"));
    for section in elf.sections() {
        if too_long(section.name_bytes()?) {
            return Err(long());
        }
    }
    // Symbols share one table of names, so that each of them may be the longest.
    let names = elf.section_by_index(elf.elf_symbol_table().string_section());
    let names = names.map_or(Ok(&[][..]), |section| section.data())?;
    if names.split(|byte| *byte == 0).any(too_long) {
        return Err(long());
    }
    let globals = elf.sections().filter(|section| section.name().is_ok_and(is_global));
    let bytes = globals.fold(0_u64, |sum, section| sum.saturating_add(section.size()));
    if bytes > MAX_GLOBALS {
        return Err(broken(format!("its globals have {bytes} bytes; {MAX_GLOBALS} is the most")));
    }
    Ok(())
}

struct Reader<'e, 'a> {
    elf: &'e Elf<'a>,
}

/// What relocations name, by name and symbol.
struct Known {
    /// Functions and variables of the kernel as the types have them.
    ksyms: HashMap<String, TypeId>,
    maps: HashMap<String, usize>,
    externs: HashMap<SymbolIndex, usize>,
}

/// The instructions of all sections, one behind the other as the kernel gets them.
struct Code {
    code: Vec<u64>,
    /// Each section, and the place of its first instruction; the callback's comes first.
    sections: Vec<(SectionIndex, usize)>,
}

impl Reader<'_, '_> {
    fn read(&self) -> Result<Object, Error> {
        let Ok(meta) = self.text(".oomc.meta") else {
            return Err(Error::Foreign("it has no section `.oomc.meta`".to_owned()));
        };
        let meta = Meta::parse(&meta);
        if meta.get("format") != FORMAT {
            return Err(Error::Format(meta.get("format").to_owned()));
        }
        let source = self.text(".oomc.source")?;
        let license = self.text("license")?.trim_end_matches('\0').to_owned();

        let btf_bytes = self.bytes(".BTF")?;
        let types = Btf::parse(&btf_bytes).map_err(|error| broken(format!("`.BTF`: {error}")))?;
        let mut ext = ext::parse(&self.bytes(".BTF.ext")?, &types)
            .map_err(|error| broken(format!("`.BTF.ext`: {error}")))?;

        let (section, Code { code, sections }) = self.code()?;
        let (index, _) = *sections.first().ok_or_else(|| broken("there is no program"))?;
        let program = self.program(index)?;
        if let Some((_, start)) = sections.get(1) {
            let start = *start as u32;
            join(&mut ext.funcs, &types, &section, |func| func.insn = func.insn.saturating_add(start));
            join(&mut ext.lines, &types, &section, |line| line.insn = line.insn.saturating_add(start));
            join(&mut ext.relos, &types, &section, |relo| relo.insn = relo.insn.saturating_add(start));
        }
        let ops = self.ops(&types, &program)?;
        let mut globals = Vec::new();
        let mut indices = Vec::new();
        for section in self.elf.sections() {
            let name = section.name()?;
            if is_global(name) && section.size() > 0 {
                globals.push(global(&types, &section)?);
                indices.push(section.index());
            }
        }
        let maps = maps(&types)?;
        let mut object = Object {
            maps,
            meta,
            source,
            section,
            program,
            code,
            license,
            ops,
            globals,
            externs: Vec::new(),
            relocs: Vec::new(),
            data_sections: self.data_sections()?,
            btf: types,
            btf_bytes,
            ext,
            digest: digest::Digest::Absent,
            foreign: Vec::new(),
        };
        let mut known = Known { ksyms: ksyms(&object.btf), maps: HashMap::new(), externs: HashMap::new() };
        for (at, map) in object.maps.iter().enumerate() {
            if known.maps.insert(map.name.clone(), at).is_some() {
                return Err(broken(format!("it has two maps `{}`", map.name)));
            }
        }
        for place in &sections {
            self.relocs(&mut object, *place, &sections, &indices, &mut known)?;
        }
        object.relocs.sort_by_key(|reloc| reloc.insn);
        check_ext(&object)?;
        Ok(object)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        let section = self.elf.section_by_name(name);
        let section = section.ok_or_else(|| broken(format!("there is no section `{name}`")))?;
        Ok(section.data()?.to_vec())
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        String::from_utf8(self.bytes(name)?).map_err(|_| broken(format!("`{name}` is not UTF-8")))
    }

    /// The sections of instructions: the callback's, and the one of the functions that it calls.
    fn code(&self) -> Result<(String, Code), Error> {
        let (mut callback, mut functions) = (None, None);
        for section in self.elf.sections().filter(|section| section.kind() == SectionKind::Text) {
            if section.size() == 0 {
                continue;
            }
            let name = section.name()?.to_owned();
            let slot = match name.as_str() {
                FUNCTIONS_SECTION => &mut functions,
                name if name.starts_with("struct_ops.s/") => &mut callback,
                _ => return Err(Error::Foreign(format!("it has a program in section `{name}`"))),
            };
            let (chunks, rest) = section.data()?.as_chunks::<8>();
            if !rest.is_empty() || chunks.len() > MAX_INSNS {
                return Err(broken(format!("`{name}` is {} bytes long", section.size())));
            }
            let code: Vec<u64> = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
            if slot.replace((name.clone(), section.index(), code)).is_some() {
                return Err(Error::Foreign(format!("it has a program in section `{name}`")));
            }
        }
        let (name, index, mut code) = callback.ok_or_else(|| broken("there is no program"))?;
        let mut sections = vec![(index, 0)];
        if let Some((_, index, more)) = functions {
            sections.push((index, code.len()));
            code.extend(more);
        }
        if code.len() > MAX_INSNS {
            return Err(broken(format!("it has {} instructions", code.len())));
        }
        Ok((name, Code { code, sections }))
    }

    /// The symbol of the program: a function at the start of its section.
    fn program(&self, index: SectionIndex) -> Result<String, Error> {
        let symbol = self.elf.symbols().find(|symbol| {
            symbol.section_index() == Some(index)
                && symbol.kind() == object::SymbolKind::Text
                && symbol.address() == 0
        });
        let symbol = symbol.ok_or_else(|| broken("the program has no symbol"))?;
        Ok(symbol.name()?.to_owned())
    }

    fn ops(&self, types: &Btf, program: &str) -> Result<Ops, Error> {
        let section = self.elf.section_by_name(OPS_SECTION);
        let section = section.ok_or_else(|| broken(format!("there is no section `{OPS_SECTION}`")))?;
        let image = section.data()?.to_vec();
        let entries = datasec(types, OPS_SECTION)?.1;
        let [variable] = entries.as_slice() else {
            return Err(Error::Foreign("it does not have exactly one ops instance".to_owned()));
        };
        let ty = match types.get(*variable).map(|ty| ty.kind) {
            Some(Kind::Var { ty, .. }) => types.resolve(ty).map(|(ty, _)| ty),
            _ => None,
        };
        let ty = ty.ok_or_else(|| broken("the ops instance has no type"))?;
        let Some(Kind::Struct { size, members }) = types.get(ty).map(|ty| ty.kind) else {
            return Err(broken("the ops instance is not a structure"));
        };
        if types.name(ty) != OOM.ops {
            return Err(Error::Foreign(format!("it implements `{}`, not `{}`", types.name(ty), OOM.ops)));
        }
        if size as usize != image.len() {
            return Err(broken(format!("`{OPS_SECTION}` has {} bytes, not {size}", image.len())));
        }
        let callback =
            members.iter().find(|member| member.name == OOM.callback && member.bit_offset % 8 == 0);
        let callback_at = callback.ok_or_else(|| broken("the ops instance has no callback"))?.bit_offset / 8;
        if callback_at.checked_add(8).is_none_or(|end| end > size) {
            return Err(broken("the ops instance ends before its callback"));
        }
        let mut relocs = section.relocations();
        let (Some((at, reloc)), None) = (relocs.next(), relocs.next()) else {
            return Err(broken("the ops instance does not have exactly one callback"));
        };
        let symbol = self.symbol(&reloc)?;
        if at != u64::from(callback_at)
            || reloc_type(&reloc) != R_BPF_64_ABS64
            || self.elf.symbol_by_index(symbol)?.name()? != program
        {
            return Err(broken("the ops instance's callback is not the program"));
        }
        Ok(Ops { ty, image, callback_at })
    }

    fn symbol(&self, reloc: &object::Relocation) -> Result<SymbolIndex, Error> {
        match reloc.target() {
            RelocationTarget::Symbol(symbol) => Ok(symbol),
            _ => Err(broken("a relocation names no symbol")),
        }
    }

    /// Relocations of one section. Calls of its functions are filled in at once: nothing of them depends on
    /// the kernel.
    fn relocs(
        &self,
        object: &mut Object,
        (index, start): (SectionIndex, usize),
        sections: &[(SectionIndex, usize)],
        globals: &[SectionIndex],
        known: &mut Known,
    ) -> Result<(), Error> {
        let section = self.elf.section_by_index(index)?;
        for (at, reloc) in section.relocations() {
            let insn = usize::try_from(at / 8).unwrap_or(usize::MAX).saturating_add(start);
            let opcode = object.code.get(insn).map(|insn| *insn as u8);
            let opcode =
                opcode.filter(|_| at % 8 == 0).ok_or_else(|| broken("a relocation stands nowhere"))?;
            let index = self.symbol(&reloc)?;
            let symbol = self.elf.symbol_by_index(index)?;
            let kind = reloc_type(&reloc);
            let wide = opcode == LDDW && insn + 1 < object.code.len() && kind == R_BPF_64_64.0;
            let call = opcode == CALL && kind == R_BPF_64_32.0;
            if !wide && !call {
                return Err(broken(format!("relocation of type {kind} at opcode {opcode:#04x}")));
            }
            let home = sections.iter().find(|(index, _)| symbol.section_index() == Some(*index));
            if let Some((_, start)) = home.filter(|_| call) {
                let callee = usize::try_from(symbol.address() / 8).ok().and_then(|at| at.checked_add(*start));
                let callee = callee.filter(|callee| *callee < object.code.len());
                let callee = callee.ok_or_else(|| broken("a called function is out of range"))?;
                // Both are below the most that the kernel takes.
                let distance = callee as i32 - insn as i32 - 1;
                if let Some(slot) = object.code.get_mut(insn) {
                    *slot = u64::from(CALL)
                        | u64::from(PSEUDO_CALL) << 12
                        | u64::from(distance.cast_unsigned()) << 32;
                }
                continue;
            }
            let target = if symbol.is_undefined() {
                let position = match known.externs.get(&index) {
                    Some(position) => *position,
                    None => {
                        let position = object.externs.len();
                        if position == MAX_EXTERNS {
                            return Err(broken(format!(
                                "it uses more than {MAX_EXTERNS} names of the kernel"
                            )));
                        }
                        let found = external(&object.btf, &known.ksyms, symbol.name()?, symbol.is_weak());
                        object.externs.push(found?);
                        known.externs.insert(index, position);
                        position
                    }
                };
                if call { Target::Call(position) } else { Target::Address(position) }
            } else {
                let name = symbol.name()?;
                let section = symbol.section_index().map(|index| self.elf.section_by_index(index));
                let in_maps = matches!(section, Some(Ok(section)) if section.name() == Ok(MAPS_SECTION));
                if let Some(map) = known.maps.get(name).filter(|_| in_maps && wide) {
                    object.relocs.push(Reloc { insn: insn as u32, target: Target::Map(*map) });
                    continue;
                }
                let position = globals.iter().position(|index| symbol.section_index() == Some(*index));
                let position = position.filter(|_| wide).ok_or_else(|| {
                    Error::Foreign(format!(
                        "it uses `{}` in a way oomc does not",
                        symbol.name().unwrap_or("")
                    ))
                })?;
                let offset =
                    u32::try_from(symbol.address()).map_err(|_| broken("a symbol is out of range"))?;
                Target::Global { index: position, offset }
            };
            if let (Target::Call(position), Some(ExternKind::Address)) =
                (target, object.externs.iter().map(|ext| ext.kind).nth(external_of(target)))
            {
                let name = object.externs.get(position).map_or("", |ext| ext.name.as_str());
                return Err(broken(format!("`{name}` is called but is no function")));
            }
            object.relocs.push(Reloc { insn: insn as u32, target });
        }
        Ok(())
    }

    fn data_sections(&self) -> Result<Vec<DataSection>, Error> {
        let mut variables: HashMap<SectionIndex, Vec<(String, u32)>> = HashMap::new();
        for symbol in self.elf.symbols() {
            if let (Some(section), Ok(name), Ok(at)) =
                (symbol.section_index(), symbol.name(), u32::try_from(symbol.address()))
                && !name.is_empty()
            {
                variables.entry(section).or_default().push((name.to_owned(), at));
            }
        }
        let mut places = Vec::new();
        for section in self.elf.sections() {
            let name = section.name()?;
            let size = u32::try_from(section.size()).map_err(|_| broken(format!("`{name}` is too large")))?;
            let variables = variables.remove(&section.index()).unwrap_or_default();
            places.push(DataSection { name: name.to_owned(), size, variables });
        }
        Ok(places)
    }
}

/// Makes the records of the functions records of the program, behind its own.
fn join<T>(sections: &mut Vec<ext::Section<T>>, types: &Btf, program: &str, shift: impl Fn(&mut T)) {
    let mut moved = Vec::new();
    sections.retain_mut(|section| {
        let ours = types.string(section.name) == Some(FUNCTIONS_SECTION);
        if ours {
            moved.append(&mut section.records);
        }
        !ours
    });
    moved.iter_mut().for_each(shift);
    if let Some(own) = sections.iter_mut().find(|section| types.string(section.name) == Some(program)) {
        own.records.extend(moved);
    }
}

fn external_of(target: Target) -> usize {
    match target {
        Target::Call(position) | Target::Address(position) => position,
        Target::Global { .. } | Target::Map(_) => usize::MAX,
    }
}

fn reloc_type(reloc: &object::Relocation) -> u32 {
    match reloc.flags() {
        RelocationFlags::Elf { r_type } => r_type.0,
        _ => 0,
    }
}

fn is_global(name: &str) -> bool {
    [".bss", ".data", ".rodata"]
        .iter()
        .any(|prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

fn global<'a>(types: &Btf, section: &impl object::ObjectSection<'a>) -> Result<Global, Error> {
    let name = section.name()?.to_owned();
    plain("global", name.trim_start_matches('.'))?;
    let data = match section.kind() {
        SectionKind::UninitializedData => vec![0; section.size() as usize],
        _ => section.data()?.to_vec(),
    };
    // Without a description the map still works: nobody can read its members by name.
    let ty = datasec(types, &name).map_or(0, |(ty, _)| ty);
    Ok(Global { read_only: name.starts_with(".rodata"), name, data, ty })
}

/// A map's name becomes the name of a file: of one in the policy's own folder, whoever made the object.
fn plain(what: &str, name: &str) -> Result<(), Error> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.';
    if !name.is_empty() && !name.starts_with('.') && name.bytes().all(fits) {
        return Ok(());
    }
    Err(broken(format!("the name of a {what} is no plain word: `{}`", name.escape_debug())))
}

/// Definitions of maps: a structure each, in which numbers are lengths of arrays that pointers point to.
fn maps(types: &Btf) -> Result<Vec<MapDef>, Error> {
    let Ok((_, variables)) = datasec(types, MAPS_SECTION) else { return Ok(Vec::new()) };
    if variables.len() > MAX_MAPS {
        return Err(broken(format!("it has {} maps; {MAX_MAPS} is the most", variables.len())));
    }
    variables.into_iter().map(|variable| map_definition(types, variable)).collect()
}

fn map_definition(types: &Btf, variable: TypeId) -> Result<MapDef, Error> {
    let name = types.name(variable).to_owned();
    plain("map", &name)?;
    let wrong = || broken(format!("the map `{name}` is not described as maps are"));
    let definition = match types.get(variable).map(|ty| ty.kind) {
        Some(Kind::Var { ty, .. }) => types.resolve(ty).map(|(_, ty)| ty.kind),
        _ => None,
    };
    let Some(Kind::Struct { members, .. }) = definition else { return Err(wrong()) };
    let pointee = |member: &str| {
        let ty = members.iter().find(|found| found.name == member)?.ty;
        match types.resolve(ty)?.1.kind {
            Kind::Ptr(to) => Some(to),
            _ => None,
        }
    };
    let number = |member: &str| match types.resolve(pointee(member)?)?.1.kind {
        Kind::Array { len, .. } => Some(len),
        _ => None,
    };
    let sized = |member: &str| match pointee(member) {
        Some(ty) => types.size_of(ty).map(|size| (size, ty)),
        None => Some((0, 0)),
    };
    Ok(MapDef {
        kind: number("type").ok_or_else(wrong)?,
        max_entries: number("max_entries").ok_or_else(wrong)?,
        flags: number("map_flags").unwrap_or(0),
        key: sized("key").ok_or_else(wrong)?,
        value: sized("value").ok_or_else(wrong)?,
        name,
    })
}

/// A DATASEC and its variables.
fn datasec(types: &Btf, name: &str) -> Result<(TypeId, Vec<TypeId>), Error> {
    let found = types.find(name, |kind| matches!(kind, Kind::DataSec { .. }));
    let found = found.and_then(|id| types.get(id).map(|ty| (id, ty.kind)));
    match found {
        Some((id, Kind::DataSec { entries, .. })) => Ok((id, entries.iter().map(|entry| entry.ty).collect())),
        _ => Err(broken(format!("the types do not describe `{name}`"))),
    }
}

/// Functions and variables of the kernel that the types describe.
fn ksyms(types: &Btf) -> HashMap<String, TypeId> {
    let entries = datasec(types, ".ksyms").map(|(_, entries)| entries).unwrap_or_default();
    // Of two of a name the first one counts.
    entries.into_iter().rev().map(|id| (types.name(id).to_owned(), id)).collect()
}

fn external(types: &Btf, known: &HashMap<String, TypeId>, name: &str, weak: bool) -> Result<Extern, Error> {
    let missing = || broken(format!("the types do not describe `{name}`"));
    let id = *known.get(name).ok_or_else(missing)?;
    let kind = match types.get(id).map(|ty| ty.kind) {
        Some(Kind::Func { linkage: btf::LINKAGE_EXTERN, .. }) => ExternKind::Function(id),
        Some(Kind::Var { ty, .. }) => match types.resolve(ty) {
            Some((_, ty)) if ty.kind == Kind::Void => ExternKind::Address,
            _ => return Err(Error::Foreign(format!("it uses the typed variable `{name}`"))),
        },
        _ => return Err(missing()),
    };
    Ok(Extern { name: name.to_owned(), weak, kind })
}

/// Records stand at instructions.
fn check_ext(object: &Object) -> Result<(), Error> {
    let len = object.code.len() as u32;
    let inside =
        |insn: u32| if insn < len { Ok(()) } else { Err(broken("`.BTF.ext` is beyond the program")) };
    object
        .ext
        .funcs
        .iter()
        .flat_map(|section| &section.records)
        .try_for_each(|record| inside(record.insn))?;
    object
        .ext
        .lines
        .iter()
        .flat_map(|section| &section.records)
        .try_for_each(|record| inside(record.insn))?;
    object.ext.relos.iter().flat_map(|section| &section.records).try_for_each(|record| inside(record.insn))
}
