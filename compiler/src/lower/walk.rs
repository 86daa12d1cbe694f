//! Traversals as open-coded iterators.
//!
//! Each walk creates its iterator, asks for the next element until there is none, and destroys it on every
//! path; the verifier refuses anything else. Slots of the frame are shared by walks that do not nest.

use oomc_abi::consts::{CSS_ONLINE, CSS_TASK_ITER_PROCS};
use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members;
use oomc_abi::record::at;

use super::scratch::Cell;
use super::{Lower, imm};
use crate::ir::{BinOp, Block, BlockCall, Cond, InstData, Size, StackSlot, Type, Value};

/// Order of a walk over memcgs. The start is always included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Parents before children.
    Pre,
    /// Children before parents.
    Post,
    /// From the start up to the root.
    Up,
}

impl Order {
    fn enumerator(self) -> members::Enumerator {
        match self {
            Self::Pre => members::WALK_PRE,
            Self::Post => members::WALK_POST,
            Self::Up => members::WALK_UP,
        }
    }
}

/// Which tasks of a cgroup a walk visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tasks {
    /// One per process: its leader.
    Processes,
    /// Every thread.
    Threads,
}

/// The four iterators in use. Sizes are those of `struct bpf_iter_*` (6.12), part of the kfunc ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Iter {
    Css,
    CssTask,
    Task,
    Num,
}

impl Iter {
    fn size(self) -> u32 {
        match self {
            Self::Css | Self::Task => 24,
            Self::CssTask | Self::Num => 8,
        }
    }

    fn kfuncs(self) -> [KfuncId; 3] {
        match self {
            Self::Css => [kfuncs::ITER_CSS_NEW, kfuncs::ITER_CSS_NEXT, kfuncs::ITER_CSS_DESTROY],
            Self::CssTask => {
                [kfuncs::ITER_CSS_TASK_NEW, kfuncs::ITER_CSS_TASK_NEXT, kfuncs::ITER_CSS_TASK_DESTROY]
            }
            Self::Task => [kfuncs::ITER_TASK_NEW, kfuncs::ITER_TASK_NEXT, kfuncs::ITER_TASK_DESTROY],
            Self::Num => [kfuncs::ITER_NUM_NEW, kfuncs::ITER_NUM_NEXT, kfuncs::ITER_NUM_DESTROY],
        }
    }
}

/// Slots of the frame for iterators, by kind and nesting.
#[derive(Debug, Default)]
pub(super) struct Slots {
    free: Vec<(Iter, StackSlot)>,
}

/// What the body of a walk works with. It ends every path with a jump to `next` or `done`, handing over
/// the carried pointers.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    /// The present element.
    pub(super) item: Value,
    /// The carried pointers, as they stand.
    pub(super) carried: Vec<Value>,
    /// Goes on with the next element.
    pub(super) next: Block,
    /// Ends the walk.
    pub(super) done: Block,
}

