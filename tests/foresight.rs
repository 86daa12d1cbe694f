//! `oomc snapshot`, `sim`, `plan` and `diff`: from a machine to what policies would do on it.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use oomc_tests::{browser, page};
use serde_json::Value;

const MIB: u64 = 1 << 20;

/// A folder of its own for each test, with a copy of a machine in `cg` and `proc`.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foresight").join(name);
    let _ = fs::remove_dir_all(&folder);
    put(&folder, "proc/meminfo", "MemTotal: 1048576 kB\n");
    put(&folder, "proc/uptime", "1000.00 0.00\n");
    put(&folder, "cg/memory.stat", "anon 250000000\nfile 4096\n");
    for (path, current, max) in [("job", 200, "314572800"), ("job/web", 120, "max"), ("job/batch", 80, "max")]
    {
        put(&folder, &format!("cg/{path}/memory.current"), &format!("{}\n", current * MIB));
        put(&folder, &format!("cg/{path}/memory.max"), &format!("{max}\n"));
        put(&folder, &format!("cg/{path}/memory.stat"), &format!("anon {}\nfile 0\n", current * MIB));
    }
    for (pid, comm, cgroup, mib, adj) in [
        (1, "init", "", 5, 0),
        (100, "nginx", "job/web", 100, 0),
        (101, "sshd", "job/web", 15, -1000),
        (102, "worker-1", "job/batch", 50, 0),
        (103, "worker-2", "job/batch", 25, 300),
    ] {
        process(&folder, pid, comm, cgroup, mib, adj);
    }
    put(&folder, "a.oom", POLICY);
    put(&folder, "b.oom", "kill largest cgroup in subtree\n");
    folder
}

fn process(folder: &Path, pid: u32, comm: &str, cgroup: &str, mib: u32, adj: i32) {
    let put = |file: &str, text: &str| put(folder, &format!("proc/{pid}/{file}"), text);
    put("stat", &format!("{pid} ({comm}) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 0 0\n"));
    put("comm", &format!("{comm}\n"));
    put("cgroup", &format!("0::/{cgroup}\n"));
    put("oom_score_adj", &format!("{adj}\n"));
    put("status", &format!("Uid:\t0\t0\t0\t0\nRssAnon:\t{} kB\n", mib << 10));
}

