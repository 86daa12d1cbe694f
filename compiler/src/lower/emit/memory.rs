//! A cgroup that is held, and what the memory controller knows of it: as the target's row says.
//!
//! With the controller's functions a cgroup is held by a reference on its `mem_cgroup`; without them by one on its
//! `cgroup`, through whose array of controllers the `mem_cgroup` is found and read as what it is. Whoever holds one
//! need not know which: members of `mem_cgroup` are named in both cases.

use oomc_abi::fields::StatTerm;
use oomc_abi::helpers;
use oomc_abi::target::{self, Memory, Statistic};
use oomc_abi::{kfuncs, members};

use super::{Emit, imm};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};

/// Bytes of a pointer in an array of them, as a shift.
const POINTER_SHIFT: i32 = 3;

impl Emit<'_> {
    fn by_members(&self) -> bool {
        self.target.row().memory == Memory::Members
    }

    /// Whether a pointer is a cgroup that is held otherwise than by its `mem_cgroup`.
    fn is_held_cgroup(&self, ptr: Value, container: &str) -> bool {
        self.by_members() && container == members::MEMCG && !self.casts.contains(&ptr)
    }

    /// Whether a member of a cgroup that is held is the cgroup itself.
    pub(super) fn is_cgroup(&self, ptr: Value, container: &str, path: &str) -> bool {
        path == members::MEMCG_CGROUP.path && self.is_held_cgroup(ptr, container)
    }

    /// The object that a member is read of: of a cgroup that is held, its `mem_cgroup`.
    pub(super) fn holder(&mut self, ptr: Value, container: &str) -> Value {
        if !self.is_held_cgroup(ptr, container) {
            return ptr;
        }
        let css = self.controller(ptr);
        self.cast_memcg(css)
    }

    /// What a cgroup has of the memory controller; null where that is switched off.
    fn controller(&mut self, cgroup: Value) -> Value {
        let controllers = self.member_addr(cgroup, members::CGROUP_CONTROLLERS);
        let offset = self.controller_offset();
        let slot = self.b.value(InstData::PtrAdd(controllers, offset), Type::Ptr);
        self.b.value(InstData::Load { size: Size::B8, ptr: slot, offset: 0 }, Type::Ptr)
    }

    fn controller_number(&mut self) -> Value {
        let controller = members::MEMORY_CONTROLLER;
        self.enumerator_at(controller.enumeration, controller.name)
    }

    fn controller_offset(&mut self) -> Value {
        let number = self.controller_number();
        self.bin_imm(BinOp::Shl, number, POINTER_SHIFT)
    }

    /// What the cgroup of an element of a walk has of the memory controller; goes to `without` where it has nothing.
    pub(super) fn controller_of(&mut self, css: Value, without: Block) -> Value {
        let cgroup = self.pointer(css, members::CSS_CGROUP);
        let memory = self.controller(cgroup);
        self.leave_if(Cond::Eq, memory, imm(0), without);
        memory
    }

    /// Not 0 if each cgroup below a cgroup has the memory controller, or there is none.
    pub(super) fn has_controllers_below(&mut self, cgroup: Value) -> Value {
        let (empty, some, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let below = self.field(cgroup, members::CGROUP_DESCENDANTS);
        self.b.branch(Cond::Eq, below, imm(0), empty, some);
        self.b.switch_to(empty);
        let one = self.int(1);
        self.b.jump(join, &[one]);
        self.b.switch_to(some);
        let mask = self.field(cgroup, members::CGROUP_CONTROLLERS_BELOW);
        let number = self.controller_number();
        let bit = self.bin(BinOp::Ushr, mask, number);
        let bit = self.bin_imm(BinOp::And, bit, 1);
        self.b.jump(join, &[bit]);
        self.b.switch_to(join);
        result
    }

    /// The css of a cgroup that is held, as trusted as that: where a walk starts.
    pub(in crate::lower) fn css_of(&mut self, held: Value) -> Value {
        let member = if self.by_members() { members::CGROUP_SELF } else { members::MEMCG_CSS };
        self.member_addr(held, member)
    }

    /// What a css that is at hand can be asked of the memory controller's tree: parent, serial number, flags.
    pub(in crate::lower) fn node_of(&mut self, held: Value) -> Value {
        match self.by_members() {
            true => self.controller(held),
            false => self.css_of(held),
        }
    }

    /// Holds the cgroup of a css; null where it cannot be held.
    pub(in crate::lower) fn hold(&mut self, css: Value) -> Value {
        if !self.by_members() {
            return self.call_ptr(kfuncs::GET_MEM_CGROUP, &[css]);
        }
        let cgroup = self.pointer(css, members::CSS_CGROUP);
        let node = self.pointer(cgroup, members::CGROUP_NODE);
        let id = self.field(node, members::NODE_ID);
        self.call_ptr(kfuncs::CGROUP_FROM_ID, &[id])
    }

    /// Gives a cgroup back.
    pub(in crate::lower) fn give_back(&mut self, held: Value) {
        let row = if self.by_members() { kfuncs::CGROUP_RELEASE } else { kfuncs::PUT_MEM_CGROUP };
        self.call(row, &[held]);
    }

    /// Holds the cgroup with this id, if it has the memory controller; `gone` if there is none any more.
    pub(in crate::lower) fn memcg_by_id(&mut self, id: Value, gone: Block) -> Value {
        let cgroup = self.call_ptr(kfuncs::CGROUP_FROM_ID, &[id]);
        self.leave_if(Cond::Eq, cgroup, imm(0), gone);
        if self.by_members() {
            let (with, without) = (self.b.create_block(), self.b.create_block());
            let memory = self.controller(cgroup);
            self.b.branch(Cond::Ne, memory, imm(0), with, without);
            self.b.switch_to(without);
            self.give_back(cgroup);
            self.b.jump(gone, &[]);
            self.b.switch_to(with);
            return cgroup;
        }
        let css = self.member_addr(cgroup, members::CGROUP_SELF);
        let memcg = self.hold(css);
        self.call(kfuncs::CGROUP_RELEASE, &[cgroup]);
        self.leave_if(Cond::Eq, memcg, imm(0), gone);
        memcg
    }

    /// Brings the statistics of a cgroup up to date, where a program can: elsewhere who asks it has done so.
    pub(in crate::lower) fn flush(&mut self, held: Value) {
        if !self.by_members() {
            self.call(kfuncs::MEM_CGROUP_FLUSH_STATS, &[held]);
        }
    }

    /// A counter of a cgroup and everything below it; leaves to `missing` if the kernel has no such counter.
    pub(in crate::lower) fn counter(
        &mut self,
        what: Statistic,
        held: Value,
        term: &StatTerm,
        missing: Block,
    ) -> Value {
        let index = self.enumerator_at(term.enumeration, term.enumerator);
        if !self.by_members() {
            let value = self.call_int(what.function(), &[held, index]);
            self.leave_if(Cond::Eq, value, imm(-1), missing);
            return value;
        }
        let memory = self.holder(held, members::MEMCG);
        let place = match what.by_members() {
            target::Counters::Table { table, array } => {
                let index = self.entry_of(table, index, missing);
                let counters = self.pointer(memory, members::MEMCG_STATISTICS);
                let array = self.member_addr(counters, array);
                self.element(array, index)
            }
            target::Counters::Array(array) => {
                let array = self.member_addr(memory, array);
                self.element(array, index)
            }
        };
        let value = self.copied(place, 8, missing);
        match target::unit_of(term.enumerator) {
            target::Unit::One => value,
            target::Unit::KiB => self.bin_imm(BinOp::Shl, value, 10),
            target::Unit::Pages => self.pages_to_bytes(value),
        }
    }

    /// The entry of a table of the kernel's that says where a counter lies; leaves to `missing` if it does not, or the
    /// kernel does not show the table.
    fn entry_of(&mut self, table: &str, index: Value, missing: Block) -> Value {
        let ksym = self.b.ksym(table);
        let start = self.b.value(InstData::KsymAddr(ksym), Type::Ptr);
        let at = self.b.value(InstData::PtrAdd(start, index), Type::Ptr);
        let entry = self.copied(at, 1, missing);
        self.leave_if(Cond::Eq, entry, imm(target::NO_ENTRY), missing);
        entry
    }

    /// The address of an element of 8 bytes, as a number: which one, the verifier need not know.
    fn element(&mut self, array: Value, index: Value) -> Value {
        let cell = self.cell();
        let (start, offset) = (self.area_addr(cell), self.bin_imm(BinOp::Shl, index, POINTER_SHIFT));
        self.b.effect(InstData::Store {
            size: Size::B8,
            ptr: start,
            offset: 0,
            value: Operand::Value(array),
        });
        let start = self.get(cell);
        self.bin(BinOp::Add, start, offset)
    }

    /// A number of some bytes at an address of the kernel; leaves to `missing` if nothing is there.
    fn copied(&mut self, from: Value, size: i64, missing: Block) -> Value {
        let cell = self.cell();
        self.put_imm(cell, 0);
        let (to, size) = (self.area_addr(cell), self.int(size));
        let result = self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from]);
        self.leave_if(Cond::Slt, result, imm(0), missing);
        self.get(cell)
    }
}
