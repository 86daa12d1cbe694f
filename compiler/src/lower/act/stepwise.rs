//! `stepwise`: compares the children of a place, takes the best one, and descends until a kill unit is reached.
//!
//! One walk, children before parents, instead of one walk for each step. For each level below the place's cgroup the
//! first few units are kept that repeated descents from there would end in, each with the keys of the child that it
//! lies below. Visiting a cgroup: a kill unit has itself as its only unit, any other cgroup those that the level below
//! has kept, and they enter the row of their level together, where the keys of the cgroup say. A cgroup without a unit
//! does not compete, so nothing has to be taken back.

use oomc_abi::record::{MAX_CANDIDATES, at};
use oomc_abi::{helpers, members};

use super::Act;
use super::kill::MAX_TRIES;
use super::outline::Part;
use super::rank::{Order, digit_mask};
use super::select::{Line, Memo};
use crate::hir::{Place, Subject};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};
use crate::plan::{Ranking, Selector, Step, cost};

/// Levels of the tree that are compared; what lies deeper is counted in the record.
const MAX_LEVELS: i32 = 32;

/// Where rows begin, what they keep, and how many numbers each of it has.
pub(super) type Rows = (Cell, u32, usize);

/// Repeated descents of one selection.
#[derive(Clone, Debug)]
pub(super) struct Descent {
    pub(super) order: Order,
    /// Units that a row keeps.
    pub(super) capacity: u32,
    place_of: Place,
    /// For each level how many entries its row has, and which, by their digits, the best one first.
    counts: Cell,
    digits: Cell,
    /// For each level its entries: numbers, and the unit's id.
    rows: Cell,
    entry_shift: i32,
    row_shift: i32,
    /// The level of the place's cgroup, and of the one that is visited, counted from there.
    top: Cell,
    level: Cell,
    /// The visited cgroup's units: its id, or 0 and how many the level below has kept; and where they enter.
    unit: Cell,
    pub(super) below: Cell,
    place: Cell,
    /// How many units were tried, and, of a `kill`, their ids.
    pub(super) tried: Cell,
    tried_units: Option<Cell>,
}

