//! Keeps values that live across a call out of the registers that a call uses.
//!
//! The allocator would take "this argument is in R1" as a wish for the value's whole life, find that a call
//! in between destroys R1, and put the value on the stack. So a value that survives some call is copied
//! into its argument register, and out of R0, by an instruction of its own; it can then stay in one of
//! R6–R9 all the time.

use regalloc2::VReg;

use super::insn::Src;
use super::vcode::{VBlock, VInst};

/// Inserts the copies. `vregs` counts the virtual registers and is raised.
pub fn copy(blocks: &mut [VBlock], vregs: &mut usize) {
    let survivors = survivors(blocks, *vregs);
    let survives = |vreg: VReg| survivors.get(vreg.vreg()).copied().unwrap_or(false);
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

/// Where a register is defined: block, and position from 1; parameters are at 0.
type Definition = Option<(usize, usize)>;

/// Which registers are live across some call, by number.
///
/// Looks from each use back to the definition and stops at the first call, so that a long life costs little:
/// it has a call nearby.
#[expect(clippy::indexing_slicing, reason = "targets and registers are numbered by selection")]
fn survivors(blocks: &[VBlock], vregs: usize) -> Vec<bool> {
    let mut definitions: Vec<Definition> = vec![None; vregs];
    let mut uses: Vec<Vec<(usize, usize)>> = vec![Vec::new(); vregs];
    let mut calls: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    let mut preds: Vec<Vec<usize>> = vec![Vec::new(); blocks.len()];
    for (number, block) in blocks.iter().enumerate() {
        block.params.iter().for_each(|param| definitions[param.vreg()] = Some((number, 0)));
        for (at, (inst, _)) in block.insts.iter().enumerate() {
            let at = at + 1;
            inst.definitions().into_iter().for_each(|vreg| definitions[vreg.vreg()] = Some((number, at)));
            inst.uses().into_iter().for_each(|vreg| uses[vreg.vreg()].push((number, at)));
            inst.targets().into_iter().for_each(|to| preds[to.index()].push(number));
            if matches!(inst, VInst::Call { .. }) {
                calls[number].push(at);
            }
        }
    }
    // The register whose search was in a block last.
    let mut seen = vec![usize::MAX; blocks.len()];
    let mut survives = |vreg: usize| {
        let mut work = uses[vreg].clone();
        while let Some((block, at)) = work.pop() {
            let start = match definitions[vreg] {
                Some((home, start)) if home == block && start < at => Some(start),
                _ => None,
            };
            let between = |call: &usize| *call < at && *call > start.unwrap_or(0);
            if calls[block].iter().any(between) {
                return true;
            }
            if start.is_none() {
                for &pred in &preds[block] {
                    if seen[pred] != vreg {
                        seen[pred] = vreg;
                        work.push((pred, usize::MAX));
                    }
                }
            }
        }
        false
    };
    let mut survivors: Vec<bool> = (0..vregs).map(&mut survives).collect();
    spread(blocks, &mut survivors);
    survivors
}

/// What is handed over to a survivor, or made from one in its place, shares its register where it can: a
/// wish for R1 would reach the survivor through it.
#[expect(clippy::indexing_slicing, reason = "targets and registers are numbered by selection")]
fn spread(blocks: &[VBlock], survivors: &mut [bool]) {
    loop {
        let mut changed = false;
        for (inst, _) in blocks.iter().flat_map(|block| &block.insts) {
            let VInst::Jump(target) = inst else { continue };
            for (param, arg) in blocks[target.block.index()].params.iter().zip(&target.args) {
                let (param, arg) = (param.vreg(), arg.vreg());
                if survivors[param] != survivors[arg] {
                    (survivors[param], survivors[arg]) = (true, true);
                    changed = true;
                }
            }
        }
        if !changed {
            return;
        }
    }
}
