//! The callback around the rules: its guards, the reference on the OOM domain, and its two ends.

use oomc_abi::consts::ORDER_SYSRQ;
use oomc_abi::fields::{FieldId, Recipe};
use oomc_abi::record::at;
use oomc_abi::{kfuncs, members};

use super::Act;
use super::fresh::Fresh;
use crate::hir::{Action, ActionKind, ExprKind, Policy};
use crate::ir::{BinOp, Cond, InstData, Operand, Type, Value};
use crate::lower::emit::imm;

impl Act<'_> {
    /// Guards, and a reference on the OOM domain.
    pub(super) fn prologue(&mut self) {
        let facts = Facts::of(self.policy);
        if self.is_asked() {
            return self.asked_prologue(facts);
        }
        // An administrator who asks for a kill by SysRq wants the kernel's own killer.
        let (asked, refused) = (self.b.create_block(), self.b.create_block());
        let oc = self.oc;
        let order = self.field(oc, members::OC_ORDER);
        self.b.branch(Cond::Eq, order, imm(ORDER_SYSRQ), refused, asked);
        self.b.switch_to(refused);
        self.b.effect(InstData::Return(Operand::Imm(0)));
        self.b.switch_to(asked);
        self.count("invocations");

        // One referenced pointer for both kinds of OOM, so that the same code serves and releases it.
        let (memcg_oom, system_oom) = (self.b.create_block(), self.b.create_block());
        let (got, gone, go) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let oc = self.oc;
        let memcg = self.pointer(oc, members::OC_MEMCG);
        let domain = self.b.block_param(got, Type::Ptr);
        self.b.branch(Cond::Ne, memcg, imm(0), memcg_oom, system_oom);
        self.b.switch_to(memcg_oom);
        let css = self.css_of(memcg);
        let owned = self.hold(css);
        self.b.jump(got, &[owned]);
        self.b.switch_to(system_oom);
        let root = self.call_ptr(kfuncs::GET_ROOT_MEM_CGROUP, &[]);
        self.b.jump(got, &[root]);
        self.b.switch_to(got);
        self.domain = domain;
        self.b.branch(Cond::Ne, domain, imm(0), go, gone);
        self.b.switch_to(gone);
        self.b.effect(InstData::Return(Operand::Imm(0)));
        self.b.switch_to(go);

        match Fresh::of(self.policy) {
            Fresh::Nothing => {}
            Fresh::Domain => self.flush(domain),
            Fresh::Machine => self.flush_all(),
        }
        if facts.total_memory {
            self.read_total_memory();
        }
        // Read once: all candidates of an event are compared at the same moment.
        let now = self.helper(oomc_abi::helpers::KTIME_GET_BOOT_NS, &[]);
        let start = self.globals.now;
        self.put(start, now);
        self.forget_labels();
        self.begin_record();
    }

    /// Brings the statistics of the whole machine up to date.
    fn flush_all(&mut self) {
        let (found, done) = (self.b.create_block(), self.b.create_block());
        let root = self.call_ptr(kfuncs::GET_ROOT_MEM_CGROUP, &[]);
        self.b.branch(Cond::Ne, root, imm(0), found, done);
        self.b.switch_to(found);
        self.flush(root);
        self.give_back(root);
        self.b.jump(done, &[]);
        self.b.switch_to(done);
    }

    pub(super) fn epilogues(&mut self) {
        let end = self.b.create_block();
        let answer = self.b.block_param(end, Type::I64);
        let progress = self.progress;
        self.b.switch_to(progress);
        // In audit mode the kernel does what it does without a policy.
        let audit = self.audit();
        let audit = self.bin_imm(BinOp::And, audit, 1);
        self.count_more("audited", audit);
        let done = self.bin_imm(BinOp::Xor, audit, 1);
        if self.says() {
            return self.asked_epilogues(done);
        }
        self.b.jump(end, &[done]);
        let nothing = self.nothing;
        self.b.switch_to(nothing);
        self.count("deferred");
        let none = self.int(0);
        self.b.jump(end, &[none]);
        self.b.switch_to(end);
        self.publish(answer);
        let domain = self.domain;
        self.give_back(domain);
        let answer = self.noted(at::ANSWER);
        self.b.effect(InstData::Return(Operand::Value(answer)));
    }

    /// The same where user space asks: the domain may be gone by now, and the decision may go on.
    fn asked_epilogues(&mut self, done: Value) {
        let (end, held, left) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let answer = self.b.block_param(end, Type::I64);
        let domain = self.b.block_param(end, Type::Ptr);
        let own = self.domain;
        self.b.jump(end, &[done, own]);
        let nothing = self.nothing;
        self.b.switch_to(nothing);
        self.count("deferred");
        let none = self.int(0);
        self.b.jump(end, &[none, own]);
        self.end_with_the_domain(end);
        self.b.switch_to(end);
        self.publish(answer);
        self.end_of_decision();
        self.b.branch(Cond::Ne, domain, imm(0), held, left);
        self.b.switch_to(held);
        self.give_back(domain);
        self.b.jump(left, &[]);
        self.b.switch_to(left);
        let answer = self.noted(at::ANSWER);
        self.b.effect(InstData::Return(Operand::Value(answer)));
        self.until_it_is_done();
    }
}

/// What the prologue has to prepare, found by looking through the whole policy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// The machine's memory is needed.
    pub(super) total_memory: bool,
    /// What the event's domain may use is needed.
    pub(super) total_pages: bool,
}

impl Facts {
    pub(super) fn of(policy: &Policy) -> Self {
        let mut facts = Self::default();
        for expr in policy.exprs.values() {
            if let ExprKind::Field(_, field) = &expr.kind {
                facts.field(*field);
            }
        }
        let raises = |action: &Action| matches!(action.kind, ActionKind::RaiseLimit { .. });
        facts.total_memory |= policy.actions.values().any(raises);
        facts
    }

    fn field(&mut self, field: FieldId) {
        match field.row().recipe {
            Recipe::Limit => self.total_memory = true,
            Recipe::Badness(_) => self.total_pages = true,
            Recipe::Member { path, .. } if path == members::OC_TOTAL.path => self.total_pages = true,
            _ => {}
        }
    }
}
