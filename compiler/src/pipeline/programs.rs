//! A policy as BPF: instructions with real registers and symbolic relocations, and the object that holds them.
//!
//! Takes an [`Optimised`](super::Optimised), gives bytes; what they stand for is `object`'s.

use std::sync::Arc;

use cranelift_entity::EntityRef as _;
use sha2::{Digest as _, Sha256};

use super::Checked;
use crate::diag::{self, Diagnostic, Sink};
use crate::source::Source;
use crate::{bpf, ir, object};

/// What of a policy is machine code: a program and the functions that it calls, or the callback so with the program that
/// user space asks.
#[derive(Debug)]
pub struct Programs<'c> {
    checked: &'c Checked<'c>,
    /// The functions of the first program, without their instructions.
    module: ir::Module,
    /// What all of it refers to.
    refs: Arc<ir::Refs>,
    /// The first program; all functions, in the order of their references; the program that is asked.
    programs: Vec<bpf::Program>,
}

impl<'c> Programs<'c> {
    pub(super) fn new(checked: &'c Checked<'c>, module: ir::Module, programs: Vec<bpf::Program>) -> Self {
        let refs = module.refs();
        Self { checked, module, refs, programs }
    }

    /// What its code refers to.
    pub(super) fn refs(&self) -> &ir::Refs {
        &self.refs
    }

    /// Adds the program that is asked, which refers to what the callback does and to more. The functions that it calls
    /// get numbers behind those of the callback.
    pub(super) fn add(&mut self, asked: Self) {
        let own = self.refs.functions.len();
        let mut programs = asked.programs;
        for reloc in programs.iter_mut().flat_map(|program| &mut program.relocs) {
            if let bpf::RelocTarget::Func(func) = &mut reloc.target {
                *func = ir::FuncRef::new(own + func.index());
            }
        }
        let mut functions = self.refs.functions.clone();
        functions.extend(asked.refs.functions.values().cloned());
        self.refs = Arc::new(ir::Refs { functions, ..ir::Refs::clone(&asked.refs) });
        // The program stands behind its functions.
        let first = programs.len().min(1);
        let program: Vec<bpf::Program> = programs.drain(..first).collect();
        self.programs.extend(programs.into_iter().chain(program));
    }

    /// The object's bytes. One that cannot be written is a fault of the compiler.
    pub fn object(&self, sink: &mut Sink) -> Option<Vec<u8>> {
        let policy = self.checked.policy()?;
        let source = self.checked.source();
        let hash = source_hash(source);
        let written = object::write(&object::Module {
            policy,
            ops_name: &ops_name(&policy.name, &hash),
            source,
            hash: &hash,
            refs: &self.refs,
            programs: &self.programs,
            view: self.checked.view(),
        });
        written.map_err(|error| sink.push(diag::object_failed(&error.to_string()))).ok()
    }

    /// The instructions of the first program as the verifier prints them.
    #[must_use]
    pub fn print(&self) -> String {
        let functions = self.programs.iter().zip(&self.module.functions);
        functions.map(|(program, func)| bpf::disasm::disassemble(program, func)).collect()
    }
}

/// What to tell the author when there is no machine code: a bound of the kernel, or a fault of the compiler.
pub(crate) fn no_code(error: &bpf::Error) -> Diagnostic {
    match error.is_a_bound() {
        true => diag::program_too_large(&error.to_string()),
        false => diag::code_failed(&error.to_string()),
    }
}

/// SHA-256 of the text, in hexadecimal.
fn source_hash(source: &Source) -> String {
    use core::fmt::Write as _;
    Sha256::digest(source.text.as_bytes()).iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The name that the kernel's log shows: the policy's, and which text it was.
///
/// `bpf_oom_ops.name` takes 63 bytes; the name gives way, the hash does not.
fn ops_name(name: &str, hash: &str) -> String {
    let tail = format!("@{}", hash.get(..8).unwrap_or(hash));
    let room = oomc_abi::consts::OOM_NAME_MAX - 1 - tail.len();
    let end = (0..=room.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format!("{}{tail}", name.get(..end).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_the_kernel_is_no_fault_of_the_compiler() {
        let code = |error| no_code(&error).code.id();
        assert_eq!(code(bpf::Error::Stack { slots: 520, spills: 8 }), "E0701");
        assert_eq!(code(bpf::Error::TooLong { instructions: 1_000_001 }), "E0701");
        assert_eq!(code(bpf::Error::Offset { offset: 1 << 40 }), "E0902");
    }

    #[test]
    fn a_long_name_gives_way_to_the_hash() {
        let hash = "0123456789abcdef";
        assert_eq!(ops_name("grow", hash), "grow@01234567");
        let long = "ü".repeat(60);
        let name = ops_name(&long, hash);
        assert!(name.len() <= 63 && name.ends_with("@01234567"), "{name}");
    }
}
