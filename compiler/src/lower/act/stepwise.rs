//! `stepwise`: compares the children of a place, takes the best one, and descends until a kill unit is reached.
//!
//! One walk, children before parents, instead of one walk for each step. For each level below the place's cgroup the
//! first few units are kept that repeated descents from there would end in, each with the keys of the child that it
//! lies below. Visiting a cgroup: a kill unit has itself as its only unit, any other cgroup those that the level below
//! has kept, and they enter the row of their level together, where the keys of the cgroup say. A cgroup without a unit
//! does not compete, so nothing has to be taken back.

use oomc_abi::members;
use oomc_abi::record::{MAX_CANDIDATES, at};

use super::Act;
use super::kill::{MAX_TRIES, Taking};
use super::outline::Part;
use super::rank::{Order, digit_mask};
use crate::hir::{Kill, Place, Selection, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walk, Walks, imm};
use crate::lower::read::{Cut, Grain, Places};
use crate::plan::{KEPT, build, cost};

/// Levels of the tree that are compared; what lies deeper is counted in the record.
const MAX_LEVELS: i32 = 32;

/// Where the digits and the number of units of a row lie, in its head.
const DIGITS: i32 = 0;
const COUNT: i32 = 8;
const HEAD_SHIFT: i32 = 4;

/// Where rows begin, what they keep, and how many numbers each of it has.
pub(super) type Rows = (Cell, u32, usize);

/// Repeated descents of one selection.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    order: Order,
    /// Units that a row keeps.
    capacity: u32,
    /// For each level which entries its row has, by their digits, the best one first, and how many.
    heads: Cell,
    /// For each level its entries: numbers, and the unit's id.
    rows: Cell,
    entry_shift: i32,
    row_shift: i32,
    /// The level of the place's cgroup, and of the one that is visited, counted from there.
    top: Cell,
    level: Cell,
    /// The visited cgroup's units: its id, or 0 and how many the level below has kept; and where they enter.
    unit: Cell,
    below: Cell,
    place: Cell,
    /// The cgroup above the one that was visited last.
    parent_of_last: Cell,
    /// Of a `kill`: how many units were tried, and their ids.
    tried: Option<(Cell, Cell)>,
}

