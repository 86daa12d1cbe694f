//! Register allocation: chooses physical registers for one function.
//!
//! Takes VCode, gives blocks of real instructions in which only branches are still symbolic. Knows BPF's
//! calling convention: R0–R5 are lost by a call, R6–R9 survive it, R10 is the frame. The allocator is
//! regalloc2; in debug builds its independent checker proves every run.

use core::fmt;
use std::collections::VecDeque;

use regalloc2::{
    Algorithm, Allocation, Block, Ctx, Edit, Function as _, InstOrEdit, InstRange, MachineEnv, Output,
    PRegSet, RegallocOptions, VReg,
};

use super::frame::Frame;
use super::insn::{self, Insn, Reg, Src, Width};
use super::limits::{self, Error};
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
    /// The blocks that follow, by number: then before otherwise.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = usize> + use<> {
        let (first, second) = match *self {
            Self::Jump(to) => (Some(to), None),
            Self::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            Self::Exit => (None, None),
        };
        first.into_iter().chain(second)
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

/// Functions that are remembered, the newest last: groups of rules of a few kinds are alike.
const REMEMBERED: usize = 8;

/// Allocates registers, one function after another: what the allocator works with is kept from one to the next.
pub struct Allocator {
    env: MachineEnv,
    context: Ctx,
    /// Functions, and what was allocated to them. A large policy has hundreds that differ in numbers alone.
    known: VecDeque<(VCode, Output)>,
}

impl Default for Allocator {
    fn default() -> Self {
        let mut env = MachineEnv {
            preferred_regs_by_class: [PRegSet::empty(); 3],
            non_preferred_regs_by_class: [PRegSet::empty(); 3],
            scratch_by_class: [None; 3],
            fixed_stack_slots: Vec::new(),
        };
        // Those that survive calls last, so that short-lived values leave them to values that live across calls.
        (0..=5).for_each(|number| env.preferred_regs_by_class[0].add(preg(number)));
        (6..=9).for_each(|number| env.non_preferred_regs_by_class[0].add(preg(number)));
        Self { env, context: Ctx::default(), known: VecDeque::new() }
    }
}

impl Allocator {
    /// Allocates registers. Gives the blocks in the order of the VCode and the number of spilled registers.
    ///
    /// # Errors
    /// The allocator found the VCode malformed, or the frame is too large.
    pub fn allocate(&mut self, code: VCode, frame: &Frame) -> Result<(Vec<Allocated>, usize), Error> {
        let known = self.known.iter().position(|(known, _)| known.is_allocated_like(&code));
        let output = match known.and_then(|at| self.known.remove(at)) {
            Some((_, output)) => output,
            None => self.run(&code)?,
        };
        if cfg!(debug_assertions) {
            let mut checker = regalloc2::checker::Checker::new(&code, &self.env);
            checker.prepare(&output);
            checker.run().map_err(|errors| Error::Registers(format!("{errors:?}")))?;
        }
        let result = rewritten(&code, frame, &output);
        self.known.push_back((code.without_spans(), output));
        if self.known.len() > REMEMBERED {
            self.known.pop_front();
        }
        result
    }

    fn run(&mut self, code: &VCode) -> Result<Output, Error> {
        let options = RegallocOptions {
            verbose_log: false,
            validate_ssa: cfg!(debug_assertions),
            algorithm: Algorithm::Ion,
        };
        regalloc2::run_with_ctx(code, &self.env, &options, &mut self.context)
            .cloned()
            .map_err(|error| Error::Registers(format!("{error:?}")))
    }
}

/// The blocks with the registers that were allocated, and how many were spilled.
fn rewritten(code: &VCode, frame: &Frame, output: &Output) -> Result<(Vec<Allocated>, usize), Error> {
    let size = frame.with_spills(output.num_spillslots);
    if size > limits::STACK {
        let slots = frame.slots_size();
        return Err(Error::Stack { slots, spills: size - slots });
    }
    let rewrite = Rewrite { code, frame, output };
    let blocks = code.blocks().map(|block| rewrite.block(block)).collect::<Result<_, _>>()?;
    Ok((blocks, output.num_spillslots))
}

struct Rewrite<'a> {
    code: &'a VCode,
    frame: &'a Frame,
    output: &'a Output,
}

