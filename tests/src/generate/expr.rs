//! Random expressions: numbers of each type, conditions, quantifiers.

use oomc_abi::fields::{Measure, Owner};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::scope::{Kind, Scope};
use super::{Text, choose, one_of, option, word, words};

/// Types of numbers.
pub(super) const NUMBERS: [Measure; 4] = [Measure::Bytes, Measure::Count, Measure::Ratio, Measure::Duration];

/// A literal.
pub(super) fn literal(unit: Measure) -> Text {
    match unit {
        Measure::Bytes => {
            words(&["0B", "4096B", "64KiB", "1MiB", "1.5MiB", "20MiB", "3GiB", "0.5TiB", "8000TiB"])
        }
        Measure::Count => words(&["0", "1", "3", "100", "-5", "10_000", "9223372036854775807"]),
        Measure::Ratio => words(&["0%", "0.5%", "10%", "90%", "150%"]),
        Measure::Duration => words(&["0s", "250ms", "30s", "5m", "1h30m", "2d"]),
        Measure::Bool | Measure::Text => words(&["true", "false"]),
    }
}

/// A literal that is not 0, as an expression of a constant.
pub(super) fn positive(unit: Measure) -> Text {
    match unit {
        Measure::Bytes => words(&["64KiB", "16MiB * 2", "10% of 1GiB", "(1GiB + 1MiB) / 2"]),
        Measure::Count => words(&["1", "3", "2 * 50"]),
        Measure::Ratio => words(&["1%", "25%", "10% + 5%", "1MiB / 4MiB"]),
        Measure::Duration => words(&["30s", "1h30m", "2m * 3"]),
        Measure::Bool | Measure::Text => words(&["true"]),
    }
}

/// A name with this unit, or a literal.
pub(super) fn simple(scope: &Scope, unit: Measure) -> Text {
    let names = scope.names(unit);
    if names.is_empty() {
        return literal(unit);
    }
    prop_oneof![1 => literal(unit), 3 => one_of(names)].boxed()
}

/// A number: can be an operand of anything.
pub(super) fn number(scope: &Scope, unit: Measure, depth: u32) -> Text {
    if depth == 0 {
        return simple(scope, unit);
    }
    let of = |scope: &Scope, unit: Measure| {
        let scope = scope.clone();
        move || number(&scope, unit, depth - 1)
    };
    let same = || of(scope, unit);
    let mut options = vec![option(6, {
        let scope = scope.clone();
        move || simple(&scope, unit)
    })];
    let mut two = |weight: u32, left: Measure, signs: &'static [&'static str], right: Measure| {
        let (left, right) = (of(scope, left), of(scope, right));
        options.push(option(weight, move || {
            (left(), words(signs), right()).prop_map(|(a, sign, b)| format!("({a} {sign} {b})")).boxed()
        }));
    };
    two(2, unit, &["+", "-"], unit);
    match unit {
        Measure::Bytes => {
            two(1, unit, &["*"], Measure::Count);
            two(1, Measure::Ratio, &["of"], unit);
            two(1, unit, &["*"], Measure::Ratio);
        }
        Measure::Count => two(1, unit, &["*"], unit),
        Measure::Duration => two(1, unit, &["*"], Measure::Count),
        Measure::Ratio => {
            let scope = scope.clone();
            options.push(option(2, move || {
                (number(&scope, Measure::Bytes, depth - 1), divisor(&scope))
                    .prop_map(|(a, b)| format!("({a} / {b})"))
                    .boxed()
            }));
        }
        Measure::Bool | Measure::Text => {}
    }
    if matches!(unit, Measure::Bytes | Measure::Count) {
        let same = same();
        options.push(option(1, move || {
            (same(), words(&["2", "3", "-7"])).prop_map(|(a, b)| format!("({a} / {b})")).boxed()
        }));
    }
    let (minus, missing, default) = (same(), same(), scope.clone());
    options.push(option(1, move || minus().prop_map(|a| format!("(-({a}))")).boxed()));
    options.push(option(2, move || {
        (missing(), simple(&default, unit)).prop_map(|(a, b)| format!("({a} ?? {b})")).boxed()
    }));
    let (chosen, condition_scope) = (same(), scope.clone());
    options.push(option(1, move || {
        (condition(&condition_scope, 0), chosen(), simple(&condition_scope, unit))
            .prop_map(|(asked, a, b)| format!("(if {asked} then {a} else {b})"))
            .boxed()
    }));
    if scope.quantifiers > 0 {
        let scope = scope.clone();
        options.push(option(2, move || adding(&scope, unit, depth - 1)));
    }
    choose(options)
}

