//! `cargo xtask bench`: oomc beside clang on the same policy.
//!
//! Measures the whole process that makes an object, interleaved so that both see the same machine, and what
//! comes out: instructions, and the verifier's work in the machine. Then builds policies of ever more rules,
//! whose time per rule may not grow, simulates decisions on ever larger trees, and runs tests and reads machines
//! ([`foresight`]). What a decision costs is counted apart ([`code`]), and so is what an author waits ([`editor`]). Prints
//! what it measured, also where it falls short of the goals. Knows no policy but the headline, its hand-written twin,
//! and rules by the thousand.

mod code;
mod editor;
mod figures;
mod forests;
mod goals;
mod load;
mod page;
mod peers;
mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

pub(crate) use oomc_vm::cost::Cost;
use oomc_vm::report::Report;
use oomc_vm::{cost, run as machine, script};

use crate::packages::Package;
use crate::{build, foresight, kernel, packages, say};

/// To make `vmlinux.h`, and the object to compare with.
const PACKAGES: [Package; 3] = [
    ("clang-19", "clang-19"),
    ("bpftool", "/usr/sbin/bpftool"),
    ("libbpf-dev", "/usr/include/bpf/bpf_helpers.h"),
];

const POLICY: &str = "examples/headline/policy.oom";
const TWIN: &str = "tests/bench/headline.bpf.c";

/// Runs of each, unless an argument says otherwise; the first of each is not counted.
const RUNS: usize = 21;

/// Bytes of the program, and milliseconds until it has said its version.
const BYTES_GOAL: u64 = 8 << 20;
const START_GOAL: f64 = 5.0;
/// A build takes at most this part of clang's time.
const TIME_GOAL: f64 = 1.0 / 30.0;
/// Instructions and verifier's work are at most this many times those of the C.
const CODE_GOAL: f64 = 1.5;
const WORK_GOAL: f64 = 1.0;

/// Rules of the long policies: of those that kill, the last is about the most that the kernel's limit of a million
/// instructions leaves room for.
const RAISING: [u32; 5] = [10, 100, 500, 1_000, 5_000];
const KILLING: [u32; 5] = [10, 100, 500, 1_000, 4_000];
/// Runs of each; the longest takes seconds.
const LONG_RUNS: usize = 5;
/// A rule more costs at most this many times in the longest policy what it costs between 100 and 500: shorter
/// ones are one function, with other costs.
const GROWTH_GOAL: f64 = 1.25;

/// The command line word by which this program runs another one and says what that took.
pub(crate) const ONE_RUN: &str = "one-run";

/// What an object is to the kernel.
#[derive(Clone, Copy, Debug)]
struct Size {
    instructions: u64,
    processed: u64,
}