impl Act<'_> {
    /// The cells of descents.
    pub(super) fn descent(&mut self, ranking: &Ranking, order: Order) -> Descent {
        let kills = matches!(ranking.of, Selector::Kill(_));
        let selection = cost::selection(self.policy, ranking.of);
        let entry = 8 * (order.len() as u32 + 1).next_power_of_two();
        let row = entry * (digit_mask(ranking.capacity) as u32 + 1);
        Descent {
            order,
            capacity: ranking.capacity,
            place_of: selection.map_or(Place::DOMAIN, |selection| selection.place),
            counts: self.area(MAX_LEVELS as u32 * 8),
            digits: self.area(MAX_LEVELS as u32 * 8),
            rows: self.area(MAX_LEVELS as u32 * row),
            entry_shift: entry.trailing_zeros() as i32,
            row_shift: row.trailing_zeros() as i32,
            top: self.cell(),
            level: self.cell(),
            unit: self.cell(),
            below: self.cell(),
            place: self.cell(),
            tried: self.cell(),
            tried_units: kills.then(|| self.area(MAX_TRIES as u32 * 8)),
        }
    }

    /// Nobody is kept, and nobody was tried.
    pub(super) fn empty_descent(&mut self, descent: &Descent) {
        self.put_imm(descent.tried, 0);
        self.put_imm(descent.counts, 0);
    }

    /// Before a walk that goes down to the units that descents end in, those aside that were tried. They lie in the
    /// place's own row.
    pub(super) fn begin_descent(&mut self, descent: &Descent) {
        // A helper that cannot read zeroes its destination.
        let (to, size) = (self.area_addr(descent.counts), self.int(i64::from(MAX_LEVELS) * 8));
        let nowhere = self.null();
        self.helper(helpers::PROBE_READ_KERNEL, &[to, size, nowhere]);
        self.put_imm(descent.top, 0);
        self.level_of_place(descent.place_of, descent.top);
    }

    /// The level of a cgroup that is visited, and how many units the level below has kept, which are taken from there.
    pub(super) fn note_level(&mut self, descent: &Descent, css: Value) {
        let depth = self.read(css, members::CSS_LEVEL);
        let top = self.get(descent.top);
        let level = self.bin(BinOp::Sub, depth, top);
        self.put(descent.level, level);
        self.take_below(descent);
    }

    /// Asks a cgroup that is a unit, or has some below it, what stands before its members: above all whether its
    /// level has room for it.
    pub(super) fn enter_level(&mut self, line: &Line<'_>, descent: &Descent, memcg: Value, memo: Memo) {
        let (Some(enters), Some(member)) = (line.enters, line.member) else { return };
        let (competes, out) = (self.b.create_block(), self.b.create_block());
        self.put_imm(enters, 0);
        let kind = self.get(member);
        self.leave_if(Cond::Ne, kind, imm(0), competes);
        let below = self.get(descent.below);
        self.b.branch(Cond::Ne, below, imm(0), competes, out);
        self.b.switch_to(competes);
        self.bind(line.selection.binder, memcg);
        for step in line.steps_before_members() {
            match step {
                Step::Lead => self.find_level_place(descent, memcg, out),
                // Only units are asked: who has units below competes by them.
                other => {
                    let (unit, join) = (self.b.create_block(), self.b.create_block());
                    let kind = self.get(member);
                    self.b.branch(Cond::Ne, kind, imm(0), unit, join);
                    self.b.switch_to(unit);
                    self.step(*other, line, memcg, memo, out);
                    self.b.jump(join, &[]);
                    self.b.switch_to(join);
                }
            }
        }
        self.begin_members(line, memo);
        self.put_imm(enters, 1);
        self.b.jump(out, &[]);
        self.b.switch_to(out);
    }

    /// Asks a unit the rest, and enters it, or those below a cgroup that is none, into the row of its level.
    pub(super) fn offer_level(
        &mut self,
        line: &Line<'_>,
        descent: &Descent,
        memcg: Value,
        memo: Memo,
        inline_members: bool,
    ) {
        let (Some(enters), Some(member)) = (line.enters, line.member) else { return };
        let (unit, enter, out) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let enters = self.get(enters);
        self.leave_if(Cond::Eq, enters, imm(0), out);
        self.bind(line.selection.binder, memcg);
        self.put_imm(descent.unit, 0);
        let kind = self.get(member);
        self.b.branch(Cond::Ne, kind, imm(0), unit, enter);
        self.b.switch_to(unit);
        if inline_members {
            self.scan_inner(line, member, memcg, memo);
        }
        let steps = line.steps_from_members().iter().filter(|step| **step != Step::Offer);
        steps.for_each(|step| self.step_of_unit(*step, line, memcg, memo, inline_members, out));
        let id = self.read(memcg, members::MEMCG_ID);
        self.put(descent.unit, id);
        self.skip_tried(descent, out);
        self.b.jump(enter, &[]);
        self.b.switch_to(enter);
        if !line.track.steps.contains(&Step::Lead) {
            self.find_level_place(descent, memcg, out);
        }
        let (fits, beyond) = (self.b.create_block(), self.b.create_block());
        let level = self.get(descent.level);
        self.b.branch(Cond::Ult, level, imm(i64::from(MAX_LEVELS)), fits, beyond);
        self.b.switch_to(beyond);
        self.note_one_more(at::BEYOND);
        self.b.jump(out, &[]);
        self.b.switch_to(fits);
        self.once_for(Part::Enter(descent.rows()), |s| s.enter_row(descent));
        self.b.jump(out, &[]);
        self.b.switch_to(out);
    }

    /// Takes what the level below has kept.
    fn take_below(&mut self, descent: &Descent) {
        let (kept, bottom) = (self.b.create_block(), self.b.create_block());
        self.put_imm(descent.below, 0);
        let level = self.get(descent.level);
        let deeper = self.bin_imm(BinOp::Add, level, 1);
        self.b.branch(Cond::Ult, deeper, imm(i64::from(MAX_LEVELS)), kept, bottom);
        self.b.switch_to(kept);
        let slot = self.count_slot(descent, deeper);
        let count = self.load(Size::B8, slot, 0);
        self.put(descent.below, count);
        let none = self.int(0);
        self.store_at(slot, 0, none);
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
        let slot = self.count_slot(descent, level);
        let count = self.load(Size::B8, slot, 0);
        self.b.branch(Cond::Ult, count, imm(i64::from(descent.capacity)), rest, compare);
        self.b.switch_to(compare);
        let last = self.int(i64::from(descent.capacity) - 1);
        let level = self.get(descent.level);
        self.leave_if(Cond::Uge, level, imm(i64::from(MAX_LEVELS)), rest);
        let last = self.row_entry(descent, level, last);
        self.compare(order, &lead, last, rest, skip);
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
        let slot = self.count_slot(descent, level);
        let count = self.load(Size::B8, slot, 0);
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
        let (head, go_on, none) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let done = self.b.block_param(head, Type::I64);
        // Those for whom there is no room behind the place that was found would only enter to go again.
        let (below, place) = (self.get(descent.below), self.get(descent.place));
        let too_many = self.bin(BinOp::Add, below, place);
        let too_many = self.bin_imm(BinOp::Sub, too_many, descent.capacity as i32);
        self.leave_if(Cond::Slt, too_many, imm(0), none);
        self.b.jump(head, &[too_many]);
        self.b.switch_to(none);
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
        let slot = self.count_slot(descent, level);
        let count = self.load(Size::B8, slot, 0);
        self.b.branch(Cond::Ult, count, imm(i64::from(descent.capacity)), room, full);
        self.b.switch_to(room);
        let more = self.bin_imm(BinOp::Add, count, 1);
        self.store_at(slot, 0, more);
        self.b.jump(join, &[count]);
        self.b.switch_to(full);
        let slot = self.digits_slot(descent, level);
        let digits = self.load(Size::B8, slot, 0);
        let last = self.last_of(digits, descent.capacity);
        self.b.jump(join, &[last]);
        self.b.switch_to(join);
        let slot = self.digits_slot(descent, level);
        let digits = self.load(Size::B8, slot, 0);
        let place = self.get(descent.place);
        let digits = self.with_digit(digits, place, digit);
        self.store_at(slot, 0, digits);
        let entry = self.entry_by_digit(descent, level, digit);
        for (at, number) in (0..).zip(self.candidate_numbers(&descent.order)) {
            self.store_at(entry, at * 8, number);
        }
        self.store_at(entry, descent.id_offset(), id);
    }

    /// Where the number of entries of a level's row is; the level is below [`MAX_LEVELS`].
    fn count_slot(&mut self, descent: &Descent, level: Value) -> Value {
        self.slot_of(descent.counts, level, 3)
    }

    fn digits_slot(&mut self, descent: &Descent, level: Value) -> Value {
        self.slot_of(descent.digits, level, 3)
    }

    /// The entry at a place of a level's row; the level is below [`MAX_LEVELS`].
    fn row_entry(&mut self, descent: &Descent, level: Value, place: Value) -> Value {
        let slot = self.digits_slot(descent, level);
        let digits = self.load(Size::B8, slot, 0);
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

    /// How many units descents have ended in.
    pub(super) fn count_of_descent(&mut self, descent: &Descent) -> Value {
        self.get(descent.counts)
    }

    /// One of them, and where its id is.
    pub(super) fn entry_of_descent(&mut self, descent: &Descent, place: Value) -> (Value, i32) {
        let top = self.int(0);
        (self.row_entry(descent, top, place), descent.id_offset())
    }

    /// Tells the record of the units that a descent has ended in.
    pub(super) fn note_units(&mut self, descent: &Descent) {
        self.with_rcu(|s| {
            s.walk_numbers(MAX_CANDIDATES as i32, |s, walk| {
                let (at, count) = (s.number(walk.item), s.count_of_descent(descent));
                s.leave_if(Cond::Uge, at, Operand::Value(count), walk.done);
                let (entry, id) = s.entry_of_descent(descent, at);
                let id = s.load(Size::B8, entry, id);
                let memcg = s.memcg_by_id(id, walk.next);
                s.bind(descent.order.binder, memcg);
                s.class_of_cgroup(memcg);
                s.rest(&descent.order, false, memcg);
                s.note_present(&descent.order, memcg);
                s.give_back(memcg);
                s.b.jump(walk.next, &[]);
            });
        });
    }

    /// A unit that was tried is none any more: the next descent ends elsewhere.
    fn skip_tried(&mut self, descent: &Descent, skip: Block) {
        let Some(units) = descent.tried_units else { return };
        let (some, none) = (self.b.create_block(), self.b.create_block());
        let tried = self.get(descent.tried);
        self.b.branch(Cond::Ne, tried, imm(0), some, none);
        self.b.switch_to(some);
        let seen = self.cell();
        self.put_imm(seen, 0);
        self.walk_numbers(MAX_TRIES, |s, walk| {
            let (index, count) = (s.number(walk.item), s.get(descent.tried));
            s.leave_if(Cond::Uge, index, Operand::Value(count), walk.done);
            s.leave_if(Cond::Uge, index, imm(i64::from(MAX_TRIES)), walk.done);
            let slot = s.slot_of(units, index, 3);
            let (former, own) = (s.load(Size::B8, slot, 0), s.get(descent.unit));
            s.leave_if(Cond::Ne, former, Operand::Value(own), walk.next);
            s.put_imm(seen, 1);
            s.b.jump(walk.done, &[]);
        });
        let seen = self.get(seen);
        self.b.branch(Cond::Ne, seen, imm(0), skip, none);
        self.b.switch_to(none);
    }

    /// Writes down what a descent has ended in.
    pub(super) fn remember_tried(&mut self, descent: &Descent, id: Value) {
        let Some(units) = descent.tried_units else { return };
        let (room, full) = (self.b.create_block(), self.b.create_block());
        let count = self.get(descent.tried);
        self.b.branch(Cond::Ult, count, imm(i64::from(MAX_TRIES)), room, full);
        self.b.switch_to(room);
        let slot = self.slot_of(units, count, 3);
        self.store_at(slot, 0, id);
        self.bump(descent.tried);
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
