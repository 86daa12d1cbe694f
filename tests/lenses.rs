//! What stands above tests and rules in an editor: what they do, by the bytes that a kernel would run.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a server that cannot be talked to has failed"
)]

use std::fs;
use std::path::Path;

use oomc_snapshot::{Cgroup, Process, SCHEMA, Snapshot};
use oomc_tests::language_client::Client;
use serde_json::{Value, json};

const OOMC: &str = env!("CARGO_BIN_EXE_oomc");
const URI: &str = "file:///etc/oom/batch.oom";
const MIB: i64 = 1 << 20;

/// Greets the program, as an editor that asks for lenses again when it is told to.
fn open(options: &Value) -> Client {
    open_with(&[], options)
}

/// The same, of a program that is given these flags.
fn open_with(args: &[&str], options: &Value) -> Client {
    let mut client = Client::start(OOMC, args);
    let capabilities = json!({ "workspace": { "codeLens": { "refreshSupport": true } } });
    let answer =
        client.ask("initialize", json!({ "capabilities": capabilities, "initializationOptions": options }));
    assert!(answer["result"]["capabilities"]["codeLensProvider"].is_object(), "{answer}");
    client.tell("initialized", json!({}));
    client
}

/// `LINE: TEXT` of each, from the first line on; lines from 1.
fn lenses(client: &mut Client, uri: &str) -> Vec<String> {
    let found = client.about("textDocument/codeLens", uri, json!({}));
    let text = |one: &Value| {
        assert_eq!(one["command"]["command"], "", "it says something and does nothing: {one}");
        let line = one["range"]["start"]["line"].as_u64().unwrap() + 1;
        format!("{line}: {}", one["command"]["title"].as_str().unwrap())
    };
    found.as_array().unwrap().iter().map(text).collect()
}

/// Waits until there are new ones.
fn refreshed(client: &mut Client) {
    loop {
        let message = client.next();
        if message["method"] == "workspace/codeLens/refresh" {
            return;
        }
        assert_eq!(message["method"], "textDocument/publishDiagnostics", "{message}");
    }
}

const POLICY: &str = r#"rule "grow": if cgroup.usage < 90% then raise_limit 25% up to 400MiB
rule "kill": kill largest process in subtree where footprint > 1MiB

test "the largest" {
  given { "/a" { limit 100MiB } "/a#7" { rss 60MiB } "/a#8" { rss 40MiB } }
  on oom in "/a" expect kill "/a#7"
}
test "the smallest" {
  given { "/a" { limit 100MiB } "/a#7" { rss 60MiB } "/a#8" { rss 40MiB } }
  on oom in "/a" expect kill "/a#8"
}
"#;

#[test]
fn tests_say_whether_they_pass() {
    let mut client = open(&Value::Null);
    client.did_open(URI, POLICY);
    refreshed(&mut client);
    let shown = lenses(&mut client, URI);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0], "4: ✓ passes");
    assert!(shown[1].starts_with("8: ✗ line 10: expected "), "{shown:?}");

    client.did_change(URI, 2, &POLICY.replace("expect kill \"/a#8\"", "expect kill \"/a#7\""));
    refreshed(&mut client);
    assert_eq!(lenses(&mut client, URI), ["4: ✓ passes", "8: ✓ passes"]);

    // Nothing is claimed of a text that is no policy.
    client.did_change(URI, 3, "kil");
    client.published(URI);
    assert_eq!(lenses(&mut client, URI), [""; 0]);
    client.close();
}

