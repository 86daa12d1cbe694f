//! Victim selection: walks the candidates of a place and keeps the best one as a counted reference.

use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members;

use super::place::{Cut, Grain};
use super::rank::Ranking;
use super::walk::Tasks;
use super::{Lower, imm};
use crate::hir::{Place, Selection, Subject, Unit};
use crate::ir::{Block, Cond, Type, Value};

impl Lower<'_> {
    /// The best candidate, referenced, or null.
    pub(super) fn select(&mut self, selection: &Selection, ranking: &Ranking) -> Value {
        self.with_rcu(|s| {
            let none = s.null();
            if selection.stepwise {
                return s.stepwise(selection, ranking, none, true);
            }
            let grain = if selection.unit == Unit::Process { Grain::Each } else { Grain::Units };
            let best = s.walk_place(selection.place, grain, Cut::Domain, &[none], |s, walk| {
                let best = first(&walk.carried, none);
                let best = match selection.unit {
                    Unit::Process => s.best_process(walk.item, selection, ranking, best),
                    Unit::Cgroup => s.best_unit(walk.item, selection, ranking, best),
                };
                s.b.jump(walk.next, &[best]);
            });
            first(&best, none)
        })
    }

    /// The better of `best` and the processes of one memcg.
    fn best_process(&mut self, memcg: Value, selection: &Selection, ranking: &Ranking, best: Value) -> Value {
        let found = self.each_victim(memcg, &[best], |s, walk, skip| {
            let best = first(&walk.carried, best);
            s.challenge(walk.item, selection, ranking, best, walk.next, skip);
        });
        first(&found, best)
    }

    /// Visits the processes of one memcg that a `kill` may take. The body may leave to a block that goes on with
    /// the pointers as they stand.
    pub(super) fn each_victim(
        &mut self,
        memcg: Value,
        carried: &[Value],
        body: impl FnOnce(&mut Self, &super::walk::Walk, Block),
    ) -> Vec<Value> {
        let (protected_out, join) = (self.b.create_block(), self.b.create_block());
        let results: Vec<Value> = carried.iter().map(|_| self.b.block_param(join, Type::Ptr)).collect();
        if !self.policy.nevers.is_empty() {
            // Once per cgroup, not per process.
            let protected = self.cell();
            self.put_imm(protected, 0);
            self.with_rcu(|s| {
                s.mark_protected_by_ancestor(memcg, protected);
                s.mark_protected_by_group(memcg, protected);
            });
            let protected = self.get(protected);
            self.leave_if(Cond::Ne, protected, imm(0), protected_out);
        }
        // What `all` kills is not ranked.
        if self.in_rcu {
            self.class_of_cgroup(memcg);
        }
        let css = self.css_of(memcg);
        let found = self.at_home(memcg, |s| {
            s.walk_tasks(css, Tasks::Processes, None, carried, |s, walk| {
                let skip = s.b.create_block();
                s.exclude_unkillable(walk.item, skip);
                s.exclude_dying(walk.item, skip);
                s.never(Unit::Process, walk.item, skip);
                body(s, &walk, skip);
                s.b.switch_to(skip);
                s.b.jump(walk.next, &walk.carried);
            })
        });
        self.b.jump(join, &found);
        self.b.switch_to(protected_out);
        self.b.jump(join, carried);
        self.b.switch_to(join);
        results
    }

    /// The better of `best` and this kill unit, if it may be killed.
    fn best_unit(&mut self, memcg: Value, selection: &Selection, ranking: &Ranking, best: Value) -> Value {
        let (skip, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::Ptr);
        self.exclude_unit(memcg, selection.place, skip);
        self.class_of_cgroup(memcg);
        self.challenge(memcg, selection, ranking, best, join, skip);
        self.b.switch_to(skip);
        self.b.jump(join, &[best]);
        self.b.switch_to(join);
        result
    }

    /// Leaves to `skip` if a cgroup may not be killed as a whole: the root, one that is protected or holds
    /// something protected, one whose kill would take along something protected, one in which there is nobody to
    /// kill.
    pub(super) fn exclude_unit(&mut self, memcg: Value, place: Place, skip: Block) {
        let parent = self.pointer(memcg, members::MEMCG_PARENT);
        self.leave_if(Cond::Eq, parent, imm(0), skip);
        let (protected, alive) = (self.cell(), self.cell());
        self.put_imm(protected, 0);
        self.put_imm(alive, 0);
        self.mark_protected_by_ancestor(memcg, protected);
        // The units of the domain lie in no group but their own; to any other the kernel would extend the kill.
        if !matches!(place, Place::Subtree(Subject::Anchor(_))) {
            self.mark_protected_by_group(memcg, protected);
        }
        let already = self.get(protected);
        self.leave_if(Cond::Ne, already, imm(0), skip);
        self.scan_unit(memcg, protected, Some(alive));
        let protected = self.get(protected);
        self.leave_if(Cond::Ne, protected, imm(0), skip);
        // A cgroup without processes is no candidate, and one whose last are dying gains nothing.
        let alive = self.get(alive);
        self.leave_if(Cond::Eq, alive, imm(0), skip);
    }

    /// Asks the filter, then the ranking. Hands a reference on the candidate to `taken` if it wins, after
    /// having given back the one on `best`; goes to `skip` otherwise.
    pub(super) fn challenge(
        &mut self,
        object: Value,
        selection: &Selection,
        ranking: &Ranking,
        best: Value,
        taken: Block,
        skip: Block,
    ) {
        self.bind(selection.binder, object);
        self.filter(selection, skip);
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

    /// Leaves to `skip` unless the candidate, which is bound, is one that the author wants.
    pub(super) fn filter(&mut self, selection: &Selection, skip: Block) {
        if let Some(filter) = selection.filter {
            let wanted = self.b.create_block();
            let candidate = self.candidates.get(&selection.binder).copied();
            self.guard(filter, candidate, wanted, skip, skip);
            self.b.switch_to(wanted);
        }
    }

    pub(super) fn release_unless_null(&mut self, object: Value, release: KfuncId) {
        let (held, free) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Ne, object, imm(0), held, free);
        self.b.switch_to(held);
        self.call(release, &[object]);
        self.b.jump(free, &[]);
        self.b.switch_to(free);
    }
}

/// The one carried pointer of a walk.
pub(super) fn first(carried: &[Value], otherwise: Value) -> Value {
    carried.first().copied().unwrap_or(otherwise)
}
