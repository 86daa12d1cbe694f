//! `oomc test [FILE…] [--run RE] [--coverage[=PERCENT%]] [--junit F] [--shuffle]`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use oomc_compiler::diag::Severity;
use oomc_sim::Kernel;
use oomc_sim::scenario::{self, Decision, Mistake, Order, Played};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::args::{Seed, Test};
use crate::cmd::{view, write};
use crate::coverage::{self, Coverage, Traced};
use crate::decision::Told;
use crate::exit::{Exit, Failure, Outcome};
use crate::foresee::told_of_kernel;
use crate::report::{Report, reason};
use crate::suite::{self, Suite, TestOf};

/// Folders inside each other that are looked into.
const DEPTH: usize = 16;

/// A test that ran.
struct Ran {
    /// Its policy and itself, by their places.
    at: (usize, usize),
    result: Result<Played, Mistake>,
    time: Duration,
    /// Points of the policy that it passes, where that was asked for.
    passed: BTreeSet<u32>,
}

impl Ran {
    fn passes(&self) -> bool {
        matches!(&self.result, Ok(played) if played.failures.is_empty())
    }
}

pub(crate) fn run(report: &Report, args: &Test) -> Outcome {
    let began = Instant::now();
    let view = view(&args.kernel)?;
    let kernel = suite::kernel(&view)?;
    let (mut exit, mut diagnostics, mut suites) = (Exit::Ok, Vec::new(), Vec::new());
    for path in policies(&args.files)? {
        match suite::open(report, &path, &kernel, true)? {
            Ok(suite) => suites.push(suite),
            Err(unready) => {
                exit = exit.max(unready.exit);
                diagnostics.extend(unready.diagnostics);
            }
        }
    }
    let mut jobs = Vec::new();
    for (at, suite) in suites.iter().enumerate() {
        let wanted = |test: &TestOf| args.run.as_ref().is_none_or(|run| run.is_match(&test.test.name));
        let tests = suite.tests.iter().enumerate().filter(|(_, test)| wanted(test));
        jobs.extend(tests.map(|(test, _)| (at, test)));
    }
    let seed = args.shuffle.map(|seed| match seed {
        Seed::Random => fastrand::u64(0..1 << 32),
        Seed::Number(number) => number,
    });
    if let Some(seed) = seed {
        fastrand::Rng::with_seed(seed).shuffle(&mut jobs);
        report.line(format_args!("shuffled; the same order again: --shuffle={seed}"));
    }
    let order = seed.map_or(Order::Named, Order::Shuffled);
    let traced = match args.coverage {
        Some(_) => suites
            .iter()
            .map(|suite| coverage::trace(&suite.source, &view, &kernel))
            .collect::<Result<Vec<Traced>, Failure>>()?,
        None => Vec::new(),
    };
    let ran = play_all(&kernel, &suites, &traced, &jobs, order);
    let failed = ran.iter().filter(|ran| !ran.passes()).count();
    for ran in &ran {
        if let Some((suite, test)) = of(&suites, ran) {
            tell(report, suite, test, ran);
        }
    }
    if failed > 0 {
        exit = exit.max(Exit::Errors);
    }
    if ran.is_empty() && exit == Exit::Ok {
        let which = if args.run.is_some() { "no test has a name that matches" } else { "there is no test" };
        report.failure(
            &Failure::new(Exit::Errors, format!("no test ran: {which}")).help(
                "write one into the policy: `test \"name\" { given { … } on oom in \"/job\" expect … }`",
            ),
        );
        return Ok(Exit::Errors);
    }
    let passed = ran.len() - failed;
    let time = began.elapsed();
    if !ran.is_empty() {
        report.line(format_args!("{passed} passed, {failed} failed, in {:.2} s", time.as_secs_f64()));
    }
    let covered = coverage(&suites, &traced, &ran);
    if let Some(least) = args.coverage {
        exit = exit.max(tell_coverage(report, &covered, least));
    }
    if let Some(path) = &args.junit {
        write(path, junit(&suites, &ran)?.as_bytes())?;
    }
    report.result(
        "test",
        exit,
        json!({
            "diagnostics": diagnostics,
            "passed": passed,
            "failed": failed,
            "seed": seed,
            "coverage": args.coverage.map(|_| covered.iter().map(Coverage::json).collect::<Vec<Value>>()),
            "tests": ran.iter().filter_map(|ran| Some(test_json(of(&suites, ran)?, ran))).collect::<Vec<Value>>(),
        }),
    );
    Ok(exit)
}

