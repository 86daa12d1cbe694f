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

use super::frame::Frame;
use super::insn::{Callee, Insn, Reg, Src, Width};
use super::regalloc::{Allocated, End, Placed};
use super::{RelocTarget, crowded};
use crate::ir::{Function, Size};

/// Places: bits 0–9 the registers, from bit 10 the spills.
type Set = u128;

const FIRST_SPILL: u32 = 10;
/// R1–R5.
const ARGUMENTS: Set = 0b11_1110;
const R0: Set = 1;

/// Inserts the clearing instructions.
pub fn clear(blocks: &mut [Allocated], frame: &Frame, func: &Function) {
    let pass = Stale { frame, func, crowded: crowded::crowded(blocks) };
    let live_out = pass.live(blocks);
    let held_in = pass.held(blocks, &live_out);
    for (((block, live), mut held), crowded) in
        blocks.iter_mut().zip(live_out).zip(held_in).zip(&pass.crowded)
    {
        let live_before = pass.live_before_each(block, live);
        let at_start = live_before.first().copied().unwrap_or(live | end_reads(&block.end));
        let body = core::mem::take(&mut block.body);
        let clear = |body: &mut Vec<Placed>, stale: Set, span| {
            for place in (0..Set::BITS).filter(|place| stale >> place & 1 == 1) {
                body.push(Placed { insn: pass.zero(place), span, reloc: None, core: None });
            }
        };
        if *crowded {
            let span = body.first().map_or(block.end_span, |placed| placed.span);
            clear(&mut block.body, held.uneven() & !at_start, span);
            held = held.cleared(at_start);
        }
        for (placed, live) in body.into_iter().zip(live_before) {
            if is_next(&placed) {
                clear(&mut block.body, held.uneven() & !live, placed.span);
            }
            held = pass.held_after(&placed, live, held);
            block.body.push(placed);
        }
    }
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
        let held = self.without(cleared);
        Self { zero: held.zero | cleared, ..held }
    }

    fn join(self, with: Self) -> Self {
        Self {
            nothing: self.nothing | with.nothing,
            zero: self.zero | with.zero,
            other: self.other | with.other,
        }
    }

    fn without(self, places: Set) -> Self {
        Self { nothing: self.nothing & !places, zero: self.zero & !places, other: self.other & !places }
    }
}

pub(super) fn is_next(placed: &Placed) -> bool {
    matches!(placed.reloc, Some(RelocTarget::Kfunc(id)) if id.row().flags.next)
}

/// What an instruction reads, writes, and leaves without a value.
#[derive(Default)]
struct Effect {
    reads: Set,
    writes: Set,
    clobbers: Set,
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

struct Stale<'a> {
    frame: &'a Frame,
    func: &'a Function,
    /// Blocks at whose start the dead is cleared.
    crowded: Vec<bool>,
}

