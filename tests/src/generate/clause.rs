//! Random clauses: selections, actions, protections, tests.

use oomc_abi::fields::{Measure, Owner};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::expr::{NUMBERS, condition, filter, number, own_name, owners, pattern, place, simple, unit_word};
use super::scope::{Kind, Scope};
use super::{Text, choose, one_of, option, word, words};

/// A selection of a `kill` or a `pick`, and whether it is of all. `tail` makes what may name the candidate, too.
fn selection(
    scope: &Scope,
    owner: Owner,
    pick: bool,
    tail: fn(&Scope) -> Text,
) -> BoxedStrategy<(String, bool)> {
    let ranks: &[&str] = match (owner, pick) {
        (Owner::Process, _) => &["", "largest", "smallest", "youngest", "oldest", "worst", "all"],
        (_, false) => &["", "largest", "smallest", "youngest", "oldest", "all"],
        (_, true) => &["", "largest", "smallest", "youngest", "oldest"],
    };
    let outer = scope.clone();
    (words(ranks), own_name(scope), prop::bool::weighted(0.2), any::<bool>())
        .prop_flat_map(move |(rank, name, bare, stepwise)| {
            let inner = outer.inside(owner, name);
            let key = {
                let inner = inner.clone();
                prop::sample::select(NUMBERS.to_vec())
                    .prop_flat_map(move |unit| (number(&inner, unit, 1), words(&["", " asc", " desc"])))
                    .prop_map(|(key, way)| key + &way)
            };
            let condition = match name {
                Some(_) => filter(&inner, name, owner, 1).prop_map(Some).boxed(),
                None => option::of(condition(&inner, 2)).boxed(),
            };
            let keys = if matches!(rank.as_str(), "" | "largest" | "smallest") { 0..3 } else { 0..1 };
            let all = rank == "all";
            (place(&outer), condition, vec(key, keys), tail(&inner)).prop_map(
                move |(place, condition, keys, tail)| {
                    let mut text = String::new();
                    if !rank.is_empty() {
                        text += &format!("{rank} ");
                    }
                    // `process` is meant where nothing stands; a name needs it.
                    if !bare || owner == Owner::Cgroup || name.is_some() {
                        text += &format!("{} ", unit_word(owner));
                    }
                    text += &name.map(|name| format!("{name} ")).unwrap_or_default();
                    text += &format!("in {place}");
                    if stepwise && owner == Owner::Cgroup && place.starts_with("subtree") && !all {
                        text += " stepwise";
                    }
                    text += &condition.map(|text| format!(" where {text}")).unwrap_or_default();
                    if !keys.is_empty() {
                        text += &format!(" by {}", keys.join(", "));
                    }
                    (text + &tail, all)
                },
            )
        })
        .boxed()
}

/// What is chosen by a `pick`.
pub(super) fn picked(scope: &Scope) -> Text {
    selection(scope, Owner::Cgroup, true, |_| word("")).prop_map(|(text, _)| text).boxed()
}

/// Text with up to four values.
fn message(scope: &Scope) -> Text {
    vec(one_of(scope.shown()), 0..5)
        .prop_map(|values| {
            let values: String = values.iter().map(|value| format!(" {{{value}}}")).collect();
            format!("\"told{values}\"")
        })
        .boxed()
}

fn kill(scope: &Scope) -> Text {
    let scope = scope.clone();
    owners()
        .prop_flat_map(move |owner| {
            let until = option::weighted(0.2, (simple(&scope, Measure::Bytes), 1..=16_u8));
            let reason = |inner: &Scope| {
                option::weighted(0.3, message(inner))
                    .prop_map(|text| text.map(|text| format!(" reason {text}")).unwrap_or_default())
                    .boxed()
            };
            (selection(&scope, owner, false, reason), any::<bool>(), until).prop_map(
                |((selection, all), now, until)| {
                    // `now` and `until` stand before the reason.
                    let (selection, reason) = match selection.split_once(" reason ") {
                        Some((selection, reason)) => (selection, format!(" reason {reason}")),
                        None => (selection.as_str(), String::new()),
                    };
                    let now = if now { " now" } else { "" };
                    let until = match until {
                        Some((freed, most)) if !all => format!(" until freed {freed} at most {most}"),
                        _ => String::new(),
                    };
                    format!("kill {selection}{now}{until}{reason}")
                },
            )
        })
        .boxed()
}

