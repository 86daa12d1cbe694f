//! Traversals as open-coded iterators.
//!
//! Each walk creates its iterator, asks for the next element until there is none, and destroys it on every
//! path; the verifier refuses anything else. Slots of the frame are shared by walks that do not nest.

use oomc_abi::consts::{CSS_ONLINE, CSS_TASK_ITER_PROCS};
use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members;
use oomc_abi::record::at;
use oomc_abi::target::Memory;

use super::cells::Cell;
use super::{Emit, imm};
use crate::ir::{Args, BinOp, Block, BlockCall, Cond, InstData, Size, StackSlot, Type, Value};

/// Order of a walk over memcgs. The start is always included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Order {
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
pub(in crate::lower) enum Tasks {
    /// One per process: its leader.
    Processes,
    /// Every thread.
    Threads,
}

/// The four iterators in use. Sizes are those of `struct bpf_iter_*` (6.12), part of the kfunc ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Iter {
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
pub(in crate::lower) struct Slots {
    free: Vec<(Iter, StackSlot)>,
}

/// What the body of a walk works with. It ends every path with a jump to `next` or `done`, handing over
/// the carried pointers.
#[derive(Clone, Debug)]
pub(in crate::lower) struct Walk {
    /// The present element.
    pub(in crate::lower) item: Value,
    /// The carried pointers, as they stand.
    pub(in crate::lower) carried: Vec<Value>,
    /// Goes on with the next element.
    pub(in crate::lower) next: Block,
    /// Ends the walk.
    pub(in crate::lower) done: Block,
}

