//! `oomc test`: what an operator or a check of a change sees of tests that pass, fail, or cannot be.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::child::fresh_folder;

/// A folder of its own for each test, with files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("testing").join(name);
    fresh_folder(&folder, files).unwrap();
    folder
}

/// Exit code, standard output and standard error.
fn oomc(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

const POLICY: &str = r#"state grown: counter per cgroup
rule "grow": if grown < 1 then {
    raise_limit 25% up to parent.limit
    count grown
}
rule "kill": kill largest process in subtree where footprint > 64MiB reason "{comm} is too large"
"#;

const GROWS: &str = r#"test "grows once, then the worker goes" {
    given {
        "/job" { limit 1GiB }
        "/job#100" { comm "worker" rss 300MiB age 5m }
        "/job/small#101" { comm "shell" rss 10MiB }
    }
    on oom in "/job"
    expect raise_limit "/job" to 1280MiB by rule "grow"
    after 10s
    on oom in "/job"
    expect kill process "/job#100" by rule "kill"
    expect reason "worker is too large"
    expect freed 300MiB
    on oom in "/job"
    expect wait
    after 10s
    on oom in "/job"
    expect defer
}
"#;

#[test]
fn tests_in_the_policy_and_beside_it_pass() {
    let folder = folder(
        "pass",
        &[("a.oom", &format!("{POLICY}{GROWS}")), ("b.oom", POLICY), ("b.oomt", GROWS), ("in/c.oom", POLICY)],
    );
    let (exit, told, said) = oomc(&folder, &["test", "-v"]);
    assert_eq!((exit, said.as_str()), (0, ""));
    assert!(told.contains("ok     a.oom:7 grows once, then the worker goes\n"), "{told}");
    assert!(told.contains("ok     b.oomt:1 grows once, then the worker goes\n"), "{told}");
    assert!(told.contains("2 passed, 0 failed, in "), "{told}");
    assert_eq!(oomc(&folder, &["check", "b.oomt"]).1, "b.oomt: ok\n");
    assert_eq!(oomc(&folder, &["fmt", "b.oomt"]).0, 0);
    // A file of tests stands for its policy.
    let (exit, told, _) = oomc(&folder, &["test", "b.oomt"]);
    assert!(exit == 0 && told.starts_with("1 passed, 0 failed"), "{told}");
}

#[test]
fn a_failure_shows_what_was_expected_and_why_it_came_otherwise() {
    let test = r#"test "the shell goes" {
    given {
        "/job" { limit 1GiB grown 1 }
        "/job#100" { comm "worker" rss 300MiB age 5m }
        "/job/small#101" { comm "shell" rss 100MiB }
    }
    on oom in "/job" { trigger "/job/small#101" }
    expect kill process "/job/small#101" by rule "kill"
}
"#;
    let folder = folder("fail", &[("a.oom", POLICY), ("a.oomt", test)]);
    let (exit, told, _) = oomc(&folder, &["test"]);
    let expected = r#"FAILED a.oomt:1 the shell goes
    line 8: expected kill process "/job/small#101" by rule "kill"
               found kill process "/job#100"
    #1 /job: killed worker (100), about 300MiB, by rule "kill", reason "worker is too large"
        1. worker (100)  footprint 300MiB
        2. shell (101)  footprint 100MiB
        rule "grow": its condition was not true
        rule "kill": made progress
        memory was wanted by shell (101)
0 passed, 1 failed, in "#;
    assert!(exit == 1 && told.starts_with(expected), "{told}");
    let (exit, told, _) = oomc(&folder, &["test", "--format", "github"]);
    let line = "::error file=a.oomt,line=8,title=the shell goes::expected kill process \"/job/small#101\" by \
                rule \"kill\", found kill process \"/job#100\"\n";
    assert!(exit == 1 && told.contains(line), "{told}");
    let (exit, told, _) = oomc(&folder, &["--format", "json", "test"]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((exit, json["exit"].as_str(), json["failed"].as_u64()), (1, Some("errors"), Some(1)));
    let test = &json["tests"][0];
    assert_eq!((test["file"].as_str(), test["line"].as_u64()), (Some("a.oomt"), Some(1)));
    assert_eq!(test["decisions"][0]["record"]["candidates"][1]["name"], "shell");
    assert_eq!(test["decisions"][0]["killed"][0], "/job#100");
}

