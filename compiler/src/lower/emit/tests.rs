//! The arithmetic of the language against its definition in wider numbers.
//!
//! Each operator is lowered alone and its IR is run by a small evaluator of pure instructions.

use oomc_abi::resolve::KernelView;
use oomc_abi::target::Target;

use super::{Emit, imm};
use crate::hir::{Policy, RATIO_ONE};
use crate::ir::{Block, Cond, Function, InstData, Operand, Value};
use crate::passes::fold::{compute, holds};

/// The numbers at which 64-bit arithmetic goes wrong, and some between.
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    -2,
    3,
    7,
    -7,
    99,
    100,
    -100,
    4095,
    4096,
    999_999,
    1_000_000,
    1_000_001,
    -1_000_000,
    0x7fff_ffff,
    0x8000_0000,
    -0x8000_0000,
    1 << 40,
    (1 << 40) + 12_345,
    -(1 << 40),
    (1 << 56) - 1,
    1 << 56,
    (1 << 56) + 1,
    i64::MAX / 1_000_000,
    i64::MAX / 2,
    i64::MIN / 2,
    i64::MAX - 4095,
    i64::MAX - 1,
    i64::MAX,
    i64::MIN + 1,
    i64::MIN,
];

type Operator = fn(&mut Emit<'_>, Value, Value, Block) -> Value;

/// Runs one operator on two numbers; `None` is missing.
fn run(operator: Operator, a: i64, b: i64) -> Option<i64> {
    let (policy, view) = (Policy::default(), KernelView::embedded());
    let mut func = Function::new("test");
    let mut emit = Emit::new(&policy, &view, &mut func, Target::Hook);
    let missing = emit.b.create_block();
    let (a, b) = (emit.int(a), emit.int(b));
    let result = operator(&mut emit, a, b, missing);
    emit.b.effect(InstData::Return(Operand::Value(result)));
    evaluate(&func)
}

fn evaluate(func: &Function) -> Option<i64> {
    let mut values = vec![0_i64; func.values.len()];
    let mut block = func.entry()?;
    loop {
        let at = |values: &[i64], value: Value| values[value.as_u32() as usize];
        let mut target = None;
        // A block that was never filled stands for "missing".
        if func.blocks[block].insts.is_empty() {
            return None;
        }
        for inst in &func.blocks[block].insts {
            let operand = |operand: &Operand| match operand {
                Operand::Value(value) => at(&values, *value),
                Operand::Imm(imm) => i64::from(*imm),
            };
            let result = match &func.insts[*inst] {
                InstData::Iconst(value) => *value,
                InstData::Binary(op, a, b) => compute(*op, at(&values, *a), operand(b)),
                InstData::Jump(call) => {
                    target = Some(call);
                    0
                }
                InstData::Branch { cond, a, b, then, otherwise } => {
                    let holds = holds(*cond, at(&values, *a), operand(b));
                    target = Some(if holds { then } else { otherwise });
                    0
                }
                InstData::Return(value) => return Some(operand(value)),
                InstData::LoadCtx(_) => 0,
                other => panic!("not pure: {other:?}"),
            };
            if let Some(value) = func.results[*inst] {
                values[value.as_u32() as usize] = result;
            }
        }
        let call = target?;
        let args: Vec<i64> = call.args.iter().map(|arg| at(&values, *arg)).collect();
        for (param, arg) in func.blocks[call.block].params.iter().zip(args) {
            values[param.as_u32() as usize] = arg;
        }
        block = call.block;
    }
}

fn saturate(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn check(name: &str, operator: Operator, define: impl Fn(i128, i128) -> Option<i128>) {
    for a in NUMBERS {
        for b in NUMBERS {
            let expected = define(i128::from(*a), i128::from(*b)).map(saturate);
            assert_eq!(run(operator, *a, *b), expected, "{a} {name} {b}");
        }
    }
}

#[test]
fn addition_saturates() {
    check("+", |s, a, b, _| s.add_sat(a, b), |a, b| Some(a + b));
}

#[test]
fn subtraction_saturates() {
    check("-", |s, a, b, _| s.sub_sat(a, b), |a, b| Some(a - b));
}

#[test]
fn negation_saturates() {
    check("neg", |s, a, _, _| s.neg_sat(a), |a, _| Some(-a));
}

#[test]
fn multiplication_saturates() {
    check("*", |s, a, b, _| s.mul_sat(a, b), |a, b| Some(a * b));
}

#[test]
fn division_truncates_and_by_zero_is_missing() {
    check("/", |s, a, b, m| s.div_sat(a, b, m), |a, b| a.checked_div(b));
}

#[test]
fn a_ratio_is_in_parts_per_million() {
    // From 2⁵⁶ on the last 8 bits of both sides are not looked at; there the definition does the same.
    check(
        "ratio",
        |s, a, b, m| {
            s.leave_if(Cond::Eq, b, imm(0), m);
            s.ratio(a, b)
        },
        |a, b| {
            if b == 0 {
                return None;
            }
            let (ua, ub) = (a.unsigned_abs(), b.unsigned_abs());
            let (ua, ub) = if ub >= 1 << 56 { (ua >> 8, ub >> 8) } else { (ua, ub) };
            // A quotient from here on counts as the largest ratio.
            let ratio = if ua / ub >= (i64::MAX / RATIO_ONE) as u128 {
                i64::MAX as i128
            } else {
                (ua * RATIO_ONE as u128 / ub) as i128
            };
            Some(if (a < 0) == (b < 0) { ratio } else { -ratio })
        },
    );
}

#[test]
fn an_amount_times_a_ratio_truncates_at_the_parts_and_saturates() {
    // The two halves of the product saturate apart; within the range of amounts they are exact.
    check(
        "scaled by",
        |s, a, b, _| s.scale(a, b),
        |a, b| {
            let one = i128::from(RATIO_ONE);
            let high = i128::from(saturate((a / one) * b));
            let low = i128::from(saturate((a % one) * b)) / one;
            Some(high + low)
        },
    );
}

#[test]
fn a_constant_ratio_gives_the_exact_share() {
    for percent in [1, 10, 33, 50, 90, 99, 100, 110, 250, 1000] {
        let ratio = percent * RATIO_ONE / 100;
        for a in NUMBERS {
            let (policy, view) = (Policy::default(), KernelView::embedded());
            let mut func = Function::new("test");
            let mut emit = Emit::new(&policy, &view, &mut func, Target::Hook);
            let amount = emit.int(*a);
            let result = emit.scale_constant(amount, ratio);
            emit.b.effect(InstData::Return(Operand::Value(result)));
            let expected = saturate(i128::from(*a) * i128::from(percent) / 100);
            assert_eq!(evaluate(&func), Some(expected), "{percent}% of {a}");
        }
    }
}
