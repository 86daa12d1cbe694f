//! `cargo xtask bench code`: what the code of a decision costs, beside that of a C program that decides alike.
//!
//! Ten reference policies lie in `tests/bench`, each as `NAME.oom` and as `NAME.bpf.c`, its twin. The same source built
//! with LEAN is the twin without what the language promises beyond the choice. Everything is counted, nothing is timed, on a
//! machine whose clock counts instructions ([`oomc_vm::machine::Clock::Instructions`]), so two runs print the same numbers.
//! Before that the three programs of a policy have to decide alike in the machine, in the scenes that stand in its
//! `.oom` file as a script.
//!
//! Takes names of policies and sizes of forests; gives a table. Knows no policy by name.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

use oomc_vm::report::Report;
use oomc_vm::run::{self as machine, Tools};
use oomc_vm::script::{self, Case};

use super::figures::{Counted, Size, VARIANTS, Variant};
use super::forests::{Forest, forests};
use super::{goals, page, table, vmlinux_header};
use crate::{build, kernel, packages, say};

/// The ten, in the order of the table.
pub(super) const POLICIES: [&str; 10] = [
    "headline",
    "largest_process",
    "largest_leaf",
    "whole_workload",
    "tiers",
    "three_keys",
    "grow_then_kill",
    "quantifier",
    "stepwise",
    "until",
];

/// Another `oomc` than the one of this tree.
const OOMC: &str = "OOMC_BENCH_OOMC";

/// What to measure.
struct Order {
    policies: Vec<String>,
    variants: &'static [Variant],
    forests: Vec<Forest>,
    quick: bool,
    book: bool,
}

/// `cargo xtask bench code [NAME…] [--n N,N…] [--lean] [--book]`
///
/// # Errors
/// The sentence says which tool is missing, which step failed, or which two programs decide differently.
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let order = order(args)?;
    packages::need(&super::PACKAGES)?;
    let folder = build::scratch("bench-code");
    fs::create_dir_all(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let tools = Tools::from_environment().map_or_else(build::tools, Ok)?;
    let header = vmlinux_header(&kernel::ready()?.join("vmlinux.btf"), &folder)?;
    say("Building the policies and their twins …");
    let oomc = env::var_os(OOMC).map_or_else(|| tools.oomc.clone(), PathBuf::from);
    let files = objects(&order, &oomc, &header, &folder)?;
    say("Deciding alike, and counting …");
    let counted = count(&order, &tools, &files, &folder.join("machine"))?;
    if order.quick {
        say(&table::quick(&counted, &order.forests));
        return Ok(());
    }
    let text = format!("{}{}", table::whole(&counted, &order.forests), goals::goals(&counted));
    say(&text);
    page::keep("code", &text, order.book)
}

fn order(args: &[String]) -> Result<Order, String> {
    let mut order = Order {
        policies: Vec::new(),
        variants: &VARIANTS,
        forests: forests(None),
        quick: false,
        book: false,
    };
    let mut lean = false;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--book" => order.book = true,
            "--lean" => lean = true,
            "--n" => {
                let list = words.next().ok_or("`--n` wants numbers such as `20,200`")?;
                let numbers: Result<Vec<u32>, String> = list
                    .split(',')
                    .map(|number| number.parse().map_err(|_| format!("`{number}` is no number of cgroups")))
                    .collect();
                order.forests = forests(Some(&numbers?));
                order.quick = true;
            }
            name if POLICIES.contains(&name) => order.policies.push(name.to_owned()),
            name => return Err(format!("there is no policy `{name}`; there are: {}", POLICIES.join(", "))),
        }
    }
    if order.policies.is_empty() {
        order.policies = POLICIES.map(str::to_owned).to_vec();
    } else if !order.quick {
        order.forests = forests(Some(&[20, 200]));
        order.quick = true;
    }
    if order.quick && !lean {
        order.variants = &[Variant::Ours, Variant::Twin];
    }
    if order.book && order.quick {
        return Err("the book gets the whole table: `--book` goes with no other word".to_owned());
    }
    Ok(order)
}

/// Where the policies and twins are.
fn sources() -> PathBuf {
    build::root().join("tests/bench")
}

