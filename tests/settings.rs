//! `oomc.toml`, `--deny-warnings` and `test --watch`: what an author settles once for a folder.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use oomc_tests::child::{fresh_folder, interruptible};

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine that was recorded.
const MACHINE: &str = "tests/cases/reports/01-oomd-desktop.json";

/// Compiles, with a warning: nothing uses the constant.
const UNUSED: &str = "const floor = 4KiB\nkill largest in subtree\n";

const TESTED: &str = "kill largest in subtree\n\ntest \"the larger one\" {\n    given {\n        \"/job\" { limit 1GiB }\n        \
                      \"/job#101\" { rss 700MiB }\n        \"/job#102\" { rss 100MiB }\n    }\n    on oom in \"/job\"\n    \
                      expect kill process \"/job#101\"\n}\n";

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("settings").join(name);
    fresh_folder(&folder, files).unwrap();
    folder
}

fn oomc(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let Output { status, stdout, stderr } = command.current_dir(folder).args(args).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), said)
}

#[test]
fn a_lint_is_allowed_or_denied_from_above() {
    let at = folder("lints", &[("policies/web/a.oom", UNUSED)]);
    let check = |args: &[&str]| oomc(&at.join("policies/web"), &[&["check"], args].concat());
    let (exit, said) = check(&["a.oom"]);
    assert!(exit == 0 && said.contains("warning[W0604]"), "{exit} {said}");
    fs::write(at.join("oomc.toml"), "[lints]\nW0604 = \"deny\"\n").unwrap();
    let (exit, said) = check(&["a.oom"]);
    assert!(exit == 1 && said.contains("error[W0604]"), "{exit} {said}");
    // The nearest file counts, and no other.
    fs::write(at.join("policies/oomc.toml"), "[lints]\nW0604 = \"allow\"\n").unwrap();
    let (exit, said) = check(&["a.oom"]);
    assert!(exit == 0 && !said.contains("W0604"), "{exit} {said}");
    let (exit, _) = check(&["--deny-warnings", "a.oom"]);
    assert_eq!(exit, 0, "what the file says of a lint is stronger");
}

#[test]
fn warnings_are_errors_where_that_is_asked_for() {
    let at = folder("deny", &[("a.oom", &format!("const floor = 4KiB\n{TESTED}"))]);
    for command in ["check", "build", "test"] {
        let (exit, said) = oomc(&at, &[command, "a.oom"]);
        assert_eq!(exit, 0, "{command}: {said}");
        fs::remove_file(at.join("a.o")).unwrap_or_default();
        let (exit, said) = oomc(&at, &[command, "--deny-warnings", "a.oom"]);
        assert!(exit == 1 && said.contains("error[W0604]"), "{command}: {exit} {said}");
        assert!(!at.join("a.o").exists(), "an object was written");
    }
}

#[test]
fn the_kernel_stands_in_the_file_and_the_flag_is_stronger() {
    let btf = oomc_tests::root().join("tests/btf");
    let policy = "raise_limit 10% up to parent.limit\n";
    let at = folder(
        "kernel",
        &[("oomc.toml", "btf = \"types/no_raise.btf\"\n"), ("a.oom", policy), ("types/x", "")],
    );
    fs::copy(btf.join("no_raise.btf"), at.join("types/no_raise.btf")).unwrap();
    for command in ["check", "build"] {
        let (exit, said) = oomc(&at, &[command, "a.oom"]);
        assert!(exit == 3 && said.contains("E0501"), "{command}: {exit} {said}");
    }
    let machine = oomc_tests::root().join(MACHINE);
    let machine = machine.to_str().unwrap();
    let (exit, said) = oomc(&at, &["sim", "a.oom", "--snapshot", machine]);
    assert!(exit == 3 && said.contains("E0501"), "sim: {exit} {said}");
    let (exit, said) = oomc(&at, &["plan", "a.oom", "--system"]);
    assert!(exit == 3 && said.contains("E0501"), "plan: {exit} {said}");
    let other = folder("another_kernel", &[("b.oom", policy)]);
    let other = other.join("b.oom");
    let other = other.to_str().unwrap();
    let (exit, said) = oomc(&at, &["diff", "a.oom", other, "--snapshot", machine]);
    assert!(
        exit == 2 && said.contains("a.oom and ") && said.contains(" are for different kernels"),
        "{said}"
    );
    let reference = oomc_tests::root().join("compiler/abi/btf");
    let reference = oomc_tests::files(&reference)
        .into_iter()
        .find(|path| path.extension().is_some_and(|end| end == "btf"));
    let (exit, said) = oomc(&at, &["check", "--btf", reference.unwrap().to_str().unwrap(), "a.oom"]);
    assert_eq!(exit, 0, "{said}");
    fs::write(at.join("oomc.toml"), "btf = \"gone.btf\"\n").unwrap();
    let (exit, said) = oomc(&at, &["check", "a.oom"]);
    assert!(exit == 4 && said.contains("gone.btf") && said.contains("oomc.toml"), "{exit} {said}");
}

