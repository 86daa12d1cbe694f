//! Question and answer of a program that user space asks, as [`oomc_abi::request`] lays them out; and the event, from
//! wherever it comes.
//!
//! The words lie in a global of their own, which who asks writes before a run and reads behind it: the verifier knows
//! nothing of what they hold.

use oomc_abi::members::{self, Member};
use oomc_abi::request::{MAX_NODES, MAX_VICTIMS, Outcome, SYSTEM, at, victim};
use oomc_abi::target::{Acts, Event};

use super::{Cell, Emit, imm};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};

/// A victim of an answer.
pub(in crate::lower) struct Offered {
    /// Process or cgroup id.
    pub(in crate::lower) id: Value,
    /// When it was started.
    pub(in crate::lower) start: Value,
    /// Its cgroup.
    pub(in crate::lower) cgroup: Value,
    /// The one that dies with it; 0: none.
    pub(in crate::lower) group: Value,
    /// What its death is expected to free.
    pub(in crate::lower) expected: Value,
    /// The thread to be waited for; 0: none.
    pub(in crate::lower) thread: Value,
}

impl Emit<'_> {
    /// Whether user space does what the program decides.
    pub(in crate::lower) fn says(&self) -> bool {
        self.target.row().acts == Acts::Says
    }

    /// Whether the event is a question.
    pub(in crate::lower) fn is_asked(&self) -> bool {
        self.target.row().event == Event::Question
    }

    /// The address of a word of question and answer.
    pub(in crate::lower) fn request(&mut self, word: u32) -> Value {
        match self.globals.request {
            Some(global) => self.b.value(InstData::GlobalAddr { global, offset: word * 8 }, Type::Ptr),
            None => {
                self.broken("a program that nobody asks has no question");
                self.null()
            }
        }
    }

    pub(in crate::lower) fn asked(&mut self, word: u32) -> Value {
        let ptr = self.request(0);
        self.load(Size::B8, ptr, word as i32 * 8)
    }

    pub(in crate::lower) fn answer(&mut self, word: u32, value: Operand) {
        let ptr = self.request(0);
        self.b.effect(InstData::Store { size: Size::B8, ptr, offset: word as i32 * 8, value });
    }

    /// How an action of the present rule ended, as far as it did.
    pub(in crate::lower) fn outcome(&mut self, node: usize) -> Value {
        let ptr = self.request(0);
        self.load(Size::B1, ptr, at::PATH as i32 * 8 + node as i32)
    }

    /// Writes down how an action of the present rule ended.
    pub(in crate::lower) fn set_outcome(&mut self, node: usize, outcome: Outcome) {
        if node < MAX_NODES {
            let ptr = self.request(0);
            let (offset, value) =
                (at::PATH as i32 * 8 + node as i32, Operand::Imm(i32::from(outcome.code())));
            self.b.effect(InstData::Store { size: Size::B1, ptr, offset, value });
        }
    }

    /// Adds a victim to the answer; goes to `full` if there is no room for it.
    pub(in crate::lower) fn offer(&mut self, who: &Offered, full: Block) {
        let count = self.asked(at::VICTIMS);
        self.leave_if(Cond::Uge, count, imm(MAX_VICTIMS as i64), full);
        let slot = self.victim_slot(count);
        for (word, value) in [
            (victim::ID, who.id),
            (victim::START, who.start),
            (victim::CGROUP, who.cgroup),
            (victim::GROUP, who.group),
            (victim::EXPECTED, who.expected),
            (victim::THREAD, who.thread),
        ] {
            self.store_at(slot, word as i32 * 8, value);
        }
        let count = self.asked(at::VICTIMS);
        let count = self.bin_imm(BinOp::Add, count, 1);
        self.answer(at::VICTIMS, Operand::Value(count));
    }

    /// Where a victim of the answer lies.
    pub(in crate::lower) fn victim_slot(&mut self, index: Value) -> Value {
        // An index comes from memory, and is masked at once.
        let index = self.bin_imm(BinOp::And, index, MAX_VICTIMS as i32 - 1);
        let offset = self.bin_imm(BinOp::Mul, index, victim::WORDS as i32 * 8);
        let first = self.request(at::FIRST_VICTIM);
        self.b.value(InstData::PtrAdd(first, offset), Type::Ptr)
    }

    /// A number of the event.
    pub(in crate::lower) fn event_number(&mut self, member: Member) -> Value {
        if !self.is_asked() {
            let oc = self.oc;
            return self.field(oc, member);
        }
        match member {
            // Nobody asks for a number of pages.
            members::OC_ORDER => self.int(0),
            members::OC_TOTAL => {
                let total: Cell = self.globals.total_pages;
                self.get(total)
            }
            _ => self.broken("a question does not tell this of the event"),
        }
    }

    /// Goes to `machine` if the whole machine is short of memory, to `cgroup` otherwise. Ends the block.
    pub(in crate::lower) fn whose(&mut self, machine: Block, cgroup: Block) {
        if self.is_asked() {
            let flags = self.asked(at::FLAGS);
            return self.b.branch(Cond::Test, flags, imm(SYSTEM as i64), machine, cgroup);
        }
        let oc = self.oc;
        let memcg = self.pointer(oc, members::OC_MEMCG);
        self.b.branch(Cond::Eq, memcg, imm(0), machine, cgroup);
    }
}
