//! `oomc test [FILE…] [--run RE] [--coverage[=PERCENT%]] [--junit F] [--shuffle] [--watch]`

mod junit;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Instant;

use oomc_compiler::diag::Severity;
use oomc_forecast::coverage::{Coverage, together};
use oomc_forecast::decision::{Told, told_of_kernel};
use oomc_forecast::suite::TestOf;
use oomc_forecast::test_run::{self, Ran};
use oomc_forecast::{Error, Suite, Traced};
use oomc_sim::scenario::Order;
use serde_json::{Value, json};

use crate::args::{Seed, Test};
use crate::cmd::test::junit::Broken;
use crate::cmd::test::watch::Watcher;
use crate::cmd::write;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::policy::{self, Unready};
use crate::report::Report;
use crate::settings::{self, Found};

pub(crate) fn run(report: &Report, args: &Test) -> Outcome {
    if !args.watch {
        return once(report, args);
    }
    if args.files.iter().any(|file| files::is_dash(file)) {
        return Err(Failure::new(Exit::Usage, "standard input cannot be watched").help("name a file"));
    }
    let mut watcher = Watcher::new(args)?;
    loop {
        if let Err(failure) = once(report, args) {
            report.failure(&failure);
        }
        report.remark("waiting for a change; Ctrl-C ends this");
        // Nobody reads any more.
        if report.flush().is_err() {
            return Ok(Exit::Ok);
        }
        watcher.wait()?;
    }
}

/// A policy, what holds for it, or what is wrong with its settings.
type Of = (PathBuf, Result<Found, Unready>);

fn once(report: &Report, args: &Test) -> Outcome {
    let began = Instant::now();
    let settings = |path: PathBuf| {
        let found = settings::of(report, &path, args.warnings.deny_warnings)?;
        Ok((path, found))
    };
    let policies = policies(&args.files)?.into_iter().map(settings).collect::<Result<Vec<Of>, Failure>>()?;
    let found = policies.iter().filter_map(|(path, found)| Some((path.as_path(), found.as_ref().ok()?)));
    let view = settings::one_kernel(found, &args.kernel)?.with_page_size(args.page_size.bytes());
    let kernel = oomc_forecast::kernel(&view)?;
    let (mut exit, mut diagnostics, mut suites, mut broken) = (Exit::Ok, Vec::new(), Vec::new(), Vec::new());
    for (path, found) in policies {
        let suite = match found {
            Ok(found) => policy::suite(report, &path, &kernel, &found.settings, true)?,
            Err(unready) => Err(unready),
        };
        match suite {
            Ok(suite) => suites.push(suite),
            Err(unready) => {
                exit = exit.max(unready.exit);
                diagnostics.extend(unready.diagnostics.iter().cloned());
                broken.push(Broken { file: files::name(&path), diagnostics: unready.diagnostics });
            }
        }
    }
    let (jobs, seed) = jobs(report, args, &suites);
    let order = seed.map_or(Order::Named, Order::Shuffled);
    let traced = match args.coverage {
        Some(_) => suites.iter().map(|suite| suite.trace(&kernel)).collect::<Result<Vec<Traced>, Error>>()?,
        None => Vec::new(),
    };
    let ran = test_run::run(&kernel, &suites, &traced, &jobs, order);
    if ran.is_empty() && exit == Exit::Ok {
        report.failure(&no_test(args));
        return Ok(Exit::Errors);
    }
    let (passed, failed) = tell_all(report, &suites, &ran, began);
    if failed > 0 {
        exit = exit.max(Exit::Errors);
    }
    let covered = test_run::coverage(&suites, &traced, &ran);
    if let Some(least) = args.coverage {
        exit = exit.max(tell_coverage(report, &covered, least));
    }
    if let Some(path) = &args.junit {
        write(path, junit::text(&suites, &ran, &broken).as_bytes())?;
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
            "tests": ran.iter().filter_map(|ran| Some(test_json(ran.of(&suites)?, ran))).collect::<Vec<Value>>(),
        }),
    );
    Ok(exit)
}

/// The tests that are wanted, by the places of their policy and of themselves, in the order in which they run; and the
/// seed of that order if it is shuffled.
fn jobs(report: &Report, args: &Test, suites: &[Suite<'_>]) -> (Vec<(usize, usize)>, Option<u64>) {
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
        report.remark(format_args!("shuffled; the same order again: --shuffle={seed}"));
    }
    (jobs, seed)
}

fn no_test(args: &Test) -> Failure {
    let which = if args.run.is_some() { "no test has a name that matches" } else { "there is no test" };
    Failure::new(Exit::Errors, format!("no test ran: {which}"))
        .help("write one into the policy: `test \"name\" { given { … } on oom in \"/job\" expect … }`")
}

/// Tells how the tests ended; returns how many passed and how many failed.
fn tell_all(report: &Report, suites: &[Suite<'_>], all: &[Ran], began: Instant) -> (usize, usize) {
    for ran in all {
        if let Some((suite, test)) = ran.of(suites) {
            tell(report, suite, test, ran);
        }
    }
    let failed = all.iter().filter(|ran| !ran.passes()).count();
    let passed = all.len() - failed;
    if !all.is_empty() {
        let seconds = began.elapsed().as_secs_f64();
        report.line(format_args!("{passed} passed, {failed} failed, in {seconds:.2} s"));
    }
    (passed, failed)
}

/// The policies that are meant, each once, in the order of their paths.
fn policies(named: &[PathBuf]) -> Result<BTreeSet<PathBuf>, Failure> {
    let here = [PathBuf::from(".")];
    let named = if named.is_empty() { &here } else { named };
    let mut found = BTreeSet::new();
    for path in named {
        if !files::is_dash(path) && path.is_dir() {
            // A folder without a policy has no test; that is said when it is known of all of them.
            found.extend(files::expand_if_any(path, &["oom"])?);
        } else if path.extension().is_some_and(|extension| extension == "oomt") {
            let policy = path.with_extension("oom");
            if !policy.exists() {
                let message = format!("{} holds tests of a policy that is not there", path.display());
                return Err(Failure::refused(message).help(format!("they belong to {}", policy.display())));
            }
            found.insert(policy);
        } else {
            found.insert(path.clone());
        }
    }
    Ok(found)
}

/// Says what is covered; an error if it is less than was asked for.
fn tell_coverage(report: &Report, covered: &[Coverage], least: f64) -> Exit {
    for one in covered {
        report.line(format_args!("{}: {}", one.file, one.line()));
        for (line, text) in &one.missing {
            report.line(format_args!("    line {line}: {text}"));
        }
    }
    let percent = together(covered);
    if percent >= least {
        return Exit::Ok;
    }
    let text = format!("the tests reach {percent:.1} % of the policies, less than {least} %");
    report.unreadable(&Failure::new(Exit::Errors, text));
    Exit::Errors
}

/// One test for people: in a line if it passes, otherwise with all that is known of what happened.
fn tell(report: &Report, suite: &Suite<'_>, test: &TestOf, ran: &Ran) {
    let place = format!("{}:{}", test.file, test.test.line);
    if ran.passes() {
        report.detail(format_args!("ok     {place} {}", test.test.name));
        return;
    }
    report.line(format_args!("FAILED {place} {}", test.test.name));
    for (line, text) in ran.wrong() {
        report.annotate(Severity::Error, &test.file, line, &test.test.name, &text);
    }
    for line in ran.explain(suite) {
        report.line(format_args!("    {line}"));
    }
}

fn test_json((suite, test): (&Suite<'_>, &TestOf), ran: &Ran) -> Value {
    let failures = ran.wrong();
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
