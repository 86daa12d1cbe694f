//! Clears what registers and spills hold by chance where the verifier compares its states.
//!
//! At a call of an iterator's `next` the verifier asks whether it was there before in an equal state, and
//! at this place it compares dead registers and stack slots too (`regsafe` and `stacksafe` in
//! `kernel/bpf/verifier.c`, 6.12: liveness counts only where states need not be exact). What the last
//! comparison in a loop's body left in R2 would then multiply the states of the whole loop. So whatever is
//! dead here and does not hold the same on every way to this place is set to 0.
//!
//! In the body of such a loop the same holds wherever ways meet, as long as the loop is looked at (`force_exact` in
//! `is_state_visited`): without more, each way through one condition is followed through all conditions behind
//! it. So what is dead is also cleared where many ways meet; where few do, the clearing would cost more.

use oomc_abi::helpers;
use oomc_abi::kfuncs::Ret;

use super::RelocTarget;
use super::frame::Frame;
use super::insn::{Callee, Insn, Reg, Src, Width};
use super::limits::Error;
use super::regalloc::{Allocated, End, Placed};
use super::split_joins::joins_to_split;
use crate::ir::{Function, Size};
use crate::source::Span;

/// Places: bits 0–9 the registers, from bit 10 the spills.
pub(super) type Set = u128;

const FIRST_SPILL: u32 = 10;
/// R1–R5.
const ARGUMENTS: Set = 0b11_1110;
const R0: Set = 1;

/// Inserts the clearing instructions.
///
/// # Errors
/// An instruction that no stage before should have made.
pub fn clear(blocks: &mut [Allocated], frame: &Frame, func: &Function) -> Result<(), Error> {
    let compared: Vec<bool> = blocks.iter().map(|block| block.body.iter().any(is_next)).collect();
    if !compared.contains(&true) {
        return Ok(());
    }
    let pass = ClearDead { frame, func, split: joins_to_split(blocks), compared };
    let live_in = pass.live(blocks)?;
    let held_in = pass.held(blocks, &live_in)?;
    for number in 0..blocks.len() {
        if pass.clears(number) {
            let live_out = out(&live_in, &blocks[number].end);
            pass.block(&mut blocks[number], pass.split[number], live_out, held_in[number])?;
        }
    }
    pass.drop_repeated(blocks)
}

/// What places may hold.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Held {
    /// Nothing: never written, or lost in a call.
    nothing: Set,
    /// The constant 0.
    zero: Set,
    /// Anything else.
    other: Set,
}

impl Held {
    /// Places that do not hold nothing on every way, nor 0 on every way.
    fn uneven(self) -> Set {
        self.other | self.nothing & self.zero
    }

    /// Once what is dead and uneven was set to 0.
    fn cleared(self, live: Set) -> Self {
        let cleared = self.uneven() & !live;
        let held = self.only(!cleared);
        Self { zero: held.zero | cleared, ..held }
    }

    fn join(self, with: Self) -> Self {
        Self {
            nothing: self.nothing | with.nothing,
            zero: self.zero | with.zero,
            other: self.other | with.other,
        }
    }

    fn only(self, places: Set) -> Self {
        Self { nothing: self.nothing & places, zero: self.zero & places, other: self.other & places }
    }

    fn after(self, effect: &Effect) -> Self {
        let mut held = self.only(!(effect.writes | effect.clobbers));
        held.nothing |= effect.clobbers;
        *(if effect.zeroes { &mut held.zero } else { &mut held.other }) |= effect.writes;
        held
    }
}

/// What a block does to what places hold: for each place it holds in the end what is fixed, or what it held
/// before, or what it held before made even.
struct Transfer {
    fixed: Held,
    same: Set,
    evened: Set,
}

impl Transfer {
    fn new() -> Self {
        Self { fixed: Held::default(), same: !0, evened: 0 }
    }

    fn clear(&mut self, live: Set) {
        self.fixed = self.fixed.cleared(live);
        self.evened |= self.same & !live;
        self.same &= live;
    }

    fn add(&mut self, effect: &Effect) {
        self.fixed = self.fixed.after(effect);
        let untouched = !(effect.writes | effect.clobbers);
        self.same &= untouched;
        self.evened &= untouched;
    }

    fn apply(&self, held: Held) -> Held {
        self.fixed.join(held.only(self.same)).join(held.cleared(0).only(self.evened))
    }
}

pub(super) fn is_next(placed: &Placed) -> bool {
    matches!(placed.reloc, Some(RelocTarget::Kfunc(id)) if id.row().flags.next)
}

/// What an instruction reads, writes, and leaves without a value.
#[derive(Clone, Copy, Default)]
pub(super) struct Effect {
    pub(super) reads: Set,
    pub(super) writes: Set,
    pub(super) clobbers: Set,
    /// What it writes is the constant 0.
    pub(super) zeroes: bool,
}

