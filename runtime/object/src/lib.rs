//! Reads an object: the contract between whoever compiled a policy and whoever loads it.
//!
//! Takes bytes that may be anything and gives an [`Object`] in which every number is in range: sections,
//! types, relocations, and the text of the policy. Knows the object's layout; of the kernel it knows what
//! [`relocate`] is given.

pub mod insn;
pub mod relocate;

use std::fmt;

use object::elf::{R_BPF_64_32, R_BPF_64_64};
use object::read::elf::ElfFile64;
use object::{
    Architecture, LittleEndian, Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _,
    RelocationFlags, RelocationTarget, SectionIndex, SectionKind, SymbolIndex,
};
use oomc_abi::btf::ext::{self, Ext};
use oomc_abi::btf::{self, Btf, Kind, TypeId};
use oomc_abi::declared::Declared;
use oomc_abi::hooks::OOM;

use insn::{CALL, LDDW, PSEUDO_CALL};

/// An 8-byte address in data (libbpf, `libbpf_internal.h`).
const R_BPF_64_ABS64: u32 = 2;
/// The kernel's limit for privileged programs (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`, 6.12).
const MAX_INSNS: usize = 1_000_000;
/// Where definitions of maps lie.
const MAPS_SECTION: &str = ".maps";
/// Where the ops instance lies.
const OPS_SECTION: &str = ".struct_ops.link";
/// The layout that this version reads.
const FORMAT: &str = "1";
/// Where the functions lie that the callback calls; libbpf, too, puts what is used of them behind it.
const FUNCTIONS_SECTION: &str = ".text";

/// A policy, ready to be fitted to a kernel.
#[derive(Clone, Debug)]
pub struct Object {
    /// What it says of itself.
    pub meta: Meta,
    /// The policy's text.
    pub source: String,
    /// Section of the callback; records of the functions that it calls count as being in it.
    pub section: String,
    /// Symbol of the program.
    pub program: String,
    /// Its instructions, and behind them those of the functions that it calls.
    pub code: Vec<u64>,
    /// License of the program.
    pub license: String,
    /// The value that the kernel registers.
    pub ops: Ops,
    /// Global variables, a map each.
    pub globals: Vec<Global>,
    /// Other maps, in the order of their definitions.
    pub maps: Vec<MapDef>,
    /// Functions and variables of the kernel.
    pub externs: Vec<Extern>,
    /// Instructions that name something outside of the program, ascending.
    pub relocs: Vec<Reloc>,
    /// Its types.
    pub btf: Btf,
    /// The same with all that the kernel does not take.
    pub btf_bytes: Vec<u8>,
    /// Lines and CO-RE relocations.
    pub ext: Ext,
    /// Size of each section that the types describe, and the place of each variable in it.
    pub data_sections: Vec<DataSection>,
}

/// What an object says of itself: lines `key=value` of `.oomc.meta`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// All of it, in order.
    pub lines: Vec<(String, String)>,
}

impl Meta {
    /// From the section's text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self { lines: text.lines().filter_map(pair).collect() }
    }

    /// A value; empty when there is none.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.lines.iter().find(|(found, _)| found == key).map_or("", |(_, value)| value)
    }

    /// What the policy declares.
    #[must_use]
    pub fn declared(&self) -> Declared {
        Declared::read(self.lines.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// Back to text.
    #[must_use]
    pub fn text(&self) -> String {
        self.lines.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
    }
}

/// The ops instance.
#[derive(Clone, Debug)]
pub struct Ops {
    /// Its structure in the object's types.
    pub ty: TypeId,
    /// Its bytes; the callback's pointer is null.
    pub image: Vec<u8>,
    /// Where the callback's pointer stands, in bytes.
    pub callback_at: u32,
}

/// A section of global variables.
#[derive(Clone, Debug)]
pub struct Global {
    /// Of the section: `.bss.stats`.
    pub name: String,
    /// Its bytes.
    pub data: Vec<u8>,
    /// Nobody may change it, not even the program.
    pub read_only: bool,
    /// Its DATASEC in the object's types.
    pub ty: TypeId,
}

impl Global {
    /// What its map is called: `stats`.
    #[must_use]
    pub fn map_name(&self) -> &str {
        [".bss.", ".data."]
            .iter()
            .find_map(|prefix| self.name.strip_prefix(prefix))
            .unwrap_or_else(|| self.name.trim_start_matches('.'))
    }
}

/// A map that is no section of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapDef {
    /// Its name.
    pub name: String,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Elements; of a ring buffer, bytes.
    pub max_entries: u32,
    /// Flags of its creation.
    pub flags: u32,
    /// Bytes of a key, and its type; 0 for a ring buffer.
    pub key: (u32, TypeId),
    /// Bytes of a value, and its type; 0 for a ring buffer.
    pub value: (u32, TypeId),
}

