//! Every file of `tests/cases/stock` as an ordinary test, in a machine with a kernel as Debian ships it; the cases of
//! the library's policies there, by `oomc run`; random policies before its verifier, and random policies on random trees.
//!
//! A header `machine: WORDS` names another machine ([`MACHINES`]); all cases of one machine share a boot.
//!
//! `cargo xtask vm --stock` and `cargo xtask test` name the kernel and the static programs in the environment. Without
//! them the cases are read, so that a wrong script fails, and count as ignored.

mod day;
mod pairs;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::{env, fs, thread};

use libtest_mimic::{Arguments, Failed, Trial};
use oomc_compiler::{KernelView, Source};
use oomc_tests::{generate, number};
use oomc_vm::machine::Hardware;
use oomc_vm::report::Report;
use oomc_vm::run::{self, Tools};
use oomc_vm::script::{self, Case};
use pairs::Way;

/// Machines besides the ordinary one: what the header calls them, and what their kernel is started with.
const MACHINES: [(&str, &str); 2] =
    [("no pressure", "psi=0"), ("no memory controller", "psi=1 cgroup_disable=memory")];

/// The test of random policies.
const RANDOM: &str = "random_policies_pass_the_stock_verifier";
/// The test of the cases.
const LIBRARY: &str = "each_policy_of_the_library_is_asked";
/// Seed and number of the policies; others by `OOMC_SEED` and `OOMC_RANDOM`.
const SEED: u64 = 1;
const COUNT: u64 = 40;
/// Policies of one case: the machine ends one that takes longer than two minutes.
const BATCH: usize = 5;

/// Reports as they come in.
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
    arguments.test_threads = Some(1);
    let tools = env::var_os("OOMC_VM_STOCK").map(PathBuf::from);
    let tools = tools.and_then(|kernel| Some(Tools { kernel, ..Tools::from_environment()? }));
    let board = Arc::new(Board::default());
    let (mut trials, mut wanted) = (Vec::new(), Vec::new());
    for (name, text) in cases().into_iter().chain(library()).chain(day::cases()) {
        let (board, case) = (Arc::clone(&board), text.and_then(|text| parse(&name, &text)));
        match case {
            Ok(case) if selected(&arguments, &name) => wanted.push(case),
            Ok(_) => {}
            Err(error) => {
                trials.push(Trial::test(name, move || Err(Failed::from(error))));
                continue;
            }
        }
        let trial = Trial::test(name.clone(), move || board.verdict(&name).map(drop));
        trials.push(trial.with_ignored_flag(tools.is_none()));
    }
    let random = if selected(&arguments, RANDOM) && tools.is_some() { random() } else { Vec::new() };
    let names: Vec<String> = random.iter().map(|case| case.name.clone()).collect();
    wanted.extend(random);
    let judge = Arc::clone(&board);
    let trial = Trial::test(RANDOM, move || judge_random(&judge, &names));
    trials.push(trial.with_ignored_flag(tools.is_none()));
    if selected(&arguments, pairs::NAME) && tools.is_some() {
        wanted.extend(pairs::cases(Way::Asked));
    }
    let judge = Arc::clone(&board);
    let trial = Trial::test(pairs::NAME, move || pairs::judge(Way::Asked, |name| judge.verdict(name)));
    trials.push(trial.with_ignored_flag(tools.is_none()));
    trials.push(Trial::test(LIBRARY, each_of_the_library_has_a_case));
    trials.push(Trial::test(pairs::COMPARED, || pairs::wrong_records_are_found(Way::Asked)));
    let boots = !arguments.list && !wanted.is_empty();
    let runner = tools.filter(|_| boots).map(|tools| {
        let board = Arc::clone(&board);
        thread::spawn(move || board.fill(&tools, wanted))
    });
    let conclusion = libtest_mimic::run(&arguments, trials);
    if runner.is_some_and(|runner| runner.join().is_err()) {
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// Name and text of the cases of a folder, sorted.
fn folder(name: &str) -> Vec<(String, Result<String, String>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cases").join(name);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "oom")).collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display())))
    };
    files.into_iter().map(read).collect()
}

