//! Words of the record, as [`oomc_abi::record`] lays it out, and the maps that records go to.
//!
//! What they tell is decided by who writes them.

use oomc_abi::maps;
use oomc_abi::record::{self, Action, MAX_CANDIDATES, at, candidate};

use super::Emit;
use crate::ir::{BinOp, Function, InstData, MapData, MapKind, MapRef, Operand, Size, Type, Value};

/// Bytes of the value in which a record is composed: the index of a candidate is masked to a power of two, and so
/// there is room for as many.
pub(in crate::lower) const DRAFT_BYTES: usize = record::BYTES as usize
    + (MAX_CANDIDATES.next_power_of_two() - MAX_CANDIDATES) * candidate::WORDS as usize * 8;

/// The maps that records go to.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Maps {
    pub(in crate::lower) records: MapRef,
    pub(in crate::lower) events: MapRef,
}

impl Maps {
    pub(in crate::lower) fn new(func: &mut Function) -> Self {
        let mut map = |name: &str, kind, value_bytes, max_entries| {
            let (key, value) = (Vec::new(), Vec::new());
            shared(func, MapData { name: name.into(), kind, key, value, value_bytes, max_entries })
        };
        Self {
            records: map(maps::RECORDS, MapKind::Array, record::BYTES, record::KEPT),
            events: map(maps::EVENTS, MapKind::RingBuffer, 0, record::RING_BYTES),
        }
    }
}

/// A map that programs of all targets share, which the first one makes.
pub(in crate::lower) fn shared(func: &mut Function, data: MapData) -> MapRef {
    let known = func.refs.maps.iter().find(|(_, known)| known.name == data.name);
    match known.map(|(map, _)| map) {
        Some(map) => map,
        None => func.refs_mut().maps.push(data),
    }
}

impl Emit<'_> {
    pub(in crate::lower) fn record(&mut self, word: u32) -> Value {
        self.b.value(InstData::GlobalAddr { global: self.globals.scratch, offset: word * 8 }, Type::Ptr)
    }

    pub(in crate::lower) fn put_word(&mut self, word: u32, value: Operand) {
        let ptr = self.record(0);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset: word as i32 * 8, value });
    }

    /// A map, for a helper.
    pub(in crate::lower) fn map_addr(&mut self, map: MapRef) -> Value {
        self.b.value(InstData::MapAddr(map), Type::Ptr)
    }

    /// Writes a word of the record.
    pub(in crate::lower) fn note(&mut self, word: u32, value: Value) {
        self.put_word(word, Operand::Value(value));
    }

    /// Writes a word of the record.
    pub(in crate::lower) fn note_imm(&mut self, word: u32, value: i32) {
        self.put_word(word, Operand::Imm(value));
    }

    /// Reads a word of the record back.
    pub(in crate::lower) fn noted(&mut self, word: u32) -> Value {
        let ptr = self.record(0);
        self.load(Size::B8, ptr, word as i32 * 8)
    }

    /// What was done, should the policy end here.
    pub(in crate::lower) fn note_action(&mut self, action: Action) {
        self.note_imm(at::ACTION, i32::from(action.code()));
    }

    /// Adds one to a word of the record.
    pub(in crate::lower) fn note_one_more(&mut self, word: u32) {
        let old = self.noted(word);
        let new = self.bin_imm(BinOp::Add, old, 1);
        self.note(word, new);
    }

    pub(in crate::lower) fn store_at(&mut self, ptr: Value, offset: i32, value: Value) {
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset, value: Operand::Value(value) });
    }
}