/// Something of the kernel that the program uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// The program can do without.
    pub weak: bool,
    /// What it is.
    pub kind: ExternKind,
}

/// What an [`Extern`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternKind {
    /// A function with this FUNC in the object's types.
    Function(TypeId),
    /// A variable without a type, found by name.
    Address,
}

/// An instruction that names something outside of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Which instruction.
    pub insn: u32,
    /// What it names.
    pub target: Target,
}

/// What a relocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A load of the address of byte `offset` of a global section.
    Global {
        /// Position in [`Object::globals`].
        index: usize,
        /// In bytes, of the symbol; the instruction may add to it.
        offset: u32,
    },
    /// A load of a map: position in [`Object::maps`].
    Map(usize),
    /// A load of the address of an extern.
    Address(usize),
    /// A call of an extern.
    Call(usize),
}

/// A section that the types describe as DATASEC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSection {
    /// Of the section.
    pub name: String,
    /// In bytes.
    pub size: u32,
    /// Variables and their offsets in it.
    pub variables: Vec<(String, u32)>,
}

/// Why bytes are no object of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// There are none.
    Empty,
    /// They do not begin as an ELF file does.
    NotElf,
    /// The ELF file ends early or contradicts itself.
    Elf(String),
    /// An ELF file, but not for BPF.
    OtherMachine,
    /// An object for BPF that oomc has not made.
    Foreign(String),
    /// Made by another version of oomc.
    Format(String),
    /// Made by oomc, but broken.
    Broken(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the object is empty"),
            Self::NotElf => f.write_str("not an object file"),
            Self::Elf(text) => write!(f, "the object is cut off or damaged: {text}"),
            Self::OtherMachine => f.write_str("an object file, but not one for BPF"),
            Self::Foreign(text) => write!(f, "an object for BPF that `oomc build` has not made: {text}"),
            Self::Format(format) => {
                write!(f, "the object has format `{format}`, this oomc reads format {FORMAT}: build it again")
            }
            Self::Broken(text) => write!(f, "the object is damaged: {text}"),
        }
    }
}

impl std::error::Error for Error {}

fn broken(text: impl Into<String>) -> Error {
    Error::Broken(text.into())
}

impl From<object::Error> for Error {
    fn from(error: object::Error) -> Self {
        Self::Elf(error.to_string())
    }
}

type Elf<'a> = ElfFile64<'a, LittleEndian>;

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// If it is not one that oomc made, or not whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
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
        Reader { elf: &elf }.read()
    }

    /// Whether bytes could be meant as an object rather than as the text of a policy.
    #[must_use]
    pub fn looks_like(bytes: &[u8]) -> bool {
        bytes.starts_with(b"\x7fELF")
    }

    /// The name under which the kernel knows the policy: `name@hash`.
    #[must_use]
    pub fn ops_name(&self) -> String {
        let name = self.ops.image.get(self.ops.callback_at as usize + 8..).unwrap_or_default();
        text_of(name)
    }
}

