//! Numbers whose range the verifier knows, and how it is kept from using that.
//!
//! It knows what a load of four bytes cannot be, and what is computed from that; where a comparison then has only
//! one outcome, it removes the code behind the other one. The compiler could do so itself, but another kernel may
//! have the member in a wider type, and one object serves both. So such a number takes a way through the scratch
//! value, of whose contents the verifier knows nothing.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Emit;
use crate::hir::CompareOp;
use crate::ir::{FieldRef, InstData, Operand, Size, Value, ValueDef};

/// What is known of members, each looked up once: a policy of thousands of comparisons reads a few.
pub(super) type Members = RefCell<HashMap<FieldRef, Option<Known>>>;

/// How far a value is followed back to the loads that it is made of.
const DEPTH: u32 = 8;

/// What the verifier may know of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// It lies between these two.
    Within(i64, i64),
    /// Something: it was computed from what is known.
    Something,
}

impl Known {
    fn join(self, with: Self) -> Self {
        match (self, with) {
            (Self::Within(a, b), Self::Within(c, d)) => Self::Within(a.min(c), b.max(d)),
            _ => Self::Something,
        }
    }

    /// Whether a comparison can come out in one way only, as far as one knows.
    fn may_decide(self, op: CompareOp, with: Self) -> bool {
        let (Self::Within(a, b), Self::Within(c, d)) = (self, with) else { return true };
        match op {
            CompareOp::Eq | CompareOp::Ne => b < c || d < a || a == b && c == d,
            CompareOp::Lt | CompareOp::Ge => b < c || a >= d,
            CompareOp::Le | CompareOp::Gt => b <= c || a > d,
        }
    }
}

impl Emit<'_> {
    /// The two sides of a comparison, one of them hidden if the verifier might know how it comes out.
    pub(in crate::lower) fn open(&mut self, op: CompareOp, a: Value, b: Operand) -> (Value, Operand) {
        let right = match b {
            Operand::Imm(imm) => Some(Known::Within(i64::from(imm), i64::from(imm))),
            Operand::Value(b) => self.known(b, DEPTH),
        };
        match (self.known(a, DEPTH), right) {
            (Some(left), Some(right)) if left.may_decide(op, right) => match b {
                Operand::Value(b) if self.is_constant(a) => (a, Operand::Value(self.hidden(b))),
                _ => (self.hidden(a), b),
            },
            _ => (a, b),
        }
    }

    /// The same number; the verifier knows nothing of it.
    pub(in crate::lower) fn hidden(&mut self, number: Value) -> Value {
        // What is constant is computed by the compiler.
        if self.is_constant(number) {
            return number;
        }
        let cell = self.cell();
        self.put(cell, number);
        self.get(cell)
    }

    /// The same number, hidden if the verifier might know something of it.
    pub(in crate::lower) fn hidden_if_narrow(&mut self, number: Value) -> Value {
        if self.known(number, DEPTH).is_some() { self.hidden(number) } else { number }
    }

    fn is_constant(&self, number: Value) -> bool {
        matches!(self.definition(number), Some(InstData::Iconst(_)))
    }

    fn definition(&self, value: Value) -> Option<&InstData> {
        self.b.func.def_inst(value)
    }

    fn known(&self, value: Value, depth: u32) -> Option<Known> {
        let depth = depth.checked_sub(1)?;
        match self.definition(value) {
            Some(InstData::Iconst(imm)) => Some(Known::Within(*imm, *imm)),
            Some(InstData::LoadField { field, .. }) => {
                *self.known.borrow_mut().entry(*field).or_insert_with(|| self.known_member(*field))
            }
            Some(InstData::SignExtend(Size::B8, a)) => self.known(*a, depth),
            Some(InstData::SignExtend(..)) => Some(Known::Something),
            Some(InstData::Binary(_, a, b)) => {
                let constant = |known| matches!(known, Some(Known::Within(a, b)) if a == b);
                let left = self.known(*a, depth);
                let right = match b {
                    Operand::Imm(_) => None,
                    Operand::Value(b) => self.known(*b, depth),
                };
                // A constant beside something unknown leaves it unknown.
                let narrow = [left, right].into_iter().any(|known| known.is_some() && !constant(known));
                narrow.then_some(Known::Something)
            }
            Some(_) => None,
            None => self.known_param(value, depth),
        }
    }

    /// What a member's width tells.
    fn known_member(&self, field: FieldRef) -> Option<Known> {
        let field = self.b.func.refs.fields.get(field)?;
        let member = self.view.member(&field.container, &field.path)?;
        let bits = 8 * member.size;
        match (bits, member.signed) {
            (8..=32, true) => Some(Known::Within(-1 << (bits - 1), (1 << (bits - 1)) - 1)),
            (8..=32, false) => Some(Known::Within(0, (1 << bits) - 1)),
            _ => None,
        }
    }

    /// Of a block's parameter: what is known of all that is handed over, if something is of each.
    fn known_param(&self, value: Value, depth: u32) -> Option<Known> {
        let Some(ValueDef::Param(block, at)) = self.b.func.def(value) else { return None };
        let mut args = self.b.ways_to(block).filter_map(|call| call.args.get(at as usize));
        let first = self.known(*args.next()?, depth)?;
        args.try_fold(first, |known, arg| Some(known.join(self.known(*arg, depth)?)))
    }
}