/// Bytes that are not always 0.
fn divisor(scope: &Scope) -> Text {
    let mut names = scope.names(Measure::Bytes);
    names.push("20MiB".to_owned());
    one_of(names)
}

/// A place for elements or candidates.
pub(super) fn place(scope: &Scope) -> Text {
    let of = one_of(scope.cgroups());
    prop_oneof![
        2 => word("subtree"),
        1 => of.clone().prop_map(|of| format!("subtree of {of}")),
        1 => of.clone().prop_map(|of| format!("children of {of}")),
        1 => of.clone().prop_map(|of| format!("leaves of {of}")),
        1 => of,
        1 => words(&["/a", "b", "/t/*", "*", "**", "/**", "*x*", "/job/**", "/system.slice/**/*", "?"])
            .prop_map(|pattern| format!("\"{pattern}\"")),
    ]
    .boxed()
}

/// The word of a unit.
pub(super) fn unit_word(owner: Owner) -> &'static str {
    if owner == Owner::Process { "process" } else { "cgroup" }
}

/// Process or cgroup.
pub(super) fn owners() -> BoxedStrategy<Owner> {
    prop_oneof![Just(Owner::Process), Just(Owner::Cgroup)].boxed()
}

/// A candidate's name, which its condition must use; mostly none.
pub(super) fn own_name(scope: &Scope) -> BoxedStrategy<Option<&'static str>> {
    option::weighted(0.3, Just(scope.fresh())).boxed()
}

/// A condition on a candidate; one that uses its name if it has one.
pub(super) fn filter(inner: &Scope, name: Option<&'static str>, owner: Owner, depth: u32) -> Text {
    let Some(name) = name else { return condition(inner, depth) };
    let field = if owner == Owner::Process { "footprint" } else { "usage" };
    let using = literal(Measure::Bytes).prop_map(move |size| format!("{name}.{field} >= {size}"));
    (using, condition(inner, depth), words(&["and", "or"]))
        .prop_map(|(using, more, sign)| format!("{using} {sign} {more}"))
        .boxed()
}

/// `count …`, `sum …`, `max …`, `min …`, in parentheses.
fn adding(scope: &Scope, unit: Measure, depth: u32) -> Text {
    let outer = scope.clone();
    (owners(), own_name(scope), any::<bool>())
        .prop_flat_map(move |(owner, name, filtered)| {
            let folds = |owner| -> Vec<String> {
                let folds =
                    ["sum", "max", "min"].into_iter().filter(|fold| *fold != "sum" || unit != Measure::Ratio);
                folds
                    .flat_map(|fold| {
                        let fields = Scope::summands(owner, unit).into_iter();
                        fields.map(move |field| format!("{fold} {field} of")).collect::<Vec<_>>()
                    })
                    .collect()
            };
            let mut heads = folds(owner);
            let mut owner = owner;
            if unit == Measure::Count {
                heads.extend(heads.iter().map(|_| "count".to_owned()).collect::<Vec<_>>());
                heads.push("count".to_owned());
            } else if heads.is_empty() {
                // Of times only processes have some, of shares only cgroups.
                owner = if unit == Measure::Ratio { Owner::Cgroup } else { Owner::Process };
                heads = folds(owner);
            }
            let mut inner = outer.inside(owner, name);
            inner.quantifiers -= 1;
            let condition = if filtered || name.is_some() {
                filter(&inner, name, owner, depth.min(1)).prop_map(Some).boxed()
            } else {
                Just(None).boxed()
            };
            (one_of(heads), place(&outer), condition).prop_map(move |(head, place, condition)| {
                let name = name.map(|name| format!(" {name}")).unwrap_or_default();
                let condition = condition.map(|text| format!(" where {text}")).unwrap_or_default();
                format!("({head} {}{name} in {place}{condition})", unit_word(owner))
            })
        })
        .boxed()
}

