//! What is printed for programs holds to its schema: JSON to the book's, SARIF to that of OASIS, JUnit's format to what
//! services that run tests demand.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use oomc_tests::{read, root};
use serde_json::Value;

const GOOD: &str = "kill largest process in subtree where footprint > 64MiB reason \"{comm} is too large\"\n";
const BAD: &str =
    "kill largest process in subtree where späte > 1 and footprint > 4096\nraise_limit 10% up\n";
const UNBOUNDED: &str = "raise_limit 10%\n";
const TESTS: &str = r#"test "passes" {
    given { "/job" { limit 1GiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect kill process "/job#100"
}
test "fails <&'>" {
    given { "/job" { limit 1GiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect wait
}
test "cannot be" {
    given { "/job" { limit 1GiB anon 5MiB } "/job#100" { comm "worker" rss 300MiB } }
    on oom in "/job"
    expect wait
}
"#;
const SNAPSHOT: &str = r#"{ "schema": 1, "top": "/", "memory": 8589934592, "now": 1000000000000,
  "cgroups": [
    { "path": "/", "id": 1, "owner": 0, "mode": 493, "controller": true },
    { "path": "/job", "parent": "/", "id": 2, "owner": 0, "mode": 493, "controller": true, "current": 314572800, "max": 1073741824 }
  ],
  "processes": [
    { "pid": 100, "cgroup": "/job", "comm": "worker", "uid": 0, "oom_score_adj": 0, "anon": 314572800, "file": 0,
      "shmem": 0, "swap": 0, "page_tables": 0, "threads": 1, "start": 1000000000 }
  ] }
"#;

/// A folder with policies, tests and a snapshot.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("json").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let files = [
        ("good.oom", GOOD),
        ("good.oomt", TESTS),
        ("bad.oom", BAD),
        ("odd \u{1b}%é.oom", BAD),
        ("warn.oom", UNBOUNDED),
        ("s.json", SNAPSHOT),
        ("loose.oom", "kill   largest in subtree"),
        ("earlyoom", "EARLYOOM_ARGS=\"-m 5 -r 60\"\n"),
    ];
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    fs::write(folder.join("bytes.oom"), b"kill \xff").unwrap();
    folder
}

