//! Quantifiers: what holds for, or is the sum over, the elements of a place.
//!
//! The result grows in the scratch value while the elements are walked. Unknown is a flag beside it, which a walk
//! that could not start sets, too.

use super::Read;
use super::place::{Cut, Grain, Places};
use crate::hir::{ExprId, ExprKind, Quant, Quantifier, Unit};
use crate::ir::{Block, Cond, Operand, Type, Value};
use crate::lower::emit::{Cell, Tasks, Walk, Walks, imm};

/// What a quantifier comes to.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Result {
    value: Cell,
    /// Not 0: something was unknown.
    unknown: Cell,
    /// Not 0: nothing can change the value any more; of a `max` or `min`, that there is one.
    decided: Cell,
}

impl<'a> Read<'a> {
    /// The value of a quantifier; bools are 0 and 1.
    pub(super) fn quantifier(&mut self, id: ExprId, quantifier: &Quantifier, missing: Block) -> Value {
        let found = self.found_among_members.get(&id).copied();
        let result = found.unwrap_or_else(|| self.walk_elements(quantifier));
        self.value_of(quantifier, result, missing)
    }

    fn begin_quantifier(&mut self, quantifier: &Quantifier) -> Result {
        let result = Result { value: self.cell(), unknown: self.cell(), decided: self.cell() };
        self.put_imm(result.value, i32::from(quantifier.quant == Quant::Every));
        self.put_imm(result.unknown, 0);
        self.put_imm(result.decided, 0);
        result
    }

    /// Begins a quantifier over the processes of a cgroup whose members somebody is going to walk.
    pub(in crate::lower) fn begin_among_members(&mut self, id: ExprId) {
        let quantifier = self.quantifier_at(id);
        let begun = quantifier.map(|quantifier| self.begin_quantifier(quantifier));
        match begun {
            Some(result) => drop(self.found_among_members.insert(id, result)),
            None => drop(self.broken("what is asked among members is no quantifier")),
        }
    }

    /// What one of these processes adds; goes on behind it.
    pub(in crate::lower) fn ask_member(&mut self, id: ExprId, task: Value) {
        let (Some(quantifier), Some(result)) =
            (self.quantifier_at(id), self.found_among_members.get(&id).copied())
        else {
            self.broken("a member is asked what nobody began to ask");
            return;
        };
        let next = self.b.create_block();
        if matches!(quantifier.quant, Quant::Any | Quant::Every) {
            let decided = self.get(result.decided);
            self.leave_if(Cond::Ne, decided, imm(0), next);
        }
        self.bind(quantifier.binder, task);
        self.element(quantifier, result, &Walk { item: task, carried: Vec::new(), next, done: next });
        self.b.switch_to(next);
    }