/// The policies that are meant, each once, in the order of their paths.
fn policies(files: &[PathBuf]) -> Result<BTreeSet<PathBuf>, Failure> {
    let here = [PathBuf::from(".")];
    let files = if files.is_empty() { &here } else { files };
    let mut found = BTreeSet::new();
    for file in files {
        let failed = |error: io::Error| {
            Failure::refused(format!("cannot read {}: {}", file.display(), reason(&error)))
        };
        let meta = fs::metadata(file).map_err(failed)?;
        if meta.is_dir() {
            below(file, DEPTH, &mut found).map_err(failed)?;
        } else if file.extension().is_some_and(|extension| extension == "oomt") {
            let policy = file.with_extension("oom");
            if !policy.exists() {
                let message = format!("{} holds tests of a policy that is not there", file.display());
                return Err(Failure::refused(message).help(format!("they belong to {}", policy.display())));
            }
            found.insert(policy);
        } else {
            found.insert(file.clone());
        }
    }
    Ok(found)
}

/// The policies in a folder and below it; what is hidden is left out.
fn below(folder: &Path, depth: usize, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() && depth > 0 {
            below(&path, depth - 1, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "oom") {
            let path = path.strip_prefix("./").map(Path::to_owned).unwrap_or(path);
            found.insert(path);
        }
    }
    Ok(())
}

/// Runs tests on all processors; gives them in the order in which they were to run.
///
/// With traced builds each test is played a second time, and both must decide alike.
fn play_all(
    kernel: &Kernel,
    suites: &[Suite],
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
            let began = Instant::now();
            let mut result = scenario::play(kernel, &suite.policy, &test.test, order);
            let time = began.elapsed();
            let mut passed = BTreeSet::new();
            if let (Ok(played), Some(traced)) = (&result, traced.get(at.0)) {
                match scenario::play(kernel, &traced.policy, &test.test, order) {
                    Ok(again) if coverage::alike(played, &again) => {
                        passed = coverage::passed(&again).collect()
                    }
                    _ => {
                        let text = "with marks in it the policy decides otherwise: this is a fault of oomc";
                        result = Err(Mistake { line: test.test.line, text: text.to_owned() });
                    }
                }
            }
            let ran = Ran { at, result, time, passed };
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

/// What the tests of each policy reach together.
fn coverage(suites: &[Suite], traced: &[Traced], ran: &[Ran]) -> Vec<Coverage> {
    let mut passed = vec![BTreeSet::new(); traced.len()];
    for ran in ran {
        if let Some(passed) = passed.get_mut(ran.at.0) {
            passed.extend(&ran.passed);
        }
    }
    let all = suites.iter().zip(traced).zip(&passed);
    all.map(|((suite, traced), passed)| Coverage::new(&suite.source, &traced.points, passed)).collect()
}

/// Says what is covered; an error if it is less than was asked for.
fn tell_coverage(report: &Report, covered: &[Coverage], least: f64) -> Exit {
    for one in covered {
        report.line(format_args!("{}: {}", one.file, one.line()));
        for (line, text) in &one.missing {
            report.line(format_args!("    line {line}: {text}"));
        }
    }
    let percent = coverage::together(covered);
    if percent >= least {
        return Exit::Ok;
    }
    report.failure(&Failure::new(
        Exit::Errors,
        format!("the tests reach {percent:.1} % of the policies, less than {least} %"),
    ));
    Exit::Errors
}

fn find(suites: &[Suite], (suite, test): (usize, usize)) -> Option<(&Suite, &TestOf)> {
    let suite = suites.get(suite)?;
    Some((suite, suite.tests.get(test)?))
}

fn of<'s>(suites: &'s [Suite], ran: &Ran) -> Option<(&'s Suite, &'s TestOf)> {
    find(suites, ran.at)
}