/// What the program prints on standard output.
fn oomc(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let output = command.args(args).current_dir(folder).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// What is wrong with a document, by its schema.
fn wrong(validator: &jsonschema::Validator, document: &Value) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn schema() -> Value {
    serde_json::from_str(&read(&root().join("book/src/json/oomc.schema.json"))).unwrap()
}

/// The part of the schema that is about one command: errors against it are easier to read than against all.
fn of(command: &str) -> jsonschema::Validator {
    let mut all = schema();
    let parts = all.as_object_mut().unwrap();
    parts.remove("anyOf");
    parts.insert("$ref".to_owned(), format!("#/$defs/{command}").into());
    jsonschema::validator_for(&all).unwrap()
}

#[test]
fn every_document_names_its_command_and_holds_to_the_schema() {
    let folder = folder("all");
    let whole = jsonschema::validator_for(&schema()).unwrap();
    let mut problems = Vec::new();
    for line in [
        "check good.oom",
        "check good.oomt bad.oom warn.oom missing.oom bytes.oom",
        "check --verify good.oom",
        "fmt --check loose.oom good.oom bytes.oom missing.oom",
        "fmt -",
        "fix --diff loose.oom bad.oom missing.oom",
        "fix -",
        "build good.oom -o good.o",
        "build bad.oom",
        "build good.oom --emit plan",
        "build bad.oom --emit hir",
        "new fresh",
        "new fresh",
        "convert --from earlyoom earlyoom",
        "convert good.oom",
        "test good.oom bad.oom --coverage --shuffle=1",
        "test warn.oom",
        "test good.oom --coverage=100",
        "sim good.oom --snapshot s.json --oom /job --times 3",
        "sim good.oom --snapshot s.json",
        "sim bad.oom --snapshot s.json",
        "sim good.oom --snapshot good.oom",
        "diff good.oom warn.oom --snapshot s.json",
        "diff good.oom bad.oom --snapshot s.json",
        "explain",
        "explain E0302",
        "explain E9999",
        "fields",
        "fields swap",
        "fields nothing-like-this",
        "completions zsh",
        "play missing.oom",
        "play --snapshot good.oom",
        "metrics --textfile none/oomc.prom",
        "man",
        "man pages",
        "plan good.oom --system",
        "plan bad.oom --system",
        "plan good.oom --cgroup /oomc-tests/none",
        "snapshot -o live.json",
        "snapshot -o none/live.json",
        "inspect good.o",
        "inspect good.oom",
        "doctor",
        "doctor --root . --btf good.oom",
        "load good.oom --cgroup /oomc-tests/none",
        "load missing.oom --system",
        "load good.oom --cgroup /oomc-tests/none --replace",
        "rollback --cgroup /oomc-tests/none",
        "run --all --policies none",
        "run bad.oom --cgroup /oomc-tests/none",
        "run good.oom --cgroup /oomc-tests/none",
        "unload --cgroup /oomc-tests/none",
        "status --cgroup /oomc-tests/none",
        "show --cgroup /oomc-tests/none",
        "tidy",
        "set --cgroup /oomc-tests/none step=3",
        "mode --cgroup /oomc-tests/none audit",
        "label /oomc-tests/none tier=3",
        "events --cgroup /oomc-tests/none",
        "why --cgroup /oomc-tests/none",
        "build",
        "fmt --format=sarif good.oom",
        "frobnicate",
    ] {
        let mut args = vec!["--format", "json"];
        args.extend(line.split(' '));
        if line.contains("--format=") {
            args.drain(..2);
            args.push("--format=json");
            args.retain(|word| *word != "--format=sarif");
            args.push("--no-such-flag");
        }
        let told = oomc(&folder, &args);
        let documents: Vec<&str> = told.lines().collect();
        let [document] = documents.as_slice() else {
            problems.push(format!("{line}: {} documents: {told}", documents.len()));
            continue;
        };
        let document: Value = serde_json::from_str(document).unwrap();
        let word = line.split(' ').next().unwrap();
        let command = document["command"].as_str();
        if command != Some(word) && word != "frobnicate" {
            problems.push(format!("{line}: its command is {command:?}"));
        }
        let failed = document.get("error").is_some();
        let part = of(if failed { "failure" } else { word });
        let wrong = [wrong(&part, &document), wrong(&whole, &document)].concat();
        problems.extend(wrong.into_iter().map(|one| format!("{line}: {one}\n    {document}")));
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn the_schema_refuses_what_is_not_printed() {
    let whole = jsonschema::validator_for(&schema()).unwrap();
    let good: Value =
        serde_json::from_str(&oomc(&folder("refused"), &["--format", "json", "check", "bad.oom"])).unwrap();
    assert!(whole.is_valid(&good), "{:?}", wrong(&whole, &good));
    for (pointer, value) in [
        ("/schema", Value::from(2)),
        ("/command", "chek".into()),
        ("/exit", 1.into()),
        ("/diagnostics/0/code", "E1".into()),
        ("/diagnostics/0/labels/0/column", "3".into()),
        ("/unreadable", Value::Null),
    ] {
        let mut other = good.clone();
        *other.pointer_mut(pointer).unwrap() = value;
        assert!(!whole.is_valid(&other), "{pointer}");
    }
}

/// A command that goes on after it has printed its document.
#[test]
fn the_playground_says_where_it_is() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let command = command.args(["--format", "json", "play"]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut document = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut document).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(wrong(&of("play"), &document), [""; 0]);
    assert!(document["address"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{document}");
}

/// Every command of `--help` has its part in the schema.
#[test]
fn every_command_has_a_schema() {
    let help = oomc(&folder("commands"), &["--help"]);
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let schema = schema();
    let commands = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty());
    // The language server speaks its own protocol, and help is text.
    for command in commands.filter(|word| !["lsp", "help"].contains(word)) {
        assert!(schema["$defs"].get(command).is_some(), "book/src/json/oomc.schema.json has no `{command}`");
    }
}

/// The schema of SARIF 2.1.0, as the crate that reads SARIF has it.
fn sarif_schema() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    // Packages for other platforms were never fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let args = ["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", &platform];
    let output = Command::new(cargo).args(args).current_dir(root()).output().unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata.get("packages").and_then(Value::as_array).expect("packages");
    let package = packages.iter().find(|package| package["name"] == "serde-sarif").unwrap();
    let manifest = Path::new(package["manifest_path"].as_str().unwrap());
    let mut schema =
        serde_json::from_str(&read(&manifest.with_file_name("src").join("schema.json"))).unwrap();
    without_a_broken_pattern(&mut schema);
    schema
}

/// The published schema has one pattern, for languages, whose `]` nothing opens: a strict reader of regular expressions
/// refuses it. Nothing that oomc prints has a language.
fn without_a_broken_pattern(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.retain(|name, value| {
                name != "pattern" || !value.as_str().is_some_and(|pattern| pattern.ends_with("{2}]?$"))
            });
            members.values_mut().for_each(without_a_broken_pattern);
        }
        Value::Array(items) => items.iter_mut().for_each(without_a_broken_pattern),
        _ => {}
    }
}