/// Parts of a function that lie inside something: the body of each is written by the layer that asks for it.
pub(in crate::lower) trait Walks<'a>: Sized {
    /// The instructions.
    fn emit(&mut self) -> &mut Emit<'a>;

    /// Runs a part inside an RCU section, which may be one that is already open.
    fn with_rcu<T>(&mut self, part: impl FnOnce(&mut Self) -> T) -> T {
        if self.emit().in_rcu {
            return part(self);
        }
        self.emit().call(kfuncs::RCU_READ_LOCK, &[]);
        self.emit().in_rcu = true;
        let result = part(self);
        self.emit().in_rcu = false;
        self.emit().call(kfuncs::RCU_READ_UNLOCK, &[]);
        result
    }

    /// New cells that are meant beyond the kill being lowered.
    fn lasting<T>(&mut self, cells: impl FnOnce(&mut Self) -> T) -> T {
        let local = self.emit().globals.local_next.take();
        let result = cells(self);
        self.emit().globals.local_next = local;
        result
    }

    /// Walks memcgs from `css`, which must be trusted; needs an RCU section. Returns the carried pointers.
    fn walk_css(
        &mut self,
        css: Value,
        order: Order,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        match self.emit().target.row().memory {
            Memory::Functions => self.walk_own_css(css, order, carried, body),
            Memory::Members => self.walk_own_css(css, order, carried, |s, walk| {
                let skip = s.emit().b.create_block();
                let item = s.emit().controller_of(walk.item, skip);
                body(s, Walk { item, ..walk.clone() });
                s.emit().b.switch_to(skip);
                s.emit().b.jump(walk.next, &walk.carried);
            }),
        }
    }

    /// Walks csses of the hierarchy that `css` belongs to.
    fn walk_own_css(
        &mut self,
        css: Value,
        order: Order,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let order = order.enumerator();
        let flags = self.emit().enumerator_at(order.enumeration, order.name);
        self.iterate(Iter::Css, &[css, flags], None, carried, body)
    }

    /// Walks the tasks of one cgroup that is held. A walk that could not start sets `failed` to something that is not
    /// 0 and visits nothing; one that could leaves it as it is.
    fn walk_tasks(
        &mut self,
        memcg: Value,
        tasks: Tasks,
        failed: Option<Cell>,
        body: impl FnOnce(&mut Self, Walk),
    ) {
        match self.emit().target.row().memory {
            Memory::Functions => {
                let css = self.emit().css_of(memcg);
                self.walk_tasks_of(css, tasks, failed, body);
            }
            Memory::Members => self.walk_tasks_without_controller(memcg, tasks, failed, body),
        }
    }

    /// Walks the tasks of a css, which must be trusted.
    fn walk_tasks_of(
        &mut self,
        css: Value,
        tasks: Tasks,
        failed: Option<Cell>,
        body: impl FnOnce(&mut Self, Walk),
    ) {
        let flags = self.emit().int(if tasks == Tasks::Processes { CSS_TASK_ITER_PROCS } else { 0 });
        self.iterate(Iter::CssTask, &[css, flags], failed, &[], body);
    }

    /// Walks the tasks that count with a cgroup: its own, and where those below it have no memory controller, theirs.
    /// The first cgroup of the walk is itself, and mostly the only one.
    fn walk_tasks_without_controller(
        &mut self,
        cgroup: Value,
        tasks: Tasks,
        failed: Option<Cell>,
        body: impl FnOnce(&mut Self, Walk),
    ) {
        let stop = self.emit().cell();
        self.emit().put_imm(stop, 0);
        self.with_rcu(|s| {
            let alone = s.emit().has_controllers_below(cgroup);
            let only = s.emit().cell();
            s.emit().put(only, alone);
            let css = s.emit().css_of(cgroup);
            s.walk_own_css(css, Order::Pre, &[], |s, walk| {
                let held = s.emit().hold(walk.item);
                s.emit().leave_if(Cond::Eq, held, imm(0), walk.next);
                let css = s.emit().css_of(held);
                s.walk_tasks_of(css, tasks, failed, |s, inner| {
                    let done = s.emit().b.create_block();
                    let end = inner.done;
                    body(s, Walk { done, ..inner });
                    s.emit().b.switch_to(done);
                    s.emit().put_imm(stop, 1);
                    s.emit().b.jump(end, &[]);
                });
                s.emit().give_back(held);
                let (stop, only) = (s.emit().get(stop), s.emit().get(only));
                let over = s.emit().bin(BinOp::Or, stop, only);
                s.emit().b.branch(Cond::Ne, over, imm(0), walk.done, walk.next);
            });
        });
    }

    /// Walks all threads of the machine; needs an RCU section.
    fn walk_all_threads(&mut self, body: impl FnOnce(&mut Self, Walk)) {
        let none = self.emit().null();
        // BPF_TASK_ITER_ALL_THREADS, an enumerator of an anonymous enum (kernel/bpf/task_iter.c, 6.12).
        let flags = self.emit().int(1);
        self.iterate(Iter::Task, &[none, flags], None, &[], body);
    }

    /// Counts from 0 up to a constant; the element points to the number.
    fn walk_numbers(&mut self, end: i32, body: impl FnOnce(&mut Self, Walk)) {
        self.walk_numbers_with(end, &[], body);
    }

    /// Counts from 0 up to a constant, with pointers that are carried along. Returns them.
    fn walk_numbers_with(
        &mut self,
        end: i32,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let (start, end) = (self.emit().int(0), self.emit().int(i64::from(end)));
        self.iterate(Iter::Num, &[start, end], None, carried, body)
    }

    /// Creates an iterator, lowers the body of its walk, and destroys it.
    fn iterate(
        &mut self,
        iter: Iter,
        args: &[Value],
        failed: Option<Cell>,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let (slot, walk, results) = self.emit().begin_walk(iter, args, failed, carried);
        let done = walk.done;
        body(self, walk);
        self.emit().end_walk(iter, slot, done);
        results
    }

    /// Visits every process below a referenced memcg, itself included; the memcg of each is referenced
    /// while its processes are visited. The body gets the task, the block that goes on, and a block that
    /// ends the whole walk after having marked it.
    fn each_process_below(
        &mut self,
        memcg: Value,
        failed: Cell,
        body: impl FnOnce(&mut Self, Value, Block, Block),
    ) {
        let stop = self.emit().cell();
        self.emit().put_imm(stop, 0);
        self.with_rcu(|s| {
            let css = s.emit().css_of(memcg);
            s.walk_css(css, Order::Pre, &[], |s, walk| {
                let below = s.emit().hold(walk.item);
                s.emit().leave_if(Cond::Eq, below, imm(0), walk.next);
                s.walk_tasks(below, Tasks::Processes, Some(failed), |s, tasks| {
                    let end = s.emit().b.create_block();
                    body(s, tasks.item, tasks.next, end);
                    s.emit().b.switch_to(end);
                    s.emit().put_imm(stop, 1);
                    s.emit().b.jump(tasks.done, &[]);
                });
                s.emit().give_back(below);
                let stop = s.emit().get(stop);
                s.emit().b.branch(Cond::Ne, stop, imm(0), walk.done, walk.next);
            });
        });
    }
}

