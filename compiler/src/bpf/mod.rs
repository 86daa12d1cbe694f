//! Machine code: from IR to BPF instructions whose relocations are still symbolic.
//!
//! Owns instruction encodings, selection, register allocation, the frame. Knows BPF's calling convention;
//! knows nothing of the policy language nor of ELF.

use oomc_abi::kfuncs::KfuncId;

use crate::ir;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    /// A call of a kernel function: `src_reg` 1 and `imm` −1, as clang leaves them.
    Kfunc(KfuncId),
    /// A wide load of the address of a global; the offset is in the first half's `imm`.
    Global(ir::Global),
    /// A wide load of the address of a kernel variable, weak.
    Ksym(ir::KsymRef),
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