#[test]
fn each_expectation_can_fail() {
    let scene = r#"
    given {
        "/job" { limit 1GiB }
        "/job/a#100" { comm "worker" rss 300MiB }
        "/job/b#101" { comm "shell" rss 100MiB }
    }
    on oom in "/job""#;
    let kill = "kill largest process in subtree reason \"too large\"\n";
    for (policy, wrong, found) in [
        (kill, "kill nobody", "kill process \"/job/a#100\""),
        (kill, "kill cgroup \"/job/a\"", "kill process \"/job/a#100\""),
        (kill, "raise_limit \"/job\" to 2GiB", "kill process \"/job/a#100\""),
        (kill, "defer", "kill process \"/job/a#100\""),
        (kill, "wait", "kill process \"/job/a#100\""),
        (kill, "reason \"too small\"", "reason \"too large\""),
        (kill, "notify \"hello\"", "no notify"),
        (kill, "freed 1MiB", "freed 300MiB"),
        (kill, "candidates \"/job/b#101\"", "candidates \"/job/a#100\", \"/job/b#101\""),
        (
            kill,
            "kill process \"/job/a#100\" by rule \"line 2\"",
            "kill process \"/job/a#100\" by rule \"line 1\"",
        ),
        ("kill largest cgroup in subtree\n", "kill process \"/job/b#101\"", "kill cgroup \"/job/a\""),
        ("raise_limit 25% up to 2GiB\n", "raise_limit \"/job\" to 2GiB", "raise_limit \"/job\" to 1280MiB"),
        ("raise_limit 25% up to 2GiB\n", "kill process \"/job/b#101\"", "raise_limit \"/job\" to 1280MiB"),
        ("default defer\n", "kill process \"/job/b#101\"", "defer"),
        ("mode audit\nkill largest cgroup in subtree\n", "kill cgroup \"/job/b\"", "kill cgroup \"/job/a\""),
    ] {
        let policy = format!("{policy}rule \"line 2\": wait\ntest \"t\" {{{scene}\n    expect {wrong}\n}}\n");
        let policy = policy.replace(
            "rule \"line 2\": wait\n",
            if wrong.contains("line 2") { "rule \"line 2\": wait\n" } else { "" },
        );
        let folder = folder("each", &[("a.oom", &policy)]);
        let (exit, told, said) = oomc(&folder, &["test"]);
        assert!(exit == 1 && told.contains(&format!("found {found}\n")), "{policy}{told}{said}");
    }
}

#[test]
fn no_test_is_a_failure() {
    let folder = folder("none", &[("a.oom", POLICY)]);
    let (exit, _, said) = oomc(&folder, &["test"]);
    assert!(exit == 1 && said.starts_with("error: no test ran: there is no test\n"), "{said}");
    fs::write(folder.join("a.oomt"), GROWS).unwrap();
    let (exit, _, said) = oomc(&folder, &["test", "--run", "^shrinks"]);
    assert!(exit == 1 && said.starts_with("error: no test ran: no test has a name that matches\n"), "{said}");
    assert_eq!(oomc(&folder, &["test", "--run", "^grows (once|twice)"]).0, 0);
    assert_eq!(oomc(&folder, &["test", "--run", "("]).0, 2);
    assert_eq!(oomc(&folder, &["test", "missing.oom"]).0, 4);
    fs::write(folder.join("alone.oomt"), GROWS).unwrap();
    let (exit, _, said) = oomc(&folder, &["test", "alone.oomt"]);
    let expected =
        "error: alone.oomt holds tests of a policy that is not there\nhelp: they belong to alone.oom\n";
    assert_eq!((exit, said.as_str()), (4, expected));
}

#[test]
fn what_is_wrong_with_a_test_is_told_at_its_line() {
    let folder = folder("wrong", &[("a.oom", POLICY), ("a.oomt", "rule \"x\": wait\n")]);
    let (exit, _, said) = oomc(&folder, &["test"]);
    assert!(exit == 1 && said.contains("a file of tests holds nothing but `test` blocks"), "{said}");
    let (exit, told, said) = oomc(&folder, &["check", "a.oomt"]);
    assert!(
        exit == 1 && told == "a.oomt: 1 error\n" && said.contains("belongs to the policy"),
        "{told}{said}"
    );
    let test = GROWS.replace("limit 1GiB", "limit 1GiB anon 5MiB");
    fs::write(folder.join("a.oomt"), test).unwrap();
    let (exit, told, _) = oomc(&folder, &["test"]);
    let line = "line 3: `/job`: `anon` is 5MiB, but what is in it has 310MiB\n";
    assert!(exit == 1 && told.contains(line), "{told}");
    let (exit, _, _) = oomc(&folder, &["--format", "github", "status"]);
    assert_eq!(exit, 2);
}

#[test]
fn coverage_names_what_no_test_reaches() {
    let folder = folder("coverage", &[("a.oom", &format!("{POLICY}{GROWS}"))]);
    let (exit, told, _) = oomc(&folder, &["test", "--coverage=100%"]);
    assert!(exit == 0 && told.contains("a.oom: rules 2/2, branches "), "{told}");
    let policy = POLICY.replace("reason", "until freed 1GiB at most 2 reason");
    let policy = format!("{policy}rule \"last\": if oom.scope == \"system\" then wait or defer\n");
    let test = r#"test "the worker goes" {
    given { "/job" { limit 1GiB grown 1 } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect kill process "/job#100"
}
"#;
    fs::write(folder.join("a.oom"), policy + test).unwrap();
    let (exit, told, said) = oomc(&folder, &["test", "--coverage=90"]);
    assert_eq!(exit, 1, "{told}");
    for line in [
        "    line 2: `then` of `grown < 1` is never taken\n",
        "    line 2: never true: `grown < 1`\n",
        "    line 3: never tried: `raise_limit 25% up to parent.limit`\n",
        "    line 6: never anything but true: `footprint > 64MiB`\n",
        "    line 7: never tried: `defer`\n",
    ] {
        assert!(told.contains(line), "{line}{told}");
    }
    assert!(said.contains("less than 90 %"), "{said}");
    let (exit, told, _) = oomc(&folder, &["--format", "json", "test", "--coverage=90"]);
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((exit, json["exit"].as_str()), (1, Some("errors")), "one document, not two");
    assert_eq!(oomc(&folder, &["test", "--coverage"]).0, 0, "without a number it only tells");
    assert_eq!(oomc(&folder, &["test", "--coverage=101"]).0, 2);
}