impl Act<'_> {
    /// What descents of a selection need; nobody was tried yet. Of a `pick`, the first unit is enough.
    pub(super) fn descent(&mut self, selection: &Selection, kill: Option<&Kill>) -> Descent {
        let ranks = build::ranks(self.policy, selection, kill.is_some());
        let order = self.order_of(selection, &ranks, cost::leading(&ranks));
        let capacity =
            kill.map_or(1, |kill| kill.until.map_or(KEPT, |until| u32::from(until.at_most).max(KEPT)));
        let entry = 8 * (order.len() as u32 + 1).next_power_of_two();
        let row = entry * (digit_mask(capacity) as u32 + 1);
        let descent = Descent {
            order,
            capacity,
            heads: self.area((MAX_LEVELS as u32) << HEAD_SHIFT),
            rows: self.area(MAX_LEVELS as u32 * row),
            entry_shift: entry.trailing_zeros() as i32,
            row_shift: row.trailing_zeros() as i32,
            top: self.cell(),
            level: self.cell(),
            unit: self.cell(),
            below: self.cell(),
            place: self.cell(),
            parent_of_last: self.cell(),
            tried: kill.map(|_| (self.cell(), self.area(MAX_TRIES as u32 * 8))),
        };
        if let Some((count, _)) = descent.tried {
            self.put_imm(count, 0);
        }
        let none = self.int(0);
        let first = self.head(&descent, none);
        self.store_at(first, COUNT, none);
        descent
    }

    /// Goes down to the units that descents end in, those aside that were tried. They lie in the place's own row.
    pub(super) fn descend(&mut self, selection: &Selection, descent: &Descent) {
        self.walk_numbers(MAX_LEVELS, |s, walk| {
            let level = s.number(walk.item);
            s.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS)), walk.done);
            let (head, none) = (s.head(descent, level), s.int(0));
            s.store_at(head, COUNT, none);
            s.b.jump(walk.next, &[]);
        });
        self.put_imm(descent.top, 0);
        self.put_imm(descent.parent_of_last, 0);
        self.level_of_place(selection.place, descent.top);
        self.walk_place(selection.place, Grain::Each, Cut::Domain, None, &[], |s, walk| {
            let css = s.node_of(walk.item);
            s.skip_offline(css, walk.next);
            s.units_of(selection.place, descent, &walk);
            s.bind(selection.binder, walk.item);
            if descent.tried.is_some() {
                s.class_of_cgroup(walk.item);
            }
            s.find_level_place(descent, walk.item, walk.next);
            let (unit, enter) = (s.b.create_block(), s.b.create_block());
            let id = s.get(descent.unit);
            s.b.branch(Cond::Ne, id, imm(0), unit, enter);
            s.b.switch_to(unit);
            if descent.tried.is_some() {
                s.exclude_unit(walk.item, selection.place, walk.next);
            }
            s.bind(selection.binder, walk.item);
            s.filter(selection, walk.next);
            s.skip_tried(descent, walk.next);
            s.b.jump(enter, &[]);
            s.b.switch_to(enter);
            let (fits, beyond) = (s.b.create_block(), s.b.create_block());
            let level = s.get(descent.level);
            s.b.branch(Cond::Ult, level, imm(i64::from(MAX_LEVELS)), fits, beyond);
            s.b.switch_to(beyond);
            s.note_one_more(at::BEYOND);
            s.b.jump(walk.next, &[]);
            s.b.switch_to(fits);
            s.once_for(Part::Enter(descent.rows()), |s| s.enter_row(descent));
            s.b.jump(walk.next, &[]);
        });
    }

    /// The level of a cgroup, and its units: itself, or what the level below has kept, which is taken from there.
    /// Goes on with the next if it has none.
    fn units_of(&mut self, place: Place, descent: &Descent, walk: &Walk) {
        let (itself, inner, some) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let depth = self.read(walk.item, members::MEMCG_LEVEL);
        let top = self.get(descent.top);
        let level = self.bin(BinOp::Sub, depth, top);
        self.put(descent.level, level);
        self.take_below(descent);
        self.put_imm(descent.unit, 0);
        self.is_unit(place, descent.parent_of_last, walk, itself, inner);
        self.b.switch_to(itself);
        let id = self.read(walk.item, members::MEMCG_ID);
        self.put(descent.unit, id);
        self.b.jump(some, &[]);
        self.b.switch_to(inner);
        let below = self.get(descent.below);
        self.b.branch(Cond::Ne, below, imm(0), some, walk.next);
        self.b.switch_to(some);
    }

    /// Takes what the level below has kept.
    fn take_below(&mut self, descent: &Descent) {
        let (kept, bottom) = (self.b.create_block(), self.b.create_block());
        self.put_imm(descent.below, 0);
        let level = self.get(descent.level);
        let deeper = self.bin_imm(BinOp::Add, level, 1);
        self.b.branch(Cond::Ult, deeper, imm(i64::from(MAX_LEVELS)), kept, bottom);
        self.b.switch_to(kept);
        let head = self.head(descent, deeper);
        let count = self.load(Size::B8, head, COUNT);
        self.put(descent.below, count);
        let none = self.int(0);
        self.store_at(head, COUNT, none);
        self.b.jump(bottom, &[]);
        self.b.switch_to(bottom);
    }

    /// Where a cgroup belongs in the row of its level; leaves to `skip` if there is no room for its units.
    fn find_level_place(&mut self, descent: &Descent, memcg: Value, skip: Block) {
        let order = &descent.order;
        let (level_fits, compare, rest) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let lead = self.lead_numbers(order, memcg);
        let level = self.get(descent.level);
        self.b.branch(Cond::Ult, level, imm(i64::from(MAX_LEVELS)), level_fits, rest);
        self.b.switch_to(level_fits);
        let head = self.head(descent, level);
        let count = self.load(Size::B8, head, COUNT);
        self.b.branch(Cond::Ult, count, imm(i64::from(descent.capacity)), rest, compare);
        self.b.switch_to(compare);
        let last = self.int(i64::from(descent.capacity) - 1);
        let level = self.get(descent.level);
        self.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS)), rest);
        let last = self.row_entry(descent, level, last);
        self.compare(&lead, last, rest, skip);
        self.b.jump(rest, &[]);
        self.b.switch_to(rest);
        self.rest(order, true, memcg);
        let place = self.once_for(Part::Level(descent.rows()), |s| s.place_in_row(descent));
        self.put(descent.place, place);
        self.leave_if(Cond::Uge, place, imm(i64::from(descent.capacity)), skip);
    }

    /// How many units of the present level rank above the present cgroup.
    fn place_in_row(&mut self, descent: &Descent) -> Value {
        let (fits, found) = (self.b.create_block(), self.b.create_block());
        let place = self.b.block_param(found, Type::I64);
        // What lies too deep is counted where it would enter.
        let deep = self.b.create_block();
        let level = self.get(descent.level);
        self.b.branch(Cond::Ult, level, imm(i64::from(MAX_LEVELS)), fits, deep);
        self.b.switch_to(deep);
        let first = self.int(0);
        self.b.jump(found, &[first]);
        self.b.switch_to(fits);
        let head = self.head(descent, level);
        let count = self.load(Size::B8, head, COUNT);
        let at = self
            .place_among(&descent.order, descent.capacity, count, |s, at| s.row_entry(descent, level, at));
        self.b.jump(found, &[at]);
        self.b.switch_to(found);
        place
    }

    /// Enters the units of the present cgroup into the row of its level: the last one first, so that all of them go
    /// to the same place.
    fn enter_row(&mut self, descent: &Descent) -> Value {
        let (fits, one, many, out) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block(), self.b.create_block());
        let level = self.get(descent.level);
        self.b.branch(Cond::Ult, level, imm(i64::from(MAX_LEVELS) - 1), fits, one);
        self.b.switch_to(fits);
        let id = self.get(descent.unit);
        self.b.branch(Cond::Ne, id, imm(0), one, many);
        self.b.switch_to(one);
        let level = self.get(descent.level);
        self.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS)), out);
        let id = self.get(descent.unit);
        self.enter(descent, level, id);
        self.b.jump(out, &[]);

        self.b.switch_to(many);
        let (head, go_on) = (self.b.create_block(), self.b.create_block());
        let done = self.b.block_param(head, Type::I64);
        let none = self.int(0);
        self.b.jump(head, &[none]);
        self.b.switch_to(head);
        let below = self.get(descent.below);
        self.leave_if(Cond::Uge, done, Operand::Value(below), out);
        self.b.branch(Cond::Uge, done, imm(i64::from(descent.capacity)), out, go_on);
        self.b.switch_to(go_on);
        let level = self.get(descent.level);
        self.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS) - 1), out);
        let (last, deeper) = (self.bin_imm(BinOp::Sub, below, 1), self.bin_imm(BinOp::Add, level, 1));
        let last = self.bin(BinOp::Sub, last, done);
        let entry = self.row_entry(descent, deeper, last);
        let id = self.load(Size::B8, entry, descent.id_offset());
        self.enter(descent, level, id);
        let next = self.bin_imm(BinOp::Add, done, 1);
        self.b.jump(head, &[next]);
        self.b.switch_to(out);
        self.int(0)
    }

    /// Enters a unit at the place that was found; the last one goes if there is no room.
    fn enter(&mut self, descent: &Descent, level: Value, id: Value) {
        let (room, full, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let digit = self.b.block_param(join, Type::I64);
        let head = self.head(descent, level);
        let count = self.load(Size::B8, head, COUNT);
        self.b.branch(Cond::Ult, count, imm(i64::from(descent.capacity)), room, full);
        self.b.switch_to(room);
        let more = self.bin_imm(BinOp::Add, count, 1);
        self.store_at(head, COUNT, more);
        self.b.jump(join, &[count]);
        self.b.switch_to(full);
        let digits = self.load(Size::B8, head, DIGITS);
        let last = self.last_of(digits, descent.capacity);
        self.b.jump(join, &[last]);
        self.b.switch_to(join);
        let digits = self.load(Size::B8, head, DIGITS);
        let place = self.get(descent.place);
        let digits = self.with_digit(digits, place, digit);
        self.store_at(head, DIGITS, digits);
        let entry = self.entry_by_digit(descent, level, digit);
        for (at, number) in (0..).zip(self.candidate_numbers(&descent.order)) {
            self.store_at(entry, at * 8, number);
        }
        self.store_at(entry, descent.id_offset(), id);
    }

    /// The head of a level's row; the level is below [`MAX_LEVELS`].
    fn head(&mut self, descent: &Descent, level: Value) -> Value {
        self.slot_of(descent.heads, level, HEAD_SHIFT)
    }

    /// The entry at a place of a level's row; the level is below [`MAX_LEVELS`].
    fn row_entry(&mut self, descent: &Descent, level: Value, place: Value) -> Value {
        let head = self.head(descent, level);
        let digits = self.load(Size::B8, head, DIGITS);
        let bits = self.bin_imm(BinOp::Shl, place, 2);
        let digit = self.bin(BinOp::Ushr, digits, bits);
        self.entry_by_digit(descent, level, digit)
    }

    fn entry_by_digit(&mut self, descent: &Descent, level: Value, digit: Value) -> Value {
        let digit = self.bin_imm(BinOp::And, digit, digit_mask(descent.capacity));
        let offset = self.bin_imm(BinOp::Shl, digit, descent.entry_shift);
        let row = self.slot_of(descent.rows, level, descent.row_shift);
        self.b.value(InstData::PtrAdd(row, offset), Type::Ptr)
    }

    fn slot_of(&mut self, area: Cell, index: Value, shift: i32) -> Value {
        let start = self.area_addr(area);
        let offset = self.bin_imm(BinOp::Shl, index, shift);
        self.b.value(InstData::PtrAdd(start, offset), Type::Ptr)
    }

    /// The units that a descent has ended in, by their number: how many there are, and the id of one.
    pub(super) fn descended(&mut self, descent: &Descent, place: Value) -> (Value, Value) {
        let top = self.int(0);
        let head = self.head(descent, top);
        let count = self.load(Size::B8, head, COUNT);
        let entry = self.row_entry(descent, top, place);
        (count, self.load(Size::B8, entry, descent.id_offset()))
    }

    /// The id of the next unit, in its cell; ends the tries when there is no further one. Where all that were kept were
    /// refused and there may be more, another walk finds them.
    pub(super) fn next_unit(
        &mut self,
        selection: &Selection,
        descent: &Descent,
        taking: Taking,
        tries: &Walk,
    ) {
        let (have, over, again, run) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block(), self.b.create_block());
        let next = self.get(taking.next);
        let (count, _) = self.descended(descent, next);
        self.b.branch(Cond::Ult, next, Operand::Value(count), have, over);
        self.b.switch_to(over);
        self.b.branch(Cond::Eq, next, imm(0), run, again);
        self.b.switch_to(again);
        self.leave_if(Cond::Ult, next, imm(i64::from(descent.capacity)), tries.done);
        let killed = self.get(taking.killed);
        self.leave_if(Cond::Ne, killed, imm(0), tries.done);
        self.b.jump(run, &[]);
        self.b.switch_to(run);
        self.put_imm(taking.next, 0);
        self.with_rcu(|s| {
            s.descend(selection, descent);
            s.note_units(selection, descent);
        });
        let first = self.int(0);
        let (count, _) = self.descended(descent, first);
        self.b.branch(Cond::Ne, count, imm(0), have, tries.done);
        self.b.switch_to(have);
        let next = self.get(taking.next);
        let (_, id) = self.descended(descent, next);
        self.bump(taking.next);
        self.remember_tried(descent, id);
        self.put(taking.id, id);
    }

    /// Tells the record of the units that a descent has ended in.
    fn note_units(&mut self, selection: &Selection, descent: &Descent) {
        self.walk_numbers(MAX_CANDIDATES as i32, |s, walk| {
            let at = s.number(walk.item);
            let (count, id) = s.descended(descent, at);
            s.leave_if(Cond::Uge, at, Operand::Value(count), walk.done);
            let memcg = s.memcg_by_id(id, walk.next);
            s.bind(selection.binder, memcg);
            s.class_of_cgroup(memcg);
            s.rest(&descent.order, false, memcg);
            s.note_present(&descent.order, memcg);
            s.give_back(memcg);
            s.b.jump(walk.next, &[]);
        });
    }

    /// A unit that was tried is none any more: the next descent ends elsewhere.
    fn skip_tried(&mut self, descent: &Descent, skip: Block) {
        let Some((tried, units)) = descent.tried else { return };
        let seen = self.cell();
        self.put_imm(seen, 0);
        self.walk_numbers(MAX_TRIES, |s, walk| {
            let (index, count) = (s.number(walk.item), s.get(tried));
            s.leave_if(Cond::Uge, index, Operand::Value(count), walk.done);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_TRIES)), walk.done);
            let slot = s.slot_of(units, index, 3);
            let (former, own) = (s.load(Size::B8, slot, 0), s.get(descent.unit));
            s.leave_if(Cond::Ne, former, Operand::Value(own), walk.next);
            s.put_imm(seen, 1);
            s.b.jump(walk.done, &[]);
        });
        let seen = self.get(seen);
        self.leave_if(Cond::Ne, seen, imm(0), skip);
    }

    /// Writes down what a descent has ended in.
    fn remember_tried(&mut self, descent: &Descent, id: Value) {
        let Some((tried, units)) = descent.tried else { return };
        let (room, full) = (self.b.create_block(), self.b.create_block());
        let count = self.get(tried);
        self.b.branch(Cond::Ult, count, imm(i64::from(MAX_TRIES)), room, full);
        self.b.switch_to(room);
        let slot = self.slot_of(units, count, 3);
        self.store_at(slot, 0, id);
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
            self.give_back(memcg);
        }
        self.b.jump(gone, &[]);
        self.b.switch_to(gone);
    }

    /// Whether a memcg is a kill unit: no online child, or `memory.oom.group`. The root is none. Ends the block.
    fn is_unit(&mut self, place: Place, parent_of_last: Cell, walk: &Walk, yes: Block, no: Block) {
        let memcg = walk.item;
        let (leaf, inner) = (self.b.create_block(), self.b.create_block());
        match place {
            Place::Subtree(_) | Place::Leaves(_) => {
                let css = self.node_of(memcg);
                self.leaf_or(css, parent_of_last, leaf, inner, walk.next);
            }
            // Not walked children before parents.
            Place::Children(_) | Place::Cgroup(_) | Place::Matching(_) => {
                let is_leaf = self.is_leaf(memcg);
                self.b.branch(Cond::Ne, is_leaf, imm(0), leaf, inner);
            }
        }
        for (block, group) in [(leaf, false), (inner, true)] {
            self.b.switch_to(block);
            let parent = self.pointer(memcg, members::MEMCG_PARENT);
            self.leave_if(Cond::Eq, parent, imm(0), no);
            if group {
                let group = self.field(memcg, members::MEMCG_OOM_GROUP);
                self.b.branch(Cond::Ne, group, imm(0), yes, no);
            } else {
                self.b.jump(yes, &[]);
            }
        }
    }
}

impl Descent {
    /// Where its rows lie, and how they are laid out: descents that agree in it agree in all their cells.
    fn rows(&self) -> Rows {
        (self.rows, self.capacity, self.order.len())
    }

    /// Where the id lies in an entry.
    fn id_offset(&self) -> i32 {
        self.order.len() as i32 * 8
    }
}
