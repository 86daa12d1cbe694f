//! `kill`: takes from a ranking, one candidate after the other, and goes on to the next where the kernel refuses.

use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::{End, at};

use super::Act;
use super::keeps::Keeps;
use super::list::{List, UNITS};
use super::outline::{DEFER, NOTHING, PROGRESS, SUSPEND};
use super::say;
use crate::hir::{ActionId, Kill, Message, Unit};
use crate::ir::{Block, Cond, Operand, Size, Value};
use crate::lower::emit::{Cell, Order, Tasks, Walk, Walks, imm};
use crate::lower::read::{Cut, Grain, Places};
use crate::plan::{self, RankingId, WalkId};

/// How many candidates of one selection are tried. The tests before a kill are the kernel's own, so a
/// refusal is a race with an exit.
pub(super) const MAX_TRIES: i32 = 32;

/// How far a kill has come down its ranking.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taking {
    /// The place of the next candidate.
    pub(super) next: Cell,
    /// What the present one is called: process or cgroup id, and start time.
    pub(super) id: Cell,
    start: Cell,
    /// What its death is expected to free, in bytes.
    expected: Cell,
    /// Not 0: somebody died.
    pub(super) killed: Cell,
}

impl Taking {
    /// Where the name of the present candidate lies: process or cgroup id, and start time.
    pub(super) fn name(self) -> (Cell, Cell) {
        (self.id, self.start)
    }
}

