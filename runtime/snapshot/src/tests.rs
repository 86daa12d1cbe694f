//! Machines in files: what is read of a small one, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use oomc_sim::machine::{Life, PAGE};

use crate::{Error, Roots, Snapshot, parse, read};

fn folder(name: &str) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("oomc-snapshot-{}-{number}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn put(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

fn stat(pid: i64, comm: &str, state: &str, flags: u64, threads: i64, start: i64) -> String {
    format!("{pid} ({comm}) {state} 1 1 1 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 {threads} 0 {start} 0 0\n")
}

/// `/job` (limit 100 MiB) with `a` below it, and three processes, one of them a kernel thread.
fn machine(name: &str) -> Roots {
    let folder = folder(name);
    put(
        &folder,
        &[
            ("cg/memory.stat", "anon 41943040\nfile 4194304\n"),
            ("cg/cgroup.procs", ""),
            ("cg/job/memory.current", "52428800\n"),
            ("cg/job/memory.max", "104857600\n"),
            ("cg/job/memory.high", "max\n"),
            ("cg/job/memory.low", "0\n"),
            ("cg/job/memory.min", "4096\n"),
            ("cg/job/memory.oom.group", "1\n"),
            (
                "cg/job/memory.stat",
                "anon 40000000\nfile 2000000\npgscan 7\nworkingset_refault_anon 2\nworkingset_refault_file 3\n",
            ),
            ("cg/job/memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\n"),
            (
                "cg/job/memory.pressure",
                "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.50 avg60=0.00 avg300=0.00 total=1\n",
            ),
            ("cg/job/a/memory.current", "20971520\n"),
            ("cg/job/a/memory.max", "max\n"),
            ("cg/job/a/memory.stat", "anon 10000000\n"),
            ("cg/job/bare/cgroup.procs", ""),
            ("proc/meminfo", "MemTotal:        1048576 kB\nMemFree: 1 kB\n"),
            ("proc/uptime", "1000.25 3.00\n"),
            ("proc/sys/kernel/osrelease", "6.12.0-test\n"),
            ("proc/2/stat", &stat(2, "kthreadd", "S", 0x0020_8040, 1, 0)),
            ("proc/2/comm", "kthreadd-with-a-long-name\n"),
            ("proc/2/status", "Name: kthreadd\nUid:\t0\t0\t0\t0\n"),
            ("proc/2/cgroup", "0::/\n"),
            ("proc/2/oom_score_adj", "0\n"),
            ("proc/100/stat", &stat(100, "a) b (c", "S", 0x0040_0000, 3, 12_345)),
            ("proc/100/comm", "a) b (c\n"),
            (
                "proc/100/status",
                "Uid:\t1000\t0\t0\t0\nRssAnon:\t  8192 kB\nRssFile:\t 4 kB\nRssShmem:\t 0 kB\nVmSwap:\t 12 kB\nVmPTE:\t 44 kB\n",
            ),
            ("proc/100/cgroup", "12:cpu:/x\n0::/job/a\n"),
            ("proc/100/oom_score_adj", "-500\n"),
            ("proc/101/stat", &stat(101, "gone", "Z", 0, 1, 1)),
            ("proc/101/comm", "gone\n"),
            ("proc/101/status", "Uid:\t0\t0\t0\t0\n"),
            ("proc/101/cgroup", "0::/job/old (deleted)\n"),
            ("proc/101/oom_score_adj", "0\n"),
            ("proc/102/stat", "102 (vanished"),
            ("proc/self/stat", ""),
        ],
    );
    Roots { cgroups: folder.join("cg"), proc: folder.join("proc") }
}

fn small() -> Snapshot {
    let roots = machine("small");
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let _ = fs::remove_dir_all(roots.proc.parent().unwrap());
    snapshot
}

#[test]
fn a_tree_is_read_field_by_field() {
    let roots = machine("fields");
    let mut last = None;
    let reading = read(&roots, None, &mut |progress| last = Some(progress)).unwrap();
    let snapshot = reading.snapshot;
    assert_eq!(last.map(|last| (last.cgroups, last.processes, last.of)), Some((4, 4, 4)));
    assert_eq!((snapshot.memory, snapshot.now), (1 << 30, 1_000_250_000_000));
    assert_eq!(snapshot.kernel.as_deref(), Some("6.12.0-test"));
    let paths: Vec<&str> = snapshot.cgroups.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/", "/job", "/job/a", "/job/bare"]);
    let job = &snapshot.cgroups[1];
    assert_eq!((job.max, job.high, job.low, job.min), (Some(100 << 20), None, None, Some(4096)));
    assert!(job.oom_group && job.controller && !snapshot.cgroups[3].controller);
    assert_eq!(job.statistics.unwrap().refault, 5);
    assert_eq!(job.events.unwrap().oom_kill, 2);
    assert_eq!(job.pressure.unwrap().some.avg10, 1.5);
    let pids: Vec<i64> = snapshot.processes.iter().map(|one| one.pid).collect();
    assert_eq!(pids, [2, 100, 101]);
    assert_eq!(snapshot.processes[0].comm, "kthreadd-with-a");
    let one = &snapshot.processes[1];
    assert_eq!((one.comm.as_str(), one.cgroup.as_str(), one.uid), ("a) b (c", "/job/a", 1000));
    assert_eq!((one.anon, one.file, one.swap, one.page_tables), (8 << 20, 4096, 12 << 10, 44 << 10));
    assert_eq!((one.threads, one.start, one.oom_score_adj), (3, 123_450_000_000, -500));
    assert_eq!(snapshot.processes[2].cgroup, "/job", "its own is gone");
    assert_eq!(
        reading.remarks,
        [
            "1 cgroups or processes were gone before they were read",
            "the memory controller is off in 1 cgroups"
        ]
    );
    assert_eq!(parse(&serde_json::to_vec(&snapshot).unwrap()), Ok(snapshot), "as it was written");
}

#[test]
fn one_cgroup_alone_with_what_is_above_it() {
    let roots = machine("only");
    let snapshot = read(&roots, Some("job/a/"), &mut |_| {}).unwrap().snapshot;
    let paths: Vec<&str> = snapshot.cgroups.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["/", "/job", "/job/a"]);
    assert_eq!(snapshot.top, "/job/a");
    assert_eq!(snapshot.processes.len(), 1);
    let missing = read(&roots, Some("/job/b"), &mut |_| {}).map_err(|error| error.to_string());
    assert_eq!(missing.unwrap_err(), "there is no cgroup /job/b");
    let nowhere = Roots { cgroups: "/nowhere".into(), ..roots };
    let error = read(&nowhere, None, &mut |_| {}).map_err(|error| error.to_string()).unwrap_err();
    assert!(error.starts_with("cannot read /nowhere: "), "{error}");
}

