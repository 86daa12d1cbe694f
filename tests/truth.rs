//! What `test`, `sim` and `plan` say is true, or they say that they do not know: one case for each sentence that was
//! false once.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test whose files cannot be written has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::child::fresh_folder;

/// A folder of its own for each test, with files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("truth").join(name);
    fresh_folder(&folder, files).unwrap();
    folder
}

/// Exit code, standard output and standard error.
fn oomc(folder: &Path, args: &str) -> (i32, String, String) {
    let args = args.split(' ').filter(|arg| !arg.is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs the tests of a policy, which all pass.
fn passes(name: &str, policy: &str) {
    let folder = folder(name, &[("a.oom", policy)]);
    let (exit, told, said) = oomc(&folder, "test a.oom");
    assert_eq!(exit, 0, "{told}{said}");
}

const GIB: u64 = 1 << 30;

/// A machine of 16 GiB in a file: one line for each cgroup (path, limit in GiB or 0) and for each process (pid, cgroup,
/// comm, MiB, oom_score_adj).
fn snapshot(
    schema: u32,
    swap: u64,
    cgroups: &[(&str, u64)],
    processes: &[(u32, &str, &str, u64, i32)],
) -> String {
    let used = |path: &str| {
        let inside = |cgroup: &str| path == "/" || cgroup == path || cgroup.starts_with(&format!("{path}/"));
        processes.iter().filter(|one| inside(one.1)).map(|one| one.3 << 20).sum::<u64>()
    };
    let cgroups = (1..).zip([("/", 0)].iter().chain(cgroups)).map(|(id, (path, limit))| {
        let above = path.rsplit_once('/').map_or("", |(above, _)| above);
        let above = if above.is_empty() { "/" } else { above };
        let mut one = serde_json::json!({
            "path": path, "id": id, "owner": 0, "mode": 493, "controller": true,
            "statistics": { "anon": used(path) },
        });
        if *path != "/" {
            one["parent"] = above.into();
            one["current"] = used(path).into();
        }
        if *limit > 0 {
            one["max"] = (limit * GIB).into();
        }
        one
    });
    let processes = processes.iter().map(|(pid, cgroup, comm, mib, adj)| {
        serde_json::json!({
            "pid": pid, "cgroup": cgroup, "comm": comm, "uid": 0, "oom_score_adj": adj,
            "anon": mib << 20, "threads": 1, "start": pid,
        })
    });
    let mut whole = serde_json::json!({
        "schema": schema, "top": "/", "kernel": "6.12.0", "memory": 16 * GIB, "now": 86_400_000_000_000_u64,
        "cgroups": cgroups.collect::<Vec<_>>(), "processes": processes.collect::<Vec<_>>(),
    });
    if schema > 1 {
        whole["swap"] = swap.into();
    }
    whole.to_string()
}

/// `oc->totalpages` is memory and swap: 300 thousandths of 32 GiB are more than 10 GiB, of 16 GiB they are not.
#[test]
fn swap_counts_in_what_the_kernel_scores_against() {
    passes(
        "swap-in-tests",
        r#"kill worst process in subtree
test "a cgroup with swap: memory.max and what it may have of the machine's swap" {
    given {
        "/j" { limit 16GiB swap_limit 16GiB }
        "/j#100" { comm "big" rss 10GiB }
        "/j#101" { comm "marked" rss 1GiB oom_score_adj 300 }
    }
    on oom in "/j"
    expect kill process "/j#101"
}
test "no more than the machine has" {
    given {
        "/" { swap_limit 1GiB }
        "/j" { limit 16GiB swap_limit 16GiB }
        "/j#100" { comm "big" rss 10GiB }
        "/j#101" { comm "marked" rss 1GiB oom_score_adj 300 }
    }
    on oom in "/j"
    expect kill process "/j#100"
}
test "nor than the cgroup may have" {
    given {
        "/" { swap_limit 16GiB }
        "/j" { limit 16GiB swap_limit 1GiB }
        "/j#100" { comm "big" rss 10GiB }
        "/j#101" { comm "marked" rss 1GiB oom_score_adj 300 }
    }
    on oom in "/j"
    expect kill process "/j#100"
}
test "the whole machine" {
    given {
        "/" { limit 16GiB swap_limit 16GiB }
        "/j#100" { comm "big" rss 10GiB }
        "/j#101" { comm "marked" rss 1GiB oom_score_adj 300 }
    }
    on system oom
    expect kill process "/j#101"
}
"#,
    );
    let processes = [(100, "/a", "big", 10 << 10, 0), (101, "/b", "marked", 1 << 10, 300)];
    let with = |schema, swap| snapshot(schema, swap, &[("/a", 0), ("/b", 0)], &processes);
    let policy = "kill worst process in subtree\n";
    let folder = folder(
        "swap-in-snapshots",
        &[
            ("a.oom", policy),
            ("swap.json", &with(2, 16 * GIB)),
            ("none.json", &with(2, 0)),
            ("old.json", &with(1, 0)),
        ],
    );
    let victim = |file: &str| oomc(&folder, &format!("sim a.oom --snapshot {file} --system")).1;
    let told = victim("swap.json");
    assert!(told.contains("would kill marked (101)"), "{told}");
    let told = victim("none.json");
    assert!(told.contains("would kill big (100)") && !told.contains("not known"), "{told}");
}

/// The numbers of another process are never written into this one.
#[test]
fn other_tasks_are_other_tasks() {
    passes(
        "parents",
        r#"never kill process where task.real_parent.comm == "init"
avoid process where task.real_parent.real_parent.tgid == 1
kill largest in subtree
test "the child of a worker, not that of init" {
    given {
        "/j" { limit 1GiB }
        "/j#1002" { comm "grandchild" rss 95MiB parent "/j#1001" }
        "/j#1001" { comm "child" rss 90MiB parent "/j#1000" }
        "/j#1000" { comm "worker" rss 200MiB }
    }
    on oom in "/j"
    expect kill process "/j#1002"
    expect candidates "/j#1002", "/j#1001"
    given { "/j#1001" { exited } }
    after 10s
    on oom in "/j"
    expect defer
}
test "a process without a parent of its own is init's" {
    given {
        "/" { limit 1GiB }
        "/init.scope#1" { comm "systemd" rss 1MiB }
        "/j#1000" { comm "worker" rss 90MiB }
    }
    on system oom
    expect kill process "/j#1000"
}
"#,
    );
    let wrong = |given: &str| {
        let text = format!(
            "kill largest in subtree\ntest \"t\" {{\n    given {{\n        \"/j\" {{ limit 1GiB }}\n        \
             \"/j#1000\" {{ rss 90MiB {given} }}\n    }}\n    on oom in \"/j\"\n    expect kill process \
             \"/j#1000\"\n}}\n"
        );
        let folder = folder("strays", &[("a.oom", &text)]);
        let (exit, _, said) = oomc(&folder, "check a.oom");
        assert_eq!((exit, said.matches("E0409").count()), (1, 1), "{given}: {said}");
        said
    };
    for member in ["task.real_parent.tgid 1", "task.real_parent.signal.oom_score_adj -1000"] {
        let said = wrong(member);
        assert!(
            said.contains("belongs to another process") && said.contains("parent \"/job#100\""),
            "{said}"
        );
    }
    assert!(wrong("task.mm.owner.tgid 1").contains("not in the model of a machine"));
}

/// What a test gives of a pointer that leads to the process's own things is read.
#[test]
fn what_was_given_is_read() {
    passes(
        "given",
        r#"kill largest process in subtree where task.cred.euid.val == 1000
test "what was given is read" {
    given {
        "/j" { limit 1GiB }
        "/j#1000" { comm "worker" rss 90MiB task.cred.euid.val 1000 }
    }
    on oom in "/j"
    expect kill process "/j#1000"
}
"#,
    );
}

/// A member that no model of a machine has is named by all who would need it, and nobody is claimed to die.
#[test]
fn what_only_a_kernel_knows_is_not_claimed() {
    let policy = "never kill process where task.mm.owner.comm == \"keeper\"\nkill largest in subtree\n";
    let test = r#"test "its address space" {
    given {
        "/j" { limit 1GiB }
        "/j#1000" { comm "worker" rss 90MiB }
    }
    on oom in "/j"
    expect kill process "/j#1000"
}
"#;
    let machine = snapshot(2, 0, &[("/j", 1)], &[(1000, "/j", "worker", 90, 0)]);
    let folder = folder("unknown", &[("a.oom", policy), ("a.oomt", test), ("s.json", &machine)]);
    let name = "`task.mm.owner.comm`";
    let (exit, _, said) = oomc(&folder, "check a.oom");
    assert_eq!((exit, said.matches("W0640").count(), said.matches(name).count()), (0, 1, 1), "{said}");
    let (exit, told, _) = oomc(&folder, "test a.oom");
    assert_eq!((exit, told.matches(name).count()), (1, 1), "{told}");
    assert!(told.contains("line 6: not known: the policy asks for"), "{told}");
    let (exit, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /j");
    assert_eq!((exit, told.matches(name).count()), (0, 1), "{told}");
    assert!(told.starts_with("when /j runs out of memory: not known: "), "{told}");
    assert!(!told.contains("worker"), "{told}");
    let (_, told, _) = oomc(&folder, "--format json sim a.oom --snapshot s.json --oom /j");
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&json["forecast"]["victim"], json["forecast"]["dies"].as_array().map(Vec::len)),
        (&serde_json::Value::Null, Some(0))
    );
}

