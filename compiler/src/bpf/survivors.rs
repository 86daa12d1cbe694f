//! Keeps values that live across a call out of the registers that a call uses.
//!
//! The allocator would take "this argument is in R1" as a wish for the value's whole life, find that a call
//! in between destroys R1, and put the value on the stack. So a value that survives some call is copied
//! into its argument register, and out of R0, by an instruction of its own; it can then stay in one of
//! R6–R9 all the time.

use regalloc2::VReg;

use super::insn::Src;
use super::vcode::{VBlock, VInst};

/// A set of virtual registers.
#[derive(Clone, PartialEq, Eq)]
struct Set(Vec<u64>);

impl Set {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, vreg: VReg) {
        if let Some(word) = self.0.get_mut(vreg.vreg() / 64) {
            *word |= 1 << (vreg.vreg() % 64);
        }
    }

    fn remove(&mut self, vreg: VReg) {
        if let Some(word) = self.0.get_mut(vreg.vreg() / 64) {
            *word &= !(1 << (vreg.vreg() % 64));
        }
    }

    fn contains(&self, vreg: VReg) -> bool {
        self.0.get(vreg.vreg() / 64).is_some_and(|word| word >> (vreg.vreg() % 64) & 1 == 1)
    }

    fn union(&mut self, with: &Self) {
        self.0.iter_mut().zip(&with.0).for_each(|(word, with)| *word |= with);
    }
}

/// Inserts the copies. `vregs` counts the virtual registers and is raised.
pub fn copy(blocks: &mut [VBlock], vregs: &mut usize) {
    let survivors = survivors(blocks, *vregs);
    let mut fresh = || {
        *vregs += 1;
        VReg::new(*vregs - 1, super::vcode::CLASS)
    };
    for block in blocks {
        let insts = core::mem::take(&mut block.insts);
        for (mut inst, span) in insts {
            let mut after = None;
            match &mut inst {
                VInst::Call { args, result, .. } => {
                    for arg in args {
                        if survivors.contains(*arg) {
                            let dst = fresh();
                            block.insts.push((VInst::Copy { dst, a: *arg, from_call: false }, span));
                            *arg = dst;
                        }
                    }
                    if let Some(result) = result
                        && survivors.contains(*result)
                    {
                        let a = fresh();
                        after = Some(VInst::Copy { dst: *result, a, from_call: true });
                        *result = a;
                    }
                }
                VInst::Context { dst } if survivors.contains(*dst) => {
                    let a = fresh();
                    after = Some(VInst::Copy { dst: *dst, a, from_call: true });
                    *dst = a;
                }
                VInst::Return(Src::Reg(value)) if survivors.contains(*value) => {
                    let dst = fresh();
                    block.insts.push((VInst::Copy { dst, a: *value, from_call: false }, span));
                    *value = dst;
                }
                _ => {}
            }
            block.insts.push((inst, span));
            block.insts.extend(after.map(|inst| (inst, span)));
        }
    }
}

/// The registers that are live across some call.
#[expect(clippy::indexing_slicing, reason = "targets are numbers of blocks")]
fn survivors(blocks: &[VBlock], vregs: usize) -> Set {
    let mut live_in = vec![Set::new(vregs); blocks.len()];
    let mut survivors = Set::new(vregs);
    loop {
        let mut changed = false;
        for (number, block) in blocks.iter().enumerate().rev() {
            let mut live = Set::new(vregs);
            for (inst, _) in block.insts.iter().rev() {
                for target in inst.targets() {
                    live.union(&live_in[target.index()]);
                }
                inst.definition().into_iter().for_each(|vreg| live.remove(vreg));
                if matches!(inst, VInst::Call { .. }) {
                    survivors.union(&live);
                }
                inst.uses().into_iter().for_each(|vreg| live.insert(vreg));
            }
            block.params.iter().for_each(|param| live.remove(*param));
            if live_in[number] != live {
                live_in[number] = live;
                changed = true;
            }
        }
        if !changed {
            spread(blocks, &mut survivors);
            return survivors;
        }
    }
}

/// What is handed over to a survivor, or made from one in its place, shares its register where it can: a
/// wish for R1 would reach the survivor through it.
#[expect(clippy::indexing_slicing, reason = "targets are numbers of blocks")]
fn spread(blocks: &[VBlock], survivors: &mut Set) {
    loop {
        let mut changed = false;
        let mut same = |a: VReg, b: VReg| {
            if survivors.contains(a) != survivors.contains(b) {
                survivors.insert(a);
                survivors.insert(b);
                changed = true;
            }
        };
        for (inst, _) in blocks.iter().flat_map(|block| &block.insts) {
            match inst {
                VInst::Jump(target) => {
                    let params = &blocks[target.block.index()].params;
                    params.iter().zip(&target.args).for_each(|(param, arg)| same(*param, *arg));
                }
                _ => {}
            }
        }
        if !changed {
            return;
        }
    }
}
