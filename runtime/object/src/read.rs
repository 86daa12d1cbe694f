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
use oomc_abi::btf::ext::{self, Ext};
use oomc_abi::btf::{self, Btf, Kind, TypeId};
use oomc_abi::hooks::OOM;
use oomc_abi::maps;
use oomc_abi::target::{Acts, Event, Target as Program};

use crate::insn::{CALL, LDDW, PSEUDO_CALL};
use crate::{
    DataSection, Error, Extern, ExternKind, FORMAT, Global, MapDef, Meta, Object, Ops, Other, Reloc, Target,
    broken, digest, foreign,
};

/// An 8-byte address in data (libbpf, `libbpf_internal.h`).
const R_BPF_64_ABS64: u32 = 2;
/// The kernel's limit for privileged programs (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`, 6.12).
const MAX_INSNS: usize = 1_000_000;
/// Where definitions of maps lie.
const MAPS_SECTION: &str = ".maps";
/// Where the ops instance lies.
const OPS_SECTION: &str = ".struct_ops.link";
/// Where the functions lie that programs call; libbpf, too, puts behind a program what it uses of them.
const FUNCTIONS_SECTION: &str = ".text";
/// How the section of the callback begins.
const CALLBACK_PREFIX: &str = "struct_ops.s/";
/// Where the program lies that user space asks.
const ASKED_SECTION: &str = "syscall";
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

/// What relocations name.
struct Known {
    /// Functions and variables of the kernel as the types have them.
    ksyms: HashMap<String, TypeId>,
    maps: HashMap<String, usize>,
}

/// A section of instructions.
struct CodeSection {
    name: String,
    index: SectionIndex,
    code: Vec<u64>,
}

impl CodeSection {
    fn is_callback(&self) -> bool {
        self.name.starts_with(CALLBACK_PREFIX)
    }

    fn len(&self) -> usize {
        self.code.len()
    }
}

/// A part of a section that is a part of a program.
struct Piece<'s> {
    /// Where it lies in the program.
    place: usize,
    section: &'s CodeSection,
    /// Where it lies in its section.
    start: usize,
    len: usize,
}

