//! What other OOM killers are told, as policies: `oomc convert` on the configurations of `tests/convert`.
//!
//! Each policy is compared with the one that lies beside its configuration, has no errors, and passes its tests.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use oomc_tests::child::{fresh_folder, with_input};
use oomc_tests::{files, read, root};

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn oomc(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    command.args(args).current_dir(root().join("tests/convert")).env("COLUMNS", "400");
    with_input(&mut command, "").unwrap()
}

/// Configurations, by their names in the folder.
fn configurations() -> Vec<String> {
    let folder = root().join("tests/convert");
    let ours = ["oom", "oomt", "lost", "md"];
    let mut all: Vec<String> = files(&folder)
        .into_iter()
        .filter(|path| path.extension().is_none_or(|end| ours.iter().all(|known| end != *known)))
        .map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned())
        .collect();
    all.sort();
    all
}

/// Compares with a file, or writes it.
fn compare(path: &Path, text: &str, problems: &mut Vec<String>) {
    if std::env::var_os("OOMC_BLESS").is_some() {
        fs::write(path, text).unwrap();
    } else if fs::read_to_string(path).unwrap_or_default() != text {
        problems.push(format!("{} would be\n{text}", path.display()));
    }
}

/// The configurations with which `cargo xtask bench peers` compares, below `tests/bench/peers`; what is made of them lies in
/// `tests/convert/peers`.
const PEERS: [&str; 5] = [
    "oomd/etc/oomd/oomd.json",
    "earlyoom/etc/default/earlyoom",
    "nohang/etc/nohang/nohang.conf",
    "systemd-oomd/etc/systemd/oomd.conf.d/peers.conf",
    "systemd-oomd/etc/systemd/system/tenants.service.d/oomd.conf",
];

#[test]
fn configurations_become_policies_that_hold() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("convert");
    fresh_folder(&scratch, &[]).unwrap();
    let mut problems = Vec::new();
    for name in configurations() {
        let beside = root().join("tests/convert").join(&name).parent().unwrap().to_owned();
        holds(&name, &beside, &scratch, &mut problems);
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn what_the_peers_of_the_bench_are_told_is_read() {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
    fresh_folder(&scratch, &[]).unwrap();
    let mut problems = Vec::new();
    for name in PEERS {
        let name = format!("../bench/peers/{name}");
        holds(&name, &root().join("tests/convert/peers"), &scratch, &mut problems);
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_policy_of_the_bench_has_no_error_and_passes_its_tests() {
    let policy = "../bench/peers/oomc/etc/oomc/policies.d/peers.oom";
    let checked = oomc(&["check", policy]);
    assert!(checked.status.success(), "{}", said(&checked));
    let tested = oomc(&["test", policy]);
    assert!(tested.status.success(), "{}", said(&tested));
}

/// A configuration is converted, compared with what lies in a folder, checked and played.
fn holds(name: &str, beside: &Path, scratch: &Path, problems: &mut Vec<String>) {
    let stem = Path::new(name).file_name().unwrap().to_str().unwrap().replace('.', "-");
    let made = scratch.join(format!("{stem}.oom"));
    let from = if stem.ends_with("-args") { vec!["--from", "earlyoom"] } else { Vec::new() };
    let output = oomc(&[&["convert", name, "-q", "-o", made.to_str().unwrap()], from.as_slice()].concat());
    if !output.status.success() {
        problems.push(format!("{name}: {}", said(&output)));
        return;
    }
    let told = oomc(&[&["convert", name], from.as_slice()].concat());
    compare(&beside.join(format!("{stem}.oom")), &read(&made), problems);
    compare(&beside.join(format!("{stem}.oomt")), &read(&made.with_extension("oomt")), problems);
    compare(&beside.join(format!("{stem}.lost")), &String::from_utf8(told.stderr).unwrap(), problems);
    let checked = oomc(&["check", made.to_str().unwrap()]);
    // That the kernel's own killer knows no `never` is told of each policy that has one.
    if !checked.status.success() || said(&checked).replace("warning[W0603]", "").contains("warning[") {
        problems.push(format!("{name}: {}", said(&checked)));
    }
    let tested = oomc(&["test", made.to_str().unwrap()]);
    if !tested.status.success() {
        problems.push(format!("{name}: {}", said(&tested)));
    }
}

/// Each line of a policy's list of losses is a warning, and the other way round.
#[test]
fn what_is_lost_is_a_comment_and_a_warning() {
    for name in ["oomd-odd.json", "nohang.conf"] {
        let output = oomc(&["convert", name]);
        let policy = String::from_utf8(output.stdout).unwrap();
        let warnings = String::from_utf8(output.stderr).unwrap();
        let told = warnings.lines().filter(|line| line.starts_with("warning: ")).count();
        let comments = policy.lines().filter(|line| line.starts_with("# * ")).count();
        assert!(told > 3, "{warnings}");
        assert_eq!(told, comments, "{policy}\n{warnings}");
    }
}

#[test]
fn what_is_no_configuration_is_refused() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    let files = [
        ("a.txt", "hello"),
        ("bad.json", "{ \"rulesets\": [ "),
        ("bad.oomrule", "[Rule]\nAction=kill-nobody\n"),
        ("args", "-m many"),
        ("protected", "EARLYOOM_ARGS=\"--ignore '^[a-z]+d$'\""),
    ];
    fresh_folder(&folder, &files).unwrap();
    let refused = |name: &str, from: &[&str]| {
        let file = folder.join(name);
        let output = oomc(&[&["convert", file.to_str().unwrap()], from].concat());
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit, why) = refused("a.txt", &[]);
    assert!(exit == 2 && why.contains("--from"), "{exit} {why}");
    for (name, from, words) in [
        ("bad.json", &[][..], "no JSON"),
        ("bad.oomrule", &[], "line 2: `Action` cannot be `kill-nobody`"),
        ("args", &["--from", "earlyoom"], "`many` is no minimum"),
        ("protected", &[], "protects processes"),
    ] {
        let (exit, why) = refused(name, from);
        assert!(exit == 1 && why.contains(words), "{name}: {exit} {why}");
    }
}
