//! The victim in flight: a process of the domain whose memory is about to come free.
//!
//! Killing a second one while the first is dying is the classic mistake of a user-space killer. The kernel's
//! own test is `task_will_free_mem()` (mm/oom_kill.c, 6.12); here it is asked of every thread of the domain,
//! because a leader disappears from the walk once all its threads are exiting.

use oomc_abi::consts::{MMF_OOM_SKIP, PF_EXITING, SIGNAL_GROUP_EXIT};
use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::Action;

use super::walk::{Order, Tasks};
use super::{Lower, imm};
use crate::ir::{Block, Cond, Operand, Type, Value};

/// `-ESRCH` from the kill kfunc: nothing to gain.
const ESRCH: i64 = -3;

impl Lower<'_> {
    /// `wait`: if a victim is in flight, asks the kernel to hurry it on, which notes progress. If there are only
    /// victims that the kernel will not hurry (it says that there is nothing to gain, or that they are not to be
    /// killed), the policy ends: another victim now would be one too many.
    pub(super) fn wait_in_flight(&mut self, on_victim: Block, on_none: Block) {
        let none = self.null();
        let (judged, stuck) = (self.cell(), self.cell());
        self.put_imm(judged, 0);
        self.put_imm(stuck, 0);
        let victim = self.with_rcu(|s| {
            let css = s.css_of(s.domain);
            let found = s.walk_css(css, Order::Pre, &[none], |s, walk| {
                let (skip, stop, go_on) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
                let memcg = s.call_ptr(kfuncs::GET_MEM_CGROUP, &[walk.item]);
                s.leave_if(Cond::Eq, memcg, imm(0), skip);
                let css = s.css_of(memcg);
                let found = s.walk_tasks(css, Tasks::Threads, None, &walk.carried, |s, tasks| {
                    let (other, lost) = (s.b.create_block(), s.b.create_block());
                    s.judge(tasks.item, judged, lost, other);
                    s.exclude_unkillable(tasks.item, lost);
                    let victim = s.call_ptr(kfuncs::TASK_ACQUIRE, &[tasks.item]);
                    s.leave_if(Cond::Eq, victim, imm(0), other);
                    s.b.jump(tasks.done, &[victim]);
                    s.b.switch_to(lost);
                    s.put_imm(stuck, 1);
                    s.b.jump(other, &[]);
                    s.b.switch_to(other);
                    s.b.jump(tasks.next, &tasks.carried);
                });
                s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
                let victim = found.first().copied().unwrap_or(none);
                s.b.branch(Cond::Ne, victim, imm(0), stop, go_on);
                s.b.switch_to(stop);
                s.b.jump(walk.done, &[victim]);
                s.b.switch_to(go_on);
                s.b.jump(walk.next, &[victim]);
                s.b.switch_to(skip);
                s.b.jump(walk.next, &walk.carried);
            });
            found.first().copied().unwrap_or(none)
        });
        let (hurried, not_hurried) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Ne, victim, imm(0), hurried, not_hurried);
        self.b.switch_to(not_hurried);
        let stuck = self.get(stuck);
        let defer = self.nothing;
        self.b.branch(Cond::Ne, stuck, imm(0), defer, on_none);
        self.b.switch_to(hurried);
        let (ask, pretend) = (self.b.create_block(), self.b.create_block());
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), pretend, ask);
        self.b.switch_to(pretend);
        self.note_waiting(victim);
        self.call(kfuncs::TASK_RELEASE, &[victim]);
        self.b.jump(on_victim, &[]);
        self.b.switch_to(ask);
        self.note_waiting(victim);
        let message = self.message(Some("a victim is on its way out"));
        let result = self.call_int(kfuncs::OOM_KILL_PROCESS, &[self.oc, victim, message]);
        let (there, gone, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let still_there = self.b.block_param(join, Type::I64);
        let memory = self.pointer(victim, members::TASK_MM);
        self.leave_if(Cond::Ne, memory, imm(0), there);
        self.chosen_and_not_reaped(victim, gone);
        self.b.jump(there, &[]);
        for (block, value) in [(there, 1), (gone, 0)] {
            self.b.switch_to(block);
            let value = self.int(value);
            self.b.jump(join, &[value]);
        }
        self.b.switch_to(join);
        self.call(kfuncs::TASK_RELEASE, &[victim]);
        let (waiting, refused) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Eq, result, imm(0), waiting, refused);
        self.b.switch_to(waiting);
        self.count("waits");
        self.b.jump(on_victim, &[]);
        self.b.switch_to(refused);
        self.note_action(Action::None);
        // Gone in the meantime: as if it had not been found.
        self.leave_if(Cond::Ne, result, imm(ESRCH), on_none);
        let defer = self.nothing;
        self.leave_if(Cond::Ne, still_there, imm(0), defer);
        self.b.jump(on_none, &[]);
    }

    /// Leaves to `other` unless the thread belongs to a victim in flight, and to `lost` if it has given its memory
    /// up: the kernel does not hurry it any more.
    fn judge(&mut self, thread: Value, judged: super::scratch::Cell, lost: Block, other: Block) {
        let (with_memory, without, exiting) =
            (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (alone, shared) = (self.b.create_block(), self.b.create_block());
        let mm = self.pointer(thread, members::TASK_MM);
        self.b.branch(Cond::Ne, mm, imm(0), with_memory, without);
        // exit_mm() takes the memory from the task before it frees it: until then only the kernel's own mark
        // on a victim tells. Seen in the machine: without this a second process died within 10 ms.
        self.b.switch_to(without);
        self.chosen_and_not_reaped(thread, other);
        self.b.jump(lost, &[]);
        self.b.switch_to(with_memory);
        self.exiting_as_a_whole(thread, exiting, other);
        self.b.switch_to(exiting);
        // The reaper has taken it, or gave up on it.
        let flags = self.field(mm, members::MM_FLAGS);
        self.leave_if(Cond::Test, flags, imm(1 << MMF_OOM_SKIP), other);
        let users = self.field(mm, members::MM_USERS);
        self.b.branch(Cond::Sle, users, imm(1), alone, shared);
        self.b.switch_to(shared);
        // Several users: its own threads, or somebody who goes on living with the same memory. One look at
        // all threads of the machine per process, not per thread.
        let pid = self.field(thread, members::TASK_PID);
        let last = self.get(judged);
        self.leave_if(Cond::Eq, pid, Operand::Value(last), other);
        self.put(judged, pid);
        let sharer = self.cell();
        self.put_imm(sharer, 0);
        self.walk_all_threads(|s, walk| {
            let theirs = s.pointer(walk.item, members::TASK_MM);
            s.leave_if(Cond::Ne, theirs, Operand::Value(mm), walk.next);
            let own = s.field(walk.item, members::TASK_PID);
            s.leave_if(Cond::Eq, own, Operand::Value(pid), walk.next);
            let lives = s.b.create_block();
            s.exiting_as_a_whole(walk.item, walk.next, lives);
            s.b.switch_to(lives);
            s.put_imm(sharer, 1);
            s.b.jump(walk.done, &[]);
        });
        let sharer = self.get(sharer);
        self.b.branch(Cond::Ne, sharer, imm(0), other, alone);
        self.b.switch_to(alone);
    }

    /// Leaves to `other` unless an OOM killer chose the process and its memory has not been freed.
    fn chosen_and_not_reaped(&mut self, thread: Value, other: Block) {
        let signal = self.pointer(thread, members::TASK_SIGNAL);
        let memory = self.pointer(signal, members::SIGNAL_OOM_MM);
        self.leave_if(Cond::Eq, memory, imm(0), other);
        let flags = self.field(memory, members::MM_FLAGS);
        self.leave_if(Cond::Test, flags, imm(1 << MMF_OOM_SKIP), other);
    }

    /// `__task_will_free_mem()`: killed or exiting with all its threads, and not dumping core. Ends the block.
    fn exiting_as_a_whole(&mut self, thread: Value, yes: Block, no: Block) {
        let signal = self.pointer(thread, members::TASK_SIGNAL);
        let core = self.pointer(signal, members::SIGNAL_CORE_STATE);
        self.leave_if(Cond::Ne, core, imm(0), no);
        let flags = self.field(signal, members::SIGNAL_FLAGS);
        self.leave_if(Cond::Test, flags, imm(SIGNAL_GROUP_EXIT), yes);
        let threads = self.field(signal, members::SIGNAL_THREADS);
        self.leave_if(Cond::Ne, threads, imm(1), no);
        let flags = self.field(thread, members::TASK_FLAGS);
        self.b.branch(Cond::Test, flags, imm(PF_EXITING), yes, no);
    }
}