/// A machine with two processes in a cgroup that is full.
fn recorded(name: &str) -> String {
    let cgroup = |path: &str, id: i64, usage: i64| Cgroup {
        path: path.to_owned(),
        id,
        mode: 0o755,
        controller: true,
        current: Some(usage),
        ..Cgroup::default()
    };
    let parent = Some("/".to_owned());
    let job = Cgroup { parent, max: Some(100 * MIB), ..cgroup("/job", 2, 100 * MIB) };
    let process = |pid: i64, comm: &str, anon: i64| Process {
        pid,
        cgroup: "/job".to_owned(),
        comm: comm.to_owned(),
        anon,
        threads: 1,
        ..Process::default()
    };
    let snapshot = Snapshot {
        schema: SCHEMA,
        top: "/".to_owned(),
        memory: 1 << 30,
        now: 1_000_000_000_000,
        cgroups: vec![Cgroup { current: None, ..cgroup("/", 1, 0) }, job],
        processes: vec![process(100, "nginx", 30 * MIB), process(101, "worker", 60 * MIB)],
        ..Snapshot::default()
    };
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, json!(snapshot).to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn rules_say_whom_they_would_kill() {
    let machine = recorded("lenses.json");
    let mut client = open(&json!({ "snapshot": machine, "oom": "/job" }));
    client.did_open(
        URI,
        "rule \"grow\": if cgroup.usage < 90% then raise_limit 25%\nrule \"kill\": kill largest in subtree\n",
    );
    refreshed(&mut client);
    let shown = lenses(&mut client, URI);
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert_eq!(shown[0], "1: its condition was not true");
    assert!(shown[1].starts_with("2: ") && shown[1].contains("would kill worker (101)"), "{shown:?}");
    client.close();
}

/// The machine of a folder's settings counts where the editor names none.
#[test]
fn the_machine_of_a_folder_is_the_one_of_its_settings() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lenses_settings");
    let files = [("oomc.toml", "snapshot = \"machines/full.json\"\n"), ("machines/x", ""), ("below/x", "")];
    oomc_tests::child::fresh_folder(&folder, &files).unwrap();
    fs::rename(recorded("lenses_settings.json"), folder.join("machines/full.json")).unwrap();
    let uri = format!("file://{}", folder.join("below/a.oom").display());
    let text = "kill largest in subtree\n";
    let shown = |options: &Value| {
        let mut client = open(options);
        client.did_open(&uri, text);
        refreshed(&mut client);
        let shown = lenses(&mut client, &uri);
        client.close();
        assert_eq!(shown.len(), 1, "{shown:?}");
        shown[0].clone()
    };
    let told = shown(&json!({ "oom": "/job" }));
    assert!(told.starts_with("1: ") && told.contains("would kill worker (101)"), "{told}");
    fs::write(folder.join("oomc.toml"), "snapshot = \"machines/gone.json\"\n").unwrap();
    let told = shown(&Value::Null);
    assert!(told.contains("cannot be tried: cannot read") && told.contains("machines/gone.json"), "{told}");
    // What the editor names is stronger.
    let machine = recorded("lenses_settings.json");
    let told = shown(&json!({ "snapshot": machine, "oom": "/job" }));
    assert!(told.contains("would kill worker (101)"), "{told}");
}

/// This machine is read anew each time; the test gives the server the copy of one.
#[test]
fn rules_say_whom_they_would_kill_on_this_machine() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lenses_machine");
    let process = |pid: u32, comm: &str, mib: u32| {
        [
            (
                format!("proc/{pid}/stat"),
                format!("{pid} ({comm}) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 {pid} 0 0\n"),
            ),
            (format!("proc/{pid}/comm"), format!("{comm}\n")),
            (format!("proc/{pid}/cgroup"), "0::/job\n".to_owned()),
            (format!("proc/{pid}/oom_score_adj"), "0\n".to_owned()),
            (format!("proc/{pid}/status"), format!("Uid:\t0\t0\t0\t0\nRssAnon:\t{} kB\n", mib << 10)),
        ]
    };
    let machine = [
        ("proc/meminfo", "MemTotal: 1048576 kB\n"),
        ("proc/uptime", "1000.00 0.00\n"),
        ("cg/memory.stat", "anon 104857600\nfile 0\n"),
        ("cg/job/memory.current", "104857600\n"),
        ("cg/job/memory.max", "104857600\n"),
        ("cg/job/memory.stat", "anon 104857600\nfile 0\n"),
    ];
    let mut files: Vec<(String, String)> =
        machine.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    files.extend(process(100, "nginx", 30));
    files.extend(process(101, "worker", 60));
    let named: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    oomc_tests::child::fresh_folder(&folder, &named).unwrap();
    let (cgroups, processes) = (folder.join("cg"), folder.join("proc"));
    let args = ["--cgroup-root", cgroups.to_str().unwrap(), "--proc-root", processes.to_str().unwrap()];
    let mut client = open_with(&args, &json!({ "thisMachine": true, "oom": "/job" }));
    let text = "kill largest in subtree\n";
    client.did_open(URI, text);
    refreshed(&mut client);
    let shown = lenses(&mut client, URI);
    assert!(shown[0].contains("would kill worker (101)"), "{shown:?}");
    // The machine has changed meanwhile.
    for (name, text) in process(100, "nginx", 70) {
        fs::write(folder.join(name), text).unwrap();
    }
    client.did_change(URI, 2, &format!("# again\n{text}"));
    refreshed(&mut client);
    let shown = lenses(&mut client, URI);
    assert!(shown[0].starts_with("2: ") && shown[0].contains("would kill nginx (100)"), "{shown:?}");
    client.close();
}

