//! Places: which cgroups a selection or a quantifier looks at.
//!
//! One walk serves both. It hands out each cgroup of the place as a referenced memcg, and gives the reference
//! back however the body goes on. What a place means for processes follows: those of each cgroup that is handed
//! out.

use std::collections::HashSet;

use oomc_abi::kfuncs;
use oomc_abi::members;

use super::Read;
use crate::hir::{Anchor, BinderId, ExprKind, PatternId, PickId, Place, Policy, Subject};
use crate::ir::{BinOp, Block, Cond, Operand, Value};
use crate::lower::emit::{Cell, Order, Walk, Walks, imm};

/// Which cgroups of a subtree are handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Grain {
    /// All of them: their processes are meant.
    Each,
    /// The kill units: online leaves, and what has `memory.oom.group` with no such cgroup above it in the place.
    Units,
}

/// Whether a place is cut with the OOM domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::lower) enum Cut {
    /// What lies outside is left out: killing there frees nothing where it is needed.
    Domain,
    /// The whole place.
    Nothing,
}

/// Binders of candidates that may be the root cgroup. It is nobody's child and no kill unit, and no `kill` takes it.
pub(in crate::lower) fn may_be_root(policy: &Policy) -> HashSet<BinderId> {
    let reaches = |place: Place| matches!(place, Place::Cgroup(_) | Place::Leaves(_));
    let picks = policy.picks.values().map(|pick| (pick.selection.place, pick.selection.binder));
    let quantifiers = policy.exprs.values().filter_map(|expr| match &expr.kind {
        ExprKind::Quantifier(quantifier) => Some((quantifier.place, quantifier.binder)),
        _ => None,
    });
    picks.chain(quantifiers).filter(|(place, _)| reaches(*place)).map(|(_, binder)| binder).collect()
}

/// A place that is about to be walked.
pub(in crate::lower) struct Entered {
    memcg: Value,
    /// The reference on it is ours to give back.
    owned: bool,
    /// What is walked is the domain, because the place reaches above it.
    below_domain: bool,
    /// The serial number of the place's cgroup. Serial numbers are compared, not pointers: each css has its own. Of a
    /// subtree that reaches above the domain only what lies in the domain counts, groups too: the kernel extends no
    /// kill beyond it.
    serial: Cell,
    parent_of_last: Cell,
    /// Of a pattern: itself, and one more than the level of the match that the walk is in or below; 0: it is in none.
    matching: Option<(PatternId, Cell)>,
    /// Where all goes on, with the carried pointers.
    gone: Block,
    results: Vec<Value>,
}

/// Visits of cgroups whose body is written by the layer that asks for them.
pub(in crate::lower) trait Places<'a>: Walks<'a> {
    /// What the language can ask.
    fn reading(&mut self) -> &mut Read<'a>;

    /// Runs a part in which the processes of a memcg are walked.
    fn at_home<T>(&mut self, memcg: Value, part: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.reading().home.replace(memcg);
        let result = part(self);
        self.reading().home = outer;
        result
    }

    /// Visits the cgroups of a place, in an RCU section; not at all where the place's cgroup is gone, which sets
    /// `failed`. Returns the carried pointers.
    fn walk_place(
        &mut self,
        place: Place,
        grain: Grain,
        cut: Cut,
        failed: Option<Cell>,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let entered = self.reading().enter(place, cut, failed, carried);
        let css = self.emit().css_of(entered.memcg);
        let order = match place {
            Place::Children(_) | Place::Cgroup(_) | Place::Matching(_) => Order::Pre,
            Place::Leaves(_) | Place::Subtree(_) => Order::Post,
        };
        let found = match place {
            Place::Cgroup(_) if !entered.below_domain => self.visit_one(entered.memcg, carried, body),
            _ => self.walk_css(css, order, carried, |s, walk| {
                s.visit_cgroup(place, grain, &entered, &walk, body);
            }),
        };
        self.reading().leave(entered, &found)
    }

