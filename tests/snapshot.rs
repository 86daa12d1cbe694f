//! `oomc snapshot`: what the program writes of a tree that was made for it, and how it ends when it cannot.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_sim::machine::Machine;
use oomc_snapshot::{Roots, Snapshot, parse, read};
use serde_json::Value;

/// A folder of its own for each test, with a cgroup tree and a /proc in it.
struct Tree {
    folder: PathBuf,
}

impl Tree {
    /// `/job` with `/job/a` and `/job/b`, `/bare` without the memory controller, four processes.
    fn new(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("snapshot").join(name);
        let _ = fs::remove_dir_all(&folder);
        let tree = Self { folder };
        tree.file("proc/meminfo", "MemTotal:        8388608 kB\nMemFree:           1024 kB\n");
        tree.file("proc/uptime", "90.25 100.00\n");
        tree.file("cgroup/memory.stat", "anon 104857600\nfile 52428800\n");
        for (path, mebibytes) in [("job", 80), ("job/a", 50), ("job/b", 20)] {
            let file = |name: &str, text: &str| tree.file(&format!("cgroup/{path}/{name}"), text);
            file("memory.current", &format!("{}\n", mebibytes << 20));
            file("memory.max", "104857600\n");
            file("memory.stat", &format!("anon {}\nfile 4096\n", mebibytes << 19));
        }
        tree.file("cgroup/bare/cgroup.procs", "");
        tree.process(100, "/job/a", "worker", 1000);
        tree.process(101, "/job/b", "a) b (c", 1001);
        tree.process(102, "/bare", "worker", 0);
        tree.process(103, "/job/gone (deleted)", "orphan", 1000);
        tree
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn process(&self, pid: u32, cgroup: &str, comm: &str, uid: u32) {
        let file = |name: &str, text: &str| self.file(&format!("proc/{pid}/{name}"), text);
        let numbers = "1 1 1 0 -1 4194560 9 0 0 0 0 0 0 0 20 0 3 0 250 3133440 414";
        file("stat", &format!("{pid} ({comm}) S {numbers}\n"));
        file("comm", &format!("{comm}\n"));
        file("status", &format!("Name:\t{comm}\nUid:\t{uid}\t0\t0\t0\nRssAnon:\t    2048 kB\nThreads:\t3\n"));
        file("cgroup", &format!("4:memory:/elsewhere\n0::{cgroup}\n"));
        file("oom_score_adj", "-200\n");
    }

    /// As the library reads it.
    fn read(&self) -> Snapshot {
        let roots = Roots { cgroups: self.folder.join("cgroup"), proc: self.folder.join("proc") };
        read(&roots, None, &mut |_| {}).unwrap().snapshot
    }

    /// Runs the program on the tree. Exit code, standard output, standard error.
    fn oomc(&self, args: &[&str]) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oomc"));
        command.args(["snapshot", "--cgroup-root", "cgroup", "--proc-root", "proc"]).args(args);
        let output = command.current_dir(&self.folder).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    fn written(&self, name: &str) -> Snapshot {
        parse(&fs::read(self.folder.join(name)).unwrap()).unwrap()
    }
}

#[test]
fn the_program_writes_what_is_read() {
    let tree = Tree::new("program");
    let (exit, stdout, stderr) = tree.oomc(&["-o", "s.json"]);
    assert_eq!((exit, stdout.as_str()), (0, "s.json: 5 cgroups, 4 processes\n"), "{stderr}");
    assert_eq!(stderr, "warning: the memory controller is off in 1 cgroups\n", "no bar where nobody watches");
    assert_eq!(tree.written("s.json"), tree.read());
    let (exit, stdout, stderr) = tree.oomc(&["-q", "-o", "quiet.json"]);
    assert_eq!((exit, stdout.as_str(), stderr.as_str()), (0, "", ""));
    let (exit, stdout, _) = tree.oomc(&["-o", "-"]);
    assert_eq!((exit, parse(stdout.as_bytes()).unwrap()), (0, tree.read()));
}

#[test]
fn one_cgroup_is_meant_by_its_path_from_the_mount_however_that_is_written() {
    let tree = Tree::new("one");
    tree.process(104, "/job/a-2", "outside", 0);
    for path in ["/job/a", "job/a", "job//a/", "cgroup/job/a"] {
        let (exit, _, stderr) = tree.oomc(&["-o", "s.json", "--cgroup", path]);
        assert_eq!(exit, 0, "{path}: {stderr}");
        let snapshot = tree.written("s.json");
        let paths: Vec<&str> = snapshot.cgroups.iter().map(|one| one.path.as_str()).collect();
        assert_eq!((snapshot.top.as_str(), paths.as_slice()), ("/job/a", ["/", "/job", "/job/a"].as_slice()));
        let pids: Vec<i64> = snapshot.processes.iter().map(|one| one.pid).collect();
        assert_eq!(pids, [100], "`/job/a-2` is not below `/job/a`");
    }
}

#[test]
fn programs_get_counts() {
    let tree = Tree::new("json");
    let (exit, stdout, stderr) = tree.oomc(&["--format", "json", "-o", "s.json", "--cgroup", "/job"]);
    assert_eq!((exit, stderr.as_str()), (0, ""));
    let value: Value = serde_json::from_str(&stdout).unwrap();
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    assert_eq!(
        (text("command"), text("exit"), text("output")),
        ("snapshot".into(), "ok".into(), "s.json".into())
    );
    assert_eq!((count("schema"), count("cgroups"), count("processes")), (Some(1), Some(4), Some(3)));
}

#[test]
fn redaction_leaves_no_name_and_keeps_who_is_who() {
    let tree = Tree::new("redact");
    let (exit, _, stderr) = tree.oomc(&["-o", "s.json", "--redact"]);
    assert_eq!(exit, 0, "{stderr}");
    let text = fs::read_to_string(tree.folder.join("s.json")).unwrap();
    for name in ["job", "bare", "worker", "orphan"] {
        assert!(!text.contains(name) && !stderr.contains(name), "`{name}` is still there");
    }
    let (redacted, whole) = (tree.written("s.json"), tree.read());
    // Who had the same name has the same name, and nobody else.
    for (a, b) in redacted.processes.iter().zip(&whole.processes) {
        for (c, d) in redacted.processes.iter().zip(&whole.processes) {
            assert_eq!(a.comm == c.comm, b.comm == d.comm);
            assert_eq!(a.cgroup == c.cgroup, b.cgroup == d.cgroup);
            assert_eq!(a.uid == c.uid, b.uid == d.uid);
        }
        assert_eq!((a.uid == 0, a.anon), (b.uid == 0, b.anon));
    }
    let shape = |machine: &Machine| -> Vec<_> {
        machine.cgroups.iter().map(|one| (one.parent, one.own, one.serial)).collect()
    };
    assert_eq!(shape(&redacted.machine()), shape(&whole.machine()));
}

#[test]
fn what_cannot_be_read_is_a_clear_error_and_writes_nothing() {
    let tree = Tree::new("errors");
    let refused = |args: &[&str], words: &[&str]| {
        let (exit, _, stderr) = tree.oomc(args);
        assert_eq!(exit, 4, "{args:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{args:?}: `{word}` is not in {stderr}");
        }
        assert!(!tree.folder.join("s.json").exists(), "{args:?}: a file was written all the same");
    };
    let help = "a path from the cgroup2 mount";
    refused(&["-o", "s.json", "--cgroup", "/none"], &["there is no cgroup /none", help]);
    refused(&["-o", "s.json", "--cgroup", "/job/a/none/deep"], &["there is no cgroup /job/a/none/deep"]);
    refused(&["-o", "s.json", "--cgroup", "../proc"], &["no `..`", help]);
    refused(&["-o", "none/s.json"], &["none/s.json"]);
    fs::remove_file(tree.folder.join("proc/uptime")).unwrap();
    refused(&["-o", "s.json"], &["cannot read proc/uptime"]);
    tree.file("proc/uptime", "long\n");
    refused(&["-o", "s.json"], &["proc/uptime does not say how long the machine runs"]);
    tree.file("proc/uptime", "1.00 1.00\n");
    tree.file("proc/meminfo", "MemFree: 1 kB\n");
    refused(&["-o", "s.json"], &["proc/meminfo does not say how much memory there is"]);
    tree.file("proc/meminfo", "MemTotal: 1 kB\n");
    fs::remove_dir_all(tree.folder.join("cgroup")).unwrap();
    refused(&["-o", "s.json"], &["cannot read cgroup"]);
}

