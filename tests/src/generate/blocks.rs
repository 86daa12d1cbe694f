//! Random `on` blocks: events, and actions that stand there only.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::clause::action;
use super::scope::Scope;
use super::{Text, words};

/// A `budget`, some blocks, and a test of them that need not come true.
pub(super) fn blocks(scope: &Scope) -> Text {
    let budget = option::of((1..9_u8, 1..60_u8));
    let test = words(&["not asked", "reclaim 1MiB", "kill nobody"]);
    (budget, vec(block(scope), 1..4), option::of(test))
        .prop_map(|(budget, blocks, test)| {
            let budget = budget.map(|(kills, minutes)| format!("budget {kills} kills per {minutes}m"));
            let test = test.map(|expected| {
                format!(
                    "test \"before\" {{ given {{ \"/job\" {{ limit 1GiB usage 1GiB }} }} on usage in \"/job\" for 3s \
                     expect {expected} }}"
                )
            });
            budget.into_iter().chain(blocks).chain(test).collect::<Vec<_>>().join("\n")
        })
        .boxed()
}

fn event() -> Text {
    let kind = || words(&["some", "full"]);
    prop_oneof![
        (kind(), words(&["avg10", "avg60", "avg300"]), 0..100_u8)
            .prop_map(|(kind, average, above)| format!("pressure {kind} {average} > {above}%")),
        // No more than the time in which it is.
        (kind(), 1..=500_u16, 500..=10_000_u16)
            .prop_map(|(kind, above, per)| format!("pressure {kind} above {above}ms per {per}ms")),
        (words(&["usage", "swap"]), words(&["90%", "64MiB", "1GiB"]))
            .prop_map(|(what, amount)| format!("{what} > {amount}")),
        Just("limit".to_owned()),
    ]
    .boxed()
}

fn block(scope: &Scope) -> Text {
    let time = || option::of((0..90_u8).prop_map(|seconds| format!("{seconds}s")));
    (event(), time(), time(), vec(watched(scope), 1..3))
        .prop_map(|(event, lasting, cooldown, actions)| {
            let lasting = lasting.map(|time| format!(" for {time}")).unwrap_or_default();
            let cooldown = cooldown.map(|time| format!(" cooldown {time}")).unwrap_or_default();
            format!("on {event}{lasting}{cooldown} {{ {{ {} }} }}", actions.join(" "))
        })
        .boxed()
}

/// An action, often one that stands in blocks only.
fn watched(scope: &Scope) -> Text {
    let amount = words(&["1MiB", "10%", "1GiB"]);
    let rate = words(&["pgscan", "refault", "pgmajfault", "events.max"]);
    let growth = words(&["usage", "anon", "swap"]);
    let grace = || option::of(1..60_u8);
    prop_oneof![
        amount.prop_map(|amount| format!("reclaim {amount}")),
        (rate, grace()).prop_map(|(field, grace)| {
            format!("kill cgroup in children of cgroup by rate({field}){}", told(grace))
        }),
        (growth, 1..60_u8, grace()).prop_map(|(field, window, grace)| {
            let field = format!("growth({field}, {window}s)");
            format!("kill process in subtree where {field} > 1MiB by {field} desc{}", told(grace))
                .replace("growth(usage,", "growth(rss,")
        }),
        action(scope, 0, true),
    ]
    .boxed()
}

fn told(grace: Option<u8>) -> String {
    grace.map(|seconds| format!(" grace {seconds}s")).unwrap_or_default()
}