    fn quantifier_at(&self, id: ExprId) -> Option<&'a Quantifier> {
        match &self.policy.exprs.get(id)?.kind {
            ExprKind::Quantifier(quantifier) => Some(quantifier),
            _ => None,
        }
    }

    /// Asks all elements of the place.
    fn walk_elements(&mut self, quantifier: &Quantifier) -> Result {
        let result = self.begin_quantifier(quantifier);
        let grain = if quantifier.unit == Unit::Process { Grain::Each } else { Grain::Units };
        self.with_rcu(|s| {
            let failed = Some(result.unknown);
            s.walk_place(quantifier.place, grain, Cut::Nothing, failed, &[], |s, walk| {
                match quantifier.unit {
                    Unit::Cgroup => {
                        s.bind(quantifier.binder, walk.item);
                        s.element(quantifier, result, &walk);
                    }
                    Unit::Process => {
                        s.at_home(walk.item, |s| {
                            s.walk_tasks(walk.item, Tasks::Processes, Some(result.unknown), |s, tasks| {
                                s.bind(quantifier.binder, tasks.item);
                                s.element(quantifier, result, &tasks);
                            });
                        });
                        match quantifier.quant {
                            Quant::Any | Quant::Every => {
                                let decided = s.get(result.decided);
                                s.b.branch(Cond::Ne, decided, imm(0), walk.done, walk.next);
                            }
                            _ => s.b.jump(walk.next, &[]),
                        }
                    }
                }
            });
        });
        result
    }

    /// What was found; goes to `missing` where that is unknown.
    fn value_of(&mut self, quantifier: &Quantifier, result: Result, missing: Block) -> Value {
        match quantifier.quant {
            Quant::Max | Quant::Min => {
                self.missing_if(result.unknown, missing);
                let found = self.get(result.decided);
                self.leave_if(Cond::Eq, found, imm(0), missing);
            }
            Quant::Any | Quant::Every => {
                let decided = self.get(result.decided);
                let (sure, open) = (self.b.create_block(), self.b.create_block());
                self.b.branch(Cond::Ne, decided, imm(0), sure, open);
                self.b.switch_to(open);
                let unknown = self.get(result.unknown);
                self.b.branch(Cond::Ne, unknown, imm(0), missing, sure);
                self.b.switch_to(sure);
            }
            Quant::Count | Quant::Sum => self.missing_if(result.unknown, missing),
        }
        self.get(result.value)
    }

    /// What one element adds; goes on with the walk, or ends it.
    fn element(&mut self, quantifier: &Quantifier, result: Result, walk: &Walk) {
        let (yes, no, unsure) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        match quantifier.filter {
            Some(filter) => self.guard(filter, Some(walk.item), yes, no, unsure),
            None => self.b.jump(yes, &[]),
        }
        self.b.switch_to(yes);
        match quantifier.quant {
            Quant::Any => self.decide(result, 1, walk),
            Quant::Every => self.b.jump(walk.next, &[]),
            Quant::Count => {
                self.bump(result.value);
                self.b.jump(walk.next, &[]);
            }
            Quant::Sum => {
                let more = match quantifier.value {
                    Some(value) => self.expr(value, unsure),
                    None => self.broken("a sum of nothing"),
                };
                let so_far = self.get(result.value);
                let sum = self.add_sat(so_far, more);
                self.put(result.value, sum);
                self.b.jump(walk.next, &[]);
            }
            Quant::Max | Quant::Min => {
                let other = match quantifier.value {
                    Some(value) => self.expr(value, unsure),
                    None => self.broken("the largest of nothing"),
                };
                self.keep_extreme(quantifier.quant, result, other, walk);
            }
        }
        self.b.switch_to(no);
        match quantifier.quant {
            Quant::Every => self.decide(result, 0, walk),
            _ => self.b.jump(walk.next, &[]),
        }
        self.b.switch_to(unsure);
        self.put_imm(result.unknown, 1);
        self.b.jump(walk.next, &[]);
    }

    /// Keeps a value that is the first, or larger (`max`) or smaller (`min`) than those before it.
    fn keep_extreme(&mut self, quant: Quant, result: Result, value: Value, walk: &Walk) {
        let (known, better) = (self.b.create_block(), self.b.create_block());
        let value = self.hidden_if_narrow(value);
        let found = self.get(result.decided);
        self.b.branch(Cond::Eq, found, imm(0), better, known);
        self.b.switch_to(known);
        let so_far = self.get(result.value);
        let wins = if quant == Quant::Max { Cond::Sgt } else { Cond::Slt };
        self.b.branch(wins, value, Operand::Value(so_far), better, walk.next);
        self.b.switch_to(better);
        self.put(result.value, value);
        self.put_imm(result.decided, 1);
        self.b.jump(walk.next, &[]);
    }

    fn decide(&mut self, result: Result, value: i32, walk: &Walk) {
        self.put_imm(result.value, value);
        self.put_imm(result.decided, 1);
        self.b.jump(walk.done, &[]);
    }

    /// The value of a default where the first one is missing.
    pub(in crate::lower) fn otherwise(&mut self, value: ExprId, otherwise: ExprId, missing: Block) -> Value {
        // A default that is never needed may still be missing, and then nobody waits for that.
        if !self.may_be_missing(value) {
            return self.expr(value, missing);
        }
        let (absent, join) = (self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let found = self.expr(value, absent);
        self.b.jump(join, &[found]);
        self.b.switch_to(absent);
        let default = self.expr(otherwise, missing);
        self.b.jump(join, &[default]);
        self.b.switch_to(join);
        result
    }

    /// Leaves to `missing` where a flag is set.
    pub(in crate::lower) fn missing_if(&mut self, flag: Cell, missing: Block) {
        let flag = self.get(flag);
        self.leave_if(Cond::Ne, flag, imm(0), missing);
    }
}