/// Where one of two policies asks for what nobody knows, it is not claimed that they decide alike, or otherwise.
#[test]
fn what_only_a_kernel_knows_is_not_compared() {
    let keeper = "kill largest in subtree where task.mm.owner.comm != \"keeper\"\n";
    let machine = snapshot(2, 0, &[("/j", 1)], &[(1000, "/j", "worker", 90, 0)]);
    let plain = "kill largest in subtree\n";
    let folder = folder("compared", &[("a.oom", keeper), ("b.oom", plain), ("s.json", &machine)]);
    let (exit, told, _) = oomc(&folder, "diff a.oom b.oom --snapshot s.json --oom /j");
    assert_eq!(exit, 1, "{told}");
    assert!(told.ends_with("\nwhether they decide alike is not known\n"), "{told}");
    assert!(told.contains("not known: a.oom asks for `task.mm.owner.comm`"), "{told}");
    let (exit, told, _) = oomc(&folder, "diff b.oom b.oom --snapshot s.json --oom /j");
    assert_eq!((exit, told.as_str()), (0, "both decide alike\n"));
}

/// A snapshot of schema 1 says nothing of swap and of parents: whoever depends on them is not claimed.
#[test]
fn what_an_old_snapshot_does_not_say_is_not_claimed() {
    let processes = [(100, "/a", "big", 10 << 10, 0), (101, "/b", "marked", 1 << 10, 300)];
    let old = snapshot(1, 0, &[("/a", 0), ("/b", 0)], &processes);
    let folder = folder(
        "old",
        &[
            ("worst.oom", "kill worst process in subtree\n"),
            ("parent.oom", "kill largest process in subtree where task.real_parent.comm == \"init\"\n"),
            ("largest.oom", "kill largest process in subtree\n"),
            ("nothing.oom", "rule \"x\": if oom.order == 99 then kill largest in subtree\n"),
            ("old.json", &old),
        ],
    );
    let told = |policy: &str| oomc(&folder, &format!("sim {policy}.oom --snapshot old.json --system")).1;
    assert!(
        told("worst").contains("not known: the policy asks for how much swap the machine has"),
        "{}",
        told("worst")
    );
    assert!(
        told("parent").contains("not known: the policy asks for whose child a process is"),
        "{}",
        told("parent")
    );
    assert!(told("largest").contains("would kill big (100)"), "{}", told("largest"));
    assert!(
        told("nothing").contains("whom the kernel's own killer would take is not known"),
        "{}",
        told("nothing")
    );
}

