//! Machines in files: what is read of a small one, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use oomc_abi::amounts::{File, ROWS};
use oomc_sim::machine::{Life, PAGE};
use serde_json::Value;

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
            ("proc/101/cgroup", "0::/job/young\n"),
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
    assert_eq!(snapshot.processes[2].cgroup, "/job", "its own is younger than the list");
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
fn each_amount_of_the_table_is_read_written_checked_and_modelled() {
    let roots = machine("amounts");
    let place = roots.cgroups.join("job/a");
    let mut texts = [String::new(), String::new()];
    // A number of its own for each key.
    for (number, key) in ROWS.iter().flat_map(|row| row.keys.iter().map(|key| (row.file, *key))).enumerate() {
        let text = &mut texts[usize::from(key.0 == File::Events)];
        text.push_str(&format!("{} {}\n", key.1, 4096 * (number + 1)));
    }
    fs::write(place.join("memory.stat"), &texts[0]).unwrap();
    fs::write(place.join("memory.events"), &texts[1]).unwrap();
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let json = serde_json::to_value(&snapshot).unwrap();
    let model = snapshot.machine();
    let leaf = &model.cgroups[2];
    assert_eq!(leaf.name, "a");
    let mut number = 0;
    for row in ROWS {
        let expected: i64 = row
            .keys
            .iter()
            .map(|_| {
                number += 1;
                4096 * number
            })
            .sum();
        let file = if row.file == File::Events { "events" } else { "statistics" };
        let pointer = format!("/cgroups/2/{file}/{}", row.member);
        assert_eq!(json.pointer(&pointer).and_then(Value::as_i64), Some(expected), "{pointer}");
        assert_eq!(leaf.own.get(row.amount), expected, "{pointer}");
        let mut wrong = json.clone();
        *wrong.pointer_mut(&pointer).unwrap() = (-1).into();
        let error = parse(&serde_json::to_vec(&wrong).unwrap()).unwrap_err().to_string();
        assert_eq!(error, format!("cgroups[2].{file}.{}: -1 is negative", row.member));
    }
}