/// `cargo xtask bench [RUNS]`; `cargo xtask bench foresight` measures tests and snapshots alone, `cargo xtask bench code`
/// counts instructions of decisions, `cargo xtask bench load` those of a load.
///
/// # Errors
/// The sentence says which tool is missing or which step failed.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if args.first().is_some_and(|word| word == "foresight") {
        return foresight_alone();
    }
    if args.first().is_some_and(|word| word == "load") {
        return load::run();
    }
    if let Some(("peers", rest)) = args.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        return peers::run(rest);
    }
    if let Some(("code", rest)) = args.split_first().map(|(word, rest)| (word.as_str(), rest)) {
        return code::run(rest);
    }
    if args.first().is_some_and(|word| word == "editor") {
        return editor::run(args.get(1..).unwrap_or_default());
    }
    let runs = match args.first() {
        Some(word) => word.parse::<usize>().map_err(|_| format!("`{word}` is no number of runs"))?,
        None => RUNS,
    };
    if runs < 10 {
        return Err("a median of fewer than 10 runs says little".to_owned());
    }
    packages::need(&packages::BUILD)?;
    packages::need(&PACKAGES)?;
    let folder = build::scratch("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;

    say("Building oomc, optimised …");
    build::release(&["oomc"])?;
    let oomc = build::program("release", "oomc");
    say(&start(&oomc, runs)?);
    let header = vmlinux_header(&kernel::ready()?.join("vmlinux.btf"), &folder)?;

    let (ours, theirs) = (folder.join("headline.o"), folder.join("headline-c.o"));
    let root = build::root();
    let oomc_build = words(&[oomc.as_path(), "build".as_ref(), &root.join(POLICY), "-o".as_ref(), &ours]);
    let include = format!("-I{}", header.parent().unwrap_or(&folder).display());
    let mut clang_build: Vec<String> =
        ["clang-19", "-O2", "-g", "-target", "bpf", "-mcpu=v3", &include, "-c"].map(str::to_owned).to_vec();
    clang_build.extend(words(&[&root.join(TWIN), "-o".as_ref(), &theirs]));

    say(&format!("Running each {runs} times, in turn …"));
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for counted in std::iter::once(false).chain(std::iter::repeat_n(true, runs)) {
        let pair = (one(&oomc_build)?, one(&clang_build)?);
        // The first finds the files on the disk, the others in memory.
        if counted {
            own.push(pair.0);
            other.push(pair.1);
        }
    }
    say("Loading both objects in the machine, and letting both act …");
    let sizes = verify(&ours, &theirs)?;
    say(&table(runs, [&own, &other], sizes));
    say("\nBuilding policies of ever more rules …");
    for (kind, lengths, rule) in LONG {
        say(&growth(kind, &long(&oomc, &folder, lengths, rule)?));
    }
    say("\nSimulating decisions …");
    let mut decisions = build::cargo("run");
    decisions.args(["--release", "--quiet", "-p", "oomc-sim", "--example", "decisions"]);
    build::loud(&mut decisions, "the simulation of decisions")?;
    say("\nRunning tests, reading machines …");
    say(&foresight::measure(&oomc, &folder)?);
    Ok(())
}

/// How large the program is, and how long it takes to start.
fn start(oomc: &Path, runs: usize) -> Result<String, String> {
    let bytes = fs::metadata(oomc).map_err(|error| format!("cannot read {}: {error}", oomc.display()))?.len();
    let version = words(&[oomc, "--version".as_ref()]);
    let costs: Vec<Cost> = (0..runs).map(|_| one(&version)).collect::<Result<_, _>>()?;
    let milliseconds = median(&costs, |cost| cost.nanoseconds) / 1e6;
    let verdict = |met: bool| if met { "met" } else { "NOT met" };
    Ok(format!(
        "the program: {bytes} bytes   ≤ {BYTES_GOAL}  {}\n`oomc --version`: {milliseconds:.2} ms   ≤ {START_GOAL}  {}",
        verdict(bytes <= BYTES_GOAL),
        verdict(milliseconds <= START_GOAL),
    ))
}

fn foresight_alone() -> Result<(), String> {
    packages::need(&packages::BUILD)?;
    let folder = build::scratch("bench");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    say("Building oomc, optimised …");
    build::release(&["oomc"])?;
    say("Running tests, reading machines …");
    say(&foresight::measure(&build::program("release", "oomc"), &folder)?);
    Ok(())
}

/// A rule by its number.
type Rule = fn(u32) -> String;

/// Policies of one function, and of several that share their searches.
const LONG: [(&str, [u32; 5], Rule); 2] = [
    ("raise a limit", RAISING, |at| {
        format!("if cgroup.depth == {at} then raise_limit 1MiB up to {}MiB\n", at + 10)
    }),
    ("kill", KILLING, |at| match at % 4 {
        0 => format!("kill largest cgroup in subtree where usage > {}MiB\n", 100_000 - at),
        _ => format!("kill largest process in subtree where rss > {}MiB\n", 100_000 - at),
    }),
];