impl Piece<'_> {
    /// The place in the program of an instruction of a section.
    fn place_of(&self, section: SectionIndex, insn: usize) -> Option<usize> {
        let inside = insn.checked_sub(self.start).filter(|inside| *inside < self.len);
        inside.filter(|_| self.section.index == section).map(|inside| self.place + inside)
    }
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
        let ext = ext::parse(&self.bytes(".BTF.ext")?, &types)
            .map_err(|error| broken(format!("`.BTF.ext`: {error}")))?;
        let maps = map_definitions(&types)?;
        let mut names = HashMap::new();
        for (at, map) in maps.iter().enumerate() {
            if names.insert(map.name.clone(), at).is_some() {
                return Err(broken(format!("it has two maps `{}`", map.name)));
            }
        }
        let sections = self.sections()?;
        let known = Known { ksyms: ksyms(&types), maps: names };
        let mut programs = Vec::new();
        for (section, pieces) in self.programs(&sections)? {
            programs.push(self.program(section, &pieces, &types, &ext, &known)?);
        }
        let mut programs = programs.into_iter();
        let first = programs.next().ok_or_else(|| broken("there is no program"))?;
        let Other { section, program, code, globals, externs, relocs, ext } = first;
        Ok(Object {
            maps,
            meta,
            source,
            ops: self.ops(&types, &program)?,
            section,
            program,
            code,
            license,
            globals,
            externs,
            relocs,
            data_sections: self.data_sections()?,
            btf: types,
            btf_bytes,
            ext,
            digest: digest::Digest::Absent,
            foreign: Vec::new(),
            other: programs.next().map(Box::new),
        })
    }

    /// One program with all that is about it.
    fn program(
        &self,
        section: &CodeSection,
        pieces: &[Piece],
        types: &Btf,
        ext: &Ext,
        known: &Known,
    ) -> Result<Other, Error> {
        let mut code = Vec::new();
        for piece in pieces {
            let from = piece.section.code.get(piece.start..piece.start + piece.len);
            code.extend(from.ok_or_else(|| broken("a function is out of range"))?);
        }
        if code.len() > MAX_INSNS {
            return Err(broken(format!("it has {} instructions", code.len())));
        }
        let (mut globals, mut indices) = (Vec::new(), Vec::new());
        for found in self.elf.sections() {
            let name = found.name()?;
            if is_global(name) && found.size() > 0 {
                let global = global(types, &found)?;
                if !of_another_program(&section.name, global.map_name()) {
                    globals.push(global);
                    indices.push(found.index());
                }
            }
        }
        let mut other = Other {
            section: section.name.clone(),
            program: self.symbol_of(section.index)?,
            code,
            globals,
            externs: Vec::new(),
            relocs: Vec::new(),
            ext: ext_of(ext, types, pieces),
        };
        let mut externs = HashMap::new();
        // The pieces of a section follow each other.
        for same in pieces.chunk_by(|a, b| a.section.index == b.section.index) {
            if let Some(piece) = same.first() {
                self.relocs(&mut other, types, (piece.section, pieces), &indices, known, &mut externs)?;
            }
        }
        other.relocs.sort_by_key(|reloc| reloc.insn);
        check_ext(&other)?;
        Ok(other)
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, Error> {
        let section = self.elf.section_by_name(name);
        let section = section.ok_or_else(|| broken(format!("there is no section `{name}`")))?;
        Ok(section.data()?.to_vec())
    }

    fn text(&self, name: &str) -> Result<String, Error> {
        String::from_utf8(self.bytes(name)?).map_err(|_| broken(format!("`{name}` is not UTF-8")))
    }

    /// The sections of instructions: programs', and the one of the functions that they call.
    fn sections(&self) -> Result<Vec<CodeSection>, Error> {
        let mut sections: Vec<CodeSection> = Vec::new();
        for section in self.elf.sections().filter(|section| section.kind() == SectionKind::Text) {
            if section.size() == 0 {
                continue;
            }
            let name = section.name()?.to_owned();
            let ours =
                name == FUNCTIONS_SECTION || name == ASKED_SECTION || name.starts_with(CALLBACK_PREFIX);
            let twice = |known: &CodeSection| {
                known.name == name || known.is_callback() && name.starts_with(CALLBACK_PREFIX)
            };
            if !ours || sections.iter().any(twice) {
                return Err(Error::Foreign(format!("it has a program in section `{name}`")));
            }
            let (chunks, rest) = section.data()?.as_chunks::<8>();
            if !rest.is_empty() || chunks.len() > MAX_INSNS {
                return Err(broken(format!("`{name}` is {} bytes long", section.size())));
            }
            let code = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
            sections.push(CodeSection { name, index: section.index(), code });
        }
        Ok(sections)
    }

    /// Each program with its pieces: itself, and the functions that it calls. The callback comes first.
    fn programs<'s>(
        &self,
        sections: &'s [CodeSection],
    ) -> Result<Vec<(&'s CodeSection, Vec<Piece<'s>>)>, Error> {
        let callback = sections.iter().find(|section| section.is_callback());
        let callback = callback.ok_or_else(|| broken("there is no program"))?;
        let functions = sections.iter().find(|section| section.name == FUNCTIONS_SECTION);
        let asked = sections.iter().find(|section| section.name == ASKED_SECTION);
        let whole = |section| Piece { place: 0, section, start: 0, len: CodeSection::len(section) };
        let mut programs = Vec::new();
        for section in core::iter::once(callback).chain(asked) {
            let mut pieces = vec![whole(section)];
            match functions {
                // There is nobody else who calls them.
                Some(functions) if asked.is_none() => pieces.push(whole(functions)),
                Some(functions) => pieces.extend(self.called(section, functions)?),
                None => {}
            }
            let mut place = 0;
            for piece in &mut pieces {
                piece.place = place;
                place += piece.len;
            }
            programs.push((section, pieces));
        }
        Ok(programs)
    }

    /// The functions that a program calls, directly or through others, in their order.
    fn called<'s>(&self, program: &CodeSection, functions: &'s CodeSection) -> Result<Vec<Piece<'s>>, Error> {
        let mut starts: Vec<usize> = Vec::new();
        for symbol in self.elf.symbols() {
            let here = symbol.section_index() == Some(functions.index);
            if here && symbol.kind() == object::SymbolKind::Text && symbol.address() % 8 == 0 {
                starts.extend(usize::try_from(symbol.address() / 8));
            }
        }
        starts.sort_unstable();
        starts.dedup();
        starts.retain(|start| *start < functions.len());
        let of = |insn: usize| starts.partition_point(|start| *start <= insn).checked_sub(1);
        // Who calls whom, by their places among the functions.
        let mut calls: Vec<Vec<usize>> = vec![Vec::new(); starts.len()];
        let mut open = Vec::new();
        for section in [program, functions] {
            for (at, reloc) in self.elf.section_by_index(section.index)?.relocations() {
                let symbol = self.elf.symbol_by_index(self.symbol(&reloc)?)?;
                if symbol.section_index() != Some(functions.index) {
                    continue;
                }
                let insn = |byte: u64| usize::try_from(byte / 8).unwrap_or(usize::MAX);
                let Some(callee) = of(insn(symbol.address())) else { continue };
                if section.index == program.index {
                    open.push(callee);
                } else if let Some(caller) = of(insn(at)).and_then(|caller| calls.get_mut(caller)) {
                    caller.push(callee);
                }
            }
        }
        let mut called = vec![false; starts.len()];
        while let Some(at) = open.pop() {
            if let Some(known) = called.get_mut(at).filter(|known| !**known) {
                *known = true;
                open.extend(calls.get(at).into_iter().flatten());
            }
        }
        let ends = starts.iter().skip(1).copied().chain([functions.len()]);
        let pieces = starts.iter().zip(ends).zip(called).filter(|(_, called)| *called);
        let piece = |((start, end), _): ((&usize, usize), bool)| Piece {
            place: 0,
            section: functions,
            start: *start,
            len: end - start,
        };
        Ok(pieces.map(piece).collect())
    }

    /// The symbol of a program: a function at the start of its section.
    fn symbol_of(&self, index: SectionIndex) -> Result<String, Error> {
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

    /// Relocations of one section, as far as they stand in the program. Calls of its functions are filled in at once:
    /// nothing of them depends on the kernel.
    fn relocs(
        &self,
        program: &mut Other,
        types: &Btf,
        (section, pieces): (&CodeSection, &[Piece<'_>]),
        globals: &[SectionIndex],
        known: &Known,
        externs: &mut HashMap<SymbolIndex, usize>,
    ) -> Result<(), Error> {
        let place = |index: SectionIndex, byte: u64| {
            let insn = usize::try_from(byte / 8).ok()?;
            pieces.iter().find_map(|piece| piece.place_of(index, insn))
        };
        for (at, reloc) in self.elf.section_by_index(section.index)?.relocations() {
            let nowhere = || broken("a relocation stands nowhere");
            let inside = usize::try_from(at / 8).is_ok_and(|insn| insn < section.len()) && at % 8 == 0;
            let Some(insn) = place(section.index, at) else {
                if inside {
                    continue;
                }
                return Err(nowhere());
            };
            let opcode = program.code.get(insn).map(|insn| *insn as u8);
            let opcode = opcode.filter(|_| at % 8 == 0).ok_or_else(nowhere)?;
            let index = self.symbol(&reloc)?;
            let symbol = self.elf.symbol_by_index(index)?;
            let kind = reloc_type(&reloc);
            let wide = opcode == LDDW && insn + 1 < program.code.len() && kind == R_BPF_64_64.0;
            let call = opcode == CALL && kind == R_BPF_64_32.0;
            if !wide && !call {
                return Err(broken(format!("relocation of type {kind} at opcode {opcode:#04x}")));
            }
            let home = symbol.section_index();
            let home = home.filter(|index| call && pieces.iter().any(|piece| piece.section.index == *index));
            if let Some(home) = home {
                let callee = place(home, symbol.address());
                let callee = callee.ok_or_else(|| broken("a called function is out of range"))?;
                // Both are below the most that the kernel takes.
                let distance = callee as i32 - insn as i32 - 1;
                if let Some(slot) = program.code.get_mut(insn) {
                    *slot = u64::from(CALL)
                        | u64::from(PSEUDO_CALL) << 12
                        | u64::from(distance.cast_unsigned()) << 32;
                }
                continue;
            }
            let target = if symbol.is_undefined() {
                let position = match externs.get(&index) {
                    Some(position) => *position,
                    None => {
                        let position = program.externs.len();
                        if position == MAX_EXTERNS {
                            return Err(broken(format!(
                                "it uses more than {MAX_EXTERNS} names of the kernel"
                            )));
                        }
                        let found = external(types, &known.ksyms, symbol.name()?, symbol.is_weak());
                        program.externs.push(found?);
                        externs.insert(index, position);
                        position
                    }
                };
                if call { Target::Call(position) } else { Target::Address(position) }
            } else {
                let name = symbol.name()?;
                let section = symbol.section_index().map(|index| self.elf.section_by_index(index));
                let in_maps = matches!(section, Some(Ok(section)) if section.name() == Ok(MAPS_SECTION));
                if let Some(map) = known.maps.get(name).filter(|_| in_maps && wide) {
                    program.relocs.push(Reloc { insn: insn as u32, target: Target::Map(*map) });
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
                (target, program.externs.iter().map(|ext| ext.kind).nth(external_of(target)))
            {
                let name = program.externs.get(position).map_or("", |ext| ext.name.as_str());
                return Err(broken(format!("`{name}` is called but is no function")));
            }
            program.relocs.push(Reloc { insn: insn as u32, target });
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

/// Whether only programs of another target use a global: their names differ, because both may run at once.
fn of_another_program(section: &str, global: &str) -> bool {
    let own = |target: &Program| target.row().section == section;
    let names = |target: &Program| {
        let row = target.row();
        [row.scratch, row.local, row.found].contains(&global)
            || global == maps::REQUEST && row.event == Event::Question
            || global == maps::UNITS && row.acts == Acts::Itself
    };
    Program::ALL.iter().any(|target| !own(target) && names(target))
}

/// The records that are about the pieces of a program, counted from its start, as those of the program's section.
fn ext_of(all: &Ext, types: &Btf, pieces: &[Piece<'_>]) -> Ext {
    fn of<T: Copy>(
        all: &[ext::Section<T>],
        types: &Btf,
        pieces: &[Piece<'_>],
        insn: impl Fn(&mut T) -> &mut u32,
    ) -> Vec<ext::Section<T>> {
        let mut records = Vec::new();
        for piece in pieces {
            let (start, end) = (piece.start, piece.start + piece.len);
            let last = end == piece.section.len();
            let own = all.iter().filter(|section| types.string(section.name) == Some(&piece.section.name));
            for mut record in own.flat_map(|section| section.records.iter().copied()) {
                let at = insn(&mut record);
                // A record beyond its section goes beyond the program, where it is found.
                if *at as usize >= start && (last || (*at as usize) < end) {
                    *at = (*at as usize - start + piece.place) as u32;
                    records.push(record);
                }
            }
        }
        let program = pieces.first().map(|piece| piece.section.name.as_str());
        let own = all.iter().find(|section| types.string(section.name) == program);
        own.map(|own| ext::Section { name: own.name, records }).into_iter().collect()
    }
    Ext {
        funcs: of(&all.funcs, types, pieces, |record| &mut record.insn),
        lines: of(&all.lines, types, pieces, |record| &mut record.insn),
        relos: of(&all.relos, types, pieces, |record| &mut record.insn),
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
fn map_definitions(types: &Btf) -> Result<Vec<MapDef>, Error> {
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
fn check_ext(object: &Other) -> Result<(), Error> {
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
