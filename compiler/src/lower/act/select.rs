//! Walks: who is asked what, in the order of the plan, and who is kept.
//!
//! A walk over the OOM domain visits each cgroup once: it looks which rankings the cgroup competes in, walks its
//! processes if it has any, notes a victim in flight, and offers whom the steps have let through. A walk over another
//! place is for one ranking. All of it is in one RCU section; nothing is carried from round to round but what lies in
//! the scratch value, and no reference is kept: who is kept is kept by number.

use oomc_abi::consts::{PF_EXITING, SIGNAL_GROUP_EXIT};
use oomc_abi::members;

use super::Act;
use super::keeps::Keeps;
use super::stepwise::Descent;
use crate::hir::{Place, Selection, Subject, Unit};
use crate::ir::{Block, Cond, Value};
use crate::lower::emit::{Cell, Order, Tasks, Walk, Walks, imm};
use crate::lower::read::{Cut, Grain, Places};
use crate::plan::{self, Step, Track, WalkId, cost};

/// What a ranking needs while a walk fills it.
pub(super) struct Line<'p> {
    of: plan::Selector,
    pub(super) track: &'p Track,
    pub(super) selection: &'p Selection,
    keeps: Keeps,
    /// 0: the present cgroup does not compete, [`LEAF`] or [`INNER`] otherwise; none: each cgroup does.
    pub(super) member: Option<Cell>,
    /// Of a ranking of cgroups: not 0: the steps before its members have let it through.
    pub(super) enters: Option<Cell>,
}

/// A cgroup that competes, without one below it.
const LEAF: i32 = 1;
/// A cgroup that competes as a whole, and has others below it.
const INNER: i32 = 2;

/// What was found out about the present cgroup, for all its processes.
#[derive(Clone, Copy)]
pub(super) struct Memo {
    /// 0: not asked, 1: no clause protects it or one above, 2: one does.
    above: Cell,
    /// The same of the group that the kernel would extend a kill to.
    group: Cell,
    /// Members of a cgroup that competes: not 0: one is protected; not 0: one can be killed.
    pub(super) protected: Cell,
    pub(super) alive: Cell,
}

