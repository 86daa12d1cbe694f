//! From texts and a snapshot, all in memory, to what would be done: what a front end without files has of this library.

use oomc_compiler::{KernelView, Parsed, Source};
use oomc_sim::Kernel;
use oomc_sim::scenario::Order;
use oomc_snapshot::{Cgroup, Process, SCHEMA, Snapshot};

use crate::compare::{Side, compare, places};
use crate::{Error, Inputs, Settings, Suite, Trial, kernel, test_run};

const MIB: i64 = 1 << 20;

const POLICY: &str = r#"never kill process where comm == "sshd"
param least = 1MiB range 1MiB .. 1GiB
rule "largest": kill largest process in subtree where footprint > least
"#;

const TESTS: &str = r#"test "the largest goes" {
    given {
        "/job" { limit 1GiB }
        "/job#100" { comm "small" rss 200MiB }
        "/job#101" { comm "large" rss 700MiB }
    }
    on oom in "/job"
    expect kill process "/job#101" by rule "largest"
}
"#;

/// A cgroup of 100MiB with `sshd`, `worker` and `sh` in it.
fn machine() -> Inputs {
    let cgroup = |id, path: &str, parent: Option<&str>| Cgroup {
        path: path.to_owned(),
        parent: parent.map(str::to_owned),
        id,
        mode: 0o755,
        controller: true,
        ..Cgroup::default()
    };
    let job = Cgroup { current: Some(90 * MIB), max: Some(100 * MIB), ..cgroup(2, "/job", Some("/")) };
    let processes =
        [("init", 1, "/", 1), ("sshd", 700, "/job", 50), ("worker", 701, "/job", 30), ("sh", 702, "/job", 2)];
    let processes = processes.map(|(comm, pid, cgroup, mib)| Process {
        pid,
        comm: comm.to_owned(),
        cgroup: cgroup.to_owned(),
        threads: 1,
        anon: mib * MIB,
        ..Process::default()
    });
    Inputs::new(&Snapshot {
        schema: SCHEMA,
        top: "/".to_owned(),
        memory: 1 << 30,
        now: 1_000_000_000_000,
        cgroups: vec![cgroup(1, "/", None), job],
        processes: processes.to_vec(),
        ..Snapshot::default()
    })
}

fn suite<'k>(text: &str, kernel: &'k Kernel) -> Suite<'k> {
    let parsed = Parsed::new(Source::new("p.oom", text)).with_tests(Source::new("p.oomt", TESTS));
    let checked = parsed.check(kernel.view());
    let object = checked.compile().object.expect("a sound policy");
    Suite::new(checked, &object, kernel).expect("the reference kernel can be modelled")
}

fn reference() -> Kernel {
    kernel(&KernelView::embedded()).expect("the reference kernel can be modelled")
}

#[test]
fn a_trial_says_who_would_die_and_goes_on_without_him() {
    let (kernel, inputs) = (reference(), machine());
    let job = inputs.find("/sys/fs/cgroup/job").expect("a path from the mount");
    let mut trial = Trial::new(&kernel, suite(POLICY, &kernel), inputs, job, &Settings::default());
    let (forecast, answer) = trial.ask(Some(job)).expect("a sound program");
    assert_eq!(
        forecast.lines(false),
        [
            "when /job runs out of memory: would kill worker (701), about 30MiB",
            "    by rule \"largest\" of p, attached to /job",
            "    the victim: worker (701) in /job",
            "    there is room for 10MiB now; when memory runs out there is none",
            "candidates, the best first:",
            "    1. worker (701) in /job, 1 process  footprint 30MiB",
            "    2. sh (702) in /job, 1 process  footprint 2MiB",
            "protected:",
            "    never kill process where comm == \"sshd\" (line 1): sshd (700) in /job",
        ]
    );
    trial.go_on(&answer);
    let (forecast, _) = trial.ask(Some(job)).expect("a sound program");
    assert_eq!(forecast.summary, "would kill sh (702), about 2MiB");
}

#[test]
fn a_policy_for_other_pages_than_the_machines_is_not_asked() {
    let mut inputs = machine();
    inputs.machine.page = 65_536;
    let kernel = reference();
    let job = inputs.find("/job").expect("a path from the mount");
    let mut trial = Trial::new(&kernel, suite(POLICY, &kernel), inputs, job, &Settings::default());
    assert_eq!(trial.ask(Some(job)).err(), Some(Error::Pages { machine: 65_536, policy: 4096 }));
}

#[test]
fn tests_run_with_the_policy_and_tell_what_they_reach() {
    let kernel = reference();
    let suites = [suite(POLICY, &kernel)];
    let traced = [suites[0].trace(&kernel).expect("a small policy")];
    let ran = test_run::run(&kernel, &suites, &traced, &[(0, 0)], Order::Named);
    assert!(ran[0].passes(), "{:?}", ran[0].wrong());
    assert_eq!(suites[0].tests[0].file, "p.oomt");
    let covered = test_run::coverage(&suites, &traced, &ran);
    // Nobody in the test is called `sshd`, and nobody is small.
    assert_eq!(covered[0].line(), "rules 1/1, branches 1/1, conditions 2/4: 66.7 %");
}

#[test]
fn policies_are_compared_where_somebody_can_run_out_of_memory() {
    let (kernel, inputs) = (reference(), machine());
    let job = inputs.find("/job").expect("it is there");
    let side = |text, settings: &Settings| Side::new(suite(text, &kernel), &inputs, job, settings).0;
    let with = |value| {
        let param = suite(POLICY, &kernel).policy.declared.params[0].clone();
        Settings { params: vec![(param, value)], ..Settings::default() }
    };
    let compared = |value| {
        let (before, after) = (side(POLICY, &Settings::default()), side(POLICY, &with(value)));
        compare(&kernel, &inputs.machine, job, &places(&inputs.machine, job), [&before, &after])
            .expect("sound programs")
    };
    assert_eq!(compared(2 * MIB).differences, []);
    let differences = compared(64 * MIB).differences;
    let [one] = differences.as_slice() else { panic!("{differences:?}") };
    assert_eq!(one.cgroup, "/job");
    assert_eq!(one.texts[0], "would kill worker (701), about 30MiB, by rule \"largest\"");
}

#[test]
fn a_cgroup_that_is_not_there_has_a_likely_name() {
    let failed = machine().find("/jog").expect_err("it is not there");
    assert_eq!(failed, Error::NoCgroup { path: "/jog".to_owned(), near: Some("/job".to_owned()) });
    assert_eq!(failed.help().as_deref(), Some("did you mean /job?"));
}
