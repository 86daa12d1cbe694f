//! Ties: by which fields the language breaks them, and the one that is asked only of two candidates that meet.

use oomc_abi::fields::{self, FieldId, Owner};

use super::Act;
use super::outline::Part;
use crate::ir::{Block, Cond, Operand, Type, Value};
use crate::lower::emit::{Cell, Walks};

/// Fields by which ties are broken and deaths are estimated.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ties {
    pub(super) footprint: FieldId,
    pub(super) unreclaimable: FieldId,
    pub(super) usage: FieldId,
}

impl Ties {
    /// They are rows of the table.
    pub(super) fn find() -> Option<Self> {
        Some(Self {
            footprint: fields::find(Owner::Process, "footprint")?,
            unreclaimable: fields::find(Owner::Cgroup, "unreclaimable")?,
            usage: fields::find(Owner::Cgroup, "usage")?,
        })
    }
}

/// A cgroup that is asked what it cannot give back: its id; and what the one before it has answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Equal {
    id: Cell,
    before: Cell,
}

impl Act<'_> {
    /// Leaves to `above` or `below` if the cgroup with the first id has more or less that cannot be reclaimed than the
    /// one with the second.
    pub(super) fn compare_equals(&mut self, present: Value, other: Value, above: Block, below: Block) {
        let equal = match self.equal {
            Some(equal) => equal,
            None => {
                let equal = self.lasting(|s| Equal { id: s.cell(), before: s.cell() });
                *self.equal.insert(equal)
            }
        };
        let first = self.ask_equal(equal, present);
        self.put(equal.before, first);
        let second = self.ask_equal(equal, other);
        let first = self.get(equal.before);
        self.leave_if(Cond::Sgt, first, Operand::Value(second), above);
        self.leave_if(Cond::Slt, first, Operand::Value(second), below);
    }

    fn ask_equal(&mut self, equal: Equal, id: Value) -> Value {
        self.put(equal.id, id);
        self.once_for(Part::Unreclaimable, |s| s.unreclaimable_by_id(equal.id))
    }

    /// What a cgroup cannot give back; −1 where that is missing, or the cgroup is gone.
    fn unreclaimable_by_id(&mut self, id: Cell) -> Value {
        let (lost, gone, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let id = self.get(id);
        let memcg = self.memcg_by_id(id, gone);
        let unreclaimable = self.ties.unreclaimable;
        let found = self.read_field(memcg, unreclaimable, lost);
        self.give_back(memcg);
        self.b.jump(join, &[found]);
        self.b.switch_to(lost);
        self.give_back(memcg);
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
        let missing = self.int(-1);
        self.b.jump(join, &[missing]);
        self.b.switch_to(join);
        result
    }
}
