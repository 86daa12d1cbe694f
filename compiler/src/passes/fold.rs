//! Computes constants and uses algebraic identities.
//!
//! Never folds what only the target knows: `field.exists`, `enum.value`, `enum.exists`, `type.id`,
//! `ksym.addr`.

use super::Replace;
use crate::ir::cfg;
use crate::ir::{BinOp, Block, BlockCall, Cond, Function, Inst, InstData, Operand, Size, Value};

/// Runs the pass.
pub fn run(func: &mut Function) -> bool {
    let mut fold = Fold { replace: Replace::default(), changed: false };
    // Definitions before uses, so one round sees a chain of constants.
    for block in cfg::postorder(func).into_iter().rev() {
        fold.block(func, block);
    }
    fold.replace.apply(func);
    fold.changed
}

struct Fold {
    replace: Replace,
    changed: bool,
}

/// What an instruction becomes.
enum Outcome {
    /// Another instruction with the same result.
    Data(InstData),
    /// Nothing: its result is another value.
    Value(Value),
}

impl Fold {
    fn block(&mut self, func: &mut Function, block: Block) {
        for at in 0..func.blocks[block].insts.len() {
            let Some(&inst) = func.blocks[block].insts.get(at) else { break };
            self.replace.apply_to(&mut func.insts[inst]);
            // Each step may make the next possible.
            while let Some(outcome) = self.step(func, inst) {
                self.changed = true;
                match outcome {
                    Outcome::Data(data) => func.insts[inst] = data,
                    Outcome::Value(value) => {
                        if let Some(result) = func.results[inst] {
                            self.replace.set(result, value);
                        }
                        // Nobody reads it any more; dce takes it.
                        break;
                    }
                }
            }
        }
    }

    fn constant(&self, func: &Function, value: Value) -> Option<i64> {
        match func.def_inst(value) {
            Some(InstData::Iconst(imm)) => Some(*imm),
            _ => None,
        }
    }

    fn operand(&self, func: &Function, operand: Operand) -> Option<i64> {
        match operand {
            Operand::Imm(imm) => Some(i64::from(imm)),
            Operand::Value(value) => self.constant(func, value),
        }
    }

    /// An operand as an immediate, where it is a constant that fits and is not one yet.
    fn immediate(&self, func: &Function, operand: Operand) -> Option<Operand> {
        match operand {
            Operand::Imm(_) => None,
            Operand::Value(value) => i32::try_from(self.constant(func, value)?).ok().map(Operand::Imm),
        }
    }

    fn step(&self, func: &Function, inst: Inst) -> Option<Outcome> {
        match func.insts[inst] {
            InstData::Binary(op, a, b) => self.binary(func, op, a, b),
            InstData::SignExtend(size, a) => self.sign_extend(func, size, a),
            InstData::Store { size, ptr, offset, value } => {
                let value = self.immediate(func, value)?;
                Some(Outcome::Data(InstData::Store { size, ptr, offset, value }))
            }
            InstData::PtrAdd(ptr, value) => self.ptr_add(func, ptr, value),
            InstData::Return(value) => Some(Outcome::Data(InstData::Return(self.immediate(func, value)?))),
            InstData::Branch { cond, a, b, ref then, ref otherwise } => {
                self.branch(func, cond, a, b, [then, otherwise])
            }
            _ => None,
        }
    }

    fn branch(
        &self,
        func: &Function,
        cond: Cond,
        a: Value,
        b: Operand,
        [then, otherwise]: [&BlockCall; 2],
    ) -> Option<Outcome> {
        if let (Some(x), Some(y)) = (self.constant(func, a), self.operand(func, b)) {
            let taken = if holds(cond, x, y) { then } else { otherwise };
            return Some(Outcome::Data(InstData::Jump(taken.clone())));
        }
        let swap = self.constant(func, a).is_some();
        let (cond, a, b, changed) = match b {
            Operand::Value(right) if swap => (cond.swapped(), right, Operand::Value(a), true),
            _ => match self.immediate(func, b) {
                Some(immediate) => (cond, a, immediate, true),
                None => (cond, a, b, false),
            },
        };
        // Nothing is below the smallest number or above the largest one. The verifier knows, and would
        // remove the branch.
        match (cond, self.operand(func, b)) {
            (Cond::Ult, Some(0))
            | (Cond::Ugt, Some(-1))
            | (Cond::Slt, Some(i64::MIN))
            | (Cond::Sgt, Some(i64::MAX)) => Some(Outcome::Data(InstData::Jump(otherwise.clone()))),
            (Cond::Uge, Some(0))
            | (Cond::Ule, Some(-1))
            | (Cond::Sge, Some(i64::MIN))
            | (Cond::Sle, Some(i64::MAX)) => Some(Outcome::Data(InstData::Jump(then.clone()))),
            _ if !changed => None,
            _ => {
                let (then, otherwise) = (then.clone(), otherwise.clone());
                Some(Outcome::Data(InstData::Branch { cond, a, b, then, otherwise }))
            }
        }
    }