/// What builds of each length took, in turn.
fn long(oomc: &Path, folder: &Path, lengths: [u32; 5], rule: Rule) -> Result<Vec<(u32, Vec<Cost>)>, String> {
    let mut commands = Vec::new();
    for length in lengths {
        let policy = folder.join(format!("long-{length}.oom"));
        let text: String = (0..length).map(rule).collect();
        fs::write(&policy, text).map_err(|error| format!("cannot write {}: {error}", policy.display()))?;
        let object = policy.with_extension("o");
        commands.push(words(&[oomc, "build".as_ref(), &policy, "-o".as_ref(), &object]));
    }
    let mut all: Vec<(u32, Vec<Cost>)> = lengths.iter().map(|length| (*length, Vec::new())).collect();
    for counted in std::iter::once(false).chain(std::iter::repeat_n(true, LONG_RUNS)) {
        for ((_, costs), command) in all.iter_mut().zip(&commands) {
            let cost = one(command)?;
            costs.extend(counted.then_some(cost));
        }
    }
    Ok(all)
}

/// Time and memory by length, and what a rule more costs.
fn growth(kind: &str, all: &[(u32, Vec<Cost>)]) -> String {
    let milliseconds = |costs: &[Cost]| median(costs, |cost| cost.nanoseconds) / 1e6;
    let mut text = format!(
        "\nPolicies of rules that {kind}; medians of {LONG_RUNS} interleaved runs of `oomc build`.\n\n\
         {:>6}{:>12}{:>22}{:>18}\n",
        "rules", "time, ms", "per rule more, ms", "peak memory, MiB"
    );
    let mut slopes = Vec::new();
    let mut before: Option<(u32, f64)> = None;
    for (length, costs) in all {
        let (time, memory) = (milliseconds(costs), median(costs, |cost| cost.kibibytes) / 1024.0);
        let slope = before.map(|(shorter, less)| (time - less) / f64::from(length - shorter));
        let shown = slope.map_or_else(|| "-".to_owned(), |slope| format!("{slope:.3}"));
        text.push_str(&format!("{length:>6}{time:>12.1}{shown:>22}{memory:>18.1}\n"));
        slopes.extend(slope);
        before = Some((*length, time));
    }
    if let (Some(first), Some(last)) = (slopes.get(1), slopes.last()) {
        let ratio = last / first;
        let verdict = if ratio <= GROWTH_GOAL { "met" } else { "NOT met" };
        text.push_str(&format!("the last to that of 500: {ratio:.3}   ≤ {GROWTH_GOAL:.2}  {verdict}\n"));
    }
    text
}

/// Runs a program and prints what it took, in a process of its own.
///
/// # Errors
/// The program could not be started or failed.
pub(crate) fn one_run(args: &[String]) -> Result<(), String> {
    say(&cost::of(args)?.to_string());
    Ok(())
}

