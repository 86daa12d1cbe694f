//! `oomc new`: what a policy begins with is canonical, without mistakes, and tested; nothing is overwritten.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Exit code, standard output and standard error.
fn oomc(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// What is in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What was written is canonical, has no warning but that `never` binds this policy only, and passes its tests.
fn good(folder: &Path, name: &str) {
    for file in names(folder) {
        assert_eq!(oomc(folder, &["fmt", "--check", &file]), (0, String::new(), String::new()), "{name}");
    }
    let (exit, told, _) = oomc(folder, &["check", "--format=json", &format!("{name}.oom")]);
    assert_eq!(exit, 0, "{told}");
    let found = told.matches("\"code\":\"").count();
    assert_eq!(found, told.matches("\"code\":\"W0603\"").count(), "{told}");
    let (exit, told, _) = oomc(folder, &["test", &format!("{name}.oom")]);
    assert_eq!(exit, 0, "{name}: {told}");
    assert!(told.contains(" passed, 0 failed"), "{told}");
}

#[test]
fn a_first_policy_is_in_audit_mode_and_has_a_test() {
    let folder = folder("first");
    let (exit, told, _) = oomc(&folder, &["new", "my-jobs"]);
    assert_eq!(exit, 0);
    assert_eq!(
        told,
        "wrote my-jobs.oom\n\
         next: `oomc test my-jobs.oom` runs its tests, `oomc check my-jobs.oom` looks for mistakes\n"
    );
    assert_eq!(names(&folder), ["my-jobs.oom"]);
    let text = fs::read_to_string(folder.join("my-jobs.oom")).unwrap();
    assert!(text.contains("\npolicy \"my-jobs\"\n") && text.contains("\nmode audit\n"), "{text}");
    good(&folder, "my-jobs");
}

#[test]
fn every_policy_of_the_library_can_be_begun_with() {
    for policy in oomc_stdlib::FILES {
        let folder = folder(policy.name);
        let (exit, told, error) = oomc(&folder, &["new", "mine", "--from", policy.name]);
        assert_eq!((exit, error.as_str()), (0, ""));
        assert!(told.starts_with("wrote mine.oom\nwrote mine.oomt\n"), "{told}");
        let text = fs::read_to_string(folder.join("mine.oom")).unwrap();
        assert!(text.contains("\npolicy \"mine\"\n"), "{text}");
        let own = policy.text.lines().find(|line| line.starts_with("policy ")).unwrap();
        assert_eq!(text.replace("policy \"mine\"", own), policy.text);
        assert_eq!(fs::read_to_string(folder.join("mine.oomt")).unwrap(), policy.tests);
        good(&folder, "mine");
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = folder("overwritten");
    for (file, args) in [
        ("a.oom", &["new", "a"][..]),
        ("a.oom", &["new", "a", "--from", "tiers"]),
        ("b.oomt", &["new", "b"]),
        ("b.oomt", &["new", "b", "--from", "tiers"]),
    ] {
        fs::write(folder.join(file), "mine").unwrap();
        let (exit, told, error) = oomc(&folder, args);
        assert_eq!((exit, told.as_str()), (4, ""), "{args:?}");
        assert!(error.starts_with(&format!("error: {file} is there already\n")), "{error}");
        assert_eq!(fs::read_to_string(folder.join(file)).unwrap(), "mine");
    }
    // A link that leads nowhere is somebody's, too.
    std::os::unix::fs::symlink("nowhere", folder.join("c.oom")).unwrap();
    assert_eq!(oomc(&folder, &["new", "c"]).0, 4);
    assert_eq!(names(&folder), ["a.oom", "b.oomt", "c.oom"]);
}

#[test]
fn a_name_is_a_word() {
    let folder = folder("names");
    let long = "a".repeat(55);
    for name in ["", "1a", "_a", "a b", "a/b", "../a", "a.b", "ä", "a\"b", "a\nb", &long] {
        let (exit, _, error) = oomc(&folder, &["new", name]);
        assert_eq!(exit, 2, "{name:?}: {error}");
        assert!(error.contains("is no name of a policy") && error.contains("help: "), "{error}");
    }
    let (exit, _, error) = oomc(&folder, &["new", "jobs.oom"]);
    assert_eq!(exit, 2);
    assert!(error.contains("help: write `oomc new jobs`"), "{error}");
    assert_eq!(names(&folder), [""; 0]);
    let longest = "a".repeat(54);
    assert_eq!(oomc(&folder, &["new", &longest]).0, 0);
    good(&folder, &longest);
}

#[test]
fn an_unknown_policy_has_near_names() {
    let folder = folder("unknown");
    for (from, near) in [("tierz", "tiers"), ("largest-leaf", "largest_leaf"), ("young", "youngest_first")] {
        let (exit, _, error) = oomc(&folder, &["new", "mine", "--from", from]);
        assert_eq!(exit, 2, "{error}");
        assert!(error.starts_with(&format!("error: the library has no policy `{from}`\n")), "{error}");
        assert!(error.contains(&format!("did you mean `{near}`?")), "{error}");
    }
    let (exit, _, error) = oomc(&folder, &["new", "mine", "--from", "something"]);
    assert_eq!(exit, 2);
    assert!(error.contains("help: it has batch_first, busiest_owner, "), "{error}");
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn programs_are_told_what_was_written() {
    let folder = folder("json");
    let (exit, told, _) = oomc(&folder, &["--format=json", "new", "mine", "--from", "tiers"]);
    assert_eq!(exit, 0);
    assert_eq!(
        told,
        "{\"command\":\"new\",\"exit\":\"ok\",\"files\":[\"mine.oom\",\"mine.oomt\"],\"schema\":1}\n"
    );
}