    /// One cgroup of a walk, if it is one of the place.
    fn visit_cgroup(
        &mut self,
        place: Place,
        grain: Grain,
        entered: &Entered,
        walk: &Walk,
        body: impl FnOnce(&mut Self, Walk),
    ) {
        let skip = self.emit().b.create_block();
        let read = self.reading();
        read.skip_others(place, grain, entered, walk.item, skip);
        let memcg = read.hold(walk.item);
        read.leave_if(Cond::Eq, memcg, imm(0), skip);
        self.putting(memcg, walk, |s, inner| {
            if grain == Grain::Units && matches!(place, Place::Subtree(_)) {
                let out = s.emit().b.create_block();
                s.reading().leave_inside_group(memcg, entered.serial, out);
                body(s, inner.clone());
                s.emit().b.switch_to(out);
                return s.emit().b.jump(inner.next, &inner.carried);
            }
            body(s, inner);
        });
        self.emit().b.switch_to(skip);
        self.emit().b.jump(walk.next, &walk.carried);
    }

    /// A memcg that is its own whole place.
    fn visit_one(
        &mut self,
        memcg: Value,
        carried: &[Value],
        body: impl FnOnce(&mut Self, Walk),
    ) -> Vec<Value> {
        let done = self.emit().b.create_block();
        let results = self.emit().pointers_into(done, carried.len());
        body(self, Walk { item: memcg, carried: carried.to_vec(), next: done, done });
        self.emit().b.switch_to(done);
        results
    }

    /// Runs a body whose every way on gives the reference on `memcg` back.
    fn putting(&mut self, memcg: Value, walk: &Walk, body: impl FnOnce(&mut Self, Walk)) {
        let targets = [walk.next, walk.done];
        let ways = targets.map(|_| self.emit().b.create_block());
        let args = ways.map(|way| self.emit().pointers_into(way, walk.carried.len()));
        let [next, done] = ways;
        body(self, Walk { item: memcg, carried: walk.carried.clone(), next, done });
        let emit = self.emit();
        for ((way, target), args) in ways.into_iter().zip(targets).zip(args) {
            emit.b.switch_to(way);
            emit.give_back(memcg);
            emit.b.jump(target, &args);
        }
    }
}

