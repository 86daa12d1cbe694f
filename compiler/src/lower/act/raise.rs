//! `raise_limit`: grants memory to the cgroup whose limit was hit, within what its ancestors can carry.

use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::{Action, End, at};

use super::Act;
use super::outline::REFUSED;
use crate::hir::ExprId;
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Type, Value};
use crate::lower::emit::{Order, Walks, imm};

impl Act<'_> {
    pub(super) fn raise_limit(
        &mut self,
        by: ExprId,
        up_to: Option<ExprId>,
        on_progress: Block,
        on_nothing: Block,
    ) {
        let mut asked = vec![by];
        asked.extend(up_to);
        self.prefetch(&asked);
        self.note_end(End::NoRoom);
        if self.is_large() {
            let by = self.growth(by, on_nothing);
            let cap = match up_to {
                Some(up_to) => self.cap(up_to, on_nothing),
                None => self.unlimited(),
            };
            return self.raise_once(by, cap, on_progress, on_nothing);
        }
        self.raise_to(
            |s, own| {
                let by = s.growth(by, on_nothing);
                let wanted = s.bin(BinOp::Add, own, by);
                match up_to {
                    Some(up_to) => {
                        let cap = s.cap(up_to, on_nothing);
                        s.min(wanted, cap)
                    }
                    None => wanted,
                }
            },
            |s| {
                s.note_end(End::Refused);
                s.b.jump(on_nothing, &[]);
            },
            on_progress,
            on_nothing,
        );
    }

    /// In a large policy all `raise_limit` are one function. Pages to add, and pages that the limit does not exceed.
    fn raise_once(&mut self, by: Value, cap: Value, on_progress: Block, on_nothing: Block) {
        let answer = self.raise_by(by, cap, |s, [by, cap], answers| {
            s.raise_to(
                |s, own| {
                    let by = s.get(by);
                    let wanted = s.bin(BinOp::Add, own, by);
                    let cap = s.get(cap);
                    s.min(wanted, cap)
                },
                |s| s.b.effect(InstData::Return(Operand::Imm(REFUSED))),
                answers.progress,
                answers.nothing,
            );
        });
        let refused = self.b.create_block();
        self.leave_if(Cond::Eq, answer, imm(REFUSED.into()), refused);
        self.follow(answer, on_progress, on_nothing);
        self.b.switch_to(refused);
        self.note_end(End::Refused);
        self.b.jump(on_nothing, &[]);
    }

    /// Raises the limit, which a part gives for the present one, both in pages; another part says what is done where the
    /// kernel refuses, and ends the block.
    fn raise_to(
        &mut self,
        wanted: impl FnOnce(&mut Self, Value) -> Value,
        refused: impl FnOnce(&mut Self),
        on_progress: Block,
        on_nothing: Block,
    ) {
        let own = self.own_limit(on_nothing);
        // From here on in whole pages: an amount of bytes is at most 2^51 of the smallest, so no sum leaves 64 bits.
        let wanted = wanted(self, own);
        let wanted = self.carried(own, wanted);
        let gain = self.worthwhile_gain(own, wanted, on_nothing);
        let limit = self.pages_to_bytes(wanted);
        let gain = self.pages_to_bytes(gain);
        if self.says() {
            self.say_raise(limit, gain);
        } else {
            self.raise(limit, refused);
        }
        self.note_action(Action::RaiseLimit);
        self.note(at::RESULT, limit);
        self.note(at::EXPECTED, gain);
        self.b.jump(on_progress, &[]);
    }

    /// The limit of the OOM'ing cgroup, in pages; leaves to `none` if it has none.
    fn own_limit(&mut self, none: Block) -> Value {
        // In a system-wide OOM there is no limit to raise, and an unlimited cgroup has none either.
        let cgroup = self.b.create_block();
        self.whose(none, cgroup);
        self.b.switch_to(cgroup);
        let domain = self.domain;
        let own = self.field(domain, members::MEMCG_MAX);
        let unlimited = self.unlimited();
        self.leave_if(Cond::Uge, own, Operand::Value(unlimited), none);
        own
    }

    /// Pages to add; leaves to `none` if that is nothing.
    fn growth(&mut self, by: ExprId, none: Block) -> Value {
        let by = self.expr(by, none);
        self.leave_if(Cond::Sle, by, imm(0), none);
        self.bytes_to_pages(by)
    }

    /// Pages that the limit does not exceed; leaves to `none` if that is missing.
    fn cap(&mut self, up_to: ExprId, none: Block) -> Value {
        // A negative amount is 0.
        let cap = self.expr(up_to, none);
        let cap = self.at_least_zero(cap);
        self.bytes_to_pages(cap)
    }

    /// The limit that is asked for, in pages, as far as the ancestors and the machine can carry it.
    fn carried(&mut self, own: Value, wanted: Value) -> Value {
        let room = self.room_above();
        let carried = self.bin(BinOp::Add, own, room);
        let wanted = self.min(wanted, carried);
        self.at_most_the_machine(wanted)
    }

    /// By how much the limit grows; leaves to `none` unless that is at least one hundredth, or an almost full parent
    /// would be asked for ever.
    fn worthwhile_gain(&mut self, own: Value, wanted: Value, none: Block) -> Value {
        let gain = self.bin(BinOp::Sub, wanted, own);
        self.leave_if(Cond::Sle, gain, imm(0), none);
        let hundredfold = self.bin_imm(BinOp::Mul, gain, 100);
        self.leave_if(Cond::Slt, hundredfold, Operand::Value(own), none);
        gain
    }

    /// Raises the limit, unless in audit mode; a part says what is done if the kernel refuses.
    fn raise(&mut self, limit: Value, refused: impl FnOnce(&mut Self)) {
        let (raised, assumed, not_raised) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.unless_audit(assumed);
        let domain = self.domain;
        let oc = self.oc;
        let result = self.call_int(kfuncs::MEM_CGROUP_RAISE_MAX, &[oc, domain, limit]);
        self.b.branch(Cond::Eq, result, imm(0), raised, not_raised);
        self.b.switch_to(not_raised);
        refused(self);
        self.b.switch_to(raised);
        self.count("raises");
        self.b.jump(assumed, &[]);
        self.b.switch_to(assumed);
    }

    /// Pages that the ancestors can still carry: at an ancestor's limit the next OOM would be the ancestor's, and this
    /// policy would not be asked.
    fn room_above(&mut self) -> Value {
        let room = self.cell();
        let unlimited = self.unlimited();
        self.put(room, unlimited);
        self.with_rcu(|s| {
            let domain = s.domain;
            let css = s.css_of(domain);
            s.walk_css(css, Order::Up, &[], |s, walk| {
                s.end_at_domain(walk.item, walk.next);
                let above = s.cast_memcg(walk.item);
                let max = s.field(above, members::MEMCG_MAX);
                let unlimited = s.unlimited();
                s.leave_if(Cond::Uge, max, Operand::Value(unlimited), walk.next);
                let usage = s.field(above, members::MEMCG_USAGE);
                let left = s.bin(BinOp::Sub, max, usage);
                let left = s.at_least_zero(left);
                let smallest = s.get(room);
                s.leave_if(Cond::Sge, left, Operand::Value(smallest), walk.next);
                s.put(room, left);
                s.b.jump(walk.next, &[]);
            });
        });
        self.get(room)
    }

    /// Pages, at most those of the machine, as far as they are known.
    fn at_most_the_machine(&mut self, pages: Value) -> Value {
        let (known, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let total_memory = self.globals.total_memory;
        let total = self.get(total_memory);
        let unknown = self.b.create_block();
        self.b.branch(Cond::Ne, total, imm(0), known, unknown);
        self.b.switch_to(known);
        let total = self.bytes_to_pages(total);
        let clamped = self.min(pages, total);
        self.b.jump(join, &[clamped]);
        self.b.switch_to(unknown);
        self.b.jump(join, &[pages]);
        self.b.switch_to(join);
        result
    }
}
