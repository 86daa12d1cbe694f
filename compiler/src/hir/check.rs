//! Types and units of expressions.
//!
//! Takes operands whose names are bound, gives typed HIR, folded where it is constant. A mistake costs one
//! diagnostic: `None` says that it was reported.

use oomc_abi::amount;
use oomc_abi::fields::{self, Owner};

use super::errors;
use super::lower::Checker;
use super::{ArithOp, Bits, CompareOp, Expr, ExprId, ExprKind, Pattern, RawValue, Subject, Ty, consteval};
use crate::diag::suggest::nearest;
use crate::diag::{Advice, Diagnostic, Fix, codes};
use crate::source::Span;
use crate::syntax::ast::{self, Binary};
use crate::syntax::literal::Kind;

use crate::resolve::{Constant, Resolved};

/// The longest command name; the kernel cuts the rest off (`TASK_COMM_LEN`, include/linux/sched.h, 6.12).
pub(super) const COMM_BYTES: usize = 15;

/// What an expression came to.
pub(super) enum Operand {
    /// A typed expression; of type text only if it is a field.
    Expr(ExprId),
    /// A string.
    Text(String),
}

/// The type of a field's value.
pub(super) fn ty_of(unit: fields::Measure) -> Ty {
    match unit {
        fields::Measure::Bytes => Ty::Bytes,
        fields::Measure::Ratio => Ty::Ratio,
        fields::Measure::Count => Ty::Count,
        fields::Measure::Duration => Ty::Duration,
        fields::Measure::Bool => Ty::Bool,
        fields::Measure::Text => Ty::Text,
    }
}

/// A type with its article, for a sentence.
pub(super) fn ty_name(ty: Ty) -> &'static str {
    match ty {
        Ty::Bytes => "bytes",
        Ty::Ratio => "a percent",
        Ty::Duration => "a duration",
        Ty::Count => "a number",
        Ty::Bool => "a truth value",
        Ty::Text => "text",
    }
}

