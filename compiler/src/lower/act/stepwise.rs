//! `stepwise`: compares the children of a place, takes the best one, and descends until a kill unit is reached.
//!
//! One walk, children before parents, instead of one walk for each step. For each level below the place's cgroup the
//! best child so far is kept, by its keys, and the unit that a descent from it ends in, by its id. Visiting a
//! cgroup: the unit of a kill unit is itself, of any other cgroup the one that the level below has kept. A cgroup
//! without a unit does not compete, so nothing has to be taken back.

use oomc_abi::kfuncs;
use oomc_abi::members;

use super::Act;
use super::kill::MAX_TRIES;
use super::rank::Order;
use crate::hir::{Place, Selection, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};
use crate::lower::read::{Cut, Grain, Places};
use crate::plan::build;

/// Levels of the tree that are compared; what lies deeper is counted in the record.
const MAX_LEVELS: i32 = 32;

/// Repeated descents of one selection.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    order: Order,
    /// Of a `kill`: how many units were tried, and their ids.
    tried: Option<(Cell, Cell)>,
}

impl Act<'_> {
    /// What descents of a selection need; nobody was tried yet.
    pub(super) fn descent(&mut self, selection: &Selection, kill: bool) -> Descent {
        let ranks = build::ranks(self.policy, selection, kill);
        let order = self.order_of(selection, &ranks, ranks.len());
        let tried = kill.then(|| (self.cell(), self.area(MAX_TRIES as u32 * 8)));
        if let Some((count, _)) = tried {
            self.put_imm(count, 0);
        }
        Descent { order, tried }
    }

    /// What the next descent ends in, referenced, or null; of a `kill`, also told to the record.
    pub(super) fn descend_once(&mut self, selection: &Selection, descent: &Descent) -> Value {
        self.with_rcu(|s| s.descend_under_rcu(selection, descent))
    }

    fn descend_under_rcu(&mut self, selection: &Selection, descent: &Descent) -> Value {
        let kill = descent.tried.is_some();
        let none = self.null();
        let numbers = descent.order.len() as u32;
        // A row for each level: the unit's id, 0 for none, then the keys of the best child.
        let row = 8 * (1 + numbers).next_power_of_two();
        let shift = row.trailing_zeros() as i32;
        let rows = self.area(MAX_LEVELS as u32 * row);
        self.walk_numbers(MAX_LEVELS, |s, walk| {
            let level = s.number(walk.item);
            let over = s.b.create_block();
            s.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS)), over);
            let slot = s.row(rows, level, shift);
            s.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value: Operand::Imm(0) });
            s.b.jump(walk.next, &[]);
            s.b.switch_to(over);
            s.b.jump(walk.done, &[]);
        });
        let (top, level, unit) = (self.cell(), self.cell(), self.cell());
        self.put_imm(top, 0);
        self.level_of_place(selection.place, top);
        self.walk_place(selection.place, Grain::Each, Cut::Domain, None, &[], |s, walk| {
            let offline = walk.next;
            let css = s.css_of(walk.item);
            s.skip_offline(css, offline);
            // The place's own cgroup is where the descent begins, unless there is nothing else.
            let depth = s.read(walk.item, members::MEMCG_LEVEL);
            let base = s.get(top);
            let below = s.bin(BinOp::Sub, depth, base);
            s.put(level, below);
            s.put_imm(unit, 0);

            // What the level below has kept is this cgroup's, and is taken from there.
            let (kept, bottom) = (s.b.create_block(), s.b.create_block());
            let here = s.get(level);
            let deeper = s.bin_imm(BinOp::Add, here, 1);
            s.b.branch(Cond::Ult, deeper, imm(i64::from(MAX_LEVELS)), kept, bottom);
            s.b.switch_to(kept);
            let slot = s.row(rows, deeper, shift);
            let id = s.load(Size::B8, slot, 0);
            s.put(unit, id);
            s.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value: Operand::Imm(0) });
            s.b.jump(bottom, &[]);
            s.b.switch_to(bottom);

            let (itself, inner) = (s.b.create_block(), s.b.create_block());
            s.is_unit(walk.item, itself, inner);
            s.b.switch_to(itself);
            s.put_imm(unit, 0);
            let wanted = s.b.create_block();
            if kill {
                s.exclude_unit(walk.item, selection.place, wanted);
            }
            s.bind(selection.binder, walk.item);
            s.filter(selection, wanted);
            let id = s.read(walk.item, members::MEMCG_ID);
            s.put(unit, id);
            s.forget_if_tried(descent, unit);
            s.b.jump(wanted, &[]);
            s.b.switch_to(wanted);
            s.b.jump(inner, &[]);
            s.b.switch_to(inner);
            let id = s.get(unit);
            s.leave_if(Cond::Eq, id, imm(0), walk.next);

            let beyond = s.b.create_block();
            let here = s.get(level);
            s.leave_if(Cond::Uge, here, imm(i64::from(MAX_LEVELS)), beyond);
            s.bind(selection.binder, walk.item);
            if kill {
                s.class_of_cgroup(walk.item);
            }
            s.rest(&descent.order, false, walk.item);
            let keys = s.candidate_numbers(&descent.order);
            let here = s.get(level);
            s.leave_if(Cond::Uge, here, imm(i64::from(MAX_LEVELS)), beyond);
            let slot = s.row(rows, here, shift);
            let (take, compare) = (s.b.create_block(), s.b.create_block());
            let known = s.load(Size::B8, slot, 0);
            s.b.branch(Cond::Eq, known, imm(0), take, compare);
            s.b.switch_to(compare);
            s.better_than_row(slot, &keys, take, walk.next);
            s.b.switch_to(take);
            let id = s.get(unit);
            s.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value: Operand::Value(id) });
            for (at, key) in (1..).zip(&keys) {
                let value = Operand::Value(*key);
                s.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: at * 8, value });
            }
            s.b.jump(walk.next, &[]);
            s.b.switch_to(beyond);
            s.note_one_more(oomc_abi::record::at::BEYOND);
            s.b.jump(walk.next, &[]);
        });
        // The place's own row holds where the descent has ended.
        let (found, lost) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(found, Type::Ptr);
        let start = self.area_addr(rows);
        let id = self.load(Size::B8, start, 0);
        self.leave_if(Cond::Eq, id, imm(0), lost);
        let memcg = self.memcg_by_id(id, lost);
        if kill {
            self.remember_tried(descent, memcg);
            // For the record: the place's own row holds the keys of the place's cgroup.
            self.bind(selection.binder, memcg);
            self.class_of_cgroup(memcg);
            self.rest(&descent.order, false, memcg);
            self.note_present(&descent.order, memcg);
        }
        self.b.jump(found, &[memcg]);
        self.b.switch_to(lost);
        self.b.jump(found, &[none]);
        self.b.switch_to(found);
        result
    }

    /// A unit that was tried is none any more: the next descent ends elsewhere.
    fn forget_if_tried(&mut self, descent: &Descent, unit: Cell) {
        let Some((tried, units)) = descent.tried else { return };
        self.walk_numbers(MAX_TRIES, |s, walk| {
            let (index, count) = (s.number(walk.item), s.get(tried));
            s.leave_if(Cond::Uge, index, Operand::Value(count), walk.done);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_TRIES)), walk.done);
            let slot = s.row(units, index, 3);
            let (former, own) = (s.load(Size::B8, slot, 0), s.get(unit));
            s.leave_if(Cond::Ne, former, Operand::Value(own), walk.next);
            s.put_imm(unit, 0);
            s.b.jump(walk.done, &[]);
        });
    }

    /// Writes down what a descent has ended in.
    fn remember_tried(&mut self, descent: &Descent, unit: Value) {
        let Some((tried, units)) = descent.tried else { return };
        let (room, full) = (self.b.create_block(), self.b.create_block());
        let id = self.read(unit, members::MEMCG_ID);
        let count = self.get(tried);
        self.b.branch(Cond::Ult, count, imm(i64::from(MAX_TRIES)), room, full);
        self.b.switch_to(room);
        let slot = self.row(units, count, 3);
        let value = Operand::Value(id);
        self.b.effect(InstData::Store { size: Size::B8, ptr: slot, offset: 0, value });
        self.bump(tried);
        self.b.jump(full, &[]);
        self.b.switch_to(full);
    }

    /// How far from the root the cgroup lies that a place begins at, or the domain where that lies below it.
    fn level_of_place(&mut self, place: Place, level: Cell) {
        let of = match place.of() {
            Subject::Anchor(_) => Subject::Anchor(crate::hir::Anchor::Cgroup),
            other => other,
        };
        let gone = self.b.create_block();
        let (memcg, owned) = self.subject_memcg(of, gone);
        let own = self.read(memcg, members::MEMCG_LEVEL);
        self.put(level, own);
        if owned {
            self.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
        }
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
    }

    /// Whether a memcg is a kill unit: no online child, or `memory.oom.group`. The root is none. Ends the block.
    fn is_unit(&mut self, memcg: Value, yes: Block, no: Block) {
        let parent = self.pointer(memcg, members::MEMCG_PARENT);
        self.leave_if(Cond::Eq, parent, imm(0), no);
        let group = self.field(memcg, members::MEMCG_OOM_GROUP);
        self.leave_if(Cond::Ne, group, imm(0), yes);
        let leaf = self.is_leaf(memcg);
        self.b.branch(Cond::Ne, leaf, imm(0), yes, no);
    }

    /// The address of a level's row; the level is below [`MAX_LEVELS`].
    fn row(&mut self, rows: Cell, level: Value, shift: i32) -> Value {
        let start = self.area_addr(rows);
        let offset = self.bin_imm(BinOp::Shl, level, shift);
        self.b.value(InstData::PtrAdd(start, offset), Type::Ptr)
    }

    fn better_than_row(&mut self, row: Value, keys: &[Value], better: Block, worse: Block) {
        for (at, key) in (1..).zip(keys) {
            let other = self.load(Size::B8, row, at * 8);
            self.leave_if(Cond::Sgt, *key, Operand::Value(other), better);
            self.leave_if(Cond::Slt, *key, Operand::Value(other), worse);
        }
        self.b.jump(worse, &[]);
    }
}
