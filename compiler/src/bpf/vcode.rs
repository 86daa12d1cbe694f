//! BPF with virtual registers: what selection makes and register allocation reads.
//!
//! Owns each instruction's operands and constraints: two-address arithmetic, arguments in R1–R5, the
//! result in R0. Knows the calling convention; knows neither the IR's types nor encodings.

use core::fmt;

use oomc_abi::helpers::Helper;
use oomc_abi::kfuncs::KfuncId;
use regalloc2::{Block, Inst, InstRange, Operand, OperandKind, PReg, PRegSet, RegClass, VReg};

use super::insn::{AluOp, Src, Width, access, cond_symbol};
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
    /// Operands, uses before the definition. The order is the order of the allocations.
    #[must_use]
    pub fn operands(&self) -> Vec<Operand> {
        let mut operands = Vec::new();
        let source = |src: &Src<VReg>| match src {
            Src::Reg(reg) => Some(Operand::reg_use(*reg)),
            Src::Imm(_) => None,
        };
        let address = |base: &Base| match base {
            Base::Reg(reg) => Some(Operand::reg_use(*reg)),
            Base::Frame => None,
        };
        match self {
            Self::Arguments { dsts } => {
                operands.extend(dsts.iter().map(|(dst, reg)| Operand::reg_fixed_def(*dst, preg(*reg))));
            }
            Self::Mov { dst, .. }
            | Self::Mov32 { dst, .. }
            | Self::Wide { dst, .. }
            | Self::Address { dst, .. }
            | Self::FrameAddress { dst, .. } => operands.push(Operand::reg_def(*dst)),
            Self::Alu { dst, a, b, .. } => {
                operands.push(Operand::reg_use(*a));
                operands.extend(source(b));
                operands.push(Operand::reg_reuse_def(*dst, 0));
            }
            Self::Neg { dst, a } => {
                operands.extend([Operand::reg_use(*a), Operand::reg_reuse_def(*dst, 0)]);
            }
            // A spilled value goes straight to and from the register that a call wants it in.
            Self::Copy { dst, a, from_call: true } => {
                operands.extend([Operand::reg_use(*a), Operand::any_def(*dst)]);
            }
            Self::Copy { dst, a, from_call: false } => {
                operands.extend([Operand::any_use(*a), Operand::reg_def(*dst)]);
            }
            Self::SignExtend { dst, a, .. } => {
                operands.extend([Operand::reg_use(*a), Operand::reg_def(*dst)]);
            }
            Self::Load { dst, base, .. } => {
                operands.extend(address(base));
                operands.push(Operand::reg_def(*dst));
            }
            Self::Store { base, src, .. } => {
                operands.extend(address(base));
                operands.extend(source(src));
            }
            Self::Call { args, result, .. } => {
                let fixed = args.iter().zip(1..);
                operands.extend(fixed.map(|(arg, number)| Operand::reg_fixed_use(*arg, preg(number))));
                operands.extend(result.map(|result| Operand::reg_fixed_def(result, preg(0))));
            }
            Self::Mark { object, .. } => operands.extend(object.map(Operand::reg_use)),
            Self::Jump(_) => {}
            Self::Branch { a, b, .. } => {
                operands.push(Operand::reg_use(*a));
                operands.extend(source(b));
            }
            Self::Return(value) => {
                if let Src::Reg(reg) = value {
                    operands.push(Operand::reg_fixed_use(*reg, preg(0)));
                }
            }
        }
        operands
    }

    /// The registers that it writes: at most one, but for [`Self::Arguments`].
    #[must_use]
    pub fn definitions(&self) -> Vec<VReg> {
        let operands = self.operands().into_iter();
        operands.filter(|operand| operand.kind() == OperandKind::Def).map(|operand| operand.vreg()).collect()
    }

    /// The registers that it reads, those that it hands over included.
    #[must_use]
    pub fn uses(&self) -> Vec<VReg> {
        let operands = self.operands();
        let uses = operands.into_iter().filter(|operand| operand.kind() == OperandKind::Use);
        let mut uses: Vec<VReg> = uses.map(|operand| operand.vreg()).collect();
        if let Self::Jump(target) = self {
            uses.extend(&target.args);
        }
        uses
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

    /// The blocks it may go to.
    #[must_use]
    pub fn targets(&self) -> Vec<Block> {
        match self {
            Self::Jump(target) => vec![target.block],
            Self::Branch { then, otherwise, .. } => vec![*then, *otherwise],
            _ => Vec::new(),
        }
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

/// A function with virtual registers.
#[derive(Debug, Default)]
pub struct VCode {
    blocks: Vec<BlockInfo>,
    insts: Vec<VInst>,
    spans: Vec<Span>,
    operands: Vec<Vec<Operand>>,
    vregs: usize,
}

#[derive(Debug, Default)]
struct BlockInfo {
    range: (usize, usize),
    params: Vec<VReg>,
    succs: Vec<Block>,
    preds: Vec<Block>,
}

#[expect(clippy::indexing_slicing, reason = "blocks and instructions are numbered by this type alone")]
impl VCode {
    /// Numbers the instructions of finished blocks; block 0 is the entry.
    #[must_use]
    pub fn new(blocks: Vec<VBlock>, vregs: usize) -> Self {
        let mut code = Self { vregs, ..Self::default() };
        code.blocks.resize_with(blocks.len(), BlockInfo::default);
        for (index, block) in blocks.into_iter().enumerate() {
            let first = code.insts.len();
            for (inst, span) in block.insts {
                code.operands.push(inst.operands());
                code.insts.push(inst);
                code.spans.push(span);
            }
            let succs = code.insts.last().map(VInst::targets).unwrap_or_default();
            for succ in &succs {
                code.blocks[succ.index()].preds.push(Block::new(index));
            }
            let info = &mut code.blocks[index];
            info.range = (first, code.insts.len());
            info.params = block.params;
            info.succs = succs;
        }
        code
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
        let (first, end) = self.blocks[block.index()].range;
        InstRange::new(Inst::new(first), Inst::new(end))
    }

    fn block_succs(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].succs
    }

    fn block_preds(&self, block: Block) -> &[Block] {
        &self.blocks[block.index()].preds
    }

    fn block_params(&self, block: Block) -> &[VReg] {
        &self.blocks[block.index()].params
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
        &self.operands[inst.index()]
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

/// A virtual register as text.
struct Name(VReg);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0.vreg())
    }
}

