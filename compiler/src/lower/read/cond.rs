//! Conditions as control flow, with Kleene's third value as a third way out.
//!
//! The language asks most conditions in a place that decides what *unknown* does: `where` and `if` treat it as
//! false, `never` as true. There `unknown` is one of the two other blocks, and what an operator's first operand does
//! when it is unknown follows from that side, because `unknown and false` is false and `unknown or true` is true.
//! Where it is a block of its own, the second operand is asked twice: after a known first one, and after an unknown.

use super::Read;
use crate::hir::{CompareOp, ExprId, ExprKind, Ty};
use crate::ir::{Block, Cond, Operand};
use crate::lower::emit::imm;

impl Read<'_> {
    /// Evaluates a condition and ends the block.
    pub(in crate::lower) fn cond(&mut self, id: ExprId, yes: Block, no: Block, unknown: Block) {
        let Some(expr) = self.expression(id) else { return self.b.jump(unknown, &[]) };
        let outer = self.b.set_span(expr.span);
        match &expr.kind {
            _ if self.per_cgroup.contains_key(&id) => {
                let value = self.expr(id, unknown);
                self.b.branch(Cond::Ne, value, imm(0), yes, no);
            }
            ExprKind::Int(value) => self.b.jump(if *value == 0 { no } else { yes }, &[]),
            ExprKind::Not(inner) => self.cond(*inner, no, yes, unknown),
            ExprKind::And(left, right) => {
                self.connect(*left, *right, [no, yes, unknown], |s, operand, [decided, other, unknown]| {
                    s.cond(operand, other, decided, unknown);
                });
            }
            ExprKind::Or(left, right) => {
                self.connect(*left, *right, [yes, no, unknown], |s, operand, [decided, other, unknown]| {
                    s.cond(operand, decided, other, unknown);
                });
            }
            ExprKind::Compare(op, left, right) => self.compare(*op, *left, *right, yes, no, unknown),
            ExprKind::Matches(field, literals) => self.matches(*field, literals, yes, no, unknown),
            ExprKind::SameText(left, right) => self.same_text(*left, *right, yes, no, unknown),
            ExprKind::HasBits(member, bits) => self.has_bits(*member, bits, yes, no, unknown),
            ExprKind::Choice(condition, then, otherwise) if expr.ty == Ty::Bool => {
                let (first, second) = (self.b.create_block(), self.b.create_block());
                let unsure = if self.may_be_missing(*condition) { unknown } else { second };
                self.cond(*condition, first, second, unsure);
                for (block, value) in [(first, then), (second, otherwise)] {
                    self.b.switch_to(block);
                    self.cond(*value, yes, no, unknown);
                }
            }
            ExprKind::Field(subject, field) if expr.ty == Ty::Bool => {
                let value = self.subject_item(*subject, super::field::Item::Field(*field), unknown);
                self.b.branch(Cond::Ne, value, imm(0), yes, no);
            }
            ExprKind::Raw(..)
            | ExprKind::Param(_)
            | ExprKind::Label(..)
            | ExprKind::Default(..)
            | ExprKind::Quantifier(_)
                if expr.ty == Ty::Bool =>
            {
                let value = self.expr(id, unknown);
                self.b.branch(Cond::Ne, value, imm(0), yes, no);
            }
            _ => {
                self.broken("a condition is no bool");
                self.b.jump(unknown, &[]);
            }
        }
        self.b.set_span(outer);
    }

    /// Two operands of which one alone can decide the whole: a false one an `and`, a true one an `or`. `ask`
    /// evaluates one of them.
    fn connect(
        &mut self,
        left: ExprId,
        right: ExprId,
        [decided, other, unknown]: [Block; 3],
        ask: impl Fn(&mut Self, ExprId, [Block; 3]),
    ) {
        let next = self.b.create_block();
        // Where the first one is unknown, the whole is decided if the second one decides, and unknown otherwise.
        let unsure = match unknown {
            _ if unknown == decided => decided,
            _ if unknown == other || !self.may_be_missing(left) => next,
            _ => self.b.create_block(),
        };
        ask(self, left, [decided, next, unsure]);
        self.b.switch_to(next);
        ask(self, right, [decided, other, unknown]);
        if ![decided, next].contains(&unsure) {
            self.b.switch_to(unsure);
            ask(self, right, [decided, unknown, unknown]);
        }
    }

    fn compare(&mut self, op: CompareOp, left: ExprId, right: ExprId, yes: Block, no: Block, unknown: Block) {
        let a = self.expr(left, unknown);
        let b = self.operand(right, unknown);
        let (a, b) = self.open(op, a, b);
        self.b.branch(condition(op), a, b, yes, no);
    }

    /// The right side of an operation: an immediate where it fits.
    fn operand(&mut self, expr: ExprId, missing: Block) -> Operand {
        if let Some(ExprKind::Int(value)) = self.policy.exprs.get(expr).map(|expr| &expr.kind)
            && let Ok(value) = i32::try_from(*value)
            && !self.numbers_are_shared()
        {
            return Operand::Imm(value);
        }
        Operand::Value(self.expr(expr, missing))
    }
}

fn condition(op: CompareOp) -> Cond {
    match op {
        CompareOp::Eq => Cond::Eq,
        CompareOp::Ne => Cond::Ne,
        CompareOp::Lt => Cond::Slt,
        CompareOp::Le => Cond::Sle,
        CompareOp::Gt => Cond::Sgt,
        CompareOp::Ge => Cond::Sge,
    }
}
