//! Keeps values that live across a call out of the registers that a call uses.
//!
//! The allocator would take "this argument is in R1" as a wish for the value's whole life, find that a call
//! in between destroys R1, and put the value on the stack. So a value that survives some call is copied
//! into its argument register, and out of R0, by an instruction of its own; it can then stay in one of
//! R6–R9 all the time.

use regalloc2::{OperandKind, VReg};

use super::insn::Src;
use super::lists::Lists;
use super::vcode::{VBlock, VInst};

/// Inserts the copies. `vregs` counts the virtual registers and is raised.
pub fn copy(blocks: &mut [VBlock], vregs: &mut usize) {
    let found = find(blocks, *vregs);
    // A register made below is in its place for one instruction.
    let survives = |vreg: VReg| found.get(vreg.vreg()) == Some(&true);
    let mut fresh = || {
        *vregs += 1;
        VReg::new(*vregs - 1, super::vcode::CLASS)
    };
    for block in blocks {
        let insts = core::mem::take(&mut block.insts);
        for (mut inst, span) in insts {
            let mut after = Vec::new();
            match &mut inst {
                VInst::Call { args, result, .. } => {
                    for arg in args {
                        if survives(*arg) {
                            let dst = fresh();
                            block.insts.push((VInst::Copy { dst, a: *arg, from_call: false }, span));
                            *arg = dst;
                        }
                    }
                    if let Some(result) = result
                        && survives(*result)
                    {
                        let a = fresh();
                        after.push(VInst::Copy { dst: *result, a, from_call: true });
                        *result = a;
                    }
                }
                VInst::Arguments { dsts } => {
                    for (dst, _) in dsts.iter_mut().filter(|(dst, _)| survives(*dst)) {
                        let a = fresh();
                        after.push(VInst::Copy { dst: *dst, a, from_call: true });
                        *dst = a;
                    }
                }
                VInst::Return(Src::Reg(value)) if survives(*value) => {
                    let dst = fresh();
                    block.insts.push((VInst::Copy { dst, a: *value, from_call: false }, span));
                    *value = dst;
                }
                _ => {}
            }
            block.insts.push((inst, span));
            block.insts.extend(after.into_iter().map(|inst| (inst, span)));
        }
    }
}

/// A place: block, and position from 1; parameters are at 0.
type Place = (usize, usize);

/// Which registers are live across some call, by number.
fn find(blocks: &[VBlock], vregs: usize) -> Vec<bool> {
    let mut search = Search::new(blocks, vregs);
    let mut found: Vec<bool> = (0..vregs).map(|vreg| search.is_live_across_a_call(vreg)).collect();
    spread(blocks, &mut found);
    found
}

/// Looks from each use back to the definition and stops at the first call, so that a long life costs little:
/// it has a call nearby.
struct Search {
    definitions: Vec<Option<Place>>,
    uses: Lists<Place>,
    /// Positions of calls in each block.
    calls: Lists<usize>,
    preds: Lists<usize>,
    /// The register whose search was in a block last.
    seen: Vec<usize>,
    work: Vec<Place>,
}

impl Search {
    fn new(blocks: &[VBlock], vregs: usize) -> Self {
        let mut definitions = vec![None; vregs];
        let (mut uses, mut calls, mut preds) = (Vec::new(), Vec::new(), Vec::new());
        for (number, block) in blocks.iter().enumerate() {
            block.params.iter().for_each(|param| definitions[param.vreg()] = Some((number, 0)));
            for (at, (inst, _)) in (1..).zip(&block.insts) {
                inst.for_each_register(|vreg, kind| match kind {
                    OperandKind::Def => definitions[vreg.vreg()] = Some((number, at)),
                    OperandKind::Use => uses.push((vreg.vreg(), (number, at))),
                });
                preds.extend(inst.targets().map(|to| (to.index(), number)));
                if matches!(inst, VInst::Call { .. }) {
                    calls.push((number, at));
                }
            }
        }
        Self {
            definitions,
            uses: Lists::new(vregs, &uses),
            calls: Lists::new(blocks.len(), &calls),
            preds: Lists::new(blocks.len(), &preds),
            seen: vec![usize::MAX; blocks.len()],
            work: Vec::new(),
        }
    }

    fn is_live_across_a_call(&mut self, vreg: usize) -> bool {
        self.work.clear();
        self.work.extend(self.uses.get(vreg));
        while let Some((block, at)) = self.work.pop() {
            let start = match self.definitions[vreg] {
                Some((home, start)) if home == block && start < at => Some(start),
                _ => None,
            };
            let calls = self.calls.get(block);
            let before = calls.partition_point(|call| *call < at);
            let last = before.checked_sub(1).map(|last| calls[last]);
            if last.is_some_and(|call| start.is_none_or(|start| call > start)) {
                return true;
            }
            if start.is_none() {
                for &pred in self.preds.get(block) {
                    if core::mem::replace(&mut self.seen[pred], vreg) != vreg {
                        self.work.push((pred, usize::MAX));
                    }
                }
            }
        }
        false
    }
}

/// What is handed over to one that lives across a call, or made from one in its place, shares its register where
/// it can: a wish for R1 would reach the other through it. So registers that are handed over to each other are
/// all or none.
fn spread(blocks: &[VBlock], found: &mut [bool]) {
    // Groups of registers, each with one that stands for all.
    let mut group: Vec<usize> = (0..found.len()).collect();
    for (inst, _) in blocks.iter().filter_map(|block| block.insts.last()) {
        let VInst::Jump(target) = inst else { continue };
        for (param, arg) in blocks[target.block.index()].params.iter().zip(&target.args) {
            let (a, b) = (first(&mut group, param.vreg()), first(&mut group, arg.vreg()));
            group[a] = b;
            found[b] |= found[a];
        }
    }
    for vreg in 0..found.len() {
        found[vreg] = found[first(&mut group, vreg)] || found[vreg];
    }
}

/// The register that stands for a group, found by shorter and shorter ways.
fn first(group: &mut [usize], mut vreg: usize) -> usize {
    while group[vreg] != vreg {
        group[vreg] = group[group[vreg]];
        vreg = group[vreg];
    }
    vreg
}
