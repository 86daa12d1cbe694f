//! BPF with virtual registers: what selection makes and register allocation reads.
//!
//! Owns each instruction's operands and constraints: two-address arithmetic, arguments in R1–R5, the
//! result in R0. Knows the calling convention; knows neither the IR's types nor encodings.

use core::ops::Range;

use oomc_abi::helpers::Helper;
use oomc_abi::kfuncs::KfuncId;
use regalloc2::{Block, Inst, InstRange, Operand, OperandKind, PReg, PRegSet, RegClass, VReg};

use super::insn::{AluOp, Src, Width};
use super::{CoreKind, RelocTarget};
use crate::ir::{Cond, FuncRef, Size};
use crate::source::Span;

/// What an address counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// A pointer.
    Reg(VReg),
    /// R10.
    Frame,
}

impl Base {
    /// The register, if it is one.
    #[must_use]
    pub fn reg(self) -> Option<VReg> {
        match self {
            Self::Reg(reg) => Some(reg),
            Self::Frame => None,
        }
    }
}

/// A block and the arguments for its parameters.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where to.
    pub block: Block,
    /// One per parameter.
    pub args: Vec<VReg>,
}

/// Whom a call calls.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Callee {
    Kfunc(KfuncId),
    Helper(Helper),
    Func(FuncRef),
}

/// An instruction.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "operands are named as in the instruction set")]
pub enum VInst {
    /// R1 to R5 as the function is entered, those that are read; each with its number.
    Arguments { dsts: Vec<(VReg, u8)> },
    /// `dst = imm`
    Mov { dst: VReg, imm: i32, core: Option<CoreKind> },
    /// `dst = imm`, the high half cleared.
    Mov32 { dst: VReg, imm: i32 },
    /// `dst = imm ll`
    Wide { dst: VReg, imm: i64 },
    /// `dst = &symbol + offset`
    Address { dst: VReg, symbol: RelocTarget, offset: i32 },
    /// `dst = r10; dst += off`
    FrameAddress { dst: VReg, off: i32 },
    /// `dst = a op b`
    Alu { op: AluOp, dst: VReg, a: VReg, b: Src<VReg>, core: Option<CoreKind> },
    /// `dst = -a`
    Neg { dst: VReg, a: VReg },
    /// `dst = a`; either may lie on the stack, but not both.
    Copy { dst: VReg, a: VReg, from_call: bool },
    /// `dst = (s32)a`
    SignExtend { size: Size, dst: VReg, a: VReg },
    /// `dst = *(size *)(base + off)`
    Load { size: Size, signed: bool, dst: VReg, base: Base, off: i16, core: Option<CoreKind> },
    /// `*(size *)(base + off) = src`
    Store { size: Size, base: Base, off: i16, src: Src<VReg> },
    /// A call; every register but R6–R9 is lost.
    Call { callee: Callee, args: Vec<VReg>, result: Option<VReg> },
    /// Does nothing in a kernel that would load it; none does.
    Mark { point: u32, object: Option<VReg> },
    /// Ends a block.
    Jump(Target),
    /// Ends a block; neither target has another way in, nor parameters.
    Branch { cond: Cond, width: Width, a: VReg, b: Src<VReg>, then: Block, otherwise: Block },
    /// Ends the function.
    Return(Src<VReg>),
}

/// The class of BPF's only registers.
pub const CLASS: RegClass = RegClass::Int;

/// A physical register for the allocator.
#[must_use]
pub fn preg(number: u8) -> PReg {
    PReg::new(usize::from(number), CLASS)
}

