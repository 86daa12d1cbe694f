//! `prefer` and `avoid`: the class of a candidate, the first key of every selection of a `kill`.
//!
//! A process is in the class that a clause on processes gives it, else in its cgroup's; a cgroup in the class that
//! a clause gives to it or to a cgroup above it. Where clauses say different things, `avoid` wins: an author who
//! writes both wants the exception to hold. Unknown says nothing.

use oomc_abi::members;

use super::Act;
use super::outline::Question;
use crate::hir::Unit;
use crate::ir::{Cond, Type, Value};
use crate::lower::emit::{Cell, Order, Walks, imm};

/// Classes as numbers of which the larger wins.
const AVOIDED: i32 = 0;
const NORMAL: i32 = 1;
pub(super) const PREFERRED: i32 = 2;

impl Act<'_> {
    fn has_preference(&self, unit: Unit) -> bool {
        self.policy.preferences.iter().any(|preference| preference.unit == unit)
    }

    /// Finds the class of a memcg, once for all its processes. Needs an RCU section.
    pub(super) fn class_of_cgroup(&mut self, memcg: Value) {
        let Some(class) = self.class else { return };
        if !self.has_preference(Unit::Cgroup) {
            return self.put_imm(class, NORMAL);
        }
        let found = self.once(Question::ClassAbove, &[(members::MEMCG, memcg)], |s, about| {
            let found = s.cell();
            s.put_imm(found, NORMAL);
            about.iter().for_each(|memcg| s.with_rcu(|s| s.classify_above(*memcg, found)));
            s.get(found)
        });
        self.put(class, found);
    }

    fn classify_above(&mut self, memcg: Value, class: Cell) {
        let css = self.css_of(memcg);
        self.walk_css(css, Order::Up, &[], |s, walk| {
            // The root has no name and no limits: no clause is about it.
            let parent = s.pointer(walk.item, members::CSS_PARENT);
            s.leave_if(Cond::Eq, parent, imm(0), walk.done);
            let above = s.hold(walk.item);
            s.leave_if(Cond::Eq, above, imm(0), walk.next);
            s.classify(Unit::Cgroup, above, class);
            s.give_back(above);
            let so_far = s.get(class);
            s.b.branch(Cond::Eq, so_far, imm(i64::from(AVOIDED)), walk.done, walk.next);
        });
    }

    /// The class of a candidate, after [`Self::class_of_cgroup`].
    pub(super) fn class_of(&mut self, unit: Unit, object: Value) -> Value {
        let Some(class) = self.class else { return self.int(i64::from(NORMAL)) };
        if unit == Unit::Cgroup || !self.has_preference(Unit::Process) {
            return self.get(class);
        }
        let join = self.b.create_block();
        let result = self.b.block_param(join, Type::I64);
        let mut objects = vec![(members::TASK, object)];
        objects.extend(self.home.map(|home| (members::MEMCG, home)));
        let own = self.once(Question::Class(unit, objects.len()), &objects, |s, about| {
            let own = s.cell();
            s.put_imm(own, NORMAL);
            if s.shares() {
                s.home = about.get(1).copied();
            }
            about.iter().take(1).for_each(|object| s.classify(unit, *object, own));
            s.get(own)
        });
        let (told, silent) = (self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Ne, own, imm(i64::from(NORMAL)), told, silent);
        self.b.switch_to(told);
        self.b.jump(join, &[own]);
        self.b.switch_to(silent);
        let inherited = self.get(class);
        self.b.jump(join, &[inherited]);
        self.b.switch_to(join);
        result
    }

    /// Sets the class that clauses on a unit give an object; leaves it where none says anything.
    fn classify(&mut self, unit: Unit, object: Value, class: Cell) {
        let policy = self.policy;
        let done = self.b.create_block();
        for prefer in [false, true] {
            for preference in &policy.preferences {
                if preference.unit != unit || preference.prefer != prefer {
                    continue;
                }
                let (hit, next) = (self.b.create_block(), self.b.create_block());
                let outer = self.b.set_span(preference.span);
                self.bind(preference.binder, object);
                self.guard(preference.condition, Some(object), hit, next, next);
                self.b.switch_to(hit);
                self.put_imm(class, if prefer { PREFERRED } else { AVOIDED });
                // What avoids has been asked first.
                self.b.jump(done, &[]);
                self.b.set_span(outer);
                self.b.switch_to(next);
            }
        }
        self.b.jump(done, &[]);
        self.b.switch_to(done);
    }
}
