//! `oomc fmt` and the files that it rewrites; what it makes of a text is shown by the cases.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::child::with_input;

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fmt").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Exit code, standard output and standard error.
fn fmt(folder: &Path, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let output = with_input(command.arg("fmt").args(args).current_dir(folder), input).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

const LOOSE: &str = "kill   largest\n  in subtree";
const CANONICAL: &str = "kill largest in subtree\n";

#[test]
fn files_are_rewritten_in_place() {
    let folder = folder("in_place");
    fs::write(folder.join("loose.oom"), LOOSE).unwrap();
    fs::write(folder.join("canonical.oom"), CANONICAL).unwrap();
    let before = fs::metadata(folder.join("canonical.oom")).unwrap().modified().unwrap();
    let (exit, told, _) = fmt(&folder, &["loose.oom", "canonical.oom"], "");
    assert_eq!((exit, told.as_str()), (Some(0), "loose.oom: formatted\n"));
    assert_eq!(fs::read_to_string(folder.join("loose.oom")).unwrap(), CANONICAL);
    assert_eq!(fs::metadata(folder.join("canonical.oom")).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left behind");
}

#[test]
fn check_writes_nothing() {
    let folder = folder("check");
    fs::write(folder.join("loose.oom"), LOOSE).unwrap();
    fs::write(folder.join("canonical.oom"), CANONICAL).unwrap();
    let (exit, told, _) = fmt(&folder, &["--check", "canonical.oom", "loose.oom"], "");
    let diff = "loose.oom: not in canonical form\n--- loose.oom\n+++ canonical form\n@@ -1,2 +1 @@\n-kill   largest\n-  in \
                subtree\n\\ No newline at end of file\n+kill largest in subtree\n";
    assert_eq!((exit, told.as_str()), (Some(1), diff));
    let (exit, told, _) = fmt(&folder, &["--check", "-q", "loose.oom"], "");
    assert_eq!((exit, told.as_str()), (Some(1), "loose.oom: not in canonical form\n"));
    assert_eq!(fs::read_to_string(folder.join("loose.oom")).unwrap(), LOOSE);
    assert_eq!(fmt(&folder, &["--check", "canonical.oom"], "").0, Some(0));
    assert_eq!(fmt(&folder, &["--check", "-"], LOOSE).0, Some(1));
}

#[test]
fn standard_input_is_printed() {
    let folder = folder("stdin");
    assert_eq!(fmt(&folder, &["-"], LOOSE), (Some(0), CANONICAL.to_owned(), String::new()));
    assert_eq!(fmt(&folder, &["-"], CANONICAL).1, CANONICAL);
    assert_eq!(fmt(&folder, &["-"], "").1, "");
    let (_, json, _) = fmt(&folder, &["--format", "json", "-"], LOOSE);
    assert!(json.contains("\"text\":\"kill largest in subtree\\n\""), "{json}");
}

#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    let folder = folder("link");
    fs::write(folder.join("policy.oom"), LOOSE).unwrap();
    fs::set_permissions(folder.join("policy.oom"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("policy.oom", folder.join("link.oom")).unwrap();
    assert_eq!(fmt(&folder, &["link.oom"], "").0, Some(0));
    assert!(fs::symlink_metadata(folder.join("link.oom")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(folder.join("policy.oom")).unwrap(), CANONICAL);
    assert_eq!(fs::metadata(folder.join("policy.oom")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn clauses_with_mistakes_are_told_and_stay() {
    let folder = folder("mistakes");
    let (exit, text, told) = fmt(&folder, &["-"], "wait   wait\nkill  lrgst   subtree\n");
    assert_eq!((exit, text.as_str()), (Some(0), "wait\nwait\nkill  lrgst   subtree\n"));
    assert_eq!(told, "warning: stdin: 1 clause stays as written; `oomc check` says why\n");
}

#[test]
fn check_fails_on_a_file_that_cannot_be_read_even_if_nothing_would_change() {
    let folder = folder("unread");
    let (exit, told, said) = fmt(&folder, &["--check", "-"], "wait\nkill  lrgst   subtree\n");
    let warning = "warning: stdin: has a clause that cannot be read; `oomc check` says why\n";
    assert_eq!((exit, told.as_str(), said.as_str()), (Some(1), "", warning));
}

#[test]
fn a_folder_stands_for_the_policies_and_tests_in_it() {
    let folder = folder("folder");
    fs::create_dir_all(folder.join("policies/deep/.hidden")).unwrap();
    fs::create_dir(folder.join("none")).unwrap();
    let texts = ["policies/a.oom", "policies/deep/b.oom", "policies/deep/.hidden/c.oom", "policies/d.txt"];
    for name in texts {
        fs::write(folder.join(name), LOOSE).unwrap();
    }
    let test = "test   \"t\" {\n    given { \"/job\" { limit 1GiB } }\n    on oom in \"/job\"\n    expect defer\n}\n";
    fs::write(folder.join("policies/a.oomt"), test).unwrap();
    let (exit, told, _) = fmt(&folder, &["policies"], "");
    let formatted = "policies/a.oom: formatted\npolicies/a.oomt: formatted\npolicies/deep/b.oom: formatted\n";
    assert_eq!((exit, told.as_str()), (Some(0), formatted));
    assert_eq!(fmt(&folder, &["--check", "policies"], "").0, Some(0));
    let (exit, _, said) = fmt(&folder, &["none"], "");
    assert!(exit == Some(4) && said.starts_with("error: there is no policy in none\n"), "{said}");
}

#[test]
fn one_bad_file_does_not_keep_the_others_from_being_formatted() {
    let folder = folder("bad");
    fs::write(folder.join("bytes.oom"), b"kill \xff").unwrap();
    fs::write(folder.join("loose.oom"), LOOSE).unwrap();
    let (exit, _, told) = fmt(&folder, &["missing.oom", "bytes.oom", "loose.oom"], "");
    assert_eq!(exit, Some(4));
    assert!(told.contains("missing.oom") && told.contains("E0102"), "{told}");
    assert_eq!(fs::read_to_string(folder.join("loose.oom")).unwrap(), CANONICAL);
    assert_eq!(fs::read(folder.join("bytes.oom")).unwrap(), b"kill \xff");
    assert_eq!(fmt(&folder, &["bytes.oom"], "").0, Some(1));
    assert_eq!(fmt(&folder, &[], "").0, Some(2));
}
