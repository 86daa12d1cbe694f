//! Hostile and damaged files given to the real program: a clear error each, in time, without a panic.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bad_input").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs the program in a folder; fails if it hangs or panics.
fn oomc(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_oomc"))
        .args(args)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(fs::File::create(folder.join("stdout")).unwrap())
        .stderr(fs::File::create(folder.join("stderr")).unwrap())
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{args:?} hangs");
        }
        thread::sleep(Duration::from_millis(5));
    };
    let Output { status, stdout, stderr } = Output {
        status,
        stdout: fs::read(folder.join("stdout")).unwrap(),
        stderr: fs::read(folder.join("stderr")).unwrap(),
    };
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    assert!(status.success() || !text.trim().is_empty(), "{args:?} fails and says nothing");
    // An overflown stack or a signal has no exit code.
    (status.code().unwrap_or_else(|| panic!("{args:?} ended with {status}: {text}")), text)
}

/// Writes bytes as a policy, and expects `check` and `build` to refuse them with this code.
fn refused(name: &str, bytes: &[u8], code: &str) {
    let folder = folder(name);
    fs::write(folder.join("policy.oom"), bytes).unwrap();
    for args in [["check", "policy.oom"].as_slice(), &["build", "policy.oom", "-o", "policy.o"]] {
        let (exit, text) = oomc(&folder, args);
        assert_eq!(exit, 1, "{args:?}: {text}");
        assert!(
            text.contains(code),
            "{args:?}: expected {code}: {}",
            text.chars().take(2000).collect::<String>()
        );
        assert!(text.len() < 1_000_000, "{args:?} prints {} bytes", text.len());
    }
    assert!(!folder.join("policy.o").exists(), "an object was written all the same");
}

#[test]
fn a_file_of_5_megabytes() {
    let policy = "kill largest process in subtree where footprint > 64MiB\n";
    refused("large", policy.repeat(5_000_000 / policy.len() + 1).as_bytes(), "E0103");
}

#[test]
fn garbage_of_a_permitted_size() {
    // Text without any clause: one error must not cost a look at the whole rest.
    refused("garbage", "x ( [ { \" ".repeat(300_000).as_bytes(), "E01");
}

#[test]
fn ten_thousand_nested_parentheses() {
    let text = format!("if {}true{} then defer", "(".repeat(10_000), ")".repeat(10_000));
    refused("parentheses", text.as_bytes(), "E0106");
}

#[test]
fn ten_thousand_nested_conditions_blocks_and_negations() {
    for (name, open, inner, close) in
        [("if", "if true then ", "defer", ""), ("block", "{ ", "wait", " }"), ("not", "not ", "", "")]
    {
        let nested = format!("{}{inner}{}", open.repeat(10_000), close.repeat(10_000));
        let text = if name == "not" { format!("if {nested} true then defer") } else { nested };
        refused(&format!("nested_{name}"), text.as_bytes(), "E01");
    }
}

#[test]
fn text_that_is_not_utf8() {
    refused("utf8", b"kill largest process in subtree where comm == \"\xff\xfe\"", "E0102");
}

#[test]
fn an_empty_file() {
    refused("empty", b"", "E0107");
    refused("comment", b"# nothing but a remark\n", "E0107");
}

#[test]
fn nul_bytes() {
    refused("nul", b"kill largest\0\0\0 in subtree", "E01");
    refused("only_nul", &[0; 4096], "E01");
}

#[test]
fn an_object_given_as_a_policy() {
    let folder = folder("object");
    fs::write(folder.join("good.oom"), "kill largest in subtree").unwrap();
    let (exit, text) = oomc(&folder, &["build", "good.oom", "-o", "policy.oom"]);
    assert_eq!(exit, 0, "{text}");
    let (exit, text) = oomc(&folder, &["check", "policy.oom"]);
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("E0102"), "{text}");
}

#[test]
fn a_folder_a_missing_file_and_one_that_cannot_be_read() {
    let folder = folder("unreadable");
    fs::create_dir(folder.join("folder.oom")).unwrap();
    // Root reads everything but this.
    std::os::unix::fs::symlink("loop.oom", folder.join("loop.oom")).unwrap();
    for name in ["folder.oom", "missing.oom", "loop.oom"] {
        for args in [["check", name].as_slice(), &["build", name, "-o", "policy.o"]] {
            let (exit, text) = oomc(&folder, args);
            assert_eq!(exit, 4, "{args:?}: {text}");
            assert!(text.contains(name), "{args:?} does not name the file: {text}");
        }
    }
}

#[test]
fn a_btf_that_is_none() {
    let folder = folder("btf");
    fs::write(folder.join("policy.oom"), "kill largest in subtree").unwrap();
    for (name, bytes) in
        [("empty", b"".as_slice()), ("text", b"not BTF"), ("head", &[0x9f, 0xeb, 1, 0, 24, 0, 0, 0])]
    {
        fs::write(folder.join(name), bytes).unwrap();
        let (exit, text) = oomc(&folder, &["check", "--btf", name, "policy.oom"]);
        assert_eq!(exit, 4, "{name}: {text}");
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn an_unknown_command_is_a_mistake_of_usage() {
    let folder = folder("usage");
    for args in [["frobnicate"].as_slice(), &["build"], &["build", "a.oom", "--emit", "nothing"]] {
        assert_eq!(oomc(&folder, args).0, 2, "{args:?}");
    }
}