/// No cgroup on the path has a `memory.max`: no kernel ever asks.
#[test]
fn a_policy_that_nobody_asks() {
    let processes = [(100, "/user/app", "browser", 4 << 10, 0), (101, "/x/y", "z", 10, 0)];
    let machine = snapshot(2, 0, &[("/user", 0), ("/user/app", 0), ("/x", 1), ("/x/y", 0)], &processes);
    let folder = folder("asks", &[("a.oom", "kill largest cgroup in subtree\n"), ("s.json", &machine)]);
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /user/app");
    let said = "this cannot happen now: no cgroup on the path of /user/app has a memory.max";
    assert!(told.contains(said) && told.contains("only a policy on / is asked"), "{told}");
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /x/y");
    assert!(
        told.contains("so it is /x that runs out of memory, and a policy on /x/y is not asked"),
        "{told}"
    );
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /x");
    assert!(!told.contains("cannot happen"), "{told}");
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --system");
    assert!(!told.contains("cannot happen"), "{told}");
}

/// The machine does not run out of memory in a cgroup, and what runs out at the root is the machine.
#[test]
fn events_that_cannot_be() {
    let text = |event: &str| {
        format!(
            "rule \"system\": if oom.scope == \"system\" then kill largest process in subtree\nrule \"cgroup\": kill \
             smallest process in subtree\ntest \"t\" {{\n    given {{ \"/job\" {{ limit 1GiB }} \"/job#100\" {{ rss \
             200MiB }} \"/x#102\" {{ rss 3GiB }} }}\n    {event}\n    expect kill process \"/x#102\" by rule \
             \"system\"\n}}\n"
        )
    };
    let files = [("a.oom", text("on system oom in \"/job\""))];
    let folder = folder("events", &files.each_ref().map(|(name, text)| (*name, text.as_str())));
    let (exit, _, said) = oomc(&folder, "check a.oom");
    assert_eq!((exit, said.matches("E0409").count()), (1, 1), "{said}");
    assert!(said.contains("the machine does not run out of memory in a cgroup"), "{said}");
    passes("root", &text("on oom in \"/\""));
    passes("machine", &text("on system oom"));
}

