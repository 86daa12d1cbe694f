//! A program that user space asks: what it says instead of acting, and how it goes on when that was done.
//!
//! It runs from its start each time. Rules that are over are passed by their numbers, actions that have ended and
//! branches that were taken by the path, which the question brings along: what was decided once is not decided again,
//! although the machine has changed since. The record of the decision and what its picks have chosen lie in the scratch
//! value meanwhile.

use oomc_abi::record::{self, Action, End, MAX_RULES};
use oomc_abi::request::{
    GOES_ON, Kind, MAX_NODES, MAX_REFUSED, MAX_VICTIMS, MEMORY_EXPECTED, Outcome, at, victim,
};
use oomc_abi::{helpers, kfuncs, members};

use super::Act;
use super::frame::Facts;
use super::kill::Taking;
use super::outline::Part;
use crate::hir::{ActionKind, ExprId, Kill, Rule, Unit};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};
use crate::lower::emit::{Cell, Offered, Walk, Walks, imm};

impl Act<'_> {
    /// Takes the question, and holds the domain.
    pub(super) fn asked_prologue(&mut self, facts: Facts) {
        let (known, stale, gone) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let fresh = self.b.create_block();
        let decision = self.globals.decision;
        let (flags, event) = (self.asked(at::FLAGS), self.asked(at::EVENT));
        let goes_on = self.b.create_block();
        self.b.branch(Cond::Test, flags, imm(GOES_ON as i64), goes_on, fresh);
        self.b.switch_to(goes_on);
        let begun = self.get(decision);
        self.b.branch(Cond::Eq, begun, Operand::Value(event), known, stale);
        self.b.switch_to(stale);
        self.answer(at::KIND, Operand::Imm(i32::from(Kind::Stale.code())));
        self.b.effect(InstData::Return(Operand::Imm(0)));
        self.gone = Some(gone);
        self.b.switch_to(fresh);
        self.count("invocations");
        // Nothing was decided yet, whatever was before.
        self.put_imm(decision, 0);
        self.b.jump(known, &[]);
        self.b.switch_to(known);
        let id = self.asked(at::DOMAIN);
        self.domain = self.memcg_by_id(id, gone);
        if facts.total_memory {
            self.read_total_memory();
        }
        if facts.total_pages {
            self.read_total_pages();
        }
        let now = self.helper(helpers::KTIME_GET_BOOT_NS, &[]);
        let start = self.globals.now;
        self.put(start, now);
        self.forget_labels();
        self.begin_or_go_on(event);
    }

    /// A new record, or what was done since is added to the one that was begun.
    fn begin_or_go_on(&mut self, event: Value) {
        let decision = self.globals.decision;
        let (fresh, more, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let begun = self.get(decision);
        self.b.branch(Cond::Eq, begun, imm(0), fresh, more);
        self.b.switch_to(fresh);
        self.begin_record();
        self.put(decision, event);
        self.b.jump(join, &[]);
        self.b.switch_to(more);
        self.add_what_was_done();
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    fn add_what_was_done(&mut self) {
        let (result, killed) = (self.asked(at::RESULT), self.asked(at::KILLED));
        self.note(record::at::RESULT, result);
        let so_far = self.noted(record::at::KILLED);
        let sum = self.bin(BinOp::Add, so_far, killed);
        self.note(record::at::KILLED, sum);
        self.count_more("kills", killed);
    }

    /// The domain is gone. If it was removed as soon as those were dead who were to die, the decision ends there, with its
    /// record: goes to `end` with the answer, and nothing that is held.
    pub(super) fn end_with_the_domain(&mut self, end: Block) {
        let Some(gone) = self.gone.take() else { return };
        self.b.switch_to(gone);
        let nothing = self.b.create_block();
        let said = self.said();
        let (flags, goes_on) = (self.asked(at::FLAGS), self.b.create_block());
        self.b.branch(Cond::Test, flags, imm(GOES_ON as i64), goes_on, nothing);
        self.b.switch_to(goes_on);
        self.add_what_was_done();
        let killed = self.noted(record::at::KILLED);
        self.leave_if(Cond::Eq, killed, imm(0), nothing);
        let said = self.get(said);
        let action = self.bin_imm(BinOp::And, said, 0xff);
        self.note(record::at::ACTION, action);
        let rule = self.bin_imm(BinOp::Ushr, said, 8);
        self.note(record::at::RULE, rule);
        // It comes from memory, and is masked at once.
        let rule = self.bin_imm(BinOp::And, rule, MAX_RULES as i32 - 1);
        let ends = self.record(record::at::ENDS);
        let ptr = self.b.value(InstData::PtrAdd(ends, rule), Type::Ptr);
        let value = Operand::Imm(i32::from(End::Progress.code()));
        self.b.effect(InstData::Store { size: Size::B1, ptr, offset: 0, value });
        let (progress, nobody) = (self.int(1), self.null());
        self.b.jump(end, &[progress, nobody]);
        self.b.switch_to(nothing);
        self.answer(at::KIND, Operand::Imm(i32::from(Kind::Gone.code())));
        self.b.effect(InstData::Return(Operand::Imm(0)));
    }

    /// Where the kill that was asked for last lies: the action, and above it the rule.
    fn said(&mut self) -> Cell {
        if let Some(said) = self.said {
            return said;
        }
        let said = self.lasting(|s| s.cell());
        *self.said.insert(said)
    }

    /// What the domain may use, in pages, as `mem_cgroup_get_max()` has it (`mm/memcontrol.c`, 6.12); of the machine,
    /// all memory and swap.
    fn read_total_pages(&mut self) {
        let total = self.globals.total_pages;
        let (machine, cgroup, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let swap = self.cell();
        self.read_variable(members::SWAP_PAGES, swap);
        self.whose(machine, cgroup);
        self.b.switch_to(machine);
        self.read_variable(members::TOTAL_PAGES, total);
        let (memory, swap_all) = (self.get(total), self.get(swap));
        let sum = self.bin(BinOp::Add, memory, swap_all);
        self.put(total, sum);
        self.b.jump(join, &[]);
        self.b.switch_to(cgroup);
        let domain = self.domain;
        let memory = self.field(domain, members::MEMCG_MAX);
        let most = self.field(domain, members::MEMCG_SWAP_MAX);
        let there = self.get(swap);
        let swap = self.min(most, there);
        let sum = self.add_sat(memory, swap);
        // Without a limit there are no more than the kernel counts, so that their bytes are a number.
        let most = self.unlimited();
        let sum = self.min(sum, most);
        self.put(total, sum);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// A variable of the kernel; 0 where it does not show it.
    fn read_variable(&mut self, name: &str, to: Cell) {
        let ksym = self.b.ksym(name);
        let from = self.b.value(InstData::KsymAddr(ksym), Type::Ptr);
        let (to, size) = (self.area_addr(to), self.int(8));
        self.helper(helpers::PROBE_READ_KERNEL, &[to, size, from]);
    }

    /// The decision is over: the answer says how.
    pub(super) fn end_of_decision(&mut self) {
        self.answer(at::KIND, Operand::Imm(i32::from(Kind::End.code())));
        let answer = self.noted(record::at::ANSWER);
        self.answer(at::ANSWER, Operand::Value(answer));
        let decision = self.globals.decision;
        self.put_imm(decision, 0);
    }

    /// The program ends; it goes on when it is asked again.
    pub(super) fn until_it_is_done(&mut self) {
        let suspend = self.suspend;
        self.b.switch_to(suspend);
        let domain = self.domain;
        self.give_back(domain);
        self.b.effect(InstData::Return(Operand::Imm(0)));
    }

    /// Passes a rule that is over, and begins one that was not begun.
    pub(super) fn come_to_rule(&mut self, rule: &Rule, next: Block) {
        self.node = 0;
        let index = self.rule_index as i64;
        let (begun, go_on) = (self.b.create_block(), self.b.create_block());
        let at_rule = self.asked(at::RULE);
        self.leave_if(Cond::Ugt, at_rule, imm(index), next);
        if index > 0 {
            let fresh = self.b.create_block();
            self.b.branch(Cond::Eq, at_rule, imm(index), begun, fresh);
            self.b.switch_to(fresh);
            let (to, size, nowhere) = (self.request(at::PATH), self.int(MAX_NODES as i64), self.null());
            self.helper(helpers::PROBE_READ_KERNEL, &[to, size, nowhere]);
            self.answer(at::RULE, Operand::Imm(index as i32));
        }
        // A question begins with the first rule, and a path without steps.
        self.b.jump(begun, &[]);
        self.b.switch_to(begun);
        // What is chosen once is chosen at the rule's head.
        let first = self.b.create_block();
        let been_here = self.outcome(0);
        self.b.branch(Cond::Ne, been_here, imm(0), go_on, first);
        self.b.switch_to(first);
        self.choose_picks(rule.action);
        self.set_outcome(0, Outcome::Progress);
        self.b.jump(go_on, &[]);
        self.b.switch_to(go_on);
    }

    /// An action that is carried out once in a decision, however often the program runs.
    pub(super) fn act_once(&mut self, action: &ActionKind, on_progress: Block, on_nothing: Block) {
        self.node += 1;
        let node = self.node;
        let acts = match action {
            ActionKind::Kill(_)
            | ActionKind::Wait
            | ActionKind::RaiseLimit { .. }
            | ActionKind::Reclaim(_) => true,
            ActionKind::Notify(_) | ActionKind::Count(_) => false,
            ActionKind::If { .. } | ActionKind::Block(_) | ActionKind::Or(..) | ActionKind::Defer => {
                return self.perform(action, on_progress, on_nothing);
            }
        };
        if node >= MAX_NODES {
            self.note_end(End::Unavailable);
            return self.b.jump(on_nothing, &[]);
        }
        let [progressed, failed, done, nothing] = [(); 4].map(|()| self.b.create_block());
        let outcome = self.outcome(node);
        if matches!(action, ActionKind::Kill(_) | ActionKind::Wait) {
            let waited = self.b.create_block();
            let other = self.b.create_block();
            self.b.branch(Cond::Eq, outcome, imm(Outcome::Waited.code().into()), waited, other);
            self.b.switch_to(waited);
            // What was done before it is told again on the way; whom it waits for, the record says already.
            self.note_action(Action::Wait);
            self.b.jump(on_progress, &[]);
            self.b.switch_to(other);
        }
        self.leave_if(Cond::Eq, outcome, imm(Outcome::Progress.code().into()), progressed);
        self.leave_if(Cond::Eq, outcome, imm(Outcome::Nothing.code().into()), failed);
        if let ActionKind::Kill(kill) = action
            && self.in_block
        {
            self.leave_unless_free(kill, nothing);
        }
        if acts {
            self.answer(at::NODE, Operand::Imm(node as i32));
        }
        self.perform(action, done, nothing);
        for (block, outcome, target) in
            [(done, Outcome::Progress, on_progress), (nothing, Outcome::Nothing, on_nothing)]
        {
            self.b.switch_to(block);
            self.set_outcome(node, outcome);
            self.b.jump(target, &[]);
        }
        self.b.switch_to(progressed);
        self.note_done(action);
        self.b.jump(on_progress, &[]);
        self.b.switch_to(failed);
        if acts {
            let end = match action {
                ActionKind::Reclaim(_) => End::TooLittle,
                _ => End::Refused,
            };
            self.note_refused(node, end);
        }
        self.b.jump(on_nothing, &[]);
    }

    /// Goes to `nothing` where the budget has no kill left, or the memory of an earlier victim is expected back.
    fn leave_unless_free(&mut self, kill: &Kill, nothing: Block) {
        if self.policy.budget.is_some() {
            self.note_end(End::OverBudget);
            let left = self.asked(at::KILLS_LEFT);
            self.leave_if(Cond::Eq, left, imm(0), nothing);
        }
        if !kill.now {
            self.note_end(End::Expected);
            let free = self.b.create_block();
            let flags = self.asked(at::FLAGS);
            self.b.branch(Cond::Test, flags, imm(MEMORY_EXPECTED as i64), nothing, free);
            self.b.switch_to(free);
        }
    }

    /// `reclaim`: how much is to be reclaimed, which user space does; progress in audit mode.
    pub(super) fn say_reclaim(&mut self, bytes: ExprId, on_progress: Block, on_nothing: Block) {
        let (pretend, say) = (self.b.create_block(), self.b.create_block());
        self.prefetch(&[bytes]);
        self.note_end(End::Missing);
        let bytes = self.expr(bytes, on_nothing);
        self.note_end(End::TooLittle);
        self.leave_if(Cond::Sle, bytes, imm(0), on_nothing);
        self.note(record::at::EXPECTED, bytes);
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
        self.b.switch_to(say);
        self.answer(at::BYTES, Operand::Value(bytes));
        self.say(Kind::Reclaim);
        self.b.switch_to(pretend);
        self.note_action(Action::Reclaim);
        self.b.jump(on_progress, &[]);
    }

    /// User space has done what an action asked for.
    fn note_done(&mut self, action: &ActionKind) {
        match action {
            ActionKind::Kill(kill) => self.note_action(killed(kill)),
            ActionKind::Wait => self.note_action(Action::Wait),
            ActionKind::RaiseLimit { .. } => self.note_action(Action::RaiseLimit),
            ActionKind::Reclaim(_) => self.note_action(Action::Reclaim),
            _ => {}
        }
    }

    /// User space could not do what an action asked for, if that was what it did last; or the action had ended
    /// without asking.
    fn note_refused(&mut self, node: usize, end: End) {
        let (refused, join) = (self.b.create_block(), self.b.create_block());
        let last = self.asked(at::NODE);
        self.b.branch(Cond::Eq, last, imm(node as i64), refused, join);
        self.b.switch_to(refused);
        self.note_end(end);
        self.note_imm(record::at::EXPECTED, 0);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// A condition that is asked once in a decision. Ends the block.
    pub(super) fn branch_once(&mut self, condition: ExprId, [then, otherwise]: [Block; 2]) {
        let node = self.node;
        if node >= MAX_NODES {
            self.prefetch(&[condition]);
            return self.guard(condition, None, then, otherwise, otherwise);
        }
        let outcome = self.outcome(node);
        self.leave_if(Cond::Eq, outcome, imm(Outcome::Progress.code().into()), then);
        self.leave_if(Cond::Eq, outcome, imm(Outcome::Nothing.code().into()), otherwise);
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        self.prefetch(&[condition]);
        self.guard(condition, None, yes, no, no);
        for (block, outcome, target) in [(yes, Outcome::Progress, then), (no, Outcome::Nothing, otherwise)] {
            self.b.switch_to(block);
            self.set_outcome(node, outcome);
            self.b.jump(target, &[]);
        }
    }

    /// Says what is to be done, and leaves it to who asks. Ends the block.
    fn say(&mut self, kind: Kind) {
        self.answer(at::KIND, Operand::Imm(i32::from(kind.code())));
        let suspend = self.suspend;
        self.b.jump(suspend, &[]);
    }

    /// Says by how much the limit is to be raised; goes on in audit mode.
    pub(super) fn say_raise(&mut self, limit: Value, gain: Value) {
        let (pretend, say) = (self.b.create_block(), self.b.create_block());
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
        self.b.switch_to(say);
        self.answer(at::BYTES, Operand::Value(limit));
        self.note(record::at::EXPECTED, gain);
        self.count("raises");
        self.say(Kind::RaiseLimit);
        self.b.switch_to(pretend);
    }

    /// Says who is to be waited for, whose reference is given back; goes to `on_victim` in audit mode.
    pub(super) fn say_wait(&mut self, victim: Value, on_victim: Block) {
        let (pretend, say, full) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
        self.b.switch_to(say);
        let who = Offered {
            id: self.field(victim, members::TASK_PID),
            start: self.field(victim, members::TASK_START),
            cgroup: self.int(0),
            group: self.int(0),
            expected: self.int(0),
            thread: self.field(victim, members::TASK_THREAD_ID),
        };
        self.offer_to_engine(&who, full);
        self.count("waits");
        self.b.jump(full, &[]);
        self.b.switch_to(full);
        self.call(kfuncs::TASK_RELEASE, &[victim]);
        self.say(Kind::Wait);
        self.b.switch_to(pretend);
        self.call(kfuncs::TASK_RELEASE, &[victim]);
        self.b.jump(on_victim, &[]);
    }

    fn offer_to_engine(&mut self, who: &Offered, full: Block) {
        self.read.offer(who, full);
    }

    /// Goes to `next` with a candidate that user space could not kill.
    pub(super) fn leave_refused(&mut self, unit: Unit, taking: Taking, next: Block) {
        let (id, start) = taking.name();
        let (suspect, since) = self.suspect();
        let id = self.get(id);
        self.put(suspect, id);
        let start = match unit {
            Unit::Process => self.get(start),
            Unit::Cgroup => self.int(0),
        };
        self.put(since, start);
        self.leave_suspect(next);
    }

    /// As [`Self::leave_refused`], of an object that is at hand.
    fn leave_refused_object(&mut self, unit: Unit, object: Value, next: Block) {
        let (suspect, since) = self.suspect();
        let (id, start) = self.name_of(unit, object);
        self.put(suspect, id);
        self.put(since, start);
        self.leave_suspect(next);
    }

    fn name_of(&mut self, unit: Unit, object: Value) -> (Value, Value) {
        match unit {
            Unit::Process => (self.field(object, members::TASK_PID), self.field(object, members::TASK_START)),
            Unit::Cgroup => (self.read(object, members::MEMCG_ID), self.int(0)),
        }
    }

    fn suspect(&mut self) -> (Cell, Cell) {
        if let Some(suspect) = self.suspect {
            return suspect;
        }
        let suspect = self.lasting(|s| (s.cell(), s.cell()));
        *self.suspect.insert(suspect)
    }

    fn leave_suspect(&mut self, next: Block) {
        let (id, since) = self.suspect();
        self.leave_listed(Part::Refused, MAX_REFUSED, at::REFUSED, next, |s, index, walk| {
            s.leave_if(Cond::Uge, index, imm(MAX_REFUSED as i64), walk.done);
            let offset = s.bin_imm(BinOp::Shl, index, 4);
            let first = s.request(at::FIRST_REFUSED);
            let slot = s.b.value(InstData::PtrAdd(first, offset), Type::Ptr);
            for (offset, cell) in [(0, id), (8, since)] {
                let (refused, own) = (s.load(Size::B8, slot, offset), s.get(cell));
                s.leave_if(Cond::Ne, refused, Operand::Value(own), walk.next);
            }
        });
    }

    /// Goes to `next` if one of the first entries of a list in the question is the one that is looked for: `differs` leaves
    /// to the next entry, or to the end, where it is not.
    fn leave_listed(
        &mut self,
        part: Part,
        most: usize,
        count: u32,
        next: Block,
        differs: impl FnOnce(&mut Self, Value, &Walk),
    ) {
        let found = self.once_for(part, |s| {
            let found = s.lasting(|s| s.cell());
            s.put_imm(found, 0);
            s.walk_numbers(most as i32, |s, walk| {
                let (index, count) = (s.number(walk.item), s.asked(count));
                s.leave_if(Cond::Uge, index, Operand::Value(count), walk.done);
                differs(s, index, &walk);
                s.put_imm(found, 1);
                s.b.jump(walk.done, &[]);
            });
            s.get(found)
        });
        self.leave_if(Cond::Ne, found, imm(0), next);
    }

    /// Goes to `next` with somebody who dies with a victim that was said before, because of `memory.oom.group`.
    fn leave_if_dies_along(&mut self, kill: &Kill, group: Value, next: Block) {
        if kill.until.is_none() && !kill.selection.all {
            return;
        }
        let own = self.together();
        self.put(own, group);
        self.leave_listed(Part::Together, MAX_VICTIMS, at::VICTIMS, next, |s, index, walk| {
            let slot = s.victim_slot(index);
            let (said, own) = (s.load(Size::B8, slot, victim::GROUP as i32 * 8), s.get(own));
            s.leave_if(Cond::Eq, own, imm(0), walk.done);
            s.leave_if(Cond::Ne, said, Operand::Value(own), walk.next);
        });
    }

    /// The group that is looked for among those of the victims.
    fn together(&mut self) -> Cell {
        if let Some(together) = self.together {
            return together;
        }
        let together = self.lasting(|s| s.cell());
        *self.together.insert(together)
    }

    /// Says that somebody is to die, or in audit mode that he would have died, and gives the reference back. Goes to
    /// `next` if there is no room for more, or if he dies with another one.
    pub(super) fn say_victim(&mut self, kill: &Kill, victim: Value, expected: Cell, next: Block) {
        let unit = kill.selection.unit;
        let [pretend, say, full, join] = [(); 4].map(|()| self.b.create_block());
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
        self.b.switch_to(say);
        let who = self.offered(unit, victim, expected);
        self.leave_if_dies_along(kill, who.group, full);
        self.offer_to_engine(&who, full);
        self.let_go(unit, victim);
        self.b.jump(join, &[]);
        self.b.switch_to(full);
        self.let_go(unit, victim);
        self.b.jump(next, &[]);
        self.b.switch_to(pretend);
        self.count_the_living(unit, victim);
        self.let_go(unit, victim);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    fn let_go(&mut self, unit: Unit, victim: Value) {
        match unit {
            Unit::Process => self.call(kfuncs::TASK_RELEASE, &[victim]),
            Unit::Cgroup => self.give_back(victim),
        }
    }

    fn offered(&mut self, unit: Unit, victim: Value, expected: Cell) -> Offered {
        let (id, start) = self.name_of(unit, victim);
        let cgroup = match unit {
            Unit::Process => {
                let cgroups = self.pointer(victim, members::TASK_CGROUPS);
                let cgroup = self.pointer(cgroups, members::CSS_SET_CGROUP);
                self.read(cgroup, members::CGROUP_ID)
            }
            Unit::Cgroup => id,
        };
        let group = self.group_of(cgroup);
        let (expected, thread) = (self.get(expected), self.int(0));
        Offered { id, start, cgroup, group, expected, thread }
    }

    /// The cgroup that dies with whoever is in the cgroup with this id: the highest one with `memory.oom.group` up to
    /// the domain; 0: none.
    fn group_of(&mut self, home: Value) -> Value {
        let group = self.cell();
        self.put_imm(group, 0);
        let (gone, join) = (self.b.create_block(), self.b.create_block());
        let cgroup = self.call_ptr(kfuncs::CGROUP_FROM_ID, &[home]);
        self.leave_if(Cond::Eq, cgroup, imm(0), gone);
        self.with_rcu(|s| {
            let css = s.member_addr(cgroup, members::CGROUP_SELF);
            s.note_group(css, group);
        });
        self.call(kfuncs::CGROUP_RELEASE, &[cgroup]);
        self.b.jump(join, &[]);
        self.b.switch_to(gone);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
        self.get(group)
    }

    /// Whom a kill would take, in audit mode.
    fn count_the_living(&mut self, unit: Unit, victim: Value) {
        if unit == Unit::Process {
            return self.note_one_more(record::at::KILLED);
        }
        let failed = self.cell();
        self.put_imm(failed, 0);
        self.each_process_below(victim, failed, |s, task, next, _| {
            s.exclude_dying(task, next);
            s.exclude_unkillable(task, next);
            s.note_one_more(record::at::KILLED);
            s.b.jump(next, &[]);
        });
    }

    /// One of all that a selection finds.
    pub(super) fn say_one_of_all(&mut self, kill: &Kill, unit: Unit, victim: Value, killed: Cell) {
        let [refused, taken, next] = [(); 3].map(|()| self.b.create_block());
        let expected = self.cell();
        self.leave_refused_object(unit, victim, refused);
        self.estimate(unit, victim, expected);
        self.note_first(kill, victim, killed);
        match unit {
            // A walk shows him, and nobody holds him.
            Unit::Process => {
                let [pretend, say, full] = [(); 3].map(|()| self.b.create_block());
                let audit = self.audit();
                self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
                self.b.switch_to(say);
                let who = self.offered(unit, victim, expected);
                self.leave_if_dies_along(kill, who.group, full);
                self.offer_to_engine(&who, full);
                self.b.jump(taken, &[]);
                self.b.switch_to(full);
                self.b.jump(next, &[]);
                self.b.switch_to(pretend);
                self.note_one_more(record::at::KILLED);
                self.b.jump(taken, &[]);
                self.b.switch_to(refused);
                self.b.jump(next, &[]);
            }
            Unit::Cgroup => {
                self.say_victim(kill, victim, expected, next);
                self.b.jump(taken, &[]);
                self.b.switch_to(refused);
                self.let_go(unit, victim);
                self.b.jump(next, &[]);
            }
        }
        self.b.switch_to(taken);
        self.put_imm(killed, 1);
        self.note_expected(expected);
        self.b.jump(next, &[]);
        self.b.switch_to(next);
    }

    /// Says whom a kill takes, if it takes anybody; goes on in audit mode. Ends the block.
    pub(super) fn say_kill(&mut self, kill: &Kill, killed_any: Value, on_progress: Block, on_nothing: Block) {
        let [some, none, pretend, say] = [(); 4].map(|()| self.b.create_block());
        self.b.branch(Cond::Ne, killed_any, imm(0), some, none);
        self.b.switch_to(none);
        if kill.selection.all {
            // Some were killed before, and these were all.
            let node = self.node;
            let outcome = self.outcome(node);
            self.leave_if(Cond::Eq, outcome, imm(Outcome::More.code().into()), pretend);
        }
        self.b.jump(on_nothing, &[]);
        self.b.switch_to(some);
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, say);
        self.b.switch_to(say);
        if let Some(grace) = kill.grace {
            let grace = self.int(grace);
            self.answer(at::GRACE, Operand::Value(grace));
        }
        let (said, rule) = (self.said(), self.rule_index as i32);
        self.put_imm(said, rule << 8 | i32::from(killed(kill).code()));
        self.say(match killed(kill) {
            Action::KillAll => Kind::KillAll,
            Action::KillCgroup => Kind::KillCgroup,
            _ => Kind::KillProcess,
        });
        self.b.switch_to(pretend);
        self.note_action(killed(kill));
        self.b.jump(on_progress, &[]);
    }
}

/// What a kill is called in a record.
pub(super) fn killed(kill: &Kill) -> Action {
    match (kill.selection.all, kill.selection.unit) {
        (true, _) => Action::KillAll,
        (false, Unit::Process) => Action::KillProcess,
        (false, Unit::Cgroup) => Action::KillCgroup,
    }
}
