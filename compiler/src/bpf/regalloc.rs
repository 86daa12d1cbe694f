//! Register allocation: chooses physical registers for one function.
//!
//! Takes VCode, gives blocks of real instructions in which only branches are still symbolic. Knows BPF's
//! calling convention: R0–R5 are lost by a call, R6–R9 survive it, R10 is the frame. The allocator is
//! regalloc2; in debug builds its independent checker proves every run.

use core::fmt;

use regalloc2::{
    Algorithm, Allocation, Block, Edit, Function as _, InstOrEdit, InstRange, MachineEnv, Output, PRegSet,
    RegallocOptions, SpillSlot, VReg,
};

use super::frame::Frame;
use super::insn::{self, Insn, Reg, Src, Width};
use super::limits::Error;
use super::vcode::{Base, Callee, VCode, VInst, preg};
use super::{CoreKind, RelocTarget};
use crate::ir::{Cond, Size};
use crate::source::Span;

/// An instruction and what the linker or loader must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The instruction.
    pub insn: Insn,
    /// Where in the policy it comes from.
    pub span: Span,
    /// The symbol that it refers to.
    pub reloc: Option<RelocTarget>,
    /// The fact of the build's BTF that it holds.
    pub core: Option<CoreKind>,
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in VCode")]
pub enum End {
    Jump(usize),
    Branch { cond: Cond, width: Width, a: Reg, b: Src<Reg>, then: usize, otherwise: usize },
    Exit,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Jump(to) => write!(f, "goto L{to}"),
            Self::Branch { cond, width, a, b, then, otherwise } => {
                // As the instruction is printed, but with a block to go to.
                let jump = Insn::JumpIf { cond, width, a, b, off: 0 }.to_string();
                write!(f, "{} L{then} else L{otherwise}", jump.trim_end_matches(" pc+0"))
            }
            Self::Exit => f.write_str("exit"),
        }
    }
}

impl End {
    /// The blocks that follow, by number.
    #[must_use]
    pub fn targets(&self) -> Vec<usize> {
        match *self {
            Self::Jump(to) => vec![to],
            Self::Branch { then, otherwise, .. } => vec![then, otherwise],
            Self::Exit => Vec::new(),
        }
    }
}

/// A block of real instructions.
#[derive(Clone, Debug)]
pub struct Allocated {
    /// All but the end.
    pub body: Vec<Placed>,
    /// The end.
    pub end: End,
    /// Where in the policy the end comes from.
    pub end_span: Span,
}

/// Allocates registers. Gives the blocks in the order of the VCode and the number of spilled registers.
///
/// # Errors
/// The allocator found the VCode malformed.
pub fn allocate(code: &VCode, frame: &Frame) -> Result<(Vec<Allocated>, usize), Error> {
    let mut env = MachineEnv {
        preferred_regs_by_class: [PRegSet::empty(); 3],
        non_preferred_regs_by_class: [PRegSet::empty(); 3],
        scratch_by_class: [None; 3],
        fixed_stack_slots: Vec::new(),
    };
    // The survivors last, so that short-lived values leave them to values that live across calls.
    (0..=5).for_each(|number| env.preferred_regs_by_class[0].add(preg(number)));
    (6..=9).for_each(|number| env.non_preferred_regs_by_class[0].add(preg(number)));
    let options = RegallocOptions {
        verbose_log: false,
        validate_ssa: cfg!(debug_assertions),
        algorithm: Algorithm::Ion,
    };
    let output =
        regalloc2::run(code, &env, &options).map_err(|error| Error::Registers(format!("{error:?}")))?;
    if cfg!(debug_assertions) {
        let mut checker = regalloc2::checker::Checker::new(code, &env);
        checker.prepare(&output);
        checker.run().map_err(|errors| Error::Registers(format!("{errors:?}")))?;
    }
    let blocks = code.blocks().map(|block| Rewrite { code, frame, output: &output }.block(block)).collect();
    Ok((blocks, output.num_spillslots))
}

struct Rewrite<'a> {
    code: &'a VCode,
    frame: &'a Frame,
    output: &'a Output,
}

/// The allocations of one instruction, handed out in the order of its operands.
struct Operands<'a>(core::slice::Iter<'a, Allocation>);

impl Operands<'_> {
    fn next(&mut self) -> Reg {
        let reg = self.0.next().and_then(|allocation| allocation.as_reg());
        // Every operand is constrained to a register, so the allocator gives no other place.
        reg.and_then(|preg| Reg::new(preg.hw_enc() as u8)).unwrap_or(Reg::FRAME)
    }

    fn source(&mut self, src: Src<VReg>) -> Src<Reg> {
        match src {
            Src::Reg(_) => Src::Reg(self.next()),
            Src::Imm(imm) => Src::Imm(imm),
        }
    }

    fn base(&mut self, base: Base) -> Reg {
        match base {
            Base::Reg(_) => self.next(),
            Base::Frame => Reg::FRAME,
        }
    }
}

