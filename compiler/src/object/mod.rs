//! The object file: everything that the loader needs, in the form that every loader knows.
//!
//! Takes a finished [`bpf::Program`] with its function's globals and gives an ELF relocatable with BTF,
//! `.BTF.ext` and a `.struct_ops.link` section; libbpf 1.2 and newer load the same file. Knows ELF and BTF;
//! knows nothing of instruction selection nor of system calls.
//!
//! Invariants: the same module and the same BTF give the same bytes; nothing of the machine that compiles
//! gets in; local copies of kernel types keep the offsets of the BTF compiled against, so that the code's
//! own values agree with its relocations.

#[expect(clippy::indexing_slicing, reason = "an arena is indexed by its own references")]
mod btf;
mod btf_ext;
mod dump;
#[expect(clippy::indexing_slicing, reason = "an arena is indexed by its own references")]
mod elf;
mod meta;
mod struct_ops;

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use oomc_abi::kfuncs::KfuncId;
use oomc_abi::resolve::{KernelView, Missing};

use crate::source::Source;
use crate::{bpf, hir, ir};

pub use dump::{dump_btf, dump_elf};

/// What goes into an object.
#[derive(Clone, Copy, Debug)]
pub struct Module<'a> {
    /// The policy, for its name.
    pub policy: &'a hir::Policy,
    /// Name of the ops instance: what the kernel logs. At most 63 bytes.
    pub ops_name: &'a str,
    /// The policy's text.
    pub source: &'a Source,
    /// SHA-256 of the text, in hexadecimal.
    pub hash: &'a str,
    /// What the programs refer to.
    pub refs: &'a ir::Refs,
    /// The code: the callback, and the functions that it calls in the order of their [`ir::FuncRef`]s.
    pub programs: &'a [bpf::Program],
    /// The kernel compiled against.
    pub view: &'a KernelView,
}

/// Why an object cannot be written: a defect of an earlier stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A relocation asks for what the kernel lacks.
    Missing(Missing),
    /// A prototype in the table cannot be read.
    Prototype(&'static str),
    /// A relocation's path passes something else than structures and arrays.
    Path(String),
    /// A relocation or line stands at an instruction that cannot carry it.
    Instruction(u32),
    /// What was added to the types is no BTF.
    Types(&'static str),
    /// What no stage before should have let through.
    Internal(&'static str),
    /// The ELF writer refused.
    Elf(String),
    /// Bytes to be printed are no object.
    Unreadable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(missing) => missing.fmt(f),
            Self::Prototype(c) => write!(f, "cannot read the prototype `{c}`"),
            Self::Path(path) => write!(f, "`{path}` is not a path to a member"),
            Self::Instruction(at) => write!(f, "instruction {at} cannot carry a relocation or a line"),
            Self::Types(fault) => write!(f, "cannot write the types: {fault}"),
            Self::Internal(what) => f.write_str(what),
            Self::Elf(text) => write!(f, "cannot write the object: {text}"),
            Self::Unreadable(text) => write!(f, "not an object: {text}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

/// Writes an object.
///
/// # Errors
/// Only for modules that no earlier stage should have let through.
pub fn write(module: &Module<'_>) -> Result<Vec<u8>, Error> {
    let kfuncs = kfuncs(module.programs);
    let info = btf::build(module, &kfuncs)?;
    let ext = btf_ext::build(module, &info)?;
    elf::write(module, &kfuncs, &ext)
}

/// Kernel functions called or looked for, in order of first use.
fn kfuncs(programs: &[bpf::Program]) -> Vec<KfuncId> {
    first_uses(programs, |target| match target {
        bpf::RelocTarget::Kfunc(kfunc) | bpf::RelocTarget::KfuncAddr(kfunc) => Some(kfunc),
        _ => None,
    })
}

/// What relocations refer to, each once, in order of first use.
fn first_uses<T: Copy + Eq + Hash>(
    programs: &[bpf::Program],
    which: impl Fn(bpf::RelocTarget) -> Option<T>,
) -> Vec<T> {
    let mut seen = HashSet::new();
    let targets = programs.iter().flat_map(|program| &program.relocs).filter_map(|reloc| which(reloc.target));
    targets.filter(|target| seen.insert(*target)).collect()
}

/// Name of the section of maps.
const MAPS: &str = ".maps";

/// Maps used, in the function's order; libbpf wants each that is declared to be there.
fn maps<'m>(module: &Module<'m>) -> impl Iterator<Item = (ir::MapRef, &'m ir::MapData)> + use<'m> {
    module.refs.maps.iter()
}

/// Kernel variables used, in order of first use.
fn ksyms(programs: &[bpf::Program]) -> Vec<ir::KsymRef> {
    first_uses(programs, |target| match target {
        bpf::RelocTarget::Ksym(ksym) => Some(ksym),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
