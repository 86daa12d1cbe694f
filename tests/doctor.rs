//! What `oomc doctor` finds on machines that are made of files, and what it says to do.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test whose files cannot be written, or whose document lacks a member, has failed"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_compiler::KernelView;
use oomc_tests::child::fresh_folder;
use serde_json::Value;

const MOUNTS: &str = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 none rw\n\
                      31 23 0:27 / /sys/fs/bpf rw,nosuid - bpf bpf rw,mode=700\n";

/// A machine on which policies run.
fn machine(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor").join(name);
    let files = [
        ("proc/sys/kernel/osrelease", "6.12.117\n"),
        ("proc/self/mountinfo", MOUNTS),
        ("proc/self/status", "Name:\toomc\nCapEff:\t000001ffffffffff\n"),
        ("proc/pressure/memory", "some avg10=0.00\n"),
        ("proc/meminfo", "MemTotal: 8388608 kB\nSwapTotal: 2097152 kB\n"),
        ("proc/sys/vm/panic_on_oom", "0\n"),
        ("proc/sys/vm/oom_kill_allocating_task", "0\n"),
        ("proc/1/comm", "systemd\n"),
        ("sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n"),
        ("sys/fs/cgroup/cgroup.subtree_control", "memory pids\n"),
    ];
    fresh_folder(&root, &[]).unwrap();
    for (path, text) in files {
        put(&root, path, text.as_bytes());
    }
    put(&root, "sys/kernel/btf/vmlinux", KernelView::embedded_btf());
    fs::create_dir_all(root.join("sys/fs/bpf")).unwrap();
    mode(&root, 0o700);
    root
}

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn mode(root: &Path, mode: u32) {
    fs::set_permissions(root.join("sys/fs/bpf"), fs::Permissions::from_mode(mode)).unwrap();
}

fn doctor(root: &Path, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
    let output = command.args(more).args(["doctor", "--root"]).arg(root).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

/// What is found of one thing: grade, sentence, and what to do.
fn found(root: &Path, topic: &str) -> (String, String, String) {
    let (_, text) = doctor(root, &["--format", "json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    let one = document["findings"].as_array().unwrap().iter().find(|one| one["topic"] == topic);
    let one = one.unwrap_or_else(|| panic!("nothing of {topic}: {text}"));
    let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
    (text("grade"), text("found"), text("todo"))
}

fn assert_found(root: &Path, topic: &str, grade: &str, words: &str, todo: &str) {
    let one = found(root, topic);
    assert_eq!(one.0, grade, "{one:?}");
    assert!(one.1.contains(words) && one.2.contains(todo), "{one:?}");
}

#[test]
fn a_machine_on_which_policies_run() {
    let root = machine("good");
    let (exit, text) = doctor(&root, &[]);
    assert_eq!(exit, 0, "{text}");
    assert!(text.starts_with("policies can be loaded here\n"), "{text}");
    let (_, text) = doctor(&root, &["--verbose"]);
    for words in [
        "good     kernel: Linux 6.12.117",
        "good     profile: policies attach by BPF_F_CGROUP_FD",
        "good     function bpf_oom_kill_process: is there",
        "good     cgroups: cgroup2 is mounted at /sys/fs/cgroup",
        "good     swap: 2048 MiB",
        "good     bpffs: /sys/fs/bpf has mode 0700",
        "good     other daemons: none",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn a_kernel_without_what_policies_need() {
    let root = machine("kernel");
    put(
        &root,
        "sys/kernel/btf/vmlinux",
        &fs::read(oomc_tests::root().join("tests/btf/no_raise.btf")).unwrap(),
    );
    assert_found(&root, "function bpf_mem_cgroup_raise_max", "note", "is not there", "raise_limit");
    assert_eq!(doctor(&root, &[]).0, 0);
    put(&root, "sys/kernel/btf/vmlinux", b"no types");
    assert_found(&root, "types", "bad", "cannot be read", "");
    fs::remove_file(root.join("sys/kernel/btf/vmlinux")).unwrap();
    assert_found(&root, "types", "bad", "cannot be read", "CONFIG_DEBUG_INFO_BTF=y");
    assert_eq!(doctor(&root, &[]).0, 3);
}

#[test]
fn a_bpffs_that_others_may_write_to_is_no_place_for_pins() {
    let root = machine("bpffs");
    mode(&root, 0o1777);
    assert_found(&root, "bpffs", "bad", "mode 1777", "chmod 0700 /sys/fs/bpf");
    put(&root, "proc/self/mountinfo", MOUNTS.replace("- bpf bpf", "- tmpfs tmpfs").as_bytes());
    assert_found(&root, "bpffs", "bad", "is tmpfs, not bpffs", "mount -t bpf");
    put(&root, "proc/self/mountinfo", MOUNTS.replace("rw,nosuid", "ro,nosuid").as_bytes());
    assert_found(&root, "bpffs", "bad", "read-only", "remount,rw");
    put(&root, "proc/self/mountinfo", MOUNTS.lines().next().unwrap().as_bytes());
    assert_found(&root, "bpffs", "note", "nothing is mounted", "mount -t bpf");
}

#[test]
fn cgroups_that_policies_cannot_be_attached_to() {
    let root = machine("cgroups");
    let mounts = |text: &str| put(&root, "proc/self/mountinfo", text.as_bytes());
    mounts("30 23 0:26 /job /sys/fs/cgroup rw - cgroup2 none rw\n");
    assert_found(&root, "cgroups", "bad", "only a part of the cgroups, /job", "namespace");
    mounts("30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup none rw,memory\n");
    assert_found(&root, "cgroups", "bad", "version 1", "unified_cgroup_hierarchy");
    mounts(MOUNTS);
    put(&root, "sys/fs/cgroup/cgroup.controllers", b"cpu pids\n");
    assert_found(&root, "controllers", "bad", "no memory controller", "CONFIG_MEMCG");
    put(&root, "sys/fs/cgroup/cgroup.controllers", b"cpu memory\n");
    put(&root, "sys/fs/cgroup/cgroup.subtree_control", b"cpu\n");
    assert_found(&root, "controllers", "note", "nowhere", "echo +memory");
}

#[test]
fn settings_daemons_and_privileges() {
    let root = machine("others");
    put(&root, "proc/sys/vm/panic_on_oom", b"1\n");
    put(&root, "proc/sys/vm/oom_kill_allocating_task", b"1\n");
    put(&root, "proc/412/comm", b"systemd-oomd\n");
    put(&root, "proc/413/comm", b"earlyoom\n");
    put(&root, "proc/self/status", b"CapEff:\t0000000000000000\n");
    fs::remove_file(root.join("proc/pressure/memory")).unwrap();
    assert_found(&root, "panic_on_oom", "bad", "is 1", "sysctl vm.panic_on_oom=0");
    assert_found(&root, "oom_kill_allocating_task", "bad", "is 1", "sysctl vm.oom_kill_allocating_task=0");
    assert_found(&root, "other daemons", "note", "earlyoom runs", "stop earlyoom");
    assert_found(&root, "capabilities", "bad", "may not load", "CAP_BPF");
    assert_found(&root, "pressure", "note", "does not measure", "psi=1");
    let (exit, text) = doctor(&root, &[]);
    assert_eq!(exit, 3, "{text}");
    assert!(text.contains("note     other daemons: systemd-oomd runs"), "{text}");
    assert!(text.contains("3 findings keep policies from being loaded or asked here"), "{text}");
}