#[test]
fn a_file_that_is_wrong_is_told_with_its_place() {
    for (name, text, words) in [
        ("key", "edition = 1\nbft = \"x\"\n", "oomc.toml:2"),
        ("lint", "[lints]\nW0999 = \"deny\"\n", "there is no lint `W0999`"),
        ("large", &"#".repeat(70_000), "larger than 64 KiB"),
        ("edition", "edition = 7\n", "there is no edition 7"),
    ] {
        let at = folder(name, &[("oomc.toml", text), ("a.oom", TESTED)]);
        for command in ["check", "build", "test", "fix"] {
            let (exit, said) = oomc(&at, &[command, "a.oom"]);
            assert!(
                exit == 1 && said.contains("E0117") && said.contains(words),
                "{command} {name}: {exit} {said}"
            );
        }
        let (exit, said) = oomc(&at, &["check", "--format", "json", "a.oom"]);
        assert!(exit == 1 && said.contains("\"E0117\""), "{name}: {exit} {said}");
    }
    let at = folder("bytes", &[("a.oom", TESTED)]);
    fs::write(at.join("oomc.toml"), b"\xff\xfe").unwrap();
    let (exit, said) = oomc(&at, &["check", "a.oom"]);
    assert!(exit == 1 && said.contains("E0102"), "{exit} {said}");
}

#[test]
fn what_is_no_file_is_passed_over() {
    let at = folder("folder", &[("oomc.toml/x", ""), ("a.oom", TESTED)]);
    let (exit, said) = oomc(&at, &["check", "a.oom"]);
    assert_eq!(exit, 0, "{said}");
}

/// `oomc test --watch` in a folder, and what it says.
struct Watched {
    child: Child,
    heard: Receiver<String>,
}

impl Watched {
    fn start(at: &Path, args: &[&str]) -> Self {
        let mut command = interruptible(env!("CARGO_BIN_EXE_oomc"));
        command.current_dir(at).args(["test", "--watch"]).args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (said, heard) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| said.send(line).is_ok()));
        Self { child, heard }
    }

    /// The line that says how a run ended, or nothing where there was none; nothing behind the last one is read.
    fn run(&self, what: &str) -> String {
        let mut result = String::new();
        loop {
            let line = self.heard.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what}: nothing ran"));
            if line.contains("passed,") {
                result = line;
            } else if line.starts_with("waiting for a change") {
                return result;
            }
        }
    }

    /// Ctrl-C ends it, and nothing else did.
    fn end(mut self) {
        let quiet = self.heard.recv_timeout(Duration::from_millis(1500));
        assert!(quiet.is_err(), "something ran without a change: {quiet:?}");
        let signalled = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        assert!(signalled.success());
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(2));
    }
}

#[test]
fn watched_tests_run_again_when_a_file_changes() {
    let at = folder("watch", &[("a.oom", TESTED)]);
    let watched = Watched::start(&at, &[]);
    assert!(watched.run("at first").starts_with("1 passed, 0 failed"));
    // As editors do it: beside the file, and renamed.
    fs::write(at.join("a.oom.new"), TESTED.replace("largest", "smallest")).unwrap();
    fs::rename(at.join("a.oom.new"), at.join("a.oom")).unwrap();
    assert!(watched.run("after an edit").starts_with("0 passed, 1 failed"));
    fs::write(at.join("b.oom"), TESTED).unwrap();
    assert!(watched.run("after a new policy").starts_with("1 passed, 1 failed"));
    // A policy that cannot be read ends nothing.
    fs::write(at.join("a.oom"), "kill largest\n").unwrap();
    assert!(watched.run("after a mistake").starts_with("1 passed, 0 failed"));
    // What no test depends on starts no run: the next one is of the change behind it.
    fs::write(at.join("a.o"), "x").unwrap();
    thread::sleep(Duration::from_millis(300));
    fs::write(at.join("a.oom"), TESTED).unwrap();
    assert!(watched.run("after the repair").starts_with("2 passed, 0 failed"));
    watched.end();
}

/// What is settled above the policy, and the kernel that is named there, wherever it lies.
#[test]
fn watched_tests_run_again_when_settings_or_the_kernel_change() {
    let btf = oomc_tests::root().join("tests/btf");
    let policy = "const unused = 4KiB\nraise_limit 10% up to parent.limit\nkill largest in subtree\n";
    let tests = TESTED.split_once("\n\n").unwrap().1;
    let at =
        folder("watch_around", &[("in/below/a.oom", policy), ("in/below/a.oomt", tests), ("types/x", "")]);
    let kernel = at.join("types/kernel.btf");
    let reference = oomc_tests::root().join("compiler/abi/btf/reference.btf");
    let write = |from: &Path| fs::write(&kernel, fs::read(from).unwrap()).unwrap();
    write(&btf.join("no_raise.btf"));
    let watched = Watched::start(&at.join("in/below"), &[]);
    let first = watched.run("at first");
    assert!(first.starts_with("0 passed, 1 failed"), "the limit is raised: {first}");
    fs::write(at.join("oomc.toml"), "btf = \"types/kernel.btf\"\n").unwrap();
    assert_eq!(watched.run("after settings have come above"), "", "that kernel raises no limit");
    write(&reference);
    let next = watched.run("after the kernel has changed");
    assert!(next.starts_with("0 passed, 1 failed"), "{next}");
    fs::write(at.join("oomc.toml"), "btf = \"types/kernel.btf\"\n[lints]\nall = \"deny\"\n").unwrap();
    assert_eq!(watched.run("after settings have changed"), "", "nothing uses the constant");
    fs::remove_file(at.join("oomc.toml")).unwrap();
    assert!(watched.run("after they are gone").starts_with("0 passed, 1 failed"));
    watched.end();

    // The kernel of the command line.
    let kernel_flag = kernel.to_str().unwrap();
    let watched = Watched::start(&at.join("in/below"), &["--btf", kernel_flag]);
    assert!(watched.run("with a kernel").starts_with("0 passed, 1 failed"));
    write(&btf.join("no_raise.btf"));
    assert_eq!(watched.run("with another one"), "");
    watched.end();
}
