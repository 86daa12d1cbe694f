//! What `oomc inspect` says of an object: of one that oomc made, and of one that was changed.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::child::fresh_folder;
use serde_json::Value;

const POLICY: &str = "policy \"job\"\nraise_limit 10% up to 1GiB or kill largest in subtree\n";

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("inspect").join(name);
    fresh_folder(&folder, &[("job.oom", POLICY)]).unwrap();
    let (exit, text) = oomc(&folder, &["build", "job.oom", "--page-size", "16384"]);
    assert_eq!(exit, 0, "{text}");
    folder
}

fn oomc(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn document(folder: &Path) -> Value {
    let (_, text) = oomc(folder, &["--format", "json", "inspect", "job.o"]);
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_object_of_ours() {
    let folder = folder("ours");
    let (exit, text) = oomc(&folder, &["inspect", "job.o"]);
    assert_eq!(exit, 0, "{text}");
    for words in [
        "policy        job@",
        "(its digest holds)",
        "edition       1",
        "runs on       kernels with `bpf_oom_ops`",
        "runs on       Linux 6.12 and later",
        "page size     16384",
        "cost          linear",
        "may use       bpf_mem_cgroup_raise_max",
        "map           records: array, key 4, value ",
        "global        config: ",
        "; job.oom:2:1: raise_limit 10% up to 1GiB or kill largest in subtree",
        "; bpf_oom_kill_process",
        "; oom_control.memcg",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let document = document(&folder);
    assert_eq!(document["digest_holds"], true);
    assert_eq!(document["page_size"], 16_384);
    assert_eq!(document["name"], "job");
    let needed = document["needed"].as_array().unwrap();
    assert!(needed.contains(&"bpf_oom_kill_process".into()), "{needed:?}");
    assert_eq!(document["optional"], Value::from(vec!["bpf_mem_cgroup_raise_max"]));
    let code = document["code"].as_array().unwrap();
    assert!(code.iter().any(|one| one["source"]["line"] == 2), "lines of the policy");
}

#[test]
fn a_changed_object_is_foreign() {
    let folder = folder("changed");
    let mut bytes = fs::read(folder.join("job.o")).unwrap();
    // The types hold the lines of the policy, too; the text stands behind them.
    let at = bytes.windows(16).rposition(|bytes| bytes == b"largest in subtr").unwrap();
    bytes[at] = b'L';
    fs::write(folder.join("job.o"), bytes).unwrap();
    let (exit, text) = oomc(&folder, &["inspect", "job.o"]);
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("foreign       its hash is not that of its text"), "{text}");
    let document = document(&folder);
    assert_eq!((&document["digest_holds"], &document["exit"]), (&false.into(), &"errors".into()));
    assert_eq!(document["foreign"].as_array().unwrap().len(), 2, "{document}");
}

#[test]
fn an_object_for_other_pages_is_refused_as_a_lack() {
    let folder = folder("pages");
    let (exit, text) = oomc(&folder, &["load", "job.o", "--cgroup", "/oomc-tests/no-such-cgroup"]);
    // What this machine's pages have is not known here, but no machine of ours has 16 KiB.
    assert_eq!(exit, 3, "{text}");
    assert!(text.contains("the object is for pages of 16384 bytes"), "{text}");
}

#[test]
fn what_is_no_object_is_refused() {
    let folder = folder("none");
    let (exit, text) = oomc(&folder, &["inspect", "job.oom"]);
    assert_eq!(exit, 4, "{text}");
    assert!(text.contains("job.oom: not an object file"), "{text}");
}
