//! Drops what sets a place to 0 that is 0 by then on every way.
//!
//! What is cleared is found before anything is, from what a place may hold; so one that an earlier clearing has made
//! even is cleared again. Here is asked what a place holds for certain, with all clearings in their places.

use super::clear_dead::{ClearDead, Set};
use super::limits::Error;
use super::regalloc::Allocated;

impl ClearDead<'_> {
    pub(super) fn drop_repeated(&self, blocks: &mut [Allocated]) -> Result<(), Error> {
        let zero_in = self.zero_in(blocks)?;
        for (block, mut zero) in blocks.iter_mut().zip(zero_in) {
            let mut kept = Vec::with_capacity(block.body.len());
            for placed in core::mem::take(&mut block.body) {
                let effect = self.effect(&placed)?;
                let repeats = effect.zeroes && effect.writes != 0 && effect.writes & !zero == 0;
                if !repeats {
                    zero = after(zero, &effect);
                    kept.push(placed);
                }
            }
            block.body = kept;
        }
        Ok(())
    }

    /// The places that are 0 at the start of each block, on every way to it.
    fn zero_in(&self, blocks: &[Allocated]) -> Result<Vec<Set>, Error> {
        // What a block sets to 0, and what it leaves as it is.
        let mut summaries = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (mut zero, mut same) = (0, !0);
            for placed in &block.body {
                let effect = self.effect(placed)?;
                same &= !(effect.writes | effect.clobbers);
                zero = after(zero, &effect);
            }
            summaries.push((zero, same));
        }
        let mut zero_in: Vec<Set> = vec![!0; blocks.len()];
        zero_in.iter_mut().take(1).for_each(|entry| *entry = 0);
        loop {
            let mut changed = false;
            for (number, (block, (zero, same))) in blocks.iter().zip(&summaries).enumerate() {
                let out = zero | zero_in[number] & same;
                for to in block.end.targets() {
                    let both = zero_in[to] & out;
                    changed |= core::mem::replace(&mut zero_in[to], both) != both;
                }
            }
            if !changed {
                return Ok(zero_in);
            }
        }
    }
}

/// What is 0 behind an instruction.
fn after(zero: Set, effect: &super::clear_dead::Effect) -> Set {
    let kept = zero & !(effect.writes | effect.clobbers);
    if effect.zeroes { kept | effect.writes } else { kept }
}
