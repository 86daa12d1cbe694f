//! `never`, and the exclusions that hold without it.
//!
//! A clause on cgroups holds for everything below, so a candidate's cgroup and all its ancestors are asked.
//! A clause on processes holds for the process, and for each kill that would take it along: a kill unit, or
//! a `memory.oom.group` to which the kernel would extend the kill. Unknown protects, and so does a walk that
//! could not start.

use oomc_abi::consts::{OOM_SCORE_ADJ_MIN, PF_KTHREAD};
use oomc_abi::members;

use super::Act;
use super::outline::Question;
use crate::hir::{ExprId, Unit};
use crate::ir::{Args, BinOp, Block, BlockCall, Cond, InstData, Operand, Type, Value};
use crate::lower::emit::{Cell, Order, Tasks, Walks, imm};
use crate::trace::{PointKind, Protection};

impl Act<'_> {
    fn has_never(&self, unit: Unit) -> bool {
        self.policy.nevers.iter().any(|never| never.unit == unit)
    }

    /// The conditions of all clauses.
    pub(super) fn never_conditions(&self) -> Vec<ExprId> {
        self.policy.nevers.iter().map(|never| never.condition).collect()
    }

    /// Leaves to `protected` if a clause on this unit holds for the object.
    pub(super) fn never(&mut self, unit: Unit, object: Value, protected: Block) {
        if !self.has_never(unit) {
            return;
        }
        if !self.shares() {
            return self.ask_never(unit, object, protected);
        }
        let home = self.home;
        let objects = match (unit, home) {
            (Unit::Process, Some(home)) => vec![(members::TASK, object), (members::MEMCG, home)],
            (Unit::Process, None) => vec![(members::TASK, object)],
            (Unit::Cgroup, _) => vec![(members::MEMCG, object)],
        };
        let question = Question::Never(unit, objects.len());
        let answer = self.once(question, &objects, |s, about| {
            s.home = about.get(1).copied();
            match about.first() {
                Some(object) => s.answer(|s, yes| s.ask_never(unit, *object, yes)),
                None => s.broken("a question about nothing"),
            }
        });
        self.leave_if(Cond::Ne, answer, imm(0), protected);
    }

    /// 1 if the part leaves to the block, else 0.
    fn answer(&mut self, part: impl FnOnce(&mut Self, Block)) -> Value {
        let (yes, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        part(self, yes);
        let no = self.int(0);
        self.b.jump(join, &[no]);
        self.b.switch_to(yes);
        let one = self.int(1);
        self.b.jump(join, &[one]);
        self.b.switch_to(join);
        result
    }

    fn ask_never(&mut self, unit: Unit, object: Value, protected: Block) {
        let policy = self.policy;
        for (index, never) in policy.nevers.iter().enumerate().filter(|(_, never)| never.unit == unit) {
            let next = self.b.create_block();
            let outer = self.b.set_span(never.span);
            self.bind(never.binder, object);
            let way = self.way_to(protected);
            self.guard(never.condition, Some(object), way, next, way);
            let place = (PointKind::Protected(Protection::Never(index)), never.span);
            self.end_way(way, protected, place, Some(object));
            self.b.set_span(outer);
            self.b.switch_to(next);
        }
    }

    /// Leaves to `excluded` if no policy may kill the process: pid 1, kernel threads, −1000.
    ///
    /// The kernel refuses these too, but not every version all of them, and a refused kill costs a round.
    pub(super) fn exclude_unkillable(&mut self, task: Value, excluded: Block) {
        let pid = self.field(task, members::TASK_PID);
        self.leave_protected(Cond::Eq, pid, imm(1), task, Protection::Init, excluded);
        let flags = self.field(task, members::TASK_FLAGS);
        self.leave_protected(Cond::Test, flags, imm(PF_KTHREAD), task, Protection::KernelThread, excluded);
        let adj = self.read(task, members::TASK_OOM_SCORE_ADJ);
        self.leave_protected(Cond::Eq, adj, imm(OOM_SCORE_ADJ_MIN), task, Protection::Exempt, excluded);
    }

    /// As [`Self::leave_if`], on a way that tells what keeps the task from being killed.
    fn leave_protected(
        &mut self,
        cond: Cond,
        a: Value,
        b: Operand,
        task: Value,
        what: Protection,
        excluded: Block,
    ) {
        let (next, way) = (self.b.create_block(), self.way_to(excluded));
        self.b.branch(cond, a, b, way, next);
        self.end_way_protected(way, excluded, what, task);
        self.b.switch_to(next);
    }

    /// Goes on if a candidate that a policy may kill is not dying; leaves to `excluded` otherwise.
    pub(super) fn exclude_dying(&mut self, task: Value, excluded: Block) {
        let (living, way) = (self.b.create_block(), self.way_to(excluded));
        self.dying(task, way, living);
        self.end_way_protected(way, excluded, Protection::Dying, task);
        self.b.switch_to(living);
    }

    /// Sets `protected` if a clause on cgroups holds for the memcg or an ancestor. Needs an RCU section.
    pub(super) fn mark_protected_by_ancestor(&mut self, memcg: Value, protected: Cell) {
        if !self.has_never(Unit::Cgroup) {
            return;
        }
        let answer = self.once(Question::NeverAbove, &[(members::MEMCG, memcg)], |s, about| {
            s.found_about(about, Self::ask_above)
        });
        self.or_into(protected, answer);
    }

    /// Not 0 if a part sets its cell for the memcg that a question is about.
    fn found_about(&mut self, about: &[Value], part: impl FnOnce(&mut Self, Value, Cell)) -> Value {
        let memcg = self.only(about);
        let found = self.cell();
        self.put_imm(found, 0);
        self.with_rcu(|s| part(s, memcg, found));
        self.get(found)
    }

    /// Sets a cell if an answer is not 0.
    fn or_into(&mut self, cell: Cell, answer: Value) {
        let before = self.get(cell);
        let both = self.bin(BinOp::Or, before, answer);
        self.put(cell, both);
    }

    fn ask_above(&mut self, memcg: Value, protected: Cell) {
        let css = self.css_of(memcg);
        self.walk_css(css, Order::Up, &[], |s, walk| {
            // The root has no name and no limits: no clause is about it.
            let parent = s.pointer(walk.item, members::CSS_PARENT);
            s.leave_if(Cond::Eq, parent, imm(0), walk.done);
            let (mark, lost) = (s.b.create_block(), s.b.create_block());
            let above = s.hold(walk.item);
            s.leave_if(Cond::Eq, above, imm(0), lost);
            s.never(Unit::Cgroup, above, mark);
            s.give_back(above);
            s.b.jump(walk.next, &[]);
            s.b.switch_to(mark);
            s.put_imm(protected, 1);
            s.give_back(above);
            s.b.jump(walk.done, &[]);
            s.b.switch_to(lost);
            s.put_imm(protected, 1);
            s.b.jump(walk.done, &[]);
        });
    }

    /// Sets `protected` if the kernel would extend the kill of a process of this memcg to a group that
    /// holds something protected. Needs an RCU section.
    pub(super) fn mark_protected_by_group(&mut self, memcg: Value, protected: Cell) {
        if self.policy.nevers.is_empty() {
            return;
        }
        let answer = self.once(Question::NeverInGroup, &[(members::MEMCG, memcg)], |s, about| {
            s.found_about(about, Self::ask_group)
        });
        self.or_into(protected, answer);
    }

    /// Puts into a cell the id of the group that is killed as a whole: as in the kernel, of the highest cgroup with
    /// `memory.oom.group` from this one up to the domain. Without one it stays as it is.
    pub(super) fn note_group(&mut self, css: Value, group: Cell) {
        self.walk_css(css, Order::Up, &[], |s, walk| {
            let (flagged, go_on) = (s.b.create_block(), s.b.create_block());
            let above = s.cast_memcg(walk.item);
            let flag = s.field(above, members::MEMCG_OOM_GROUP);
            s.b.branch(Cond::Ne, flag, imm(0), flagged, go_on);
            s.b.switch_to(flagged);
            let id = s.css_id(walk.item);
            s.put(group, id);
            s.b.jump(go_on, &[]);
            s.b.switch_to(go_on);
            s.end_at_domain(walk.item, walk.done);
            s.b.jump(walk.next, &[]);
        });
    }

    fn ask_group(&mut self, memcg: Value, protected: Cell) {
        let group = self.cell();
        self.put_imm(group, 0);
        let css = self.css_of(memcg);
        self.note_group(css, group);
        let (alone, lost, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let group = self.get(group);
        self.leave_if(Cond::Eq, group, imm(0), alone);
        let unit = self.memcg_by_id(group, lost);
        self.scan_unit(unit, protected, None);
        self.give_back(unit);
        self.b.jump(join, &[]);
        self.b.switch_to(lost);
        self.put_imm(protected, 1);
        self.b.jump(join, &[]);
        self.b.switch_to(alone);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Leaves to `end` if the css is the OOM domain's.
    pub(super) fn end_at_domain(&mut self, css: Value, end: Block) {
        let serial = self.field(css, members::CSS_SERIAL);
        let domain = self.domain;
        let last = self.field(domain, members::MEMCG_SERIAL);
        self.leave_if(Cond::Eq, serial, Operand::Value(last), end);
    }

    /// Sets `protected` if a cgroup or process in the unit is protected. With `alive`, as for a kill of the
    /// unit: an unkillable process counts as protected, and `alive` is set if there is somebody to kill.
    /// Needs an RCU section.
    pub(super) fn scan_unit(&mut self, unit: Value, protected: Cell, alive: Option<Cell>) {
        let Some(alive) = alive.filter(|_| self.shares()) else {
            return self.ask_members(unit, protected, alive);
        };
        let answer = self.once(Question::Members, &[(members::MEMCG, unit)], |s, about| {
            let unit = s.only(about);
            let (found, living) = (s.cell(), s.cell());
            s.put_imm(found, 0);
            s.put_imm(living, 0);
            s.with_rcu(|s| s.ask_members(unit, found, Some(living)));
            // One bit each.
            let (answer, join) = (s.b.create_block(), s.b.create_block());
            let protected = s.b.block_param(join, Type::I64);
            let found = s.get(found);
            let zero = s.int(0);
            s.b.effect(InstData::Branch {
                cond: Cond::Ne,
                a: found,
                b: imm(0),
                then: BlockCall { block: answer, args: Args::default() },
                otherwise: BlockCall { block: join, args: vec![zero].into() },
            });
            s.b.switch_to(answer);
            let two = s.int(2);
            s.b.jump(join, &[two]);
            s.b.switch_to(join);
            let living = s.get(living);
            s.bin(BinOp::Or, protected, living)
        });
        let living = self.bin_imm(BinOp::And, answer, 1);
        self.or_into(alive, living);
        let found = self.bin_imm(BinOp::And, answer, 2);
        self.or_into(protected, found);
    }

    fn ask_members(&mut self, unit: Value, protected: Cell, alive: Option<Cell>) {
        let processes = alive.is_some() || self.has_never(Unit::Process);
        let css = self.css_of(unit);
        self.walk_css(css, Order::Pre, &[], |s, walk| {
            let (mark, out) = (s.b.create_block(), s.b.create_block());
            // A removed one holds charges, but nobody: there is nothing to protect.
            s.skip_offline(walk.item, walk.next);
            let below = s.hold(walk.item);
            s.leave_if(Cond::Eq, below, imm(0), walk.next);
            s.never(Unit::Cgroup, below, mark);
            if processes {
                let outer = s.home.replace(below);
                s.walk_tasks(below, Tasks::Processes, Some(protected), |s, tasks| {
                    let found = s.b.create_block();
                    if let Some(alive) = alive {
                        s.exclude_unkillable(tasks.item, found);
                        s.never(Unit::Process, tasks.item, found);
                        s.exclude_dying(tasks.item, tasks.next);
                        s.put_imm(alive, 1);
                    } else {
                        s.never(Unit::Process, tasks.item, found);
                    }
                    s.b.jump(tasks.next, &[]);
                    s.b.switch_to(found);
                    s.put_imm(protected, 1);
                    s.b.jump(tasks.done, &[]);
                });
                s.home = outer;
            }
            s.b.jump(out, &[]);
            s.b.switch_to(mark);
            s.put_imm(protected, 1);
            s.b.jump(out, &[]);
            s.b.switch_to(out);
            s.give_back(below);
            let found = s.get(protected);
            s.b.branch(Cond::Ne, found, imm(0), walk.done, walk.next);
        });
    }
}
