//! Victim selection: walks the candidates of a place and keeps the best one as a counted reference.

use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members;

use super::rank::Ranking;
use super::walk::{Order, Tasks};
use super::{Lower, imm};
use crate::hir::{Anchor, Place, Selection, Subject, Unit};
use crate::ir::{Block, Cond, Operand, Type, Value};

impl Lower<'_> {
    /// The best candidate, referenced, or null.
    pub(super) fn select(&mut self, selection: &Selection, ranking: &Ranking) -> Value {
        self.with_rcu(|s| {
            let none = s.null();
            match (selection.place, selection.unit) {
                (Place::Cgroup(Subject::Anchor(anchor)), unit) => {
                    s.in_one_cgroup(anchor, unit, selection, ranking, none)
                }
                (_, Unit::Process) => s.processes_in_subtree(selection, ranking, none),
                (_, Unit::Cgroup) => s.units_in_subtree(selection, ranking, none),
            }
        })
    }

    fn processes_in_subtree(&mut self, selection: &Selection, ranking: &Ranking, none: Value) -> Value {
        let css = self.css_of(self.domain);
        let best = self.walk_css(css, Order::Post, &[none], |s, walk| {
            let skip = s.b.create_block();
            let memcg = s.call_ptr(kfuncs::GET_MEM_CGROUP, &[walk.item]);
            s.leave_if(Cond::Eq, memcg, imm(0), skip);
            let best = s.best_process(memcg, selection, ranking, first(&walk.carried, none));
            s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
            s.b.jump(walk.next, &[best]);
            s.b.switch_to(skip);
            s.b.jump(walk.next, &walk.carried);
        });
        first(&best, none)
    }

    fn units_in_subtree(&mut self, selection: &Selection, ranking: &Ranking, none: Value) -> Value {
        // In post order a memcg is inner exactly if the one visited before it is its child.
        let parent_of_last = self.cell();
        self.put_imm(parent_of_last, 0);
        let css = self.css_of(self.domain);
        let best = self.walk_css(css, Order::Post, &[none], |s, walk| {
            let (inner, unit, skip) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            s.skip_offline(walk.item, skip);
            let parent = s.pointer(walk.item, members::CSS_PARENT);
            // The root cannot be killed as a whole.
            s.leave_if(Cond::Eq, parent, imm(0), skip);
            let expected = s.get(parent_of_last);
            let serial = s.field(parent, members::CSS_SERIAL);
            s.put(parent_of_last, serial);
            let serial = s.field(walk.item, members::CSS_SERIAL);
            s.b.branch(Cond::Eq, serial, Operand::Value(expected), inner, unit);
            s.b.switch_to(inner);
            let memcg = s.cast_memcg(walk.item);
            let group = s.field(memcg, members::MEMCG_OOM_GROUP);
            s.b.branch(Cond::Ne, group, imm(0), unit, skip);
            s.b.switch_to(unit);
            let memcg = s.call_ptr(kfuncs::GET_MEM_CGROUP, &[walk.item]);
            s.leave_if(Cond::Eq, memcg, imm(0), skip);
            let best = s.best_unit(memcg, selection, ranking, first(&walk.carried, none));
            s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
            s.b.jump(walk.next, &[best]);
            s.b.switch_to(skip);
            s.b.jump(walk.next, &walk.carried);
        });
        first(&best, none)
    }

    /// Candidates in one cgroup, which counts only if it is the OOM domain: an ancestor has processes of
    /// its own outside of the domain, and killing there frees nothing where it is needed.
    fn in_one_cgroup(
        &mut self,
        anchor: Anchor,
        unit: Unit,
        selection: &Selection,
        ranking: &Ranking,
        none: Value,
    ) -> Value {
        let (outside, join) = (self.b.create_block(), self.b.create_block());
        let best = self.b.block_param(join, Type::Ptr);
        if anchor != Anchor::Cgroup {
            let (own, place) = (self.anchor_id(Anchor::Cgroup), self.anchor_id(anchor));
            self.leave_if(Cond::Ne, own, Operand::Value(place), outside);
        }
        let found = match unit {
            Unit::Process => self.best_process(self.domain, selection, ranking, none),
            Unit::Cgroup => {
                let parent = self.pointer(self.domain, members::MEMCG_PARENT);
                self.leave_if(Cond::Eq, parent, imm(0), outside);
                self.best_unit(self.domain, selection, ranking, none)
            }
        };
        self.b.jump(join, &[found]);
        self.b.switch_to(outside);
        self.b.jump(join, &[none]);
        self.b.switch_to(join);
        best
    }

    /// The better of `best` and the processes of one memcg.
    fn best_process(&mut self, memcg: Value, selection: &Selection, ranking: &Ranking, best: Value) -> Value {
        let (protected_out, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::Ptr);
        if !self.policy.nevers.is_empty() {
            // Once per cgroup, not per process.
            let protected = self.cell();
            self.put_imm(protected, 0);
            self.mark_protected_by_ancestor(memcg, protected);
            self.mark_protected_by_group(memcg, protected);
            let protected = self.get(protected);
            self.leave_if(Cond::Ne, protected, imm(0), protected_out);
        }
        let css = self.css_of(memcg);
        let found = self.walk_tasks(css, Tasks::Processes, None, &[best], |s, walk| {
            let best = first(&walk.carried, best);
            let skip = s.b.create_block();
            s.exclude_unkillable(walk.item, skip);
            let living = s.b.create_block();
            s.dying(walk.item, skip, living);
            s.b.switch_to(living);
            s.never(Unit::Process, walk.item, skip);
            s.challenge(walk.item, selection, ranking, best, walk.next, skip);
            s.b.switch_to(skip);
            s.b.jump(walk.next, &walk.carried);
        });
        self.b.jump(join, &[first(&found, best)]);
        self.b.switch_to(protected_out);
        self.b.jump(join, &[best]);
        self.b.switch_to(join);
        result
    }

    /// The better of `best` and this kill unit, if it may be killed.
    fn best_unit(&mut self, memcg: Value, selection: &Selection, ranking: &Ranking, best: Value) -> Value {
        let (skip, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::Ptr);
        let (protected, alive) = (self.cell(), self.cell());
        self.put_imm(protected, 0);
        self.put_imm(alive, 0);
        if selection.place == Place::DOMAIN {
            self.mark_inside_group(memcg, protected);
        }
        self.mark_protected_by_ancestor(memcg, protected);
        let already = self.get(protected);
        self.leave_if(Cond::Ne, already, imm(0), skip);
        self.scan_unit(memcg, protected, Some(alive));
        let protected = self.get(protected);
        self.leave_if(Cond::Ne, protected, imm(0), skip);
        // A cgroup without processes is no candidate, and one whose last are dying gains nothing.
        let alive = self.get(alive);
        self.leave_if(Cond::Eq, alive, imm(0), skip);
        self.challenge(memcg, selection, ranking, best, join, skip);
        self.b.switch_to(skip);
        self.b.jump(join, &[best]);
        self.b.switch_to(join);
        result
    }

    /// Sets `covered` if an ancestor up to the OOM domain has `memory.oom.group`: that one is the unit.
    fn mark_inside_group(&mut self, memcg: Value, covered: super::scratch::Cell) {
        let own = self.field(memcg, members::MEMCG_SERIAL);
        let css = self.css_of(memcg);
        self.walk_css(css, Order::Up, &[], |s, walk| {
            let (above, flagged, go_on) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            let serial = s.field(walk.item, members::CSS_SERIAL);
            s.b.branch(Cond::Ne, serial, Operand::Value(own), above, go_on);
            s.b.switch_to(above);
            let memcg = s.cast_memcg(walk.item);
            let group = s.field(memcg, members::MEMCG_OOM_GROUP);
            s.b.branch(Cond::Ne, group, imm(0), flagged, go_on);
            s.b.switch_to(flagged);
            s.put_imm(covered, 1);
            s.b.jump(walk.done, &[]);
            s.b.switch_to(go_on);
            s.end_at_domain(walk.item, walk.done);
            s.b.jump(walk.next, &[]);
        });
    }

    /// Asks the filter, then the ranking. Hands a reference on the candidate to `taken` if it wins, after
    /// having given back the one on `best`; goes to `skip` otherwise.
    fn challenge(
        &mut self,
        object: Value,
        selection: &Selection,
        ranking: &Ranking,
        best: Value,
        taken: Block,
        skip: Block,
    ) {
        self.candidates.insert(selection.binder, object);
        if let Some(filter) = selection.filter {
            let wanted = self.b.create_block();
            self.cond(filter, wanted, skip, skip);
            self.b.switch_to(wanted);
        }
        let outer = self.b.set_span(selection.span);
        let numbers = self.rank_candidate(ranking, selection.binder, object);
        self.below_ceiling(ranking, &numbers, skip);
        let (take, compare) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Eq, best, imm(0), take, compare);
        self.b.switch_to(compare);
        self.compare_with_best(ranking, &numbers, take, skip);
        self.b.switch_to(take);
        let (owned, release) = match selection.unit {
            Unit::Process => (self.call_ptr(kfuncs::TASK_ACQUIRE, &[object]), kfuncs::TASK_RELEASE),
            Unit::Cgroup => {
                let css = self.css_of(object);
                (self.call_ptr(kfuncs::GET_MEM_CGROUP, &[css]), kfuncs::PUT_MEM_CGROUP)
            }
        };
        self.leave_if(Cond::Eq, owned, imm(0), skip);
        self.remember_best(ranking, &numbers);
        self.release_unless_null(best, release);
        self.b.jump(taken, &[owned]);
        self.b.set_span(outer);
    }

    fn release_unless_null(&mut self, object: Value, release: KfuncId) {
        let (held, free) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Ne, object, imm(0), held, free);
        self.b.switch_to(held);
        self.call(release, &[object]);
        self.b.jump(free, &[]);
        self.b.switch_to(free);
    }
}

/// The one carried pointer of a walk.
fn first(carried: &[Value], otherwise: Value) -> Value {
    carried.first().copied().unwrap_or(otherwise)
}
