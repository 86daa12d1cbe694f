//! Policies made of what people report of OOM kills, in `tests/cases/reports`: each compiles, passes its tests, and does
//! on its snapshot what is written beside it.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::{files, read, root, short};

/// Exit code and both outputs.
fn oomc(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The files of the folder with this ending.
fn cases(ending: &str) -> Vec<PathBuf> {
    let all = files(&root().join("tests/cases/reports")).into_iter();
    all.filter(|path| name(path).ends_with(ending)).collect()
}

#[test]
fn each_compiles_and_passes_its_tests() {
    let folder = root().join("tests/cases/reports");
    let policies = cases(".oom");
    assert!(policies.len() >= 17, "only {} policies", policies.len());
    let mut problems = Vec::new();
    for path in policies {
        let file = name(&path);
        let (exit, told) = oomc(&folder, &["check", "-q", &file]);
        if exit != 0 {
            problems.push(format!("{}: {told}", short(&path)));
            continue;
        }
        let beside = path.with_extension("oomt").exists();
        if beside || read(&path).contains("\ntest \"") {
            let (exit, told) = oomc(&folder, &["test", "-q", &file]);
            if exit != 0 {
                problems.push(format!("{}: {told}", short(&path)));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn on_its_snapshot_each_does_what_is_written_beside_it() {
    let folder = root().join("tests/cases/reports");
    let snapshots = cases(".json");
    assert!(!snapshots.is_empty(), "no snapshot was found");
    for path in snapshots {
        let (policy, golden) = (path.with_extension("oom"), path.with_extension("sim"));
        let (exit, told) = oomc(&folder, &["sim", "-q", &name(&policy), "--snapshot", &name(&path)]);
        assert_eq!(exit, 0, "{}: {told}", short(&path));
        if std::env::var_os("OOMC_BLESS").is_some() {
            fs::write(&golden, &told).unwrap();
        }
        assert_eq!(
            told,
            fs::read_to_string(&golden).unwrap_or_default(),
            "{}; OOMC_BLESS=1 rewrites it",
            short(&golden)
        );
    }
}