fn put(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

const POLICY: &str = r#"never kill process where comm == "nginx"
avoid process where comm == "worker-1"
rule "grow": if cgroup.usage < 90% then raise_limit 25% up to 400MiB
rule "kill": kill largest process in subtree where footprint > 1MiB
"#;

/// Exit code, standard output and standard error.
fn oomc(folder: &Path, args: &str) -> (i32, String, String) {
    let args = args.split(' ').filter(|arg| !arg.is_empty());
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn recorded(name: &str) -> PathBuf {
    let folder = folder(name);
    let (exit, told, said) = oomc(&folder, "snapshot --cgroup-root cg --proc-root proc -o s.json");
    assert_eq!((exit, told.as_str(), said.as_str()), (0, "s.json: 4 cgroups, 5 processes\n", ""));
    folder
}

const FORESEEN: &str = r#"when /job runs out of memory: would kill worker-2 (103), about 25MiB
    by rule "kill" of a, attached to /job
    the victim: worker-2 (103) in /job/batch
    there is room for 100MiB now; when memory runs out there is none
candidates, the best first:
    1. worker-2 (103) in /job/batch, 1 process  footprint 25MiB
    2. worker-1 (102) in /job/batch, avoided, 1 process  footprint 50MiB
protected:
    never kill process where comm == "nginx" (line 1): nginx (100) in /job/web
    oom_score_adj -1000: sshd (101) in /job/web
"#;

/// The book's page of these commands shows the same.
fn shown(told: &str) {
    let page = oomc_tests::read(&oomc_tests::root().join("book/src/start/plan.md"));
    assert!(page.contains(told), "book/src/start/plan.md does not show\n{told}");
}

#[test]
fn a_recorded_machine_shows_whom_a_policy_would_kill() {
    let folder = recorded("sim");
    let (exit, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /job");
    assert_eq!((exit, told.as_str()), (0, FORESEEN));
    shown(&told.replace("of a, ", "of policy, "));
    let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /job --trace");
    assert!(
        told.ends_with("rules:\n    \"grow\": its condition was not true\n    \"kill\": made progress\n"),
        "{told}"
    );
    let (exit, told, _) = oomc(&folder, "--format json sim a.oom --snapshot s.json --oom /job");
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((exit, &json["command"]), (0, &Value::from("sim")));
    assert_eq!(json["forecast"]["victim"]["id"], 103);
    assert_eq!(json["decision"]["answer"], 1);
    let batch = json["forecast"]["tree"].as_array().unwrap().iter().find(|node| node["path"] == "/job/batch");
    assert_eq!(batch.unwrap()["usage"], 80 * MIB);
}

#[test]
fn the_live_machine_gives_the_same_without_being_touched() {
    let folder = folder("plan");
    let roots = "--cgroup-root cg --proc-root proc";
    let (exit, told, _) = oomc(&folder, &format!("plan a.oom --cgroup /job {roots}"));
    assert_eq!((exit, told.as_str()), (0, FORESEEN));
    let (exit, _, said) = oomc(&folder, &format!("plan a.oom --cgroup /jobs {roots}"));
    assert_eq!((exit, said.lines().last()), (4, Some("help: `--cgroup` is a path from the cgroup2 mount")));
    // A policy that is attached above, and asked for what is below.
    let (_, told, _) = oomc(&folder, &format!("plan b.oom --cgroup /job --oom /job/web {roots}"));
    assert!(told.starts_with("when /job/web runs out of memory: would do nothing\n"), "{told}");
    assert!(told.contains("    the kernel's own killer would take nginx (100) in /job/web\n"), "{told}");
}

/// What a kernel tells each program at its start of the size of a page: `AT_PAGESZ`, and the end of the list.
fn pages(folder: &Path, bytes: u64) {
    let words: [u64; 4] = [6, bytes, 0, 0];
    fs::create_dir_all(folder.join("proc/self")).unwrap();
    fs::write(folder.join("proc/self/auxv"), words.map(u64::to_le_bytes).concat()).unwrap();
}

#[test]
fn a_machine_counts_in_pages_of_its_own_size() {
    let roots = "--cgroup-root cg --proc-root proc";
    for (bytes, rises_by) in [(4096, 5036 << 10), (16_384, 5024 << 10), (65_536, 4992 << 10)] {
        let folder = folder(&format!("pages-{bytes}"));
        pages(&folder, bytes);
        put(&folder, "r.oom", "raise_limit 5036KiB up to 1GiB\n");
        let raised = |args: &str| {
            let (exit, told, said) = oomc(&folder, &format!("--format json {args}"));
            let json: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(exit, 0, "{told}{said}");
            json["decision"]["result"].as_u64().unwrap() - 300 * MIB
        };
        assert_eq!(raised(&format!("plan r.oom --cgroup /job {roots}")), rises_by, "{bytes}");
        let (exit, _, said) = oomc(&folder, &format!("snapshot {roots} -o s.json"));
        assert_eq!(exit, 0, "{said}");
        assert_eq!(raised("sim r.oom --snapshot s.json --oom /job"), rises_by, "{bytes}");
        let (exit, told, said) = oomc(&folder, "diff r.oom r.oom --snapshot s.json --oom /job");
        assert_eq!((exit, told.as_str()), (0, "both decide alike\n"), "{said}");
        // What stands in bytes in its files is what is told, whatever the pages.
        let (_, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /job");
        assert_eq!(told, FORESEEN, "{bytes}");
        let rises = (300 * MIB + rises_by) >> 10;
        let given =
            "given { \"/job\" { limit 300MiB usage 300MiB } \"/job#100\" { rss 1MiB } } on oom in \"/job\"";
        let test = format!("test \"rises\" {{ {given}\nexpect raise_limit \"/job\" to {rises}KiB }}\n");
        put(&folder, "t.oom", &format!("raise_limit 5036KiB up to 1GiB\n{test}"));
        let (exit, told, said) = oomc(&folder, &format!("test --page-size {bytes} t.oom"));
        assert_eq!(exit, 0, "{bytes}: {told}{said}");
    }
    let folder = recorded("pages-odd");
    let text = fs::read_to_string(folder.join("s.json")).unwrap();
    assert!(!text.contains("page_size"), "usual pages need no word");
    put(&folder, "odd.json", &text.replacen("\"memory\"", "\"page_size\": 8192, \"memory\"", 1));
    let (exit, _, said) = oomc(&folder, "sim a.oom --snapshot odd.json --oom /job");
    let odd = "error: odd.json: page_size: no machine has such pages: write one of [4096, 16384, 65536]\n";
    assert_eq!((exit, said.as_str()), (4, odd));
}

#[test]
fn one_event_after_the_other() {
    let folder = recorded("times");
    let (exit, told, _) = oomc(&folder, "sim a.oom --snapshot s.json --oom /job --times 9");
    let events: Vec<&str> = told.lines().filter(|line| line.starts_with("when /job")).collect();
    let expected = [
        "when /job runs out of memory: would kill worker-2 (103), about 25MiB",
        "when /job runs out of memory: would kill worker-1 (102), about 50MiB",
        "when /job runs out of memory: would do nothing",
        "when /job runs out of memory: would do nothing",
    ];
    assert_eq!((exit, events.as_slice()), (0, expected.as_slice()), "the kernel takes nginx in between");
    assert!(told.ends_with("nothing would change from here on\n"), "{told}");
}

#[test]
fn labels_count_as_the_loader_counts_them() {
    let folder = recorded("labels");
    fs::write(
        folder.join("t.oom"),
        "label tier: count = 100\nkill process in subtree by home.tier asc, footprint desc\n",
    )
    .unwrap();
    let mut snapshot: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("s.json")).unwrap()).unwrap();
    let mut victim = |uid: u32, mode: u32, text: &str| {
        let web =
            snapshot["cgroups"].as_array_mut().unwrap().iter_mut().find(|one| one["path"] == "/job/web");
        let web = web.unwrap().as_object_mut().unwrap();
        web.insert("labels".to_owned(), serde_json::json!({ "tier": text }));
        web.insert("owner".to_owned(), uid.into());
        web.insert("mode".to_owned(), mode.into());
        fs::write(folder.join("l.json"), snapshot.to_string()).unwrap();
        oomc(&folder, "sim t.oom --snapshot l.json --oom /job").1
    };
    let told = victim(0, 0o755, "3");
    assert!(told.contains("would kill nginx (100)") && told.contains("home.tier 3"), "{told}");
    for (uid, mode, text, why) in [
        (1000, 0o755, "3", "the directory belongs to user 1000, and the policy trusts only root"),
        (0, 0o777, "3", "others than its owner may write to the directory"),
        (0, 0o755, "3MiB", "`3MiB` is no value of it"),
    ] {
        let told = victim(uid, mode, text);
        let remark = format!("    label `tier` of /job/web is ignored: {why}\n");
        assert!(
            told.contains("would kill worker-1 (102)") || told.contains("would kill nginx (100)"),
            "{told}"
        );
        assert!(told.contains(&remark) && !told.contains("home.tier 3"), "{told}");
        let (exit, _, said) = oomc(&folder, "diff t.oom t.oom --snapshot l.json --oom /job");
        assert_eq!((exit, said), (0, format!("warning: {}", remark.trim_start())));
    }
}

#[test]
fn where_two_policies_differ() {
    let folder = recorded("diff");
    let (exit, told, _) = oomc(&folder, "diff a.oom b.oom --snapshot s.json");
    let expected = "when / runs out of memory
    a.oom: would kill worker-2 (103), about 25MiB, by rule \"kill\"
    b.oom: would kill /job/batch with 2 processes, about 80MiB, by rule \"line 1\"
when /job runs out of memory
    a.oom: would kill worker-2 (103), about 25MiB, by rule \"kill\"
    b.oom: would kill /job/batch with 2 processes, about 80MiB, by rule \"line 1\"
they decide differently at 2 of 2 places
";
    assert_eq!((exit, told.as_str()), (1, expected));
    shown(&told.replace("a.oom", "before.oom").replace("b.oom", "after.oom"));
    let (exit, told, _) = oomc(&folder, "diff a.oom a.oom --snapshot s.json --cgroup /job");
    assert_eq!((exit, told.as_str()), (0, "both decide alike\n"));
    fs::write(folder.join("one.oom"), "kill largest process in subtree\n").unwrap();
    fs::write(folder.join("two.oom"), "kill largest process in subtree until freed 120MiB at most 8\n")
        .unwrap();
    let (exit, told, _) = oomc(&folder, "diff one.oom two.oom --snapshot s.json --oom /job");
    let expected = "when /job runs out of memory
    one.oom: would kill nginx (100), about 100MiB, by rule \"line 1\"
    two.oom: would kill nginx (100) and 1 more, about 150MiB, by rule \"line 1\"
they decide differently at 1 of 1 places
";
    assert_eq!((exit, told.as_str()), (1, expected), "the first victim is the same");
    let (_, told, _) = oomc(&folder, "sim two.oom --snapshot s.json --oom /job");
    let all = "\n    2 processes would die: nginx (100) in /job/web, worker-1 (102) in /job/batch\n";
    assert!(told.contains(all), "{told}");
    let (_, told, _) = oomc(&folder, "--format json sim two.oom --snapshot s.json --oom /job");
    let json: Value = serde_json::from_str(&told).unwrap();
    for node in json["forecast"]["tree"].as_array().unwrap() {
        assert_eq!(node["victim"], node["depth"] == 1, "each of both has one of them: {node}");
    }
    assert_eq!(
        json["forecast"]["dies"].as_array().unwrap().iter().map(|one| &one["id"]).collect::<Vec<_>>(),
        [100, 102]
    );
}

#[test]
fn params_and_the_mode_can_be_others() {
    let folder = recorded("set");
    let text = "mode audit\nparam floor = 30MiB range 0B .. 1GiB\nkill smallest process in subtree \
                where footprint > floor and comm == \"worker-*\"\n";
    fs::write(folder.join("c.oom"), text).unwrap();
    let (exit, told, _) = oomc(&folder, "sim c.oom --snapshot s.json --oom /job");
    assert!(exit == 0 && told.contains(": would kill worker-1 (102), "), "{told}");
    let audit = "\n    audit: nothing is done, only written down\n";
    assert!(told.contains(audit) && told.contains("own killer would take worker-2 (103)"), "{told}");
    let live = "plan c.oom --cgroup /job --cgroup-root cg --proc-root proc";
    for command in ["sim c.oom --snapshot s.json --oom /job", live] {
        let (exit, told, _) = oomc(&folder, &format!("{command} --set floor=20MiB --mode enforce"));
        assert!(exit == 0 && told.contains(": would kill worker-2 (103), "), "{told}");
        assert!(told.contains("\n    floor is set to 20MiB\n") && !told.contains(audit), "{told}");
    }
    let (exit, told, _) = oomc(&folder, "diff c.oom c.oom --snapshot s.json --oom /job --set floor=20MiB");
    let alike = told.lines().map(str::trim_start).collect::<Vec<_>>();
    assert_eq!(exit, 1);
    assert!(alike[1].starts_with("c.oom: would kill worker-1 (102), "), "{told}");
    assert!(alike[2].starts_with("c.oom with floor=20MiB: would kill worker-2 (103), "), "{told}");
    for (set, expected) in [
        ("flor=1MiB", "the policy has no param `flor`; it has `floor`"),
        ("floor=2GiB", "`floor` is within 0B .. 1GiB, and 2GiB is not"),
        ("floor=3", "`3` is not bytes such as `64MiB`; `floor` is within 0B .. 1GiB"),
    ] {
        let (exit, _, said) = oomc(&folder, &format!("sim c.oom --snapshot s.json --set {set}"));
        assert_eq!((exit, said.trim_end()), (2, format!("error: {expected}").as_str()));
    }
}

/// `script` runs a command on a terminal of its own and copies what is written there.
fn on_a_terminal(folder: &Path, command: &str) -> String {
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--return", "--command", command, "/dev/null"]);
    let output = script.current_dir(folder).env("TERM", "xterm").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_long_reading_is_seen_on_a_terminal() {
    let folder = folder("bar");
    for pid in 1000..1600 {
        process(&folder, pid, "w", "job/web", 1, 0);
    }
    let command =
        format!("{} snapshot --cgroup-root cg --proc-root proc -o s.json", env!("CARGO_BIN_EXE_oomc"));
    let told = on_a_terminal(&folder, &command);
    assert!(told.contains("s.json: 4 cgroups, 605 processes"), "{told}");
    // A file that comes late: whoever opens it waits until it is written.
    let late = folder.join("cg/job/web/memory.current");
    fs::remove_file(&late).unwrap();
    assert!(Command::new("mkfifo").arg(&late).status().unwrap().success());
    let writes = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(700));
        fs::write(late, "125829120\n").unwrap();
    });
    let told = on_a_terminal(&folder, &command);
    writes.join().unwrap();
    let bar = told.find("of 605 processes").unwrap_or_else(|| panic!("no bar: {told}"));
    let cleared = told.rfind("\u{1b}[2K").unwrap_or_else(|| panic!("the bar stays: {told:?}"));
    let end = told.find("s.json: 4 cgroups, 605 processes").unwrap_or_else(|| panic!("no end: {told}"));
    assert!(told.contains("4 cgroups ") && bar < cleared && cleared < end, "{told:?}");
}