#[test]
fn a_machine_that_cannot_be_read_is_told() {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-snapshot.json");
    fs::write(&file, "{}").unwrap();
    for (file, why) in [(file.to_str().unwrap(), "missing field"), ("/nowhere/s.json", "cannot read")] {
        let mut client = Client::start(OOMC, &[]);
        client
            .ask("initialize", json!({ "capabilities": {}, "initializationOptions": { "snapshot": file } }));
        let told = client.next();
        let message = told["params"]["message"].as_str().unwrap();
        assert_eq!(told["method"], "window/logMessage", "{told}");
        assert!(message.contains(file) && message.contains(why), "{message}");
        client.close();
    }
}

#[test]
fn options_that_have_no_effect_are_told() {
    for (options, told) in [
        (json!({ "snapshot": 5 }), vec!["`snapshot` is a text"]),
        (
            json!({ "oom": ["/job"], "thisMachine": "yes" }),
            vec!["`oom` is a text", "`thisMachine` is true or false"],
        ),
        (json!({ "thismachine": true }), vec!["there is no option `thismachine`"]),
        (json!("thisMachine"), vec!["no object"]),
        (json!({ "snapshot": null, "oom": null, "thisMachine": false }), vec![]),
        (Value::Null, vec![]),
    ] {
        let mut client = Client::start(OOMC, &[]);
        client.ask("initialize", json!({ "capabilities": {}, "initializationOptions": options }));
        for words in told {
            let message = client.next();
            assert_eq!(message["method"], "window/logMessage", "{options}: {message}");
            assert!(message["params"]["message"].as_str().unwrap().contains(words), "{options}: {message}");
        }
        // Nothing else is told: what comes next is about the document.
        client.did_open(URI, "kill largest in subtree\n");
        assert_eq!(client.next()["method"], "textDocument/publishDiagnostics", "{options}");
        client.close();
    }
}

#[test]
fn warnings_are_told_as_the_folder_has_it() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lenses/below");
    fs::create_dir_all(&folder).unwrap();
    let settings = folder.parent().unwrap().join("oomc.toml");
    let uri = format!("file://{}", folder.join("a.oom").display());
    // W0602: nothing bounds the rise.
    let text = "raise_limit 10%";
    for (settings_text, wanted) in [
        ("", vec![("W0602", 2)]),
        ("[lints]\nW0602 = \"deny\"\n", vec![("W0602", 1)]),
        ("[lints]\nW0602 = \"allow\"\n", vec![]),
        ("[lint]\n", vec![("E0117", 1), ("W0602", 2)]),
    ] {
        fs::write(&settings, settings_text).unwrap();
        let mut client = open(&Value::Null);
        client.did_open(&uri, text);
        let published = client.published(&uri);
        let told = published["diagnostics"].as_array().unwrap().iter();
        let told: Vec<(&str, i64)> =
            told.map(|one| (one["code"].as_str().unwrap(), one["severity"].as_i64().unwrap())).collect();
        assert_eq!(told, wanted, "{settings_text}");
        client.close();
    }
}

#[test]
fn settings_that_are_no_text_are_told_and_those_above_are_not_taken() {
    let above = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lenses unread");
    let folder = above.join("below");
    fs::create_dir_all(&folder).unwrap();
    fs::write(above.join("oomc.toml"), "[lints]\nW0602 = \"allow\"\n").unwrap();
    fs::write(folder.join("oomc.toml"), b"# \xe4\n").unwrap();
    let uri = format!("file://{}", folder.join("a.oom").display()).replace(' ', "%20");
    let mut client = open(&Value::Null);
    client.did_open(&uri, "raise_limit 10%");
    let published = client.published(&uri);
    let told = published["diagnostics"].as_array().unwrap();
    let codes: Vec<&str> = told.iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["E0117", "W0602"], "{published}");
    assert!(told[0]["message"].as_str().unwrap().contains("UTF-8"), "{published}");
    client.close();
}
