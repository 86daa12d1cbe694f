//! `kill`: chooses under RCU, acts outside of it, and goes on to the next candidate when the kernel refuses.

use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::{Action, End, at};

use super::scratch::{Cell, MAX_UNITS};
use super::walk::{Order, Tasks};
use super::{Lower, imm};
use crate::hir::{Kill, Message, Unit};
use crate::ir::{BinOp, Block, Cond, InstData, Operand, Size, Type, Value};

/// How many candidates of one selection are tried. The tests before a kill are the kernel's own, so a
/// refusal is a race with an exit; each try is a whole walk with `oom_lock` held.
const MAX_TRIES: i32 = 32;

impl Lower<'_> {
    pub(super) fn kill(&mut self, kill: &Kill, on_progress: Block, on_nothing: Block) {
        if !kill.now {
            let nobody = self.b.create_block();
            self.in_flight(on_progress, nobody);
            self.b.switch_to(nobody);
        }
        let reason = kill.reason.as_ref().map(Message::constant);
        let reason = reason.as_deref();
        self.in_walk = true;
        let mut asked = self.never_conditions();
        asked.extend(kill.selection.filter);
        asked.extend(kill.selection.keys.iter().map(|key| key.expr));
        asked.extend(kill.reason.iter().flat_map(Message::values));
        self.prefetch(&asked);

        self.note_end(End::NoCandidate);
        self.open_kill();
        let ranking = self.ranking(&kill.selection);
        let killed = self.cell();
        self.put_imm(killed, 0);
        self.walk_numbers(MAX_TRIES, |s, tries| {
            let victim = s.search(&kill.selection, &ranking);
            s.leave_if(Cond::Eq, victim, imm(0), tries.done);
            if !s.searches_apart() {
                s.note_victim(kill.selection.unit, victim);
            }
            if let Some(reason) = &kill.reason {
                s.candidates.insert(kill.selection.binder, victim);
                s.note_message(at::REASON, reason);
            }
            match kill.selection.unit {
                Unit::Process => {
                    let message = s.message(reason);
                    s.kill_task(victim, message, killed);
                    s.call(kfuncs::TASK_RELEASE, &[victim]);
                }
                Unit::Cgroup => s.kill_unit(victim, reason, killed),
            }
            let done = s.get(killed);
            s.leave_if(Cond::Ne, done, imm(0), tries.done);
            if !s.searches_apart() {
                s.lower_ceiling(&ranking);
            }
            s.b.jump(tries.next, &[]);
        });
        self.in_walk = false;
        let killed = self.get(killed);
        self.close_local();
        self.leave_if(Cond::Eq, killed, imm(0), on_nothing);
        self.note_action(match kill.selection.unit {
            Unit::Process => Action::KillProcess,
            Unit::Cgroup => Action::KillCgroup,
        });
        self.b.jump(on_progress, &[]);
    }

    /// Kills one process; counts it if the kernel did.
    fn kill_task(&mut self, task: Value, message: Value, killed: Cell) {
        let (dead, refused) = (self.b.create_block(), self.b.create_block());
        let (assumed, join) = (self.b.create_block(), self.b.create_block());
        self.unless_audit(assumed);
        let result = self.call_int(kfuncs::OOM_KILL_PROCESS, &[self.oc, task, message]);
        self.b.branch(Cond::Eq, result, imm(0), dead, refused);
        self.b.switch_to(refused);
        self.note(at::RESULT, result);
        self.note_end(End::Refused);
        self.b.jump(join, &[]);
        self.b.switch_to(dead);
        self.note_imm(at::RESULT, 0);
        self.note_one_more(at::KILLED);
        self.count("kills");
        self.b.jump(assumed, &[]);
        self.b.switch_to(assumed);
        self.put_imm(killed, 1);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Kills every process of a unit, and gives the reference back. A cgroup walk needs RCU and a kill must
    /// not be in it: so the cgroups are written down first, by id.
    fn kill_unit(&mut self, unit: Value, reason: Option<&str>, killed: Cell) {
        let count = self.list_unit(unit);
        self.call(kfuncs::PUT_MEM_CGROUP, &[unit]);
        self.kill_listed(count, reason, killed);
    }

    /// Writes down the ids of a cgroup and all below it, and counts them.
    pub(super) fn list_below(&mut self, unit: Value, count: Cell) {
        self.put_imm(count, 0);
        self.with_rcu(|s| {
            let css = s.css_of(unit);
            s.walk_css(css, Order::Pre, &[], |s, walk| {
                let room = s.b.create_block();
                // An index must come from memory, be compared with a constant and used at once.
                let at = s.get(count);
                s.b.branch(Cond::Ult, at, imm(i64::from(MAX_UNITS)), room, walk.done);
                s.b.switch_to(room);
                let id = s.css_id(walk.item);
                let slot = s.unit_slot(at);
                s.b.effect(InstData::Store {
                    size: Size::B8,
                    ptr: slot,
                    offset: 0,
                    value: Operand::Value(id),
                });
                s.bump(count);
                s.b.jump(walk.next, &[]);
            });
        });
    }

    fn kill_listed(&mut self, count: Cell, reason: Option<&str>, killed: Cell) {
        self.walk_numbers(MAX_UNITS, |s, walk| {
            let at = s.number(walk.item);
            let count = s.get(count);
            s.leave_if(Cond::Uge, at, Operand::Value(count), walk.done);
            s.leave_if(Cond::Uge, at, imm(i64::from(MAX_UNITS)), walk.done);
            let slot = s.unit_slot(at);
            let id = s.load(Size::B8, slot, 0);
            let memcg = s.memcg_by_id(id, walk.next);
            let (ours, other) = (s.b.create_block(), s.b.create_block());
            // Where the memory controller was switched off meanwhile, the memcg is an ancestor's.
            let own = s.read(memcg, members::MEMCG_ID);
            s.b.branch(Cond::Eq, own, Operand::Value(id), ours, other);
            s.b.switch_to(ours);
            let css = s.css_of(memcg);
            s.walk_tasks(css, Tasks::Processes, None, &[], |s, tasks| {
                let living = s.b.create_block();
                s.dying(tasks.item, tasks.next, living);
                s.b.switch_to(living);
                // Who came after the choice is as unkillable as before it.
                s.exclude_unkillable(tasks.item, tasks.next);
                let message = s.message(reason);
                s.kill_task(tasks.item, message, killed);
                s.b.jump(tasks.next, &[]);
            });
            s.b.jump(other, &[]);
            s.b.switch_to(other);
            s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
            s.b.jump(walk.next, &[]);
        });
    }

    /// The place of a cgroup's id in the list; the index is below [`MAX_UNITS`].
    fn unit_slot(&mut self, index: Value) -> Value {
        let list = self.units();
        let offset = self.bin_imm(BinOp::Shl, index, 3);
        self.b.value(InstData::PtrAdd(list, offset), Type::Ptr)
    }

    /// What the kernel writes into its log beside the kill.
    pub(super) fn message(&mut self, reason: Option<&str>) -> Value {
        let policy = &self.policy.name;
        let rule = &self.rule;
        let text = match reason {
            // What all rules share is nobody's.
            Some(reason) if rule.is_empty() => format!("oomc {policy}: {reason}"),
            Some(reason) => format!("oomc {policy}, rule \"{rule}\": {reason}"),
            None => format!("oomc {policy}, rule \"{rule}\""),
        };
        self.string(&text)
    }
}
