//! Instruction selection: IR to VCode.
//!
//! Takes a verified function, gives BPF with virtual registers in which no critical edge is left. What
//! costs one instruction and reads no register — constants, addresses of slots and globals, facts of the
//! target's BTF — is made where it is used, so that it is never carried across a call. The address of a
//! global takes two places and is shared until the next call, also by blocks with one way in.

mod inst;
mod operand;

use cranelift_entity::{EntityRef as _, SecondaryMap};
use oomc_abi::resolve::BitField;
use regalloc2::{Block as VBlockId, VReg};

use super::RelocTarget;
use super::facts::Facts;
use super::frame::Frame;
use super::limits::Error;
use super::lists::Lists;
use super::live_across_calls;
use super::vcode::{CLASS, Callee, Target, VBlock, VCode, VInst};
use crate::ir::{
    Block, BlockCall, Cond, FieldFact, Function, Global, Inst, InstData, KsymRef, Operand, Value, cfg::Cfg,
};
use crate::source::Span;

/// Selects instructions for a function.
///
/// # Errors
/// The view lacks a member or enumerator, or an offset does not fit its instruction.
pub fn select(func: &Function, facts: &Facts<'_>, frame: &Frame) -> Result<VCode, Error> {
    Select::new(func, facts, frame).run()
}

/// From so many uses on the address of a global is kept through the function.
const OFTEN: usize = 24;

/// A value that several uses in a row may share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shared {
    Global(Global),
    Ksym(KsymRef),
    Wide(i64),
}

struct Select<'a> {
    func: &'a Function,
    facts: &'a Facts<'a>,
    frame: &'a Frame,
    cfg: Cfg,
    /// The instructions that read each value.
    uses: Lists<Inst>,
    vregs: SecondaryMap<Value, Option<VReg>>,
    /// The argument of the program.
    context: Option<VReg>,
    /// The VCode blocks: each block of the IR in the order of the layout, and after it the edges that
    /// leave it.
    blocks: Vec<VBlock>,
    /// The block that takes instructions.
    current: usize,
    numbers: SecondaryMap<Block, usize>,
    /// The address of the global that the function uses most, made once at the entry.
    pinned: Option<(Global, VReg)>,
    shared: Vec<(Shared, VReg)>,
    /// What was shared where a block ended.
    shared_at_end: Vec<Vec<(Shared, VReg)>>,
    span: Span,
    next_vreg: usize,
}

impl<'a> Select<'a> {
    fn new(func: &'a Function, facts: &'a Facts<'a>, frame: &'a Frame) -> Self {
        let cfg = Cfg::new(func);
        let mut uses = Vec::new();
        for block in cfg.reachable(func) {
            for &inst in &func.blocks[block].insts {
                func.insts[inst].for_each_use(|value| uses.push((value.index(), inst)));
            }
        }
        let uses = Lists::new(func.values.len(), &uses);
        Self {
            func,
            facts,
            frame,
            cfg,
            uses,
            vregs: SecondaryMap::new(),
            context: None,
            blocks: Vec::new(),
            current: 0,
            numbers: SecondaryMap::new(),
            pinned: None,
            shared: Vec::new(),
            shared_at_end: Vec::new(),
            span: Span::default(),
            next_vreg: 0,
        }
    }

    fn run(mut self) -> Result<VCode, Error> {
        // Numbers first: a branch names blocks that are not yet selected.
        let mut number = 0;
        for block in self.cfg.reachable(self.func) {
            self.numbers[block] = number;
            number += 1 + self.edges(block).into_iter().filter(|split| *split).count();
        }
        self.blocks.resize_with(number, VBlock::default);
        self.shared_at_end.resize_with(number, Vec::new);
        // Definitions before uses: a use may find that its definition was merged with another.
        let order: Vec<Block> = self.cfg.reverse_postorder().collect();
        for block in order {
            self.block(block)?;
        }
        live_across_calls::copy(&mut self.blocks, &mut self.next_vreg);
        Ok(VCode::new(self.blocks, self.next_vreg))
    }

    /// Which ways out of a branch need a block of their own: those that carry arguments, and those into a
    /// block with another way in.
    fn edges(&self, block: Block) -> [bool; 2] {
        match self.func.terminator(block) {
            Some(InstData::Branch { then, otherwise, .. }) => [then, otherwise]
                .map(|call| !call.args.is_empty() || self.cfg.predecessors(call.block).len() > 1),
            _ => [false; 2],
        }
    }

    fn uses(&self, value: Value) -> &[Inst] {
        self.uses.get(value.index())
    }

    fn fresh(&mut self) -> VReg {
        let vreg = VReg::new(self.next_vreg, CLASS);
        self.next_vreg += 1;
        vreg
    }

    /// The register that holds a value's definition.
    fn define(&mut self, value: Value) -> VReg {
        if let Some(vreg) = self.vregs[value] {
            return vreg;
        }
        let vreg = self.fresh();
        self.vregs[value] = Some(vreg);
        vreg
    }

    fn push(&mut self, inst: VInst) {
        self.blocks[self.current].insts.push((inst, self.span));
    }

