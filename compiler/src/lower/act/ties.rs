//! Ties: by which fields the language breaks them, and the one that is asked only of two candidates that meet.

use oomc_abi::fields::{self, FieldId, Owner};

use super::Act;
use super::outline::Part;
use crate::ir::{Block, Cond, Operand, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};

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

/// Two cgroups, by their ids, and what the first one cannot give back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Equals {
    present: Cell,
    other: Cell,
    amount: Cell,
}

/// What the question about two cgroups answers.
const EQUAL: i64 = 0;
const MORE: i64 = 1;
const LESS: i64 = 2;

impl Act<'_> {
    /// Leaves to `above` or `below` if the cgroup with the first id has more or less that cannot be reclaimed than the
    /// one with the second.
    pub(super) fn compare_equals(&mut self, present: Value, other: Value, above: Block, below: Block) {
        let equals = match self.equals {
            Some(equals) => equals,
            None => {
                let equals =
                    self.lasting(|s| Equals { present: s.cell(), other: s.cell(), amount: s.cell() });
                *self.equals.insert(equals)
            }
        };
        self.put(equals.present, present);
        self.put(equals.other, other);
        let answer = self.once_for(Part::Equals, |s| s.which_has_more(equals));
        self.leave_if(Cond::Eq, answer, imm(MORE), above);
        self.leave_if(Cond::Eq, answer, imm(LESS), below);
    }

    fn which_has_more(&mut self, equals: Equals) -> Value {
        let join = self.b.create_block();
        let answer = self.b.block_param(join, Type::I64);
        let first = self.unreclaimable_by_id(equals.present);
        self.put(equals.amount, first);
        let second = self.unreclaimable_by_id(equals.other);
        let first = self.get(equals.amount);
        let answers = [EQUAL, MORE, LESS].map(|answer| self.int(answer));
        for (cond, which) in [(Cond::Sgt, answers[1]), (Cond::Slt, answers[2])] {
            let (yes, no) = (self.b.create_block(), self.b.create_block());
            self.b.branch(cond, first, Operand::Value(second), yes, no);
            self.b.switch_to(yes);
            self.b.jump(join, &[which]);
            self.b.switch_to(no);
        }
        self.b.jump(join, &[answers[0]]);
        self.b.switch_to(join);
        answer
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