#[test]
fn names_can_be_taken_out() {
    let folder = folder("redact");
    let (exit, text, _) = oomc(&folder, "snapshot --cgroup-root cg --proc-root proc --redact -o -");
    assert_eq!(exit, 0);
    for name in ["job", "web", "batch", "nginx", "worker", "sshd"] {
        assert!(!text.contains(name), "{name}");
    }
    fs::write(folder.join("s.json"), &text).unwrap();
    let (exit, told, _) = oomc(&folder, "sim b.oom --snapshot s.json");
    assert!(
        exit == 0 && told.contains("would kill /cgroup-1/cgroup-2 with 2 processes, about 80MiB"),
        "{told}"
    );
}

#[test]
fn what_is_no_snapshot_is_refused_with_the_place() {
    let folder = recorded("bad");
    let whole = fs::read_to_string(folder.join("s.json")).unwrap();
    for (text, expected) in [
        (
            whole.replace("\"schema\": 2", "\"schema\": 7"),
            "the snapshot is of schema 7; this version of oomc reads schema 1 to 2",
        ),
        (
            whole.replace("\"parent\": \"/job\"", "\"parent\": \"/jo\""),
            "cgroups[2].parent: the parent of /job/batch, /jo, is missing",
        ),
        (whole.replace("\"memory\": 1", "\"memory\": -1"), "memory: -1073741824 is negative"),
        (whole[..200].to_owned(), "the file ends too early"),
        (String::new(), "line 1, column 0: the file ends too early"),
        (POLICY.to_owned(), "line 1, column 2: expected"),
    ] {
        fs::write(folder.join("bad.json"), text).unwrap();
        for command in ["sim a.oom", "diff a.oom b.oom"] {
            let (exit, _, said) = oomc(&folder, &format!("{command} --snapshot bad.json"));
            assert!(exit == 4 && said.starts_with("error: bad.json: ") && said.contains(expected), "{said}");
        }
    }
    let (exit, _, said) = oomc(&folder, "sim a.oom --snapshot none.json");
    assert_eq!((exit, said.as_str()), (4, "error: cannot read none.json: no such file or directory\n"));
    let (exit, _, said) = oomc(&folder, "sim a.oom --snapshot s.json --oom /jb");
    assert!(exit == 4 && said.contains("help: did you mean /job?"), "{said}");
    fs::write(folder.join("c.oom"), "kill largest in subtre\n").unwrap();
    assert_eq!(oomc(&folder, "sim c.oom --snapshot s.json").0, 1);
}