/// One test for people: in a line if it passes, otherwise with all that is known of what happened.
fn tell(report: &Report, suite: &Suite, test: &TestOf, ran: &Ran) {
    let place = format!("{}:{}", test.file, test.test.line);
    if ran.passes() {
        report.detail(format_args!("ok     {place} {}", test.test.name));
        return;
    }
    report.line(format_args!("FAILED {place} {}", test.test.name));
    for (line, text) in wrong(&ran.result) {
        report.annotate(Severity::Error, &test.file, line, &test.test.name, &text);
    }
    for line in explain(suite, &ran.result) {
        report.line(format_args!("    {line}"));
    }
}

/// What did not come as expected: the line, and a sentence.
fn wrong(result: &Result<Played, Mistake>) -> Vec<(u32, String)> {
    match result {
        Err(mistake) => vec![(mistake.line, mistake.text.clone())],
        Ok(played) => {
            let failures = played.failures.iter();
            failures
                .map(|failure| {
                    (failure.line, format!("expected {}, found {}", failure.expected, failure.found))
                })
                .collect()
        }
    }
}

/// Expectation against outcome, then the decision: candidates in order with their keys, rule by rule.
fn explain(suite: &Suite, result: &Result<Played, Mistake>) -> Vec<String> {
    let played = match result {
        Err(mistake) => return vec![mistake.to_string()],
        Ok(played) => played,
    };
    let mut lines = Vec::new();
    let mut told = BTreeSet::new();
    for failure in &played.failures {
        lines.push(format!("line {}: expected {}", failure.line, failure.expected));
        let indent = failure.line.to_string().len() + 7;
        lines.push(format!("{:indent$}   found {}", "", failure.found));
        if let Some(decision) =
            played.decisions.get(failure.decision).filter(|_| told.insert(failure.decision))
        {
            lines.extend(decision_lines(suite, decision));
        }
    }
    lines
}

/// A decision in full.
pub(crate) fn decision_lines(suite: &Suite, decision: &Decision) -> Vec<String> {
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

fn test_json((suite, test): (&Suite, &TestOf), ran: &Ran) -> Value {
    let failures = wrong(&ran.result);
    let failures = failures.iter().map(|(line, text)| json!({ "line": line, "message": text }));
    let decisions = ran.result.as_ref().map_or(&[][..], |played| &played.decisions);
    let decisions = decisions.iter().map(|decision| {
        let name = |id| decision.path_of(id);
        let record = decision.record.as_ref();
        json!({
            "line": decision.line,
            "asked": decision.asked,
            "killed": decision.killed.iter().map(|at| decision.name_of(*at)).collect::<Vec<String>>(),
            "kernel": told_of_kernel(decision),
            "record": record.map(|record| {
                Told { record, declared: &suite.policy.declared, cgroup: &name }.json()
            }),
        })
    });
    json!({
        "file": test.file,
        "line": test.test.line,
        "name": test.test.name,
        "ok": ran.passes(),
        "seconds": ran.time.as_secs_f64(),
        "failures": failures.collect::<Vec<Value>>(),
        "decisions": decisions.collect::<Vec<Value>>(),
    })
}

/// All results in JUnit's format: a suite for each file.
fn junit(suites: &[Suite], ran: &[Ran]) -> Result<String, Failure> {
    let mut all = quick_junit::Report::new("oomc");
    for suite in suites {
        let mut own = TestSuite::new(suite.source.name.as_str());
        for (test, ran) in ran.iter().filter_map(|ran| {
            let (of, test) = find(suites, ran.at)?;
            std::ptr::eq(of, suite).then_some((test, ran))
        }) {
            let failures = wrong(&ran.result);
            let status = match failures.first() {
                None => TestCaseStatus::success(),
                Some((_, first)) => {
                    let kind = match ran.result {
                        Ok(_) => NonSuccessKind::Failure,
                        Err(_) => NonSuccessKind::Error,
                    };
                    let mut status = TestCaseStatus::non_success(kind);
                    status.set_message(first.as_str());
                    status.set_description(explain(suite, &ran.result).join("\n"));
                    status
                }
            };
            let mut case = TestCase::new(test.test.name.as_str(), status);
            case.set_classname(test.file.as_str()).set_time(ran.time);
            case.extra.insert("line".into(), test.test.line.to_string().into());
            own.add_test_case(case);
        }
        if own.tests > 0 {
            all.add_test_suite(own);
        }
    }
    all.to_string().map_err(|error| Failure::refused(format!("cannot write JUnit's format: {error}")))
}
