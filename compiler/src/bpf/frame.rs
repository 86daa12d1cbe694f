//! The frame: where stack slots and spilled registers lie below R10.
//!
//! Slots of the IR come first, each aligned to 8; spills follow below them, 8 bytes each, because the
//! verifier tracks a spilled pointer only when all 8 bytes are written at once to an aligned place.

use cranelift_entity::SecondaryMap;

use super::limits::Error;
use crate::ir::{Function, InstData, StackSlot};

/// The layout of one function's frame.
#[derive(Debug, Default)]
pub struct Frame {
    /// Distance below R10, by slot; 0 for a slot that nobody addresses.
    slots: SecondaryMap<StackSlot, u32>,
    /// Bytes of all slots.
    size: u32,
}

impl Frame {
    /// Lays out the slots whose address is taken.
    #[must_use]
    pub fn new(func: &Function) -> Self {
        let mut frame = Self::default();
        for block in &func.layout {
            for inst in &func.blocks[*block].insts {
                if let InstData::StackAddr(slot) = func.insts[*inst]
                    && frame.slots[slot] == 0
                {
                    frame.size = frame.size.saturating_add(func.slots[slot].size.max(1).next_multiple_of(8));
                    frame.slots[slot] = frame.size;
                }
            }
        }
        frame
    }

    /// The offset from R10 of a slot's first byte.
    ///
    /// # Errors
    /// No instruction can hold it.
    pub fn slot(&self, slot: StackSlot) -> Result<i32, Error> {
        let depth = self.slots[slot];
        let offset = i32::try_from(depth).map_err(|_| Error::Offset { offset: i64::from(depth) })?;
        Ok(-offset)
    }

    /// The offset from R10 of a spilled register.
    ///
    /// # Errors
    /// No instruction can hold it.
    pub fn spill(&self, index: usize) -> Result<i16, Error> {
        let depth = self.with_spills(index + 1);
        let offset = i16::try_from(depth).map_err(|_| Error::Offset { offset: i64::from(depth) })?;
        Ok(-offset)
    }

    /// Bytes of the slots alone.
    #[must_use]
    pub fn slots_size(&self) -> u32 {
        self.size
    }

    /// Bytes of the frame with this many spilled registers.
    #[must_use]
    pub fn with_spills(&self, count: usize) -> u32 {
        self.size.saturating_add(u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(8))
    }
}
