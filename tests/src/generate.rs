//! Random policies: valid texts that reach every construct of the language.
//!
//! Directed by the grammar and by types, so that what comes out compiles. Fields come from the table: a new row is
//! reached without a change here. Made of proptest's strategies, so that a failing text shrinks to a small one.

use std::sync::Arc;

use oomc_abi::fields::{FIELDS, Owner, Unit};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::strategy::{BoxedStrategy, Union, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// The type of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ty {
    Bytes,
    Count,
    Ratio,
    Duration,
}

/// What an expression may name.
#[derive(Clone, Debug)]
struct Scope {
    /// The innermost candidate.
    unit: Option<Owner>,
    /// How many quantifiers may still be put inside.
    quantifiers: u32,
    /// What is declared.
    declared: Arc<Declared>,
}

/// Which declarations a policy has.
#[derive(Clone, Debug, Default)]
struct Declared {
    constant: bool,
    param: bool,
    label: bool,
    state: bool,
    pick: bool,
}

impl Scope {
    fn inside(&self, unit: Owner) -> Self {
        Self { unit: Some(unit), ..self.clone() }
    }

    fn deeper(&self, unit: Owner) -> Self {
        Self { quantifiers: self.quantifiers.saturating_sub(1), ..self.inside(unit) }
    }

    /// Prefixes of cgroups that can be asked for fields.
    fn cgroups(&self) -> Vec<&'static str> {
        let mut found = vec!["cgroup.", "parent.", "attached."];
        match self.unit {
            Some(Owner::Process) => found.push("home."),
            Some(_) => found.extend(["", "it."]),
            None => {}
        }
        if self.declared.pick {
            found.push("tenant.");
        }
        found
    }

    /// Names of fields with this unit, with what stands before them.
    fn fields(&self, unit: Unit) -> Vec<String> {
        let mut found = Vec::new();
        for field in FIELDS.iter().filter(|field| field.unit == unit) {
            match field.owner {
                Owner::Event => found.push(format!("oom.{}", field.name)),
                Owner::Process if self.unit == Some(Owner::Process) => {
                    found.push(field.name.to_owned());
                    found.push(format!("it.{}", field.name));
                }
                Owner::Process => {}
                Owner::Cgroup => {
                    found.extend(self.cgroups().iter().map(|prefix| format!("{prefix}{}", field.name)));
                }
            }
        }
        found
    }
}

fn one_of(texts: Vec<String>) -> BoxedStrategy<String> {
    prop::sample::select(texts).boxed()
}