impl Stale<'_> {
    /// The spill at this address, if it is one.
    fn spill(&self, base: Reg, off: i16, size: Size) -> Option<Set> {
        let below = u32::try_from(-i32::from(off)).ok()?.checked_sub(self.frame.slots_size())?;
        let whole = base == Reg::FRAME && size == Size::B8 && below > 0 && below % 8 == 0;
        whole.then(|| 1_u128.checked_shl(FIRST_SPILL + below / 8 - 1).unwrap_or(0))
    }

    fn zero(&self, place: u32) -> Insn {
        match u8::try_from(place).ok().filter(|_| place < FIRST_SPILL).and_then(Reg::new) {
            Some(dst) => Insn::Mov { width: Width::W64, dst, src: Src::Imm(0) },
            None => Insn::Store {
                size: Size::B8,
                base: Reg::FRAME,
                off: self.frame.spill((place - FIRST_SPILL) as usize),
                src: Src::Imm(0),
            },
        }
    }

    fn effect(&self, placed: &Placed) -> Effect {
        match placed.insn {
            Insn::Mov { dst, src, .. } => Effect { reads: source(src), writes: bit(dst), clobbers: 0 },
            Insn::MovSx { dst, src, .. } => Effect { reads: bit(src), writes: bit(dst), clobbers: 0 },
            Insn::Alu { dst, src, .. } => {
                Effect { reads: bit(dst) | source(src), writes: bit(dst), clobbers: 0 }
            }
            Insn::Neg { dst, .. } => Effect { reads: bit(dst), writes: bit(dst), clobbers: 0 },
            Insn::Wide { dst, .. } => Effect { reads: 0, writes: bit(dst), clobbers: 0 },
            Insn::Load { size, dst, base, off, .. } => {
                let reads = bit(base) | self.spill(base, off, size).unwrap_or(0);
                Effect { reads, writes: bit(dst), clobbers: 0 }
            }
            Insn::Store { size, base, off, src } => {
                let writes = self.spill(base, off, size).unwrap_or(0);
                Effect { reads: bit(base) | source(src), writes, clobbers: 0 }
            }
            Insn::Call(callee) => {
                let (args, ret) = match (callee, placed.reloc) {
                    (_, Some(RelocTarget::Kfunc(id))) => (id.row().args, id.row().ret),
                    (_, Some(RelocTarget::Func(callee))) => {
                        let params = self.func.refs.functions.get(callee).map(|callee| callee.params.len());
                        (params.unwrap_or(5) as u8, Ret::Long)
                    }
                    (Callee::Helper(id), _) => {
                        let helper = helpers::ALL.iter().find(|helper| helper.id == id);
                        (helper.map_or(5, |helper| helper.args), Ret::Long)
                    }
                    _ => (5, Ret::Long),
                };
                let reads = ((1 << (args + 1)) - 1) & ARGUMENTS;
                let (writes, lost) = if ret == Ret::Void { (0, R0) } else { (R0, 0) };
                Effect { reads, writes, clobbers: ARGUMENTS | lost }
            }
            Insn::Mark { object, .. } => Effect { reads: object.map_or(0, bit), writes: 0, clobbers: 0 },
            // The ends of blocks are not in their bodies.
            Insn::JumpIf { .. } | Insn::Jump { .. } | Insn::JumpLong { .. } | Insn::Exit => Effect::default(),
        }
    }

    fn held_after(&self, placed: &Placed, live: Set, mut held: Held) -> Held {
        if is_next(placed) {
            held = held.cleared(live);
        }
        let effect = self.effect(placed);
        held = held.without(effect.writes | effect.clobbers);
        held.nothing |= effect.clobbers;
        match placed.insn {
            Insn::Mov { src: Src::Imm(0), .. } | Insn::Store { src: Src::Imm(0), .. } => {
                held.zero |= effect.writes;
            }
            _ => held.other |= effect.writes,
        }
        held
    }

    /// What is live before each instruction of a block's body.
    fn live_before_each(&self, block: &Allocated, live_out: Set) -> Vec<Set> {
        let mut live = live_out | end_reads(&block.end);
        let mut all: Vec<Set> = block
            .body
            .iter()
            .rev()
            .map(|placed| {
                let effect = self.effect(placed);
                live = live & !(effect.writes | effect.clobbers) | effect.reads;
                live
            })
            .collect();
        all.reverse();
        all
    }

    /// What is live at the end of each block.
    #[expect(clippy::indexing_slicing, reason = "targets are numbers of blocks")]
    fn live(&self, blocks: &[Allocated]) -> Vec<Set> {
        let mut live_in = vec![0; blocks.len()];
        let out = |live_in: &[Set], block: &Allocated| {
            block.end.targets().into_iter().fold(0, |live, to| live | live_in[to])
        };
        loop {
            let mut changed = false;
            for (number, block) in blocks.iter().enumerate().rev() {
                let live_out = out(&live_in, block);
                let before = self.live_before_each(block, live_out).first().copied();
                let before = before.unwrap_or(live_out | end_reads(&block.end));
                changed |= core::mem::replace(&mut live_in[number], before) != before;
            }
            if !changed {
                return blocks.iter().map(|block| out(&live_in, block)).collect();
            }
        }
    }

    /// What places may hold at the start of each block.
    #[expect(clippy::indexing_slicing, reason = "targets are numbers of blocks")]
    fn held(&self, blocks: &[Allocated], live_out: &[Set]) -> Vec<Held> {
        let mut held_in = vec![Held::default(); blocks.len()];
        if let Some(entry) = held_in.first_mut() {
            // The callback has one argument, its context.
            let arguments = ((2 << self.func.params.len().max(1)) - 1) & ARGUMENTS;
            *entry = Held { nothing: !arguments, zero: 0, other: arguments };
        }
        let live: Vec<Vec<Set>> =
            blocks.iter().zip(live_out).map(|(block, live)| self.live_before_each(block, *live)).collect();
        loop {
            let mut changed = false;
            for (number, block) in blocks.iter().enumerate() {
                let mut start = held_in[number];
                if self.crowded[number] {
                    let live = live[number].first().copied();
                    start = start.cleared(live.unwrap_or(live_out[number] | end_reads(&block.end)));
                }
                let body = block.body.iter().zip(&live[number]);
                let held = body.fold(start, |held, (placed, live)| self.held_after(placed, *live, held));
                for to in block.end.targets() {
                    let joined = held_in[to].join(held);
                    changed |= core::mem::replace(&mut held_in[to], joined) != joined;
                }
            }
            if !changed {
                return held_in;
            }
        }
    }
}

fn end_reads(end: &End) -> Set {
    match *end {
        End::Jump(_) => 0,
        End::Branch { a, b, .. } => bit(a) | source(b),
        End::Exit => R0,
    }
}