impl Act<'_> {
    /// A `kill` or a `wait`, as the plan says.
    pub(super) fn acts(&mut self, id: ActionId, on_progress: Block, on_nothing: Block) {
        let policy = self.policy;
        let kill = match policy.actions.get(id).map(|action| &action.kind) {
            Some(crate::hir::ActionKind::Kill(kill)) => Some(kill),
            _ => None,
        };
        let acts = self.plan.acts.get(id).cloned().unwrap_or_default();
        self.prefetch_acts(kill, &acts);
        let mut acts = acts.as_slice();
        loop {
            acts = match (acts, kill) {
                ([plan::Act::Run(walk), plan::Act::Wait(_), plan::Act::Take(ranking)], Some(kill)) => {
                    return self.take(kill, *ranking, Some(*walk), on_progress, on_nothing);
                }
                ([plan::Act::Run(walk), plan::Act::Wait(_), rest @ ..], _) => {
                    let nobody = self.b.create_block();
                    self.in_flight(*walk, on_progress, nobody);
                    self.b.switch_to(nobody);
                    rest
                }
                ([plan::Act::Run(walk), plan::Act::Take(ranking)], Some(kill)) => {
                    return self.take(kill, *ranking, Some(*walk), on_progress, on_nothing);
                }
                ([plan::Act::Take(ranking)], Some(kill)) => {
                    return self.take(kill, *ranking, None, on_progress, on_nothing);
                }
                ([plan::Act::All], Some(kill)) => return self.kill_all(kill, on_progress, on_nothing),
                ([], None) => {
                    self.note_end(End::NoVictim);
                    return self.b.jump(on_nothing, &[]);
                }
                _ => {
                    self.broken("an action does what the plan has no code for");
                    return self.b.jump(on_nothing, &[]);
                }
            }
        }
    }

    /// Reads what an action, and the rankings that its walks fill, ask of the event's cgroups.
    fn prefetch_acts(&mut self, kill: Option<&Kill>, acts: &[plan::Act]) {
        let mut asked = Vec::new();
        if let Some(kill) = kill {
            asked.extend(self.asked_by_selection(&kill.selection));
            asked.extend(kill.until.iter().map(|until| until.freed));
            asked.extend(kill.reason.iter().flat_map(Message::values));
        }
        for act in acts {
            let plan::Act::Run(walk) = act else { continue };
            let Some(walk) = self.plan.walks.get(*walk) else { continue };
            for track in &walk.tracks {
                let of = self.plan.rankings.get(track.ranking).map(|ranking| ranking.of);
                let selection = of.and_then(|of| crate::plan::cost::selection(self.policy, of));
                asked.extend(selection.iter().flat_map(|selection| self.asked_by_selection(selection)));
            }
        }
        if kill.is_some() {
            asked.extend(self.never_conditions());
            asked.extend(self.policy.preferences.iter().map(|preference| preference.condition));
        }
        self.in_walk = true;
        self.prefetch(&asked);
        self.in_walk = false;
    }

    /// Kills down a ranking, which a walk fills first; without one, it was filled before.
    fn take(
        &mut self,
        kill: &Kill,
        ranking: RankingId,
        walk: Option<WalkId>,
        on_progress: Block,
        on_nothing: Block,
    ) {
        self.in_walk = true;
        self.note_end(End::NoCandidate);
        self.open_kill();
        let taking = self.taking();
        let keeps = self.keeps(ranking);
        let until = self.until(kill);
        let looks = walk.and_then(|walk| self.plan.walks.get(walk)).is_some_and(|walk| walk.in_flight);
        let waited = looks.then(|| self.cell());
        match waited {
            Some(waited) => self.put_imm(waited, NOTHING),
            None => self.note_selection(),
        }
        match walk {
            Some(walk) => self.empty_all(walk),
            None => self.note_kept(&keeps),
        }
        let next = self.next_of(kill, |s, tries| s.next_candidate(&keeps, walk, taking, None, tries));
        self.walk_numbers(MAX_TRIES, |s, tries| {
            match next {
                Some(next) => s.call_next(next, tries.done),
                None => s.next_candidate(&keeps, walk, taking, waited, &tries),
            }
            let victim = s.candidate(kill.selection.unit, taking, tries.next);
            if !s.has_footprint(keeps.order()) {
                s.estimate(kill.selection.unit, victim, taking.expected);
            }
            s.strike(kill, victim, taking, tries.next);
            match until {
                Some(until) => s.enough(until, taking, tries.done, tries.next),
                None => s.b.jump(tries.done, &[]),
            }
        });
        if let Some(waited) = waited {
            let waited = self.get(waited);
            self.leave_if(Cond::Eq, waited, imm(i64::from(PROGRESS)), on_progress);
            if self.says() {
                let suspend = self.suspend;
                self.leave_if(Cond::Eq, waited, imm(i64::from(SUSPEND)), suspend);
            }
            let (defer, go_on) = (self.b.create_block(), self.b.create_block());
            self.b.branch(Cond::Eq, waited, imm(i64::from(DEFER)), defer, go_on);
            self.b.switch_to(defer);
            self.note_end(End::Deferred);
            let nothing = self.nothing;
            self.b.jump(nothing, &[]);
            self.b.switch_to(go_on);
        }
        self.finish_kill(kill, taking, on_progress, on_nothing);
    }

    /// Empties what a walk fills.
    fn empty_all(&mut self, walk: WalkId) {
        let plan = self.plan;
        for track in plan.walks.get(walk).iter().flat_map(|walk| &walk.tracks) {
            let keeps = self.keeps(track.ranking);
            self.empty_kept(&keeps);
        }
    }

    fn taking(&mut self) -> Taking {
        let taking = Taking {
            next: self.cell(),
            id: self.cell(),
            start: self.cell(),
            expected: self.cell(),
            killed: self.cell(),
        };
        self.put_imm(taking.next, 0);
        self.put_imm(taking.killed, 0);
        taking
    }

    /// What a kill that killed somebody says of itself.
    fn finish_kill(&mut self, kill: &Kill, taking: Taking, on_progress: Block, on_nothing: Block) {
        self.in_walk = false;
        let killed = self.get(taking.killed);
        self.close_local();
        if self.says() {
            return self.say_kill(kill, killed, on_progress, on_nothing);
        }
        self.leave_if(Cond::Eq, killed, imm(0), on_nothing);
        self.note_action(say::killed(kill));
        self.b.jump(on_progress, &[]);
    }

    /// The name of the next candidate, by its cells; ends the tries when there is no further one.
    ///
    /// Where all that were kept were tried and there may be more, another walk finds those below the last.
    pub(super) fn next_candidate(
        &mut self,
        keeps: &Keeps,
        walk: Option<WalkId>,
        taking: Taking,
        waited: Option<Cell>,
        tries: &Walk,
    ) {
        let (have, over) = (self.b.create_block(), self.b.create_block());
        let (next, count) = (self.get(taking.next), self.count_kept(keeps));
        self.b.branch(Cond::Ult, next, Operand::Value(count), have, over);
        self.b.switch_to(over);
        match walk {
            Some(walk) => self.walk_again(walk, keeps, taking, waited, tries, have),
            None => self.b.jump(tries.done, &[]),
        }
        self.b.switch_to(have);
        let next = self.get(taking.next);
        let (entry, id) = self.entry_kept(keeps, next);
        self.bump(taking.next);
        let number = self.load(Size::B8, entry, id);
        self.put(taking.id, number);
        match keeps {
            Keeps::Descent(descent) => self.remember_tried(descent, number),
            Keeps::Best(kept) => {
                if kept.order.unit == Unit::Process {
                    let start = self.load(Size::B8, entry, id + 8);
                    self.put(taking.start, start);
                }
                if let Some(size) = self.footprint_of_entry(&kept.order, entry) {
                    let size = self.at_least_zero(size);
                    self.put(taking.expected, size);
                }
            }
        }
    }

    /// Fills a ranking: at first from nothing, later below the last one that was tried. Continues at `have`.
    fn walk_again(
        &mut self,
        walk: WalkId,
        keeps: &Keeps,
        taking: Taking,
        waited: Option<Cell>,
        tries: &Walk,
        have: Block,
    ) {
        let (again, run) = (self.b.create_block(), self.b.create_block());
        let next = self.get(taking.next);
        self.b.branch(Cond::Eq, next, imm(0), run, again);
        self.b.switch_to(again);
        self.leave_if(Cond::Ult, next, imm(i64::from(keeps.capacity())), tries.done);
        // Once somebody died, those that were kept are all that are tried: another walk would find the victim.
        let killed = self.get(taking.killed);
        self.leave_if(Cond::Ne, killed, imm(0), tries.done);
        self.begin_again(walk, keeps);
        self.b.jump(run, &[]);
        self.b.switch_to(run);
        self.run_walk(walk);
        if let Some(waited) = waited {
            self.wait_among_tries(walk, taking, waited, tries);
            self.note_selection_once(keeps);
        }
        self.note_kept(keeps);
        let first = self.first_untried(keeps);
        self.put(taking.next, first);
        let count = self.count_kept(keeps);
        self.b.branch(Cond::Ult, first, Operand::Value(count), have, tries.done);
    }

    /// Before another walk, for those below whom this kill has tried.
    fn begin_again(&mut self, walk: WalkId, own: &Keeps) {
        match own {
            Keeps::Best(kept) => {
                self.empty_all(walk);
                self.begin_below(kept);
            }
            Keeps::Descent(descent) => {
                let tried = self.get(descent.tried);
                self.empty_all(walk);
                self.put(descent.tried, tried);
            }
        }
    }

    /// Waits for a victim that the walk has found; continues if there is none. One that is gone in the meantime is
    /// as good as none, but then the walk ended early, and what it kept is not all: the next try begins with another.
    fn wait_among_tries(&mut self, walk: WalkId, taking: Taking, waited: Cell, tries: &Walk) {
        let (progress, defer, nobody) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let gone = self.b.create_block();
        // Who goes on later cannot leave the function in the middle of a walk.
        let suspended = self.says().then(|| (self.b.create_block(), SUSPEND));
        let outer = self.suspend;
        self.suspend = suspended.map_or(outer, |(block, _)| block);
        self.wait([progress, defer, gone], nobody);
        self.suspend = outer;
        for (block, answer) in [(progress, PROGRESS), (defer, DEFER)].into_iter().chain(suspended) {
            self.b.switch_to(block);
            self.put_imm(waited, answer);
            self.b.jump(tries.done, &[]);
        }
        self.b.switch_to(gone);
        self.empty_all(walk);
        self.put_imm(taking.next, 0);
        self.b.jump(tries.next, &[]);
        self.b.switch_to(nobody);
    }

    /// A reference on the candidate by its name; goes to `gone` if there is none any more.
    fn candidate(&mut self, unit: Unit, taking: Taking, gone: Block) -> Value {
        if self.says() {
            self.leave_refused(unit, taking, gone);
        }
        match unit {
            Unit::Process => self.task_by_name(taking.id, taking.start, gone),
            Unit::Cgroup => {
                let id = self.get(taking.id);
                let memcg = self.memcg_by_id(id, gone);
                let (same, other) = (self.b.create_block(), self.b.create_block());
                let (found, wanted) = (self.read(memcg, members::MEMCG_ID), self.get(taking.id));
                self.b.branch(Cond::Eq, found, Operand::Value(wanted), same, other);
                self.b.switch_to(other);
                self.give_back(memcg);
                self.b.jump(gone, &[]);
                self.b.switch_to(same);
                memcg
            }
        }
    }

    /// Kills a candidate, and gives the reference back; goes to `next` if nobody died.
    pub(super) fn strike(&mut self, kill: &Kill, victim: Value, taking: Taking, next: Block) {
        let unit = kill.selection.unit;
        if kill.until.is_some() {
            self.skip_the_dead(unit, victim, next);
            self.note_first(kill, victim, taking.killed);
        } else {
            self.note_whom(kill, victim);
        }
        match unit {
            _ if self.says() => self.say_victim(kill, victim, taking.expected, next),
            Unit::Process => {
                let (dead, refused) = (self.b.create_block(), self.b.create_block());
                self.kill_task(victim, kill, [dead, refused]);
                self.b.switch_to(refused);
                self.call(kfuncs::TASK_RELEASE, &[victim]);
                self.b.jump(next, &[]);
                self.b.switch_to(dead);
                self.call(kfuncs::TASK_RELEASE, &[victim]);
            }
            Unit::Cgroup => {
                let died = self.cell();
                self.put_imm(died, 0);
                self.kill_unit(victim, kill, died);
                let died = self.get(died);
                self.leave_if(Cond::Eq, died, imm(0), next);
            }
        }
        self.put_imm(taking.killed, 1);
        if kill.until.is_some() {
            self.note_expected(taking.expected);
        } else {
            let bytes = self.get(taking.expected);
            self.note(at::EXPECTED, bytes);
        }
    }

    /// Of several victims, one may have died with another.
    fn skip_the_dead(&mut self, unit: Unit, victim: Value, next: Block) {
        if unit == Unit::Process {
            let (dying, living) = (self.b.create_block(), self.b.create_block());
            self.dying(victim, dying, living);
            self.b.switch_to(dying);
            self.call(kfuncs::TASK_RELEASE, &[victim]);
            self.b.jump(next, &[]);
            self.b.switch_to(living);
        }
    }

    /// Cells of an `until`, and the amount; 0 where it is missing: then one victim is what can be justified.
    fn until(&mut self, kill: &Kill) -> Option<Until> {
        let until = kill.until?;
        let cells =
            Until { at_most: until.at_most, victims: self.cell(), freed: self.cell(), enough: self.cell() };
        self.put_imm(cells.victims, 0);
        self.put_imm(cells.freed, 0);
        self.put_imm(cells.enough, 0);
        let join = self.b.create_block();
        let amount = self.expr(until.freed, join);
        self.put(cells.enough, amount);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
        Some(cells)
    }

    /// Whether enough have died.
    fn enough(&mut self, until: Until, taking: Taking, stop: Block, go_on: Block) {
        self.bump(until.victims);
        let (so_far, more) = (self.get(until.freed), self.get(taking.expected));
        let so_far = self.add_sat(so_far, more);
        self.put(until.freed, so_far);
        let count = self.get(until.victims);
        self.leave_if(Cond::Uge, count, imm(i64::from(until.at_most)), stop);
        let enough = self.get(until.enough);
        self.b.branch(Cond::Sge, so_far, Operand::Value(enough), stop, go_on);
    }

    /// Everything that a selection finds. What is to be killed is written down first, by id, because it cannot be
    /// done where it is found.
    fn kill_all(&mut self, kill: &Kill, on_progress: Block, on_nothing: Block) {
        self.in_walk = true;
        self.note_end(End::NoCandidate);
        self.open_kill();
        let taking = self.taking();
        let killed = taking.killed;
        let selection = &kill.selection;
        let found = self.list(self.target.row().found);
        let grain = if selection.unit == Unit::Process { Grain::Each } else { Grain::Units };
        self.clear_list(found);
        self.with_rcu(|s| {
            s.walk_place(selection.place, grain, Cut::Domain, None, &[], |s, walk| {
                if selection.unit == Unit::Cgroup {
                    s.exclude_unit(walk.item, selection.place, walk.next);
                    s.bind(selection.binder, walk.item);
                    s.filter(selection, walk.next);
                }
                let id = s.read(walk.item, members::MEMCG_ID);
                s.append(found, id);
                s.b.jump(walk.next, &[]);
            });
        });
        self.each_listed(found, |s, memcg, next| {
            match selection.unit {
                Unit::Process => {
                    s.each_victim(memcg, |s, tasks, skip| {
                        s.bind(selection.binder, tasks.item);
                        s.filter(selection, skip);
                        s.kill_one_of_all(kill, Unit::Process, tasks.item, killed);
                        s.b.jump(tasks.next, &[]);
                    });
                    s.give_back(memcg);
                }
                Unit::Cgroup => {
                    s.kill_one_of_all(kill, Unit::Cgroup, memcg, killed);
                }
            }
            s.b.jump(next, &[]);
        });
        self.finish_kill(kill, taking, on_progress, on_nothing);
    }

    fn kill_one_of_all(&mut self, kill: &Kill, unit: Unit, victim: Value, killed: Cell) {
        if self.says() {
            return self.say_one_of_all(kill, unit, victim, killed);
        }
        let (expected, died, next) = (self.cell(), self.cell(), self.b.create_block());
        self.put_imm(died, 0);
        self.estimate(unit, victim, expected);
        self.note_first(kill, victim, killed);
        match unit {
            Unit::Process => self.kill_member(victim, kill, died),
            Unit::Cgroup => self.kill_unit(victim, kill, died),
        }
        let died = self.get(died);
        self.leave_if(Cond::Eq, died, imm(0), next);
        self.put_imm(killed, 1);
        self.note_expected(expected);
        self.b.jump(next, &[]);
        self.b.switch_to(next);
    }

    /// Notes the victim and the reason, unless there was a victim before.
    pub(super) fn note_first(&mut self, kill: &Kill, victim: Value, killed: Cell) {
        let (first, join) = (self.b.create_block(), self.b.create_block());
        let so_far = self.get(killed);
        self.b.branch(Cond::Eq, so_far, imm(0), first, join);
        self.b.switch_to(first);
        self.note_whom(kill, victim);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Notes the victim and the reason.
    fn note_whom(&mut self, kill: &Kill, victim: Value) {
        self.note_victim(kill.selection.unit, victim);
        if let Some(reason) = &kill.reason {
            self.bind(kill.selection.binder, victim);
            self.note_message([at::REASON, at::REASON_VALUES], reason);
        }
    }

    /// Kills one process of several, and sets a cell if it died.
    fn kill_member(&mut self, task: Value, kill: &Kill, killed: Cell) {
        let (dead, join) = (self.b.create_block(), self.b.create_block());
        self.kill_task(task, kill, [dead, join]);
        self.b.switch_to(dead);
        self.put_imm(killed, 1);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Kills one process; counts it if the kernel did. Ends the block.
    fn kill_task(&mut self, task: Value, kill: &Kill, [dead, refused]: [Block; 2]) {
        let (killed, not_killed) = (self.b.create_block(), self.b.create_block());
        let assumed = self.b.create_block();
        self.unless_audit(assumed);
        let message = self.kill_message(kill);
        let oc = self.oc;
        let result = self.call_int(kfuncs::OOM_KILL_PROCESS, &[oc, task, message]);
        self.b.branch(Cond::Eq, result, imm(0), killed, not_killed);
        self.b.switch_to(not_killed);
        self.note(at::RESULT, result);
        self.note_end(End::Refused);
        self.b.jump(refused, &[]);
        self.b.switch_to(killed);
        self.note_imm(at::RESULT, 0);
        self.count("kills");
        self.b.jump(assumed, &[]);
        self.b.switch_to(assumed);
        self.note_one_more(at::KILLED);
        self.b.jump(dead, &[]);
    }

    /// Kills every process of a unit, and gives the reference back. A cgroup walk needs RCU and a kill must
    /// not be in it: so the cgroups are written down first, by id.
    fn kill_unit(&mut self, unit: Value, kill: &Kill, killed: Cell) {
        let units = self.list(UNITS);
        self.list_unit(unit, units);
        self.give_back(unit);
        self.each_listed(units, |s, memcg, next| {
            s.walk_tasks(memcg, Tasks::Processes, None, |s, tasks| {
                s.exclude_dying(tasks.item, tasks.next);
                // Who came after the choice is as unkillable as before it.
                s.exclude_unkillable(tasks.item, tasks.next);
                s.kill_member(tasks.item, kill, killed);
                s.b.jump(tasks.next, &[]);
            });
            s.give_back(memcg);
            s.b.jump(next, &[]);
        });
    }

    /// Writes down the ids of a cgroup and all below it.
    pub(super) fn list_below(&mut self, unit: Value, units: List) {
        self.clear_list(units);
        self.with_rcu(|s| {
            let css = s.css_of(unit);
            s.walk_css(css, Order::Pre, &[], |s, walk| {
                let id = s.css_id(walk.item);
                s.append(units, id);
                s.b.jump(walk.next, &[]);
            });
        });
    }

    fn kill_message(&mut self, kill: &Kill) -> Value {
        let reason = kill.reason.as_ref().map(Message::constant);
        self.message(reason.as_deref())
    }

    /// What the kernel writes into its log beside the kill.
    pub(super) fn message(&mut self, reason: Option<&str>) -> Value {
        let policy = &self.policy.name;
        let rule = &self.rule;
        let text = match reason {
            // What all rules share is nobody's.
            Some(reason) if rule.is_empty() => format!("oomc {policy}: {reason}"),
            Some(reason) => format!("oomc {policy}, rule \"{rule}\": {reason}"),
            None => format!("oomc {policy}, rule \"{rule}\""),
        };
        self.string(&text)
    }
}

/// The cells of an `until`.
#[derive(Clone, Copy, Debug)]
struct Until {
    at_most: u8,
    victims: Cell,
    freed: Cell,
    enough: Cell,
}