/// Who dies is found out once: the first line, the list and the JSON say the same.
#[test]
fn a_group_dies_together_and_a_protected_member_ties_the_others_down() {
    let processes = [
        (100, "/job/g", "a", 450, 0),
        (101, "/job/g", "b", 440, 0),
        (102, "/job/g", "c", 430, 0),
        (103, "/job/solo", "d", 102, 0),
    ];
    let text = snapshot(2, 0, &[("/job", 4), ("/job/g", 0), ("/job/solo", 0)], &processes);
    let mut machine: serde_json::Value = serde_json::from_str(&text).unwrap();
    machine["cgroups"][2]["oom_group"] = true.into();
    // 102.4 MiB and a little less.
    machine["processes"][3]["anon"] = 107_372_544.into();
    let folder = folder(
        "group",
        &[
            ("a.oom", "kill largest process in subtree\n"),
            ("b.oom", "never kill process where comm == \"b\"\nkill largest process in subtree\n"),
            ("c.oom", "mode audit\nkill largest process in subtree\n"),
            ("s.json", &machine.to_string()),
        ],
    );
    for policy in ["a", "c"] {
        let (_, told, _) = oomc(&folder, &format!("sim {policy}.oom --snapshot s.json --oom /job"));
        assert!(told.contains("would kill a (100) and 2 more, about 1.3GiB\n"), "{told}");
        assert!(
            told.contains("    3 processes would die: a (100) in /job/g, b (101) in /job/g, c (102)"),
            "{told}"
        );
        assert!(told.contains("1. a (100) in /job/g, 3 processes"), "{told}");
        assert!(told.contains("  footprint 102.4MiB\n"), "{told}");
    }
    let (_, told, _) = oomc(&folder, "--format json sim a.oom --snapshot s.json --oom /job");
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["forecast"]["frees"], (450 + 440 + 430) << 20);
    assert_eq!(json["forecast"]["candidates"][0]["frees"], (450 + 440 + 430) << 20);
    let (_, told, _) = oomc(&folder, "sim b.oom --snapshot s.json --oom /job");
    assert!(told.contains("would kill d (103), about 102.4MiB\n"), "{told}");
    let tied = "    memory.oom.group of /job/g with b (101): a (100) in /job/g, c (102) in /job/g\n";
    assert!(told.contains(tied), "{told}");
}