#[test]
fn each_cgroup_of_the_model_has_its_own_share() {
    let machine = small().machine();
    assert_eq!(machine.memory, (1 << 30) / PAGE);
    let own: Vec<i64> = machine.cgroups.iter().map(|one| one.own.charged * PAGE >> 20).collect();
    assert_eq!(own, [0, 30, 20, 0]);
    assert_eq!(machine.cgroups[1].own.anon, 30_000_000);
    assert_eq!(machine.sum(0, |own| own.anon), 41_943_040);
    assert!(machine.cgroups[3].bare && machine.cgroups[1].group);
    assert_eq!(machine.cgroups[1].pressure, Some([[3072, 0, 0], [1024, 0, 0]]));
    assert_eq!(machine.processes[1].anon, (8 << 20) / PAGE);
    assert!(machine.processes[0].kernel && machine.processes[2].life != Life::Lives);
}

#[test]
fn what_is_redacted_says_no_name_and_is_the_same_machine() {
    let (open, mut closed) = (small(), small());
    closed.redact();
    let text = serde_json::to_string(&closed).unwrap();
    for name in ["job", "bare", "kthreadd", "a) b", "gone", "6.12", "1000,"] {
        assert!(
            !text.contains(&format!("\"{name}")) && !text.contains(&format!("/{name}")),
            "{name}: {text}"
        );
    }
    assert_eq!(closed.processes[1].cgroup, closed.cgroups[2].path, "the same name, the same replacement");
    let bare = |snapshot: &Snapshot| {
        let mut machine = snapshot.machine();
        machine.cgroups.iter_mut().for_each(|one| one.name.clear());
        machine.processes.iter_mut().for_each(|one| one.comm.clear());
        machine.processes.iter_mut().for_each(|one| one.uid = 0);
        machine
    };
    assert_eq!(bare(&open), bare(&closed));
    assert_eq!(parse(text.as_bytes()), Ok(closed));
}