fn source(src: &Src<VReg>) -> String {
    match src {
        Src::Reg(reg) => Name(*reg).to_string(),
        Src::Imm(imm) => imm.to_string(),
    }
}

fn base(base: &Base) -> String {
    match base {
        Base::Reg(reg) => Name(*reg).to_string(),
        Base::Frame => "r10".into(),
    }
}

fn list(regs: &[VReg]) -> String {
    regs.iter().map(|reg| Name(*reg).to_string()).collect::<Vec<_>>().join(", ")
}

impl VInst {
    /// The instruction as text; `symbol` and `core` name what relocations refer to.
    #[must_use]
    pub fn text(&self, symbol: impl Fn(RelocTarget) -> String, core: impl Fn(CoreKind) -> String) -> String {
        let note =
            |kind: &Option<CoreKind>| kind.map(|kind| format!("  ; {}", core(kind))).unwrap_or_default();
        match self {
            Self::Arguments { dsts } => {
                let list: Vec<String> =
                    dsts.iter().map(|(dst, reg)| format!("{} = r{reg}", Name(*dst))).collect();
                list.join(", ")
            }
            Self::Mov { dst, imm, core } => format!("{} = {imm}{}", Name(*dst), note(core)),
            Self::Mov32 { dst, imm } => format!("{} = (u32){imm}", Name(*dst)),
            Self::Wide { dst, imm } => format!("{} = {imm:#x} ll", Name(*dst)),
            Self::Address { dst, symbol: target, offset } => {
                format!("{} = &{}{offset:+}", Name(*dst), symbol(*target))
            }
            Self::FrameAddress { dst, off } => format!("{} = r10 {off:+}", Name(*dst)),
            Self::Alu { op, dst, a, b, core } => {
                let op = op.symbol().trim_end_matches('=');
                format!("{} = {} {op} {}{}", Name(*dst), Name(*a), source(b), note(core))
            }
            Self::Neg { dst, a } => format!("{} = -{}", Name(*dst), Name(*a)),
            Self::Copy { dst, a, .. } => format!("{} = {}", Name(*dst), Name(*a)),
            Self::SignExtend { size, dst, a } => {
                format!("{} = ({}){}", Name(*dst), access(*size, true), Name(*a))
            }
            Self::Load { size, signed, dst, base: at, off, core } => {
                let access = access(*size, *signed);
                format!("{} = *({access} *)({} {off:+}){}", Name(*dst), base(at), note(core))
            }
            Self::Store { size, base: at, off, src } => {
                format!("*({} *)({} {off:+}) = {}", access(*size, false), base(at), source(src))
            }
            Self::Call { callee, args, result } => {
                let name = match callee {
                    Callee::Kfunc(id) => id.row().name,
                    Callee::Helper(helper) => helper.name,
                    Callee::Func(func) => &symbol(RelocTarget::Func(*func)),
                };
                let result = result.map(|result| format!("{} = ", Name(result))).unwrap_or_default();
                format!("{result}call {name}({})", list(args))
            }
            Self::Mark { point, object: None } => format!("mark {point}"),
            Self::Mark { point, object: Some(object) } => format!("mark {point}, {}", Name(*object)),
            Self::Jump(target) => format!("goto {}", label(target.block, &target.args)),
            Self::Branch { cond, width, a, b, then, otherwise } => {
                let narrow = if *width == Width::W32 { "(u32)" } else { "" };
                format!(
                    "if {narrow}{} {} {} goto {} else {}",
                    Name(*a),
                    cond_symbol(*cond),
                    source(b),
                    label(*then, &[]),
                    label(*otherwise, &[])
                )
            }
            Self::Return(value) => format!("return {}", source(value)),
        }
    }
}

/// `L3(x1, x2)`
#[must_use]
pub fn label(block: Block, args: &[VReg]) -> String {
    if args.is_empty() {
        format!("L{}", block.index())
    } else {
        format!("L{}({})", block.index(), list(args))
    }
}
