//! Runs the tests of policies, and tells how each ended.
//!
//! Verdicts come from the ordinary build alone. With traced builds each test is played a second time, and both must
//! decide alike; what the second one passed is what the test reaches.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oomc_sim::Kernel;
use oomc_sim::scenario::{self, Decision, Mistake, Order, Played};

use crate::coverage::{self, Coverage};
use crate::decision::{Told, told_of_kernel};
use crate::suite::TestOf;
use crate::{Suite, Traced, unknown};

/// A test that ran.
#[derive(Debug)]
pub struct Ran {
    /// Its policy and itself, by their places.
    pub at: (usize, usize),
    /// What came of it.
    pub result: Result<Played, Mistake>,
    /// How long it took.
    pub time: Duration,
    /// Points of the policy that it passes, where that was asked for.
    pub passed: BTreeSet<u32>,
}

impl Ran {
    /// Everything came as expected.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(&self.result, Ok(played) if played.failures.is_empty())
    }

    /// Its policy, and itself.
    #[must_use]
    pub fn of<'s, 'k>(&self, suites: &'s [Suite<'k>]) -> Option<(&'s Suite<'k>, &'s TestOf)> {
        find(suites, self.at)
    }

    /// What did not come as expected: the line, and a sentence.
    #[must_use]
    pub fn wrong(&self) -> Vec<(u32, String)> {
        let played = match &self.result {
            Err(mistake) => return vec![(mistake.line, mistake.text.clone())],
            Ok(played) => played,
        };
        let failures = played.failures.iter();
        let sentence = |expected: &String, found: &String| format!("expected {expected}, found {found}");
        failures.map(|failure| (failure.line, sentence(&failure.expected, &failure.found))).collect()
    }

    /// Expectation against outcome, then the decision: candidates in order with their keys, rule by rule.
    #[must_use]
    pub fn explain(&self, suite: &Suite<'_>) -> Vec<String> {
        let played = match &self.result {
            Err(mistake) => return vec![mistake.to_string()],
            Ok(played) => played,
        };
        let mut lines = Vec::new();
        let mut told = BTreeSet::new();
        for failure in &played.failures {
            lines.push(format!("line {}: expected {}", failure.line, failure.expected));
            let indent = failure.line.to_string().len() + 7;
            lines.push(format!("{:indent$}   found {}", "", failure.found));
            let decision = played.decisions.get(failure.decision);
            if let Some(decision) = decision.filter(|_| told.insert(failure.decision)) {
                lines.extend(decision_lines(suite, decision));
            }
        }
        lines
    }
}

fn find<'s, 'k>(
    suites: &'s [Suite<'k>],
    (suite, test): (usize, usize),
) -> Option<(&'s Suite<'k>, &'s TestOf)> {
    let suite = suites.get(suite)?;
    Some((suite, suite.tests.get(test)?))
}

/// A decision in full.
fn decision_lines(suite: &Suite<'_>, decision: &Decision) -> Vec<String> {
    let mut lines = Vec::new();
    let name = |id| decision.path_of(id);
    if let Some(record) = &decision.record {
        let told = Told { record, declared: &suite.policy.declared, cgroup: &name };
        lines.push(told.line());
        lines.extend(told.in_full().into_iter().map(|line| format!("    {line}")));
    }
    lines.extend(told_of_kernel(decision));
    lines
}

/// Runs tests, named by the places of their policy and of themselves, on all processors. Returns them in the order of
/// `jobs`.
#[must_use]
pub fn run(
    kernel: &Kernel,
    suites: &[Suite<'_>],
    traced: &[Traced],
    jobs: &[(usize, usize)],
    order: Order,
) -> Vec<Ran> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(at) = jobs.get(number).copied() else { return };
            let Some((suite, test)) = find(suites, at) else { continue };
            let ran = run_one(kernel, (suite, test), traced.get(at.0), at, order);
            if let Ok(mut done) = done.lock() {
                done.push((number, ran));
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_default();
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, ran)| ran).collect()
}

fn run_one(
    kernel: &Kernel,
    (suite, test): (&Suite<'_>, &TestOf),
    traced: Option<&Traced>,
    at: (usize, usize),
    order: Order,
) -> Ran {
    let began = Instant::now();
    let mut result = scenario::play(kernel, &suite.policy, &test.test, order);
    let time = began.elapsed();
    if let Ok(played) = &result
        && let Some(mistake) = not_known(kernel, suite, played)
    {
        return Ran { at, result: Err(mistake), time, passed: BTreeSet::new() };
    }
    let mut passed = BTreeSet::new();
    if let (Ok(played), Some(traced)) = (&result, traced) {
        match scenario::play(kernel, &traced.policy, &test.test, order) {
            Ok(again) if coverage::alike(played, &again) => passed = coverage::passed(&again).collect(),
            _ => {
                let text = "with marks in it the policy decides otherwise: this is a fault of oomc";
                result = Err(Mistake { line: test.test.line, text: text.to_owned() });
            }
        }
    }
    Ran { at, result, time, passed }
}

/// A test of a decision that depends on what the test does not say, and nothing else does.
fn not_known(kernel: &Kernel, suite: &Suite<'_>, played: &Played) -> Option<Mistake> {
    played.decisions.iter().find_map(|decision| {
        // Of a field, a test that does not give it means 0.
        let is_field = |place: &(&'static str, u64)| unknown::is_field(kernel.view(), *place);
        let read: Vec<_> = decision.unknown.iter().copied().filter(|place| !is_field(place)).collect();
        let names = suite.unknown(&decision.before, &read);
        let text = format!("not known: the policy asks for {}; no test gave it", names.join(", "));
        (!names.is_empty()).then_some(Mistake { line: decision.line, text })
    })
}

/// What the tests of each policy reach together.
#[must_use]
pub fn coverage(suites: &[Suite<'_>], traced: &[Traced], ran: &[Ran]) -> Vec<Coverage> {
    let mut passed = vec![BTreeSet::new(); traced.len()];
    for ran in ran {
        if let Some(passed) = passed.get_mut(ran.at.0) {
            passed.extend(&ran.passed);
        }
    }
    let all = suites.iter().zip(traced).zip(&passed);
    all.map(|((suite, traced), passed)| {
        let blocks =
            suite.meaning().map(|policy| policy.blocks.iter().map(|block| block.rules.len()).sum::<usize>());
        Coverage::new(suite.source(), &traced.points, passed, blocks.unwrap_or_default())
    })
    .collect()
}