/// The register of an allocation; none if it is on the stack.
fn register(allocation: Allocation) -> Option<Reg> {
    allocation.as_reg().and_then(|preg| Reg::new(preg.hw_enc() as u8))
}

/// The allocations of one instruction, handed out in the order of its operands.
struct Operands<'a>(core::slice::Iter<'a, Allocation>);

impl Operands<'_> {
    fn any(&mut self) -> Result<Allocation, Error> {
        self.0.next().copied().ok_or(Error::Internal("an operand has no allocation"))
    }

    fn next(&mut self) -> Result<Reg, Error> {
        // Every operand but those of copies is constrained to a register.
        register(self.any()?).ok_or(Error::Internal("an operand lies on the stack"))
    }

    fn source(&mut self, src: Src<VReg>) -> Result<Src<Reg>, Error> {
        match src {
            Src::Reg(_) => self.next().map(Src::Reg),
            Src::Imm(imm) => Ok(Src::Imm(imm)),
        }
    }

    fn base(&mut self, base: Base) -> Result<Reg, Error> {
        match base {
            Base::Reg(_) => self.next(),
            Base::Frame => Ok(Reg::FRAME),
        }
    }
}

/// Instructions that are written one after another, of the same place in the policy.
struct Body<'a> {
    out: &'a mut Vec<Placed>,
    span: Span,
}

impl Body<'_> {
    fn push(&mut self, insn: Insn) {
        self.out.push(Placed { insn, span: self.span, reloc: None, core: None });
    }

    fn with_reloc(&mut self, insn: Insn, reloc: RelocTarget) {
        self.out.push(Placed { insn, span: self.span, reloc: Some(reloc), core: None });
    }

    fn with_core(&mut self, insn: Insn, core: Option<CoreKind>) {
        self.out.push(Placed { insn, span: self.span, reloc: None, core });
    }
}

impl Rewrite<'_> {
    fn block(&self, block: Block) -> Result<Allocated, Error> {
        let range: InstRange = self.code.block_insns(block);
        let mut out = Vec::with_capacity(range.len());
        let mut end = None;
        let mut span = self.code.span(range.first());
        for item in self.output.block_insts_and_edits(self.code, block) {
            match item {
                InstOrEdit::Edit(Edit::Move { from, to }) => {
                    if let Some(insn) = self.movement(*from, *to)? {
                        Body { out: &mut out, span }.push(insn);
                    }
                }
                InstOrEdit::Inst(inst) => {
                    span = self.code.span(inst);
                    let mut operands = Operands(self.output.inst_allocs(inst).iter());
                    let mut body = Body { out: &mut out, span };
                    end = self.inst(self.code.inst(inst), &mut operands, &mut body)?;
                }
            }
        }
        match end {
            Some(end) => Ok(Allocated { body: out, end, end_span: span }),
            None => Err(Error::Internal("a block has no end")),
        }
    }

    fn movement(&self, from: Allocation, to: Allocation) -> Result<Option<Insn>, Error> {
        if from == to {
            return Ok(None);
        }
        let spill = |allocation: Allocation| match allocation.as_stack() {
            Some(slot) => self.frame.spill(slot.index()),
            None => Err(Error::Internal("a value is moved from nowhere or to nowhere")),
        };
        let (size, base) = (Size::B8, Reg::FRAME);
        match (register(from), register(to)) {
            (Some(src), Some(dst)) => Ok(Some(Insn::Mov { width: Width::W64, dst, src: Src::Reg(src) })),
            (Some(src), None) => Ok(Some(Insn::Store { size, base, off: spill(to)?, src: Src::Reg(src) })),
            (None, Some(dst)) => Ok(Some(Insn::Load { size, signed: false, dst, base, off: spill(from)? })),
            (None, None) => Err(Error::Internal("a value is moved from the stack to the stack")),
        }
    }

    /// Writes an instruction with the registers that it got; gives how the block ends, if it ends with it.
    fn inst(
        &self,
        inst: &VInst,
        operands: &mut Operands<'_>,
        body: &mut Body<'_>,
    ) -> Result<Option<End>, Error> {
        let width = Width::W64;
        match *inst {
            VInst::Arguments { .. } => {}
            VInst::Mov { .. }
            | VInst::Mov32 { .. }
            | VInst::Wide { .. }
            | VInst::Address { .. }
            | VInst::FrameAddress { .. } => constant(inst, operands.next()?, body)?,
            VInst::Alu { op, b, core, .. } => {
                operands.next()?;
                let src = operands.source(b)?;
                body.with_core(Insn::Alu { op, width, dst: operands.next()?, src }, core);
            }
            VInst::Neg { .. } => {
                operands.next()?;
                body.push(Insn::Neg { width, dst: operands.next()? });
            }
            VInst::Copy { .. } => {
                let (from, to) = (operands.any()?, operands.any()?);
                if let Some(insn) = self.movement(from, to)? {
                    body.push(insn);
                }
            }
            VInst::SignExtend { size, .. } => {
                let src = operands.next()?;
                body.push(Insn::MovSx { size, dst: operands.next()?, src });
            }
            VInst::Load { size, signed, base, off, core, .. } => {
                let base = operands.base(base)?;
                body.with_core(Insn::Load { size, signed, dst: operands.next()?, base, off }, core);
            }
            VInst::Store { size, base, off, src } => {
                let base = operands.base(base)?;
                let src = operands.source(src)?;
                body.push(Insn::Store { size, base, off, src });
            }
            VInst::Call { callee, .. } => call(callee, body),
            VInst::Mark { point, object } => {
                let object = object.map(|_| operands.next()).transpose()?;
                body.push(Insn::Mark { point, object });
            }
            VInst::Jump(_) | VInst::Branch { .. } | VInst::Return(_) => {
                return end(inst, operands, body).map(Some);
            }
        }
        Ok(None)
    }
}