/// Builds all objects; each with its name in the machine.
fn objects(
    order: &Order,
    oomc: &Path,
    header: &Path,
    folder: &Path,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let clang = |source: &Path, object: &Path, lean: bool| {
        let mut command = Command::new("clang-19");
        command.args(["-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-mcpu=v3"]);
        command.args(lean.then_some("-DLEAN"));
        command.arg(format!("-I{}", header.parent().unwrap_or(folder).display()));
        command.arg("-c").arg(source).arg("-o").arg(object);
        command
    };
    let mut commands =
        vec![("relief.o".to_owned(), clang(&sources().join("relief.bpf.c"), &folder.join("relief.o"), true))];
    for policy in &order.policies {
        for &variant in order.variants {
            let name = variant.object(policy);
            let object = folder.join(&name);
            let command = match variant {
                Variant::Ours => {
                    let mut command = Command::new(oomc);
                    command.arg("build").arg(sources().join(format!("{policy}.oom"))).arg("-o").arg(object);
                    command
                }
                Variant::Twin | Variant::Lean => {
                    clang(&sources().join(format!("{policy}.bpf.c")), &object, variant == Variant::Lean)
                }
            };
            commands.push((name, command));
        }
    }
    let mut files = Vec::new();
    let newest = newest(header)?;
    for (name, mut command) in commands {
        let path = folder.join(&name);
        // Clang reads four megabytes of header for each: what is newer than all sources stays.
        if !name.ends_with(&Variant::Ours.object("")) && modified(&path).is_ok_and(|made| made > newest) {
            files.push((name, read(&path)?));
            continue;
        }
        let output = command.output().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        if !output.status.success() {
            return Err(format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
        }
        files.push((name, read(&path)?));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn modified(path: &Path) -> Result<SystemTime, String> {
    let says = |error| format!("cannot look at {}: {error}", path.display());
    fs::metadata(path).and_then(|data| data.modified()).map_err(says)
}

/// When the last of the C sources was changed.
fn newest(header: &Path) -> Result<SystemTime, String> {
    let mut newest = modified(header)?;
    let folder = sources();
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    for entry in entries.flatten().filter(|entry| entry.path().extension().is_none_or(|kind| kind != "oom")) {
        newest = newest.max(modified(&entry.path())?);
    }
    Ok(newest)
}

/// The script of a policy with one of its programs. `#>` lines are for all three, `#>=` lines are about ties and victims in
/// flight, which the lean one does not know.
fn scene(policy: &str, variant: Variant, text: &str) -> Result<Case, String> {
    let object = variant.object(policy);
    let mut script = "#! policy: none\n".to_owned();
    for line in text.lines() {
        if line.starts_with("#> release") {
            script.push_str("#> sizes\n");
        }
        let line = match line.strip_prefix("#>=") {
            Some(_) if variant == Variant::Lean => continue,
            Some(step) => format!("#>{step}"),
            None if line.starts_with("#>") => line.to_owned(),
            None => continue,
        };
        script.push_str(&line);
        script.push('\n');
    }
    script::parse(object.trim_end_matches(".o"), &script)
}

fn failure(report: &Report) -> Option<String> {
    let failure = report.failure.as_ref()?;
    Some(format!("{failure}\n{}\n{}", report.steps.join("\n"), report.log.join("\n")))
}

/// One boot: plays the script of each policy with each of its programs, where the same has to happen, and counts
/// decisions on each forest.
fn count(
    order: &Order,
    tools: &Tools,
    files: &[(String, Vec<u8>)],
    folder: &Path,
) -> Result<Vec<Counted>, String> {
    let all = || {
        order.policies.iter().flat_map(|policy| order.variants.iter().map(move |variant| (policy, *variant)))
    };
    let mut cases = Vec::new();
    for (policy, variant) in all() {
        let path = sources().join(format!("{policy}.oom"));
        let text =
            fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        cases.push(scene(policy, variant, &text)?);
    }
    let mut text = "#! policy: none\n#> cgroup /site\n#> cgroup /site/job\n".to_owned();
    for forest in &order.forests {
        for groups in [0, 5] {
            let of: Vec<_> = all().filter(|(policy, _)| groups_of(policy) == groups).collect();
            if of.is_empty() {
                continue;
            }
            text.push_str(&format!("#> {}\n", forest.step(groups)));
            for (policy, variant) in of {
                text.push_str(&format!("#> count {}\n", variant.object(policy)));
            }
        }
    }
    cases.push(script::parse("forests", &text)?);
    let mut counted: Vec<Counted> = all().map(|(policy, variant)| Counted::new(policy, variant)).collect();
    let mut failures = Vec::new();
    let largest = order.forests.iter().map(Forest::memory).max().unwrap_or_default();
    machine::run_on(super::forests::hardware(largest), tools, folder, cases, files, &mut |report| {
        if env::var_os("OOMC_BENCH_VERBOSE").is_some() {
            say(&format!("{}, {} ms\n{}", report.case, report.millis, report.steps.join("\n")));
        }
        failures.extend(failure(&report));
        failures.extend(take(&report, &order.forests, &mut counted).err());
    })?;
    if failures.is_empty() { Ok(counted) } else { Err(failures.join("\n")) }
}

/// `stepwise` needs a tree with steps.
fn groups_of(policy: &str) -> u32 {
    if policy == "stepwise" { 5 } else { 0 }
}

/// Takes what a report shows to the program that it is about.
fn take(report: &Report, forests: &[Forest], counted: &mut [Counted]) -> Result<(), String> {
    for shown in &report.shown {
        let (object, figures) = shown.split_once(": ").ok_or_else(|| format!("no figures in `{shown}`"))?;
        let of = counted
            .iter_mut()
            .find(|counted| counted.variant.object(&counted.policy) == object)
            .ok_or_else(|| format!("nobody asked about `{object}`"))?;
        let (word, events) = figures.split_once(' ').unwrap_or((figures, ""));
        match forests.iter().find(|forest| forest.word() == word) {
            None => of.size = Some(Size::read(figures)?),
            Some(forest) => of.count(forest, events)?,
        }
    }
    Ok(())
}