#[test]
fn of_what_was_never_asked_coverage_says_just_that() {
    let policy = r#"rule "first": if oom.scope == "memcg" then wait else kill largest in subtree where rss > 1GiB
rule "second": if cgroup.usage > 1GiB then defer
test "deferred" {
    given { "/job" { limit 1GiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect defer
}
"#;
    let policy = policy.replace("then wait else", "then defer else");
    let folder = folder("unasked", &[("a.oom", &policy)]);
    let (exit, told, _) = oomc(&folder, &["test", "--coverage"]);
    assert_eq!(exit, 0, "{told}");
    assert_eq!(told.matches("    line 1: never asked: `rss > 1GiB`\n").count(), 1, "{told}");
    assert_eq!(told.matches("    line 2: never asked: `cgroup.usage > 1GiB`\n").count(), 1, "{told}");
    assert!(!told.contains("true: `rss > 1GiB`") && !told.contains("true: `cgroup.usage"), "{told}");
    assert!(told.contains("never anything but true: `oom.scope == \"memcg\"`"), "{told}");
}

#[test]
fn the_order_does_not_matter() {
    let folder = folder("order", &[("a.oom", &format!("{POLICY}{GROWS}"))]);
    for seed in 0..20 {
        let (exit, told, _) = oomc(&folder, &["test", &format!("--shuffle={seed}")]);
        assert!(
            exit == 0 && told.starts_with(&format!("shuffled; the same order again: --shuffle={seed}\n")),
            "{told}"
        );
    }
    assert_eq!(oomc(&folder, &["test", "--shuffle"]).0, 0);
}

#[test]
fn results_in_junits_format() {
    let failing =
        GROWS.replace("expect defer", "expect wait").replace("grows once", "grows <once> & \"fails\"");
    let failing = failing.replace("\\\"", "'").replace("\"fails\"", "fails");
    let folder = folder("junit", &[("a.oom", &format!("{POLICY}{GROWS}{failing}"))]);
    let (exit, _, _) = oomc(&folder, &["test", "--junit", "out.xml"]);
    assert_eq!(exit, 1);
    let xml = fs::read_to_string(folder.join("out.xml")).unwrap();
    assert!(xml.contains("<testsuite name=\"a.oom\" tests=\"2\""), "{xml}");
    assert!(xml.contains("failures=\"1\""), "{xml}");
    let (_, told, _) = oomc(&folder, &["test", "--junit", "-"]);
    assert!(told.starts_with("<?xml ") && told.ends_with("</testsuites>\n"), "{told}");
    assert!(xml.contains("name=\"grows &lt;once&gt; &amp; fails, then the worker goes\""), "{xml}");
    assert!(xml.contains("expected wait, found defer"), "{xml}");
}

#[test]
fn the_library_and_the_examples_are_covered_in_full() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (exit, told, _) = oomc(&root, &["test", "--coverage=100%", "stdlib/policies", "examples"]);
    assert_eq!(exit, 0, "{told}");
    assert!(told.contains(" 0 failed") && told.contains("stdlib/policies/tiers.oom: "), "{told}");
}

#[test]
fn the_failure_in_the_book_is_a_real_one() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/language/tests.md");
    let page = fs::read_to_string(page).unwrap();
    let shown = page.split("<!-- shown: failure -->\n").nth(1).unwrap();
    let block =
        |kind: &str| shown.split(&format!("```{kind}\n")).nth(1).unwrap().split("```").next().unwrap();
    let (command, output) = block("text").split_once('\n').unwrap();
    let folder = folder("book", &[("young.oom", block("oom"))]);
    let args: Vec<&str> = command.strip_prefix("$ oomc ").unwrap().split(' ').collect();
    let (exit, told, _) = oomc(&folder, &args);
    assert_eq!(exit, 1);
    // How long it took is another time each time.
    let timeless = |text: &str| {
        let line = |line: &str| match line.find(" failed, in ") {
            Some(at) => line[..at].to_owned(),
            None => line.to_owned(),
        };
        text.lines().map(line).collect::<Vec<String>>()
    };
    assert_eq!(timeless(&told), timeless(output));
}
