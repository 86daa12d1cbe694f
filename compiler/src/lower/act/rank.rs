//! Rankings: a candidate's keys as numbers of which the larger wins, and the best candidates, kept sorted.
//!
//! A key whose value can be missing is two numbers, whether it is there and the value, so that missing sorts last in
//! both directions; an amount, which is never negative, is one, and −1 stands for missing. After the author's keys
//! come those that make the order total.
//!
//! What is kept lies in the scratch value: entries that never move, and one number whose digits, four bits each, say
//! which entry is the first, the second, and so on. So a new candidate costs one entry and a shift of digits. The
//! leading numbers of the last entry are kept apart as the floor: most candidates are below it, and cost one
//! comparison.

use oomc_abi::consts::TASK_COMM_LEN;
use oomc_abi::fields::FieldId;
use oomc_abi::record::{MAX_CANDIDATES, NAME_BYTES, NAME_WORDS};
use oomc_abi::{helpers, members};

use super::Act;
use super::outline::Part;
use crate::hir::{BinderId, Direction, ExprId, ExprKind, Key, Selection, Subject, Unit};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Walks, imm};
use crate::lower::read::Item;
use crate::plan::{Rank, Ranking, cost};

/// As many keys that can be missing are carried in registers.
const FEW: usize = 2;

/// Bits of a digit of the order.
const DIGIT: i32 = 4;

/// What a digit is masked with: there are as many entries as it can name.
pub(super) fn digit_mask(capacity: u32) -> i32 {
    capacity.next_power_of_two() as i32 - 1
}

/// How the candidates of a selection are compared.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub(super) unit: Unit,
    pub(super) binder: BinderId,
    ranks: Vec<Rank>,
    keys: Vec<Key>,
    /// Numbers that lead: the class, and the first key.
    lead: usize,
    /// Keys that are compared with the last one that is kept before all else.
    floor: usize,
    /// The numbers of the present candidate.
    candidate: Vec<Cell>,
}

impl Order {
    /// How many numbers a candidate has.
    pub(super) fn len(&self) -> usize {
        self.candidate.len()
    }
}

impl Default for Order {
    fn default() -> Self {
        let (unit, binder) = (Unit::Process, BinderId::from_u32(0));
        Self { unit, binder, ranks: Vec::new(), keys: Vec::new(), lead: 0, floor: 0, candidate: Vec::new() }
    }
}

/// A ranking at work.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) order: Order,
    pub(super) capacity: u32,
    /// Entries: numbers, id, start time or nothing, name; each begins at a multiple of a power of two.
    entries: Cell,
    shift: i32,
    /// Which entries there are, by their digits, the best one first.
    digits: Cell,
    /// How many.
    pub(super) count: Cell,
    /// The first numbers of the last entry, once there is no room.
    floor: Vec<Cell>,
    /// 1: the first entry is the last one that was tried in vain, and who comes must rank below it.
    pub(super) tried: Cell,
}

/// What the place of a candidate is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Searched {
    candidate: Vec<Cell>,
    entries: Cell,
    digits: Cell,
    count: Cell,
    capacity: u32,
}

impl Kept {
    /// Words of an entry before its id.
    pub(super) fn numbers(&self) -> i32 {
        self.order.candidate.len() as i32
    }

    /// What the place of a candidate is found by: rankings that agree in it can share the function.
    fn searched_by(&self) -> Searched {
        let candidate = self.order.candidate.clone();
        Searched {
            candidate,
            entries: self.entries,
            digits: self.digits,
            count: self.count,
            capacity: self.capacity,
        }
    }

    fn digit_mask(&self) -> i32 {
        digit_mask(self.capacity)
    }
}