impl Act<'_> {
    /// Runs a walk; its rankings are empty before, unless they go on below those that were tried.
    pub(super) fn run_walk(&mut self, id: WalkId) {
        let plan = self.plan;
        let Some(walk) = plan.walks.get(id) else {
            self.broken("an act runs no walk");
            return;
        };
        let lines = self.lines(walk);
        if walk.in_flight {
            self.forget_victim();
        }
        self.with_rcu(|s| {
            lines.iter().filter_map(Line::descent).for_each(|descent| s.begin_descent(descent));
            if walk.in_flight {
                s.walk_domain(&lines);
            } else {
                s.walk_elsewhere(walk.place, &lines);
            }
            for line in lines.iter().filter(|line| matches!(line.of, plan::Selector::Kill(_))) {
                if let Keeps::Best(kept) = &line.keeps {
                    s.copy_kept_names(kept);
                }
            }
        });
    }

    fn lines<'p>(&mut self, walk: &'p plan::Walk) -> Vec<Line<'p>>
    where
        Self: 'p,
    {
        let (policy, plan) = (self.policy, self.plan);
        let mut lines = Vec::new();
        for track in &walk.tracks {
            let of = plan.rankings.get(track.ranking).map(|ranking| ranking.of);
            let selection = of.and_then(|of| Some((of, cost::selection(policy, of)?)));
            let Some((of, selection)) = selection else {
                self.broken("a track fills no ranking");
                continue;
            };
            let keeps = self.keeps(track.ranking);
            let is_member = |step: &Step| matches!(step, Step::Member(_));
            let in_tree = walk.in_flight || matches!(keeps, Keeps::Descent(_));
            let member = (in_tree && track.steps.iter().any(is_member)).then(|| self.cell());
            let enters = (track.unit == Unit::Cgroup).then(|| self.cell());
            lines.push(Line { of, track, selection, keeps, member, enters });
        }
        lines
    }

    /// Visits the whole domain, children before parents.
    fn walk_domain(&mut self, lines: &[Line<'_>]) {
        let parent_of_last = self.cell();
        self.put_imm(parent_of_last, 0);
        let look = self.cell();
        let domain = self.domain;
        let css = self.css_of(domain);
        self.walk_css(css, Order::Post, &[], |s, walk| {
            s.note_members(lines, walk.item, parent_of_last);
            lines.iter().filter_map(Line::descent).for_each(|descent| s.note_level(descent, walk.item));
            let (empty, visit) = (s.b.create_block(), s.b.create_block());
            s.look_closer(walk.item, look, empty);
            s.b.jump(visit, &[]);
            s.b.switch_to(empty);
            // A cgroup without processes may compete for those below it.
            s.put_imm(look, 0);
            for line in lines.iter().filter(|line| line.enters.is_some()) {
                if let Some(member) = line.member {
                    let member = s.get(member);
                    s.leave_if(Cond::Eq, member, imm(i64::from(INNER)), visit);
                }
            }
            for descent in lines.iter().filter_map(Line::descent) {
                let below = s.get(descent.below);
                s.leave_if(Cond::Ne, below, imm(0), visit);
            }
            s.b.jump(walk.next, &[]);
            s.b.switch_to(visit);
            let memcg = s.hold(walk.item);
            s.leave_if(Cond::Eq, memcg, imm(0), walk.next);
            let found = s.b.create_block();
            s.visit(memcg, lines, Some((look, found)));
            s.give_back(memcg);
            s.b.jump(walk.next, &[]);
            s.b.switch_to(found);
            s.give_back(memcg);
            s.b.jump(walk.done, &[]);
        });
    }

    /// Writes down which rankings a cgroup of the domain competes in.
    fn note_members(&mut self, lines: &[Line<'_>], css: Value, parent_of_last: Cell) {
        let members: Vec<Member> = lines.iter().filter_map(Line::as_member).collect();
        if members.is_empty() {
            return;
        }
        let (leaf, inner, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (root, out) = (self.b.create_block(), self.b.create_block());
        self.leaf_or(css, parent_of_last, leaf, inner, out);
        self.b.switch_to(leaf);
        let parent = self.pointer(css, members::CSS_PARENT);
        self.leave_if(Cond::Eq, parent, imm(0), root);
        members.iter().for_each(|member| self.put_imm(member.cell, LEAF));
        self.b.jump(join, &[]);
        self.b.switch_to(root);
        // The root is no kill unit, but its processes may be those of a leaf.
        for member in &members {
            self.put_imm(member.cell, if member.unit == Unit::Process { LEAF } else { 0 });
        }
        self.b.jump(join, &[]);
        self.b.switch_to(out);
        members.iter().for_each(|member| self.put_imm(member.cell, 0));
        self.b.jump(join, &[]);
        self.b.switch_to(inner);
        members.iter().for_each(|member| self.put_imm(member.cell, 0));
        let grouped: Vec<&Member> = members.iter().filter(|member| !member.leaves).collect();
        if !grouped.is_empty() {
            let parent = self.pointer(css, members::CSS_PARENT);
            self.leave_if(Cond::Eq, parent, imm(0), join);
            let memcg = self.cast_memcg(css);
            let group = self.field(memcg, members::MEMCG_OOM_GROUP);
            self.leave_if(Cond::Eq, group, imm(0), join);
            grouped.iter().for_each(|member| self.put_imm(member.cell, INNER));
        }
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Visits the cgroups of a place, for one ranking; nobody looks for a victim in flight there.
    fn walk_elsewhere(&mut self, place: Place, lines: &[Line<'_>]) {
        let each = |line: &Line<'_>| line.track.unit == Unit::Process || line.descent().is_some();
        let grain = if lines.iter().any(each) { Grain::Each } else { Grain::Units };
        // Of levels: the cgroup above the one that was visited last.
        let levels = lines.iter().find_map(Line::descent).map(|descent| (descent, self.cell()));
        if let Some((_, parent_of_last)) = levels {
            self.put_imm(parent_of_last, 0);
        }
        self.walk_place(place, grain, Cut::Domain, None, &[], |s, walk| {
            if let Some((descent, parent_of_last)) = levels {
                let css = s.node_of(walk.item);
                s.note_members(lines, css, parent_of_last);
                s.note_level(descent, css);
            }
            s.visit(walk.item, lines, None);
            s.b.jump(walk.next, &[]);
        });
    }

    /// One cgroup: what competes as a whole, its processes, and a victim in flight among them. With `look`, goes to
    /// the block when there is one.
    fn visit(&mut self, memcg: Value, lines: &[Line<'_>], look: Option<(Cell, Block)>) {
        let memo =
            Memo { above: self.cell(), group: self.cell(), protected: self.cell(), alive: self.cell() };
        let asks = |wanted: &[Step]| {
            lines.iter().flat_map(|line| &line.track.steps).any(|step| wanted.contains(step))
        };
        if asks(&[Step::UnprotectedAbove, Step::UnprotectedGroup]) {
            self.put_imm(memo.above, 0);
            self.put_imm(memo.group, 0);
        }
        for line in lines {
            self.forget(&line.track.per_cgroup);
        }
        if lines.iter().any(|line| matches!(line.of, plan::Selector::Kill(_))) {
            self.class_of_cgroup(memcg);
        }
        let units: Vec<&Line<'_>> = lines.iter().filter(|line| line.track.unit == Unit::Cgroup).collect();
        for line in &units {
            match &line.keeps {
                Keeps::Best(_) => self.enter_unit(line, memcg, memo, look.is_some()),
                Keeps::Descent(descent) => self.enter_level(line, descent, memcg, memo),
            }
        }
        if look.is_some() || units.len() < lines.len() {
            self.visit_tasks(memcg, lines, memo, look);
        }
        for line in &units {
            match &line.keeps {
                Keeps::Best(_) => self.offer_unit(line, memcg, memo, look.is_some()),
                Keeps::Descent(descent) => self.offer_level(line, descent, memcg, memo, look.is_some()),
            }
        }
        for expr in lines.iter().flat_map(|line| &line.track.per_cgroup) {
            self.per_cgroup.remove(expr);
        }
        for expr in lines.iter().flat_map(|line| &line.track.in_members) {
            self.found_among_members.remove(expr);
        }
    }

    /// Asks a cgroup that competes what stands before its members, or everything.
    fn enter_unit(&mut self, line: &Line<'_>, memcg: Value, memo: Memo, inline_members: bool) {
        let Some(enters) = line.enters else { return };
        let out = self.b.create_block();
        self.put_imm(enters, 0);
        if let Some(member) = line.member {
            let member = self.get(member);
            self.leave_if(Cond::Eq, member, imm(0), out);
        }
        self.bind(line.selection.binder, memcg);
        for step in line.steps_before_members() {
            self.step(*step, line, memcg, memo, out);
        }
        if inline_members {
            self.begin_members(line, memo);
        }
        self.put_imm(enters, 1);
        self.b.jump(out, &[]);
        self.b.switch_to(out);
    }

    /// Before the members of a cgroup are looked at.
    pub(super) fn begin_members(&mut self, line: &Line<'_>, memo: Memo) {
        self.put_imm(memo.protected, 0);
        self.put_imm(memo.alive, 0);
        line.track.in_members.iter().for_each(|quantifier| self.begin_among_members(*quantifier));
    }

    /// Asks the rest, and offers the cgroup.
    fn offer_unit(&mut self, line: &Line<'_>, memcg: Value, memo: Memo, inline_members: bool) {
        let Some(enters) = line.enters else { return };
        let out = self.b.create_block();
        let enters = self.get(enters);
        self.leave_if(Cond::Eq, enters, imm(0), out);
        self.bind(line.selection.binder, memcg);
        if let (true, Some(member)) = (inline_members, line.member)
            && !matches!(line.track.steps.first(), Some(Step::Member(Place::Leaves(_))))
        {
            self.leave_covered(memcg, out);
            self.scan_inner(line, member, memcg, memo);
        }
        for step in line.steps_from_members() {
            self.step_of_unit(*step, line, memcg, memo, inline_members, out);
        }
        self.b.jump(out, &[]);
        self.b.switch_to(out);
    }

    /// Of a cgroup that has others below it, the members are theirs, too.
    pub(super) fn scan_inner(&mut self, line: &Line<'_>, member: Cell, memcg: Value, memo: Memo) {
        if !line.track.steps.contains(&Step::Members) {
            return;
        }
        let (inner, known) = (self.b.create_block(), self.b.create_block());
        let member = self.get(member);
        self.b.branch(Cond::Eq, member, imm(i64::from(INNER)), inner, known);
        self.b.switch_to(inner);
        self.scan_members(memcg, memo);
        self.b.jump(known, &[]);
        self.b.switch_to(known);
    }

    fn scan_members(&mut self, memcg: Value, memo: Memo) {
        self.put_imm(memo.protected, 0);
        self.put_imm(memo.alive, 0);
        self.scan_unit(memcg, memo.protected, Some(memo.alive));
    }

    /// One step for a cgroup whose members were looked at in the walk, or are looked at now.
    pub(super) fn step_of_unit(
        &mut self,
        step: Step,
        line: &Line<'_>,
        memcg: Value,
        memo: Memo,
        inline_members: bool,
        out: Block,
    ) {
        match step {
            Step::Members if !inline_members => {
                // The root is no kill unit.
                let parent = self.pointer(memcg, members::MEMCG_PARENT);
                self.leave_if(Cond::Eq, parent, imm(0), out);
                self.scan_members(memcg, memo);
                self.leave_unless_killable_unit(memo, out);
            }
            Step::Members => self.leave_unless_killable_unit(memo, out),
            other => self.step(other, line, memcg, memo, out),
        }
    }

    fn leave_unless_killable_unit(&mut self, memo: Memo, out: Block) {
        let protected = self.get(memo.protected);
        self.leave_if(Cond::Ne, protected, imm(0), out);
        // A cgroup without processes is no candidate, and one whose last are dying gains nothing.
        let alive = self.get(memo.alive);
        self.leave_if(Cond::Eq, alive, imm(0), out);
    }

    /// The processes of one cgroup.
    fn visit_tasks(&mut self, memcg: Value, lines: &[Line<'_>], memo: Memo, look: Option<(Cell, Block)>) {
        let units: Vec<&Line<'_>> = lines.iter().filter(|line| line.track.unit == Unit::Cgroup).collect();
        // A walk that could not start hides members.
        let failed = if units.is_empty() || look.is_none() { None } else { Some(memo.protected) };
        self.at_home(memcg, |s| {
            s.walk_tasks(memcg, Tasks::Processes, failed, |s, tasks| {
                let task = tasks.item;
                if look.is_some() {
                    units.iter().for_each(|line| s.look_at_member(line, task, memo));
                }
                if let Some((look, _)) = look {
                    s.look_at_exits(task, look, tasks.next);
                }
                for line in lines.iter().filter(|line| line.track.unit == Unit::Process) {
                    let next = s.b.create_block();
                    if let Some(member) = line.member {
                        let member = s.get(member);
                        s.leave_if(Cond::Eq, member, imm(0), next);
                    }
                    s.bind(line.selection.binder, task);
                    line.track
                        .steps
                        .iter()
                        .for_each(|step| s.process_step(*step, line, task, memcg, memo, next));
                    s.b.jump(next, &[]);
                    s.b.switch_to(next);
                }
                s.b.jump(tasks.next, &[]);
            });
        });
        if let Some((look, found)) = look {
            let (closer, join) = (self.b.create_block(), self.b.create_block());
            let look = self.get(look);
            self.b.branch(Cond::Ne, look, imm(0), closer, join);
            self.b.switch_to(closer);
            self.look_at_threads(memcg, found);
            self.b.jump(join, &[]);
            self.b.switch_to(join);
        }
    }

    /// A process of a cgroup that may be offered: whether it keeps the cgroup from being killed, or can be killed.
    fn look_at_member(&mut self, line: &Line<'_>, task: Value, memo: Memo) {
        let (Some(enters), true) = (line.enters, line.track.steps.contains(&Step::Members)) else { return };
        let (protect, next) = (self.b.create_block(), self.b.create_block());
        let enters = self.get(enters);
        self.leave_if(Cond::Eq, enters, imm(0), next);
        line.track.in_members.iter().for_each(|quantifier| self.ask_member(*quantifier, task));
        self.exclude_unkillable(task, protect);
        self.never(Unit::Process, task, protect);
        self.exclude_dying(task, next);
        self.put_imm(memo.alive, 1);
        self.b.jump(next, &[]);
        self.b.switch_to(protect);
        self.put_imm(memo.protected, 1);
        self.b.jump(next, &[]);
        self.b.switch_to(next);
    }

    /// A process that exits is looked at with all its threads; one that is dying is no candidate.
    fn look_at_exits(&mut self, task: Value, look: Cell, skip: Block) {
        let (dying, exiting, living) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let signal = self.pointer(task, members::TASK_SIGNAL);
        let flags = self.field(signal, members::SIGNAL_FLAGS);
        self.leave_if(Cond::Test, flags, imm(SIGNAL_GROUP_EXIT), dying);
        let victim = self.pointer(signal, members::SIGNAL_OOM_MM);
        self.leave_if(Cond::Ne, victim, imm(0), dying);
        let flags = self.field(task, members::TASK_FLAGS);
        self.b.branch(Cond::Test, flags, imm(PF_EXITING), exiting, living);
        self.b.switch_to(dying);
        self.put_imm(look, 1);
        self.b.jump(skip, &[]);
        self.b.switch_to(exiting);
        self.put_imm(look, 1);
        let live = self.field(signal, members::SIGNAL_LIVE);
        self.b.branch(Cond::Eq, live, imm(0), skip, living);
        self.b.switch_to(living);
    }

    /// One step for a process.
    fn process_step(
        &mut self,
        step: Step,
        line: &Line<'_>,
        task: Value,
        memcg: Value,
        memo: Memo,
        out: Block,
    ) {
        match step {
            Step::UnprotectedAbove | Step::UnprotectedGroup => self.step(step, line, memcg, memo, out),
            other => self.step(other, line, task, memo, out),
        }
    }

    /// One step for a candidate, or for its cgroup; leaves to `out` where it says no.
    pub(super) fn step(&mut self, step: Step, line: &Line<'_>, object: Value, memo: Memo, out: Block) {
        match step {
            Step::Member(_) | Step::Members => {}
            Step::Bound(_) | Step::Lead | Step::Offer => self.step_of_ranking(step, line, object, out),
            Step::Killable => self.exclude_unkillable(object, out),
            Step::Living => self.exclude_dying(object, out),
            Step::Unprotected => self.never(line.track.unit, object, out),
            Step::UnprotectedAbove => self.memoised(memo.above, out, |s, protected| {
                s.mark_protected_by_ancestor(object, protected);
            }),
            Step::UnprotectedGroup => self.memoised(memo.group, out, |s, protected| {
                s.mark_protected_by_group(object, protected);
            }),
            Step::Filter => self.filter(line.selection, out),
        }
    }

    /// A step that compares a candidate with those that are kept.
    fn step_of_ranking(&mut self, step: Step, line: &Line<'_>, object: Value, out: Block) {
        let Keeps::Best(kept) = &line.keeps else {
            self.broken("a step of one row for a selection with levels");
            return;
        };
        if let Step::Bound(bound) = step {
            return self.leave_below(kept, bound, out);
        }
        let outer = self.b.set_span(line.selection.span);
        if step == Step::Lead {
            self.lead(kept, object, out);
        } else {
            let led = line.track.steps.contains(&Step::Lead);
            self.rest(&kept.order, led, object);
            self.offer(kept, object, out);
        }
        self.b.set_span(outer);
    }

    /// Asks something of the present cgroup once, by setting a cell, and leaves to `out` if it was set.
    fn memoised(&mut self, memo: Cell, out: Block, ask: impl FnOnce(&mut Self, Cell)) {
        let (asked, fresh) = (self.b.create_block(), self.b.create_block());
        let known = self.get(memo);
        self.b.branch(Cond::Ne, known, imm(0), asked, fresh);
        self.b.switch_to(fresh);
        let protected = self.cell();
        self.put_imm(protected, 0);
        ask(self, protected);
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        let protected = self.get(protected);
        self.b.branch(Cond::Ne, protected, imm(0), yes, no);
        self.b.switch_to(yes);
        self.put_imm(memo, 2);
        self.b.jump(asked, &[]);
        self.b.switch_to(no);
        self.put_imm(memo, 1);
        self.b.jump(asked, &[]);
        self.b.switch_to(asked);
        let known = self.get(memo);
        self.leave_if(Cond::Eq, known, imm(2), out);
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

    /// Visits the processes of one memcg that a `kill` may take. The body may leave to a block that goes on.
    pub(super) fn each_victim(&mut self, memcg: Value, body: impl FnOnce(&mut Self, &Walk, Block)) {
        let protected_out = self.b.create_block();
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
        self.at_home(memcg, |s| {
            s.walk_tasks(memcg, Tasks::Processes, None, |s, walk| {
                let skip = s.b.create_block();
                s.exclude_unkillable(walk.item, skip);
                s.exclude_dying(walk.item, skip);
                s.never(Unit::Process, walk.item, skip);
                body(s, &walk, skip);
                s.b.switch_to(skip);
                s.b.jump(walk.next, &walk.carried);
            })
        });
        self.b.jump(protected_out, &[]);
        self.b.switch_to(protected_out);
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
}

/// Which cgroups of the domain compete in a ranking.
struct Member {
    cell: Cell,
    unit: Unit,
    /// Leaves only, whatever `memory.oom.group` says.
    leaves: bool,
}

impl<'p> Line<'p> {
    fn as_member(&self) -> Option<Member> {
        let Some(Step::Member(place)) = self.track.steps.first() else { return None };
        let leaves = matches!(place, Place::Leaves(_));
        Some(Member { cell: self.member?, unit: self.track.unit, leaves })
    }

    /// The levels of a selection that goes down step by step.
    fn descent(&self) -> Option<&Descent> {
        match &self.keeps {
            Keeps::Best(_) => None,
            Keeps::Descent(descent) => Some(descent),
        }
    }

    /// A cgroup's steps up to the one that asks its members.
    pub(super) fn steps_before_members(&self) -> &'p [Step] {
        self.track.steps.get(..self.members()).unwrap_or_default()
    }

    pub(super) fn steps_from_members(&self) -> &'p [Step] {
        self.track.steps.get(self.members()..).unwrap_or_default()
    }

    /// Where the members are asked; without that, where the cgroup is offered.
    fn members(&self) -> usize {
        let asks = |step: &Step| matches!(step, Step::Members | Step::Offer);
        self.track.steps.iter().position(asks).unwrap_or(self.track.steps.len())
    }
}