fn cases() -> Vec<(String, Result<String, String>)> {
    folder("stock")
}

/// The cases in which a policy of the library acts where the kernel asks it, by `oomc run`: the same dies, before the limit.
fn library() -> impl Iterator<Item = (String, Result<String, String>)> {
    let acts = |(name, _): &(String, _)| name.starts_with("library_") && name.ends_with("_acts");
    folder("run").into_iter().filter(acts).map(|(name, text)| {
        let name = format!("{name}_by_run");
        let text = text.and_then(|text| by_run(&name, &text));
        (name, text)
    })
}

/// A case whose policy is asked instead of attached. There is room for whoever needed a little less than the limit.
fn by_run(name: &str, text: &str) -> Result<String, String> {
    let (mut changed, mut asked) = (String::new(), 0);
    for line in text.lines() {
        let step = line.strip_prefix("#>").map(str::trim).unwrap_or_default();
        match step.strip_prefix("load ") {
            Some(place) => {
                asked += 1;
                changed += &format!("#> service start {name}.o {place} --headroom 2MiB\n#> service ready\n");
            }
            // Nothing is pinned that the verifier has seen.
            None if step.starts_with("expect whole ") => {}
            None => changed += &format!("{line}\n"),
        }
    }
    match asked {
        1 => Ok(changed + "#> service stop\n"),
        _ => Err(format!("{name}: it loads {asked} policies, one is meant")),
    }
}

/// Each policy of the library is asked in a case.
fn each_of_the_library_has_a_case() -> Result<(), Failed> {
    let read = |(name, text): (String, Result<String, String>)| text.and_then(|text| parse(&name, &text));
    let cases = cases().into_iter().chain(library()).map(read).collect::<Result<Vec<Case>, String>>()?;
    let asked = |text: &str| cases.iter().any(|case| case.own.as_deref() == Some(text));
    let without = oomc_stdlib::FILES.iter().filter(|policy| !asked(policy.text)).map(|policy| policy.name);
    match without.collect::<Vec<&str>>().as_slice() {
        [] => Ok(()),
        without => Err(Failed::from(format!("in no case: {}", without.join(", ")))),
    }
}

/// Reads a case, whose machine must be one of those that there are.
fn parse(name: &str, text: &str) -> Result<Case, String> {
    let case = script::parse(name, text)?;
    machine(&case).map(|_| case)
}

/// What a case runs on.
fn machine(case: &Case) -> Result<Hardware, String> {
    let Some(wanted) = case.header.get("machine") else { return Ok(day::hardware()) };
    let found = MACHINES.iter().find(|(name, _)| name == wanted);
    let (_, words) = found.ok_or_else(|| format!("{}: there is no machine `{wanted}`", case.name))?;
    Ok(Hardware { words, ..day::hardware() })
}

/// Will the test of this name run? The same rule as in libtest.
fn selected(arguments: &Arguments, name: &str) -> bool {
    let matches = |pattern: &String| if arguments.exact { name == pattern } else { name.contains(pattern) };
    arguments.filter.as_ref().is_none_or(matches) && !arguments.skip.iter().any(matches)
}

/// Objects of random policies that compile, and steps that hand them to the verifier.
fn random() -> Vec<Case> {
    let (view, count) = (KernelView::embedded(), number("OOMC_RANDOM", COUNT) as usize);
    let mut objects = Vec::new();
    // A policy that names a member of the event runs only where the kernel asks.
    let asked = |text: &String| !text.contains("oom.oc.");
    for text in generate::policies(number("OOMC_SEED", SEED), count * 2).into_iter().filter(asked) {
        let name = format!("r{:03}", objects.len());
        let source = Source::new(format!("{name}.oom"), text.as_str());
        if let Some(object) = oomc_compiler::compile(&source, &view).object {
            objects.push((name, object, text));
        }
        if objects.len() == count {
            break;
        }
    }
    let cases = objects.chunks(BATCH).enumerate().map(|(at, policies)| {
        let names: Vec<String> = policies.iter().map(|(name, ..)| format!("{name}.o")).collect();
        let steps = format!("#! policy: none\n#> accept {}\n", names.join(" "));
        let mut case = script::parse(&format!("{RANDOM}_{at}"), &steps).unwrap_or_default();
        for (name, object, text) in policies {
            case.files.push((format!("{name}.o"), object.clone()));
            case.files.push((format!("{name}.oom"), text.clone().into_bytes()));
        }
        case
    });
    cases.collect()
}

