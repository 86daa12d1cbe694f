//! Machine code: from IR to BPF instructions whose relocations are still symbolic.
//!
//! Owns instruction encodings, selection, register allocation, the frame. Knows BPF's calling convention;
//! knows nothing of the policy language nor of ELF.

#![expect(
    clippy::indexing_slicing,
    reason = "entities and registers index the maps of the function that made them"
)]

pub mod insn;
pub mod limits;

pub mod facts;
pub mod frame;
mod lists;
pub mod vcode;
mod vcode_text;

pub mod live_across_calls;
pub mod select;

pub mod regalloc;

pub mod clear_dead;
mod repeated_zeros;
mod split_joins;

pub mod emit;

pub mod disasm;

use core::fmt::Write as _;

use oomc_abi::kfuncs::KfuncId;
use oomc_abi::resolve::KernelView;
use regalloc2::Function as _;

use facts::Facts;
use frame::Frame;
pub use limits::Error;
use regalloc::Allocator;

use crate::ir;
use crate::parallel::in_parts;
use crate::source::Source;

/// Compiles a verified module: one program per function, in their order. Each function forgets its instructions as soon
/// as it is compiled, so that a large policy does not lie in memory twice.
///
/// # Errors
/// The view lacks what a function reads, or a limit of the kernel is exceeded.
pub fn compile_all(
    module: &mut ir::Module,
    source: &Source,
    view: &KernelView,
) -> Result<Vec<Program>, Error> {
    let calls = module.calls();
    within_limits(&calls, |at| module.functions.get(at).map_or(0, limits::least_instructions))?;
    let refs = module.refs();
    let facts = Facts::new(&refs, view);
    let parts = in_parts(&mut module.functions, |part| {
        let mut allocator = Allocator::default();
        let compiled = part.iter_mut().map(|func| {
            let program = function(func, source, &facts, &mut allocator);
            func.forget_code();
            program
        });
        compiled.collect::<Result<Vec<_>, _>>()
    });
    let programs: Vec<Program> =
        parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    within_limits(&calls, |at| programs.get(at).map_or(0, |program| program.code.len()))?;
    match depth(&calls, &programs) {
        bytes if bytes > limits::STACK => Err(Error::Chain { bytes }),
        _ => Ok(programs),
    }
}

/// Whether the program, with the functions that it calls, is as short as the kernel wants it.
fn within_limits(calls: &ir::Calls, length: impl Fn(usize) -> usize) -> Result<(), Error> {
    limits::check_instructions(calls.below_program().into_iter().chain([0]).map(length).sum())
}

/// Bytes of stack of the deepest chain of calls.
fn depth(calls: &ir::Calls, programs: &[Program]) -> u32 {
    // Below each function, itself included; as many rounds as a chain can be long.
    let mut depths = vec![0; programs.len()];
    loop {
        let mut changed = false;
        for (at, program) in programs.iter().enumerate() {
            let below = calls.of(at).iter().filter_map(|callee| depths.get(callee.as_u32() as usize + 1));
            let below = below.max().copied().unwrap_or(0);
            let bytes = program.frame_size.next_multiple_of(limits::FRAME_ALIGN) + below;
            // A chain that is too deep is not followed further: it might be endless.
            if bytes > depths[at] && depths[at] <= limits::STACK {
                (depths[at], changed) = (bytes, true);
            }
        }
        if !changed {
            return depths.into_iter().max().unwrap_or(0);
        }
    }
}

/// Compiles a verified function.
///
/// # Errors
/// The view lacks what the function reads, or the function exceeds a limit of the kernel.
pub fn compile(func: &ir::Function, source: &Source, view: &KernelView) -> Result<Program, Error> {
    function(func, source, &Facts::new(&func.refs, view), &mut Allocator::default())
}

fn function(
    func: &ir::Function,
    source: &Source,
    facts: &Facts<'_>,
    allocator: &mut Allocator,
) -> Result<Program, Error> {
    let frame = Frame::new(func);
    let code = select::select(func, facts, &frame)?;
    let (mut blocks, spills) = allocator.allocate(code, &frame)?;
    clear_dead::clear(&mut blocks, &frame, func)?;
    let program = emit::emit(&func.name, &blocks, source)?;
    Ok(Program { frame_size: frame.with_spills(spills), ..program })
}

