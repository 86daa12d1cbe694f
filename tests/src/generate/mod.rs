//! Random policies: valid texts that reach every construct of the language.
//!
//! Directed by the grammar and by types, so that what comes out compiles. Fields come from the table: a new row is
//! reached without a change here. Made of proptest's strategies, so that a failing text shrinks to a small one:
//! what is simple stands first in each choice.
//!
//! A strategy for an expression would hold one for each of its operands, and so on: choices make what was chosen
//! only, when it was chosen.

mod blocks;
mod clause;
mod expr;
mod machine;
mod scope;

use std::rc::Rc;

use oomc_abi::fields::Measure;
use proptest::collection::vec;
use proptest::option::of as perhaps;
use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use scope::{Declared, Kind, Scope};

pub use machine::{Scene, scene};

/// How large policies may be. The verifier's work grows most with quantifiers inside each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rules, at least one.
    pub rules: usize,
    /// Actions inside each other.
    pub depth: u32,
    /// Quantifiers inside each other, at most three.
    pub quantifiers: u32,
}

/// Sizes with their weights: most policies are small.
const SIZES: [(u32, Size); 4] = [
    (5, Size { rules: 1, depth: 1, quantifiers: 1 }),
    (3, Size { rules: 2, depth: 2, quantifiers: 1 }),
    (2, Size { rules: 2, depth: 1, quantifiers: 2 }),
    (1, Size { rules: 1, depth: 1, quantifiers: 3 }),
];

/// Policies of all sizes.
pub fn policy() -> BoxedStrategy<String> {
    let sizes = SIZES.iter().map(|(weight, size)| (*weight, Just(*size).boxed())).collect();
    proptest::strategy::Union::new_weighted(sizes).prop_flat_map(policy_of).boxed()
}

/// Policies of one size.
pub fn policy_of(size: Size) -> BoxedStrategy<String> {
    (declarations(), 0..3_usize)
        .prop_flat_map(move |((clauses, declared), picks)| {
            let scopes: Vec<Scope> = (0..=picks)
                .map(|picks| {
                    let picks = PICKS.into_iter().take(picks).collect();
                    Scope::new(Declared { picks, ..declared.clone() }, size.quantifiers)
                })
                .collect();
            // A pick may name those before it.
            let picked: Vec<Text> = scopes.iter().take(picks).map(clause::picked).collect();
            let scope = scopes.last().cloned().unwrap_or_else(|| Scope::new(Declared::default(), 0));
            let default = perhaps(clause::action(&scope, 0, false));
            let rules =
                vec((clause::action(&scope, size.depth, false), prop::bool::weighted(0.8)), 1..=size.rules);
            let protections = vec(clause::protection(&scope), 0..3);
            let test = perhaps(clause::test());
            (Just(clauses), picked, protections, rules, default, test)
        })
        .prop_map(|(clauses, picked, protections, rules, default, test)| {
            let mut lines = clauses;
            let picks = PICKS.iter().zip(&picked);
            lines.extend(picks.map(|(name, selection)| format!("pick {name} = {selection}")));
            lines.extend(protections);
            for (at, (action, named)) in rules.iter().enumerate() {
                // The first one always has the name that a test asks for.
                lines.push(if *named || at == 0 {
                    format!("rule \"r{at}\": {action}")
                } else {
                    action.clone()
                });
            }
            lines.extend(default.map(|action| format!("default {action}")));
            lines.extend(test);
            lines.join("\n") + "\n"
        })
        .boxed()
}

/// A policy with so many kills behind its rules, which find nobody, that it becomes several functions.
#[must_use]
pub fn of_many_kills(text: &str) -> String {
    let kills = (0..32).map(|at| format!("kill process in subtree where rss > {at}MiB and pid == 1\n"));
    kills.fold(text.to_owned(), |text, kill| text + &kill)
}

/// Policies from a seed: the same seed gives the same texts.
#[must_use]
pub fn policies(seed: u64, count: usize) -> Vec<String> {
    let mut runner = runner(seed);
    let strategy = policy();
    (0..count).filter_map(|_| strategy.new_tree(&mut runner).ok()).map(|tree| tree.current()).collect()
}

/// The same policies with `on` blocks behind them, but for those that name members of the kernel's event: there is none
/// where user space asks.
#[must_use]
pub fn watching(seed: u64, count: usize) -> Vec<String> {
    let mut runner = runner(seed);
    let strategy = blocks::blocks(&Scope::new(Declared::default(), 1));
    let blocks =
        (0..2 * count).filter_map(|_| strategy.new_tree(&mut runner).ok()).map(|tree| tree.current());
    let all =
        policies(seed, 2 * count).into_iter().zip(blocks).map(|(text, blocks)| format!("{text}{blocks}\n"));
    all.filter(|text| !text.contains("oom.oc.")).take(count).collect()
}

