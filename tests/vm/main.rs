//! Every file of `tests/cases/run` as an ordinary test, all in one boot of the test machine.
//!
//! `cargo xtask vm` and `cargo xtask test` name the kernel and the static programs in the environment; with
//! `OOMC_VM_VERBOSE` the steps of passing cases are shown, too. Without them there is no machine to boot: the cases are
//! read, so that a wrong script fails, and count as ignored.

mod agreement;
mod documents;
mod forecasts;
mod large;
mod pairs;
mod random;
mod second;
mod snapshot_check;
mod storm;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Failed, Trial};
use oomc_vm::report::Report;
use oomc_vm::run::{self, Tools};
use oomc_vm::script::{self, Action, Case};

/// Reports as they come in, for the tests that wait for them.
#[derive(Default)]
struct Board {
    reports: Mutex<Reports>,
    news: Condvar,
}

#[derive(Default)]
struct Reports {
    by_case: HashMap<String, Report>,
    /// The run is over; with the reason if it was not possible.
    over: Option<Option<String>>,
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // The cases run one after the other in the machine; results are printed in the same order.
    arguments.test_threads = Some(1);

    let tools = Tools::from_environment();
    let board = Arc::new(Board::default());
    let mut trials = Vec::new();
    let mut wanted = Vec::new();
    let (mut tell, mut decided) = (0, Vec::new());
    let files = case_files().into_iter().chain(shipped_policies()).map(|(name, file, script)| {
        let case = fs::read_to_string(&file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))
            .and_then(|text| script::parse(&name, &format!("{text}\n{script}")));
        (name, case)
    });
    let written = large::cases().into_iter().chain(second::cases());
    let storms = storm::cases();
    let written = written.chain(storms.iter().map(|(name, text)| (*name, text.clone())));
    let written = written.map(|(name, text)| (name.to_owned(), script::parse(name, &text)));
    for (name, case) in files.chain(written) {
        match case {
            Ok(case) => {
                let tells = case.steps.iter().any(|step| step.action == Action::Decisions);
                tell += usize::from(tells);
                let is_judged =
                    [agreement::NAME, snapshot_check::NAME].iter().any(|name| selected(&arguments, name));
                let documents = name == documents::CASE && selected(&arguments, documents::NAME);
                if selected(&arguments, &name) || (tells && is_judged) || documents {
                    decided.extend(tells.then(|| case.clone()));
                    wanted.push(case);
                }
                let board = Arc::clone(&board);
                let trial = Trial::test(name.clone(), move || board.verdict(&name));
                trials.push(trial.with_ignored_flag(tools.is_none()));
            }
            Err(error) => trials.push(Trial::test(name, move || Err(Failed::from(error)))),
        }
    }
    let (judge, seen) = (Arc::clone(&board), decided.clone());
    let agree = move || agreement::judge(&decided, tell, |name| judge.report(name));
    let trial = Trial::test(agreement::NAME, agree);
    trials.push(trial.with_ignored_flag(tools.is_none()));
    let judge = Arc::clone(&board);
    let documents = move || documents::judge(|name| judge.report(name));
    trials.push(Trial::test(documents::NAME, documents).with_ignored_flag(tools.is_none()));
    let judge = Arc::clone(&board);
    let trial = Trial::test(snapshot_check::NAME, move || {
        snapshot_check::judge(&seen, tell, |name| judge.report(name))
    });
    trials.push(trial.with_ignored_flag(tools.is_none()));
    let mut dead = HashMap::new();
    if selected(&arguments, random::NAME) && tools.is_some() {
        let random = random::cases();
        wanted.extend(random.cases);
        dead = random.dead;
    }
    let judge = Arc::clone(&board);
    let trial = Trial::test(random::NAME, move || random::judge(&dead, |name| judge.report(name)));
    trials.push(trial.with_ignored_flag(tools.is_none()));
    if selected(&arguments, pairs::NAME) && tools.is_some() {
        wanted.extend(pairs::cases(pairs::Way::Kernel));
    }
    let judge = Arc::clone(&board);
    let trial = Trial::test(pairs::NAME, move || pairs::judge(pairs::Way::Kernel, |name| judge.report(name)));
    trials.push(trial.with_ignored_flag(tools.is_none()));
    if selected(&arguments, forecasts::NAME) && tools.is_some() {
        wanted.extend(forecasts::cases());
    }
    let judge = Arc::clone(&board);
    let trial = Trial::test(forecasts::NAME, move || forecasts::judge(|name| judge.report(name)));
    trials.push(trial.with_ignored_flag(tools.is_none()));
    trials.push(Trial::test(pairs::COMPARED, || pairs::wrong_records_are_found(pairs::Way::Kernel)));
    let boots = !arguments.list && !wanted.is_empty();
    let runner = tools.filter(|_| boots).map(|tools| {
        let board = Arc::clone(&board);
        thread::spawn(move || board.fill(&tools, wanted))
    });
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(runner) = runner
        && runner.join().is_err()
    {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Name, file, and steps that are added to those in the file.
type CaseFile = (String, PathBuf, String);

/// The case files, by name.
fn case_files() -> Vec<CaseFile> {
    let named = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (name, path, "#> decisions\n".to_owned())
    };
    policies("../cases/run").into_iter().map(named).collect()
}

