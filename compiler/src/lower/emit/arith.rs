//! Arithmetic of the language in 64-bit instructions: signed, saturating, without a wrap anywhere.
//!
//! Most of it has no branches: a branch doubles the states that the kernel's verifier has to follow.

use super::{Emit, imm};
use crate::hir::RATIO_ONE;
use crate::ir::{BinOp, Block, Cond, Operand, Type, Value};

/// From here on a remainder times 100 could overflow.
const RATIO_SHIFT_FROM: i64 = 1 << 56;

impl Emit<'_> {
    /// A number of pages of the kernel compiled for, at most what its counters hold: the product fits.
    pub(in crate::lower) fn pages_to_bytes(&mut self, pages: Value) -> Value {
        self.bin_imm(BinOp::Shl, pages, self.page_shift())
    }

    /// Whole pages.
    pub(in crate::lower) fn bytes_to_pages(&mut self, bytes: Value) -> Value {
        self.bin_imm(BinOp::Ushr, bytes, self.page_shift())
    }

    /// What a counter without a limit holds, in pages.
    pub(in crate::lower) fn unlimited(&mut self) -> Value {
        self.int(self.view.page_counter_max())
    }

    fn page_shift(&self) -> i32 {
        self.view.page_size().trailing_zeros() as i32
    }

    /// `a + b`, saturating.
    pub(in crate::lower) fn add_sat(&mut self, a: Value, b: Value) -> Value {
        let sum = self.bin(BinOp::Add, a, b);
        // Overflow: both operands have the sign that the sum has not.
        let (left, right) = (self.bin(BinOp::Xor, a, sum), self.bin(BinOp::Xor, b, sum));
        self.saturate(a, sum, left, right)
    }

    /// `a - b`, saturating.
    pub(in crate::lower) fn sub_sat(&mut self, a: Value, b: Value) -> Value {
        let difference = self.bin(BinOp::Sub, a, b);
        // Overflow: the operands' signs differ, and the difference has not the sign of `a`.
        let (left, right) = (self.bin(BinOp::Xor, a, b), self.bin(BinOp::Xor, a, difference));
        self.saturate(a, difference, left, right)
    }

    /// `result`, or the end of the range on the side of `a` where `left & right` is negative.
    fn saturate(&mut self, a: Value, result: Value, left: Value, right: Value) -> Value {
        let overflow = self.bin(BinOp::And, left, right);
        let mask = self.bin_imm(BinOp::Sshr, overflow, 63);
        let end = self.end_of(a);
        let change = self.bin(BinOp::Xor, result, end);
        let change = self.bin(BinOp::And, change, mask);
        self.bin(BinOp::Xor, result, change)
    }

    /// The largest number for `sign` ≥ 0, the smallest for a negative one.
    fn end_of(&mut self, sign: Value) -> Value {
        let sign = self.bin_imm(BinOp::Sshr, sign, 63);
        let max = self.int(i64::MAX);
        self.bin(BinOp::Xor, sign, max)
    }

    /// `-a`, saturating.
    pub(in crate::lower) fn neg_sat(&mut self, a: Value) -> Value {
        let zero = self.int(0);
        self.sub_sat(zero, a)
    }

    /// `a`, or 0 if it is negative.
    pub(in crate::lower) fn at_least_zero(&mut self, a: Value) -> Value {
        let negative = self.bin_imm(BinOp::Sshr, a, 63);
        let keep = self.bin_imm(BinOp::Xor, negative, -1);
        self.bin(BinOp::And, a, keep)
    }

    /// |a| as an unsigned number.
    fn magnitude(&mut self, a: Value) -> Value {
        let sign = self.bin_imm(BinOp::Sshr, a, 63);
        let flipped = self.bin(BinOp::Xor, a, sign);
        self.bin(BinOp::Sub, flipped, sign)
    }

    /// `magnitude` with the sign of `sign`; `magnitude` is at most `i64::MAX`.
    fn with_sign(&mut self, magnitude: Value, sign: Value) -> Value {
        let sign = self.bin_imm(BinOp::Sshr, sign, 63);
        let flipped = self.bin(BinOp::Xor, magnitude, sign);
        self.bin(BinOp::Sub, flipped, sign)
    }

    /// `a * b`, saturating.
    pub(in crate::lower) fn mul_sat(&mut self, a: Value, b: Value) -> Value {
        let (a, b) = (self.hidden_if_narrow(a), self.hidden_if_narrow(b));
        let (ua, ub) = (self.magnitude(a), self.magnitude(b));
        let (full, plain, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        let sign = self.bin(BinOp::Xor, a, b);
        // a × b > MAX iff a > MAX / b; a division by zero gives 0 in BPF, so 0 is let through first.
        let max = self.int(i64::MAX);
        let room = self.bin(BinOp::Udiv, max, ub);
        let check = self.b.create_block();
        self.b.branch(Cond::Eq, ub, imm(0), plain, check);
        self.b.switch_to(check);
        self.b.branch(Cond::Ugt, ua, Operand::Value(room), full, plain);
        self.b.switch_to(full);
        let end = self.end_of(sign);
        self.b.jump(join, &[end]);
        self.b.switch_to(plain);
        let product = self.bin(BinOp::Mul, a, b);
        self.b.jump(join, &[product]);
        self.b.switch_to(join);
        result
    }

    /// `a / b`, truncating, saturating; by zero is missing.
    pub(in crate::lower) fn div_sat(&mut self, a: Value, b: Value, missing: Block) -> Value {
        let b = self.hidden_if_narrow(b);
        self.leave_if(Cond::Eq, b, imm(0), missing);
        let (minus_one, other, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        // MIN / -1 is the one quotient that does not fit.
        self.b.branch(Cond::Eq, b, imm(-1), minus_one, other);
        self.b.switch_to(minus_one);
        let negated = self.neg_sat(a);
        self.b.jump(join, &[negated]);
        self.b.switch_to(other);
        let quotient = self.bin(BinOp::Sdiv, a, b);
        self.b.jump(join, &[quotient]);
        self.b.switch_to(join);
        result
    }

    /// `a / b` for a constant that is not 0: never missing.
    pub(in crate::lower) fn div_constant(&mut self, a: Value, b: i64) -> Value {
        if b == -1 {
            // MIN / -1 is the one quotient that does not fit.
            return self.neg_sat(a);
        }
        let b = self.int(b);
        self.bin(BinOp::Sdiv, a, b)
    }

    /// `bytes × ratio`, truncating: `ratio` is in parts per million.
    pub(in crate::lower) fn scale(&mut self, bytes: Value, ratio: Value) -> Value {
        let one = self.int(RATIO_ONE);
        self.scale_by(bytes, ratio, one)
    }

    /// `bytes × ratio` for a constant, with the fraction in its lowest terms.
    pub(in crate::lower) fn scale_constant(&mut self, bytes: Value, ratio: i64) -> Value {
        let divisor = gcd(ratio.unsigned_abs(), RATIO_ONE as u64) as i64;
        let (n, d) = (ratio / divisor, RATIO_ONE / divisor);
        let numerator = self.int(n);
        if d == 1 {
            return self.mul_sat(bytes, numerator);
        }
        if n.unsigned_abs() > d as u64 {
            let denominator = self.int(d);
            return self.scale_by(bytes, numerator, denominator);
        }
        // The result is not larger than `bytes`: nothing can overflow.
        let (n, d) = (n as i32, d as i32);
        let quotient = self.bin_imm(BinOp::Sdiv, bytes, d);
        let whole = self.bin_imm(BinOp::Mul, quotient, d);
        let rest = self.bin(BinOp::Sub, bytes, whole);
        let rest = self.bin_imm(BinOp::Mul, rest, n);
        let rest = self.bin_imm(BinOp::Sdiv, rest, d);
        let quotient = self.bin_imm(BinOp::Mul, quotient, n);
        self.bin(BinOp::Add, quotient, rest)
    }

    /// `a × n / d` for `d` > 0: the quotient and the rest are multiplied apart, so that the product of a
    /// large amount with a small ratio does not saturate on the way.
    fn scale_by(&mut self, a: Value, n: Value, d: Value) -> Value {
        let quotient = self.bin(BinOp::Sdiv, a, d);
        let whole = self.bin(BinOp::Mul, quotient, d);
        let rest = self.bin(BinOp::Sub, a, whole);
        let rest = self.mul_sat(rest, n);
        let rest = self.bin(BinOp::Sdiv, rest, d);
        let quotient = self.mul_sat(quotient, n);
        self.add_sat(quotient, rest)
    }

    /// `a / b` in parts per million, truncating, saturating; `b` is not 0.
    pub(in crate::lower) fn ratio(&mut self, a: Value, b: Value) -> Value {
        let (a, b) = (self.hidden_if_narrow(a), self.hidden_if_narrow(b));
        let (ua, ub) = (self.magnitude(a), self.magnitude(b));
        let (large, small, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let (a_in, b_in) = (self.b.block_param(join, Type::I64), self.b.block_param(join, Type::I64));
        let limit = self.int(RATIO_SHIFT_FROM);
        self.b.branch(Cond::Uge, ub, Operand::Value(limit), large, small);
        self.b.switch_to(large);
        // Eight bits less of both leave 48: far more than a millionth needs.
        let (a_cut, b_cut) = (self.bin_imm(BinOp::Ushr, ua, 8), self.bin_imm(BinOp::Ushr, ub, 8));
        self.b.jump(join, &[a_cut, b_cut]);
        self.b.switch_to(small);
        self.b.jump(join, &[ua, ub]);
        self.b.switch_to(join);

        // Long division to the base 100: three digits are six decimals, and no product leaves 64 bits.
        let mut quotient = self.bin(BinOp::Udiv, a_in, b_in);
        let mut rest = self.bin(BinOp::Umod, a_in, b_in);
        let (full, fits, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(done, Type::I64);
        let max = self.int(i64::MAX / RATIO_ONE);
        self.b.branch(Cond::Uge, quotient, Operand::Value(max), full, fits);
        self.b.switch_to(full);
        let end = self.int(i64::MAX);
        self.b.jump(done, &[end]);
        self.b.switch_to(fits);
        for _ in 0..3 {
            let shifted = self.bin_imm(BinOp::Mul, rest, 100);
            let digit = self.bin(BinOp::Udiv, shifted, b_in);
            rest = self.bin(BinOp::Umod, shifted, b_in);
            let higher = self.bin_imm(BinOp::Mul, quotient, 100);
            quotient = self.bin(BinOp::Add, higher, digit);
        }
        self.b.jump(done, &[quotient]);
        self.b.switch_to(done);
        let sign = self.bin(BinOp::Xor, a, b);
        self.with_sign(result, sign)
    }

    /// The smaller of two signed numbers.
    pub(in crate::lower) fn min(&mut self, a: Value, b: Value) -> Value {
        let (keep, replace, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let result = self.b.block_param(join, Type::I64);
        self.b.branch(Cond::Slt, a, Operand::Value(b), keep, replace);
        self.b.switch_to(keep);
        self.b.jump(join, &[a]);
        self.b.switch_to(replace);
        self.b.jump(join, &[b]);
        self.b.switch_to(join);
        result
    }
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}
