//! Expressions as numbers. A missing value leaves to a block that the caller names.

use super::field::Item;
use super::{Number, Read};
use crate::hir::{Anchor, ArithOp, Expr, ExprId, ExprKind, RawValue, Subject, Ty};
use crate::ir::{Block, Cond, Type, Value};
use crate::lower::emit::{Cell, imm};

/// Where a value is remembered for the processes of a cgroup.
#[derive(Clone, Copy, Debug)]
pub(in crate::lower) struct Remembered {
    /// 0: nobody asked, [`THERE`] or [`ABSENT`].
    state: Cell,
    value: Cell,
}

const THERE: i32 = 1;
const ABSENT: i32 = 2;

impl Read<'_> {
    /// The value of a number or a bool; goes to `missing` if there is none.
    pub(in crate::lower) fn expr(&mut self, expr: ExprId, missing: Block) -> Value {
        match self.per_cgroup.remove(&expr) {
            Some(remembered) => {
                let value = self.remembered(expr, remembered, missing);
                self.per_cgroup.insert(expr, remembered);
                value
            }
            None => self.expr_here(expr, missing),
        }
    }

    /// The value of an expression that is found out once for the present cgroup.
    fn remembered(&mut self, expr: ExprId, remembered: Remembered, missing: Block) -> Value {
        let (fresh, absent, known) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let state = self.get(remembered.state);
        self.b.branch(Cond::Eq, state, imm(0), fresh, known);
        self.b.switch_to(fresh);
        let value = self.expr_here(expr, absent);
        self.put(remembered.value, value);
        self.put_imm(remembered.state, THERE);
        self.b.jump(known, &[]);
        // Where it is always there, nobody has placed `missing` either.
        if self.may_be_missing(expr) {
            self.b.switch_to(absent);
            self.put_imm(remembered.state, ABSENT);
            self.b.jump(known, &[]);
            self.b.switch_to(known);
            let state = self.get(remembered.state);
            self.leave_if(Cond::Eq, state, imm(i64::from(ABSENT)), missing);
        } else {
            self.b.switch_to(known);
        }
        self.get(remembered.value)
    }

    /// From here on nothing is known of a cgroup.
    pub(in crate::lower) fn forget(&mut self, exprs: &[ExprId]) {
        for expr in exprs {
            let remembered = match self.per_cgroup.get(expr) {
                Some(remembered) => *remembered,
                None => {
                    let remembered = Remembered { state: self.cell(), value: self.cell() };
                    self.per_cgroup.insert(*expr, remembered);
                    remembered
                }
            };
            self.put_imm(remembered.state, 0);
        }
    }

    fn expr_here(&mut self, id: ExprId, missing: Block) -> Value {
        let Some(expr) = self.expression(id) else { return self.int(0) };
        let outer = self.b.set_span(expr.span);
        let value = match &expr.kind {
            ExprKind::Int(value) => self.number_of_policy((id, 0), *value),
            ExprKind::Field(subject, field) => self.subject_item(*subject, Item::Field(*field), missing),
            ExprKind::Raw(subject, raw) => self.subject_item(*subject, Item::Raw(*raw), missing),
            ExprKind::Neg(inner) => {
                let inner = self.expr(*inner, missing);
                self.neg_sat(inner)
            }
            ExprKind::Arith(op, left, right) => self.arith(*op, expr, *left, *right, missing),
            ExprKind::Compare(..)
            | ExprKind::Matches(..)
            | ExprKind::SameText(..)
            | ExprKind::HasBits(..)
            | ExprKind::Not(_)
            | ExprKind::And(..)
            | ExprKind::Or(..) => self.zero_or_one(|s, yes, no| s.cond(id, yes, no, missing)),
            ExprKind::Param(param) => self.param(*param),
            ExprKind::Label(subject, label) => self.subject_item(*subject, Item::Label(*label), missing),
            ExprKind::Counter(subject, state) => self.subject_item(*subject, Item::Counter(*state), missing),
            ExprKind::Sample(sample, of) => self.sample(*sample, *of, missing),
            ExprKind::Default(value, otherwise) => self.otherwise(*value, *otherwise, missing),
            ExprKind::Choice(condition, then, otherwise) => {
                self.choice([*condition, *then, *otherwise], missing)
            }
            ExprKind::Quantifier(quantifier) => self.quantifier(id, quantifier, missing),
        };
        self.b.set_span(outer);
        value
    }

    fn arith(&mut self, op: ArithOp, expr: &Expr, left: ExprId, right: ExprId, missing: Block) -> Value {
        let a = self.expr(left, missing);
        let of_ratio = |id: ExprId| self.policy.exprs.get(id).is_some_and(|expr| expr.ty == Ty::Ratio);
        let constant = match self.policy.exprs.get(right).map(|expr| &expr.kind) {
            Some(ExprKind::Int(value)) => Some(*value),
            _ => None,
        };
        match op {
            ArithOp::Mul if of_ratio(right) => match constant {
                Some(ratio) => self.scale_constant(a, ratio),
                None => {
                    let b = self.expr(right, missing);
                    self.scale(a, b)
                }
            },
            ArithOp::Div
                if expr.ty != Ty::Ratio
                    && let Some(divisor) = constant.filter(|n| *n != 0) =>
            {
                self.div_constant(a, divisor)
            }
            ArithOp::Div if expr.ty == Ty::Ratio => {
                let b = self.expr(right, missing);
                let b = self.hidden_if_narrow(b);
                if constant.is_none_or(|constant| constant == 0) {
                    self.leave_if(Cond::Eq, b, imm(0), missing);
                }
                self.ratio(a, b)
            }
            _ => {
                let b = self.expr(right, missing);
                match op {
                    ArithOp::Add => self.add_sat(a, b),
                    ArithOp::Sub => self.sub_sat(a, b),
                    ArithOp::Mul => self.mul_sat(a, b),
                    ArithOp::Div => self.div_sat(a, b, missing),
                }
            }
        }
    }

    /// One of two values, by a condition; missing where that is unknown.
    fn choice(&mut self, [condition, then, otherwise]: [ExprId; 3], missing: Block) -> Value {
        let (yes, no, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        // Where nothing can be missing, nobody has placed `missing` either.
        let unknown = if self.may_be_missing(condition) { missing } else { no };
        self.cond(condition, yes, no, unknown);
        for (block, value) in [(yes, then), (no, otherwise)] {
            self.b.switch_to(block);
            let value = self.expr(value, missing);
            self.b.jump(join, &[value]);
        }
        self.b.switch_to(join);
        result
    }

    /// 1 where a part goes to the first block, 0 where it goes to the second one.
    pub(super) fn zero_or_one(&mut self, part: impl FnOnce(&mut Self, Block, Block)) -> Value {
        let (yes, no, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        part(self, yes, no);
        for (block, value) in [(yes, 1), (no, 0)] {
            self.b.switch_to(block);
            let value = self.int(value);
            self.b.jump(join, &[value]);
        }
        self.b.switch_to(join);
        result
    }

    /// Whether the value of an expression can be missing at all.
    pub(in crate::lower) fn may_be_missing(&self, expr: ExprId) -> bool {
        // One that the policy lacks is found where it is evaluated.
        let Some(expr) = self.policy.exprs.get(expr) else { return false };
        match &expr.kind {
            ExprKind::Int(_)
            | ExprKind::Param(_)
            | ExprKind::Label(Subject::Candidate(_) | Subject::Anchor(Anchor::Cgroup), _) => false,
            ExprKind::Label(..) | ExprKind::Counter(..) | ExprKind::Sample(..) | ExprKind::Quantifier(_) => {
                true
            }
            ExprKind::Default(a, b) => self.may_be_missing(*a) && self.may_be_missing(*b),
            // The parent, or the cgroup of the policy, may be gone.
            ExprKind::Field(
                Subject::Anchor(Anchor::Parent | Anchor::Attached)
                | Subject::Home(_)
                | Subject::Parent(_)
                | Subject::Pick(_),
                _,
            ) => true,
            ExprKind::Field(_, field) => !field.row().missing.is_empty(),
            ExprKind::Raw(subject, raw) => {
                let there = matches!(
                    subject,
                    Subject::Candidate(_) | Subject::Event | Subject::Anchor(Anchor::Cgroup)
                );
                // A bit-field is copied, and a copy can fail.
                !there
                    || self.policy.raws.get(*raw).is_none_or(|raw| {
                        raw.path.contains("->") || matches!(raw.value, RawValue::Bits { .. })
                    })
            }
            ExprKind::Neg(a) | ExprKind::Not(a) => self.may_be_missing(*a),
            ExprKind::Arith(ArithOp::Div, a, b) => {
                self.may_be_missing(*a)
                    || !matches!(self.policy.exprs.get(*b).map(|b| &b.kind), Some(ExprKind::Int(n)) if *n != 0)
            }
            ExprKind::Arith(_, a, b)
            | ExprKind::Compare(_, a, b)
            | ExprKind::And(a, b)
            | ExprKind::Or(a, b) => self.may_be_missing(*a) || self.may_be_missing(*b),
            ExprKind::HasBits(a, _) => self.may_be_missing(*a),
            ExprKind::Choice(a, b, c) => [a, b, c].into_iter().any(|part| self.may_be_missing(*part)),
            ExprKind::SameText(..) => true,
            // What the event is, is known; any other string may be one that cannot be read.
            ExprKind::Matches(field, _) => !matches!(
                self.policy.exprs.get(*field).map(|field| &field.kind),
                Some(ExprKind::Field(Subject::Event, _))
            ),
        }
    }

    /// Leaves to `missing` if the value is negative: for results that hold an errno.
    pub(in crate::lower) fn missing_if_negative(&mut self, value: Value, missing: Block) {
        self.leave_if(Cond::Slt, value, imm(0), missing);
    }

    /// A number of the policy: a constant, or what differs between searches that share their code.
    pub(in crate::lower) fn number_of_policy(&mut self, of: Number, number: i64) -> Value {
        if self.numbers.is_none() {
            return self.int(number);
        }
        let cell = self.cell();
        if let Some(numbers) = &mut self.numbers {
            numbers.push((cell, of));
        }
        self.get(cell)
    }

    /// Whether numbers of the policy are not known where they are used.
    pub(in crate::lower) fn numbers_are_shared(&self) -> bool {
        self.numbers.is_some()
    }
}