/// Writes an instruction that reads no register.
fn constant(inst: &VInst, dst: Reg, body: &mut Body<'_>) -> Result<(), Error> {
    let width = Width::W64;
    match *inst {
        VInst::Mov { imm, core, .. } => body.with_core(Insn::Mov { width, dst, src: Src::Imm(imm) }, core),
        VInst::Mov32 { imm, .. } => body.push(Insn::Mov { width: Width::W32, dst, src: Src::Imm(imm) }),
        VInst::Wide { imm, .. } => body.push(Insn::Wide { dst, imm }),
        VInst::Address { symbol, offset, .. } => {
            // The low half alone is the addend: a negative one would not stay in it.
            body.with_reloc(Insn::Wide { dst, imm: i64::from(offset as u32) }, symbol);
        }
        VInst::FrameAddress { off, .. } => {
            body.push(Insn::Mov { width, dst, src: Src::Reg(Reg::FRAME) });
            body.push(Insn::Alu { op: insn::AluOp::Add, width, dst, src: Src::Imm(off) });
        }
        _ => return Err(Error::Internal("an instruction that reads registers is a constant")),
    }
    Ok(())
}

fn call(callee: Callee, body: &mut Body<'_>) {
    let unresolved = Insn::Call(insn::Callee::Unresolved);
    match callee {
        Callee::Kfunc(id) => body.with_reloc(unresolved, RelocTarget::Kfunc(id)),
        Callee::Func(func) => body.with_reloc(unresolved, RelocTarget::Func(func)),
        Callee::Helper(helper) => body.push(Insn::Call(insn::Callee::Helper(helper.id))),
    }
}

fn end(inst: &VInst, operands: &mut Operands<'_>, body: &mut Body<'_>) -> Result<End, Error> {
    match *inst {
        VInst::Jump(ref target) => Ok(End::Jump(target.block.index())),
        VInst::Branch { cond, width, b, then, otherwise, .. } => {
            let a = operands.next()?;
            let b = operands.source(b)?;
            let (then, otherwise) = (then.index(), otherwise.index());
            Ok(End::Branch { cond, width, a, b, then, otherwise })
        }
        VInst::Return(value) => {
            if let Src::Imm(imm) = value {
                body.push(Insn::Mov { width: Width::W64, dst: Reg::R0, src: Src::Imm(imm) });
            }
            Ok(End::Exit)
        }
        _ => Err(Error::Internal("an instruction that ends no block ends one")),
    }
}