#[test]
fn who_has_exited_in_a_removed_cgroup_is_in_none() {
    let roots = machine("removed");
    let folder = roots.proc.parent().unwrap();
    // By now another one may have its path.
    put(folder, &[("proc/101/cgroup", "0::/job/a (deleted)\n")]);
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    assert_eq!(snapshot.processes.iter().map(|one| one.pid).collect::<Vec<_>>(), [2, 100]);
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn memory_is_that_of_the_threads_that_are_left() {
    let roots = machine("leader");
    let folder = roots.proc.parent().unwrap();
    let status = fs::read_to_string(folder.join("proc/100/status")).unwrap();
    put(
        folder,
        &[
            ("proc/100/stat", &stat(100, "a) b (c", "Z", 0x0040_0000, 3, 12_345)),
            ("proc/100/status", "Uid:\t1000\t0\t0\t0\n"),
            ("proc/100/task/100/status", "Uid:\t1000\t0\t0\t0\n"),
            ("proc/100/task/104/status", &status),
        ],
    );
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let machine = snapshot.machine();
    let one = machine.processes.iter().find(|one| one.pid == 100).unwrap();
    assert_eq!(
        (one.leader_gone, one.life, one.anon * PAGE, one.pgtables),
        (true, Life::Lives, 8 << 20, 44 << 10)
    );
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn who_was_killed_and_still_has_its_memory_is_dying() {
    let roots = machine("killed");
    let folder = roots.proc.parent().unwrap();
    let status = fs::read_to_string(folder.join("proc/100/status")).unwrap();
    // Each set is a mask; the ninth bit from the right is SIGKILL's.
    for (pending, killed) in [
        ("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000000\n", false),
        ("SigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n", true),
        ("SigPnd:\t0000000000000000\nShdPnd:\t0000000000004100\n", true),
        ("SigPnd:\t0000000000004000\nShdPnd:\tfffffffffffffeff\n", false),
        ("SigPnd:\tno mask\n", false),
    ] {
        put(folder, &[("proc/100/status", &format!("{status}{pending}"))]);
        let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
        let process = snapshot.processes.iter().position(|one| one.pid == 100).unwrap();
        assert_eq!(snapshot.processes[process].killed, killed, "{pending}");
        let life = if killed { Life::Dying { chosen: false, reaped: false } } else { Life::Lives };
        assert_eq!(snapshot.machine().processes[process].life, life, "{pending}");
    }
    let _ = fs::remove_dir_all(folder);
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
    let own: Vec<i64> = machine.cgroups.iter().map(|one| (one.own.charged * PAGE) >> 20).collect();
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
    // Of one tree: another one has other inodes.
    let open = small();
    let mut closed = open.clone();
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
        (("/schema", 3.into()), "the snapshot is of schema 3; this version of oomc reads schema 1 to 2"),
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
fn more_than_the_kernel_has_is_refused_before_it_is_held() {
    // They are counted before one is looked at closely: none of these is a process.
    let text = format!("{{\"schema\": 1, \"processes\": [{{}}{}]}}", ",{}".repeat(10_000_000 - 1));
    let Err(Error::Json { line, column, text }) = parse(text.as_bytes()) else { panic!("it is read") };
    assert_eq!(text, "more than 4194304 processes");
    // Behind the first one too many.
    assert_eq!((line, column), (1, r#"{"schema": 1, "processes": [{}"#.len() + 4_194_304 * 3 + 1));
    let text = format!("{{\"schema\": 1, \"cgroups\": [0{}]}}", ",0".repeat(1_000_000));
    let Err(Error::Json { text, .. }) = parse(text.as_bytes()) else { panic!("it is read") };
    assert_eq!(text, "more than 1000000 cgroups");
}

#[test]
fn sums_that_overflow_are_refused_whatever_is_counted() {
    let most = 1_i64 << 52;
    for place in [
        "current",
        "swap",
        "statistics/shmem",
        "statistics/inactive_file",
        "statistics/refault",
        "events/oom",
    ] {
        let error = refused(|value| {
            let mut one = value["cgroups"][2].clone();
            for (inner, empty) in [("statistics", "{}"), ("events", "{}")] {
                one[inner] = serde_json::from_str(empty).unwrap();
            }
            match place.split_once('/') {
                Some((inner, name)) => one[inner][name] = most.into(),
                None => one[place] = most.into(),
            }
            let more = (0..3000).map(|at| {
                one["path"] = format!("/job/more-{at}").into();
                one["id"] = (1_000_000_000_000_i64 + at).into();
                one.clone()
            });
            let more: Vec<_> = more.collect();
            value["cgroups"].as_array_mut().unwrap().extend(more);
        });
        assert_eq!(error, "cgroups: together they have more than can be counted", "{place}");
    }
}

#[test]
fn a_message_is_one_short_line_whatever_the_file_holds() {
    let strange = format!("/x\n\u{1b}[31m{}", "y".repeat(100_000));
    for place in ["/top", "/cgroups/2/parent", "/processes/1/cgroup"] {
        let error = refused(|value| *value.pointer_mut(place).unwrap() = strange.clone().into());
        assert!(error.len() < 1000 && !error.contains(['\n', '\u{1b}']), "{place}: {} bytes", error.len());
        assert!(error.contains("/x\\n\\u{1b}[31my"), "{error}");
    }
    let error = refused(|value| drop(value.as_object_mut().unwrap().insert(strange, 1.into())));
    assert!(error.len() < 1000 && !error.contains(['\n', '\u{1b}']), "{} bytes", error.len());
}

#[test]
fn the_memory_controller_is_on_from_above() {
    let error = refused(|value| value["cgroups"][1]["controller"] = false.into());
    assert_eq!(error, "cgroups[2].controller: it is on in /job/a, and off in the cgroup above");
    let error = refused(|value| value["cgroups"][0]["controller"] = false.into());
    assert_eq!(error, "cgroups[0].controller: it is always on at the root");
    // Switched on while the tree was read: it counts as off, as above.
    let roots = machine("switched");
    fs::remove_file(roots.cgroups.join("job/memory.current")).unwrap();
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let on: Vec<bool> = snapshot.cgroups.iter().map(|one| one.controller).collect();
    assert_eq!(on, [true, false, false, false]);
    assert_eq!(parse(&serde_json::to_vec(&snapshot).unwrap()), Ok(snapshot));
}

#[test]
fn a_file_that_is_there_and_cannot_be_read_does_not_switch_the_controller_off() {
    let roots = machine("unreadable");
    let current = roots.cgroups.join("job/memory.current");
    fs::remove_file(&current).unwrap();
    // A folder in its place: reading fails, for root as well.
    fs::create_dir(&current).unwrap();
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    assert_eq!((snapshot.cgroups[1].controller, snapshot.cgroups[1].current), (true, None));
}

#[test]
fn a_protection_without_limit_protects_everything() {
    let roots = machine("protected");
    put(&roots.cgroups, &[("job/memory.low", "max\n"), ("job/memory.min", "max\n")]);
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let machine = parse(&serde_json::to_vec(&snapshot).unwrap()).unwrap().machine();
    let job = &machine.cgroups[1];
    assert!(job.low >= machine.memory && job.min >= machine.memory, "{} {}", job.low, job.min);
}

#[test]
fn a_label_is_read_as_the_loader_reads_it() {
    let roots = machine("labels");
    let job = roots.cgroups.join("job");
    // A file system that has no attributes refuses the first one, and then there is nothing to read.
    let mut expected = Vec::new();
    for (name, text, value) in [("user.oom.soft", "30%\0", "30%"), ("user.oom.tier", "3\n", "3")] {
        if xattr::set(&job, name, text.as_bytes()).is_ok() {
            expected.push((name.trim_start_matches("user.oom."), value));
        }
    }
    let _ = xattr::set(&job, "user.other", b"1");
    let snapshot = read(&roots, None, &mut |_| {}).unwrap().snapshot;
    let labels: Vec<(&str, &str)> =
        snapshot.cgroups[1].labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(labels, expected);
}

#[test]
fn nothing_outside_of_the_mount_is_read() {
    let roots = machine("outside");
    for path in ["..", "/job/../..", "../proc"] {
        let error = read(&roots, Some(path), &mut |_| {}).map_err(|error| error.to_string()).unwrap_err();
        assert!(error.contains("no `..`"), "{path}: {error}");
    }
    // What /proc says of a process outside of the cgroup namespace of whoever reads.
    put(&roots.proc, &[("100/cgroup", "0::/../elsewhere\n")]);
    let reading = read(&roots, None, &mut |_| {}).unwrap();
    let pids: Vec<i64> = reading.snapshot.processes.iter().map(|one| one.pid).collect();
    assert_eq!(pids, [2, 101]);
    assert!(reading.remarks.contains(&"1 processes are in cgroups outside of the mount".to_owned()));
}

#[test]
fn a_machine_that_does_not_say_how_large_it_is_is_not_of_no_size() {
    let roots = machine("sizeless");
    put(&roots.proc, &[("meminfo", "MemFree: 1 kB\n")]);
    let error =
        |roots: &Roots| read(roots, None, &mut |_| {}).map_err(|error| error.to_string()).unwrap_err();
    assert!(error(&roots).ends_with("meminfo does not say how much memory there is"), "{}", error(&roots));
    put(&roots.proc, &[("meminfo", "MemTotal: 1024 kB\n"), ("uptime", "long\n")]);
    assert!(error(&roots).ends_with("uptime does not say how long the machine runs"), "{}", error(&roots));
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