/// The same seed makes the same choices.
#[must_use]
pub fn runner(seed: u64) -> TestRunner {
    let bytes: Vec<u8> = (0..4_u64).flat_map(|part| (seed ^ part << 56).to_le_bytes()).collect();
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Names of picks.
const PICKS: [&str; 2] = ["tenant", "other"];

/// Names that a policy may declare, each with what it is.
const NAMES: [(&str, Kind, Measure); 17] = [
    ("floor", Kind::Value, Measure::Bytes),
    ("some_count", Kind::Value, Measure::Count),
    ("share", Kind::Value, Measure::Ratio),
    ("long", Kind::Value, Measure::Duration),
    ("strict", Kind::Value, Measure::Bool),
    ("daemon", Kind::Value, Measure::Text),
    ("room", Kind::Value, Measure::Bytes),
    ("some_number", Kind::Value, Measure::Count),
    ("step", Kind::Value, Measure::Ratio),
    ("patience", Kind::Value, Measure::Duration),
    ("careful", Kind::Value, Measure::Bool),
    ("tier", Kind::Label, Measure::Count),
    ("budgeted", Kind::Label, Measure::Bytes),
    ("part", Kind::Label, Measure::Ratio),
    ("notice", Kind::Label, Measure::Duration),
    ("kept", Kind::Label, Measure::Bool),
    ("grown", Kind::State, Measure::Count),
];

/// The first of [`NAMES`] that is a param.
const PARAMS: usize = 6;

/// Clauses that declare names, and the names.
fn declarations() -> BoxedStrategy<(Vec<String>, Declared)> {
    let names = prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..6);
    let head = (words(&["", "policy \"random\""]), words(&["", "", "mode audit", "mode enforce"]));
    (names, head)
        .prop_flat_map(|(names, (policy, mode))| {
            let mut declared = Declared::default();
            let mut clauses: Vec<Text> = vec![Just(policy).boxed(), Just(mode).boxed()];
            for at in names {
                let Some((name, kind, unit)) = NAMES.get(at).copied() else { continue };
                declared.values.push((name, kind, unit));
                clauses.push(declaration(name, kind, unit, at >= PARAMS));
            }
            (clauses, Just(declared))
        })
        .prop_flat_map(|(mut clauses, declared)| {
            clauses.retain(|clause| !clause.is_empty());
            let definitions = vec(definition(&declared), 0..=DEFINITIONS.len());
            (Just(clauses), Just(declared), definitions, prop::bool::weighted(0.2))
        })
        .prop_map(|(mut clauses, mut declared, definitions, listed)| {
            for (name, (owner, condition)) in DEFINITIONS.into_iter().zip(definitions) {
                clauses.push(format!("define {name} = {} where {condition}", expr::unit_word(owner)));
                declared.definitions.push((name, owner));
            }
            if listed {
                clauses.push(format!("const {LIST} = [\"sshd\", \"worker-*\", \"b\"]"));
                declared.list = Some(LIST);
            }
            (clauses, declared)
        })
        .boxed()
}

/// Names of definitions.
const DEFINITIONS: [&str; 2] = ["idle", "busy"];

/// The name of a list of texts.
const LIST: &str = "daemons";

/// The unit and the condition of a definition. Quantifiers are left to who uses it: they would stand inside each other.
fn definition(declared: &Declared) -> BoxedStrategy<(oomc_abi::fields::Owner, String)> {
    let scope = Scope::new(declared.clone(), 0);
    expr::owners()
        .prop_flat_map(move |owner| {
            let inner = scope.inside(owner, None);
            expr::condition(&inner, 1).prop_map(move |condition| (owner, condition))
        })
        .boxed()
}

fn declaration(name: &'static str, kind: Kind, unit: Measure, param: bool) -> Text {
    let (default, range, ty) = match unit {
        Measure::Bytes => ("64MiB", "0B .. 8TiB", "bytes"),
        Measure::Count => ("100", "-5 .. 10_000", "count"),
        Measure::Ratio => ("25%", "1% .. 100%", "percent"),
        Measure::Duration => ("30s", "0s .. 1h", "duration"),
        Measure::Bool | Measure::Text => ("true", "", "bool"),
    };
    match kind {
        Kind::State => words(&["", " resets after 1h", " resets after 250ms * 2"])
            .prop_map(move |resets| format!("state {name}: counter per cgroup{resets}"))
            .boxed(),
        Kind::Label => words(&["", " trust root", " trust owner", " trust any"])
            .prop_map(move |trust| format!("label {name}: {ty} = {default}{trust}"))
            .boxed(),
        Kind::Value if unit == Measure::Text => word(&format!("const {name} = \"sshd\"")),
        Kind::Value if !param => {
            expr::positive(unit).prop_map(move |value| format!("const {name} = {value}")).boxed()
        }
        Kind::Value if unit == Measure::Bool => word(&format!("param {name} = {default}")),
        Kind::Value => word(&format!("param {name} = {default} range {range}")),
    }
}

/// A piece of a policy.
type Text = BoxedStrategy<String>;

/// One way to go on: how often it is taken, and what makes it.
type Choice = (u32, Box<dyn Fn() -> Text>);

fn option(weight: u32, make: impl Fn() -> Text + 'static) -> Choice {
    (weight, Box::new(make))
}

/// One of several ways; the others are not made.
fn choose(options: Vec<Choice>) -> Text {
    let total: u32 = options.iter().map(|(weight, _)| weight).sum();
    let options = Rc::new(options);
    (0..total.max(1))
        .prop_flat_map(move |mut at| {
            for (weight, make) in options.iter() {
                if at < *weight {
                    return make();
                }
                at -= weight;
            }
            word("")
        })
        .boxed()
}

fn one_of(texts: Vec<String>) -> Text {
    prop::sample::select(texts).boxed()
}

fn words(texts: &[&str]) -> Text {
    one_of(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn word(text: &str) -> Text {
    Just(text.to_owned()).boxed()
}