#[test]
fn the_machine_that_runs_this_is_read() {
    // Whatever cgroups it has; its processes it has.
    let tree = Tree::new("live");
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(PathBuf::from);
    let cgroups = mounts.into_iter().find(|path| path.join("cgroup.controllers").exists());
    let roots = Roots { cgroups: cgroups.unwrap_or(tree.folder.join("cgroup")), proc: "/proc".into() };
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    assert_eq!(parse(&serde_json::to_vec(&snapshot).unwrap()).unwrap(), snapshot);
    let own = snapshot.processes.iter().find(|one| one.pid == i64::from(std::process::id())).unwrap();
    assert!(own.anon > 0 && own.start > 0 && own.start <= snapshot.now + 1_000_000_000);
    let machine = snapshot.machine();
    assert_eq!(machine.cgroups.len(), snapshot.cgroups.len());
    assert_eq!(machine.processes.len(), snapshot.processes.len());
}

/// What it holds is read, and a file of schema 1, which said nothing of it, is read as one that does not know.
#[test]
fn swap_parents_and_pid_namespaces() {
    let tree = Tree::new("second");
    tree.file("proc/meminfo", "MemTotal: 8388608 kB\nSwapTotal: 1048576 kB\nSwapFree: 4096 kB\n");
    tree.file("proc/sys/vm/swappiness", "0\n");
    tree.process(200, "/elsewhere", "shim", 0);
    tree.file("proc/100/stat", "100 (worker) S 200 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 3 0 250 0 0\n");
    tree.file("proc/100/status", "Uid:\t0\t0\t0\t0\nNSpid:\t100\t40\t1\n");
    let (exit, _, stderr) = tree.oomc(&["-o", "s.json", "--cgroup", "/job/a"]);
    assert_eq!(exit, 0, "{stderr}");
    let snapshot = tree.written("s.json");
    assert_eq!((snapshot.swap, snapshot.swap_free, snapshot.no_swapping), (1 << 30, 4 << 20, true));
    let pids: Vec<i64> = snapshot.processes.iter().map(|one| one.pid).collect();
    assert_eq!(pids, [100, 200], "with whom it descends from, wherever that is");
    let machine = snapshot.machine();
    assert_eq!((machine.process(machine.parent(0)).comm.as_str(), machine.ns_pid(0)), ("shim", 1));
    assert_eq!(machine.process(machine.parent(1)).comm, "init", "which this tree does not have");
    assert_eq!(machine.processes[1].cgroup, 0, "its cgroup is left out: what is above has it");
    let old = Snapshot { schema: 1, ..snapshot };
    let machine = parse(serde_json::to_string(&old).unwrap().as_bytes()).unwrap().machine();
    assert!(machine.unknown.swap && machine.unknown.parents);
}

#[test]
fn where_no_memory_controller_of_v2_counts_nothing_is_read() {
    let tree = Tree::new("v1");
    let refused = |args: &[&str]| {
        let (exit, _, stderr) = tree.oomc(&[&["-o", "s.json"], args].concat());
        assert_eq!(exit, 3, "{stderr}");
        stderr
    };
    assert!(refused(&["--cgroup", "/bare"]).contains("bare: the memory controller is off in this cgroup"));
    tree.file("cgroup/cgroup.controllers", "cpu io pids\n");
    assert!(refused(&[]).contains("cgroup2 is not mounted with a memory controller"));
    fs::remove_dir_all(tree.folder.join("cgroup")).unwrap();
    tree.file("cgroup/memory/job/memory.limit_in_bytes", "1073741824\n");
    tree.file("cgroup/memory/job/tasks", "");
    assert!(refused(&[]).contains("this is no cgroup v2"), "{}", refused(&[]));
}
