//! Reads an object: the contract between whoever compiled a policy and whoever loads it.
//!
//! Takes bytes that may be anything and gives an [`Object`] in which every number is in range: sections,
//! types, relocations, and the text of the policy. What of it oomc does not make is listed ([`foreign`]), and whether
//! its digest holds ([`digest`]). Knows the object's layout; of the kernel it knows what [`relocate`] is given.

mod read;

pub mod digest;
pub mod foreign;
pub mod insn;
pub mod relocate;

use std::fmt;

use oomc_abi::btf::ext::Ext;
use oomc_abi::btf::{Btf, Kind, TypeId};
use oomc_abi::consts::PAGE_SIZES;
use oomc_abi::declared::{Declared, PAGE};

use digest::Digest;
use foreign::Oddity;

/// The layout that this version reads.
const FORMAT: &str = "1";

/// A policy, ready to be fitted to a kernel with the hook; its other program: [`Object::asked`].
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
    /// What was found of its digest.
    pub digest: Digest,
    /// What of it `oomc build` does not make. None: the object is ours.
    pub foreign: Vec<Oddity>,
    /// What is otherwise for kernels without the hook; none: it is not for them.
    other: Option<Box<Other>>,
}

/// The parts of an object that differ between its programs: those of [`Object`] with the same names.
#[derive(Clone, Debug)]
struct Other {
    section: String,
    program: String,
    code: Vec<u64>,
    globals: Vec<Global>,
    externs: Vec<Extern>,
    relocs: Vec<Reloc>,
    ext: Ext,
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

    /// Bytes of a page of the machines that the object is for; none if it does not say.
    #[must_use]
    pub fn page_size(&self) -> Option<i64> {
        self.get(PAGE).parse().ok().filter(|size| PAGE_SIZES.contains(size))
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
    /// It could be loaded, but holds what oomc does not make, and nobody has allowed that.
    NotOurs(String),
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
            Self::NotOurs(text) => write!(f, "the object is foreign: {text}"),
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

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// If it is not one that oomc made, or not whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        read::object(bytes)
    }

    /// The same policy with the program that user space asks on a kernel without the hook; none: it has none.
    #[must_use]
    pub fn asked(&self) -> Option<Self> {
        let other = Other::clone(self.other.as_ref()?);
        Some(self.with(other))
    }

    /// The object with another program.
    fn with(&self, other: Other) -> Self {
        let Other { section, program, code, globals, externs, relocs, ext } = other;
        Self { section, program, code, globals, externs, relocs, ext, other: None, ..self.clone() }
    }

    /// Which kernels the program is for.
    #[must_use]
    pub fn target(&self) -> Option<oomc_abi::target::Target> {
        oomc_abi::target::Target::of_section(&self.section)
    }

    /// The kernels that the object can run on: one for each of its programs.
    #[must_use]
    pub fn targets(&self) -> Vec<oomc_abi::target::Target> {
        self.target().into_iter().chain(self.asked().and_then(|asked| asked.target())).collect()
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

/// Variables of one section that are looked into; a policy's sections have one each.
const MAX_VARIABLES: usize = 64;

/// Name and offset of each member of eight bytes of the structures in a section.
#[must_use]
pub fn named_words(types: &Btf, section: u32) -> Vec<(String, usize)> {
    let mut words = Vec::new();
    let Some(Kind::DataSec { entries, .. }) = types.get(section).map(|ty| ty.kind) else { return words };
    for entry in entries.into_iter().take(MAX_VARIABLES) {
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
