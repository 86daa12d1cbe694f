//! How many functions a policy becomes.

use oomc_abi::resolve::KernelView;

/// How many functions of each kind a policy becomes: groups of rules, searches, searches for one in flight, and those
/// that find a place in a ranking, find one in a descent, and enter there.
fn functions(text: &str) -> [usize; 6] {
    let view = KernelView::embedded();
    let policy = crate::check(&crate::Source::new("test.oom", text), &view).into_policy().expect("a policy");
    let plan = crate::plan::build(&policy);
    let mut module = super::lower(&policy, &plan, &view).expect("code for the plan");
    crate::passes::run_all(&mut module);
    if let Err(errors) = crate::ir::verify::module(&module) {
        panic!("{errors:?}");
    }
    ["rules_", "search_", "in_flight_", "place_", "level_", "enter_"]
        .map(|kind| module.functions.iter().filter(|func| func.name.starts_with(kind)).count())
}

#[test]
fn a_small_policy_is_one_function_and_the_places() {
    let text: String = (0..20).map(|at| format!("kill in subtree where rss > {at}MiB\n")).collect();
    assert_eq!(functions(&text), [0, 0, 0, 20, 0, 0]);
}

#[test]
fn kills_that_differ_in_numbers_share_their_search() {
    let text: String = (0..40)
        .map(|at| {
            format!("kill in subtree where rss > {at}MiB and age < {at}s or badness > {at} reason \"{at}\"\n")
        })
        .collect();
    assert_eq!(functions(&text), [5, 1, 1, 1, 0, 0]);
    let text: String = (0..40)
        .map(|at| {
            format!("kill in {} where rss > {at}MiB now\n", if at % 2 == 0 { "subtree" } else { "cgroup" })
        })
        .collect();
    assert_eq!(functions(&text), [5, 2, 0, 1, 0, 0]);
}

#[test]
fn kills_in_what_was_picked_share_their_search() {
    let picks =
        "pick a = largest cgroup in children of cgroup\npick b = smallest cgroup in children of cgroup\n";
    let kills = (0..40).map(|at| {
        let pick = if at % 4 == 0 { "b" } else { "a" };
        format!("kill largest process in subtree of {pick} where rss > {at}MiB\n")
    });
    assert_eq!(functions(&(picks.to_owned() + &kills.collect::<String>()))[..3], [5, 2, 1]);
}

#[test]
fn kills_by_command_name_share_their_search() {
    let text: String = (0..200).map(|at| format!("kill in subtree where comm == \"name{at}\"\n")).collect();
    assert_eq!(functions(&text)[1], 1);
    // As many names are as many numbers.
    let text: String = (0..200)
        .map(|at| {
            let more = if at % 2 == 0 { "" } else { ", \"other\"" };
            format!("kill in subtree where comm in [\"a{at}\", \"b{at}\"{more}]\n")
        })
        .collect();
    assert_eq!(functions(&text)[1], 2);
    // So are beginnings of names; where eight bytes are all of one, nothing is masked, and behind them another word
    // is compared.
    let names = (0..200).map(|at| "abcdefghijkl".get(..1 + at % 12).unwrap_or_default());
    let text: String = names
        .enumerate()
        .map(|(at, name)| format!("kill in subtree where comm in [\"{name}*\", \"x{at}\"]\n"))
        .collect();
    assert_eq!(functions(&text)[1], 3);
}

#[test]
fn descents_that_keep_more_have_loops_of_their_own() {
    let text: String = (0..40)
        .map(|at| {
            let until = if at % 2 == 0 { "" } else { " until freed 1GiB at most 15" };
            format!("kill largest cgroup in subtree stepwise where usage > {at}MiB{until}\n")
        })
        .collect();
    assert_eq!(functions(&text)[1..], [2, 1, 0, 2, 2]);
}

#[test]
fn there_are_never_more_functions_than_the_kernel_allows() {
    // A pattern is no number: each of these is another search.
    let text: String = (0..200).map(|at| format!("kill in subtree where comm == \"*name{at}\"\n")).collect();
    let [groups, searches, in_flight, places, ..] = functions(&text);
    assert_eq!((searches, in_flight), (112, 1));
    assert!(groups + searches + in_flight + places <= crate::ir::verify::MAX_FUNCTIONS);
}