fn raise(scope: &Scope) -> Text {
    let ratios: Vec<&str> = scope
        .declared
        .values
        .iter()
        .filter(|(_, kind, unit)| *kind == Kind::Value && *unit == Measure::Ratio)
        .map(|(name, ..)| *name)
        .collect();
    // A rise of nothing is a constant for the verifier, which removes what could never run.
    let shares: &[&str] = if ratios.is_empty() { &["0.5%", "10%", "90%", "150%"] } else { &ratios };
    let share = words(shares);
    let amount = prop_oneof![share, number(scope, Measure::Bytes, 1)];
    (amount, option::of(number(scope, Measure::Bytes, 1)))
        .prop_map(|(by, up_to)| {
            let up_to = up_to.map(|up_to| format!(" up to {up_to}")).unwrap_or_default();
            format!("raise_limit {by}{up_to}")
        })
        .boxed()
}

/// An action. In a block `defer` may not follow another one, so there is none.
pub(super) fn action(scope: &Scope, depth: u32, in_block: bool) -> Text {
    let with = |make: fn(&Scope) -> Text| {
        let scope = scope.clone();
        move || make(&scope)
    };
    let same = |in_block: bool| {
        let scope = scope.clone();
        move || action(&scope, depth - 1, in_block)
    };
    let mut options = vec![
        option(1, || word("wait")),
        option(6, with(kill)),
        option(2, with(raise)),
        option(1, with(|scope| message(scope).prop_map(|text| format!("notify {text}")).boxed())),
    ];
    let counters: Vec<&'static str> = scope
        .declared
        .values
        .iter()
        .filter(|(_, kind, _)| *kind == Kind::State)
        .map(|(name, ..)| *name)
        .collect();
    if !counters.is_empty() {
        options.push(option(1, move || words(&counters).prop_map(|name| format!("count {name}")).boxed()));
    }
    if !in_block {
        options.push(option(1, || word("defer")));
    }
    if depth > 0 {
        let (first, second) = (same(in_block), same(in_block));
        options.push(option(2, move || {
            (first(), second())
                .prop_map(|(a, b)| {
                    // What stands behind `or` would belong to an `if`.
                    if a.starts_with("if ") { format!("{{ {a} }} or {b}") } else { format!("{a} or {b}") }
                })
                .boxed()
        }));
        let one = same(true);
        options.push(option(2, move || {
            vec(one(), 1..4).prop_map(|actions| format!("{{ {} }}", actions.join(" "))).boxed()
        }));
        let (when, then, otherwise) = (with(|scope| condition(scope, 2)), same(in_block), same(in_block));
        options.push(option(4, move || {
            (when(), then(), option::of(otherwise()))
                .prop_map(|(when, then, otherwise)| {
                    // An `else` would belong to the inner `if`.
                    let then = if then.contains("if ") { format!("{{ {then} }}") } else { then };
                    let otherwise = otherwise.map(|action| format!(" else {action}")).unwrap_or_default();
                    format!("if {when} then {then}{otherwise}")
                })
                .boxed()
        }));
    }
    choose(options)
}

/// `never kill …`, `prefer …`, `avoid …`.
pub(super) fn protection(scope: &Scope) -> Text {
    let scope = scope.clone();
    let clause = owners().prop_flat_map(move |owner| {
        let path = if owner == Owner::Cgroup {
            option::weighted(0.4, pattern()).boxed()
        } else {
            Just(None).boxed()
        };
        (
            words(&["never kill", "prefer", "avoid"]),
            path,
            condition(&scope.inside(owner, None), 2),
            any::<bool>(),
        )
            .prop_map(move |(verb, path, condition, both)| {
                let unit = unit_word(owner);
                match path {
                    Some(path) if both => format!("{verb} {unit} \"{path}\" where {condition}"),
                    Some(path) => format!("{verb} {unit} \"{path}\""),
                    None => format!("{verb} {unit} where {condition}"),
                }
            })
    });
    clause.boxed()
}

/// A `test` block. It says nothing of the policy around it, so that it need not come true.
pub(super) fn test() -> Text {
    let outcome = words(&[
        "kill nobody",
        "kill process \"/job#100\", \"/job/a#101\"",
        "kill cgroup \"/job/a\"",
        "kill \"/job#100\"",
        "raise_limit \"/job\" to 1280MiB",
        "notify \"told\"",
        "candidates \"/job#100\"",
        "defer",
        "wait by rule \"r0\"",
    ]);
    (outcome, any::<bool>(), any::<bool>())
        .prop_map(|(outcome, system, later)| {
            let event = if system { "on system oom" } else { "on oom in \"/job\"" };
            let later = if later { "after 10s " } else { "" };
            format!(
                "test \"t\" {{ given {{ \"/job\" {{ limit 1GiB }} \"/job/a\" {{ }} \"/job#100\" {{ comm \"sshd\" \
                 rss 700MiB oom_score_adj -5 }} \"/job/a#101\" {{ rss 1MiB dying true }} }} {later}{event} \
                 expect {outcome} }}"
            )
        })
        .boxed()
}
