//! Hostile and damaged files given to the real program: a clear error each, in time, without a panic.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use oomc_tests::child;

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
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let Output { status, stdout, stderr } =
        child::run(command.args(args), folder, PATIENCE).unwrap_or_else(|error| panic!("{args:?}: {error}"));
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

/// A cgroup that no machine has: whatever else goes wrong, nothing can be attached.
const NOWHERE: &str = "/oomc-tests/no-such-cgroup";

fn good_object(folder: &Path) -> Vec<u8> {
    fs::write(folder.join("good.oom"), "never kill process where comm == \"sshd\"\nkill largest in subtree")
        .unwrap();
    let (exit, text) = oomc(folder, &["build", "good.oom", "-o", "good.o"]);
    assert_eq!(exit, 0, "{text}");
    fs::read(folder.join("good.o")).unwrap()
}

#[test]
fn a_truncated_object_given_to_load() {
    let folder = folder("truncated");
    let object = good_object(&folder);
    let cuts = [
        0,
        1,
        4,
        16,
        63,
        64,
        65,
        200,
        object.len() / 4,
        object.len() / 2,
        object.len() * 3 / 4,
        object.len() - 1,
    ];
    for length in cuts {
        fs::write(folder.join("cut.o"), &object[..length]).unwrap();
        let (exit, text) = oomc(&folder, &["load", "cut.o", "--cgroup", NOWHERE]);
        assert_eq!(exit, 4, "{length} bytes: {text}");
        assert!(text.contains("cut.o"), "{length} bytes: {text}");
    }
}

#[test]
fn a_damaged_object_given_to_load() {
    let folder = folder("damaged");
    let object = good_object(&folder);
    // A few hundred places spread over the whole file; the same ones in every run.
    let step = object.len() / 150;
    for at in (0..object.len()).step_by(step.max(1)) {
        for byte in [0xff, object[at].wrapping_add(1)].into_iter().filter(|byte| *byte != object[at]) {
            let mut damaged = object.clone();
            damaged[at] = byte;
            fs::write(folder.join("damaged.o"), &damaged).unwrap();
            let (exit, text) = oomc(&folder, &["load", "damaged.o", "--cgroup", NOWHERE]);
            // Whatever is damaged, the object is refused for it before the kernel is asked.
            assert_eq!(exit, 4, "byte {at} = {byte:#x}: {text}");
            assert!(text.contains("damaged.o: ") && !text.contains("E09"), "byte {at} = {byte:#x}: {text}");
        }
    }
}

#[test]
fn a_foreign_object_is_loaded_only_by_those_who_say_so() {
    let folder = folder("foreign");
    let mut object = good_object(&folder);
    // The types hold the lines of the policy, too; the text stands behind them.
    let at = object.windows(6).rposition(|bytes| bytes == b"\"sshd\"").unwrap();
    object[at + 1] = b'x';
    fs::write(folder.join("foreign.o"), &object).unwrap();
    let (exit, text) = oomc(&folder, &["load", "foreign.o", "--cgroup", NOWHERE]);
    assert_eq!(exit, 4, "{text}");
    for words in
        ["foreign.o: the object is foreign: its hash is not that of its text", "digest", "`--foreign`"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Then the missing cgroup or kernel ends it.
    let (_, text) = oomc(&folder, &["load", "foreign.o", "--foreign", "--cgroup", NOWHERE]);
    assert!(!text.contains("is foreign"), "{text}");
}

#[test]
fn other_files_given_to_load() {
    let folder = folder("other");
    for (name, bytes) in
        [("empty.o", b"".as_slice()), ("text.o", b"kill largest in subtree\n"), ("zero.o", &[0; 5000])]
    {
        fs::write(folder.join(name), bytes).unwrap();
        let (exit, text) = oomc(&folder, &["load", name, "--cgroup", NOWHERE]);
        assert_eq!(exit, 4, "{name}: {text}");
        assert!(text.contains(name), "{text}");
    }
    let program = env!("CARGO_BIN_EXE_oomc");
    let (exit, text) = oomc(&folder, &["load", program, "--cgroup", NOWHERE]);
    assert_eq!(exit, 4, "the program itself: {text}");
}

/// Runs the program with an address space of 256 MiB.
fn oomc_in_little_memory(folder: &Path, args: &[&str]) -> (i32, String) {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 262144; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_oomc")]).args(args);
    let Output { status, stdout, stderr } =
        child::run(&mut command, folder, PATIENCE).unwrap_or_else(|error| panic!("{args:?}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!text.contains("panicked"), "{args:?}: {text}");
    (status.code().unwrap_or_else(|| panic!("{args:?} ended with {status}: {text}")), text)
}

#[test]
fn small_files_that_stand_for_much_need_little_memory() {
    use oomc_tests::bulky;
    let folder = folder("bulky");
    fs::write(folder.join("good.oom"), "kill largest in subtree").unwrap();
    for (name, bytes, words) in [
        ("sections.o", bulky::many_sections(40_000), " sections; 128 is the most"),
        ("sizes.o", bulky::sizes_only(60), " bytes; 16777216 is the most"),
        ("names.o", bulky::long_names(8_000, 8_000_000), "a name in it is longer than 255 bytes"),
        ("same.btf", bulky::same_name(300_000, 3_000_000), "a string is longer than 1024 bytes"),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
        let args = match name.ends_with(".o") {
            true => vec!["inspect", name],
            false => vec!["check", "--btf", name, "good.oom"],
        };
        let (exit, text) = oomc_in_little_memory(&folder, &args);
        assert_eq!(exit, 4, "{name}: {text}");
        assert!(text.contains(words), "{name}: {text}");
    }
    // Larger than any machine, on a disk that has room for it or not.
    fs::File::create(folder.join("huge.json")).unwrap().set_len(1 << 40).unwrap();
    for args in [&["sim", "--snapshot", "huge.json", "good.oom"][..], &["check", "huge.json"]] {
        let (exit, text) = oomc_in_little_memory(&folder, args);
        assert_eq!(exit, 4, "{args:?}: {text}");
        assert!(text.contains("huge.json is larger than "), "{args:?}: {text}");
    }
    // As large as a kernel's own, and nothing that a policy needs.
    fs::write(folder.join("types.btf"), bulky::many_types(400_000)).unwrap();
    let (exit, text) = oomc_in_little_memory(&folder, &["check", "--btf", "types.btf", "good.oom"]);
    assert_eq!(exit, 3, "{text}");
}

#[test]
fn load_needs_a_place() {
    let folder = folder("place");
    good_object(&folder);
    assert_eq!(oomc(&folder, &["load", "good.o"]).0, 2);
    assert_eq!(oomc(&folder, &["load", "good.o", "--cgroup", "/a", "--system"]).0, 2);
    let (exit, text) = oomc(&folder, &["load", "good.o", "--cgroup", "/"]);
    assert_eq!(exit, 2, "{text}");
    assert!(text.contains("--system"), "{text}");
}