impl Checker<'_> {
    pub(super) fn push(&mut self, kind: ExprKind, ty: Ty, span: Span) -> ExprId {
        self.policy.exprs.push(Expr { kind, ty, span })
    }

    /// The type of an expression.
    pub(super) fn ty(&mut self, id: ExprId) -> Ty {
        if let Some(expr) = self.policy.exprs.get(id) {
            return expr.ty;
        }
        self.contradiction("an expression is not in the policy");
        Ty::Count
    }

    /// The type of something declared, which must be in the policy.
    fn declared_ty(&mut self, ty: Option<Ty>) -> Option<Ty> {
        if ty.is_none() {
            self.contradiction("a name refers to nothing in the policy");
        }
        ty
    }

    fn span_of(&self, id: ExprId) -> Span {
        self.policy.exprs.get(id).map_or_else(Span::default, |expr| expr.span)
    }

    pub(super) fn constant(&self, id: ExprId) -> Option<i64> {
        match self.policy.exprs.get(id)?.kind {
            ExprKind::Int(value) => Some(value),
            _ => None,
        }
    }

    /// How the author called it: a name in backticks, or what it is.
    fn called(&self, id: ExprId) -> String {
        let span = self.span_of(id);
        let text = self.source.slice(span);
        if text.len() <= 40 && !text.contains('\n') { format!("`{text}`") } else { "this".to_owned() }
    }

    /// A condition: yes, no or unknown.
    pub(super) fn condition(&mut self, expr: &ast::Expr, place: &str) -> Option<ExprId> {
        let id = match self.operand(expr)? {
            Operand::Text(_) => {
                self.sink.push(errors::expr::text_as_condition(place, expr.span));
                return None;
            }
            Operand::Expr(id) => id,
        };
        let ty = self.ty(id);
        if ty == Ty::Bool {
            return Some(id);
        }
        let called = self.called(id);
        let example = match ty {
            Ty::Bytes => "16MiB",
            Ty::Ratio => "90%",
            Ty::Duration => "30s",
            Ty::Text => "\"sshd\"",
            Ty::Count | Ty::Bool => "3",
        };
        let op = if ty == Ty::Text { "==" } else { ">" };
        self.sink.push(errors::expr::no_condition(place, &called, ty, (op, example), expr.span));
        None
    }

    /// A value that is no text: for sums, keys and amounts.
    pub(super) fn number(&mut self, expr: &ast::Expr) -> Option<ExprId> {
        match self.operand(expr)? {
            Operand::Expr(id) if !matches!(self.ty(id), Ty::Text | Ty::Bool) => Some(id),
            Operand::Expr(id) => {
                let (called, ty) = (self.called(id), ty_name(self.ty(id)));
                self.sink.push(errors::expr::no_number(&called, ty, expr.span));
                None
            }
            Operand::Text(_) => {
                self.sink.push(errors::expr::text_as_number(expr.span));
                None
            }
        }
    }

    /// A number or a truth value: no text.
    pub(super) fn value(&mut self, expr: &ast::Expr) -> Option<ExprId> {
        match self.operand(expr)? {
            Operand::Expr(id) if self.ty(id) != Ty::Text => Some(id),
            _ => {
                self.sink.push(errors::expr::text_as_value(expr.span));
                None
            }
        }
    }

    /// `x ?? y`
    fn otherwise(&mut self, left: ExprId, right: ExprId, span: Span) -> Option<ExprId> {
        let (l, r) = (self.ty(left), self.ty(right));
        if l != r {
            let diagnostic = self.unit_missing("default", left, right).unwrap_or_else(|| {
                let (first, second) = (self.called(left), self.called(right));
                errors::expr::default_of_another_type((&first, l), (&second, r), span)
            });
            self.sink.push(diagnostic);
            return None;
        }
        // A constant is never missing.
        if self.constant(left).is_some() {
            return Some(left);
        }
        Some(self.push(ExprKind::Default(left, right), l, span))
    }

    /// An amount of memory; a bare percent is of `base`, if there is one.
    pub(super) fn amount(&mut self, expr: &ast::Expr, base: Option<&'static str>) -> Option<ExprId> {
        let id = self.number(expr)?;
        match (self.ty(id), base, self.constant(id)) {
            (Ty::Bytes, ..) => Some(id),
            (Ty::Ratio, Some(base), _) => {
                let field = self.known_field(Owner::Cgroup, base)?;
                let subject = Subject::Anchor(super::Anchor::Cgroup);
                let limit = self.push(ExprKind::Field(subject, field), Ty::Bytes, expr.span);
                Some(self.push(ExprKind::Arith(ArithOp::Mul, limit, id), Ty::Bytes, expr.span))
            }
            (Ty::Ratio, None, _) => {
                let text = self.source.slice(expr.span).to_owned();
                self.sink.push(errors::expr::percent_of_what(&text, expr.span));
                None
            }
            (Ty::Count, _, Some(value)) => {
                self.sink.push(errors::expr::amount_without_unit(value, expr.span));
                None
            }
            (ty, ..) => {
                let called = self.called(id);
                self.sink.push(errors::expr::no_amount(&called, ty, expr.span));
                None
            }
        }
    }

    /// Any expression.
    pub(super) fn operand(&mut self, expr: &ast::Expr) -> Option<Operand> {
        let span = expr.span;
        let id = match &expr.kind {
            ast::ExprKind::Broken => return None,
            ast::ExprKind::Number(literal) => {
                let ty = match literal.kind {
                    Kind::Bytes => Ty::Bytes,
                    Kind::Ratio => Ty::Ratio,
                    Kind::Duration => Ty::Duration,
                    Kind::Count => Ty::Count,
                };
                self.push(ExprKind::Int(literal.value), ty, span)
            }
            ast::ExprKind::Bool(value) => self.push(ExprKind::Int(i64::from(*value)), Ty::Bool, span),
            ast::ExprKind::Text(text) => return Some(Operand::Text(text.clone())),
            ast::ExprKind::Path(path) => return self.named(path, span),
            ast::ExprKind::List(_) => {
                self.sink.push(errors::expr::list_alone(span));
                return None;
            }
            ast::ExprKind::Paren(inner) => return self.operand(inner),
            ast::ExprKind::Not(inner) => {
                let inner = self.condition(inner, "`not`")?;
                self.not(inner, span)
            }
            ast::ExprKind::Minus(inner) => {
                let inner = self.number(inner)?;
                let ty = self.ty(inner);
                match self.constant(inner) {
                    Some(value) => self.push(ExprKind::Int(consteval::neg(value)), ty, span),
                    None => self.push(ExprKind::Neg(inner), ty, span),
                }
            }
            ast::ExprKind::Binary(op, left, right) => self.binary(*op, left, right, span)?,
            ast::ExprKind::Quantifier(_) if self.scope.constant_only => {
                self.sink.push(errors::expr::quantifier_in_constant(span));
                return None;
            }
            ast::ExprKind::Quantifier(quantifier) => self.quantifier(quantifier, span)?,
            ast::ExprKind::Choice(parts) => self.choice(parts, span)?,
            ast::ExprKind::Rate(field) => self.sampled(field, None, span)?,
            ast::ExprKind::Growth(field, window) => self.sampled(field, Some(window), span)?,
            ast::ExprKind::Has(member, bits) => self.has_bits(member, bits, span)?,
        };
        Some(Operand::Expr(id))
    }

    /// What a name stands for.
    fn named(&mut self, path: &ast::Path, span: Span) -> Option<Operand> {
        let id = match self.scope.resolve(path) {
            Ok(Resolved::Constant(Constant::Int(ty, value))) => self.push(ExprKind::Int(value), ty, span),
            Ok(Resolved::Constant(Constant::Text(text))) => return Some(Operand::Text(text)),
            Ok(Resolved::Constant(Constant::List(_))) => {
                self.sink.push(errors::expr::list_alone(span));
                return None;
            }
            Ok(Resolved::Definition(definition, binder)) => self.definition(definition, binder, span)?,
            Ok(Resolved::Field(subject, field)) => {
                let ty = ty_of(field.row().unit);
                self.push(ExprKind::Field(subject, field), ty, span)
            }
            Ok(Resolved::Raw { subject, owner, head }) => self.raw(path, subject, owner, head)?,
            Ok(Resolved::Param(param)) => {
                let ty = self.declared_ty(self.policy.params.get(param).map(|param| param.ty))?;
                self.push(ExprKind::Param(param), ty, span)
            }
            Ok(Resolved::Label(cgroup, label)) => {
                let ty = self.declared_ty(self.policy.labels.get(label).map(|label| label.ty))?;
                self.push(ExprKind::Label(cgroup, label), ty, span)
            }
            Ok(Resolved::Counter(cgroup, state)) => {
                self.push(ExprKind::Counter(cgroup, state), Ty::Count, span)
            }
            Ok(Resolved::Reported) => return None,
            Err(diagnostic) => {
                self.sink.push(diagnostic);
                return None;
            }
        };
        Some(Operand::Expr(id))
    }

    fn binary(&mut self, op: Binary, left: &ast::Expr, right: &ast::Expr, span: Span) -> Option<ExprId> {
        let arith = match op {
            Binary::And | Binary::Or => {
                let word = if op == Binary::And { "`and`" } else { "`or`" };
                if let Some(found) = self.bare_alternative(op, left, right) {
                    self.sink.push(found);
                    return None;
                }
                let (left, right) = (self.condition(left, word), self.condition(right, word));
                return Some(self.logic(op, left?, right?, span));
            }
            Binary::In => return self.within(left, right, span),
            Binary::Eq => return self.comparison(CompareOp::Eq, left, right, span),
            Binary::Ne => return self.comparison(CompareOp::Ne, left, right, span),
            Binary::Lt => return self.comparison(CompareOp::Lt, left, right, span),
            Binary::Le => return self.comparison(CompareOp::Le, left, right, span),
            Binary::Gt => return self.comparison(CompareOp::Gt, left, right, span),
            Binary::Ge => return self.comparison(CompareOp::Ge, left, right, span),
            Binary::Default => {
                let (left, right) = (self.value(left), self.value(right));
                return self.otherwise(left?, right?, span);
            }
            Binary::Of => {
                let (ratio, base) = (self.number(left), self.number(right));
                return self.share(ratio?, base?, span);
            }
            Binary::Add => ArithOp::Add,
            Binary::Sub => ArithOp::Sub,
            Binary::Mul => ArithOp::Mul,
            Binary::Div => ArithOp::Div,
        };
        let (left, right) = (self.number(left), self.number(right));
        self.arith(arith, left?, right?, span)
    }

    /// `comm == "a" or "b"`: the field was not said again.
    fn bare_alternative(&self, op: Binary, left: &ast::Expr, right: &ast::Expr) -> Option<Diagnostic> {
        let (ast::ExprKind::Binary(Binary::Eq, field, first), ast::ExprKind::Text(_)) =
            (&left.kind, &right.kind)
        else {
            return None;
        };
        let (ast::ExprKind::Path(_), ast::ExprKind::Text(_)) = (&field.kind, &first.kind) else {
            return None;
        };
        let [field, first, second] = [field.span, first.span, right.span].map(|span| self.source.slice(span));
        let list = (op == Binary::Or).then(|| format!("{field} in [{first}, {second}]"));
        Some(errors::expr::bare_alternative(field, right.span, left.span.to(right.span), list))
    }

    /// What is wrong with a comparison as it is written, whatever its sides are.
    fn miswritten(&mut self, op: CompareOp, left: &ast::Expr, right: &ast::Expr) -> Option<Diagnostic> {
        let gap = Span { start: left.span.end, end: right.span.start };
        match (&left.kind, &right.kind) {
            (_, ast::ExprKind::List(_)) if matches!(op, CompareOp::Eq | CompareOp::Ne) => {
                Some(errors::expr::compared_list(op == CompareOp::Eq, left.span.to(right.span), gap))
            }
            (ast::ExprKind::Path(path), ast::ExprKind::Text(text)) => {
                self.scope.object_beside_text(path, text)
            }
            _ => None,
        }
    }

    fn not(&mut self, inner: ExprId, span: Span) -> ExprId {
        match self.constant(inner) {
            Some(value) => self.push(ExprKind::Int(i64::from(value == 0)), Ty::Bool, span),
            None => self.push(ExprKind::Not(inner), Ty::Bool, span),
        }
    }

    /// `and`, `or`: a constant decides, or does not matter; Kleene's tables agree.
    pub(super) fn logic(&mut self, op: Binary, left: ExprId, right: ExprId, span: Span) -> ExprId {
        let decides = |value: i64| (value != 0) == (op == Binary::Or);
        match (self.constant(left), self.constant(right)) {
            (Some(value), _) => return if decides(value) { left } else { right },
            (_, Some(value)) => return if decides(value) { right } else { left },
            (None, None) => {}
        }
        let kind = if op == Binary::Or { ExprKind::Or(left, right) } else { ExprKind::And(left, right) };
        self.push(kind, Ty::Bool, span)
    }

    /// `10% of cgroup.limit`
    fn share(&mut self, ratio: ExprId, base: ExprId, span: Span) -> Option<ExprId> {
        match (self.ty(ratio), self.ty(base)) {
            (Ty::Ratio, Ty::Bytes) => self.arith(ArithOp::Mul, base, ratio, span),
            (Ty::Ratio, other) => {
                let called = self.called(base);
                self.sink.push(errors::expr::percent_of_no_bytes(&called, other, self.span_of(base)));
                None
            }
            (other, _) => {
                let called = self.called(ratio);
                self.sink.push(errors::expr::share_is_no_percent(&called, other, self.span_of(ratio)));
                None
            }
        }
    }

    fn arith(&mut self, op: ArithOp, left: ExprId, right: ExprId, span: Span) -> Option<ExprId> {
        use Ty::{Bytes, Count, Duration, Ratio};
        let (l, r) = (self.ty(left), self.ty(right));
        // The larger unit comes first: lowering knows one order only.
        let (left, right) = match (op, l, r) {
            (ArithOp::Mul, Count, Bytes | Duration) | (ArithOp::Mul, Ratio, Bytes) => (right, left),
            _ => (left, right),
        };
        let (lt, rt) = (self.ty(left), self.ty(right));
        let ty = match (op, lt, rt) {
            (ArithOp::Add | ArithOp::Sub, a, b) if a == b => a,
            (ArithOp::Mul, Bytes, Count | Ratio) => Bytes,
            (ArithOp::Mul, Duration, Count) => Duration,
            (ArithOp::Mul, Count, Count) | (ArithOp::Div, Count, Count) => Count,
            (ArithOp::Div, Bytes, Bytes) => Ratio,
            (ArithOp::Div, Bytes, Count) => Bytes,
            _ => {
                self.no_arith(op, left, right, span);
                return None;
            }
        };
        if op == ArithOp::Div && self.constant(right) == Some(0) {
            self.sink.push(errors::expr::divides_by_zero(self.span_of(right)));
            return None;
        }
        if let (Some(a), Some(b)) = (self.constant(left), self.constant(right))
            && let Some(value) = consteval::arith(op, (lt, a), (rt, b))
        {
            return Some(self.push(ExprKind::Int(value), ty, span));
        }
        Some(self.push(ExprKind::Arith(op, left, right), ty, span))
    }

    fn no_arith(&mut self, op: ArithOp, left: ExprId, right: ExprId, span: Span) {
        let (l, r) = (self.ty(left), self.ty(right));
        let verb = match op {
            ArithOp::Add => "add",
            ArithOp::Sub => "subtract",
            ArithOp::Mul => "multiply",
            ArithOp::Div => "divide",
        };
        if matches!(op, ArithOp::Add | ArithOp::Sub) {
            let missing = self.unit_missing("combine", left, right);
            if let Some(diagnostic) = missing.or_else(|| self.unit_missing("combine", right, left)) {
                self.sink.push(diagnostic);
                return;
            }
            if (l, r) == (Ty::Bytes, Ty::Ratio) {
                let (base, percent) = (self.called(left), self.called(right));
                self.sink.push(errors::expr::adds_a_percent(&percent, &base, self.span_of(right)));
                return;
            }
        }
        let (first, second) = (self.called(left), self.called(right));
        self.sink.push(errors::expr::no_arithmetic(verb, (&first, l), (&second, r), span));
    }

    /// A number without a unit beside something that has one.
    fn unit_missing(&mut self, verb: &str, with: ExprId, without: ExprId) -> Option<Diagnostic> {
        let ty = self.ty(with);
        if self.ty(without) != Ty::Count || !matches!(ty, Ty::Bytes | Ty::Duration | Ty::Ratio) {
            return None;
        }
        let value = self.constant(without)?;
        let called = self.called(with);
        let span = self.span_of(without);
        let unit = with_unit(ty, value);
        let write = |text: String| Fix::possible(format!("write `{text}`"), span, text);
        // Beside a field with a base of its own, a share is what is meant most often.
        let share = (1..=100).contains(&value) && self.base_of(with).is_some() && verb == "compare";
        let help = if share {
            Advice::fix(write(format!("{value}%")))
                .saying(format!("write `{value}%`, or a unit, for example `{value}MiB`"))
                .or(write(format!("{value}MiB")))
        } else {
            Advice::fix(write(unit.clone())).saying(format!("write a unit, for example `{unit}`"))
        };
        Some(errors::expr::unit_missing((verb, &called, ty), span, help))
    }

    /// What a bare percent beside this value is of.
    fn base_of(&self, value: ExprId) -> Option<(Subject, &'static str)> {
        match self.policy.exprs.get(value)?.kind {
            ExprKind::Field(subject, field) if field.row().owner == Owner::Cgroup => {
                field.row().base.map(|base| (subject, base))
            }
            _ => None,
        }
    }

    fn comparison(
        &mut self,
        op: CompareOp,
        left: &ast::Expr,
        right: &ast::Expr,
        span: Span,
    ) -> Option<ExprId> {
        if let Some(found) = self.miswritten(op, left, right) {
            self.sink.push(found);
            return None;
        }
        let left_operand = self.operand(left);
        let right_operand = self.beside(left_operand.as_ref(), right);
        match (left_operand?, right_operand?) {
            (Operand::Text(_), Operand::Text(_)) => {
                self.sink.push(errors::expr::compares_strings(span));
                None
            }
            (Operand::Expr(field), Operand::Text(text)) => {
                self.text_comparison(op, field, (text, right.span), span)
            }
            (Operand::Text(text), Operand::Expr(field)) => {
                self.text_comparison(op, field, (text, left.span), span)
            }
            (Operand::Expr(left), Operand::Expr(right)) => self.compare(op, left, right, span),
        }
    }

    /// An operand beside another: a word beside text, which is no name, was meant as text.
    fn beside(&mut self, other: Option<&Operand>, expr: &ast::Expr) -> Option<Operand> {
        let text = self.source.slice(expr.span).to_owned();
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | ':');
        let is_text = match other {
            Some(Operand::Expr(id)) => self.ty(*id) == Ty::Text,
            _ => false,
        };
        let named = |expr: &ast::Expr| matches!(expr.kind, ast::ExprKind::Path(_));
        let names = match &expr.kind {
            ast::ExprKind::Path(_) => true,
            ast::ExprKind::Binary(Binary::Sub, left, right) => named(left) && named(right),
            _ => false,
        };
        if !is_text || !names || !text.chars().all(word) || self.knows_all_of(expr) {
            return self.operand(expr);
        }
        self.sink.push(errors::expr::bare_text(&text, expr.span));
        None
    }

    /// Whether each name in an expression is known, or near to one that is.
    fn knows_all_of(&mut self, expr: &ast::Expr) -> bool {
        match &expr.kind {
            ast::ExprKind::Path(path) => match self.scope.resolve(path) {
                Ok(_) => true,
                Err(diagnostic) => diagnostic.code != codes::UNKNOWN_NAME || !diagnostic.fixes.is_empty(),
            },
            ast::ExprKind::Binary(_, left, right) => self.knows_all_of(left) && self.knows_all_of(right),
            _ => true,
        }
    }

    fn text_comparison(
        &mut self,
        op: CompareOp,
        field: ExprId,
        (text, text_span): (String, Span),
        span: Span,
    ) -> Option<ExprId> {
        self.text_literal(field, &text, text_span)?;
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            self.sink.push(errors::expr::orders_text(span));
            return None;
        }
        let pattern = self.pattern(field, &text);
        let id = self.push(ExprKind::Matches(field, vec![pattern]), Ty::Bool, span);
        Some(if op == CompareOp::Ne { self.not(id, span) } else { id })
    }

    /// Whether a string can be compared with a field.
    fn text_literal(&mut self, field: ExprId, text: &str, span: Span) -> Option<()> {
        if let Some(comparable) = self.raw_text(field, text, span) {
            return comparable;
        }
        let Some(Expr { kind: ExprKind::Field(_, row), ty: Ty::Text, .. }) = self.policy.exprs.get(field)
        else {
            let (called, ty) = (self.called(field), self.ty(field));
            let help = without_quotes(ty, &called, text, span);
            self.sink.push(errors::expr::compares_with_text(&called, ty, span, help));
            return None;
        };
        if let Some(words) = row.row().recipe.words()
            && !words.contains(&text)
        {
            let called = self.called(field);
            let list: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let help = match nearest(text, words.iter().copied()) {
                Some(near) => Advice::meant_text(near, span),
                None => format!("it is one of {}", list.join(", ")).into(),
            };
            self.sink.push(errors::expr::never_this_word(&called, text, span, help));
            return None;
        }
        let least = text.bytes().filter(|byte| *byte != b'*').count();
        if row.row().recipe == fields::Recipe::Comm && least > COMM_BYTES {
            let cut = text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= COMM_BYTES).last();
            let cut = cut.and_then(|(at, c)| text.get(..at + c.len_utf8())).unwrap_or("");
            self.sink.push(errors::expr::long_comm(text, least, cut, span));
        }
        Some(())
    }

    fn compare(&mut self, op: CompareOp, left: ExprId, right: ExprId, span: Span) -> Option<ExprId> {
        let (l, r) = (self.ty(left), self.ty(right));
        match (l, r) {
            (Ty::Text, Ty::Text) => return self.same_text(op, left, right, span),
            (Ty::Bool, Ty::Bool) if !matches!(op, CompareOp::Eq | CompareOp::Ne) => {
                self.sink.push(errors::expr::orders_truth_values(span));
                return None;
            }
            (a, b) if a == b => {
                if let (Some(a), Some(b)) = (self.constant(left), self.constant(right)) {
                    let value = i64::from(consteval::compare(op, a, b));
                    return Some(self.push(ExprKind::Int(value), Ty::Bool, span));
                }
                return Some(self.push(ExprKind::Compare(op, left, right), Ty::Bool, span));
            }
            (Ty::Bytes, Ty::Ratio) => {
                let right = self.based(left, right)?;
                return Some(self.push(ExprKind::Compare(op, left, right), Ty::Bool, span));
            }
            (Ty::Ratio, Ty::Bytes) => {
                let left = self.based(right, left)?;
                return Some(self.push(ExprKind::Compare(op, left, right), Ty::Bool, span));
            }
            _ => {}
        }
        let missing = self.unit_missing("compare", left, right);
        if let Some(diagnostic) = missing.or_else(|| self.unit_missing("compare", right, left)) {
            self.sink.push(diagnostic);
            return None;
        }
        let (first, second) = (self.called(left), self.called(right));
        let help = match (l, r) {
            (Ty::Bool, _) | (_, Ty::Bool) => "a truth value stands alone: `where dying`",
            (Ty::Text, _) | (_, Ty::Text) => "text is compared with a string in quotes",
            _ => "both sides of a comparison have the same unit",
        };
        self.sink.push(errors::expr::no_comparison((&first, l), (&second, r), span, help));
        None
    }

    /// `q.comm == p.comm`
    fn same_text(&mut self, op: CompareOp, left: ExprId, right: ExprId, span: Span) -> Option<ExprId> {
        if !matches!(op, CompareOp::Eq | CompareOp::Ne) {
            self.sink.push(errors::expr::orders_text(span));
            return None;
        }
        for side in [left, right] {
            if let Some(ExprKind::Field(_, field)) = self.policy.exprs.get(side).map(|expr| &expr.kind)
                && field.row().recipe.words().is_some()
            {
                let called = self.called(side);
                self.sink.push(errors::expr::compares_a_word(&called, span));
                return None;
            }
        }
        let id = self.push(ExprKind::SameText(left, right), Ty::Bool, span);
        Some(if op == CompareOp::Ne { self.not(id, span) } else { id })
    }

    /// `(if a then b else c)`
    fn choice(&mut self, parts: &[ast::Expr; 3], span: Span) -> Option<ExprId> {
        let [condition, then, otherwise] = parts;
        let condition = self.condition(condition, "`if`");
        let (then, otherwise) = (self.value(then), self.value(otherwise));
        let (condition, then, otherwise) = (condition?, then?, otherwise?);
        let (first, second) = (self.ty(then), self.ty(otherwise));
        if first != second {
            let missing = self.unit_missing("combine", then, otherwise);
            let diagnostic = missing.or_else(|| self.unit_missing("combine", otherwise, then));
            let diagnostic = diagnostic.unwrap_or_else(|| {
                let called = [then, otherwise].map(|side| self.called(side));
                errors::expr::choice_of_two_types((&called[0], first), (&called[1], second), span)
            });
            self.sink.push(diagnostic);
            return None;
        }
        match self.constant(condition) {
            Some(0) => Some(otherwise),
            Some(_) => Some(then),
            None => Some(self.push(ExprKind::Choice(condition, then, otherwise), first, span)),
        }
    }

    /// `oom.oc.gfp_mask has 0x400`
    fn has_bits(&mut self, member: &ast::Path, bits: &[ast::Name], span: Span) -> Option<ExprId> {
        let Operand::Expr(value) = self.named(member, member.span)? else {
            self.sink.push(errors::expr::bits_of_no_member(member.span));
            return None;
        };
        let raw = match self.policy.exprs.get(value).map(|expr| &expr.kind) {
            Some(ExprKind::Raw(_, raw)) => self.policy.raws.get_mut(*raw),
            _ => None,
        };
        let tag = match raw.map(|raw| &mut raw.value) {
            Some(RawValue::Number { large, signed: false }) => {
                // All of its bits are meant, and not the number that they are.
                *large = false;
                None
            }
            Some(RawValue::Enum { tag }) => Some(tag.clone()),
            _ => {
                self.sink.push(errors::expr::bits_of_no_member(member.span));
                return None;
            }
        };
        let mut asked = Vec::new();
        for word in bits {
            asked.push(self.bits(word, tag.as_deref())?);
        }
        Some(self.push(ExprKind::HasBits(value, asked), Ty::Bool, span))
    }

    /// A number of bits, or the name of a constant of the member's enum.
    fn bits(&mut self, word: &ast::Name, tag: Option<&str>) -> Option<Bits> {
        let text = word.text.as_str();
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let number = match text.strip_prefix("0x") {
                Some(digits) => u64::from_str_radix(digits, 16),
                None => text.parse(),
            };
            let number = number.ok().filter(|number| *number != 0);
            if number.is_none() {
                self.sink.push(errors::expr::no_bits(text, word.span));
            }
            return number.map(Bits::Number);
        }
        let names = tag.map(|tag| self.view.enumerators(tag)).unwrap_or_default();
        if names.iter().any(|name| name == text) {
            return Some(Bits::Constant(text.to_owned()));
        }
        let near = nearest(text, names.iter().map(String::as_str)).map(str::to_owned);
        self.sink.push(errors::expr::unknown_bits(text, near.as_deref(), word.span));
        None
    }

    /// A bare percent beside `value`, as bytes: its base is the field that `value` names.
    fn based(&mut self, value: ExprId, percent: ExprId) -> Option<ExprId> {
        let (called, share) = (self.called(value), self.called(percent));
        let percent_span = self.span_of(percent);
        if let Some((subject, base)) = self.base_of(value) {
            let base = self.known_field(Owner::Cgroup, base)?;
            let base = self.push(ExprKind::Field(subject, base), Ty::Bytes, percent_span);
            return Some(self.push(ExprKind::Arith(ArithOp::Mul, base, percent), Ty::Bytes, percent_span));
        }
        let share = share.trim_matches('`');
        let base = match self.policy.exprs.get(value).map(|expr| &expr.kind) {
            Some(ExprKind::Field(_, field)) if field.row().owner == Owner::Machine => {
                if field.row().name.starts_with("swap") { "machine.swap" } else { "machine.memory" }
            }
            _ => "cgroup.limit",
        };
        self.sink.push(errors::expr::no_natural_base(&called, share, base, percent_span));
        None
    }

    /// `x in [a, b]`
    fn within(&mut self, left: &ast::Expr, right: &ast::Expr, span: Span) -> Option<ExprId> {
        let value = self.operand(left);
        let items = self.list_items(right, value.as_ref())?;
        let value = match value? {
            Operand::Expr(value) => value,
            Operand::Text(_) => {
                self.sink.push(errors::expr::string_in_list(left.span));
                return None;
            }
        };
        let (mut texts, mut tests, mut wrong) = (Vec::new(), Vec::new(), None);
        for (item, item_span) in items {
            // The values of a constant all stand where it is named, and one mistake is told there.
            if wrong == Some(item_span) {
                break;
            }
            let good = match item {
                None => None,
                Some(Operand::Text(text)) => self
                    .text_literal(value, &text, item_span)
                    .map(|()| texts.push(self.pattern(value, &text))),
                Some(Operand::Expr(other)) => {
                    self.compare(CompareOp::Eq, value, other, item_span).map(|test| tests.push(test))
                }
            };
            if good.is_none() {
                wrong = Some(item_span);
            }
        }
        if wrong.is_some() {
            return None;
        }
        if !texts.is_empty() {
            return Some(self.push(ExprKind::Matches(value, texts), Ty::Bool, span));
        }
        self.any_of(tests, span)
    }

    /// What stands in a list, or in a constant that is one; a value with a mistake is none.
    fn list_items(
        &mut self,
        list: &ast::Expr,
        beside: Option<&Operand>,
    ) -> Option<Vec<(Option<Operand>, Span)>> {
        let text = self.source.slice(list.span).to_owned();
        match &list.kind {
            ast::ExprKind::List(items) if items.is_empty() => {
                self.sink.push(errors::expr::empty_list(list.span));
                None
            }
            ast::ExprKind::List(items) => {
                Some(items.iter().map(|item| (self.beside(beside, item), item.span)).collect())
            }
            ast::ExprKind::Path(path) => match self.scope.resolve(path) {
                Ok(Resolved::Constant(Constant::List(values))) => {
                    let operands = values.into_iter().map(|value| match value {
                        Constant::Int(ty, value) => {
                            Some(Operand::Expr(self.push(ExprKind::Int(value), ty, list.span)))
                        }
                        Constant::Text(text) => Some(Operand::Text(text)),
                        Constant::List(_) => None,
                    });
                    Some(operands.map(|operand| (operand, list.span)).collect())
                }
                Ok(Resolved::Reported) => None,
                Ok(_) => {
                    self.sink.push(errors::expr::no_list(list.span, &text));
                    None
                }
                Err(diagnostic) => {
                    self.sink.push(diagnostic);
                    None
                }
            },
            _ => {
                self.sink.push(errors::expr::no_list(list.span, &text));
                None
            }
        }
    }

    /// What a string means beside a text: a command name is no path, and so a star there stands for any character.
    fn pattern(&self, value: ExprId, text: &str) -> Pattern {
        let is_comm = matches!(self.policy.exprs.get(value).map(|expr| &expr.kind),
            Some(ExprKind::Field(_, field)) if field.row().recipe == fields::Recipe::Comm);
        if is_comm { Pattern::of_name(text) } else { Pattern::new(text) }
    }

    /// Whether one of the tests holds, as a balanced tree: a long list must not make a deep one.
    fn any_of(&mut self, mut tests: Vec<ExprId>, span: Span) -> Option<ExprId> {
        while tests.len() > 1 {
            let mut next = Vec::with_capacity(tests.len().div_ceil(2));
            for pair in tests.chunks(2) {
                next.push(match *pair {
                    [a, b] => self.logic(Binary::Or, a, b, span),
                    [a] => a,
                    _ => continue,
                });
            }
            tests = next;
        }
        tests.pop()
    }
}