/// The error of a snapshot that was changed by hand.
fn refused(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut value = serde_json::to_value(small()).unwrap();
    change(&mut value);
    match parse(value.to_string().as_bytes()) {
        Ok(_) => "read".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_mistake_is_told_with_its_place() {
    for (change, expected) in [
        (("/cgroups/1/parent", "/job/a".into()), "cgroups[1].parent: /job is above itself"),
        (("/cgroups/2/parent", "/jobs".into()), "cgroups[2].parent: the parent of /job/a, /jobs, is missing"),
        (("/cgroups/2/parent", "/".into()), "cgroups[2].parent: / is not above /job/a"),
        (("/cgroups/2/path", "/job".into()), "cgroups[2].path: cgroups[1] is /job, too"),
        (("/cgroups/2/path", "/job/..".into()), "cgroups[2].path: /job/.. is no path of a cgroup"),
        (("/cgroups/2/path", "/job/\0".into()), "cgroups[2].path: a path cannot hold a NUL"),
        (("/cgroups/2/id", (-1).into()), "cgroups[2].id: -1 is not the id of one cgroup"),
        (("/cgroups/1/max", (-4096).into()), "cgroups[1].max: -4096 is negative"),
        (
            ("/cgroups/1/current", i64::MAX.into()),
            "cgroups[1].current: 9223372036854775807 is more than any machine has",
        ),
        (("/cgroups/1/statistics/anon", (-1).into()), "cgroups[1].statistics.anon: -1 is negative"),
        (
            ("/cgroups/1/pressure/full/avg10", 101.0.into()),
            "cgroups[1].pressure.full: a share of time is from 0 to 100 percent",
        ),
        (("/memory", (-1).into()), "memory: -1 is negative"),
        (("/now", (-1).into()), "now: a clock is not negative"),
        (("/top", "/none".into()), "top: there is no cgroup /none"),
        (("/schema", 2.into()), "the snapshot is of schema 2; this version of oomc reads schema 1"),
        (("/processes/1/pid", 2.into()), "processes[1].pid: processes[0] is number 2, too"),
        (("/processes/1/pid", 0.into()), "processes[1].pid: 0 is not from 1 to 4194304"),
        (("/processes/1/cgroup", "/x".into()), "processes[1].cgroup: there is no cgroup /x"),
        (("/processes/1/anon", (-5).into()), "processes[1].anon: -5 is negative"),
        (
            ("/processes/1/oom_score_adj", 1001.into()),
            "processes[1].oom_score_adj: 1001 is not from -1000 to 1000",
        ),
        (
            ("/processes/1/comm", "a name of 16 byt".into()),
            "processes[1].comm: a command name has at most 15 bytes, and none is NUL",
        ),
        (
            ("/processes/1/threads", (1_i64 << 40).into()),
            "processes: together they have more than 4194304 threads",
        ),
    ] {
        let ((place, value), expected): ((&str, serde_json::Value), &str) = (change, expected);
        let set = |all: &mut serde_json::Value| *all.pointer_mut(place).unwrap() = value;
        assert_eq!(refused(set), expected, "{place}");
    }
    let behind = refused(|value| value["cgroups"].as_array_mut().unwrap().swap(1, 2));
    assert_eq!(behind, "cgroups[1].parent: /job stands behind /job/a; a parent stands before");
    let none = refused(|value| value["cgroups"].as_array_mut().unwrap().clear());
    assert_eq!(none, "cgroups[0]: the first cgroup has to be the root, `/`, without a parent");
    let word = refused(|value| drop(value.as_object_mut().unwrap().insert("speed".to_owned(), 1.into())));
    assert!(word.starts_with("line 1, column ") && word.contains("unknown field `speed`"), "{word}");
}

#[test]
fn a_text_that_is_no_snapshot() {
    let whole = serde_json::to_string_pretty(&small()).unwrap();
    let error = |bytes: &[u8]| parse(bytes).map(drop).unwrap_err().to_string();
    assert_eq!(error(b""), "line 1, column 0: the file ends too early: EOF while parsing a value");
    assert!(error(b"kill largest in subtree").starts_with("line 1, column 1: expected value"));
    assert!(error(b"{\"schema\": 1}").contains("missing field `top`"));
    assert_eq!(error(b"{\"a\": \n \xff}"), "line 2, column 2: this is not UTF-8");
    let cut = &whole.as_bytes()[..whole.len() / 2];
    let error = error(cut);
    assert!(error.contains("the file ends too early"), "{error}");
    // Wherever it is cut.
    for end in 0..whole.len() - 1 {
        assert!(parse(&whole.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn more_processes_than_the_kernel_can_number() {
    let one = r#"{"pid":1,"cgroup":"/","comm":"a","uid":0,"oom_score_adj":0,"threads":1,"start":0},"#;
    let head = r#"{"schema":1,"top":"/","memory":1,"now":1,"cgroups":[],"processes":["#;
    // Ten million in the text; the reader gives up before it has seen half of them.
    let mut text = String::with_capacity(head.len() + one.len() * 10_000_000);
    text.push_str(head);
    for _ in 0..10_000_000 {
        text.push_str(one);
    }
    let error = parse(text.as_bytes()).map(drop).unwrap_err();
    let Error::Json { text, .. } = error else { panic!("{error}") };
    assert_eq!(text, "more than 4194304 processes");
}

#[test]
fn whatever_stands_in_the_file_nothing_panics() {
    let whole = serde_json::to_vec(&small()).unwrap();
    let mut state = 1_u64;
    let mut next = |most: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % most
    };
    let bytes = b"0123456789-{}[],:\"/.e\\ \xff\0abct";
    let mut read = 0;
    for _ in 0..20_000 {
        let mut text = whole.clone();
        for _ in 0..=next(3) {
            let at = next(text.len());
            match next(3) {
                0 => drop(text.remove(at)),
                1 => text[at] = bytes[next(bytes.len())],
                _ => text.insert(at, bytes[next(bytes.len())]),
            }
        }
        if let Ok(snapshot) = parse(&text) {
            read += 1;
            let machine = snapshot.machine();
            assert!(machine.cgroups.iter().all(|one| one.own.charged >= 0));
        }
    }
    assert!(read > 100, "most changes would otherwise be of the same kind: {read}");
}
