//! Lists of cgroups, by id: what was found in an RCU section, to be worked off outside of it.

pub(super) use oomc_abi::maps::UNITS;
use oomc_abi::members;
use oomc_abi::record::at;

use super::Act;
use crate::ir::{BinOp, Block, Cond, Global, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};

/// Cgroups that one kill covers (language reference §5); what is beyond is counted in the record.
const MAX_LISTED: i32 = 4096;

/// A list.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    global: Global,
    count: Cell,
}

impl Act<'_> {
    /// The list of this name; a map of its own.
    pub(super) fn list(&mut self, name: &'static str) -> List {
        if let Some(list) = self.lists.get(name) {
            return *list;
        }
        let global = self.zeroed(name, MAX_LISTED as usize * 8);
        let list = List { global, count: self.lasting(|s| s.cell()) };
        self.lists.insert(name, list);
        list
    }

    pub(super) fn clear_list(&mut self, list: List) {
        self.put_imm(list.count, 0);
    }

    /// Adds an id, if there is room.
    pub(super) fn append(&mut self, list: List, id: Value) {
        let (room, full, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        // An index must come from memory, be compared with a constant and used at once.
        let index = self.get(list.count);
        self.b.branch(Cond::Ult, index, imm(i64::from(MAX_LISTED)), room, full);
        self.b.switch_to(room);
        let slot = self.slot(list, index);
        self.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value: Operand::Value(id) });
        self.bump(list.count);
        self.b.jump(join, &[]);
        self.b.switch_to(full);
        self.note_one_more(at::BEYOND);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Visits what is listed, each as a memcg whose reference the body gives back.
    pub(super) fn each_listed(&mut self, list: List, body: impl FnOnce(&mut Self, Value, Block)) {
        self.walk_numbers(MAX_LISTED, |s, walk| {
            let index = s.number(walk.item);
            let count = s.get(list.count);
            s.leave_if(Cond::Uge, index, Operand::Value(count), walk.done);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_LISTED)), walk.done);
            let slot = s.slot(list, index);
            let id = s.load(Size::B8, slot, 0);
            let memcg = s.memcg_by_id(id, walk.next);
            let (ours, other) = (s.b.create_block(), s.b.create_block());
            // Where the memory controller was switched off meanwhile, the memcg is an ancestor's.
            let own = s.read(memcg, members::MEMCG_ID);
            s.b.branch(Cond::Eq, own, Operand::Value(id), ours, other);
            s.b.switch_to(ours);
            body(s, memcg, walk.next);
            s.b.switch_to(other);
            s.give_back(memcg);
            s.b.jump(walk.next, &[]);
        });
    }

    /// The place of an id; the index is below [`MAX_LISTED`].
    fn slot(&mut self, list: List, index: Value) -> Value {
        let start = self.b.value(InstData::GlobalAddr { global: list.global, offset: 0 }, Type::Ptr);
        let offset = self.bin_imm(BinOp::Shl, index, 3);
        self.b.value(InstData::PtrAdd(start, offset), Type::Ptr)
    }
}
