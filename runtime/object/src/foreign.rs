//! What of an object `oomc build` does not make.
//!
//! What a policy may call, and which maps it has, stand in the tables of `oomc-abi`, from which the compiler makes
//! objects; here the same rows are asked the other way round. Takes an [`Object`] that was read, gives a list. An
//! object with an empty list is ours; what to do with another, who loads it decides.

use std::fmt;

use oomc_abi::btf::{Btf, Kind, essential_name};
use oomc_abi::helpers;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::maps::{GLOBALS, MAPS};
use oomc_abi::members::VARIABLES;
use oomc_abi::target::Target;

use crate::digest::{self, Digest};
use crate::insn::{CALL, LDDW, PSEUDO_CALL};
use crate::{ExternKind, MapDef, Object};

/// Most that is told of one object.
const MAX_TOLD: usize = 8;
/// Most bytes of a value of a map: a record has about two thousand.
const MAX_VALUE: u32 = 64 << 10;

/// Something that oomc does not make.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Oddity {
    /// The digest is absent or does not hold.
    Digest(Digest),
    /// A call of the helper of this number.
    Helper(i32),
    /// A call of something by its number, not by its name: at this instruction.
    Unnamed(u32),
    /// A function of the kernel that no policy calls.
    Function(String),
    /// A variable of the kernel that no policy reads.
    Variable(String),
    /// A global that no policy has.
    Global(String),
    /// A map that no policy has, and what is wrong with it.
    Map(String, &'static str),
    /// The name of the ops instance is not the one of the policy's name and text.
    Name(String),
    /// The hash is not that of the text.
    Hash,
    /// Another license.
    License(String),
    /// The callback stands in this section.
    Section(String),
}

impl Oddity {
    /// As a sentence without an end; a kernel's types know the names of helpers.
    #[must_use]
    pub fn told(&self, kernel: Option<&Btf>) -> String {
        match self {
            Self::Helper(id) => match kernel.and_then(|kernel| helper_name(kernel, *id)) {
                Some(name) => format!("it calls the helper `{name}` (number {id})"),
                None => self.to_string(),
            },
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let say = |f: &mut fmt::Formatter<'_>, text: &str, name: &str| {
            write!(f, "{text} `{}`", name.escape_debug())
        };
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Helper(id) => write!(f, "it calls the helper of number {id}"),
            Self::Unnamed(insn) => {
                write!(f, "instruction {insn} names something of the kernel by its number")
            }
            Self::Function(name) => say(f, "it calls the kernel's function", name),
            Self::Variable(name) => say(f, "it reads the kernel's variable", name),
            Self::Global(name) => say(f, "it has the global", name),
            Self::Map(name, why) => {
                say(f, "it has the map", name)?;
                write!(f, " {why}")
            }
            Self::Name(name) => say(f, "it calls itself something else than", name),
            Self::Hash => f.write_str("its hash is not that of its text"),
            Self::License(license) => say(f, "it has the license", license),
            Self::Section(name) => say(f, "its callback is", name),
        }
    }
}

/// All of them in one sentence.
#[must_use]
pub fn told(oddities: &[Oddity], kernel: Option<&Btf>) -> String {
    let mut all: Vec<String> = oddities.iter().take(MAX_TOLD).map(|one| one.told(kernel)).collect();
    if oddities.len() > MAX_TOLD {
        all.push(format!("and {} more", oddities.len() - MAX_TOLD));
    }
    all.join("; ")
}

/// The name that a kernel's types give a helper.
fn helper_name(kernel: &Btf, id: i32) -> Option<String> {
    let Kind::Enum { values, .. } = kernel.get(kernel.enumeration("bpf_func_id")?)?.kind else { return None };
    let found = values.iter().find(|value| value.value == i64::from(id))?;
    Some(format!("bpf_{}", found.name.strip_prefix("BPF_FUNC_")?))
}