/// `any …`, `every …`, in parentheses.
fn asking(scope: &Scope, depth: u32) -> Text {
    let outer = scope.clone();
    (owners(), own_name(scope), words(&["any", "every"]), prop::bool::weighted(0.1))
        .prop_flat_map(move |(owner, name, quant, bare)| {
            let mut inner = outer.inside(owner, name);
            inner.quantifiers -= 1;
            let bare = bare && name.is_none() && quant == "any";
            (place(&outer), filter(&inner, name, owner, depth)).prop_map(move |(place, condition)| {
                let name = name.map(|name| format!(" {name}")).unwrap_or_default();
                let condition = if bare { String::new() } else { format!(" where {condition}") };
                format!("({quant} {}{name} in {place}{condition})", unit_word(owner))
            })
        })
        .boxed()
}

/// What a text is compared with.
pub(super) fn pattern() -> Text {
    words(&[
        "sshd",
        "b",
        "/a",
        "worker-*",
        "*",
        "?",
        "a?c",
        "**",
        "/job/**",
        "t/*/b",
        "/system.slice/**",
        "*x*",
        "\\x2d",
        "a*b*c",
        "",
    ])
}

/// A condition that is no operand of a comparison: the operators that bind least are on top, without parentheses.
pub(super) fn condition(scope: &Scope, depth: u32) -> Text {
    let with = |make: fn(&Scope) -> Text| {
        let scope = scope.clone();
        move || make(&scope)
    };
    let mut options = vec![option(5, with(comparison))];
    options.push(option(2, with(|scope| simple(scope, Measure::Bool))));
    options.push(option(1, with(truth)));
    options.push(option(2, with(texts)));
    options.push(option(1, with(numbers_in_list)));
    let of_unit = |(_, owner): &&(&'static str, Owner)| scope.unit() == Some(*owner);
    for (name, _) in scope.declared.definitions.iter().filter(of_unit).copied() {
        options.push(option(1, move || word(name)));
    }
    if depth > 0 {
        let same = || {
            let scope = scope.clone();
            move || condition(&scope, depth - 1)
        };
        let (inner, left, right) = (same(), same(), same());
        options.push(option(2, move || {
            (inner(), any::<bool>())
                .prop_map(|(a, parens)| if parens { format!("not ({a})") } else { format!("not {a}") })
                .boxed()
        }));
        options.push(option(3, move || {
            (left(), words(&["and", "or"]), right(), any::<bool>())
                .prop_map(|(a, sign, b, parens)| {
                    let text = format!("{a} {sign} {b}");
                    if parens { format!("({text})") } else { text }
                })
                .boxed()
        }));
    }
    if scope.quantifiers > 0 {
        let scope = scope.clone();
        options.push(option(2 * scope.quantifiers, move || asking(&scope, depth.saturating_sub(1))));
    }
    choose(options)
}

/// Two numbers of one type; or a field and a share of its base.
fn comparison(scope: &Scope) -> Text {
    let signs = || words(&["==", "!=", "<", "<=", ">", ">="]);
    let scope = scope.clone();
    prop_oneof![4 => Just(Some(Measure::Bytes)), 3 => Just(Some(Measure::Count)), 2 => Just(Some(Measure::Ratio)),
                1 => Just(Some(Measure::Duration)), 2 => Just(None)]
    .prop_flat_map(move |unit| match unit {
        Some(unit) => {
            let sum = (number(&scope, unit, 1), words(&["+", "-"]), simple(&scope, unit), word("3"))
                .prop_map(|(a, sign, b, times)| format!("{a} {sign} {b} * {times}"));
            let left = if unit == Measure::Ratio {
                number(&scope, unit, 1)
            } else {
                prop_oneof![4 => number(&scope, unit, 1), 1 => sum].boxed()
            };
            (left, signs(), simple(&scope, unit)).prop_map(|(a, sign, b)| format!("{a} {sign} {b}")).boxed()
        }
        None => (one_of(scope.based()), signs(), literal(Measure::Ratio), any::<bool>())
            .prop_map(|(field, sign, share, turned)| {
                if turned { format!("{share} {sign} {field}") } else { format!("{field} {sign} {share}") }
            })
            .boxed(),
    })
    .boxed()
}

/// Two truth values.
fn truth(scope: &Scope) -> Text {
    let flag = || simple(scope, Measure::Bool);
    let equal = (flag(), words(&["==", "!="]), flag()).prop_map(|(a, sign, b)| format!("{a} {sign} {b}"));
    let default = (flag(), flag()).prop_map(|(a, b)| format!("({a} ?? {b})"));
    let choice = (flag(), flag(), flag()).prop_map(|(asked, a, b)| format!("(if {asked} then {a} else {b})"));
    let bits = (words(&["oom.oc.gfp_mask"]), words(&["0x1", "0x400 | 0x800", "0xc00", "64"]))
        .prop_map(|(member, bits)| format!("{member} has {bits}"));
    prop_oneof![2 => equal, 2 => default, 1 => choice, 1 => bits].boxed()
}

/// A text and one or more patterns or words.
fn texts(scope: &Scope) -> Text {
    let of_words = scope.words();
    let constants: Vec<&str> = scope
        .declared
        .values
        .iter()
        .filter(|(_, kind, unit)| *unit == Measure::Text && *kind == Kind::Value)
        .map(|(name, ..)| *name)
        .collect();
    let quoted = pattern().prop_map(|text| format!("\"{text}\"")).boxed();
    let quoted =
        if constants.is_empty() { quoted } else { prop_oneof![3 => quoted, 1 => words(&constants)].boxed() };
    let names = scope.names(Measure::Text);
    let equal = |name: Text, texts: Text| {
        (name, words(&["==", "!="]), texts).prop_map(|(name, sign, text)| format!("{name} {sign} {text}"))
    };
    let within = |name: Text, texts: Text| {
        (name, vec(texts, 1..4)).prop_map(|(name, texts)| format!("{name} in [{}]", texts.join(", ")))
    };
    let patterns = prop_oneof![
        2 => equal(one_of(names.clone()), quoted.clone()),
        1 => within(one_of(names.clone()), quoted),
    ];
    let patterns = match scope.declared.list {
        Some(list) => {
            let within_list = one_of(names.clone()).prop_map(move |name| format!("{name} in {list}"));
            prop_oneof![3 => patterns, 1 => within_list].boxed()
        }
        None => patterns.boxed(),
    };
    let same = (one_of(names.clone()), words(&["==", "!="]), one_of(names));
    let same = same.prop_map(|(a, sign, b)| format!("{a} {sign} {b}")).boxed();

    let of_words = prop::sample::select(of_words)
        .prop_flat_map(move |(name, known)| {
            let known = one_of(known).prop_map(|text| format!("\"{text}\"")).boxed();
            prop_oneof![equal(Just(name.clone()).boxed(), known.clone()), within(Just(name).boxed(), known)]
        })
        .boxed();
    prop_oneof![4 => patterns, 1 => of_words, 2 => same].boxed()
}

/// A number, and those that it may be.
fn numbers_in_list(scope: &Scope) -> Text {
    let scope = scope.clone();
    prop::sample::select(NUMBERS.to_vec())
        .prop_flat_map(move |unit| {
            (simple(&scope, unit), vec(simple(&scope, unit), 1..4))
                .prop_map(|(a, list)| format!("{a} in [{}]", list.join(", ")))
        })
        .boxed()
}