#[test]
fn sarif_holds_to_its_schema() {
    let folder = folder("sarif");
    let validator = jsonschema::validator_for(&sarif_schema()).unwrap();
    for files in [
        ["good.oom"].as_slice(),
        &["bad.oom", "warn.oom", "good.oomt", "odd \u{1b}%é.oom", "missing.oom", "bytes.oom"],
        &["missing.oom"],
    ] {
        let told = oomc(&folder, &[["check", "--format", "sarif"].as_slice(), files].concat());
        let document: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(wrong(&validator, &document), Vec::<String>::new(), "{files:?}: {told}");
        // What it does not know, a reader by types drops: nothing may be lost.
        let read: serde_sarif::sarif::Sarif = serde_json::from_value(document.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), document, "{files:?}");
        let run = &document["runs"][0];
        assert_eq!(run["invocations"][0]["executionSuccessful"], !files.contains(&"missing.oom"));
        for result in run["results"].as_array().unwrap() {
            let rule = &run["tool"]["driver"]["rules"][result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"]);
        }
    }
    let told = oomc(&folder, &["check", "--format", "sarif", "odd \u{1b}%é.oom"]);
    assert!(told.contains("odd%20%1B%25%C3%A9.oom"), "{told}");
}

#[test]
fn junits_format_holds_to_what_services_demand() {
    let folder = folder("junit");
    let schema = root().join("tests/schemas/junit.xsd");
    let told = oomc(&folder, &["test", "good.oom", "bad.oom", "odd \u{1b}%é.oom", "--junit", "out.xml"]);
    let xml = fs::read_to_string(folder.join("out.xml")).unwrap();
    let output = Command::new("xmllint")
        .args(["--noout", "--schema"])
        .arg(schema)
        .arg("out.xml")
        .current_dir(&folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("`xmllint` of the package libxml2-utils: {error}"));
    assert!(output.status.success(), "{}{xml}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 passed, 2 failed"), "{told}");
    assert!(xml.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{xml}");
    assert!(xml.contains("<testcase name=\"fails &lt;&amp;"), "{xml}");
    // A policy that does not compile is an error, with its place and its help.
    assert!(xml.contains("<testsuite name=\"bad.oom\" tests=\"1\" failures=\"0\" errors=\"1\""), "{xml}");
    assert!(xml.contains("<error type=\"E") && xml.contains("bad.oom:1:"), "{xml}");
}
