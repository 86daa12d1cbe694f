//! What a test can give, and what becomes of it.

use oomc_abi::fields::{Measure, Owner};
use oomc_abi::scenario::{self, Given, Named, Property, Value};

use super::described::Described;
use super::given;
use crate::machine::{PAGE, ROOT};

fn value(unit: Measure) -> Value {
    if unit == Measure::Text { Value::Text("/job#100".to_owned()) } else { Value::Number(1) }
}

#[test]
fn whatever_the_tables_offer_can_be_given() {
    for owner in [Owner::Process, Owner::Cgroup, Owner::Event] {
        for name in scenario::names(owner) {
            let unit = scenario::unit_of(owner, name).expect("a name of the tables");
            assert!(given::is_known(owner, name, value(unit)), "{name} of {owner:?}");
        }
        assert!(!given::is_known(owner, "no such name", Value::Number(1)));
    }
}

/// A new row needs no arm.
#[test]
fn a_field_that_is_one_member_can_be_given_without_more() {
    assert_eq!(given::member(Owner::Process, "nr_threads", 3, PAGE), Some(("signal->nr_threads", 3)));
    assert_eq!(given::member(Owner::Cgroup, "high", 8 * PAGE, PAGE), Some(("memory.high", 8)));
    assert_eq!(given::member(Owner::Process, "rss", 1, PAGE), None);
}

/// What is said of a cgroup or a process, in numbers.
fn say(described: &mut Described, name: &str, properties: &[(&str, i64)]) -> Result<(), String> {
    let (cgroup, pid) = scenario::split(name).expect("a name");
    let properties = properties.iter().map(|(name, value)| Property {
        name: Named::Field((*name).to_owned()),
        value: Value::Number(*value),
    });
    let one = Given { cgroup: cgroup.to_owned(), pid, properties: properties.collect() };
    given::given(described, &one, 7).map(drop)
}

const MIB: i64 = 1 << 20;

#[test]
fn amounts_are_sums_and_each_cgroup_has_what_is_left() {
    let mut described = Described::new(PAGE);
    say(&mut described, "/job", &[("limit", 100 * MIB), ("anon", 50 * MIB)]).expect("fine");
    say(&mut described, "/job/a#1", &[("rss", 20 * MIB), ("file", 5 * MIB)]).expect("fine");
    say(&mut described, "/job#2", &[("anon", 10 * MIB), ("pgtables", MIB)]).expect("fine");
    let machine = described.machine(None).expect("no contradiction");
    let (job, a) = (1, 2);
    assert_eq!(machine.path(a), "/job/a");
    assert_eq!(machine.cgroup(a).own.anon, 15 * MIB);
    assert_eq!(machine.cgroup(a).own.file, 5 * MIB);
    assert_eq!(machine.cgroup(job).own.anon, 35 * MIB, "fifty less what is below");
    assert_eq!(machine.sum(job, |own| own.charged) * PAGE, 56 * MIB);
    // Full, because it has just run out.
    let machine = described.machine(Some(job)).expect("no contradiction");
    assert_eq!(machine.sum(job, |own| own.charged) * PAGE, 100 * MIB);
    assert_eq!(machine.sum(ROOT, |own| own.charged) * PAGE, 100 * MIB);
    // Unless its usage is given.
    say(&mut described, "/job", &[("usage", 70 * MIB)]).expect("fine");
    let machine = described.machine(Some(job)).expect("no contradiction");
    assert_eq!(machine.sum(job, |own| own.charged) * PAGE, 70 * MIB);
}

#[test]
fn less_than_what_is_in_it_is_a_contradiction() {
    let mut described = Described::new(PAGE);
    say(&mut described, "/job#1", &[("rss", 20 * MIB)]).expect("fine");
    say(&mut described, "/job", &[("anon", 10 * MIB)]).expect("fine");
    let (line, text) = described.machine(None).expect_err("ten is less than twenty");
    assert_eq!((line, text.as_str()), (7, "`/job`: `anon` is 10MiB, but what is in it has 20MiB"));
    let mut described = Described::new(PAGE);
    say(&mut described, "/job#1", &[("footprint", 20 * MIB), ("swap", 21 * MIB)]).expect("fine");
    let (_, text) = described.machine(None).expect_err("a part of the whole");
    assert_eq!(text, "a part of its memory is larger than the whole");
    assert_eq!(
        say(&mut described, "/job#1", &[("rss", -1)]).expect_err("a size"),
        "`rss` cannot be negative"
    );
}

#[test]
fn who_is_gone_leaves_room() {
    let mut described = Described::new(PAGE);
    say(&mut described, "/job", &[("usage", 90 * MIB)]).expect("fine");
    say(&mut described, "/job#1", &[("rss", 40 * MIB)]).expect("fine");
    say(&mut described, "/job#1", &[("exited", 1)]).expect("fine");
    assert!(described.processes.is_empty());
    let job = described.cgroups.iter().find(|one| one.cgroup.name == "job").expect("it stays");
    assert_eq!(job.totals.get("usage"), Some(&(50 * MIB)));
}

#[test]
fn the_defaults_are_told() {
    // Each name in the table of defaults is one that can be given.
    let known: Vec<&str> =
        [Owner::Process, Owner::Cgroup, Owner::Event].into_iter().flat_map(scenario::names).collect();
    for default in super::DEFAULTS {
        for word in default.of.split('`').skip(1).step_by(2) {
            let word = word.trim_start_matches("oom.").trim_end_matches(".*");
            let same = |name: &&str| *name == word || name.starts_with(&format!("{word}."));
            assert!(word.starts_with('"') || known.iter().any(same), "{word}");
        }
    }
}