/// Reads what the verifier said of each.
fn judge_random(board: &Board, names: &[String]) -> Result<(), Failed> {
    let (mut worst, mut seen, mut all) = ((0, String::new()), 0, 0);
    let mut wrong = Vec::new();
    for name in names {
        let report = match board.verdict(name) {
            Ok(report) => report,
            Err(failed) => {
                wrong.push(failed.message().unwrap_or("a batch failed").to_owned());
                continue;
            }
        };
        for line in &report.steps {
            let Some((name, rest)) = line.split_once(".o: ") else { continue };
            let numbers = rest.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok());
            let [insns, never, after, processed] = numbers.collect::<Vec<u64>>()[..] else { continue };
            if after + never < insns {
                wrong.push(format!("{name}: the verifier removed code: {rest}"));
            }
            seen += 1;
            all += processed;
            if processed > worst.0 {
                worst = (processed, name.trim_start_matches([' ', '|']).to_owned());
            }
        }
    }
    eprintln!(
        "random policies on the stock kernel: {seen}, which cost the verifier {} instructions each; the worst, {}, \
         cost {}",
        all / seen.max(1),
        worst.1,
        worst.0
    );
    let wanted = number("OOMC_RANDOM", COUNT);
    if seen < wanted {
        wrong.push(format!("only {seen} of {wanted} policies were looked at"));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failed::from(wrong.join("\n"))) }
}

impl Board {
    /// Runs the machines, one after the other, and posts what they say.
    fn fill(&self, tools: &Tools, cases: Vec<Case>) {
        let mut by_machine: Vec<(Hardware, Vec<Case>)> = Vec::new();
        for case in cases {
            let Ok(hardware) = machine(&case) else { continue };
            match by_machine.iter_mut().find(|(known, _)| known.words == hardware.words) {
                Some((_, cases)) => cases.push(case),
                None => by_machine.push((hardware, vec![case])),
            }
        }
        let run = |(hardware, cases)| self.run(hardware, tools, cases);
        let result = by_machine.into_iter().try_for_each(run);
        if let Ok(mut reports) = self.reports.lock() {
            reports.over = Some(result.err());
        }
        self.news.notify_all();
    }

    fn run(&self, hardware: Hardware, tools: &Tools, cases: Vec<Case>) -> Result<(), String> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stock");
        let verbose = env::var_os("OOMC_VM_VERBOSE").is_some();
        run::run_on(hardware, tools, &folder, cases, &[], &mut |report| {
            if verbose {
                eprintln!("\n{} ({} ms)\n  {}", report.case, report.millis, report.steps.join("\n  "));
            }
            if let Ok(mut reports) = self.reports.lock() {
                reports.by_case.insert(report.case.clone(), report);
            }
            self.news.notify_all();
        })
    }

    /// Waits for the report of a case that passed.
    fn verdict(&self, name: &str) -> Result<Report, Failed> {
        let poisoned = "the run of the machine panicked";
        let mut reports = self.reports.lock().map_err(|_| Failed::from(poisoned))?;
        loop {
            if let Some(report) = reports.by_case.get(name) {
                return match &report.failure {
                    None => Ok(report.clone()),
                    Some(failure) => {
                        Err(Failed::from(format!("{failure}\n\nsteps:\n  {}", report.steps.join("\n  "))))
                    }
                };
            }
            if let Some(over) = &reports.over {
                let why = over.clone().unwrap_or_else(|| "the run ended without this case".to_owned());
                return Err(Failed::from(why));
            }
            reports = self.news.wait(reports).map_err(|_| Failed::from(poisoned))?;
        }
    }
}