pub(crate) fn one(command: &[String]) -> Result<Cost, String> {
    let own = env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let output = Command::new(own)
        .arg(ONE_RUN)
        .args(command)
        .output()
        .map_err(|error| format!("cannot start a run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.parse().map_err(|_| String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
}

/// All of the kernel's types, as C.
fn vmlinux_header(btf: &Path, folder: &Path) -> Result<PathBuf, String> {
    let output = Command::new("/usr/sbin/bpftool")
        .args(["btf", "dump", "file"])
        .arg(btf)
        .args(["format", "c"])
        .output()
        .map_err(|error| format!("cannot start bpftool: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "bpftool cannot read {}: {}",
            btf.display(),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let header = folder.join("vmlinux.h");
    // What was made from the same header stays newer than it.
    if fs::read(&header).is_ok_and(|old| old == output.stdout) {
        return Ok(header);
    }
    fs::write(&header, output.stdout)
        .map_err(|error| format!("cannot write {}: {error}", header.display()))?;
    Ok(header)
}

/// Both objects are measured, and both must act: a comparison with a program that does something else would
/// say nothing. The first shortage raises the limit, the second, at the ancestor's limit, kills the largest.
fn story() -> String {
    let mut text = "#! policy: none\n#> measure headline.o\n#> measure headline-c.o\n".to_owned();
    for name in ["headline", "headline-c"] {
        text.push_str(&format!(
            "#> cgroup /{name} max 110MiB\n\
             #> cgroup /{name}/job max 100MiB\n\
             #> task {name}-big in /{name}/job anon 60MiB\n\
             #> task {name}-small in /{name}/job anon 10MiB\n\
             #> libbpf {name} --cgroup /{name}/job\n\
             #> grow {name}-small by 35MiB\n\
             #> expect {name}-big alive\n\
             #> expect /{name}/job memory.max > 100MiB\n\
             #> grow {name}-small by 25MiB\n\
             #> expect {name}-big killed\n\
             #> expect {name}-small alive\n\
             #> expect /{name}/job memory.events oom_kill == 1\n\
             #> release\n"
        ));
    }
    text
}

/// Asks the kernel under test about both objects.
fn verify(ours: &Path, theirs: &Path) -> Result<[Size; 2], String> {
    let case = script::parse("bench", &story())?;
    let read =
        |path: &Path| fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()));
    let files = [("headline.o".to_owned(), read(ours)?), ("headline-c.o".to_owned(), read(theirs)?)];
    let mut report: Option<Report> = None;
    machine::run(&build::tools()?, &build::scratch("bench"), vec![case], &files, &mut |result| {
        report = Some(result);
    })?;
    let report = report.ok_or("the machine said nothing")?;
    if let Some(failure) = &report.failure {
        return Err(format!("{failure}\n{}\n{}", report.steps.join("\n"), report.log.join("\n")));
    }
    match report.shown.as_slice() {
        [ours, theirs] => Ok([size(ours)?, size(theirs)?]),
        shown => Err(format!("the machine showed {} things instead of two", shown.len())),
    }
}

/// Reads `FILE: N instructions, N processed by the verifier, …`.
fn size(text: &str) -> Result<Size, String> {
    let number = |word: &str| {
        let (before, _) = text.split_once(word)?;
        before.split_whitespace().next_back()?.parse().ok()
    };
    match (number(" instructions"), number(" processed")) {
        (Some(instructions), Some(processed)) => Ok(Size { instructions, processed }),
        _ => Err(format!("no counts in `{text}`")),
    }
}

pub(crate) fn words(parts: &[&Path]) -> Vec<String> {
    parts.iter().map(|part| part.display().to_string()).collect()
}

pub(crate) fn median(costs: &[Cost], of: impl Fn(&Cost) -> u64) -> f64 {
    let mut values: Vec<u64> = costs.iter().map(of).collect();
    values.sort_unstable();
    let upper = values.get(values.len() / 2).copied().unwrap_or(0);
    let lower = values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(0);
    (upper + lower) as f64 / 2.0
}

fn table(runs: usize, [own, other]: [&[Cost]; 2], [ours, theirs]: [Size; 2]) -> String {
    let milliseconds = |costs| median(costs, |cost| cost.nanoseconds) / 1e6;
    let mebibytes = |costs| median(costs, |cost| cost.kibibytes) / 1024.0;
    let rows = [
        ("wall time, ms", 2, milliseconds(own), milliseconds(other), Some(TIME_GOAL)),
        ("peak memory, MiB", 1, mebibytes(own), mebibytes(other), None),
        ("instructions", 0, ours.instructions as f64, theirs.instructions as f64, Some(CODE_GOAL)),
        ("processed by the verifier", 0, ours.processed as f64, theirs.processed as f64, Some(WORK_GOAL)),
    ];
    let mut text = format!(
        "\nThe headline policy; medians of {runs} interleaved runs, each a whole process.\n\
         oomc: `oomc build {POLICY}`; C: `clang-19 -O2 -g -target bpf -mcpu=v3 {TWIN}`\n\n\
         {:<26}{:>12}{:>12}{:>9}{:>12}\n",
        "", "oomc", "clang / C", "ratio", "goal"
    );
    for (name, digits, own, other, goal) in rows {
        let ratio = own / other;
        let verdict = match goal {
            Some(goal) if ratio <= goal => format!("≤ {goal:.2}  met"),
            Some(goal) => format!("≤ {goal:.2}  NOT met"),
            None => "-".to_owned(),
        };
        text.push_str(&format!("{name:<26}{own:>12.digits$}{other:>12.digits$}{ratio:>9.3}   {verdict}\n"));
    }
    text
}