impl Act<'_> {
    /// How a selection's candidates are compared.
    pub(super) fn order_of(&mut self, selection: &Selection, ranking: &Ranking) -> Order {
        let (ranks, lead) = (&ranking.ranks, cost::lead_of(ranking));
        let mut order = Order {
            unit: selection.unit,
            binder: selection.binder,
            ranks: ranks.clone(),
            keys: selection.keys.clone(),
            lead: 0,
            floor: cost::floor_of(self.policy, ranking),
            candidate: Vec::new(),
        };
        order.lead = self.numbers_of(&order, lead);
        let all = self.numbers_of(&order, ranks.len());
        order.candidate = (0..all).map(|_| self.cell()).collect();
        order
    }

    /// How many numbers the first few keys are.
    fn numbers_of(&self, order: &Order, ranks: usize) -> usize {
        let ranks = order.ranks.iter().take(ranks);
        ranks.map(|rank| 1 + usize::from(self.is_two(order, rank))).sum()
    }

    /// The cells of a ranking; it is empty before [`Self::empty`].
    pub(super) fn kept(&mut self, ranking: &Ranking, order: Order) -> Kept {
        let name = match ranking.unit {
            Unit::Process => TASK_COMM_LEN as u32 / 8,
            Unit::Cgroup => NAME_WORDS,
        };
        let entry = (8 * (order.candidate.len() as u32 + 2 + name)).next_power_of_two();
        let room = ranking.capacity.next_power_of_two();
        Kept {
            entries: self.area(entry * room),
            shift: entry.trailing_zeros() as i32,
            digits: self.cell(),
            count: self.cell(),
            floor: (0..self.numbers_of(&order, order.floor)).map(|_| self.cell()).collect(),
            tried: self.cell(),
            capacity: ranking.capacity,
            order,
        }
    }

    /// Nobody is kept. Whoever comes is above the floor.
    pub(super) fn empty(&mut self, kept: &Kept) {
        for cell in [kept.digits, kept.count, kept.tried] {
            self.put_imm(cell, 0);
        }
        self.lower_floor(kept);
    }

    fn lower_floor(&mut self, kept: &Kept) {
        for cell in &kept.floor {
            let lowest = self.int(i64::MIN);
            self.put(*cell, lowest);
        }
    }

    /// All that are kept were tried in vain: the last one becomes the only one, above all that come.
    pub(super) fn begin_below(&mut self, kept: &Kept) {
        let last = self.last_digit(kept);
        self.put(kept.digits, last);
        self.put_imm(kept.count, 1);
        self.put_imm(kept.tried, 1);
        self.lower_floor(kept);
    }

    fn last_digit(&mut self, kept: &Kept) -> Value {
        let digits = self.get(kept.digits);
        self.last_of(digits, kept.capacity)
    }

    /// The last digit of a word of digits that is full.
    pub(super) fn last_of(&mut self, digits: Value, capacity: u32) -> Value {
        let last = self.bin_imm(BinOp::Ushr, digits, DIGIT * (capacity as i32 - 1));
        self.bin_imm(BinOp::And, last, digit_mask(capacity))
    }

    /// Leaves to `skip` if a candidate, which is bound, is below the floor. Computes its leading numbers.
    pub(super) fn lead(&mut self, kept: &Kept, object: Value, skip: Block) {
        let order = &kept.order;
        let numbers = self.numbers(order, object, 0..order.lead);
        let pass = self.b.create_block();
        self.compare_with_floor(kept, 0, &numbers, pass, skip);
        // Where these tie, those behind them decide: they are cheap, and computed anew for whoever passes.
        let mut at = order.lead;
        while at < kept.floor.len() {
            let next = self.numbers(order, object, at..at + 1);
            self.compare_with_floor(kept, at, &next, pass, skip);
            at += next.len().max(1);
        }
        self.b.jump(pass, &[]);
        self.b.switch_to(pass);
        self.put_numbers(order, 0, &numbers);
    }

    /// Leaves to `pass` or `skip` if some numbers are above or below those of the floor from a place on.
    fn compare_with_floor(&mut self, kept: &Kept, from: usize, numbers: &[Value], pass: Block, skip: Block) {
        for (at, (number, floor)) in (from + 1..).zip(numbers.iter().zip(kept.floor.iter().skip(from))) {
            let floor = self.get(*floor);
            self.leave_if(Cond::Slt, *number, Operand::Value(floor), skip);
            if at < kept.floor.len() {
                self.leave_if(Cond::Sgt, *number, Operand::Value(floor), pass);
            }
        }
    }

    /// Leaves to `skip` if the first key of a candidate, which is at most this number, is below the floor.
    pub(super) fn leave_below(&mut self, kept: &Kept, bound: ExprId, skip: Block) {
        let order = &kept.order;
        let above = self.b.create_block();
        let two = order.ranks.first().is_some_and(|rank| self.is_two(order, rank));
        let floor = match (two, kept.floor.as_slice()) {
            (false, [value, ..]) => *value,
            (true, [there, value, ..]) => {
                // Below one whose value is missing, or below nobody yet, nothing can be.
                let there = self.get(*there);
                self.leave_if(Cond::Sle, there, imm(0), above);
                *value
            }
            _ => {
                self.broken("a ranking without a leading number");
                self.b.jump(above, &[]);
                return self.b.switch_to(above);
            }
        };
        let most = self.expr(bound, above);
        let floor = self.get(floor);
        self.b.branch(Cond::Slt, most, Operand::Value(floor), skip, above);
        self.b.switch_to(above);
    }

    /// Computes the leading numbers of a candidate, which is bound, and gives them.
    pub(super) fn lead_numbers(&mut self, order: &Order, object: Value) -> Vec<Value> {
        let numbers = self.numbers(order, object, 0..order.lead);
        self.put_numbers(order, 0, &numbers);
        numbers
    }

    /// Computes the numbers of a candidate that [`Self::lead`] has not computed.
    pub(super) fn rest(&mut self, order: &Order, led: bool, object: Value) {
        let from = if led { order.lead } else { 0 };
        let numbers = self.numbers(order, object, from..order.candidate.len());
        self.put_numbers(order, from, &numbers);
    }

    fn put_numbers(&mut self, order: &Order, from: usize, numbers: &[Value]) {
        for (number, cell) in numbers.iter().zip(order.candidate.iter().skip(from)) {
            self.put(*cell, *number);
        }
    }

    /// Where the numbers of the present candidate begin: its cells lie one behind the other.
    pub(super) fn candidate_start(&mut self, order: &Order) -> Value {
        match order.candidate.first() {
            Some(first) => self.area_addr(*first),
            None => self.broken("a ranking without a number"),
        }
    }

    /// The numbers of a candidate, once computed.
    pub(super) fn candidate_numbers(&mut self, order: &Order) -> Vec<Value> {
        order.candidate.iter().map(|cell| self.get(*cell)).collect()
    }

    /// Finds the place of a candidate, whose numbers are computed, and keeps it there; goes to `skip` if it has none.
    pub(super) fn offer(&mut self, kept: &Kept, object: Value, skip: Block) {
        let place = self.once_for(Part::Place(kept.searched_by()), |s| s.find_place(kept));
        let tried = self.get(kept.tried);
        self.leave_if(Cond::Ult, place, Operand::Value(tried), skip);
        self.leave_if(Cond::Uge, place, imm(i64::from(kept.capacity)), skip);
        let entry = self.make_room(kept, place);
        for (at, number) in (0..).zip(self.candidate_numbers(&kept.order)) {
            self.store_at(entry, at * 8, number);
        }
        let id = kept.numbers() * 8;
        let (number, start) = match kept.order.unit {
            Unit::Process => {
                (self.field(object, members::TASK_PID), Some(self.field(object, members::TASK_START)))
            }
            Unit::Cgroup => (self.read(object, members::MEMCG_ID), None),
        };
        self.store_at(entry, id, number);
        if let Some(start) = start {
            self.store_at(entry, id + 8, start);
        }
        self.keep_name(kept, entry, object);
        self.raise_floor(kept);
    }

    /// Keeps the name of a process. Of a cgroup, where its name is: most of those that are kept go again.
    fn keep_name(&mut self, kept: &Kept, entry: Value, object: Value) {
        let at = kept.numbers() * 8 + 16;
        match kept.order.unit {
            Unit::Process => {
                let name = self.int(i64::from(at));
                let name = self.b.value(InstData::PtrAdd(entry, name), Type::Ptr);
                self.copy_comm(name, object);
            }
            Unit::Cgroup => {
                let name = self.name_of_cgroup(object);
                self.store_at(entry, at, name);
            }
        }
    }

    /// At the end of a walk: the names of those that a record tells, for the places where they are. Needs the RCU section
    /// of the walk, in which no cgroup that it has visited is freed.
    pub(super) fn copy_kept_names(&mut self, kept: &Kept) {
        if kept.order.unit == Unit::Process {
            return;
        }
        self.each_told(kept, |s, entry| {
            let at = kept.numbers() * 8 + 16;
            let from = s.load(Size::B8, entry, at);
            let (at, size) = (s.int(i64::from(at)), s.int(NAME_BYTES as i64));
            let to = s.b.value(InstData::PtrAdd(entry, at), Type::Ptr);
            s.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, from]);
        });
    }

    /// The best of those that a ranking keeps, as many as a record tells; none if it has told some before.
    pub(super) fn each_told(&mut self, kept: &Kept, body: impl FnOnce(&mut Self, Value)) {
        let done = self.b.create_block();
        let tried = self.get(kept.tried);
        self.leave_if(Cond::Ne, tried, imm(0), done);
        self.walk_numbers(MAX_CANDIDATES as i32, |s, walk| {
            let at = s.number(walk.item);
            let count = s.get(kept.count);
            s.leave_if(Cond::Uge, at, Operand::Value(count), walk.done);
            let entry = s.entry(kept, at);
            body(s, entry);
            s.b.jump(walk.next, &[]);
        });
        self.b.jump(done, &[]);
        self.b.switch_to(done);
    }

    /// How many of those that are kept rank above the present candidate, whose numbers are computed.
    fn find_place(&mut self, kept: &Kept) -> Value {
        let count = self.get(kept.count);
        self.place_among(&kept.order, kept.capacity, count, |s, at| s.entry(kept, at))
    }

    /// How many of so many entries, which lie in their order and begin with their numbers, rank above the present
    /// candidate. From the best one on, because whoever is above the floor is often above all.
    pub(super) fn place_among(
        &mut self,
        order: &Order,
        capacity: u32,
        count: Value,
        entry: impl FnOnce(&mut Self, Value) -> Value,
    ) -> Value {
        let (head, found) = (self.b.create_block(), self.b.create_block());
        let at = self.b.block_param(head, Type::I64);
        let numbers = self.candidate_numbers(order);
        let zero = self.int(0);
        self.b.jump(head, &[zero]);
        self.b.switch_to(head);
        self.leave_if(Cond::Uge, at, Operand::Value(count), found);
        // The bound that the verifier sees.
        self.leave_if(Cond::Uge, at, imm(i64::from(capacity)), found);
        let entry = entry(self, at);
        let below = self.b.create_block();
        self.compare(order, &numbers, entry, found, below);
        self.b.jump(below, &[]);
        self.b.switch_to(below);
        let next = self.bin_imm(BinOp::Add, at, 1);
        self.b.jump(head, &[next]);
        self.b.switch_to(found);
        at
    }

    /// Leaves to `above` or `below` if some numbers of the present candidate differ from those that an entry begins with.
    pub(super) fn compare(
        &mut self,
        order: &Order,
        numbers: &[Value],
        entry: Value,
        above: Block,
        below: Block,
    ) {
        let deferred = order.ranks.iter().position(|rank| *rank == Rank::UnreclaimableOfEquals);
        let deferred = deferred.map(|ranks| self.numbers_of(order, ranks) as i32);
        for (index, number) in (0..).zip(numbers) {
            let other = self.load(Size::B8, entry, index * 8);
            if deferred == Some(index) {
                self.compare_equals(*number, other, above, below);
                continue;
            }
            self.leave_if(Cond::Sgt, *number, Operand::Value(other), above);
            self.leave_if(Cond::Slt, *number, Operand::Value(other), below);
        }
    }

    /// The entry at a place of the order.
    pub(super) fn entry(&mut self, kept: &Kept, place: Value) -> Value {
        let digits = self.get(kept.digits);
        let bits = self.bin_imm(BinOp::Shl, place, 2);
        let digit = self.bin(BinOp::Ushr, digits, bits);
        self.entry_of_digit(kept, digit)
    }

    fn entry_of_digit(&mut self, kept: &Kept, digit: Value) -> Value {
        let digit = self.bin_imm(BinOp::And, digit, kept.digit_mask());
        let offset = self.bin_imm(BinOp::Shl, digit, kept.shift);
        let start = self.area_addr(kept.entries);
        self.b.value(InstData::PtrAdd(start, offset), Type::Ptr)
    }

    /// Moves the digits from a place on one further down, and gives the entry that is free then: a new one, or that
    /// of the last.
    fn make_room(&mut self, kept: &Kept, place: Value) -> Value {
        let (room, full, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let digit = self.b.block_param(join, Type::I64);
        let count = self.get(kept.count);
        self.b.branch(Cond::Uge, count, imm(i64::from(kept.capacity)), full, room);
        self.b.switch_to(room);
        self.bump(kept.count);
        self.b.jump(join, &[count]);
        self.b.switch_to(full);
        let last = self.last_digit(kept);
        self.b.jump(join, &[last]);
        self.b.switch_to(join);
        let digits = self.get(kept.digits);
        let digits = self.with_digit(digits, place, digit);
        self.put(kept.digits, digits);
        self.entry_of_digit(kept, digit)
    }

    /// A word of digits with one more at a place; those from there on move one further down.
    pub(super) fn with_digit(&mut self, digits: Value, place: Value, digit: Value) -> Value {
        let bits = self.bin_imm(BinOp::Shl, place, 2);
        let one = self.int(1);
        let above = self.bin(BinOp::Shl, one, bits);
        let above = self.bin_imm(BinOp::Sub, above, 1);
        let above = self.bin(BinOp::And, digits, above);
        let below = self.bin(BinOp::Xor, digits, above);
        let below = self.bin_imm(BinOp::Shl, below, DIGIT);
        let own = self.bin(BinOp::Shl, digit, bits);
        let digits = self.bin(BinOp::Or, above, own);
        self.bin(BinOp::Or, digits, below)
    }

    /// Once there is no room, the last entry is what a candidate is compared with first.
    fn raise_floor(&mut self, kept: &Kept) {
        let (full, join) = (self.b.create_block(), self.b.create_block());
        let count = self.get(kept.count);
        self.b.branch(Cond::Uge, count, imm(i64::from(kept.capacity)), full, join);
        self.b.switch_to(full);
        let last = self.last_digit(kept);
        let entry = self.entry_of_digit(kept, last);
        for (at, cell) in (0..).zip(&kept.floor) {
            let number = self.load(Size::B8, entry, at * 8);
            self.put(*cell, number);
        }
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Whether a key is two numbers: one says whether the other is there.
    fn is_two(&self, order: &Order, rank: &Rank) -> bool {
        self.may_miss(order, rank) && !self.is_amount(order, rank)
    }

    fn may_miss(&self, order: &Order, rank: &Rank) -> bool {
        match rank {
            Rank::Key(index) => order.keys.get(*index).is_some_and(|key| self.may_be_missing(key.expr)),
            Rank::Footprint => may_miss(self.ties.footprint),
            Rank::Unreclaimable => may_miss(self.ties.unreclaimable),
            Rank::Pid | Rank::Start | Rank::Serial | Rank::Class | Rank::UnreclaimableOfEquals => false,
        }
    }

    /// Whether the value is never negative, where it is there, and far below the largest number.
    fn is_amount(&self, order: &Order, rank: &Rank) -> bool {
        let key = match rank {
            Rank::Footprint | Rank::Unreclaimable => return true,
            Rank::Key(index) => order.keys.get(*index),
            _ => return false,
        };
        let Some(expr) = key.and_then(|key| self.policy.exprs.get(key.expr)) else { return false };
        match &expr.kind {
            ExprKind::Field(Subject::Candidate(_), field) => field.row().recipe.is_amount(),
            _ => false,
        }
    }

    /// Some numbers of a candidate, by their places among all of them; a key begins at the first.
    fn numbers(&mut self, order: &Order, object: Value, wanted: core::ops::Range<usize>) -> Vec<Value> {
        let mut numbers = Vec::new();
        let mut at = 0;
        let optional = order.ranks.iter().filter(|rank| self.is_two(order, rank)).count();
        for rank in &order.ranks {
            let begin = at;
            at += 1 + usize::from(self.is_two(order, rank));
            if !wanted.contains(&begin) {
                continue;
            }
            match (self.may_miss(order, rank), self.is_amount(order, rank)) {
                (false, _) => {
                    // Such a value never goes there: the block is not placed, and the IR's check would see a jump.
                    let nowhere = self.b.create_block();
                    numbers.push(self.rank_value(order, rank, object, nowhere));
                }
                (true, true) => numbers.push(self.amount(order, rank, object)),
                (true, false) => numbers.extend(self.optional(order, rank, object, optional > FEW)),
            }
        }
        numbers
    }

    /// A value, or what sorts behind all values.
    fn amount(&mut self, order: &Order, rank: &Rank, object: Value) -> Value {
        let (missing, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let found = self.rank_value(order, rank, object, missing);
        self.b.jump(join, &[found]);
        self.b.switch_to(missing);
        let ascending = self.is_ascending(order, rank);
        let last = self.int(if ascending { i64::MIN } else { -1 });
        self.b.jump(join, &[last]);
        self.b.switch_to(join);
        result
    }

    fn is_ascending(&self, order: &Order, rank: &Rank) -> bool {
        matches!(rank, Rank::Key(at) if order.keys.get(*at).is_some_and(|key| key.direction == Direction::Asc))
    }

    /// Whether a value is there, and the value.
    fn optional(&mut self, order: &Order, rank: &Rank, object: Value, hide: bool) -> [Value; 2] {
        let (missing, join) = (self.b.create_block(), self.b.create_block());
        let there = self.b.block_param(join, Type::I64);
        let value = self.b.block_param(join, Type::I64);
        let found = self.rank_value(order, rank, object, missing);
        let one = self.int(1);
        self.b.jump(join, &[one, found]);
        self.b.switch_to(missing);
        let zero = self.int(0);
        self.b.jump(join, &[zero, zero]);
        self.b.switch_to(join);
        // A constant on one of the two ways would double the verifier's states, for each key anew.
        if hide { [self.hidden(there), self.hidden(value)] } else { [there, value] }
    }

    fn rank_value(&mut self, order: &Order, rank: &Rank, object: Value, missing: Block) -> Value {
        let subject = Subject::Candidate(order.binder);
        let (footprint, unreclaimable) = (self.ties.footprint, self.ties.unreclaimable);
        match rank {
            Rank::Key(index) => {
                let Some(key) = order.keys.get(*index).copied() else {
                    return self.broken("a ranking has a key that its selection lacks");
                };
                let value = self.expr(key.expr, missing);
                match key.direction {
                    Direction::Desc => value,
                    // Not -1 - x written otherwise: the complement turns the order round without overflow.
                    Direction::Asc => self.bin_imm(BinOp::Xor, value, -1),
                }
            }
            Rank::Class => self.class_of(order.unit, object),
            Rank::Footprint => self.subject_item(subject, Item::Field(footprint), missing),
            Rank::Unreclaimable => self.subject_item(subject, Item::Field(unreclaimable), missing),
            Rank::Start => self.field(object, members::TASK_START),
            Rank::Pid => self.field(object, members::TASK_PID),
            Rank::Serial => self.field(object, members::MEMCG_SERIAL),
            // By its id it is asked when it meets an equal.
            Rank::UnreclaimableOfEquals => self.read(object, members::MEMCG_ID),
        }
    }

    /// The author's keys of an entry, for a record: whether each is missing, if it can be, and its value, or 0.
    pub(super) fn keys_of_entry(&mut self, order: &Order, entry: Value) -> Vec<(Option<Value>, Value)> {
        let mut keys = Vec::new();
        let mut at = 0;
        for rank in &order.ranks {
            let two = self.is_two(order, rank);
            let begin = at;
            at += 1 + i32::from(two);
            if !matches!(rank, Rank::Key(_)) {
                continue;
            }
            let number = self.load(Size::B8, entry, (at - 1) * 8);
            let (missing, number) = if two {
                let there = self.load(Size::B8, entry, begin * 8);
                (Some(self.bin_imm(BinOp::Xor, there, 1)), number)
            } else if self.may_miss(order, rank) {
                self.missing_amount(number, self.is_ascending(order, rank))
            } else {
                (None, number)
            };
            let ascending = self.is_ascending(order, rank);
            keys.push((
                missing,
                if ascending && (two || missing.is_none()) {
                    self.bin_imm(BinOp::Xor, number, -1)
                } else {
                    number
                },
            ));
        }
        keys
    }

    /// Whether an amount is missing, and the amount; 0 if it is.
    fn missing_amount(&mut self, number: Value, ascending: bool) -> (Option<Value>, Value) {
        let (gone, there, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (missing, amount) = (self.b.block_param(join, Type::I64), self.b.block_param(join, Type::I64));
        let last = self.int(if ascending { i64::MIN } else { -1 });
        self.b.branch(Cond::Eq, number, Operand::Value(last), gone, there);
        self.b.switch_to(gone);
        let (one, zero) = (self.int(1), self.int(0));
        self.b.jump(join, &[one, zero]);
        self.b.switch_to(there);
        let zero = self.int(0);
        let value = if ascending { self.bin_imm(BinOp::Xor, number, -1) } else { number };
        self.b.jump(join, &[zero, value]);
        self.b.switch_to(join);
        (Some(missing), amount)
    }

    /// The class in an entry, if the ranking has classes.
    pub(super) fn class_of_entry(&mut self, order: &Order, entry: Value) -> Option<Value> {
        (order.ranks.first() == Some(&Rank::Class)).then(|| self.load(Size::B8, entry, 0))
    }

    /// Whether entries hold the footprint as it is.
    pub(super) fn has_footprint(&self, order: &Order) -> bool {
        self.place_of_footprint(order).is_some()
    }

    /// The footprint in an entry, if the ranking has it as it is; −1: missing.
    pub(super) fn footprint_of_entry(&mut self, order: &Order, entry: Value) -> Option<Value> {
        let at = self.place_of_footprint(order)?;
        Some(self.load(Size::B8, entry, at * 8))
    }

    fn place_of_footprint(&self, order: &Order) -> Option<i32> {
        let mut at = 0;
        for rank in &order.ranks {
            let own = match rank {
                Rank::Footprint => true,
                Rank::Key(index) => order.keys.get(*index).is_some_and(|key| {
                    key.direction == Direction::Desc
                        && self.is_field(key.expr, order.binder, self.ties.footprint)
                }),
                _ => false,
            };
            if own {
                return Some(at);
            }
            at += 1 + i32::from(self.is_two(order, rank));
        }
        None
    }

    fn is_field(&self, expr: ExprId, binder: BinderId, wanted: FieldId) -> bool {
        let kind = self.policy.exprs.get(expr).map(|expr| &expr.kind);
        matches!(kind, Some(ExprKind::Field(Subject::Candidate(of), field)) if *of == binder && *field == wanted)
    }
}

/// Copying names, by way of what a record tells of them.
impl Act<'_> {
    pub(super) fn copy_name(&mut self, to: Value, unit: Unit, object: Value) {
        match unit {
            Unit::Process => self.copy_comm(to, object),
            Unit::Cgroup => {
                let from = self.name_of_cgroup(object);
                let size = self.int(NAME_BYTES as i64);
                self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, from]);
            }
        }
    }

    fn name_of_cgroup(&mut self, memcg: Value) -> Value {
        let cgroup = self.pointer(memcg, members::MEMCG_CGROUP);
        let node = self.pointer(cgroup, members::CGROUP_NODE);
        self.pointer(node, members::NODE_NAME)
    }
}

fn may_miss(field: FieldId) -> bool {
    !field.row().missing.is_empty()
}
