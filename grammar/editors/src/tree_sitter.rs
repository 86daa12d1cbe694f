//! The grammar for tree-sitter, and which of its nodes are coloured.
//!
//! Each rule of `oom.pest` becomes one rule, with three differences. Expressions have a node for each operator, with the
//! precedence of the language's own table. A keyword is a word in its place, not a rule. And clauses follow each other
//! without being cut apart first: where one may end at a word or go on with it, both are tried (`CONFLICTS`).

use std::collections::BTreeSet;

use oomc_grammar::precedence::{Fix, TABLE};
use oomc_grammar::{Rule, words};
use pest_meta::ast::{Expr, RuleType};

use crate::colour::{self, Colour};
use crate::rules;

/// Rules that only split a text or build others.
const NO_NODES: [&str; 10] =
    ["WHITESPACE", "COMMENT", "item", "braced", "reserved", "word", "first", "letter", "prefix", "infix"];

/// Rules that are written differently here, and why.
const OTHERWISE: [(&str, &str); 4] = [
    // An operator's node holds what it joins.
    ("expr", "choice($._primary, $.unary, $.binary)"),
    // Words of `fold` may be names, where no path follows.
    (
        "path",
        "seq(choice($.anchor, $.name, alias(choice('max', 'min'), $.name)), \
         repeat(choice(seq('.', alias(reserved('members', $.name), $.segment)), seq('[', $.number, ']'))))",
    ),
    // The reader of tokens knows one kind of word: what it is called is a matter of where it stands.
    ("segment", "$.name"),
    ("bits", "choice($.name, $.number)"),
];

/// Rules that go on as long as they can: an `else` belongs to the nearest `if`, a condition ends with its clause.
const GREEDY: [&str; 7] = ["action", "conditional", "descent", "quantifier", "aggregate", "range", "within"];

/// Rules of which the next word alone does not say which it is: after `or`, an action or a condition.
const CONFLICTS: [&[&str]; 6] = [
    &["raise_limit", "binary"],
    &["reclaim", "binary"],
    &["grace", "binary"],
    &["key", "binary"],
    &["filter", "binary"],
    &["up_to", "binary"],
];

const HEAD: &str = "\
// The grammar of oom policies for tree-sitter, made from ../oom.pest: the test `editors` writes this, and `cargo xtask tree-sitter` src/parser.c.