/// What to write instead of text beside something that is none.
fn without_quotes(ty: Ty, called: &str, text: &str, span: Span) -> Advice {
    if called.trim_matches('`').ends_with("uid") && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("users are numbers here: write what `id -u {text}` prints").into();
    }
    let known = match ty {
        Ty::Bool => matches!(text, "true" | "false"),
        _ => crate::syntax::literal::parse(text).is_ok(),
    };
    let help = match ty {
        Ty::Bool => "write `true` or `false` without quotes, or nothing",
        _ => "numbers stand without quotes",
    };
    let fix = Fix::certain(format!("write `{text}`"), span, text);
    if known { Advice::fix(fix).saying(help) } else { help.into() }
}

/// A type in parentheses behind a name.
pub(super) fn bare(ty: Ty) -> &'static str {
    ty_name(ty).trim_start_matches("a ")
}

/// How a number without a unit was most likely meant.
pub(super) fn with_unit(ty: Ty, value: i64) -> String {
    match ty {
        // Nobody writes a few bytes.
        Ty::Bytes if (1..1024).contains(&value) => format!("{value}MiB"),
        Ty::Bytes => amount::exact(fields::Measure::Bytes, value),
        Ty::Ratio => format!("{value}%"),
        Ty::Duration => format!("{value}s"),
        _ => value.to_string(),
    }
}