impl Effect {
    fn new(reads: Set, writes: Set) -> Self {
        Self { reads, writes, ..Self::default() }
    }
}

fn bit(reg: Reg) -> Set {
    if reg == Reg::FRAME { 0 } else { 1 << reg.number() }
}

fn source(src: Src<Reg>) -> Set {
    match src {
        Src::Reg(reg) => bit(reg),
        Src::Imm(_) => 0,
    }
}

fn end_reads(end: &End) -> Set {
    match *end {
        End::Jump(_) => 0,
        End::Branch { a, b, .. } => bit(a) | source(b),
        End::Exit => R0,
    }
}

/// What is live where a block ends.
fn out(live_in: &[Set], end: &End) -> Set {
    end.targets().fold(0, |live, to| live | live_in[to])
}

pub(super) struct ClearDead<'a> {
    frame: &'a Frame,
    func: &'a Function,
    /// Blocks at whose start the dead is cleared.
    split: Vec<bool>,
    /// Blocks with a call at which the verifier compares states.
    compared: Vec<bool>,
}

impl ClearDead<'_> {
    fn clears(&self, number: usize) -> bool {
        self.split[number] || self.compared[number]
    }

    /// Inserts what clears the dead of one block.
    fn block(&self, block: &mut Allocated, split: bool, live_out: Set, mut held: Held) -> Result<(), Error> {
        let (effects, live_before) = self.live_before_each(block, live_out)?;
        let body = core::mem::take(&mut block.body);
        if split {
            let live = live_before.first().copied().unwrap_or(live_out | end_reads(&block.end));
            let span = body.first().map_or(block.end_span, |placed| placed.span);
            self.zero(held.uneven() & !live, span, &mut block.body)?;
            held = held.cleared(live);
        }
        for ((placed, effect), live) in body.into_iter().zip(effects).zip(live_before) {
            if is_next(&placed) {
                self.zero(held.uneven() & !live, placed.span, &mut block.body)?;
                held = held.cleared(live);
            }
            held = held.after(&effect);
            block.body.push(placed);
        }
        Ok(())
    }

    /// Sets places to 0.
    fn zero(&self, places: Set, span: Span, body: &mut Vec<Placed>) -> Result<(), Error> {
        for place in (0..Set::BITS).filter(|place| places >> place & 1 == 1) {
            let insn = match u8::try_from(place).ok().filter(|_| place < FIRST_SPILL).and_then(Reg::new) {
                Some(dst) => Insn::Mov { width: Width::W64, dst, src: Src::Imm(0) },
                None => Insn::Store {
                    size: Size::B8,
                    base: Reg::FRAME,
                    off: self.frame.spill((place - FIRST_SPILL) as usize)?,
                    src: Src::Imm(0),
                },
            };
            body.push(Placed { insn, span, reloc: None, core: None });
        }
        Ok(())
    }

    /// The spill at this address; nothing if it is none.
    fn spill(&self, base: Reg, off: i16, size: Size) -> Result<Set, Error> {
        let below =
            u32::try_from(-i32::from(off)).ok().and_then(|at| at.checked_sub(self.frame.slots_size()));
        match below {
            Some(below) if base == Reg::FRAME && size == Size::B8 && below > 0 && below % 8 == 0 => 1_u128
                .checked_shl(FIRST_SPILL + below / 8 - 1)
                .ok_or(Error::Internal("a register is spilled below the frame")),
            _ => Ok(0),
        }
    }

    pub(super) fn effect(&self, placed: &Placed) -> Result<Effect, Error> {
        Ok(match placed.insn {
            Insn::Mov { dst, src, .. } => {
                // What a relocation writes there is not known here.
                let fixed = placed.reloc.is_none() && placed.core.is_none();
                Effect { zeroes: fixed && src == Src::Imm(0), ..Effect::new(source(src), bit(dst)) }
            }
            Insn::MovSx { dst, src, .. } => Effect::new(bit(src), bit(dst)),
            Insn::Alu { dst, src, .. } => Effect::new(bit(dst) | source(src), bit(dst)),
            Insn::Neg { dst, .. } => Effect::new(bit(dst), bit(dst)),
            Insn::Wide { dst, .. } => Effect::new(0, bit(dst)),
            Insn::Load { size, dst, base, off, .. } => {
                Effect::new(bit(base) | self.spill(base, off, size)?, bit(dst))
            }
            Insn::Store { size, base, off, src } => {
                let effect = Effect::new(bit(base) | source(src), self.spill(base, off, size)?);
                Effect { zeroes: src == Src::Imm(0), ..effect }
            }
            Insn::Call(callee) => self.call(callee, placed.reloc)?,
            Insn::Mark { object, .. } => Effect::new(object.map_or(0, bit), 0),
            Insn::JumpIf { .. } | Insn::Jump { .. } | Insn::JumpLong { .. } | Insn::Exit => {
                return Err(Error::Internal("the end of a block stands in its body"));
            }
        })
    }

    fn call(&self, callee: Callee, reloc: Option<RelocTarget>) -> Result<Effect, Error> {
        let called = match (callee, reloc) {
            (_, Some(RelocTarget::Kfunc(id))) => Some((usize::from(id.row().args), id.row().ret)),
            (_, Some(RelocTarget::Func(callee))) => {
                let callee = self.func.refs.functions.get(callee);
                callee.map(|callee| (callee.params.len(), Ret::Long))
            }
            (Callee::Helper(id), _) => {
                let helper = helpers::ALL.iter().find(|helper| helper.id == id);
                helper.map(|helper| (usize::from(helper.args), Ret::Long))
            }
            _ => None,
        };
        let (args, ret) = called.ok_or(Error::Internal("a call has no callee"))?;
        let reads = ((1 << (args + 1)) - 1) & ARGUMENTS;
        let (writes, lost) = if ret == Ret::Void { (0, R0) } else { (R0, 0) };
        Ok(Effect { clobbers: ARGUMENTS | lost, ..Effect::new(reads, writes) })
    }

    /// The effect of each instruction of a block's body, and what is live before it.
    fn live_before_each(&self, block: &Allocated, live_out: Set) -> Result<(Vec<Effect>, Vec<Set>), Error> {
        let effects: Vec<Effect> =
            block.body.iter().map(|placed| self.effect(placed)).collect::<Result<_, _>>()?;
        let mut live = live_out | end_reads(&block.end);
        let mut all = vec![0; effects.len()];
        for (before, effect) in all.iter_mut().zip(&effects).rev() {
            live = live & !(effect.writes | effect.clobbers) | effect.reads;
            *before = live;
        }
        Ok((effects, all))
    }

    /// What is live at the start of each block.
    fn live(&self, blocks: &[Allocated]) -> Result<Vec<Set>, Error> {
        // What each block reads before it writes it, and what it leaves alone.
        let mut summaries = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (mut reads, mut passes) = (end_reads(&block.end), !0);
            for placed in block.body.iter().rev() {
                let effect = self.effect(placed)?;
                let untouched = !(effect.writes | effect.clobbers);
                reads = reads & untouched | effect.reads;
                passes &= untouched;
            }
            summaries.push((reads, passes));
        }
        let mut live_in: Vec<Set> = vec![0; blocks.len()];
        loop {
            let mut changed = false;
            for (number, (block, (reads, passes))) in blocks.iter().zip(&summaries).enumerate().rev() {
                let live = reads | out(&live_in, &block.end) & passes;
                changed |= core::mem::replace(&mut live_in[number], live) != live;
            }
            if !changed {
                return Ok(live_in);
            }
        }
    }

    /// What each block does to what places hold.
    fn transfers(&self, blocks: &[Allocated], live_in: &[Set]) -> Result<Vec<Transfer>, Error> {
        let mut transfers = Vec::with_capacity(blocks.len());
        for (number, block) in blocks.iter().enumerate() {
            let mut transfer = Transfer::new();
            if self.split[number] {
                transfer.clear(live_in[number]);
            }
            if self.compared[number] {
                let (effects, live) = self.live_before_each(block, out(live_in, &block.end))?;
                for ((placed, effect), live) in block.body.iter().zip(&effects).zip(live) {
                    if is_next(placed) {
                        transfer.clear(live);
                    }
                    transfer.add(effect);
                }
            } else {
                for placed in &block.body {
                    transfer.add(&self.effect(placed)?);
                }
            }
            transfers.push(transfer);
        }
        Ok(transfers)
    }

    /// What places may hold at the start of each block.
    fn held(&self, blocks: &[Allocated], live_in: &[Set]) -> Result<Vec<Held>, Error> {
        let transfers = self.transfers(blocks, live_in)?;
        let mut held_in = vec![Held::default(); blocks.len()];
        if let Some(entry) = held_in.first_mut() {
            // The callback has one argument, its context.
            let arguments = ((2 << self.func.params.len().max(1)) - 1) & ARGUMENTS;
            *entry = Held { nothing: !arguments, zero: 0, other: arguments };
        }
        loop {
            let mut changed = false;
            for (number, (block, transfer)) in blocks.iter().zip(&transfers).enumerate() {
                let held = transfer.apply(held_in[number]);
                for to in block.end.targets() {
                    let joined = held_in[to].join(held);
                    changed |= core::mem::replace(&mut held_in[to], joined) != joined;
                }
            }
            if !changed {
                return Ok(held_in);
            }
        }
    }
}
