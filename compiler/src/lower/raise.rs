//! `raise_limit`: grants memory to the cgroup whose limit was hit, within what its ancestors can carry.

use oomc_abi::consts::{PAGE_COUNTER_MAX, PAGE_SIZE};
use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::{Action, End, at};

use super::walk::Order;
use super::{Lower, imm};
use crate::hir::ExprId;
use crate::ir::{BinOp, Block, Cond, Operand};

const PAGE_SHIFT: i32 = PAGE_SIZE.trailing_zeros() as i32;

impl Lower<'_> {
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

        // In a system-wide OOM there is no limit to raise, and an unlimited cgroup has none either.
        self.note_end(End::NoRoom);
        let memcg = self.pointer(self.oc, members::OC_MEMCG);
        self.leave_if(Cond::Eq, memcg, imm(0), on_nothing);
        let pages = self.field(self.domain, members::MEMCG_MAX);
        let unlimited = self.int(PAGE_COUNTER_MAX);
        self.leave_if(Cond::Uge, pages, Operand::Value(unlimited), on_nothing);
        let own = self.bin_imm(BinOp::Shl, pages, PAGE_SHIFT);

        let by = self.expr(by, on_nothing);
        self.leave_if(Cond::Sle, by, imm(0), on_nothing);
        let mut wanted = self.add_sat(own, by);
        if let Some(up_to) = up_to {
            // A negative amount is 0; and from here on nothing is so small that a difference wraps.
            let cap = self.expr(up_to, on_nothing);
            let cap = self.at_least_zero(cap);
            wanted = self.min(wanted, cap);
        }

        // At an ancestor's limit the next OOM would be the ancestor's, and this policy would not be asked.
        let room = self.cell();
        self.put(room, unlimited);
        self.with_rcu(|s| {
            let css = s.css_of(s.domain);
            s.walk_css(css, Order::Up, &[], |s, walk| {
                s.end_at_domain(walk.item, walk.next);
                let above = s.cast_memcg(walk.item);
                let max = s.field(above, members::MEMCG_MAX);
                let unlimited = s.int(PAGE_COUNTER_MAX);
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
        let room = self.get(room);
        let room = self.bin_imm(BinOp::Shl, room, PAGE_SHIFT);
        let carried = self.add_sat(own, room);
        wanted = self.min(wanted, carried);

        let (known, join) = (self.b.create_block(), self.b.create_block());
        let limit = self.b.block_param(join, crate::ir::Type::I64);
        let total = self.get(self.globals.total_memory);
        let unknown = self.b.create_block();
        self.b.branch(Cond::Ne, total, imm(0), known, unknown);
        self.b.switch_to(known);
        let clamped = self.min(wanted, total);
        self.b.jump(join, &[clamped]);
        self.b.switch_to(unknown);
        self.b.jump(join, &[wanted]);
        self.b.switch_to(join);

        // Whole pages; and at least one hundredth, or an almost full parent would be asked for ever.
        let limit = self.bin_imm(BinOp::And, limit, -(PAGE_SIZE as i32));
        let gain = self.bin(BinOp::Sub, limit, own);
        self.leave_if(Cond::Sle, gain, imm(0), on_nothing);
        let hundredth = self.bin_imm(BinOp::Add, own, 99);
        let hundredth = self.bin_imm(BinOp::Udiv, hundredth, 100);
        self.leave_if(Cond::Slt, gain, Operand::Value(hundredth), on_nothing);

        let (raised, assumed, refused) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.unless_audit(assumed);
        let result = self.call_int(kfuncs::MEM_CGROUP_RAISE_MAX, &[self.oc, self.domain, limit]);
        self.b.branch(Cond::Eq, result, imm(0), raised, refused);
        self.b.switch_to(refused);
        self.note_end(End::Refused);
        self.b.jump(on_nothing, &[]);
        self.b.switch_to(raised);
        self.count("raises");
        self.b.jump(assumed, &[]);
        self.b.switch_to(assumed);
        self.note_action(Action::RaiseLimit);
        self.note(at::RESULT, limit);
        self.note(at::EXPECTED, gain);
        self.b.jump(on_progress, &[]);
    }
}
