//! Expressions.

use oomc_compiler::hir::{ArithOp, Bits, CompareOp, ExprId, ExprKind, Quant, Quantifier, RATIO_ONE, Ty};

use crate::Oracle;
use crate::read::Text;
use crate::scope::Scope;
use crate::value::{Value, and, both, clamp, not, or};

impl Oracle<'_> {
    /// What an expression is worth for the candidates around it.
    pub(crate) fn value(&self, scope: Option<&Scope<'_>>, expr: ExprId) -> Value {
        let value = |expr: &ExprId| self.value(scope, *expr);
        let expr = self.policy.exprs.get(expr)?;
        match &expr.kind {
            ExprKind::Int(number) => Some(*number),
            ExprKind::Field(subject, field) => self.field(scope, *subject, *field),
            ExprKind::Raw(subject, raw) => self.raw(scope, *subject, *raw),
            ExprKind::Param(param) => self.settings.params.get(param.as_u32() as usize).copied(),
            ExprKind::Label(subject, label) => self.label(self.cgroup_of(scope, *subject)?, *label),
            ExprKind::Counter(subject, state) => self.counter(self.cgroup_of(scope, *subject)?, *state),
            ExprKind::Sample(sample, of) => self.asking.samples.get(&(sample.as_u32(), value(of)?)).copied(),
            ExprKind::Default(first, second) => value(first).or_else(|| value(second)),
            ExprKind::Quantifier(quantifier) => self.quantifier(scope, quantifier),
            ExprKind::Neg(of) => both(Some(0), value(of), |a, b| Some(a - b)),
            ExprKind::Arith(op, a, b) => {
                let ratio = |of: &ExprId| self.policy.exprs.get(*of).is_some_and(|of| of.ty == Ty::Ratio);
                let one = i128::from(RATIO_ONE);
                let (ratio_result, ratio_factor) = (expr.ty == Ty::Ratio, ratio(b));
                both(value(a), value(b), |a, b| match op {
                    ArithOp::Add => Some(a + b),
                    ArithOp::Sub => Some(a - b),
                    ArithOp::Mul if ratio_factor => Some(a * b / one),
                    ArithOp::Mul => Some(a * b),
                    ArithOp::Div if ratio_result => (a * one).checked_div(b),
                    ArithOp::Div => a.checked_div(b),
                })
            }
            ExprKind::Compare(op, a, b) => {
                let (a, b) = (value(a)?, value(b)?);
                Some(i64::from(match op {
                    CompareOp::Eq => a == b,
                    CompareOp::Ne => a != b,
                    CompareOp::Lt => a < b,
                    CompareOp::Le => a <= b,
                    CompareOp::Gt => a > b,
                    CompareOp::Ge => a >= b,
                }))
            }
            ExprKind::Matches(of, patterns) => {
                let text = self.text(scope, *of)?;
                Some(i64::from(patterns.iter().any(|pattern| text.fits(pattern))))
            }
            ExprKind::SameText(a, b) => {
                let (a, b) = (self.text(scope, *a)?, self.text(scope, *b)?);
                Some(i64::from(a.whole() == b.whole()))
            }
            ExprKind::HasBits(member, bits) => {
                let number = value(member)? as u64;
                let all = bits.iter().fold(0, |all, bits| {
                    all | match bits {
                        Bits::Number(number) => *number,
                        Bits::Constant(name) => self.constant(name),
                    }
                });
                Some(i64::from(number & all == all))
            }
            ExprKind::Choice(condition, then, otherwise) => match value(condition)? {
                0 => value(otherwise),
                _ => value(then),
            },
            ExprKind::Not(a) => not(value(a)),
            ExprKind::And(a, b) => and(value(a), value(b)),
            ExprKind::Or(a, b) => or(value(a), value(b)),
        }
    }

    /// Whether a condition is true; unknown is not.
    pub(crate) fn is_true(&self, scope: Option<&Scope<'_>>, condition: ExprId) -> bool {
        self.value(scope, condition).is_some_and(|value| value != 0)
    }

    fn text(&self, scope: Option<&Scope<'_>>, expr: ExprId) -> Option<Text> {
        match self.policy.exprs.get(expr).map(|expr| &expr.kind)? {
            ExprKind::Field(subject, field) => self.text_field(scope, *subject, *field),
            ExprKind::Raw(subject, raw) => self.raw_text(scope, *subject, *raw),
            other => panic!("{other:?} is no text"),
        }
    }

    fn quantifier(&self, scope: Option<&Scope<'_>>, quantifier: &Quantifier) -> Value {
        let elements = self.elements(scope, quantifier.place, quantifier.unit)?;
        // Of an element: whether it counts, and what it adds.
        let ask = |object| {
            let inner = Scope { binder: quantifier.binder, object, outer: scope };
            let counts = match quantifier.filter {
                Some(filter) => self.value(Some(&inner), filter),
                None => Some(1),
            };
            let adds = match (counts, quantifier.value) {
                (Some(0), _) => Some(0),
                (None, _) => None,
                (Some(_), Some(value)) => self.value(Some(&inner), value),
                (Some(_), None) => Some(1),
            };
            (counts, adds)
        };
        let answers = elements.objects.iter().map(|object| ask(*object));
        // A walk that could not start is an element of which nothing is known.
        let answers = answers.chain(elements.incomplete.then_some((None, None)));
        let extreme = |pick: fn(i64, i64) -> i64| {
            let mut found = None;
            for (counts, adds) in answers.clone() {
                match (counts, adds) {
                    (Some(0), _) => {}
                    (Some(_), Some(adds)) => found = Some(found.map_or(adds, |found| pick(found, adds))),
                    // Of one nothing is known: it could be the one.
                    (None, _) | (_, None) => return None,
                }
            }
            found
        };
        match quantifier.quant {
            Quant::Max => extreme(i64::max),
            Quant::Min => extreme(i64::min),
            Quant::Any => {
                let mut one = Some(0);
                answers.for_each(|(is, _)| one = or(one, is));
                one
            }
            Quant::Every => {
                let mut all = Some(1);
                answers.for_each(|(is, _)| all = and(all, is));
                all
            }
            Quant::Count | Quant::Sum => {
                let sum = answers.map(|(_, adds)| adds.map(i128::from)).sum::<Option<i128>>();
                sum.map(clamp)
            }
        }
    }
}

/// What a message shows.
impl Oracle<'_> {
    /// A number, or a text; none where it is missing.
    pub(crate) fn shown(&self, scope: Option<&Scope<'_>>, expr: ExprId) -> Option<String> {
        match self.policy.exprs.get(expr).map(|expr| expr.ty)? {
            Ty::Text => self.text(scope, expr).and_then(|text| text.against("/").map(str::to_owned)),
            _ => self.value(scope, expr).map(|value| value.to_string()),
        }
    }
}