/// The code after register allocation, block by block, as text.
///
/// # Errors
/// As [`compile`].
pub fn dump_allocated(func: &ir::Function, view: &KernelView) -> Result<String, Error> {
    let (facts, frame) = (Facts::new(&func.refs, view), Frame::new(func));
    let (blocks, spills) = Allocator::default().allocate(select::select(func, &facts, &frame)?, &frame)?;
    let mut out = format!("{}: {} bytes of slots, {spills} spilled\n", func.name, frame.slots_size());
    for (number, block) in blocks.iter().enumerate() {
        let _ = writeln!(out, "L{number}:");
        for placed in &block.body {
            let _ = writeln!(out, "    {}", disasm::text(func, &placed.insn, placed.reloc, placed.core));
        }
        let _ = writeln!(out, "    {}", block.end);
    }
    Ok(out)
}

/// The code with virtual registers, as text.
///
/// # Errors
/// As [`compile`].
pub fn dump_vcode(func: &ir::Function, source: &Source, view: &KernelView) -> Result<String, Error> {
    let code = select::select(func, &Facts::new(&func.refs, view), &Frame::new(func))?;
    let mut out = format!("{}:\n", func.name);
    let mut last = None;
    for block in code.blocks() {
        let _ = writeln!(out, "{}:", vcode_text::label(block, code.block_params(block)));
        for inst in code.block_insns(block).iter() {
            let span = code.span(inst);
            let position = source.line_column(span.start);
            if span != crate::source::Span::default() && last != Some(position.0) {
                last = Some(position.0);
                let _ = writeln!(out, "    ; policy {}:{}", position.0, position.1);
            }
            let symbol = |target| disasm::symbol(func, target);
            let _ = writeln!(out, "    {}", code.inst(inst).text(symbol, |kind| disasm::fact(func, kind)));
        }
    }
    Ok(out)
}

/// A finished function: real registers, symbolic relocations.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Symbol.
    pub name: String,
    /// Encoded instructions, 8 bytes each, little endian; a wide load takes two.
    pub code: Vec<u64>,
    /// What the linker or loader fills in. Sorted by instruction.
    pub relocs: Vec<Reloc>,
    /// CO-RE relocations. Sorted by instruction. The code holds the values of the build's BTF.
    pub core: Vec<CoreReloc>,
    /// Source positions: one for the first instruction, then wherever the line changes. Sorted, and never
    /// on the second half of a wide load.
    pub lines: Vec<LinePosition>,
    /// Bytes of stack used.
    pub frame_size: u32,
}

/// A place that refers to a symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloc {
    /// Index into the code.
    pub insn: u32,
    /// What to.
    pub target: RelocTarget,
}

/// What a relocation refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RelocTarget {
    /// A call of a kernel function: `src_reg` 1 and `imm` −1, as clang leaves them.
    Kfunc(KfuncId),
    /// A call of a function of the module, in the same form.
    Func(ir::FuncRef),
    /// A wide load of the address of a kernel function, weak.
    KfuncAddr(KfuncId),
    /// A wide load of the address of a global; the offset is in the first half's `imm`.
    Global(ir::Global),
    /// A wide load of the address of a kernel variable, weak.
    Ksym(ir::KsymRef),
    /// A wide load of a map.
    Map(ir::MapRef),
}

/// A place that holds a fact of the build's BTF and is rewritten for the target's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreReloc {
    /// Index into the code.
    pub insn: u32,
    /// Which fact.
    pub kind: CoreKind,
}

/// The facts of a BTF that code depends on (`enum bpf_core_relo_kind`, `include/uapi/linux/bpf.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreKind {
    /// Byte offset of a member, in `off` of a load or `imm` of an addition.
    FieldByteOffset(ir::FieldRef),
    /// 1 or 0 in `imm`.
    FieldExists(ir::FieldRef),
    /// How a bit-field is read, in `imm`.
    FieldFact(ir::FieldFact, ir::FieldRef),
    /// Value in `imm`.
    EnumValue(ir::EnumRef),
    /// 1 or 0 in `imm`.
    EnumExists(ir::EnumRef),
    /// Target type id in `imm`.
    TypeIdTarget(ir::TypeRef),
}

/// Where an instruction comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinePosition {
    /// Index into the code.
    pub insn: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

#[cfg(test)]
mod tests;
