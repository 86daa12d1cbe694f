//! The playground, asked without a browser: who may ask, what is refused, and that its answers are those of `sim`,
//! `check` and `test`.
#![expect(clippy::unwrap_used, reason = "a test whose server cannot be started has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use oomc_tests::http::{request, send};
use oomc_tests::playground::Playground;
use oomc_tests::{child, markup};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const OOMC: &str = env!("CARGO_BIN_EXE_oomc");

fn start() -> Playground {
    Playground::new(OOMC, &[]).unwrap()
}

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("play").join(name);
    child::fresh_folder(&folder, files).unwrap();
    folder
}

fn oomc(folder: &Path, args: &[&str]) -> Output {
    Command::new(OOMC).args(args).current_dir(folder).output().unwrap()
}

fn told(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_slice(&oomc(folder, args).stdout).unwrap()
}

#[test]
fn only_the_page_may_ask_and_only_on_this_machine() {
    let play = start();
    assert!(play.server.starts_with("127.0.0.1:"));
    assert_eq!(play.path.len(), 2 + 48, "a token of 24 random bytes");
    let ask = |path: &str, host: &str| {
        send(&play.server, request("GET", path, &[("Host", host)], "").as_bytes()).unwrap().status
    };
    let port = play.server.rsplit(':').next().unwrap();
    assert_eq!(ask(&play.path, &play.server), 200);
    for path in ["/", "/begin", "/page.js", &format!("/{}/", "0".repeat(48)), &play.path[..49]] {
        assert_eq!(ask(path, &play.server), 403, "{path}");
    }
    for host in ["localhost", "evil.example", &format!("localhost:{port}"), &format!("evil.example:{port}")] {
        assert_eq!(ask(&play.path, host), 421, "{host}");
    }
    let check = json!({ "policy": "kill largest in subtree" }).to_string();
    let status = |other: &[(&str, &str)]| play.post_as("check", &check, other).unwrap().status;
    assert_eq!(status(&[]), 200);
    assert_eq!(status(&[("Origin", "http://evil.example")]), 403);
    assert_eq!(status(&[("Origin", "null")]), 403);
    assert_eq!(status(&[("Origin", "")]), 403);
    assert_eq!(status(&[("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(status(&[("Host", "evil.example")]), 421);
    // What a form of another page could send without being asked.
    assert_eq!(status(&[("Content-Type", "text/plain")]), 415);
    assert_eq!(play.get("../etc/passwd").unwrap().status, 404);
    let put = request("PUT", &play.path, &[("Host", &play.server)], "");
    assert_eq!(send(&play.server, put.as_bytes()).unwrap().status, 405);
}

#[test]
fn the_page_may_do_nothing_but_what_it_does() {
    let play = start();
    for part in ["", "page.css", "picture.css", "page.js", "editor.js", "icon.svg", "begin", "nowhere"] {
        let answer = play.get(part).unwrap();
        let policy = answer.field("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.field("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.field("access-control-allow-origin"), None);
    }
}

#[test]
fn what_is_too_large_is_refused_with_a_sentence() {
    let play = start();
    let large = json!({ "policy": "#".repeat(5 << 20) });
    assert_eq!(play.post_as("check", &large.to_string(), &[]).unwrap().status, 413);
    let long = play.ask("check", &json!({ "policy": "#".repeat(300 << 10) })).unwrap();
    assert!(long["error"].as_str().unwrap().contains("at most 256 KiB"), "{long}");
    let head = request("GET", &play.path, &[("Host", &play.server), ("X", &"x".repeat(9 << 10))], "");
    assert_eq!(send(&play.server, head.as_bytes()).unwrap().status, 431);
    assert_eq!(send(&play.server, b"\x16\x03\x01\x00\xa5\x01").unwrap().status, 400);
    assert_eq!(play.post_as("check", "{\"policy\": 1}", &[]).unwrap().status, 400);
    assert_eq!(play.post_as("check", &"[".repeat(100_000), &[]).unwrap().status, 400);
    // And it goes on.
    assert_eq!(play.get("").unwrap().status, 200);
}

#[test]
fn it_ends_cleanly_when_it_is_told_to() {
    let mut play = start();
    let pid = play.child.id().to_string();
    // Somebody who sends nothing does not keep it.
    let _idle = std::net::TcpStream::connect(&play.server).unwrap();
    let start = Instant::now();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let status = loop {
        if let Some(status) = play.child.try_wait().unwrap() {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
fn what_it_cannot_begin_with_is_said() {
    let folder = folder("begin", &[("bytes.oom", ""), ("machine.json", "{ \"schema\": 9 }")]);
    fs::write(folder.join("bytes.oom"), b"kill \xff").unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, code, words) in [
        (&["play", "missing.oom"][..], 4, "missing.oom"),
        (&["play", "bytes.oom"], 4, "no text"),
        (&["play", "--snapshot", "machine.json"], 4, "machine.json: the snapshot is of schema 9"),
        (&["play", "--port", &port], 4, "cannot listen"),
        (&["play", "--link", "https://evil.example/"], 2, "no link"),
        (&["play", "--link", "#<script>"], 2, "no link"),
    ] {
        let output = oomc(&folder, args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

/// Policies of the library on a machine, each on one of its cgroups and on all of it.
#[test]
fn what_is_decided_is_what_sim_decides_and_the_test_of_it_passes() {
    let play = start();
    let machine = play.begin().unwrap()["machine"].as_str().unwrap().to_owned();
    let mut passed = 0;
    for policy in oomc_stdlib::FILES {
        let folder = folder(policy.name, &[("policy.oom", policy.text), ("s.json", &machine)]);
        for oom in [Some("/job"), None] {
            let asked = json!({ "policy": policy.text, "machine": machine, "oom": oom });
            let pressed = play.ask("press", &asked).unwrap();
            let event = oom.map_or(vec!["--system"], |path| vec!["--oom", path]);
            let args =
                [&["--format", "json", "sim", "policy.oom", "--snapshot", "s.json"][..], &event].concat();
            let simulated = told(&folder, &args);
            for part in ["forecast", "decision"] {
                assert!(pressed[part].is_object(), "{}: {pressed}", policy.name);
                assert_eq!(pressed[part], simulated[part], "{} {oom:?}", policy.name);
            }
            let test = &pressed["test"];
            assert_eq!(test["passes"], true, "{} {oom:?}: {test}", policy.name);
            fs::write(folder.join("policy.oomt"), test["text"].as_str().unwrap()).unwrap();
            let ran = oomc(&folder, &["test", "policy.oom"]);
            assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stdout));
            passed += 1;
        }
    }
    assert_eq!(passed, 2 * oomc_stdlib::FILES.len());
}

#[test]
fn mistakes_are_those_of_check() {
    let text =
        "never kill process where comm == \"sshd\"\nkill largest where footprint > 4096\nrule \"a\" x\n";
    let play = start();
    let said = play.ask("check", &json!({ "policy": text })).unwrap();
    let folder = folder("check", &[("policy.oom", text)]);
    let checked = told(&folder, &["--format", "json", "check", "policy.oom"]);
    assert!(said["diagnostics"].as_array().unwrap().len() > 1);
    assert_eq!(said["diagnostics"], checked["diagnostics"]);
    let begin = play.begin().unwrap();
    let asked = json!({ "policy": text, "machine": begin["machine"], "oom": "/job" });
    let pressed = play.ask("press", &asked).unwrap();
    assert!(pressed["forecast"].is_null() && pressed["diagnostics"] == said["diagnostics"]);
}

/// Who decides, and why everybody else is not it.
#[test]
fn it_is_told_step_by_step() {
    let play = start();
    let begin = play.begin().unwrap();
    let asked = json!({ "policy": begin["policy"], "machine": begin["machine"], "oom": begin["oom"] });
    let pressed = play.ask("press", &asked).unwrap();
    let fate = |pid: i64| {
        let fates = pressed["steps"]["fates"].as_array().unwrap();
        fates.iter().find(|fate| fate["id"] == pid).unwrap()["why"].as_str().unwrap().to_owned()
    };
    assert_eq!(fate(102), "the first candidate by `footprint` 620MiB");
    assert_eq!(fate(103), "candidate 2: `footprint` is 480MiB, that of the first 620MiB");
    assert_eq!(fate(101), "left out: `comm == \"worker\"` (line 8) is not true of it");
    assert_eq!(fate(100), "protected: `never kill process where comm == \"sshd\"` (line 5)");
    let rules = pressed["steps"]["rules"].as_array().unwrap();
    let reached: Vec<(&str, bool)> =
        rules.iter().map(|rule| (rule["rule"].as_str().unwrap(), rule["reached"] == true)).collect();
    assert_eq!(reached, [("batch", true), ("last", false)]);
    let condition = &rules[0]["parts"][1];
    assert_eq!(condition["text"], "comm == \"worker\"");
    assert_eq!(condition["holds_for"].as_array().unwrap().len(), 2);
}

#[test]
fn hostile_names_and_policies_never_become_markup() {
    const NAME: &str = "<img src=x>\u{202e}";
    let play = start();
    let mut machine = play.begin().unwrap()["machine"].as_str().unwrap().to_owned();
    for edit in [
        json!({ "edit": "set_process", "of": 102, "field": "comm", "value": "<b>'&\u{202e}\u{200b}" }),
        json!({ "edit": "set_cgroup", "of": "/job/batch", "field": "name", "value": "<script>1</script>"
            .replace('/', "\u{2044}") }),
        json!({ "edit": "set_cgroup", "of": "/job/db", "field": "name", "value": NAME }),
    ] {
        let told = play.ask("machine", &json!({ "machine": machine, "edit": edit })).unwrap();
        assert!(told["error"].is_null(), "{told}");
        let names: Vec<&str> =
            told["rows"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
        assert!(names.iter().all(|name| !name.contains('\u{202e}')), "{names:?}");
        machine = told["machine"].as_str().unwrap().to_owned();
    }
    let policy = "policy \"<script>\"\nrule \"</bdi><script>alert(1)</script>\u{2066}\": kill largest process in subtree \
                  where comm != \"<i>\" reason \"<img src=x onerror=alert(1)>\"\n";
    let pressed = play.ask("press", &json!({ "policy": policy, "machine": machine, "oom": "/job" })).unwrap();
    for part in ["picture", "explained"] {
        let Some(text) = pressed[part].as_str() else {
            // The compiler refuses marks of direction in a text: then there is nothing to be drawn.
            assert!(pressed["diagnostics"].as_array().is_some_and(|all| !all.is_empty()), "{pressed}");
            continue;
        };
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200b}']), "{text}");
        let page = markup::parse(&format!("<main>{text}</main>")).unwrap();
        for tag in ["script", "img", "b", "i"] {
            assert!(page.named(tag).is_empty(), "{part} has <{tag}>: {text}");
        }
    }
    let policy = policy.replace('\u{2066}', "");
    let pressed = play.ask("press", &json!({ "policy": policy, "machine": machine, "oom": "/job" })).unwrap();
    for part in ["picture", "explained"] {
        let text = pressed[part].as_str().unwrap();
        assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text}");
        let page = markup::parse(&format!("<main>{text}</main>")).unwrap();
        for tag in ["script", "img", "b", "i"] {
            assert!(page.named(tag).is_empty(), "{part} has <{tag}>: {text}");
        }
        assert!(page.text().contains("<b>'&[U+202E][U+200B]"), "{}", page.text());
    }
    // A name that no text of a policy can hold is not written as something else.
    let quoted = json!({ "edit": "set_process", "of": 102, "field": "comm", "value": "a\" } x" });
    let told = play.ask("machine", &json!({ "machine": machine, "edit": quoted })).unwrap();
    let asked = json!({ "policy": "kill largest in subtree", "machine": told["machine"], "oom": "/job" });
    let test = &play.ask("press", &asked).unwrap()["test"];
    assert_eq!((&test["passes"], &test["text"]), (&json!(false), &json!("")));
    assert!(test["why"].as_str().unwrap().contains("quotation mark"));
}

/// Numbers that a browser's cannot hold come back as they are.
#[test]
fn a_machine_is_not_rounded() {
    let play = start();
    let machine = play.begin().unwrap()["machine"].as_str().unwrap().to_owned();
    let id = i64::MAX - 1;
    let machine = machine.replacen("\"id\":4", &format!("\"id\":{id}"), 1);
    let told = play.ask("machine", &json!({ "machine": machine, "edit": null })).unwrap();
    assert!(told["machine"].as_str().unwrap().contains(&id.to_string()));
}

/// The editor's file says of what it was made: whoever changes that makes it anew (`compiler/play/front/bundle.mjs`).
#[test]
fn the_editor_is_made_of_what_stands_beside_it() {
    let folder = oomc_tests::root().join("compiler/play");
    let mut all = Vec::new();
    for name in ["package.json", "package-lock.json", "editor.js", "bundle.mjs"] {
        all.extend(fs::read(folder.join("front").join(name)).unwrap());
    }
    let digest: String = Sha256::digest(&all).iter().map(|byte| format!("{byte:02x}")).collect();
    let made = oomc_tests::read(&folder.join("page/editor.js"));
    let head: String = made.lines().take(2).collect();
    assert!(head.contains(&digest), "{head}\nis not made of {digest}");
    assert!(made.contains("Permission is hereby granted"), "it has its licences");
    let lock = oomc_tests::read(&folder.join("front/package-lock.json"));
    assert!(
        !lock.contains("\"resolved\"") && lock.contains("\"integrity\""),
        "the lock file names no registry"
    );
}