impl<'a> Walks<'a> for Emit<'a> {
    fn emit(&mut self) -> &mut Self {
        self
    }
}

impl Emit<'_> {
    /// The number that a walk over numbers is at.
    pub(in crate::lower) fn number(&mut self, item: Value) -> Value {
        self.load(Size::B4, item, 0)
    }

    /// Asks an iterator for its first element, and for the next ones; gives its slot, what the body works with, and
    /// the carried pointers behind the walk.
    fn begin_walk(
        &mut self,
        iter: Iter,
        args: &[Value],
        failed: Option<Cell>,
        carried: &[Value],
    ) -> (StackSlot, Walk, Vec<Value>) {
        let slot = match self.frame.free.iter().position(|(kind, _)| *kind == iter) {
            Some(at) => self.frame.free.swap_remove(at).1,
            None => self.b.slot(iter.size()),
        };
        let [new, next, _] = iter.kfuncs();
        let (head, inside, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let in_head = self.pointers_into(head, carried.len());
        let in_done = self.pointers_into(done, carried.len());

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
        let then = BlockCall { block: inside, args: Args::default() };
        let otherwise = BlockCall { block: done, args: in_head.as_slice().into() };
        self.b.effect(InstData::Branch { cond: Cond::Ne, a: item, b: imm(0), then, otherwise });
        self.b.switch_to(inside);
        (slot, Walk { item, carried: in_head, next: head, done }, in_done)
    }

    /// Destroys an iterator, whose slot is free then.
    fn end_walk(&mut self, iter: Iter, slot: StackSlot, done: Block) {
        self.b.switch_to(done);
        let it = self.slot_addr(slot);
        let [_, _, destroy] = iter.kfuncs();
        self.call(destroy, &[it]);
        self.frame.free.push((iter, slot));
    }

    /// Reads an element of a walk as a memcg, without taking a reference: the css is its first member.
    pub(in crate::lower) fn cast_memcg(&mut self, css: Value) -> Value {
        self.cast(css, members::MEMCG)
    }

    /// Reads what lies at an address as a structure of the kernel.
    pub(in crate::lower) fn cast(&mut self, address: Value, tag: &str) -> Value {
        let ty = self.b.type_ref(tag);
        let ty = self.b.value(InstData::TypeId(ty), Type::I64);
        let object = self.call_ptr(kfuncs::RDONLY_CAST, &[address, ty]);
        self.casts.insert(object);
        object
    }

    /// Goes to `skip` if the cgroup of a css was removed; it may still hold charges.
    pub(in crate::lower) fn skip_offline(&mut self, css: Value, skip: Block) {
        let flags = self.field(css, members::CSS_FLAGS);
        let online = self.b.create_block();
        self.b.branch(Cond::Test, flags, imm(CSS_ONLINE), online, skip);
        self.b.switch_to(online);
    }
}
