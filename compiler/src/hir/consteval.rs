//! What is known when the policy is built.
//!
//! Pure functions on values, with the arithmetic that the program has at run time: signed 64 bits,
//! saturating, division truncating.

use super::{ArithOp, CompareOp, RATIO_ONE, Ty};

/// The result of an operator on two constants; None: missing (a division by zero).
///
/// The types are those that [`super::ExprKind::Arith`] allows, in its order.
#[must_use]
pub fn arith(op: ArithOp, (left_ty, left): (Ty, i64), (right_ty, right): (Ty, i64)) -> Option<i64> {
    let (a, b) = (i128::from(left), i128::from(right));
    let one = i128::from(RATIO_ONE);
    let exact = match op {
        ArithOp::Add => a + b,
        ArithOp::Sub => a - b,
        ArithOp::Mul if right_ty == Ty::Ratio => a * b / one,
        ArithOp::Mul => a * b,
        ArithOp::Div if b == 0 => return None,
        ArithOp::Div if left_ty == Ty::Bytes && right_ty == Ty::Bytes => a * one / b,
        ArithOp::Div => a / b,
    };
    Some(saturate(exact))
}

/// The nearest 64-bit number.
fn saturate(exact: i128) -> i64 {
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// Minus.
#[must_use]
pub fn neg(value: i64) -> i64 {
    value.saturating_neg()
}

/// A comparison of two constants.
#[must_use]
pub fn compare(op: CompareOp, left: i64, right: i64) -> bool {
    match op {
        CompareOp::Eq => left == right,
        CompareOp::Ne => left != right,
        CompareOp::Lt => left < right,
        CompareOp::Le => left <= right,
        CompareOp::Gt => left > right,
        CompareOp::Ge => left >= right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saturates_at_both_ends() {
        let count = |value| (Ty::Count, value);
        assert_eq!(arith(ArithOp::Add, count(i64::MAX), count(1)), Some(i64::MAX));
        assert_eq!(arith(ArithOp::Sub, count(i64::MIN), count(1)), Some(i64::MIN));
        assert_eq!(arith(ArithOp::Mul, count(i64::MIN), count(2)), Some(i64::MIN));
        assert_eq!(arith(ArithOp::Div, count(i64::MIN), count(-1)), Some(i64::MAX));
        assert_eq!(neg(i64::MIN), i64::MAX);
    }

    #[test]
    fn ratios_are_parts_per_million() {
        let bytes = |value| (Ty::Bytes, value);
        assert_eq!(arith(ArithOp::Mul, bytes(1 << 30), (Ty::Ratio, 900_000)), Some(966_367_641));
        assert_eq!(arith(ArithOp::Mul, bytes(-15), (Ty::Ratio, 500_000)), Some(-7));
        assert_eq!(arith(ArithOp::Div, bytes(1), bytes(3)), Some(333_333));
        assert_eq!(arith(ArithOp::Div, bytes(1), bytes(0)), None);
    }
}
