//! The operator table.
//!
//! Owns which operator binds tighter and on which side. The parser in [`pratt`] and the book's table are
//! made from [`TABLE`].

use std::sync::LazyLock;

use pest::pratt_parser::{Assoc, Op, PrattParser};

use crate::Rule;

/// Where an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fix {
    /// Before its operand.
    Prefix,
    /// Between two operands; equal ones group from the left.
    Left,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Level {
    /// Where its operators stand.
    pub fix: Fix,
    /// Its operators with their spelling.
    pub ops: &'static [(Rule, &'static str)],
}

/// Loosest first.
pub static TABLE: &[Level] = &[
    Level { fix: Fix::Left, ops: &[(Rule::or, "or")] },
    Level { fix: Fix::Left, ops: &[(Rule::and, "and")] },
    Level { fix: Fix::Prefix, ops: &[(Rule::not, "not")] },
    Level {
        fix: Fix::Left,
        ops: &[
            (Rule::equal, "=="),
            (Rule::not_equal, "!="),
            (Rule::below, "<"),
            (Rule::at_most, "<="),
            (Rule::above, ">"),
            (Rule::at_least, ">="),
            (Rule::assign, "="),
            (Rule::within_list, "in"),
        ],
    },
    Level { fix: Fix::Left, ops: &[(Rule::plus, "+"), (Rule::minus_from, "-")] },
    Level { fix: Fix::Left, ops: &[(Rule::times, "*"), (Rule::divided, "/")] },
    Level { fix: Fix::Left, ops: &[(Rule::of, "of")] },
    Level { fix: Fix::Left, ops: &[(Rule::otherwise, "??")] },
    Level { fix: Fix::Prefix, ops: &[(Rule::minus, "-")] },
];

/// The parser of expressions.
pub fn pratt() -> &'static PrattParser<Rule> {
    static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
        TABLE.iter().fold(PrattParser::new(), |parser, level| {
            let ops = level.ops.iter().map(|(rule, _)| match level.fix {
                Fix::Prefix => Op::prefix(*rule),
                Fix::Left => Op::infix(*rule, Assoc::Left),
            });
            match ops.reduce(|all, op| all | op) {
                Some(ops) => parser.op(ops),
                None => parser,
            }
        })
    });
    &PRATT
}