/// The policies of examples and library: the verifier must accept each of them.
fn shipped_policies() -> Vec<CaseFile> {
    let examples = folder("../../examples").into_iter().map(|path| ("example", path.join("policy.oom")));
    let library = policies("../../stdlib/policies").into_iter().map(|path| ("library", path));
    examples
        .chain(library)
        .map(|(kind, path)| {
            let own = if kind == "example" { path.parent().unwrap_or(&path) } else { &path };
            let name = format!("{kind}_{}", own.file_stem().unwrap_or_default().to_string_lossy());
            let steps = format!("#> measure {name}.o\n");
            (name, path, steps)
        })
        .collect()
}

fn policies(path: &str) -> Vec<PathBuf> {
    let mut files = folder(path);
    files.retain(|path| path.extension().is_some_and(|extension| extension == "oom"));
    files
}

/// What lies in a folder, sorted.
fn folder(path: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Will the test of this name run? The same rule as in libtest.
fn selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

impl Board {
    /// Runs the machine and posts what it says.
    fn fill(&self, tools: &Tools, cases: Vec<Case>) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vm");
        let verbose = env::var_os("OOMC_VM_VERBOSE").is_some();
        let result = run::run_on(storm::hardware(), tools, &folder, cases, &[], &mut |report| {
            if verbose {
                let lines: Vec<&str> = report.steps.iter().chain(&report.shown).map(String::as_str).collect();
                eprintln!("\n{} ({} ms)\n  {}", report.case, report.millis, lines.join("\n  "));
            }
            if let Ok(mut reports) = self.reports.lock() {
                reports.by_case.insert(report.case.clone(), report);
            }
            self.news.notify_all();
        });
        if let Ok(mut reports) = self.reports.lock() {
            reports.over = Some(result.err());
        }
        self.news.notify_all();
    }

    /// Waits for the verdict on a case.
    fn verdict(&self, name: &str) -> Result<(), Failed> {
        self.report(name).map(drop)
    }

    /// Waits for the report of a case that passed.
    fn report(&self, name: &str) -> Result<Report, Failed> {
        let poisoned = |_| Failed::from("the run of the machine panicked");
        let mut reports = self.reports.lock().map_err(poisoned)?;
        loop {
            if let Some(report) = reports.by_case.get(name) {
                return match &report.failure {
                    None => Ok(report.clone()),
                    Some(failure) => Err(Failed::from(explain(report, failure))),
                };
            }
            if let Some(over) = &reports.over {
                let why = over.clone().unwrap_or_else(|| "the run ended without this case".to_owned());
                return Err(Failed::from(why));
            }
            reports = self.news.wait(reports).map_err(|_| Failed::from("the run of the machine panicked"))?;
        }
    }
}

/// A failing case in full: the steps up to the failure, and what the kernel said meanwhile.
fn explain(report: &Report, failure: &str) -> String {
    let mut text = format!("{failure}\n");
    if !report.steps.is_empty() {
        text.push_str("\nsteps:\n");
        for step in &report.steps {
            text.push_str(&format!("  {step}\n"));
        }
    }
    // Each report of the OOM killer has a hundred lines of statistics and registers. They are
    // left out unless it is the kernel that complains.
    let all = failure.starts_with("the kernel");
    let tells = ["oom", "Kill", "memory: usage", "raised", "  [ ", "lost"];
    text.push_str("\nkernel log of this case:\n");
    for line in report.log.iter().filter(|line| all || tells.iter().any(|word| line.contains(word))) {
        text.push_str(&format!("  {line}\n"));
    }
    text
}