#[test]
fn this_machine_can_be_read() {
    let folder = folder("here");
    let (exit, _, said) = oomc(&folder, "snapshot -o here.json");
    // Where no cgroup2 is mounted, or one without a memory controller, the command says so.
    assert!(exit == 0 || (exit == 3 && said.contains("cgroup2 is not mounted")), "{exit} {said}");
    if exit == 0 {
        assert_eq!(oomc(&folder, "sim b.oom --snapshot here.json --system").0, 0);
    }
}

#[test]
fn a_browser_shows_what_the_command_says() {
    let folder = recorded("picture");
    let (exit, told, _) =
        oomc(&folder, "--format json sim a.oom --snapshot s.json --oom /job --html out.html --svg out.svg");
    assert_eq!(exit, 0);
    let json: Value = serde_json::from_str(&told).unwrap();
    let forecast = &json["forecast"];
    assert_eq!(page::compare(&browser::dom(&folder.join("out.html")).unwrap(), forecast), [""; 0]);
    assert_eq!(page::compare_drawing(&browser::dom(&folder.join("out.svg")).unwrap(), forecast), [""; 0]);
    // A page about another decision is noticed.
    let mut other = forecast.clone();
    other["candidates"][1]["keys"][0]["text"] = "51MiB".into();
    other["tree"][1]["processes"] = 7.into();
    let told = page::compare(&browser::dom(&folder.join("out.html")).unwrap(), &other).join("\n");
    assert!(told.contains("51MiB") && told.contains('7'), "{told}");
}