fn words(texts: &[&str]) -> BoxedStrategy<String> {
    one_of(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn literal(ty: Ty) -> BoxedStrategy<String> {
    match ty {
        Ty::Bytes => words(&["0B", "4096B", "64KiB", "1MiB", "1.5MiB", "20MiB", "3GiB", "8000TiB"]),
        Ty::Count => words(&["0", "1", "3", "100", "-5", "10_000", "9223372036854775807"]),
        Ty::Ratio => words(&["0%", "0.5%", "10%", "90%", "150%"]),
        Ty::Duration => words(&["0s", "250ms", "30s", "1h30m", "2d"]),
    }
}

/// A number of a type.
fn number(scope: &Scope, ty: Ty, depth: u32) -> BoxedStrategy<String> {
    let unit = match ty {
        Ty::Bytes => Unit::Bytes,
        Ty::Count => Unit::Count,
        Ty::Ratio => Unit::Ratio,
        Ty::Duration => Unit::Duration,
    };
    let mut names = scope.fields(unit);
    let declared = &scope.declared;
    match ty {
        Ty::Bytes if declared.constant => names.push("floor".to_owned()),
        Ty::Ratio if declared.param => names.push("step".to_owned()),
        Ty::Count => {
            if declared.label {
                names
                    .extend(scope.cgroups().iter().filter(|of| !of.is_empty()).map(|of| format!("{of}tier")));
            }
            if declared.state {
                names.extend(scope.cgroups().iter().map(|of| format!("{of}grown")));
                names.push("grown".to_owned());
            }
        }
        _ => {}
    }
    let mut options: Vec<(u32, BoxedStrategy<String>)> = vec![(2, literal(ty))];
    if !names.is_empty() {
        options.push((6, one_of(names)));
    }
    if depth > 0 {
        let same = || number(scope, ty, depth - 1);
        options.push((
            2,
            (same(), words(&["+", "-"]), same()).prop_map(|(a, op, b)| format!("({a} {op} {b})")).boxed(),
        ));
        options.push((1, same().prop_map(|a| format!("(- {a})")).boxed()));
        options.push((2, (same(), literal(ty)).prop_map(|(a, b)| format!("({a} ?? {b})")).boxed()));
        let count = || number(scope, Ty::Count, depth - 1);
        let bytes = || number(scope, Ty::Bytes, depth - 1);
        match ty {
            Ty::Bytes => {
                options.push((1, (same(), count()).prop_map(|(a, b)| format!("({a} * {b})")).boxed()));
                options.push((
                    1,
                    (same(), words(&["2", "3", "-7"])).prop_map(|(a, b)| format!("({a} / {b})")).boxed(),
                ));
                let share = (number(scope, Ty::Ratio, 0), same());
                options.push((2, share.prop_map(|(a, b)| format!("({a} of {b})")).boxed()));
            }
            Ty::Count => {
                options.push((1, (same(), same()).prop_map(|(a, b)| format!("({a} * {b})")).boxed()));
            }
            Ty::Ratio => {
                let quotient = (bytes(), scope_field(scope, "20MiB"));
                options.push((2, quotient.prop_map(|(a, b)| format!("({a} / {b})")).boxed()));
            }
            Ty::Duration => {}
        }
        if scope.quantifiers > 0 && matches!(ty, Ty::Bytes | Ty::Count | Ty::Duration) {
            options.push((1, adding_quantifier(scope, ty, depth - 1)));
        }
    }
    Union::new_weighted(options).boxed()
}

/// A number of bytes that is rarely 0.
fn scope_field(scope: &Scope, literal: &'static str) -> BoxedStrategy<String> {
    let mut names = scope.fields(Unit::Bytes);
    names.push(literal.to_owned());
    one_of(names)
}

/// A place for elements, and whether a candidate encloses it.
fn place(scope: &Scope) -> BoxedStrategy<String> {
    let mut cgroups = vec!["cgroup", "attached"];
    if scope.unit == Some(Owner::Cgroup) {
        cgroups.push("it");
    }
    if scope.declared.pick {
        cgroups.push("tenant");
    }
    let of = words(&cgroups);
    prop_oneof![
        2 => Just("subtree".to_owned()),
        1 => of.clone().prop_map(|of| format!("subtree of {of}")),
        1 => of.clone().prop_map(|of| format!("children of {of}")),
        1 => of.clone().prop_map(|of| format!("leaves of {of}")),
        1 => of,
    ]
    .boxed()
}

fn unit_word(owner: Owner) -> &'static str {
    if owner == Owner::Process { "process" } else { "cgroup" }
}

fn owners() -> impl Strategy<Value = Owner> {
    prop_oneof![Just(Owner::Process), Just(Owner::Cgroup)]
}

/// `count …`, `sum …`.
fn adding_quantifier(scope: &Scope, ty: Ty, depth: u32) -> BoxedStrategy<String> {
    let scope = scope.clone();
    (owners(), any::<bool>())
        .prop_flat_map(move |(owner, filtered)| {
            let inner = scope.deeper(owner);
            let filter =
                if filtered { condition(&inner, depth).prop_map(Some).boxed() } else { Just(None).boxed() };
            let own = match (ty, owner) {
                (Ty::Count, _) => Vec::new(),
                (Ty::Duration, _) => vec!["age".to_owned()],
                (_, owner) => FIELDS
                    .iter()
                    .filter(|field| field.owner == owner && field.unit == Unit::Bytes)
                    .map(|field| field.name.to_owned())
                    .collect(),
            };
            let owner = if ty == Ty::Duration { Owner::Process } else { owner };
            let filter = if ty == Ty::Duration { Just(None).boxed() } else { filter };
            let head = if own.is_empty() {
                Just("count".to_owned()).boxed()
            } else {
                one_of(own).prop_map(|field| format!("sum {field} of")).boxed()
            };
            (head, place(&scope), filter).prop_map(move |(head, place, filter)| {
                let filter = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
                format!("({head} {} in {place}{filter})", unit_word(owner))
            })
        })
        .boxed()
}

fn pattern() -> BoxedStrategy<String> {
    words(&[
        "sshd",
        "worker-*",
        "*",
        "?",
        "a?c",
        "/job/**",
        "**",
        "t/*/b",
        "/system.slice/**",
        "*x*",
        "/a",
        "b",
        "\\x2d",
        "a*b*c",
    ])
}

/// A condition.
fn condition(scope: &Scope, depth: u32) -> BoxedStrategy<String> {
    let compared = |ty| {
        (number(scope, ty, depth.min(1)), words(&["==", "!=", "<", "<=", ">", ">="]), number(scope, ty, 0))
            .prop_map(|(a, op, b)| format!("{a} {op} {b}"))
            .boxed()
    };
    let mut options: Vec<(u32, BoxedStrategy<String>)> =
        vec![(4, compared(Ty::Bytes)), (3, compared(Ty::Count)), (1, compared(Ty::Ratio))];
    if scope.unit == Some(Owner::Process) {
        options.push((1, compared(Ty::Duration)));
    }
    let based: Vec<String> = scope
        .cgroups()
        .iter()
        .flat_map(|of| {
            FIELDS.iter().filter(|field| field.base.is_some()).map(move |field| format!("{of}{}", field.name))
        })
        .collect();
    options.push((
        1,
        (one_of(based), literal(Ty::Ratio))
            .prop_map(|(field, percent)| format!("{field} > {percent}"))
            .boxed(),
    ));
    let flags = scope.fields(Unit::Bool);
    if !flags.is_empty() {
        options.push((2, one_of(flags)));
    }
    let texts: Vec<String> =
        scope.fields(Unit::Text).into_iter().filter(|field| !field.starts_with("oom.")).collect();
    if !texts.is_empty() {
        let equal = (one_of(texts.clone()), words(&["==", "!="]), pattern());
        options.push((2, equal.prop_map(|(field, op, text)| format!("{field} {op} \"{text}\"")).boxed()));
        let within = (one_of(texts), vec(pattern(), 1..4));
        options.push((
            1,
            within
                .prop_map(|(field, texts)| {
                    let texts: Vec<String> = texts.iter().map(|text| format!("\"{text}\"")).collect();
                    format!("{field} in [{}]", texts.join(", "))
                })
                .boxed(),
        ));
    }
    options.push((1, words(&["oom.scope == \"system\"", "oom.constraint in [\"memcg\", \"none\"]"])));
    if depth > 0 {
        let same = || condition(scope, depth - 1);
        options.push((2, same().prop_map(|a| format!("not ({a})")).boxed()));
        options.push((
            3,
            (same(), words(&["and", "or"]), same()).prop_map(|(a, op, b)| format!("({a} {op} {b})")).boxed(),
        ));
        if scope.quantifiers > 0 {
            let scope = scope.clone();
            let quantified = owners().prop_flat_map(move |owner| {
                let inner = condition(&scope.deeper(owner), depth - 1);
                (words(&["any", "every"]), place(&scope), inner).prop_map(move |(quant, place, inner)| {
                    format!("({quant} {} in {place} where {inner})", unit_word(owner))
                })
            });
            options.push((2, quantified.boxed()));
        }
    }
    Union::new_weighted(options).boxed()
}

/// A selection, for a `kill` or a `pick`.
fn selection(scope: &Scope, owner: Owner, kill: bool) -> BoxedStrategy<(String, bool)> {
    let inner = scope.inside(owner);
    let ranks: &[&str] = match (owner, kill) {
        (Owner::Process, true) => &["", "largest", "smallest", "youngest", "oldest", "worst", "all"],
        (_, true) => &["", "largest", "smallest", "youngest", "oldest", "all"],
        _ => &["largest", "smallest", "youngest", "oldest"],
    };
    let key = (number(&inner, Ty::Bytes, 1), words(&["", " asc", " desc"])).prop_map(|(key, way)| key + &way);
    let other =
        (number(&inner, Ty::Count, 1), words(&["", " asc", " desc"])).prop_map(|(key, way)| key + &way);
    (
        words(ranks),
        place(&Scope { unit: None, ..scope.clone() }),
        any::<bool>(),
        option::of(condition(&inner, 2)),
        vec(prop_oneof![key, other], 0..3),
    )
        .prop_map(move |(rank, place, stepwise, filter, keys)| {
            let mut text = String::new();
            if !rank.is_empty() {
                text += &format!("{rank} ");
            }
            text += &format!("{} in {place}", unit_word(owner));
            if stepwise && owner == Owner::Cgroup && place.starts_with("subtree") && rank != "all" {
                text += " stepwise";
            }
            if let Some(filter) = filter {
                text += &format!(" where {filter}");
            }
            if !keys.is_empty() && matches!(rank.as_str(), "" | "largest" | "smallest") {
                text += &format!(" by {}", keys.join(", "));
            }
            (text, rank == "all")
        })
        .boxed()
}

fn kill(scope: &Scope) -> BoxedStrategy<String> {
    let scope = scope.clone();
    owners()
        .prop_flat_map(move |owner| {
            let until = option::weighted(0.2, (number(&scope, Ty::Bytes, 0), 1..=16_u8));
            let value = scope.inside(owner).fields(Unit::Bytes);
            let reason = option::weighted(0.4, one_of(value));
            (selection(&scope, owner, true), any::<bool>(), until, reason).prop_map(
                |((selection, all), now, until, reason)| {
                    let mut text = format!("kill {selection}");
                    if now {
                        text += " now";
                    }
                    if let (Some((freed, most)), false) = (until, all) {
                        text += &format!(" until freed {freed} at most {most}");
                    }
                    if let Some(value) = reason {
                        text += &format!(" reason \"because {{{value}}}\"");
                    }
                    text
                },
            )
        })
        .boxed()
}

fn action(scope: &Scope, depth: u32) -> BoxedStrategy<String> {
    let amount = prop_oneof![literal(Ty::Ratio), number(scope, Ty::Bytes, 1)];
    let raise = (amount, option::of(number(scope, Ty::Bytes, 0))).prop_map(|(by, up_to)| {
        let up_to = up_to.map(|up_to| format!(" up to {up_to}")).unwrap_or_default();
        format!("raise_limit {by}{up_to}")
    });
    let mut options: Vec<(u32, BoxedStrategy<String>)> = vec![
        (5, kill(scope)),
        (2, raise.boxed()),
        (1, Just("wait".to_owned()).boxed()),
        (1, words(&["notify \"told\"", "notify \"usage {cgroup.usage} of {cgroup.name}\""])),
    ];
    if scope.declared.state {
        options.push((1, Just("count grown".to_owned()).boxed()));
    }
    if depth > 0 {
        let same = || action(scope, depth - 1);
        let alternatives = (same(), same()).prop_map(|(a, b)| format!("{{ {a} }} or {{ {b} }}"));
        options.push((1, alternatives.boxed()));
        options
            .push((1, vec(same(), 1..4).prop_map(|actions| format!("{{ {} }}", actions.join(" "))).boxed()));
        let conditional =
            (condition(scope, 2), same(), option::of(same())).prop_map(|(condition, then, otherwise)| {
                let otherwise =
                    otherwise.map(|otherwise| format!(" else {{ {otherwise} }}")).unwrap_or_default();
                format!("if {condition} then {{ {then} }}{otherwise}")
            });
        options.push((3, conditional.boxed()));
    }
    Union::new_weighted(options).boxed()
}

/// `never kill …`, `prefer …`, `avoid …`.
fn protection(scope: &Scope) -> BoxedStrategy<String> {
    let scope = scope.clone();
    let conditional = owners().prop_flat_map(move |owner| {
        let filter = condition(&scope.inside(owner), 2);
        (words(&["never kill", "prefer", "avoid"]), filter)
            .prop_map(move |(word, filter)| format!("{word} {} where {filter}", unit_word(owner)))
    });
    let path = (words(&["never kill", "prefer", "avoid"]), pattern())
        .prop_map(|(word, path)| format!("{word} cgroup \"{path}\""));
    prop_oneof![3 => conditional, 1 => path].boxed()
}

/// A policy.
#[must_use]
pub fn policy() -> BoxedStrategy<String> {
    let declared = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    declared
        .prop_flat_map(|(constant, param, label, state, pick, audit)| {
            let declared = Declared { constant, param, label, state, pick };
            let without_pick = Scope {
                unit: None,
                quantifiers: 2,
                declared: Arc::new(Declared { pick: false, ..declared.clone() }),
            };
            let scope = Scope { declared: Arc::new(declared.clone()), ..without_pick.clone() };
            let picked = selection(&without_pick, Owner::Cgroup, false);
            (vec(protection(&scope), 0..2), picked, vec(action(&scope, 2), 1..4)).prop_map(
                move |(protections, (picked, _), actions)| {
                    let mut text = String::new();
                    let mut clause = |wanted: bool, clause: &str| {
                        if wanted {
                            text.push_str(clause);
                            text.push('\n');
                        }
                    };
                    clause(audit, "mode audit");
                    clause(declared.constant, "const floor = 16MiB * 2");
                    clause(declared.param, "param step = 25% range 1% .. 100%");
                    clause(declared.label, "label tier: count = 100 trust any");
                    clause(declared.state, "state grown: counter per cgroup resets after 1h");
                    clause(declared.pick, &format!("pick tenant = {picked}"));
                    for protection in &protections {
                        clause(true, protection);
                    }
                    for (at, action) in actions.iter().enumerate() {
                        clause(true, &format!("rule \"r{at}\": {action}"));
                    }
                    text
                },
            )
        })
        .boxed()
}

/// Policies from a seed: the same seed gives the same texts.
#[must_use]
pub fn policies(seed: u64, count: usize) -> Vec<String> {
    let bytes: Vec<u8> = (0..4_u64).flat_map(|part| (seed ^ part << 56).to_le_bytes()).collect();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let strategy = policy();
    (0..count).filter_map(|_| strategy.new_tree(&mut runner).ok()).map(|tree| tree.current()).collect()
}
