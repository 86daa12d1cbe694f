//! Rules and their actions, as far as they only lead on to others; what an action does stands in a file of its own.

use oomc_abi::kfuncs;
use oomc_abi::record::{Action, End, at};

use super::Act;
use crate::hir::{ActionId, ActionKind, ExprId, Rule};
use crate::ir::{Block, Cond, InstData, Type};
use crate::lower::emit::imm;
use crate::trace::PointKind;

impl Act<'_> {
    pub(super) fn rule(&mut self, index: usize, rule: &Rule) {
        self.rule.clone_from(&rule.name);
        self.rule_index = index;
        self.b.set_span(rule.span);
        self.point((PointKind::Rule(index), rule.span), None);
        let (done, next) = (self.b.create_block(), self.b.create_block());
        match self.says() {
            true => self.come_to_rule(rule, next),
            false => self.choose_picks(rule.action),
        }
        self.action(rule.action, done, next);
        self.b.switch_to(done);
        self.note_progress();
        let progress = self.progress;
        self.b.jump(progress, &[]);
        self.b.switch_to(next);
    }

    /// One action; leaves no open block.
    fn action(&mut self, id: ActionId, on_progress: Block, on_nothing: Block) {
        self.action = id;
        let Some(action) = self.policy.actions.get(id) else {
            self.broken("a policy lacks an action of its own");
            return self.b.jump(on_nothing, &[]);
        };
        let outer = self.b.set_span(action.span);
        if !matches!(action.kind, ActionKind::If { .. } | ActionKind::Block(_) | ActionKind::Or(..)) {
            self.point((PointKind::Action, action.span), None);
        }
        if self.says() {
            self.act_once(&action.kind, on_progress, on_nothing);
        } else if self.available(&action.kind, on_nothing) {
            self.perform(&action.kind, on_progress, on_nothing);
        }
        self.b.set_span(outer);
    }

    /// Goes on where the kernel has the function that an action needs, and to `on_nothing` elsewhere. False: the kernel
    /// that the policy is built for lacks it, as the author knows (W0503), and the block is ended.
    fn available(&mut self, action: &ActionKind, on_nothing: Block) -> bool {
        let kfunc = match action {
            ActionKind::Kill(_) | ActionKind::Wait => kfuncs::OOM_KILL_PROCESS,
            ActionKind::RaiseLimit { .. } => kfuncs::MEM_CGROUP_RAISE_MAX,
            ActionKind::If { .. }
            | ActionKind::Block(_)
            | ActionKind::Or(..)
            | ActionKind::Reclaim(_)
            | ActionKind::Defer
            | ActionKind::Notify(_)
            | ActionKind::Count(_) => return true,
        };
        // One object serves kernels with and without such a function: the test is a constant on each.
        if self.spared.contains(&kfunc) {
            let (there, absent) = (self.b.create_block(), self.b.create_block());
            let address = self.b.value(InstData::KfuncAddr(kfunc), Type::Ptr);
            self.b.branch(Cond::Ne, address, imm(0), there, absent);
            self.b.switch_to(absent);
            self.note_end(End::Unavailable);
            self.b.jump(on_nothing, &[]);
            self.b.switch_to(there);
            return true;
        }
        let known = self.view.kfunc(kfunc).is_some();
        if !known {
            self.note_end(End::Unavailable);
            self.b.jump(on_nothing, &[]);
        }
        known
    }

    pub(super) fn perform(&mut self, action: &ActionKind, on_progress: Block, on_nothing: Block) {
        match action {
            ActionKind::If { condition, then, otherwise } => {
                self.if_then(*condition, *then, *otherwise, on_progress, on_nothing);
            }
            ActionKind::Block(actions) => self.block(actions, on_progress, on_nothing),
            ActionKind::Or(first, second) => {
                let next = self.b.create_block();
                self.alternative_point(*first);
                self.action(*first, on_progress, next);
                self.b.switch_to(next);
                self.alternative_point(*second);
                self.action(*second, on_progress, on_nothing);
            }
            ActionKind::Kill(kill) => {
                self.leave_unpicked(kill, on_nothing);
                self.acts(self.action, on_progress, on_nothing);
            }
            ActionKind::Wait => self.acts(self.action, on_progress, on_nothing),
            ActionKind::RaiseLimit { by, up_to } => {
                self.raise_limit(*by, *up_to, on_progress, on_nothing);
            }
            ActionKind::Reclaim(bytes) => self.say_reclaim(*bytes, on_progress, on_nothing),
            ActionKind::Defer => {
                self.note_end(End::Deferred);
                self.note_action(Action::Defer);
                let rule_index = self.rule_index;
                self.note_imm(at::RULE, rule_index as i32);
                let nothing = self.nothing;
                self.b.jump(nothing, &[]);
            }
            ActionKind::Notify(message) => {
                self.note_end(End::Quiet);
                self.prefetch(&message.values().collect::<Vec<_>>());
                self.note_message([at::NOTICE, at::NOTICE_VALUES], message);
                self.b.jump(on_nothing, &[]);
            }
            ActionKind::Count(state) => {
                self.note_end(End::Quiet);
                self.count_one(*state);
                self.b.jump(on_nothing, &[]);
            }
        }
    }

    /// `if`: one of two actions, or one and nothing. Where the first one makes no progress, the other one is tried.
    fn if_then(
        &mut self,
        condition: ExprId,
        then: ActionId,
        otherwise: Option<ActionId>,
        on_progress: Block,
        on_nothing: Block,
    ) {
        let (then_block, else_block) = (self.b.create_block(), self.b.create_block());
        let rejected = match otherwise {
            Some(_) => else_block,
            None => self.b.create_block(),
        };
        if self.says() {
            self.branch_once(condition, [then_block, rejected]);
        } else {
            self.prefetch(&[condition]);
            self.guard(condition, None, then_block, rejected, rejected);
        }
        self.b.switch_to(then_block);
        self.branch_point(condition, true);
        self.action(then, on_progress, else_block);
        if otherwise.is_none() {
            self.b.switch_to(rejected);
            self.branch_point(condition, false);
            self.note_end(End::NotTrue);
            self.b.jump(else_block, &[]);
        }
        self.b.switch_to(else_block);
        match otherwise {
            Some(otherwise) => {
                self.branch_point(condition, false);
                self.action(otherwise, on_progress, on_nothing);
            }
            None => self.b.jump(on_nothing, &[]),
        }
    }

    /// Tells that an alternative is tried. One that is itself made of two has no point but theirs.
    fn alternative_point(&mut self, action: ActionId) {
        let action = self.policy.actions.get(action);
        if let Some(action) = action.filter(|action| !matches!(action.kind, ActionKind::Or(..))) {
            self.point((PointKind::Alternative, action.span), None);
        }
    }

    /// Statements in order; progress if any made progress.
    fn block(&mut self, actions: &[ActionId], on_progress: Block, on_nothing: Block) {
        if let [only] = actions {
            return self.action(*only, on_progress, on_nothing);
        }
        let progressed = self.cell();
        self.put_imm(progressed, 0);
        let mut acts = false;
        for action in actions {
            let (done, next) = (self.b.create_block(), self.b.create_block());
            let kind = self.policy.actions.get(*action).map(|action| &action.kind);
            let quiet = matches!(kind, Some(ActionKind::Notify(_) | ActionKind::Count(_)));
            if quiet && acts {
                let so_far = self.get(progressed);
                self.leave_if(Cond::Eq, so_far, imm(0), next);
            }
            acts |= !quiet;
            self.action(*action, done, next);
            self.b.switch_to(done);
            self.put_imm(progressed, 1);
            self.b.jump(next, &[]);
            self.b.switch_to(next);
        }
        let any = self.get(progressed);
        self.b.branch(Cond::Ne, any, imm(0), on_progress, on_nothing);
    }
}
