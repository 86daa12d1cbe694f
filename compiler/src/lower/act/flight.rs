//! The victim in flight: a process of the domain whose memory is about to come free.
//!
//! Killing a second one while the first is dying is the classic mistake of a user-space killer. The kernel's
//! own test is `task_will_free_mem()` (mm/oom_kill.c, 6.12); it has to be asked of threads, because a leader
//! disappears from the walk over processes once all its threads are exiting.
//!
//! Threads are many, and nearly always nobody is dying. So a walk looks at the threads of a cgroup only where there
//! can be such a process: where a leader that it meets is exiting, was killed or was chosen by an OOM killer, or where
//! the cgroup has tasks that have exited and are still there, which is where a leader goes that is no longer shown
//! (`css_set.dying_tasks`, kernel/cgroup/cgroup.c, 6.12).

use oomc_abi::consts::{MMF_OOM_SKIP, PF_EXITING, SIGNAL_GROUP_EXIT};
use oomc_abi::record::Action;
use oomc_abi::{kfuncs, members, shapes};

use super::Act;
use crate::ir::{BinOp, Block, Cond, FieldFact, InstData, Operand, Type, Value};
use crate::lower::emit::{Cell, Tasks, Walks, imm};

/// `-ESRCH` from the kill kfunc: nothing to gain.
const ESRCH: i64 = -3;

/// Bytes of a list's links, as a shift: two pointers.
const LIST_SHIFT: i32 = 4;

/// What a walk has found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Victim {
    /// The number of a thread that the kernel can hurry on; 0: nobody.
    thread: Cell,
    /// When it was started.
    start: Cell,
    /// Not 0: there are victims that the kernel will not hurry.
    stuck: Cell,
    /// The process whose sharers were looked at last.
    judged: Cell,
}