impl Lower<'_> {
    /// Walks memcgs from `css`, which must be trusted; needs an RCU section. Returns the carried pointers.
    pub(super) fn walk_css(
        &mut self,
        css: Value,
        order: Order,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let order = order.enumerator();
        let flags = self.enumerator_at(order.enumeration, order.name);
        self.iterate(Iter::Css, &[css, flags], None, carried, body)
    }

    /// Walks the tasks of one cgroup, whose css must be trusted. A walk that could not start sets `failed`
    /// to something that is not 0 and visits nothing; one that could leaves it as it is.
    pub(super) fn walk_tasks(
        &mut self,
        css: Value,
        tasks: Tasks,
        failed: Option<Cell>,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let flags = self.int(if tasks == Tasks::Processes { CSS_TASK_ITER_PROCS } else { 0 });
        self.iterate(Iter::CssTask, &[css, flags], failed, carried, body)
    }

    /// Walks all threads of the machine; needs an RCU section.
    pub(super) fn walk_all_threads(&mut self, body: impl FnOnce(&mut Self, Walk)) {
        let none = self.null();
        // BPF_TASK_ITER_ALL_THREADS, an enumerator of an anonymous enum (kernel/bpf/task_iter.c, 6.12).
        let flags = self.int(1);
        self.iterate(Iter::Task, &[none, flags], None, &[], body);
    }

    /// Counts from 0 up to a constant; the element points to the number.
    pub(super) fn walk_numbers(&mut self, end: i32, body: impl FnOnce(&mut Self, Walk)) {
        let (start, end) = (self.int(0), self.int(i64::from(end)));
        self.iterate(Iter::Num, &[start, end], None, &[], body);
    }

    /// Counts from 0 up to a constant, with pointers that are carried along. Returns them.
    pub(super) fn walk_numbers_with(
        &mut self,
        end: i32,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let (start, end) = (self.int(0), self.int(i64::from(end)));
        self.iterate(Iter::Num, &[start, end], None, carried, body)
    }

    /// The number that a walk over numbers is at.
    pub(super) fn number(&mut self, item: Value) -> Value {
        self.load(Size::B4, item, 0)
    }

    fn iterate(
        &mut self,
        iter: Iter,
        args: &[Value],
        failed: Option<Cell>,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let slot = match self.frame.free.iter().position(|(kind, _)| *kind == iter) {
            Some(at) => self.frame.free.swap_remove(at).1,
            None => self.b.slot(iter.size()),
        };
        let [new, next, destroy] = iter.kfuncs();
        let (head, inside, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let in_head: Vec<Value> = carried.iter().map(|_| self.b.block_param(head, Type::Ptr)).collect();
        let in_done: Vec<Value> = carried.iter().map(|_| self.b.block_param(done, Type::Ptr)).collect();

        let it = self.slot_addr(slot);
        let mut new_args = vec![it];
        new_args.extend_from_slice(args);
        let started = self.call_int(new, &new_args);
        // A walk that could not start looks like an empty cgroup: the record tells.
        if iter == Iter::CssTask {
            let (lost, go_on) = (self.b.create_block(), self.b.create_block());
            self.b.branch(Cond::Ne, started, imm(0), lost, go_on);
            self.b.switch_to(lost);
            self.note_one_more(at::FAILED_WALKS);
            self.b.jump(go_on, &[]);
            self.b.switch_to(go_on);
        }
        if let Some(failed) = failed {
            let so_far = self.get(failed);
            let both = self.bin(BinOp::Or, so_far, started);
            self.put(failed, both);
        }
        self.b.jump(head, carried);

        self.b.switch_to(head);
        let it = self.slot_addr(slot);
        let item = self.call_ptr(next, &[it]);
        let then = BlockCall { block: inside, args: Vec::new() };
        let otherwise = BlockCall { block: done, args: in_head.clone() };
        self.b.effect(InstData::Branch { cond: Cond::Ne, a: item, b: imm(0), then, otherwise });
        self.b.switch_to(inside);
        body(self, Walk { item, carried: in_head, next: head, done });

        self.b.switch_to(done);
        let it = self.slot_addr(slot);
        self.call(destroy, &[it]);
        self.frame.free.push((iter, slot));
        in_done
    }

    /// Visits every process below a referenced memcg, itself included; the memcg of each is referenced
    /// while its processes are visited. The body gets the task, the block that goes on, and a block that
    /// ends the whole walk after having marked it.
    pub(super) fn each_process_below(
        &mut self,
        memcg: Value,
        failed: Cell,
        body: impl FnOnce(&mut Self, Value, Block, Block),
    ) {
        let stop = self.cell();
        self.put_imm(stop, 0);
        self.with_rcu(|s| {
            let css = s.css_of(memcg);
            s.walk_css(css, Order::Pre, &[], |s, walk| {
                let below = s.call_ptr(kfuncs::GET_MEM_CGROUP, &[walk.item]);
                s.leave_if(Cond::Eq, below, imm(0), walk.next);
                let css = s.css_of(below);
                s.walk_tasks(css, Tasks::Processes, Some(failed), &[], |s, tasks| {
                    let end = s.b.create_block();
                    body(s, tasks.item, tasks.next, end);
                    s.b.switch_to(end);
                    s.put_imm(stop, 1);
                    s.b.jump(tasks.done, &[]);
                });
                s.call(kfuncs::PUT_MEM_CGROUP, &[below]);
                let stop = s.get(stop);
                s.b.branch(Cond::Ne, stop, imm(0), walk.done, walk.next);
            });
        });
    }

    /// Reads an element of a walk as a memcg, without taking a reference: the css is its first member.
    pub(super) fn cast_memcg(&mut self, css: Value) -> Value {
        self.cast(css, members::MEMCG)
    }

    /// Reads what lies at an address as a structure of the kernel.
    pub(super) fn cast(&mut self, address: Value, tag: &str) -> Value {
        let ty = self.b.type_ref(tag);
        let ty = self.b.value(InstData::TypeId(ty), Type::I64);
        self.call_ptr(kfuncs::RDONLY_CAST, &[address, ty])
    }

    /// Goes to `skip` if the cgroup of a css was removed; it may still hold charges.
    pub(super) fn skip_offline(&mut self, css: Value, skip: Block) {
        let flags = self.field(css, members::CSS_FLAGS);
        let online = self.b.create_block();
        self.b.branch(Cond::Test, flags, imm(CSS_ONLINE), online, skip);
        self.b.switch_to(online);
    }
}