impl Rewrite<'_> {
    fn block(&self, block: Block) -> Allocated {
        let mut out = Allocated { body: Vec::new(), end: End::Exit, end_span: Span::default() };
        let range: InstRange = self.code.block_insns(block);
        let mut span = self.code.span(range.first());
        for item in self.output.block_insts_and_edits(self.code, block) {
            match item {
                InstOrEdit::Edit(Edit::Move { from, to }) => {
                    out.body.extend(self.movement(*from, *to).map(|insn| plain(insn, span)));
                }
                InstOrEdit::Inst(inst) => {
                    span = self.code.span(inst);
                    let operands = Operands(self.output.inst_allocs(inst).iter());
                    self.inst(self.code.inst(inst), operands, span, &mut out);
                }
            }
        }
        out
    }

    fn spill(&self, slot: SpillSlot) -> i16 {
        self.frame.spill(slot.index())
    }

    fn movement(&self, from: Allocation, to: Allocation) -> Option<Insn> {
        if from == to {
            return None;
        }
        let reg = |allocation: Allocation| allocation.as_reg().and_then(|preg| Reg::new(preg.hw_enc() as u8));
        match (reg(from), reg(to)) {
            (Some(src), Some(dst)) => Some(Insn::Mov { width: Width::W64, dst, src: Src::Reg(src) }),
            (Some(src), None) => to.as_stack().map(|slot| Insn::Store {
                size: Size::B8,
                base: Reg::FRAME,
                off: self.spill(slot),
                src: Src::Reg(src),
            }),
            (None, Some(dst)) => from.as_stack().map(|slot| Insn::Load {
                size: Size::B8,
                signed: false,
                dst,
                base: Reg::FRAME,
                off: self.spill(slot),
            }),
            // The allocator never moves from stack to stack.
            (None, None) => None,
        }
    }

    fn inst(&self, inst: &VInst, mut operands: Operands<'_>, span: Span, out: &mut Allocated) {
        let mut push = |insn, reloc, core| out.body.push(Placed { insn, span, reloc, core });
        let w64 = Width::W64;
        match *inst {
            VInst::Arguments { .. } => {}
            VInst::Mov { imm, core, .. } => {
                push(Insn::Mov { width: w64, dst: operands.next(), src: Src::Imm(imm) }, None, core);
            }
            VInst::Mov32 { imm, .. } => {
                push(Insn::Mov { width: Width::W32, dst: operands.next(), src: Src::Imm(imm) }, None, None);
            }
            VInst::Wide { imm, .. } => push(Insn::Wide { dst: operands.next(), imm }, None, None),
            VInst::Address { symbol, offset, .. } => {
                // The low half alone is the addend: a negative one would not stay in it.
                let imm = i64::from(offset as u32);
                push(Insn::Wide { dst: operands.next(), imm }, Some(symbol), None);
            }
            VInst::FrameAddress { off, .. } => {
                let dst = operands.next();
                push(Insn::Mov { width: w64, dst, src: Src::Reg(Reg::FRAME) }, None, None);
                push(Insn::Alu { op: insn::AluOp::Add, width: w64, dst, src: Src::Imm(off) }, None, None);
            }
            VInst::Alu { op, b, core, .. } => {
                operands.next();
                let src = operands.source(b);
                push(Insn::Alu { op, width: w64, dst: operands.next(), src }, None, core);
            }
            VInst::Neg { .. } => {
                operands.next();
                push(Insn::Neg { width: w64, dst: operands.next() }, None, None);
            }
            VInst::Copy { .. } => {
                let (from, to) = (operands.0.next(), operands.0.next());
                if let Some(insn) = from.zip(to).and_then(|(from, to)| self.movement(*from, *to)) {
                    push(insn, None, None);
                }
            }
            VInst::SignExtend { size, .. } => {
                let src = operands.next();
                push(Insn::MovSx { size, dst: operands.next(), src }, None, None);
            }
            VInst::Load { size, signed, base, off, core, .. } => {
                let base = operands.base(base);
                push(Insn::Load { size, signed, dst: operands.next(), base, off }, None, core);
            }
            VInst::Store { size, base, off, src } => {
                let base = operands.base(base);
                let src = operands.source(src);
                push(Insn::Store { size, base, off, src }, None, None);
            }
            VInst::Call { callee: Callee::Kfunc(id), .. } => {
                push(Insn::Call(insn::Callee::Unresolved), Some(RelocTarget::Kfunc(id)), None);
            }
            VInst::Call { callee: Callee::Func(func), .. } => {
                push(Insn::Call(insn::Callee::Unresolved), Some(RelocTarget::Func(func)), None);
            }
            VInst::Call { callee: Callee::Helper(helper), .. } => {
                push(Insn::Call(insn::Callee::Helper(helper.id)), None, None);
            }
            VInst::Mark { point, object } => {
                push(Insn::Mark { point, object: object.map(|_| operands.next()) }, None, None);
            }
            VInst::Jump(ref target) => {
                out.end = End::Jump(target.block.index());
                out.end_span = span;
            }
            VInst::Branch { cond, width, b, then, otherwise, .. } => {
                let a = operands.next();
                let b = operands.source(b);
                let (then, otherwise) = (then.index(), otherwise.index());
                out.end = End::Branch { cond, width, a, b, then, otherwise };
                out.end_span = span;
            }
            VInst::Return(value) => {
                if let Src::Imm(imm) = value {
                    push(Insn::Mov { width: w64, dst: Reg::R0, src: Src::Imm(imm) }, None, None);
                }
                out.end = End::Exit;
                out.end_span = span;
            }
        }
    }
}

fn plain(insn: Insn, span: Span) -> Placed {
    Placed { insn, span, reloc: None, core: None }
}