impl VInst {
    /// Shows each operand, uses before the definition. The order is the order of the allocations.
    pub fn for_each_operand(&self, mut each: impl FnMut(Operand)) {
        match self {
            Self::Arguments { dsts } => {
                dsts.iter().for_each(|(dst, reg)| each(Operand::reg_fixed_def(*dst, preg(*reg))));
            }
            Self::Mov { dst, .. }
            | Self::Mov32 { dst, .. }
            | Self::Wide { dst, .. }
            | Self::Address { dst, .. }
            | Self::FrameAddress { dst, .. } => each(Operand::reg_def(*dst)),
            Self::Alu { dst, a, b, .. } => {
                each(Operand::reg_use(*a));
                b.reg().map(Operand::reg_use).into_iter().for_each(&mut each);
                each(Operand::reg_reuse_def(*dst, 0));
            }
            Self::Neg { dst, a } => {
                each(Operand::reg_use(*a));
                each(Operand::reg_reuse_def(*dst, 0));
            }
            // A spilled value goes straight to and from the register that a call wants it in.
            Self::Copy { dst, a, from_call: true } => {
                each(Operand::reg_use(*a));
                each(Operand::any_def(*dst));
            }
            Self::Copy { dst, a, from_call: false } => {
                each(Operand::any_use(*a));
                each(Operand::reg_def(*dst));
            }
            Self::SignExtend { dst, a, .. } => {
                each(Operand::reg_use(*a));
                each(Operand::reg_def(*dst));
            }
            Self::Load { dst, base, .. } => {
                base.reg().map(Operand::reg_use).into_iter().for_each(&mut each);
                each(Operand::reg_def(*dst));
            }
            Self::Store { base, src, .. } => {
                base.reg().into_iter().chain(src.reg()).map(Operand::reg_use).for_each(each);
            }
            Self::Call { args, result, .. } => {
                let fixed = args.iter().zip(1..);
                fixed.for_each(|(arg, number)| each(Operand::reg_fixed_use(*arg, preg(number))));
                result.iter().for_each(|result| each(Operand::reg_fixed_def(*result, preg(0))));
            }
            Self::Mark { object, .. } => object.map(Operand::reg_use).into_iter().for_each(each),
            Self::Jump(_) => {}
            Self::Branch { a, b, .. } => {
                core::iter::once(*a).chain(b.reg()).map(Operand::reg_use).for_each(each);
            }
            Self::Return(value) => {
                value.reg().iter().for_each(|reg| each(Operand::reg_fixed_use(*reg, preg(0))));
            }
        }
    }

    /// Shows each register that it reads, those that it hands over included, and each that it writes.
    pub fn for_each_register(&self, mut each: impl FnMut(VReg, OperandKind)) {
        self.for_each_operand(|operand| each(operand.vreg(), operand.kind()));
        if let Self::Jump(target) = self {
            target.args.iter().for_each(|arg| each(*arg, OperandKind::Use));
        }
    }

    /// Registers that hold nothing afterwards.
    #[must_use]
    pub fn clobbers(&self) -> PRegSet {
        let mut set = PRegSet::empty();
        if let Self::Call { result, .. } = self {
            let first = if result.is_some() { 1 } else { 0 };
            (first..=5).for_each(|number| set.add(preg(number)));
        }
        set
    }

    /// Whether it ends a block by going to another.
    #[must_use]
    pub fn is_branch(&self) -> bool {
        matches!(self, Self::Jump(_) | Self::Branch { .. })
    }

    /// The blocks it may go to: then before otherwise.
    pub fn targets(&self) -> impl Iterator<Item = Block> + use<> {
        let (first, second) = match self {
            Self::Jump(target) => (Some(target.block), None),
            Self::Branch { then, otherwise, .. } => (Some(*then), Some(*otherwise)),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }
}

/// A block under selection.
#[derive(Clone, Debug, Default)]
pub struct VBlock {
    /// Values that a jump hands over.
    pub params: Vec<VReg>,
    /// In order, the last of them a terminator.
    pub insts: Vec<(VInst, Span)>,
}

/// A function with virtual registers. What belongs to blocks and instructions lies in lists for all of them.
#[derive(Debug, Default)]
pub struct VCode {
    blocks: Vec<BlockInfo>,
    params: Vec<VReg>,
    succs: Vec<Block>,
    preds: Vec<Block>,
    insts: Vec<VInst>,
    spans: Vec<Span>,
    operands: Vec<Operand>,
    /// Where the operands of each instruction end; they begin where those before end.
    operand_ends: Vec<usize>,
    vregs: usize,
}

/// Where the parts of a block lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct BlockInfo {
    insts: Range<usize>,
    params: Range<usize>,
    succs: Range<usize>,
    preds: Range<usize>,
}

#[expect(clippy::indexing_slicing, reason = "blocks and instructions are numbered by this type alone")]
impl VCode {
    /// Numbers the instructions of finished blocks; block 0 is the entry.
    #[must_use]
    pub fn new(blocks: Vec<VBlock>, vregs: usize) -> Self {
        let mut code = Self { vregs, ..Self::default() };
        code.blocks.reserve(blocks.len());
        for block in blocks {
            code.block(block);
        }
        code.find_predecessors();
        code
    }