export default grammar({
  name: 'oom',
  word: $ => $.name,
  extras: $ => [/[ \\t\\r\\n\\uFEFF]/, $.comment],
";

/// `grammar.js`.
#[must_use]
pub fn grammar() -> String {
    let mut out = HEAD.to_owned();
    let conflicts = CONFLICTS.iter().map(|names| {
        let names: Vec<String> = names.iter().map(|name| node(name)).collect();
        format!("    [{}],\n", names.join(", "))
    });
    out.push_str(&format!("  conflicts: $ => [\n{}  ],\n", conflicts.collect::<String>()));
    let reserved =
        words::reserved().iter().filter(|word| words::all().contains(word)).map(|word| quoted(word));
    let reserved = reserved.collect::<Vec<String>>().join(", ");
    // Behind a dot, any word is a name.
    out.push_str(&format!("  reserved: {{\n    global: $ => [{reserved}],\n    members: $ => [],\n  }},\n"));
    out.push_str("  rules: {\n    source_file: $ => repeat($._item),\n");
    if let Some(item) = rules::body("item") {
        rule(&mut out, "_item", &tree(item));
    }
    for one in rules::all().iter().filter(|one| is_rule(&one.name)) {
        let name = &one.name;
        let body = match OTHERWISE.iter().find(|(known, _)| known == name) {
            Some((_, body)) => (*body).to_owned(),
            None if one.ty == RuleType::Atomic && words_of(name).is_empty() => {
                format!("/{}/", pattern(&one.expr))
            }
            None if words_of(name).is_empty() => tree(&one.expr),
            None => choice(words_of(name).iter().map(|word| quoted(word)).collect()),
        };
        let body = if GREEDY.contains(&name.as_str()) { format!("prec.right({body})") } else { body };
        let hidden = one.ty == RuleType::Silent || name == "expr";
        rule(&mut out, &if hidden { format!("_{name}") } else { name.clone() }, &body);
    }
    operators(&mut out);
    rule(&mut out, "comment", "/#[^\\n]*/");
    out.push_str("  },\n});\n");
    out
}

/// A rule of its own, not a word or a sign that others hold in their place.
fn is_rule(name: &str) -> bool {
    let sign = rules::known(name).is_some_and(|rule| words::only_leads(rule) || is_operator(rule));
    !NO_NODES.contains(&name) && !sign
}

fn is_operator(rule: Rule) -> bool {
    TABLE.iter().flat_map(|level| level.ops).any(|(op, _)| *op == rule)
}

/// A node for operators before a value, and one for those between two; a later line of the table binds tighter.
fn operators(out: &mut String) {
    let (mut unary, mut binary) = (Vec::new(), Vec::new());
    for (level, line) in (0..).zip(TABLE) {
        let signs = choice(line.ops.iter().map(|(_, sign)| quoted(sign)).collect());
        let operator = format!("field('operator', {signs})");
        match line.fix {
            Fix::Prefix => unary.push(format!("prec({level}, seq({operator}, $._expr))")),
            Fix::Left => binary.push(format!(
                "prec.left({level}, seq(field('left', $._expr), {operator}, field('right', $._expr)))"
            )),
        }
    }
    rule(out, "unary", &choice(unary));
    rule(out, "binary", &choice(binary));
}

fn rule(out: &mut String, name: &str, body: &str) {
    out.push_str(&format!("    {name}: $ => {body},\n"));
}

fn words_of(name: &str) -> &'static [&'static str] {
    rules::known(name).map_or(&[], words::of)
}

/// The node of a rule, as others name it.
fn node(name: &str) -> String {
    let silent = rules::all().iter().any(|rule| rule.name == name && rule.ty == RuleType::Silent);
    match name {
        "expr" => "$._expr".to_owned(),
        "segment" => "alias(reserved('members', $.name), $.segment)".to_owned(),
        _ if silent => format!("$._{name}"),
        _ => format!("$.{name}"),
    }
}

/// What reads the same as an expression of the grammar, of tokens.
fn tree(expr: &Expr) -> String {
    match expr {
        Expr::Str(text) => quoted(text),
        Expr::Ident(name) if is_rule(name) => node(name),
        // A word or a sign: it stands where it is used.
        Expr::Ident(name) => rules::body(name).map_or_else(|| node(name), sign),
        Expr::Seq(..) => {
            let parts = flat(expr, &|expr| {
                if let Expr::Seq(left, right) = expr { Some((left, right)) } else { None }
            });
            let parts = parts
                .into_iter()
                .filter(|part| !matches!(part, Expr::Ident(end) if end == "SOI" || end == "EOI"));
            let parts: Vec<String> = parts.map(tree).collect();
            if parts.len() == 1 { parts.concat() } else { format!("seq({})", parts.join(", ")) }
        }
        Expr::Choice(..) => {
            let parts = flat(expr, &|expr| {
                if let Expr::Choice(left, right) = expr { Some((left, right)) } else { None }
            });
            choice(parts.into_iter().map(tree).collect())
        }
        Expr::Opt(inner) => format!("optional({})", tree(inner)),
        Expr::Rep(inner) => format!("repeat({})", tree(inner)),
        Expr::RepOnce(inner) => format!("repeat1({})", tree(inner)),
        other => unread(other),
    }
}

/// The text of a word or a sign: `"kill" ~ !letter`.
fn sign(expr: &Expr) -> String {
    match expr {
        Expr::Str(text) => quoted(text),
        Expr::Seq(word, _) => sign(word),
        other => unread(other),
    }
}

/// A regular expression for what is one token.
fn pattern(expr: &Expr) -> String {
    match expr {
        Expr::Str(text) => text
            .chars()
            .map(|letter| if letter == '.' { "\\.".to_owned() } else { letter.to_string() })
            .collect(),
        Expr::Ident(name) => match name.as_str() {
            "first" => "[A-Za-z_]".to_owned(),
            "letter" => "[A-Za-z0-9_]".to_owned(),
            "ASCII_DIGIT" => "[0-9]".to_owned(),
            _ => unread(expr),
        },
        Expr::Seq(left, right) => match (&**left, &**right) {
            // Anything but these.
            (Expr::NegPred(without), Expr::Ident(any)) if any == "ANY" => format!("[^{}]", set(without)),
            // Reserved words are told apart by where they stand.
            (Expr::NegPred(_), rest) => pattern(rest),
            (left, right) => format!("{}{}", pattern(left), pattern(right)),
        },
        Expr::Choice(left, right) => format!("{}|{}", pattern(left), pattern(right)),
        Expr::Opt(inner) => format!("({})?", pattern(inner)),
        Expr::Rep(inner) => format!("({})*", pattern(inner)),
        other => unread(other),
    }
}

/// Single characters, as they stand in brackets.
fn set(expr: &Expr) -> String {
    match expr {
        Expr::Choice(left, right) => format!("{}{}", set(left), set(right)),
        Expr::Str(text) => text.escape_default().to_string().replace("\\\"", "\""),
        other => unread(other),
    }
}

/// A part of pest's language that the grammar has not used so far: a generator that meets it must learn it, and until then
/// tree-sitter refuses the file.
fn unread(expr: &Expr) -> String {
    format!("UNREAD({expr})")
}

fn flat<'e>(expr: &'e Expr, pair: &dyn Fn(&'e Expr) -> Option<(&'e Expr, &'e Expr)>) -> Vec<&'e Expr> {
    match pair(expr) {
        Some((left, right)) => [flat(left, pair), flat(right, pair)].concat(),
        None => vec![expr],
    }
}

fn choice(parts: Vec<String>) -> String {
    if parts.len() == 1 { parts.concat() } else { format!("choice({})", parts.join(", ")) }
}

fn quoted(text: &str) -> String {
    format!("'{text}'")
}

/// `queries/highlights.scm`.
#[must_use]
pub fn highlights() -> String {
    let mut out =
        "; Made from ../oom.pest: the test `editors` writes this.\n; Of two that match, the later one holds.\n\n"
            .to_owned();
    let fixed = [
        ("(comment)", "comment"),
        ("(string)", "string"),
        ("(number)", "number"),
        ("(name)", "variable"),
        ("(segment)", "property"),
    ];
    for (what, capture) in fixed {
        out.push_str(&format!("{what} @{capture}\n"));
    }
    // A word that stands in its place by itself.
    for colour in Colour::ALL {
        let own = rules_of(colour).filter(|rule| !is_rule(&format!("{rule:?}")));
        list(&mut out, own.flat_map(words::of).copied(), colour.names().capture);
    }
    // A word that is the node of a rule, or one of those that a rule chooses from.
    out.push('\n');
    for colour in Colour::ALL {
        let capture = colour.names().capture;
        for rule in rules_of(colour).filter(|rule| is_rule(&format!("{rule:?}"))) {
            let inside = if words::of(rule).len() == 1 {
                format!("({rule:?}) @{capture}")
            } else {
                format!("({rule:?} _ @{capture})")
            };
            out.push_str(&format!("{inside}\n"));
        }
    }
    let operators = TABLE.iter().flat_map(|level| level.ops);
    let signs = operators.clone().filter(|(rule, _)| words::of(*rule).is_empty()).map(|(_, sign)| *sign);
    list(&mut out, signs, "operator");
    let node = |fix: Fix| if fix == Fix::Prefix { "unary" } else { "binary" };
    for level in TABLE {
        for (_, word) in level.ops.iter().filter(|(rule, _)| !words::of(*rule).is_empty()) {
            let capture = Colour::Operator.names().capture;
            out.push_str(&format!("({} operator: \"{word}\" @{capture})\n", node(level.fix)));
        }
    }
    out
}

/// Rules whose words have a colour.
fn rules_of(colour: Colour) -> impl Iterator<Item = Rule> {
    Rule::all_rules().iter().copied().filter(move |rule| colour::of(*rule) == Some(colour))
}

/// Words or signs that are captured alike.
fn list(out: &mut String, words: impl Iterator<Item = &'static str>, capture: &str) {
    let words: BTreeSet<String> = words.map(|word| format!("\"{word}\"")).collect();
    if !words.is_empty() {
        let words = words.into_iter().collect::<Vec<String>>().join("\n  ");
        out.push_str(&format!("\n[\n  {words}\n] @{capture}\n"));
    }
}