impl Read<'_> {
    /// Begins the walk of a place.
    fn enter(&mut self, place: Place, cut: Cut, failed: Option<Cell>, carried: &[Value]) -> Entered {
        let of = place.of();
        let gone = self.b.create_block();
        let results = self.pointers_into(gone, carried.len());
        // The attached cgroup is the domain or above it, so what both have in common lies below the domain.
        let below_domain = of == Subject::Anchor(Anchor::Attached) && cut == Cut::Domain;
        let (memcg, owned) = if below_domain {
            (self.domain, false)
        } else {
            self.or_gone(gone, carried, failed, |s, absent| s.subject_memcg(of, absent))
        };
        let serial = self.cell();
        if below_domain && matches!(place, Place::Children(_) | Place::Cgroup(_)) {
            let id = self.anchor_id(Anchor::Attached);
            self.or_gone(gone, carried, None, |s, absent| {
                let attached = s.memcg_by_id(id, absent);
                let own = s.field(attached, members::MEMCG_SERIAL);
                s.put(serial, own);
                s.give_back(attached);
            });
        } else {
            let own = self.field(memcg, members::MEMCG_SERIAL);
            self.put(serial, own);
        }
        let parent_of_last = self.cell();
        self.put_imm(parent_of_last, 0);
        let matching = match place {
            Place::Matching(pattern) => {
                let matched = self.cell();
                self.put_imm(matched, 0);
                Some((pattern, matched))
            }
            _ => None,
        };
        Entered { memcg, owned, below_domain, serial, parent_of_last, matching, gone, results }
    }

    /// Runs a part that may find a cgroup gone; then it goes on behind the walk.
    fn or_gone<T>(
        &mut self,
        gone: Block,
        carried: &[Value],
        failed: Option<Cell>,
        part: impl FnOnce(&mut Self, Block) -> T,
    ) -> T {
        let absent = self.b.create_block();
        let found = part(self, absent);
        let here = self.b.create_block();
        self.b.jump(here, &[]);
        self.b.switch_to(absent);
        if let Some(failed) = failed {
            self.put_imm(failed, 1);
        }
        self.b.jump(gone, carried);
        self.b.switch_to(here);
        found
    }

    /// Ends the walk of a place.
    fn leave(&mut self, entered: Entered, found: &[Value]) -> Vec<Value> {
        if entered.owned {
            self.give_back(entered.memcg);
        }
        self.b.jump(entered.gone, found);
        self.b.switch_to(entered.gone);
        entered.results
    }

    /// Goes to `skip` with what is walked, but does not belong to the place.
    fn skip_others(&mut self, place: Place, grain: Grain, entered: &Entered, css: Value, skip: Block) {
        if let Some((pattern, matched)) = entered.matching {
            return self.skip_unmatched(pattern, grain, matched, css, skip);
        }
        match place {
            Place::Cgroup(_) => {
                let (own, place) = (self.field(css, members::CSS_SERIAL), self.get(entered.serial));
                self.leave_if(Cond::Ne, own, Operand::Value(place), skip);
            }
            Place::Children(_) => {
                self.skip_offline(css, skip);
                let parent = self.pointer(css, members::CSS_PARENT);
                self.leave_if(Cond::Eq, parent, imm(0), skip);
                let (above, place) = (self.field(parent, members::CSS_SERIAL), self.get(entered.serial));
                self.leave_if(Cond::Ne, above, Operand::Value(place), skip);
            }
            Place::Leaves(_) => {
                let leaf = self.b.create_block();
                self.leaf_or(css, entered.parent_of_last, leaf, skip, skip);
                self.b.switch_to(leaf);
            }
            Place::Subtree(_) if grain == Grain::Units => self.unit_or(css, entered.parent_of_last, skip),
            Place::Subtree(_) | Place::Matching(_) => {}
        }
    }

    /// Goes to `skip` with a cgroup whose path does not match. Parents are visited before what is below them: so what
    /// lies below a match is told by its level, and is no match of its own.
    fn skip_unmatched(&mut self, pattern: PatternId, grain: Grain, matched: Cell, css: Value, skip: Block) {
        let (outside, inside, member) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.skip_offline(css, skip);
        let parent = self.pointer(css, members::CSS_PARENT);
        self.leave_if(Cond::Eq, parent, imm(0), skip);
        let (level, of_match) = (self.read(css, members::CSS_LEVEL), self.get(matched));
        self.leave_if(Cond::Eq, of_match, imm(0), outside);
        self.b.branch(Cond::Uge, level, Operand::Value(of_match), inside, outside);
        self.b.switch_to(inside);
        self.b.jump(if grain == Grain::Each { member } else { skip }, &[]);
        self.b.switch_to(outside);
        self.put_imm(matched, 0);
        let found = self.b.create_block();
        self.matches_path(css, pattern, found, skip);
        self.b.switch_to(found);
        let level = self.read(css, members::CSS_LEVEL);
        let level = self.bin_imm(BinOp::Add, level, 1);
        self.put(matched, level);
        self.b.jump(member, &[]);
        self.b.switch_to(member);
    }

    /// Goes to `leaf`, `inner` or `skip` (removed, or the root with something below): in post order a memcg is
    /// inner exactly if the one visited before it is its child. Ends the block.
    pub(in crate::lower) fn leaf_or(
        &mut self,
        css: Value,
        parent_of_last: Cell,
        leaf: Block,
        inner: Block,
        skip: Block,
    ) {
        self.skip_offline(css, skip);
        let expected = self.get(parent_of_last);
        let parent = self.pointer(css, members::CSS_PARENT);
        let (below, root, test) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.branch(Cond::Ne, parent, imm(0), below, root);
        self.b.switch_to(below);
        let serial = self.field(parent, members::CSS_SERIAL);
        self.put(parent_of_last, serial);
        self.b.jump(test, &[]);
        self.b.switch_to(root);
        self.b.jump(test, &[]);
        self.b.switch_to(test);
        let serial = self.field(css, members::CSS_SERIAL);
        self.b.branch(Cond::Eq, serial, Operand::Value(expected), inner, leaf);
    }

    /// Goes on if the css is a leaf or has `memory.oom.group`; to `skip` otherwise. The root is no unit.
    fn unit_or(&mut self, css: Value, parent_of_last: Cell, skip: Block) {
        let parent = self.pointer(css, members::CSS_PARENT);
        self.leave_if(Cond::Eq, parent, imm(0), skip);
        let (inner, unit) = (self.b.create_block(), self.b.create_block());
        self.leaf_or(css, parent_of_last, unit, inner, skip);
        self.b.switch_to(inner);
        let memcg = self.cast_memcg(css);
        let group = self.field(memcg, members::MEMCG_OOM_GROUP);
        self.b.branch(Cond::Ne, group, imm(0), unit, skip);
        self.b.switch_to(unit);
    }

    /// Leaves to `out` if a cgroup of the domain lies in a `memory.oom.group` of the domain.
    pub(in crate::lower) fn leave_covered(&mut self, memcg: Value, out: Block) {
        let top = self.cell();
        let domain = self.domain;
        let serial = self.field(domain, members::MEMCG_SERIAL);
        self.put(top, serial);
        self.leave_inside_group(memcg, top, out);
    }

    /// Leaves to `out` if an ancestor up to the place's cgroup has `memory.oom.group`.
    fn leave_inside_group(&mut self, memcg: Value, top: Cell, out: Block) {
        let covered = self.cell();
        self.put_imm(covered, 0);
        let own = self.field(memcg, members::MEMCG_SERIAL);
        let css = self.css_of(memcg);
        self.walk_css(css, Order::Up, &[], |s, up| {
            let (above, flagged, go_on) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            let serial = s.field(up.item, members::CSS_SERIAL);
            s.b.branch(Cond::Ne, serial, Operand::Value(own), above, go_on);
            s.b.switch_to(above);
            let memcg = s.cast_memcg(up.item);
            let group = s.field(memcg, members::MEMCG_OOM_GROUP);
            s.b.branch(Cond::Ne, group, imm(0), flagged, go_on);
            s.b.switch_to(flagged);
            s.put_imm(covered, 1);
            s.b.jump(up.done, &[]);
            s.b.switch_to(go_on);
            let (serial, last) = (s.field(up.item, members::CSS_SERIAL), s.get(top));
            s.leave_if(Cond::Eq, serial, Operand::Value(last), up.done);
            s.b.jump(up.next, &[]);
        });
        let covered = self.get(covered);
        self.leave_if(Cond::Ne, covered, imm(0), out);
    }

    /// The memcg of a subject that is a cgroup, and whether the reference on it is ours to give back; `gone` if
    /// there is none.
    pub(in crate::lower) fn subject_memcg(&mut self, subject: Subject, gone: Block) -> (Value, bool) {
        match subject {
            Subject::Anchor(Anchor::Cgroup) | Subject::Event => (self.domain, false),
            Subject::Candidate(binder) => (self.object_of(binder), false),
            Subject::Parent(binder) => {
                let memcg = self.object_of(binder);
                let id = self.parent_id(memcg);
                (self.memcg_by_id(id, gone), true)
            }
            Subject::Anchor(anchor) => {
                let id = self.anchor_id(anchor);
                (self.memcg_by_id(id, gone), true)
            }
            Subject::Pick(pick) => {
                let id = self.picked(pick);
                self.leave_if(Cond::Eq, id, imm(0), gone);
                (self.memcg_by_id(id, gone), true)
            }
            Subject::Home(binder) => match self.homes.get(&binder) {
                Some(home) => (*home, false),
                None => {
                    let task = self.object_of(binder);
                    (self.home_of(task, gone), true)
                }
            },
        }
    }

    /// The memcg that a process counts with, referenced; `gone` if there is none. The process may be in a cgroup
    /// without the memory controller: then it is one above.
    fn home_of(&mut self, task: Value, gone: Block) -> Value {
        let cgroups = self.pointer(task, members::TASK_CGROUPS);
        let cgroup = self.pointer(cgroups, members::CSS_SET_CGROUP);
        let id = self.read(cgroup, members::CGROUP_ID);
        let cgroup = self.call_ptr(kfuncs::CGROUP_FROM_ID, &[id]);
        self.leave_if(Cond::Eq, cgroup, imm(0), gone);
        let none = self.null();
        let found = self.with_rcu(|s| {
            let css = s.member_addr(cgroup, members::CGROUP_SELF);
            s.walk_css(css, Order::Up, &[none], |s, walk| {
                let here = s.b.create_block();
                let memcg = s.hold(walk.item);
                s.leave_if(Cond::Ne, memcg, imm(0), here);
                s.b.jump(walk.next, &[memcg]);
                s.b.switch_to(here);
                s.b.jump(walk.done, &[memcg]);
            })
        });
        self.call(kfuncs::CGROUP_RELEASE, &[cgroup]);
        let memcg = self.only(&found);
        self.leave_if(Cond::Eq, memcg, imm(0), gone);
        memcg
    }

    /// The id of what a pick chose.
    pub(in crate::lower) fn picked(&mut self, pick: PickId) -> Value {
        match self.picks.get(&pick).copied() {
            Some(cell) => self.get(cell),
            None => self.broken("a pick was not chosen before it is used"),
        }
    }
}