    fn block(&mut self, block: VBlock) {
        let (insts, params, succs) = (self.insts.len(), self.params.len(), self.succs.len());
        for (inst, span) in block.insts {
            inst.for_each_operand(|operand| self.operands.push(operand));
            self.operand_ends.push(self.operands.len());
            self.insts.push(inst);
            self.spans.push(span);
        }
        self.params.extend(block.params);
        if let Some(last) = self.insts.last() {
            self.succs.extend(last.targets());
        }
        self.blocks.push(BlockInfo {
            insts: insts..self.insts.len(),
            params: params..self.params.len(),
            succs: succs..self.succs.len(),
            preds: 0..0,
        });
    }

    fn find_predecessors(&mut self) {
        for succ in &self.succs {
            self.blocks[succ.index()].preds.end += 1;
        }
        let mut end = 0;
        for info in &mut self.blocks {
            let start = end;
            end += info.preds.end;
            // Filled below, from the start.
            info.preds = start..start;
        }
        self.preds = vec![Block::invalid(); end];
        for number in 0..self.blocks.len() {
            for succ in &self.succs[self.blocks[number].succs.clone()] {
                let preds = &mut self.blocks[succ.index()].preds;
                self.preds[preds.end] = Block::new(number);
                preds.end += 1;
            }
        }
    }

    /// An instruction.
    #[must_use]
    pub fn inst(&self, inst: Inst) -> &VInst {
        &self.insts[inst.index()]
    }

    /// Where in the policy it comes from.
    #[must_use]
    pub fn span(&self, inst: Inst) -> Span {
        self.spans[inst.index()]
    }

    /// What the allocator sees of it, and no more.
    #[must_use]
    pub fn without_spans(self) -> Self {
        Self { spans: Vec::new(), ..self }
    }

    /// Whether the allocator cannot tell two functions apart: they have the same blocks, and instructions at the same
    /// places whose operands are bound to registers in the same ways. What they compute with may differ.
    #[must_use]
    pub fn is_allocated_like(&self, other: &Self) -> bool {
        fn seen(inst: &VInst) -> (PRegSet, bool, bool, &[VReg]) {
            let args = match inst {
                VInst::Jump(target) => target.args.as_slice(),
                _ => &[],
            };
            (inst.clobbers(), inst.is_branch(), matches!(inst, VInst::Return(_)), args)
        }
        self.vregs == other.vregs
            && self.blocks == other.blocks
            && self.operand_ends == other.operand_ends
            && self.operands == other.operands
            && [&self.succs, &self.preds] == [&other.succs, &other.preds]
            && self.params == other.params
            && self.insts.iter().map(seen).eq(other.insts.iter().map(seen))
    }

    /// All blocks.
    pub fn blocks(&self) -> impl Iterator<Item = Block> + use<> {
        (0..self.blocks.len()).map(Block::new)
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "the allocator asks only for what `num_blocks` and `num_insts` announce"
)]
impl regalloc2::Function for VCode {
    fn num_insts(&self) -> usize {
        self.insts.len()
    }

    fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    fn entry_block(&self) -> Block {
        Block::new(0)
    }

    fn block_insns(&self, block: Block) -> InstRange {
        let Range { start, end } = self.blocks[block.index()].insts;
        InstRange::new(Inst::new(start), Inst::new(end))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.succs[self.blocks[block.index()].succs.clone()]
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.preds[self.blocks[block.index()].preds.clone()]
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.params[self.blocks[block.index()].params.clone()]
    }

    fn is_ret(&self, inst: Inst) -> bool {
        matches!(self.insts[inst.index()], VInst::Return(_))
    }

    fn is_branch(&self, inst: Inst) -> bool {
        self.insts[inst.index()].is_branch()
    }

    fn branch_blockparams(&self, _: Block, inst: Inst, _: usize) -> &[VReg] {
        match &self.insts[inst.index()] {
            VInst::Jump(target) => &target.args,
            _ => &[],
        }
    }

    fn inst_operands(&self, inst: Inst) -> &[Operand] {
        let start = match inst.index() {
            0 => 0,
            at => self.operand_ends[at - 1],
        };
        &self.operands[start..self.operand_ends[inst.index()]]
    }

    fn inst_clobbers(&self, inst: Inst) -> PRegSet {
        self.insts[inst.index()].clobbers()
    }

    fn num_vregs(&self) -> usize {
        self.vregs
    }

    fn spillslot_size(&self, _: RegClass) -> usize {
        1
    }
}
