//! Expressions: operators by precedence, operands, and how deep the tree becomes.

use oomc_grammar::Rule;
use oomc_grammar::pest::iterators::Pair;
use oomc_grammar::precedence::pratt;

use super::{Cst, MAX_CHAIN, inner, unquoted};
use crate::syntax::ast::{Binary, Expr, ExprKind};
use crate::syntax::{errors, literal};

/// An expression with the depth of its tree.
type Deep = (Expr, usize);

impl Cst<'_> {
    /// A number with its unit, or a diagnostic.
    pub(super) fn number(&mut self, pair: &Pair<'_, Rule>) -> Option<literal::Literal> {
        match literal::parse(pair.as_str()) {
            Ok(literal) => Some(literal),
            Err(refused) => {
                self.sink.push(errors::refused_number(refused, self.span(pair)));
                None
            }
        }
    }

    pub(super) fn expr(&mut self, pair: Pair<'_, Rule>) -> Option<Expr> {
        self.deep(pair).map(|(expr, _)| expr)
    }

    /// The Pratt parser takes three closures, and all of them report: the sink is shared between them.
    fn deep(&mut self, pair: Pair<'_, Rule>) -> Option<Deep> {
        let cst = core::cell::RefCell::new(self);
        pratt()
            .map_primary(|primary| cst.borrow_mut().primary(primary))
            .map_prefix(|op, operand: Option<Deep>| {
                let (operand, depth) = operand?;
                let span = cst.borrow().span(&op).to(operand.span);
                let operand = Box::new(operand);
                let kind = match op.as_rule() {
                    Rule::not => ExprKind::Not(operand),
                    _ => ExprKind::Minus(operand),
                };
                Some((Expr { kind, span }, depth + 1))
            })
            .map_infix(|left: Option<Deep>, op, right: Option<Deep>| {
                cst.borrow_mut().infix(left?, &op, right?)
            })
            .parse(pair.into_inner())
    }

    pub(super) fn primary(&mut self, pair: Pair<'_, Rule>) -> Option<Deep> {
        let span = self.span(&pair);
        let (kind, depth) = match pair.as_rule() {
            Rule::number => (self.number(&pair).map_or(ExprKind::Broken, ExprKind::Number), 0),
            Rule::string => (ExprKind::Text(unquoted(pair.as_str()).to_owned()), 0),
            Rule::boolean => (ExprKind::Bool(pair.as_str() == "true"), 0),
            Rule::path => (ExprKind::Path(self.path(pair)?), 0),
            Rule::quantifier | Rule::aggregate => {
                let quantifier = Box::new(self.quantifier(pair)?);
                (ExprKind::Quantifier(quantifier), 1)
            }
            Rule::rate => (ExprKind::Rate(self.path(inner(pair).next()?)?), 0),
            Rule::growth => {
                let mut parts = inner(pair);
                let field = self.path(parts.next()?)?;
                let (window, depth) = self.deep(parts.next()?)?;
                (ExprKind::Growth(field, Box::new(window)), depth + 1)
            }
            Rule::choice => {
                let mut deepest = 0;
                let mut parts = Vec::with_capacity(3);
                for part in inner(pair) {
                    let (part, depth) = self.deep(part)?;
                    deepest = deepest.max(depth);
                    parts.push(part);
                }
                (ExprKind::Choice(Box::new(parts.try_into().ok()?)), deepest + 1)
            }
            Rule::bit_test => {
                let mut parts = inner(pair);
                let member = self.path(parts.next()?)?;
                (ExprKind::Has(member, parts.map(|bits| self.name(&bits)).collect()), 0)
            }
            Rule::paren => {
                let outer = self.quantifier.take();
                let inside = self.deep(inner(pair).next()?);
                self.quantifier = outer;
                let (expr, depth) = inside?;
                (ExprKind::Paren(Box::new(expr)), depth + 1)
            }
            Rule::list => {
                let mut items = Vec::new();
                let mut deepest = 0;
                for part in inner(pair) {
                    let (item, depth) = self.deep(part)?;
                    deepest = deepest.max(depth);
                    items.push(item);
                }
                (ExprKind::List(items), deepest + 1)
            }
            _ => return None,
        };
        Some((Expr { kind, span }, depth))
    }

    fn infix(
        &mut self,
        (left, left_depth): Deep,
        op: &Pair<'_, Rule>,
        (right, right_depth): Deep,
    ) -> Option<Deep> {
        let span = left.span.to(right.span);
        let op_span = self.span(op);
        let broken = Some((Expr { kind: ExprKind::Broken, span }, 0));
        if op.as_rule() == Rule::assign {
            self.sink.push(errors::assigns(op_span));
            return broken;
        }
        let binary = binary(op.as_rule())?;
        if !matches!(
            binary,
            Binary::Add | Binary::Sub | Binary::Mul | Binary::Div | Binary::Of | Binary::Default
        ) {
            for operand in [&left, &right] {
                if let ExprKind::Quantifier(quantifier) = &operand.kind
                    && quantifier.filter.is_some()
                {
                    let word = quantifier.quant.spelling();
                    self.sink.push(errors::bare_quantifier(word, operand.span));
                    return broken;
                }
            }
        }
        let chained = matches!(left.kind, ExprKind::Binary(first, ..) if first.compares());
        if binary.compares() && chained {
            self.sink.push(match self.quantifier {
                Some((word, begin)) => errors::quantifier_compared(word, begin, left.span, op_span),
                None => errors::chained_comparison(op_span),
            });
            return broken;
        }
        let depth = left_depth.max(right_depth) + 1;
        if depth > MAX_CHAIN {
            self.sink.push(errors::too_many_operators(op_span));
            return None;
        }
        Some((Expr { kind: ExprKind::Binary(binary, Box::new(left), Box::new(right)), span }, depth))
    }
}

/// The operator that a rule of the grammar is.
fn binary(rule: Rule) -> Option<Binary> {
    Some(match rule {
        Rule::or => Binary::Or,
        Rule::and => Binary::And,
        Rule::equal => Binary::Eq,
        Rule::not_equal => Binary::Ne,
        Rule::below => Binary::Lt,
        Rule::at_most => Binary::Le,
        Rule::above => Binary::Gt,
        Rule::at_least => Binary::Ge,
        Rule::within_list => Binary::In,
        Rule::plus => Binary::Add,
        Rule::minus_from => Binary::Sub,
        Rule::times => Binary::Mul,
        Rule::divided => Binary::Div,
        Rule::of => Binary::Of,
        Rule::otherwise => Binary::Default,
        _ => return None,
    })
}