impl Act<'_> {
    fn victim(&mut self) -> Victim {
        if let Some(victim) = self.victim {
            return victim;
        }
        let victim =
            self.lasting(|s| Victim { thread: s.cell(), start: s.cell(), stuck: s.cell(), judged: s.cell() });
        *self.victim.insert(victim)
    }

    /// Before a walk that looks for one.
    pub(super) fn forget_victim(&mut self) {
        let victim = self.victim();
        for cell in [victim.thread, victim.stuck, victim.judged] {
            self.put_imm(cell, 0);
        }
    }

    /// Sets `look` if a cgroup may have processes that die without being shown; goes to `empty` if it has no task
    /// at all. Continues otherwise.
    ///
    /// The tasks of a cgroup hang in sets. There is one set, unless children without the memory controller, or
    /// hierarchies besides this one, tell tasks apart: then one looks closer in any case.
    pub(super) fn look_closer(&mut self, css: Value, look: Cell, empty: Block) {
        let (one, several, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.put_imm(look, 0);
        let cgroup = self.pointer(css, members::CSS_CGROUP);
        let controller = members::MEMORY_CONTROLLER;
        let controller = self.enumerator_at(controller.enumeration, controller.name);
        let place = self.bin_imm(BinOp::Shl, controller, LIST_SHIFT);
        let lists = self.member_addr(cgroup, members::CGROUP_TASK_SETS);
        let list = self.b.value(InstData::PtrAdd(lists, place), Type::Ptr);
        let list = self.cast(list, members::LIST);
        let first = self.pointer(list, members::LIST_NEXT);
        self.leave_if(Cond::Eq, first, Operand::Value(list), empty);
        let second = self.pointer(first, members::LIST_NEXT);
        self.b.branch(Cond::Eq, second, Operand::Value(list), one, several);
        self.b.switch_to(one);
        let node = self.b.field(members::CSS_SET_NODES.container, members::CSS_SET_NODES.path);
        let node = self.b.value(InstData::FieldFact(FieldFact::Offset, node), Type::I64);
        let back = self.bin(BinOp::Add, node, place);
        let back = self.neg(back);
        let set = self.b.value(InstData::PtrAdd(first, back), Type::Ptr);
        let set = self.cast(set, members::CSS_SET);
        let dying = self.member_addr(set, members::CSS_SET_DYING);
        let first = self.pointer(set, members::CSS_SET_FIRST_DYING);
        self.b.branch(Cond::Eq, first, Operand::Value(dying), join, several);
        self.b.switch_to(several);
        self.put_imm(look, 1);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// `-number`, written so that the verifier goes on knowing a number that it knows: of a negation it forgets it.
    fn neg(&mut self, number: Value) -> Value {
        let inverted = self.bin_imm(BinOp::Xor, number, -1);
        self.bin_imm(BinOp::Add, inverted, 1)
    }

    /// Looks at each thread of a cgroup; notes the first one of a victim that the kernel can hurry on, and goes to
    /// `found` with it.
    pub(super) fn look_at_threads(&mut self, memcg: Value, found: Block) {
        let victim = self.victim();
        self.walk_tasks(memcg, Tasks::Threads, None, |s, tasks| {
            let lost = s.b.create_block();
            s.judge(tasks.item, victim.judged, lost, tasks.next);
            s.exclude_unkillable(tasks.item, lost);
            let thread = s.field(tasks.item, members::TASK_THREAD_ID);
            s.put(victim.thread, thread);
            let start = s.field(tasks.item, members::TASK_START);
            s.put(victim.start, start);
            s.b.jump(tasks.done, &[]);
            s.b.switch_to(lost);
            s.put_imm(victim.stuck, 1);
            s.b.jump(tasks.next, &[]);
        });
        let thread = self.get(victim.thread);
        self.leave_if(Cond::Ne, thread, imm(0), found);
    }

    /// If the walk has found a victim in flight, asks the kernel to hurry it on, which notes progress. If there are
    /// only victims that the kernel will not hurry (it says that there is nothing to gain, or that they are not to be
    /// killed), the policy ends: another victim now would be one too many. One that is gone in the meantime goes to
    /// the third block.
    pub(super) fn wait(&mut self, [on_victim, on_defer, on_gone]: [Block; 3], on_none: Block) {
        let victim = self.victim();
        let (hurried, not_hurried) = (self.b.create_block(), self.b.create_block());
        let thread = self.get(victim.thread);
        self.b.branch(Cond::Ne, thread, imm(0), hurried, not_hurried);
        self.b.switch_to(not_hurried);
        let stuck = self.get(victim.stuck);
        self.b.branch(Cond::Ne, stuck, imm(0), on_defer, on_none);
        self.b.switch_to(hurried);
        let task = self.task_by_name(victim.thread, victim.start, on_gone);
        self.hurry(task, [on_victim, on_defer, on_gone]);
    }

    /// Asks the kernel to hurry a victim on; gives the reference back.
    fn hurry(&mut self, victim: Value, [on_victim, on_defer, on_gone]: [Block; 3]) {
        self.note_waiting(victim);
        if self.says() {
            return self.say_wait(victim, on_victim);
        }
        let (ask, done) = (self.b.create_block(), self.b.create_block());
        let audit = self.audit();
        self.b.branch(Cond::Ne, audit, imm(0), done, ask);
        self.b.switch_to(ask);
        let message = self.message(Some("a victim is on its way out"));
        let oc = self.oc;
        let result = self.call_int(kfuncs::OOM_KILL_PROCESS, &[oc, victim, message]);
        let (waiting, refused) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Eq, result, imm(0), waiting, refused);
        self.b.switch_to(waiting);
        self.count("waits");
        self.b.jump(done, &[]);
        self.b.switch_to(refused);
        self.note_action(Action::None);
        let (gone, there) = (self.b.create_block(), self.b.create_block());
        self.leave_if(Cond::Ne, result, imm(ESRCH), gone);
        let memory = self.pointer(victim, members::TASK_MM);
        self.leave_if(Cond::Ne, memory, imm(0), there);
        self.chosen_and_not_reaped(victim, gone);
        self.b.jump(there, &[]);
        for (block, target) in [(done, on_victim), (there, on_defer), (gone, on_gone)] {
            self.b.switch_to(block);
            self.call(kfuncs::TASK_RELEASE, &[victim]);
            self.b.jump(target, &[]);
        }
    }

    /// A reference on the task with the number and start time in two cells; `gone` if there is none.
    pub(super) fn task_by_name(&mut self, number: Cell, start: Cell, gone: Block) -> Value {
        let number = self.get(number);
        let task = self.call_ptr(kfuncs::TASK_FROM_PID, &[number]);
        self.leave_if(Cond::Eq, task, imm(0), gone);
        let (same, other) = (self.b.create_block(), self.b.create_block());
        let (found, wanted) = (self.field(task, members::TASK_START), self.get(start));
        self.b.branch(Cond::Eq, found, Operand::Value(wanted), same, other);
        self.b.switch_to(other);
        self.call(kfuncs::TASK_RELEASE, &[task]);
        self.b.jump(gone, &[]);
        self.b.switch_to(same);
        task
    }

    /// Leaves to `other` unless the thread belongs to a victim in flight, and to `lost` if it has given its memory
    /// up: the kernel does not hurry it any more.
    fn judge(&mut self, thread: Value, judged: Cell, lost: Block, other: Block) {
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
        let flags = self.shaped_field(mm, &shapes::MM_FLAGS);
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
        let flags = self.shaped_field(memory, &shapes::MM_FLAGS);
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
