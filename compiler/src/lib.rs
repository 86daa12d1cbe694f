//! The oomc compiler: from the text of a policy to a BPF object.
//!
//! ```text
//! text ─ syntax ─► CST ─► AST ─ resolve, hir ─► HIR ─ lower ─► IR ─ passes ─► IR
//!                                                                     │ bpf: select, allocate, emit
//!                              ELF ◄─ object ─ Program (BPF, symbolic relocations)
//! ```
//!
//! Takes a [`Source`] and a [`KernelView`] and gives bytes and diagnostics. Reads no file, asks no kernel,
//! prints nothing: whoever calls it does. An author's mistakes are collected as [`diag::Diagnostic`]s, and so
//! is a fault of the compiler itself, which says that it is one.

pub mod diag;
pub mod source;

pub mod hir;
pub mod parse;
pub mod resolve;
pub mod syntax;

pub mod expand;
pub mod format;

pub mod plan;

pub mod ir;
pub mod lower;
pub mod passes;

pub mod bpf;
pub mod object;

mod emit;
pub mod trace;

pub use emit::{Dumped, Stage, dump};
pub use oomc_abi::resolve::KernelView;
pub use oomc_abi::scenario::Test;
use sha2::{Digest as _, Sha256};
pub use source::Source;
pub use trace::compile_traced;

use diag::{Diagnostic, Sink};

/// The version of the compiler, as written into objects.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the front end says of a policy.
#[derive(Debug)]
pub struct Checked {
    /// The policy; none if an error leaves no meaning.
    pub policy: Option<hir::Policy>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// What the whole compiler makes of a policy.
#[derive(Debug)]
pub struct Compiled {
    /// The ELF object; none if there is an error.
    pub object: Option<Vec<u8>>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses and checks a policy against a kernel.
#[must_use]
pub fn check(source: &Source, view: &KernelView) -> Checked {
    let mut sink = Sink::default();
    let policy = parse::parse_and_check(source, view, &mut sink);
    let policy = policy.filter(|policy| lowered(policy, view, &mut sink).is_some());
    Checked { policy, diagnostics: sink.into_diagnostics() }
}

/// Tests of a policy, and what the front end says of them.
#[derive(Debug)]
pub struct Tests {
    /// Those in the policy's own file.
    pub own: Vec<Test>,
    /// Those in the file beside it.
    pub more: Vec<Test>,
    /// Errors and warnings of the policy's file.
    pub diagnostics: Vec<Diagnostic>,
    /// Errors and warnings of the file beside it.
    pub more_diagnostics: Vec<Diagnostic>,
}

/// Reads the tests of a policy: its own, and those of a file beside it.
#[must_use]
pub fn tests(source: &Source, beside: Option<&Source>, view: &KernelView) -> Tests {
    let (mut sink, mut more) = (Sink::default(), Sink::default());
    let policy = parse::with_tests(source, beside.map(|beside| (beside, &mut more)), view, &mut sink);
    let policy = policy.unwrap_or_default();
    Tests {
        own: policy.tests,
        more: policy.more_tests,
        diagnostics: sink.into_diagnostics(),
        more_diagnostics: more.into_diagnostics(),
    }
}

/// Compiles a policy for a kernel. The same source and the same BTF give the same bytes.
#[must_use]
pub fn compile(source: &Source, view: &KernelView) -> Compiled {
    let mut sink = Sink::default();
    let object = build(source, view, &mut sink).and_then(|built| built.object(source, view, &mut sink));
    Compiled { object, diagnostics: sink.into_diagnostics() }
}

/// A policy on its way to an object.
struct Built {
    policy: hir::Policy,
    module: ir::Module,
    programs: Vec<bpf::Program>,
}

impl Built {
    /// The bytes. An object that cannot be written is a fault of the compiler.
    fn object(&self, source: &Source, view: &KernelView, sink: &mut Sink) -> Option<Vec<u8>> {
        match self.write(source, view) {
            Ok(object) => Some(object),
            Err(error) => {
                sink.push(diag::object_failed(&error.to_string()));
                None
            }
        }
    }

    fn write(&self, source: &Source, view: &KernelView) -> Result<Vec<u8>, object::Error> {
        let hash = source_hash(source);
        let ops_name = ops_name(&self.policy.name, &hash);
        object::write(&object::Module {
            policy: &self.policy,
            ops_name: &ops_name,
            source,
            hash: &hash,
            refs: &self.module.refs(),
            programs: &self.programs,
            view,
        })
    }
}

fn build(source: &Source, view: &KernelView, sink: &mut Sink) -> Option<Built> {
    let policy = parse::parse_and_check(source, view, sink)?;
    if sink.has_errors() {
        return None;
    }
    let module = optimised(&policy, view, sink)?;
    match bpf::compile_all(&module, source, view) {
        Ok(programs) => Some(Built { policy, module, programs }),
        Err(error) => {
            sink.push(no_code(&error));
            None
        }
    }
}

/// IR as lowered, if the kernel has every function that it calls.
fn lowered(policy: &hir::Policy, view: &KernelView, sink: &mut Sink) -> Option<ir::Module> {
    supported(lower::lower(policy, view), view, sink)
}

/// The IR itself, if the kernel has every function that it calls.
fn supported(module: ir::Module, view: &KernelView, sink: &mut Sink) -> Option<ir::Module> {
    let called = module.functions.iter().flat_map(|func| func.insts.values()).filter_map(|inst| match inst {
        ir::InstData::Call { kfunc, .. } => Some(*kfunc),
        _ => None,
    });
    hir::kernel::functions(called.collect(), view, sink);
    if sink.has_errors() { None } else { Some(module) }
}

/// IR after the passes. An invalid module is a fault of the compiler.
fn optimised(policy: &hir::Policy, view: &KernelView, sink: &mut Sink) -> Option<ir::Module> {
    improved(lowered(policy, view, sink)?, sink)
}

/// What the passes make of IR.
fn improved(mut module: ir::Module, sink: &mut Sink) -> Option<ir::Module> {
    passes::run_all(&mut module);
    match ir::verify::module(&module) {
        Ok(()) => Some(module),
        Err(errors) => {
            sink.push(diag::ir_invalid(&errors.join("; ")));
            None
        }
    }
}

/// What to tell the author when there is no machine code: a bound of the kernel, or a fault of the compiler.
fn no_code(error: &bpf::Error) -> Diagnostic {
    match error {
        bpf::Error::Stack { .. } | bpf::Error::Chain { .. } | bpf::Error::TooLong { .. } => {
            diag::program_too_large(&error.to_string())
        }
        _ => diag::code_failed(&error.to_string()),
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
