//! The rules of the grammar as trees.
//!
//! Takes the text of `oom.pest` and gives what pest's own reader makes of it.

use std::sync::LazyLock;

use oomc_grammar::{GRAMMAR, Rule};
use pest_meta::ast::{self, Expr};
use pest_meta::parser;

static RULES: LazyLock<Vec<ast::Rule>> = LazyLock::new(|| {
    let pairs = parser::parse(parser::Rule::grammar_rules, GRAMMAR);
    // The grammar is read by the same reader when this is compiled, so there is no other case.
    pairs.ok().and_then(|pairs| parser::consume_rules(pairs).ok()).unwrap_or_default()
});

/// All rules, in the grammar's order.
pub(crate) fn all() -> &'static [ast::Rule] {
    &RULES
}

/// What a rule reads.
pub(crate) fn body(name: &str) -> Option<&'static Expr> {
    all().iter().find(|rule| rule.name == name).map(|rule| &rule.expr)
}

/// The rule of the parser with this name.
pub(crate) fn known(name: &str) -> Option<Rule> {
    Rule::all_rules().iter().copied().find(|rule| format!("{rule:?}") == name)
}