    /// Continues in a block; `from` is the only block that leads there, if there is only one.
    fn open(&mut self, number: usize, from: Option<usize>) {
        self.shared_at_end[self.current] = core::mem::take(&mut self.shared);
        self.current = number;
        if let Some(from) = from {
            self.shared.clone_from(&self.shared_at_end[from]);
        }
    }

    fn block(&mut self, block: Block) -> Result<(), Error> {
        let func = self.func;
        let from = match *self.cfg.predecessors(block) {
            [from] => Some(self.numbers[from]),
            _ => None,
        };
        self.open(self.numbers[block], from);
        self.blocks[self.current].params =
            func.blocks[block].params.iter().map(|param| self.define(*param)).collect();
        if func.entry() == Some(block) {
            self.arguments();
            self.pin();
        }
        for &inst in &func.blocks[block].insts {
            self.span = func.spans[inst];
            self.inst(block, inst)?;
        }
        Ok(())
    }

    /// Takes over what the function is called with: all at once, before any register is used otherwise.
    fn arguments(&mut self) {
        let func = self.func;
        let mut dsts: Vec<(VReg, u8)> = Vec::new();
        for inst in self.cfg.reachable(func).flat_map(|block| &func.blocks[block].insts).collect::<Vec<_>>() {
            match (&func.insts[*inst], func.results[*inst]) {
                (InstData::LoadCtx(_), _) if self.context.is_none() => {
                    let dst = self.fresh();
                    self.context = Some(dst);
                    dsts.push((dst, 1));
                }
                (InstData::Param(at), Some(result)) if !self.uses(result).is_empty() => {
                    let reg = *at as u8 + 1;
                    match dsts.iter().find(|(_, taken)| *taken == reg) {
                        // The same parameter read twice.
                        Some((dst, _)) => self.vregs[result] = Some(*dst),
                        None => dsts.push((self.define(result), reg)),
                    }
                }
                _ => {}
            }
        }
        if !dsts.is_empty() {
            self.push(VInst::Arguments { dsts });
        }
    }

    /// Makes the address of the global that the function uses most, if it is used often: a register, or a place on
    /// the stack, is cheaper than the address again and again.
    fn pin(&mut self) {
        let func = self.func;
        let mut counts: SecondaryMap<Global, usize> = SecondaryMap::new();
        for inst in func.layout.iter().flat_map(|block| &func.blocks[*block].insts) {
            if let (InstData::GlobalAddr { global, .. }, Some(result)) =
                (&func.insts[*inst], func.results[*inst])
            {
                counts[*global] += self.uses(result).len();
            }
        }
        let most = counts.iter().max_by_key(|(_, count)| **count);
        if let Some((global, _)) = most.filter(|(_, count)| **count >= OFTEN) {
            let dst = self.fresh();
            self.push(VInst::Address { dst, symbol: RelocTarget::Global(global), offset: 0 });
            self.pinned = Some((global, dst));
        }
    }

    fn target(&mut self, call: &BlockCall) -> Result<Target, Error> {
        let args = call.args.iter().map(|arg| self.reg(*arg)).collect::<Result<Vec<_>, _>>()?;
        Ok(Target { block: VBlockId::new(self.numbers[call.block]), args })
    }

    fn branch(
        &mut self,
        block: Block,
        cond: Cond,
        a: Value,
        b: Operand,
        calls: [&BlockCall; 2],
    ) -> Result<(), Error> {
        let (mut cond, mut a, mut b) = (cond, a, b);
        if let Operand::Value(right) = b
            && self.constant(a).is_some()
            && self.constant(right).is_none()
        {
            (cond, a, b) = (cond.swapped(), right, Operand::Value(a));
        }
        let width = self.compare_width(a);
        let b = self.source(b)?;
        let a = self.reg(a)?;
        let from = self.current;
        let split = self.edges(block);
        // Edges that need a block of their own have the numbers behind this block's.
        let [first, second] = [from + 1, from + 1 + usize::from(split[0])];
        let edges = [(split[0], first, calls[0]), (split[1], second, calls[1])];
        let [then, otherwise] = edges.map(|(split, number, call)| {
            VBlockId::new(if split { number } else { self.numbers[call.block] })
        });
        self.push(VInst::Branch { cond, width, a, b, then, otherwise });
        for (_, number, call) in edges.into_iter().filter(|(split, ..)| *split) {
            self.open(number, Some(from));
            let target = self.target(call)?;
            self.push(VInst::Jump(target));
        }
        Ok(())
    }
}

/// What the kernel compiled against says of a bit-field.
pub(crate) fn bit_fact(fact: FieldFact, bits: &BitField) -> u32 {
    match fact {
        FieldFact::Size => bits.size,
        FieldFact::LeftShift => bits.left,
        FieldFact::RightShift => bits.right,
        FieldFact::Offset => bits.offset,
    }
}

fn offset_of(offset: i64) -> Result<i32, Error> {
    i32::try_from(offset).map_err(|_| Error::Offset { offset })
}
