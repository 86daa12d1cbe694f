//! The record of a decision, as [`oomc_abi::record`] lays it out.
//!
//! It is composed in a global value of its own while the rules run, and published at the end: into its slot of
//! the array of the last ones, and, unless it is the same decision as the one before, into the ring buffer. A
//! full ring buffer loses the record, never the decision, and the loss is counted.

use oomc_abi::consts::TASK_COMM_LEN;
use oomc_abi::helpers;
use oomc_abi::members;
use oomc_abi::record::{
    self, Action, End, MAX_CANDIDATES, MAX_KEYS, MAX_RULES, NAME_BYTES, NAME_WORDS, SAME_WORDS, at, candidate,
};
use oomc_abi::request;

use super::Act;
use super::keeps::Keeps;
use super::rank::{Kept, Order};
use crate::hir::{Anchor, ExprId, ExprKind, Message, Ty, Unit};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, imm};

/// What is remembered of the decision before.
#[derive(Clone, Debug)]
struct Last {
    number: Cell,
    first: Cell,
    count: Cell,
    /// [`SAME_WORDS`] words.
    same: Cell,
}

impl Act<'_> {
    /// Why the present rule made no progress, should it end here.
    pub(super) fn note_end(&mut self, end: End) {
        if self.rule_index < MAX_RULES {
            let ptr = self.record(0);
            let offset = at::ENDS as i32 * 8 + self.rule_index as i32;
            let value = Operand::Imm(i32::from(end.code()));
            self.b.effect(InstData::Store { size: Size::B1, ptr, offset, value });
        }
    }

    /// The present rule made progress.
    pub(super) fn note_progress(&mut self) {
        self.note_end(End::Progress);
        let rule_index = self.rule_index;
        self.note_imm(at::RULE, rule_index as i32);
    }

    /// Whom the present rule has chosen.
    pub(super) fn note_victim(&mut self, unit: Unit, object: Value) {
        let id = self.victim_id(unit, object);
        self.note(at::VICTIM, id);
        self.note_name(at::VICTIM_NAME, unit, object);
        self.note_imm(at::EXPECTED, 0);
    }

    /// The candidates that follow are those of the present action.
    pub(super) fn note_selection(&mut self) {
        let Some(number) = self.policy.kills().position(|(of, _)| of == self.action) else {
            self.broken("candidates belong to no kill");
            return;
        };
        self.note_imm(at::SELECTION, number as i32 + 1);
        self.note_imm(at::CANDIDATES, 0);
    }

    /// As [`Self::note_selection`], unless some of the candidates were tried and the next ones follow.
    pub(super) fn note_selection_once(&mut self, keeps: &Keeps) {
        let (first, join) = (self.b.create_block(), self.b.create_block());
        let tried = self.get(keeps.tried());
        self.b.branch(Cond::Eq, tried, imm(0), first, join);
        self.b.switch_to(first);
        self.note_selection();
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Tells the best of those that a ranking keeps, unless some were told before.
    pub(super) fn note_candidates(&mut self, kept: &Kept) {
        self.each_told(kept, |s, entry| {
            let id = kept.numbers() * 8;
            let number = s.load(Size::B8, entry, id);
            let slot = s.note_candidate(&kept.order, entry, number);
            let words = match kept.order.unit {
                Unit::Process => TASK_COMM_LEN as i32 / 8,
                Unit::Cgroup => NAME_WORDS as i32,
            };
            for word in 0..words {
                let part = s.load(Size::B8, entry, id + 16 + word * 8);
                s.store_at(slot, (candidate::NAME as i32 + word) * 8, part);
            }
            s.note_one_more(at::CANDIDATES);
        });
    }

    /// Writes a candidate behind those that were told, all but its name; gives the place. There is room.
    fn note_candidate(&mut self, order: &Order, numbers: Value, id: Value) -> Value {
        // An index comes from memory, and is masked at once.
        let index = self.noted(at::CANDIDATES);
        let index = self.bin_imm(BinOp::And, index, (MAX_CANDIDATES.next_power_of_two() - 1) as i32);
        let offset = self.bin_imm(BinOp::Mul, index, candidate::WORDS as i32 * 8);
        let start = self.record(at::FIRST_CANDIDATE);
        let slot = self.b.value(InstData::PtrAdd(start, offset), Type::Ptr);
        self.store_at(slot, candidate::ID as i32 * 8, id);
        let class = match self.class_of_entry(order, numbers) {
            Some(class) => class,
            None => self.int(1),
        };
        // Here the larger class wins; in a record the first one is the best.
        let class = self.bin_imm(BinOp::Xor, class, -1);
        let class = self.bin_imm(BinOp::Add, class, 1 + super::prefer::PREFERRED);
        self.store_at(slot, candidate::CLASS as i32 * 8, class);
        let mut bits = self.int(0);
        for (index, (missing, value)) in (0_i32..).zip(self.keys_of_entry(order, numbers)).take(MAX_KEYS) {
            self.store_at(slot, (candidate::KEYS as i32 + index) * 8, value);
            if let Some(missing) = missing {
                let bit = self.bin_imm(BinOp::Shl, missing, index);
                bits = self.bin(BinOp::Or, bits, bit);
            }
        }
        self.store_at(slot, candidate::MISSING as i32 * 8, bits);
        slot
    }

    /// A candidate that is at hand, with its numbers where [`Self::rest`] has put them, if there is room for it.
    pub(super) fn note_present(&mut self, order: &Order, object: Value) {
        let (room, full) = (self.b.create_block(), self.b.create_block());
        let told = self.noted(at::CANDIDATES);
        self.b.branch(Cond::Ult, told, imm(MAX_CANDIDATES as i64), room, full);
        self.b.switch_to(room);
        let numbers = self.candidate_start(order);
        let id = self.victim_id(order.unit, object);
        let slot = self.note_candidate(order, numbers, id);
        let name = self.int(i64::from(candidate::NAME) * 8);
        let name = self.b.value(InstData::PtrAdd(slot, name), Type::Ptr);
        self.copy_name(name, order.unit, object);
        self.note_one_more(at::CANDIDATES);
        self.b.jump(full, &[]);
        self.b.switch_to(full);
    }

    fn victim_id(&mut self, unit: Unit, object: Value) -> Value {
        match unit {
            Unit::Process => self.field(object, members::TASK_PID),
            Unit::Cgroup => self.read(object, members::MEMCG_ID),
        }
    }

    /// What the death of an object is expected to free, in bytes; 0 where that cannot be known.
    pub(super) fn estimate(&mut self, unit: Unit, object: Value, bytes: Cell) {
        let field = match unit {
            Unit::Process => self.ties.footprint,
            Unit::Cgroup => self.ties.usage,
        };
        self.put_imm(bytes, 0);
        let (lost, join) = (self.b.create_block(), self.b.create_block());
        let found = self.read_field(object, field, lost);
        self.put(bytes, found);
        self.b.jump(join, &[]);
        self.b.switch_to(lost);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// One more victim died.
    pub(super) fn note_expected(&mut self, bytes: Cell) {
        let (so_far, more) = (self.noted(at::EXPECTED), self.get(bytes));
        let sum = self.add_sat(so_far, more);
        self.note(at::EXPECTED, sum);
    }

    /// Copies a command name, or the last component of a cgroup's path.
    pub(super) fn note_name(&mut self, word: u32, unit: Unit, object: Value) {
        let to = self.record(word);
        self.copy_name(to, unit, object);
    }

    /// A message: its number, and its values as they are now.
    pub(super) fn note_message(&mut self, [word, values]: [u32; 2], message: &Message) {
        let Some(number) = self.policy.messages().position(|(of, _)| of == self.action) else {
            self.broken("a message belongs to no action");
            return;
        };
        self.note_imm(word, number as i32 + 1);
        for (index, value) in (0_u32..).zip(message.values()) {
            self.note_value(values + index * NAME_WORDS, value);
        }
    }

    /// A number with a mark that it is there, or a name.
    fn note_value(&mut self, word: u32, value: ExprId) {
        let Some(expr) = self.expression(value) else { return };
        let (missing, join) = (self.b.create_block(), self.b.create_block());
        for at in 0..NAME_WORDS {
            self.note_imm(word + at, 0);
        }
        if expr.ty == Ty::Text {
            self.note_text(word, &expr.kind, missing);
        } else {
            let number = self.expr(value, missing);
            self.note(word, number);
            self.note_imm(word + 1, 1);
        }
        self.b.jump(join, &[]);
        self.b.switch_to(missing);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// The text of a field, cut where the record's words end.
    fn note_text(&mut self, word: u32, kind: &ExprKind, missing: Block) {
        let from = match kind {
            ExprKind::Field(subject, field) => self.text_addr(*subject, *field, missing),
            ExprKind::Raw(subject, raw) => {
                let text = self.raw_text(*subject, *raw, missing);
                self.area_addr(text.area)
            }
            _ => self.broken("a text that is neither a field nor a member"),
        };
        let (to, size) = (self.record(word), self.int(NAME_BYTES as i64));
        self.helper(helpers::PROBE_READ_KERNEL_STR, &[to, size, from]);
        // A name that was cut has no end of its own.
        let last = self.record(word);
        let offset = NAME_BYTES as i32 - 1;
        self.b.effect(InstData::Store { size: Size::B1, ptr: last, offset, value: Operand::Imm(0) });
    }

    /// A victim is on its way out.
    pub(super) fn note_waiting(&mut self, victim: Value) {
        self.note_action(Action::Wait);
        let pid = self.field(victim, members::TASK_PID);
        self.note(at::VICTIM, pid);
        self.note_name(at::VICTIM_NAME, Unit::Process, victim);
    }

    /// Begins a record: nothing was done yet.
    pub(super) fn begin_record(&mut self) {
        // A helper that cannot read zeroes its destination: one call clears what has to be 0.
        let ends = self.policy.rules.len().min(MAX_RULES).next_multiple_of(8);
        let size = self.int(i64::from(at::ENDS - at::FLAGS) * 8 + ends as i64);
        let (to, nowhere) = (self.record(at::FLAGS), self.null());
        self.helper(helpers::PROBE_READ_KERNEL, &[to, size, nowhere]);
        self.note_imm(at::RULE, -1);
        self.note_trigger();
        let domain = self.anchor_id(Anchor::Cgroup);
        self.note(at::DOMAIN, domain);
        let attached = self.attached_id();
        self.note(at::ATTACHED, attached);
        // Both flags are one bit: audit from the config, system from the event.
        let audit = self.audit();
        let audit = self.bin_imm(BinOp::And, audit, record::AUDIT as i32);
        let flags = match self.is_asked() {
            true => self.bin_imm(BinOp::Or, audit, record::ASKED as i32),
            false => audit,
        };
        self.note(at::FLAGS, flags);
        let (system, join) = (self.b.create_block(), self.b.create_block());
        self.whose(system, join);
        self.b.switch_to(system);
        let flags = self.noted(at::FLAGS);
        let flags = self.bin_imm(BinOp::Or, flags, record::SYSTEM as i32);
        self.note(at::FLAGS, flags);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Who allocated; of a program that user space asks, what woke that.
    fn note_trigger(&mut self) {
        if self.is_asked() {
            let (to, size) = (self.record(at::TRIGGER_COMM), self.int(TASK_COMM_LEN as i64));
            let nowhere = self.null();
            self.helper(helpers::PROBE_READ_KERNEL, &[to, size, nowhere]);
            let trigger = self.asked(request::at::TRIGGER);
            return self.note(at::TRIGGER, trigger);
        }
        let trigger = self.helper(helpers::GET_CURRENT_PID_TGID, &[]);
        self.note(at::TRIGGER, trigger);
        let (to, size) = (self.record(at::TRIGGER_COMM), self.int(TASK_COMM_LEN as i64));
        self.helper(helpers::GET_CURRENT_COMM, &[to, size]);
    }

    /// Whether words of the record are those of the decision before. The domain's id is not 0, so the first decision
    /// differs from none.
    fn compare_words(&mut self, first: u32, last: Cell, equal: Block, differs: Block) {
        let (head, same) = (self.b.create_block(), self.b.create_block());
        let at = self.b.block_param(head, Type::I64);
        let zero = self.int(0);
        self.b.jump(head, &[zero]);
        self.b.switch_to(head);
        self.leave_if(Cond::Uge, at, imm(i64::from(SAME_WORDS) * 8), equal);
        let [now, before] = [self.record(first), self.area_addr(last)].map(|start| {
            let word = self.b.value(InstData::PtrAdd(start, at), Type::Ptr);
            self.load(Size::B8, word, 0)
        });
        self.b.branch(Cond::Ne, now, Operand::Value(before), differs, same);
        self.b.switch_to(same);
        let next = self.bin_imm(BinOp::Add, at, 8);
        self.b.jump(head, &[next]);
    }

    /// Publishes the record with what the policy answers.
    pub(super) fn publish(&mut self, answer: Value) {
        self.note(at::ANSWER, answer);
        let last = self.compare_with_last();
        self.keep_record(&last);
        self.send_record(&last);
    }

    /// Counts the record as one more of the decision before, or remembers it as a new one.
    fn compare_with_last(&mut self) -> Last {
        let last = Last {
            number: self.cell(),
            first: self.cell(),
            count: self.cell(),
            same: self.area(SAME_WORDS * 8),
        };
        let (differs, equal, publish) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let now = self.globals.now;
        let now = self.get(now);
        self.note(at::LAST, now);
        self.compare_words(at::FLAGS, last.same, equal, differs);

        self.b.switch_to(equal);
        let first = self.get(last.first);
        self.note(at::FIRST, first);
        self.bump(last.count);
        self.b.jump(publish, &[]);

        self.b.switch_to(differs);
        let now = self.globals.now;
        let now = self.get(now);
        self.note(at::FIRST, now);
        self.put(last.first, now);
        self.put_imm(last.count, 1);
        self.bump(last.number);
        let (to, from) = (self.area_addr(last.same), self.record(at::FLAGS));
        let size = self.int(i64::from(SAME_WORDS) * 8);
        self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from]);
        self.b.jump(publish, &[]);

        self.b.switch_to(publish);
        last
    }

    /// Writes the record into its slot of the last ones.
    fn keep_record(&mut self, last: &Last) {
        let (number, count) = (self.get(last.number), self.get(last.count));
        self.note(at::NUMBER, number);
        self.note(at::NUMBER_AGAIN, number);
        self.note(at::COUNT, count);
        let slot = self.cell();
        let index = self.bin_imm(BinOp::And, number, record::KEPT as i32 - 1);
        self.put(slot, index);
        let records = self.globals.records.records;
        let (map, key) = (self.map_addr(records), self.area_addr(slot));
        let (value, flags) = (self.record(0), self.int(0));
        self.helper(helpers::MAP_UPDATE_ELEM, &[map, key, value, flags]);
    }

    /// Sends the record into the ring buffer, if it is the first of its decision.
    fn send_record(&mut self, last: &Last) {
        let (send, sent, lost) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let count = self.get(last.count);
        self.b.branch(Cond::Eq, count, imm(1), send, sent);
        self.b.switch_to(send);
        let events = self.globals.records.events;
        let (map, data) = (self.map_addr(events), self.record(0));
        let (size, flags) = (self.int(i64::from(record::BYTES)), self.int(0));
        let failed = self.helper(helpers::RINGBUF_OUTPUT, &[map, data, size, flags]);
        self.b.branch(Cond::Ne, failed, imm(0), lost, sent);
        self.b.switch_to(lost);
        self.count("lost");
        self.b.jump(sent, &[]);
        self.b.switch_to(sent);
    }
}