    fn binary(&self, func: &Function, op: BinOp, a: Value, b: Operand) -> Option<Outcome> {
        let data = |op, a, b| Some(Outcome::Data(InstData::Binary(op, a, b)));
        let constant = |imm| Some(Outcome::Data(InstData::Iconst(imm)));
        let (left, right) = (self.constant(func, a), self.operand(func, b));
        if let (Some(x), Some(y)) = (left, right) {
            return constant(compute(op, x, y));
        }
        let commutes = matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor);
        if let (Some(_), Operand::Value(value), true) = (left, b, commutes) {
            return data(op, value, Operand::Value(a));
        }
        if Operand::Value(a) == b {
            match op {
                BinOp::Sub | BinOp::Xor => return constant(0),
                BinOp::And | BinOp::Or => return Some(Outcome::Value(a)),
                _ => {}
            }
        }
        let y = right?;
        if let Some(outcome) = identity(op, a, y) {
            return Some(outcome);
        }
        match self.joined(func, op, a, y) {
            Some(outcome) => Some(outcome),
            None => data(op, a, self.immediate(func, b)?),
        }
    }

    /// Two operations of the same kind with constants, as one.
    fn joined(&self, func: &Function, op: BinOp, a: Value, y: i64) -> Option<Outcome> {
        let Some(InstData::Binary(inner, x, c)) = func.def_inst(a) else { return None };
        let c = self.operand(func, *c).filter(|_| *inner == op)?;
        let joined = match op {
            BinOp::Add => i32::try_from(c.wrapping_add(y)).ok()?,
            BinOp::And => i32::try_from(c & y).ok()?,
            BinOp::Or => i32::try_from(c | y).ok()?,
            BinOp::Xor => i32::try_from(c ^ y).ok()?,
            BinOp::Shl | BinOp::Ushr if c & 63 == c && y & 63 == y && c + y < 64 => (c + y) as i32,
            _ => return None,
        };
        Some(Outcome::Data(InstData::Binary(op, *x, Operand::Imm(joined))))
    }

    fn sign_extend(&self, func: &Function, size: Size, a: Value) -> Option<Outcome> {
        if let Some(imm) = self.constant(func, a) {
            return Some(Outcome::Data(InstData::Iconst(extend(size, imm))));
        }
        if size == Size::B8 {
            return Some(Outcome::Value(a));
        }
        match func.def_inst(a) {
            Some(InstData::SignExtend(inner, _)) if inner.bytes() <= size.bytes() => Some(Outcome::Value(a)),
            _ => None,
        }
    }

    fn ptr_add(&self, func: &Function, ptr: Value, value: Value) -> Option<Outcome> {
        let offset = self.constant(func, value)?;
        if offset == 0 {
            return Some(Outcome::Value(ptr));
        }
        match func.def_inst(ptr) {
            Some(&InstData::GlobalAddr { global, offset: base }) => {
                let offset = u32::try_from(i64::from(base) + offset).ok()?;
                let inside =
                    func.refs.globals.get(global).is_some_and(|data| (offset as usize) < data.data.len());
                inside.then_some(Outcome::Data(InstData::GlobalAddr { global, offset }))
            }
            _ => None,
        }
    }
}

/// What an operation on a value and a constant is, if there is something simpler.
fn identity(op: BinOp, a: Value, y: i64) -> Option<Outcome> {
    let data = |op, imm| Some(Outcome::Data(InstData::Binary(op, a, Operand::Imm(imm))));
    let constant = |imm| Some(Outcome::Data(InstData::Iconst(imm)));
    match (op, y) {
        (BinOp::Add | BinOp::Sub | BinOp::Or | BinOp::Xor | BinOp::Shl | BinOp::Ushr | BinOp::Sshr, 0)
        | (BinOp::Mul | BinOp::Udiv | BinOp::Sdiv, 1)
        | (BinOp::And, -1)
        | (BinOp::Umod, 0) => Some(Outcome::Value(a)),
        (BinOp::Mul | BinOp::And | BinOp::Udiv | BinOp::Sdiv, 0) | (BinOp::Umod, 1) => constant(0),
        (BinOp::Or, -1) => constant(-1),
        // One instruction of one cycle instead of a division.
        (BinOp::Mul, y) if (y as u64).is_power_of_two() => data(BinOp::Shl, y.trailing_zeros() as i32),
        (BinOp::Udiv, y) if (y as u64).is_power_of_two() => data(BinOp::Ushr, y.trailing_zeros() as i32),
        (BinOp::Umod, y) if (y as u64).is_power_of_two() => {
            data(BinOp::And, i32::try_from(y.wrapping_sub(1)).ok()?)
        }
        // Addition has more identities than subtraction.
        (BinOp::Sub, y) => data(BinOp::Add, i32::try_from(-i128::from(y)).ok()?),
        _ => None,
    }
}

/// Keeps the low bits and extends the sign.
#[must_use]
pub fn extend(size: Size, value: i64) -> i64 {
    match size {
        Size::B1 => i64::from(value as i8),
        Size::B2 => i64::from(value as i16),
        Size::B4 => i64::from(value as i32),
        Size::B8 => value,
    }
}

/// What an operator gives.
#[must_use]
pub fn compute(op: BinOp, a: i64, b: i64) -> i64 {
    let (ua, ub) = (a as u64, b as u64);
    match op {
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::Udiv => ua.checked_div(ub).unwrap_or(0) as i64,
        BinOp::Sdiv if b == 0 => 0,
        BinOp::Sdiv => a.wrapping_div(b),
        BinOp::Umod => ua.checked_rem(ub).unwrap_or(ua) as i64,
        BinOp::And => a & b,
        BinOp::Or => a | b,
        BinOp::Xor => a ^ b,
        BinOp::Shl => a.wrapping_shl(b as u32),
        BinOp::Ushr => ua.wrapping_shr(b as u32) as i64,
        BinOp::Sshr => a.wrapping_shr(b as u32),
    }
}

/// Whether a condition holds.
#[must_use]
pub fn holds(cond: Cond, a: i64, b: i64) -> bool {
    let (ua, ub) = (a as u64, b as u64);
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::Ult => ua < ub,
        Cond::Ule => ua <= ub,
        Cond::Ugt => ua > ub,
        Cond::Uge => ua >= ub,
        Cond::Slt => a < b,
        Cond::Sle => a <= b,
        Cond::Sgt => a > b,
        Cond::Sge => a >= b,
        Cond::Test => a & b != 0,
    }
}
