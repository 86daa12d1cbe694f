//! `kill`: chooses under RCU, acts outside of it, and goes on to the next candidate when the kernel refuses.

use oomc_abi::kfuncs;
use oomc_abi::members;
use oomc_abi::record::{Action, End, MAX_CANDIDATES, at};

use super::list::{FOUND, List, UNITS};
use super::place::{Cut, Grain};
use super::scratch::Cell;
use super::walk::{Order, Tasks};
use super::{Lower, imm};
use crate::hir::{Kill, Message, Unit};
use crate::ir::{Block, Cond, Operand, Value};

/// How many candidates of one selection are tried. The tests before a kill are the kernel's own, so a
/// refusal is a race with an exit; each try is a whole walk with `oom_lock` held.
pub(super) const MAX_TRIES: i32 = 32;

impl Lower<'_> {
    pub(super) fn kill(&mut self, kill: &Kill, on_progress: Block, on_nothing: Block) {
        if !kill.now {
            let nobody = self.b.create_block();
            self.in_flight(on_progress, nobody);
            self.b.switch_to(nobody);
        }
        self.in_walk = true;
        let mut asked = self.never_conditions();
        asked.extend(self.policy.preferences.iter().map(|preference| preference.condition));
        asked.extend(kill.selection.filter);
        asked.extend(kill.selection.keys.iter().map(|key| key.expr));
        asked.extend(kill.until.iter().map(|until| until.freed));
        asked.extend(kill.reason.iter().flat_map(Message::values));
        self.prefetch(&asked);
        self.note_end(End::NoCandidate);
        self.open_kill();
        let killed = self.cell();
        self.put_imm(killed, 0);
        if kill.selection.all {
            self.kill_all(kill, killed);
        } else {
            self.kill_ranked(kill, killed);
        }
        self.in_walk = false;
        let killed = self.get(killed);
        self.close_local();
        self.leave_if(Cond::Eq, killed, imm(0), on_nothing);
        self.note_action(match (kill.selection.all, kill.selection.unit) {
            (true, _) => Action::KillAll,
            (false, Unit::Process) => Action::KillProcess,
            (false, Unit::Cgroup) => Action::KillCgroup,
        });
        self.b.jump(on_progress, &[]);
    }

    /// The best candidate, and the next one where the kernel refuses it; with `until`, further ones.
    ///
    /// Each victim is a walk of its own, below the one before in the ranking: nothing has to be kept sorted, and
    /// a process cannot be mistaken for another one that got its id in the meantime. The walks go on until the
    /// record has its candidates; that costs time, but after the kill.
    fn kill_ranked(&mut self, kill: &Kill, killed: Cell) {
        let ranking = self.ranking(&kill.selection, true);
        let until = kill.until.map(|until| {
            let (victims, freed, enough) = (self.cell(), self.cell(), self.cell());
            self.put_imm(victims, 0);
            self.put_imm(freed, 0);
            // Where the amount is missing, one victim is what can be justified.
            let (known, unknown, join) =
                (self.b.create_block(), self.b.create_block(), self.b.create_block());
            let amount = self.expr(until.freed, unknown);
            self.b.jump(known, &[]);
            self.b.switch_to(known);
            self.put(enough, amount);
            self.b.jump(join, &[]);
            self.b.switch_to(unknown);
            self.put_imm(enough, 0);
            self.b.jump(join, &[]);
            self.b.switch_to(join);
            (until.at_most, victims, freed, enough)
        });
        // Not 0: nobody more is to die. What is looked at from then on is for the record.
        let done = self.cell();
        self.put_imm(done, 0);
        self.note_selection();
        self.walk_numbers(MAX_TRIES, |s, tries| {
            let victim = s.search(&kill.selection, &ranking);
            s.leave_if(Cond::Eq, victim, imm(0), tries.done);
            if !s.searches_apart() {
                s.note_candidate(&ranking, kill.selection.unit, victim);
            }
            let (expected, died) = (s.cell(), s.cell());
            let (act, look, go_on) = (s.b.create_block(), s.b.create_block(), s.b.create_block());
            let enough = s.get(done);
            s.b.branch(Cond::Ne, enough, imm(0), look, act);
            s.b.switch_to(look);
            s.call(release(kill.selection.unit), &[victim]);
            s.b.jump(go_on, &[]);

            s.b.switch_to(act);
            s.put_imm(died, 0);
            s.estimate(kill.selection.unit, victim, expected);
            s.note_first(kill, victim, killed);
            match kill.selection.unit {
                Unit::Process => {
                    s.kill_task(victim, kill, died);
                    s.call(kfuncs::TASK_RELEASE, &[victim]);
                }
                Unit::Cgroup => s.kill_unit(victim, kill, died),
            }
            let died = s.get(died);
            s.leave_if(Cond::Eq, died, imm(0), go_on);
            s.put_imm(killed, 1);
            s.note_expected(expected);
            let stop = s.b.create_block();
            match until {
                Some((at_most, victims, freed, enough)) => {
                    s.bump(victims);
                    let (so_far, more) = (s.get(freed), s.get(expected));
                    let so_far = s.add_sat(so_far, more);
                    s.put(freed, so_far);
                    let count = s.get(victims);
                    s.leave_if(Cond::Uge, count, imm(i64::from(at_most)), stop);
                    let (so_far, enough) = (s.get(freed), s.get(enough));
                    s.b.branch(Cond::Sge, so_far, Operand::Value(enough), stop, go_on);
                }
                None => s.b.jump(stop, &[]),
            }
            s.b.switch_to(stop);
            s.put_imm(done, 1);
            s.b.jump(go_on, &[]);

            s.b.switch_to(go_on);
            if !s.searches_apart() {
                s.lower_ceiling(&ranking);
            }
            let more = s.b.create_block();
            let enough = s.get(done);
            s.leave_if(Cond::Eq, enough, imm(0), tries.next);
            s.b.jump(more, &[]);
            s.b.switch_to(more);
            let told = s.noted(at::CANDIDATES);
            s.b.branch(Cond::Uge, told, imm(MAX_CANDIDATES as i64), tries.done, tries.next);
        });
    }

    /// Everything that a selection finds. What is to be killed is written down first, by id, because it cannot be
    /// done where it is found.
    fn kill_all(&mut self, kill: &Kill, killed: Cell) {
        let selection = &kill.selection;
        let found = self.list(FOUND);
        let grain = if selection.unit == Unit::Process { Grain::Each } else { Grain::Units };
        self.clear_list(found);
        self.with_rcu(|s| {
            s.walk_place(selection.place, grain, Cut::Domain, &[], |s, walk| {
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
                    s.each_victim(memcg, &[], |s, tasks, skip| {
                        s.bind(selection.binder, tasks.item);
                        s.filter(selection, skip);
                        s.kill_one_of_all(kill, Unit::Process, tasks.item, killed);
                        s.b.jump(tasks.next, &[]);
                    });
                    s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
                }
                Unit::Cgroup => {
                    s.kill_one_of_all(kill, Unit::Cgroup, memcg, killed);
                }
            }
            s.b.jump(next, &[]);
        });
    }

    fn kill_one_of_all(&mut self, kill: &Kill, unit: Unit, victim: Value, killed: Cell) {
        let (expected, died, next) = (self.cell(), self.cell(), self.b.create_block());
        self.put_imm(died, 0);
        self.estimate(unit, victim, expected);
        self.note_first(kill, victim, killed);
        match unit {
            Unit::Process => self.kill_task(victim, kill, died),
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
    fn note_first(&mut self, kill: &Kill, victim: Value, killed: Cell) {
        let (first, join) = (self.b.create_block(), self.b.create_block());
        let so_far = self.get(killed);
        self.b.branch(Cond::Eq, so_far, imm(0), first, join);
        self.b.switch_to(first);
        self.note_victim(kill.selection.unit, victim);
        if let Some(reason) = &kill.reason {
            self.bind(kill.selection.binder, victim);
            self.note_message(at::REASON, reason);
        }
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Kills one process; counts it if the kernel did.
    fn kill_task(&mut self, task: Value, kill: &Kill, killed: Cell) {
        let (dead, refused) = (self.b.create_block(), self.b.create_block());
        let (assumed, join) = (self.b.create_block(), self.b.create_block());
        self.unless_audit(assumed);
        let message = self.kill_message(kill);
        let result = self.call_int(kfuncs::OOM_KILL_PROCESS, &[self.oc, task, message]);
        self.b.branch(Cond::Eq, result, imm(0), dead, refused);
        self.b.switch_to(refused);
        self.note(at::RESULT, result);
        self.note_end(End::Refused);
        self.b.jump(join, &[]);
        self.b.switch_to(dead);
        self.note_imm(at::RESULT, 0);
        self.count("kills");
        self.b.jump(assumed, &[]);
        self.b.switch_to(assumed);
        self.note_one_more(at::KILLED);
        self.put_imm(killed, 1);
        self.b.jump(join, &[]);
        self.b.switch_to(join);
    }

    /// Kills every process of a unit, and gives the reference back. A cgroup walk needs RCU and a kill must
    /// not be in it: so the cgroups are written down first, by id.
    fn kill_unit(&mut self, unit: Value, kill: &Kill, killed: Cell) {
        let units = self.list(UNITS);
        self.list_unit(unit, units);
        self.call(kfuncs::PUT_MEM_CGROUP, &[unit]);
        self.each_listed(units, |s, memcg, next| {
            let css = s.css_of(memcg);
            s.walk_tasks(css, Tasks::Processes, None, &[], |s, tasks| {
                s.exclude_dying(tasks.item, tasks.next);
                // Who came after the choice is as unkillable as before it.
                s.exclude_unkillable(tasks.item, tasks.next);
                s.kill_task(tasks.item, kill, killed);
                s.b.jump(tasks.next, &[]);
            });
            s.call(kfuncs::PUT_MEM_CGROUP, &[memcg]);
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

fn release(unit: Unit) -> kfuncs::KfuncId {
    match unit {
        Unit::Process => kfuncs::TASK_RELEASE,
        Unit::Cgroup => kfuncs::PUT_MEM_CGROUP,
    }
}