/// What of an object oomc does not make, the digest last.
#[must_use]
pub fn oddities(object: &Object) -> Vec<Oddity> {
    let mut found = Vec::new();
    of_program(object, &mut found);
    if let Some(asked) = object.asked() {
        of_program(&asked, &mut found);
        let row = Target::Asked.row();
        if asked.program != row.program {
            found.push(Oddity::Section(format!("{}/{}", asked.section, asked.program)));
        }
    }
    found.extend(object.maps.iter().filter_map(map));
    if object.license != "GPL" {
        found.push(Oddity::License(object.license.clone()));
    }
    let callback = object.section.strip_prefix("struct_ops.s/");
    if callback != Some(object.program.as_str()) || callback != Some(oomc_abi::hooks::OOM.callback) {
        found.push(Oddity::Section(object.section.clone()));
    }
    let hash = object.meta.get("hash");
    if digest::of_text(&object.source) != hash {
        found.push(Oddity::Hash);
    }
    // A long name is cut, the hash is not.
    let ours = object.ops_name();
    let known = ours.strip_suffix(hash.get(..8).unwrap_or(hash)).and_then(|name| name.strip_suffix('@'));
    if !known.is_some_and(|name| object.meta.get("name").starts_with(name)) {
        found.push(Oddity::Name(object.meta.get("name").to_owned()));
    }
    // What it holds says more than that it was changed.
    if !object.digest.holds() {
        found.push(Oddity::Digest(object.digest));
    }
    found
}

/// What both programs have is told once.
fn told_once(found: &mut Vec<Oddity>, odd: Oddity) {
    if !found.contains(&odd) {
        found.push(odd);
    }
}

/// What one of its programs calls, reads and works in.
fn of_program(object: &Object, found: &mut Vec<Oddity>) {
    instructions(object, found);
    for ext in &object.externs {
        match ext.kind {
            ExternKind::Function(_) if KfuncId::by_name(essential_name(&ext.name)).is_none() => {
                told_once(found, Oddity::Function(ext.name.clone()));
            }
            ExternKind::Address if VARIABLES.iter().all(|(name, _)| *name != ext.name) => {
                told_once(found, Oddity::Variable(ext.name.clone()));
            }
            _ => {}
        }
    }
    let globals = object.globals.iter().filter(|global| !GLOBALS.contains(&global.map_name()));
    for odd in globals.map(|global| Oddity::Global(global.name.clone())) {
        told_once(found, odd);
    }
}

fn map(map: &MapDef) -> Option<Oddity> {
    let odd = |why| Some(Oddity::Map(map.name.clone(), why));
    let Some(row) = MAPS.iter().find(|row| row.name == map.name) else {
        return odd("which policies do not have");
    };
    if row.kind != map.kind || row.flags != map.flags {
        return odd("of another kind than policies have");
    }
    if row.entries != map.max_entries || map.key.0.max(map.value.0) > MAX_VALUE {
        return odd("of another size than policies have");
    }
    None
}

/// Calls and addresses. Those that relocations fill in are named by their symbols.
fn instructions(object: &Object, found: &mut Vec<Oddity>) {
    let mut relocs = object.relocs.iter().map(|reloc| reloc.insn).peekable();
    let mut wide = false;
    for (at, insn) in (0_u32..).zip(&object.code) {
        let named = relocs.next_if(|next| *next == at).is_some();
        while relocs.next_if(|next| *next <= at).is_some() {}
        if std::mem::take(&mut wide) {
            continue;
        }
        let (opcode, source, imm) = (*insn as u8, (insn >> 12 & 15) as u8, (insn >> 32) as i32);
        wide = opcode == LDDW;
        let odd = match opcode {
            LDDW if source != 0 && !named => Oddity::Unnamed(at),
            CALL if source == 0 && !named && helpers::ALL.iter().all(|helper| helper.id != imm) => {
                Oddity::Helper(imm)
            }
            CALL if source > PSEUDO_CALL && !named => Oddity::Unnamed(at),
            CALL_BY_REGISTER => Oddity::Unnamed(at),
            _ => continue,
        };
        if !found.contains(&odd) && found.len() <= MAX_TOLD * 2 {
            found.push(odd);
        }
    }
}

/// `BPF_JMP | BPF_CALL | BPF_X`: a call of what a register holds.
const CALL_BY_REGISTER: u8 = 0x8d;