/// Nobody is said of a protection only if everybody was asked.
#[test]
fn a_protection_that_was_not_asked_is_not_said_to_protect_nobody() {
    let policy = "pick j = largest cgroup in children of cgroup where name == \"job\"\nkill largest process in subtree \
                  of j\nnever kill cgroup \"/system.slice/**\"\n";
    let processes = [(100, "/job/sub", "worker", 900, 0), (101, "/system.slice/a.service", "daemon", 100, 0)];
    let cgroups = [("/job", 4), ("/job/sub", 0), ("/system.slice", 0), ("/system.slice/a.service", 0)];
    let folder = folder("nobody", &[("a.oom", policy), ("s.json", &snapshot(2, 0, &cgroups, &processes))]);
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --system");
    let line = told.lines().find(|line| line.contains("never kill cgroup")).unwrap();
    assert!(!line.ends_with(": nobody"), "{told}");
    assert!(line.contains("rules that ran"), "{told}");
}

/// What a decision costs on a large machine is told before it is waited for.
#[test]
fn the_cost_of_a_decision_is_told() {
    let cases = [
        ("kill largest process in subtree\n", "linear", 0),
        ("kill cgroup c in subtree by (sum footprint of process in c)\n", "linear", 0),
        (
            "kill process p in subtree by (sum footprint of process q in subtree where q.uid == p.uid), age asc\n",
            "processes × processes (square)",
            1,
        ),
        (
            "kill cgroup c in subtree where (any process in subtree where comm == \"x\")\n",
            "cgroups × processes",
            1,
        ),
    ];
    for (policy, class, warnings) in cases {
        let folder = folder("cost", &[("a.oom", policy)]);
        let (exit, told, said) = oomc(&folder, "check a.oom");
        assert_eq!((exit, said.matches("W0641").count()), (0, warnings), "{policy}{said}");
        assert!(told.contains(&format!("    cost of a decision: {class}\n")), "{policy}{told}");
    }
}

/// What `never` does not promise is told by `check`, once for all files, and by nobody who only tries a policy.
#[test]
fn never_is_ours_is_told_by_check_alone() {
    let policy = "never kill process where comm == \"sshd\"\nkill largest in subtree\ntest \"t\" {\n    given { \"/j\" { \
                  limit 1GiB } \"/j#100\" { rss 90MiB } }\n    on oom in \"/j\"\n    expect kill process \"/j#100\"\n}\n";
    let machine = snapshot(2, 0, &[("/j", 1)], &[(1000, "/j", "worker", 90, 0)]);
    let folder = folder("never", &[("a.oom", policy), ("b.oom", policy), ("s.json", &machine)]);
    for (args, times) in [
        ("check a.oom b.oom", 1),
        ("test a.oom", 0),
        ("sim a.oom --snapshot s.json --oom /j", 0),
        ("plan a.oom --cgroup /j --cgroup-root . --proc-root .", 0),
    ] {
        let (_, told, said) = oomc(&folder, args);
        assert_eq!((told + &said).matches("W0603").count(), times, "{args}");
    }
}

/// A picture shows all events that were asked for, marks who is avoided, and says why one of two equal ones is first.
#[test]
fn pictures_show_all_events_and_what_decides_between_equals() {
    let policy = "avoid process where comm == \"batch\"\nkill largest process in subtree\n";
    let processes = [
        (100, "/job", "first", 300, 0),
        (101, "/job", "second", 200, 0),
        (102, "/job", "third", 200, 0),
        (103, "/job", "batch", 900, 0),
    ];
    let folder =
        folder("pictures", &[("a.oom", policy), ("s.json", &snapshot(2, 0, &[("/job", 2)], &processes))]);
    let (exit, told, _) =
        oomc(&folder, "sim a.oom --snapshot s.json --oom /job --times 3 --html out.html --svg out.svg");
    assert_eq!(exit, 0, "{told}");
    assert!(told.contains("(as the one before it in all keys; it is older)"), "{told}");
    for file in ["out.html", "out.svg"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        for said in [
            "would kill third (102), about 200MiB",
            "would kill second (101), about 200MiB",
            ">avoided<",
            "it is older",
        ] {
            assert!(text.contains(said), "{file}: {said}");
        }
    }
}