struct Reader<'e, 'a> {
    elf: &'e Elf<'a>,
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
        };
        let mut known = Vec::new();
        for place in &sections {
            self.relocs(&mut object, *place, &sections, &indices, &mut known)?;
        }
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
        known: &mut Vec<(SymbolIndex, usize)>,
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
                let position = match known.iter().find(|(known, _)| *known == index) {
                    Some((_, position)) => *position,
                    None => {
                        let position = object.externs.len();
                        object.externs.push(external(&object.btf, symbol.name()?, symbol.is_weak())?);
                        known.push((index, position));
                        position
                    }
                };
                if call { Target::Call(position) } else { Target::Address(position) }
            } else {
                let name = symbol.name()?;
                let section = symbol.section_index().map(|index| self.elf.section_by_index(index));
                let in_maps = matches!(section, Some(Ok(section)) if section.name() == Ok(MAPS_SECTION));
                let map = object.maps.iter().position(|map| in_maps && wide && map.name == name);
                if let Some(map) = map {
                    object.relocs.push(Reloc { insn: insn as u32, target: Target::Map(map) });
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
        object.relocs.sort_by_key(|reloc| reloc.insn);
        Ok(())
    }

    fn data_sections(&self) -> Result<Vec<DataSection>, Error> {
        let mut places = Vec::new();
        for section in self.elf.sections() {
            let name = section.name()?;
            let variables = self
                .elf
                .symbols()
                .filter(|symbol| symbol.section_index() == Some(section.index()))
                .filter_map(|symbol| {
                    Some((symbol.name().ok()?.to_owned(), u32::try_from(symbol.address()).ok()?))
                })
                .filter(|(name, _)| !name.is_empty())
                .collect();
            let size = u32::try_from(section.size()).map_err(|_| broken(format!("`{name}` is too large")))?;
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

/// Most bytes of a global section: far more than any policy needs, far less than memory.
const MAX_GLOBAL: u64 = 64 << 20;

fn global<'a>(types: &Btf, section: &impl object::ObjectSection<'a>) -> Result<Global, Error> {
    let name = section.name()?.to_owned();
    if section.size() > MAX_GLOBAL {
        return Err(broken(format!("`{name}` has {} bytes", section.size())));
    }
    let data = match section.kind() {
        SectionKind::UninitializedData => vec![0; section.size() as usize],
        _ => section.data()?.to_vec(),
    };
    // Without a description the map still works: nobody can read its members by name.
    let ty = datasec(types, &name).map_or(0, |(ty, _)| ty);
    Ok(Global { read_only: name.starts_with(".rodata"), name, data, ty })
}

/// Definitions of maps: a structure each, in which numbers are lengths of arrays that pointers point to.
fn maps(types: &Btf) -> Result<Vec<MapDef>, Error> {
    let Ok((_, variables)) = datasec(types, MAPS_SECTION) else { return Ok(Vec::new()) };
    variables.into_iter().map(|variable| map_definition(types, variable)).collect()
}

fn map_definition(types: &Btf, variable: TypeId) -> Result<MapDef, Error> {
    let name = types.name(variable).to_owned();
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

fn external(types: &Btf, name: &str, weak: bool) -> Result<Extern, Error> {
    let missing = || broken(format!("the types do not describe `{name}`"));
    let (_, entries) = datasec(types, ".ksyms")?;
    let id = entries.into_iter().find(|id| types.name(*id) == name).ok_or_else(missing)?;
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

/// Name and offset of each member of eight bytes of the structures in a section.
#[must_use]
pub fn named_words(types: &Btf, section: u32) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    let Some(Kind::DataSec { entries, .. }) = types.get(section).map(|ty| ty.kind) else { return words };
    for entry in entries {
        let Some(Kind::Var { ty, .. }) = types.get(entry.ty).map(|ty| ty.kind) else { continue };
        let Some(Kind::Struct { members, .. }) = types.resolve(ty).map(|(_, ty)| ty.kind) else { continue };
        for member in members {
            if types.size_of(member.ty) == Some(8) {
                words.push((member.name.to_owned(), (entry.offset + member.bit_offset / 8) as usize));
            }
        }
    }
    words
}

/// Text that ends at its first NUL.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}
