//! `oomc fix` as it is called: what becomes of files, and of standard input.
#![expect(clippy::unwrap_used, reason = "a program that cannot be run has failed")]

use std::path::PathBuf;
use std::process::{Command, Output};
use std::{env, fs};

use oomc_tests::child::with_input;
use serde_json::Value;

const BROKEN: &str =
    "kill largest in subtree where rss > 512M and comm = \"a\"\nkill largest in subtree where age < 30\n";
const CERTAIN: &str =
    "kill largest in subtree where rss > 512MiB and comm == \"a\"\nkill largest in subtree where age < 30\n";
const ALL: &str =
    "kill largest in subtree where rss > 512MiB and comm == \"a\"\nkill largest in subtree where age < 30s\n";

fn file(name: &str, text: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("fix");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn fix(args: &[&str], input: &str) -> Output {
    with_input(Command::new(env!("CARGO_BIN_EXE_oomc")).arg("fix").args(args), input).unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn certain_repairs_are_made_and_all_on_demand() {
    let path = file("some.oom", BROKEN);
    let name = path.to_str().unwrap();
    let output = fix(&[name], "");
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert_eq!(stdout(&output), format!("{name}: 2 repairs, 1 error is left\n"));
    assert_eq!(fs::read_to_string(&path).unwrap(), CERTAIN);
    let output = fix(&["--unsafe", name], "");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stdout(&output), format!("{name}: 1 repair\n"));
    assert_eq!(fs::read_to_string(&path).unwrap(), ALL);
    let output = fix(&["--unsafe", name], "");
    assert_eq!(stdout(&output), format!("{name}: nothing to repair\n"));
}

#[test]
fn a_diff_changes_nothing() {
    let path = file("diff.oom", BROKEN);
    let output = fix(&["--diff", path.to_str().unwrap()], "");
    let shown = stdout(&output);
    assert!(shown.contains("-kill largest in subtree where rss > 512M and comm = \"a\"\n"), "{shown}");
    assert!(shown.contains("+kill largest in subtree where rss > 512MiB and comm == \"a\"\n"), "{shown}");
    assert!(shown.contains(" kill largest in subtree where age < 30\n"), "{shown}");
    assert_eq!(fs::read_to_string(&path).unwrap(), BROKEN);
}

#[test]
fn standard_input_goes_to_standard_output() {
    let output = fix(&["-"], BROKEN);
    assert_eq!(stdout(&output), CERTAIN);
    let output = fix(&["--format", "json", "--unsafe", "-"], BROKEN);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["files"][0]["text"], ALL, "{json}");
    assert_eq!(json["files"][0]["made"].as_array().unwrap().len(), 3, "{json}");
    assert_eq!((&json["command"], &json["exit"]), (&Value::from("fix"), &Value::from("ok")));
}

#[test]
fn one_unreadable_file_does_not_keep_the_others() {
    let path = file("good.oom", "kill largest in subtree where rss > 512M\n");
    let output = fix(&["/nonexistent.oom", path.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(4));
    assert_eq!(fs::read_to_string(&path).unwrap(), "kill largest in subtree where rss > 512MiB\n");
}
