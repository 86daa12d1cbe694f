//! What the language server answers to an author who points at something: protocol tests, one feature each.
//!
//! In a text, `‸` is where the author points; it is taken out before the text is sent.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is not there has failed")]

use std::fs;
use std::path::Path;

use oomc_tests::language_client::Client;
use serde_json::{Value, json};

const OOMC: &str = env!("CARGO_BIN_EXE_oomc");
const URI: &str = "file:///etc/oom/job.oom";
const TESTS: &str = "file:///etc/oom/job.oomt";

const POLICY: &str = "# allow W0603: it is known

const floor = 64MiB
param step = 25% range 1% .. 100%
label tier: count = 100
state grown: counter per cgroup resets after 1h
define batch = process where comm == \"batch-*\"
pick tenant = largest cgroup in children of cgroup by usage
never kill cgroup where tier >= 200
rule \"grow\": if cgroup.usage > 90% and grown < 3 then { raise_limit step up to parent.limit count grown }
rule \"kill\": kill process p in tenant where batch and p.rss > floor and task.signal.nr_threads > 3 until freed 1GiB at most 4
";

const POLICY_TESTS: &str = "test \"x\" {
    given {
        param step 30%
        \"/job\" { limit 1GiB tier 300 grown 3 }
        \"/job#1\" { comm \"batch-1\" rss 700MiB }
    }
    on oom in \"/job\"
    expect kill \"/job#1\" by rule \"kill\"
}
";

/// Starts the program, with snippets, and asked for diagnostics, so that it tells nothing by itself.
fn open() -> Client {
    let item = json!({ "completionItem": { "snippetSupport": true } });
    Client::open(OOMC, &json!({ "textDocument": { "diagnostic": {}, "completion": item } }))
}

/// With the policy and its tests open.
fn with_both() -> Client {
    let mut client = open();
    client.did_open(URI, POLICY);
    client.did_open(TESTS, POLICY_TESTS);
    for uri in [URI, TESTS] {
        let said = client.about("textDocument/diagnostic", uri, json!({}));
        assert_eq!(said["items"], json!([]), "{said}");
    }
    client
}

/// A byte of an ASCII text as a position.
fn position(text: &str, at: usize) -> Value {
    let before = &text[..at];
    let line = before.matches('\n').count();
    json!({ "line": line, "character": at - before.rfind('\n').map_or(0, |at| at + 1) })
}

/// Where a word stands the `nth` time, counted from 0.
fn nth(text: &str, word: &str, nth: usize) -> Value {
    let at = text.match_indices(word).nth(nth).unwrap_or_else(|| panic!("no {nth}th `{word}`")).0;
    json!({ "position": position(text, at) })
}

/// The text of a range.
fn slice<'a>(text: &'a str, range: &Value) -> &'a str {
    let offset = |point: &Value| {
        let line = point["line"].as_u64().unwrap() as usize;
        let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
        start + point["character"].as_u64().unwrap() as usize
    };
    &text[offset(&range["start"])..offset(&range["end"])]
}

#[test]
fn hover_says_what_every_name_is() {
    let mut client = with_both();
    for (word, occurrence, expected) in [
        (
            "usage > 90%",
            0,
            vec!["`cgroup.usage`: bytes", "`cgroup.limit`", "The kernel that is compiled for has it."],
        ),
        ("rss > floor", 0, vec!["`process.rss`: bytes", "get_mm_rss()"]),
        ("floor", 1, vec!["const floor = 64MiB", "A constant"]),
        ("step", 1, vec!["param step = 25%", "25% until it is set, from 1% to 100%"]),
        ("tier", 1, vec!["label tier: count = 100", "100 where nobody set it; trusts root"]),
        ("grown", 2, vec!["state grown", "begins anew 1h after its first count"]),
        ("batch and", 0, vec!["define batch = process", "A definition"]),
        ("tenant where", 0, vec!["pick tenant", "chosen once for each event"]),
        ("p.rss", 0, vec!["`p`: the process that is asked"]),
        ("task.signal", 0, vec!["`task_struct.signal->nr_threads`", "a number with a sign"]),
        ("until", 0, vec!["**until**", "until freed 512MiB at most 4"]),
        ("rule", 0, vec!["**rule**", "Cost of a decision: linear."]),
        ("grow\"", 0, vec!["rule \"grow\"", "Cost of a decision: linear."]),
    ] {
        let shown = client.about("textDocument/hover", URI, nth(POLICY, word, occurrence));
        let text = shown["contents"]["value"].as_str().unwrap_or_else(|| panic!("{word}: {shown}"));
        for part in expected {
            assert!(text.contains(part), "{word}: no `{part}` in {text}");
        }
        // What is marked begins where the word does, or around it.
        assert!(!slice(POLICY, &shown["range"]).is_empty(), "{word}");
    }
    let given = client.about("textDocument/hover", TESTS, nth(POLICY_TESTS, "tier", 0));
    assert!(given["contents"]["value"].as_str().unwrap().contains("label tier"), "{given}");
    client.close();
}

#[test]
fn a_kernel_that_lacks_a_field_is_told_of() {
    let btf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/btf/no_hook.btf");
    let mut client = Client::start(OOMC, &["--btf", btf.to_str().unwrap()]);
    client.ask("initialize", json!({ "capabilities": { "textDocument": { "diagnostic": {} } } }));
    let text = "kill largest cgroup in subtree by swap";
    client.did_open(URI, text);
    let shown = client.about("textDocument/hover", URI, nth(text, "swap", 0));
    assert!(
        shown["contents"]["value"].as_str().unwrap().contains("The kernel that is compiled for"),
        "{shown}"
    );
    client.close();
}

#[test]
fn definitions_and_references_cross_the_files() {
    let mut client = with_both();
    for (word, uses_in_policy, uses_in_tests) in
        [("floor", 1, 0), ("step", 1, 1), ("tier", 1, 1), ("grown", 2, 1), ("batch ", 1, 0), ("tenant", 1, 0)]
    {
        let declared = POLICY.find(word).unwrap();
        let last = POLICY.matches(word).count() - 1;
        let definition = client.about("textDocument/definition", URI, nth(POLICY, word, last));
        assert_eq!(definition[0]["range"]["start"], position(POLICY, declared), "{word}");
        let more =
            json!({ "position": position(POLICY, declared), "context": { "includeDeclaration": false } });
        let found = client.about("textDocument/references", URI, more);
        let of = |uri: &str| found.as_array().unwrap().iter().filter(|place| place["uri"] == uri).count();
        assert_eq!((of(URI), of(TESTS)), (uses_in_policy, uses_in_tests), "{word}: {found}");
    }
    // From the tests to the policy: a param, and a rule by its name.
    for (word, declared) in [("step", "step"), ("kill\"\n", "kill\": kill")] {
        let definition = client.about("textDocument/definition", TESTS, nth(POLICY_TESTS, word, 0));
        assert_eq!(definition[0]["uri"], URI, "{word}");
        assert_eq!(
            definition[0]["range"]["start"],
            position(POLICY, POLICY.find(declared).unwrap()),
            "{word}"
        );
    }
    let marked = client.about("textDocument/documentHighlight", URI, nth(POLICY, "p.rss", 0));
    assert_eq!(marked.as_array().unwrap().len(), 2, "{marked}");
    client.close();
}

/// The texts after a rename; or why there is none.
fn renamed(client: &mut Client, place: &Value, name: &str) -> Result<[String; 2], String> {
    let mut params = json!({ "textDocument": { "uri": URI }, "newName": name });
    params["position"] = place["position"].clone();
    let answer = client.ask("textDocument/rename", params);
    if let Some(error) = answer["error"]["message"].as_str() {
        return Err(error.to_owned());
    }
    let apply = |uri: &str, text: &str| {
        let edits = answer["result"]["changes"][uri].as_array().cloned().unwrap_or_default();
        let mut text = text.to_owned();
        for edit in edits.iter().rev() {
            let mark = slice(&text, &edit["range"]).as_ptr() as usize - text.as_ptr() as usize;
            let length = slice(&text, &edit["range"]).len();
            text.replace_range(mark..mark + length, edit["newText"].as_str().unwrap());
        }
        text
    };
    Ok([apply(URI, POLICY), apply(TESTS, POLICY_TESTS)])
}

#[test]
fn a_name_is_changed_everywhere_or_nowhere() {
    let mut client = with_both();
    let swap = |text: &str, pairs: &[(&str, &str)]| {
        pairs.iter().fold(text.to_owned(), |text, (old, new)| text.replace(old, new))
    };
    let step = renamed(&mut client, &nth(POLICY, "step", 1), "share").unwrap();
    assert_eq!(step, [swap(POLICY, &[("step", "share")]), swap(POLICY_TESTS, &[("step", "share")])]);
    let rule = renamed(&mut client, &nth(POLICY, "kill\":", 0), "end of it").unwrap();
    assert_eq!(
        rule,
        [
            swap(POLICY, &[("rule \"kill\"", "rule \"end of it\"")]),
            swap(POLICY_TESTS, &[("\"kill\"", "\"end of it\"")])
        ]
    );
    let candidate = renamed(&mut client, &nth(POLICY, "p in tenant", 0), "q").unwrap();
    assert_eq!(candidate[0], swap(POLICY, &[("process p", "process q"), ("p.rss", "q.rss")]));
    // What would not be a name, or would mean something else.
    for name in ["tier", "kill", "usage", "9", "a b", "", "\u{e9}", "p"] {
        let refused = renamed(&mut client, &nth(POLICY, "floor", 0), name);
        assert!(refused.is_err(), "{name}: {refused:?}");
    }
    let nothing = renamed(&mut client, &nth(POLICY, "largest", 0), "x").unwrap_err();
    assert_eq!(nothing, "there is no name of yours here");
    let field = client.about("textDocument/prepareRename", URI, nth(POLICY, "usage", 0));
    assert_eq!(field, Value::Null);
    client.did_change(URI, 2, &format!("{POLICY}kill"));
    let broken = renamed(&mut client, &nth(POLICY, "floor", 0), "least").unwrap_err();
    assert!(broken.starts_with("repair the errors first"), "{broken}");
    client.close();
}

#[test]
fn tests_that_are_not_open_are_changed_too() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rename");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("job.oomt"), POLICY_TESTS).unwrap();
    let uri = format!("file://{}", folder.join("job.oom").display());
    let mut client = open();
    client.did_open(&uri, POLICY);
    let mut more = nth(POLICY, "step", 0);
    more["newName"] = json!("share");
    let edit = client.about("textDocument/rename", &uri, more);
    let tests = edit["changes"][format!("{uri}t")].as_array().unwrap();
    assert_eq!(tests.len(), 1, "{edit}");
    assert_eq!(slice(POLICY_TESTS, &tests[0]["range"]), "step");
    client.close();
}

#[test]
fn nothing_is_renamed_where_a_file_cannot_be_read() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("rename unread");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("job.oomt");
    // The name stands in it, behind a letter of Latin-1.
    fs::write(&file, [b"# \xe4\n", POLICY_TESTS.as_bytes()].concat()).unwrap();
    let uri = format!("file://{}", folder.join("job.oom").display()).replace(' ', "%20");
    let mut client = open();
    client.did_open(&uri, POLICY);
    let mut params = json!({ "textDocument": { "uri": uri }, "newName": "share" });
    params["position"] = nth(POLICY, "step", 0)["position"].clone();
    let answer = client.ask("textDocument/rename", params.clone());
    let why = answer["error"]["message"].as_str().unwrap();
    assert!(why.contains("job.oomt") && why.contains("UTF-8"), "{answer}");
    // As it is open it can be read, whatever was saved.
    client.did_open(&format!("{uri}t"), POLICY_TESTS);
    let answer = client.ask("textDocument/rename", params);
    assert_eq!(answer["result"]["changes"].as_object().map(|changes| changes.len()), Some(2), "{answer}");
    client.close();
}

#[test]
fn the_outline_has_every_clause() {
    let mut client = with_both();
    let text = format!("{POLICY}on usage > 95% {{ rule \"early\": reclaim 10% }}\n");
    client.did_change(URI, 2, &text);
    let outline = client.about("textDocument/documentSymbol", URI, json!({}));
    let names = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(
        names(&outline),
        [
            "floor",
            "step",
            "tier",
            "grown",
            "batch",
            "tenant",
            "never kill cgroup",
            "grow",
            "kill",
            "on usage > 95%"
        ]
    );
    assert_eq!(names(&outline[9]["children"]), ["early"]);
    let found = client.ask("workspace/symbol", json!({ "query": "GROW" }))["result"].clone();
    assert_eq!(names(&found), ["grown", "grow"]);
    let found = client.ask("workspace/symbol", json!({ "query": "x" }))["result"].clone();
    assert_eq!((names(&found), &found[0]["location"]["uri"]), (vec!["x".to_owned()], &json!(TESTS)));
    client.close();
}

/// Policies that lie in an open folder are searched as well: as they are written there, unless they are open.
#[test]
fn names_are_found_in_policies_that_are_not_open() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ide/folders");
    let rule = |name: &str| format!("rule \"{name}\": kill largest in subtree\n");
    let (a, b, hidden) = (rule("sought a"), rule("sought b"), rule("sought hidden"));
    let files = [
        ("one/a.oom", a.as_str()),
        ("one/be low/b.oom", &b),
        ("one/be low/text.txt", &b),
        ("one/.git/hidden.oom", &hidden),
        ("one/wrong.oom", "kill largst \u{1f4a5}"),
        ("elsewhere/c.oom", &hidden),
        ("two/d.oom", &rule("sought d")),
    ];
    oomc_tests::child::fresh_folder(&folder, &files).unwrap();
    fs::write(folder.join("one/bytes.oom"), b"\xff\xfe").unwrap();
    std::os::unix::fs::symlink("../elsewhere", folder.join("one/link")).unwrap();
    std::os::unix::fs::symlink("../elsewhere/c.oom", folder.join("one/link.oom")).unwrap();
    let uri = |name: &str| format!("file://{}", folder.join(name).display()).replace(' ', "%20");
    let mut client = Client::start(OOMC, &[]);
    let folders = json!([{ "uri": uri("one"), "name": "one" }]);
    let answer = client.ask("initialize", json!({ "capabilities": {}, "workspaceFolders": folders }));
    assert_eq!(answer["result"]["capabilities"]["workspace"]["workspaceFolders"]["supported"], true);
    client.tell("initialized", json!({}));
    let found = |client: &mut Client| {
        let found = client.ask("workspace/symbol", json!({ "query": "SOUGHT" }))["result"].clone();
        let one = |one: &Value| {
            let (name, at) = (one["name"].as_str().unwrap(), one["location"]["uri"].as_str().unwrap());
            let line = &one["location"]["range"]["start"]["line"];
            format!("{name} {}:{line}", at.strip_prefix(&uri("")).unwrap())
        };
        found.as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(found(&mut client), ["sought a one/a.oom:0", "sought b one/be%20low/b.oom:0"]);
    // As it is open, and not twice.
    client.did_open(&uri("one/a.oom"), &format!("\n{}", rule("sought anew")));
    client.published(&uri("one/a.oom"));
    assert_eq!(found(&mut client), ["sought anew one/a.oom:1", "sought b one/be%20low/b.oom:0"]);
    let event = json!({ "added": [{ "uri": uri("two"), "name": "two" }], "removed": folders });
    client.tell("workspace/didChangeWorkspaceFolders", json!({ "event": event }));
    assert_eq!(found(&mut client), ["sought anew one/a.oom:1", "sought d two/d.oom:0"]);
    client.close();
}

/// Who shows a part asks for the tokens of a part, and who has them is told what has changed.
#[test]
fn tokens_of_a_part_and_what_has_changed_of_them() {
    let mut client = open();
    let text = "const floor = 1KiB\nkill largest in subtree where rss > floor\nwait\n";
    client.did_open(URI, text);
    let data = |told: &Value| -> Vec<u64> {
        told["data"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).collect()
    };
    let whole = client.about("textDocument/semanticTokens/full", URI, json!({}));
    let range = json!({ "start": { "line": 1, "character": 5 }, "end": { "line": 2, "character": 0 } });
    let part = data(&client.about("textDocument/semanticTokens/range", URI, json!({ "range": range })));
    // The first token begins at the line and the character of `largest`, and `wait` is not there.
    assert_eq!(part[..3], [1, 5, 7], "{part:?}");
    assert_eq!(part.len() / 5, 7, "{part:?}");
    client.did_change(URI, 2, &text.replace("1KiB", "10KiB"));
    let known = json!({ "previousResultId": whole["resultId"] });
    let change = client.about("textDocument/semanticTokens/full/delta", URI, known.clone());
    // One token of the first line is longer.
    assert_eq!(change["edits"].as_array().unwrap().len(), 1, "{change}");
    let edit = &change["edits"][0];
    assert_eq!((&edit["start"], &edit["deleteCount"], &edit["data"][2]), (&json!(15), &json!(5), &json!(5)));
    // Nothing has changed since; and of tokens that nobody knows any more all are told.
    let same = json!({ "previousResultId": change["resultId"] });
    let same = client.about("textDocument/semanticTokens/full/delta", URI, same);
    assert_eq!(same["edits"], json!([]), "{same}");
    let all = client.about("textDocument/semanticTokens/full/delta", URI, known);
    assert_eq!(data(&all).len(), data(&whole).len(), "{all}");
    client.close();
}

#[test]
fn tokens_say_what_names_stand_for() {
    let mut client = open();
    let text = "# \u{1f4a5}\nconst floor = 1KiB\nkill p in subtree where p.rss > floor and pressure.some.avg10 > 1%\n";
    let text = &text.replace("kill p", "kill cgroup p").replace("p.rss", "p.usage");
    client.did_open(URI, text);
    let tokens = client.about("textDocument/semanticTokens/full", URI, json!({}));
    let data: Vec<u64> = tokens["data"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap()).collect();
    let lines: Vec<Vec<u16>> = text.lines().map(|line| line.encode_utf16().collect()).collect();
    let (mut line, mut character, mut found) = (0, 0, Vec::new());
    for token in data.chunks(5) {
        (line, character) =
            (line + token[0] as usize, token[1] as usize + if token[0] == 0 { character } else { 0 });
        let word = &lines[line][character..character + token[2] as usize];
        found.push(format!(
            "{} {}{}",
            String::from_utf16_lossy(word),
            token[3],
            if token[4] == 1 { "!" } else { "" }
        ));
    }
    // By the legend: 0 a word of the language, 1 a comment, 3 a number, 4 a sign, 5 a field, 6 a constant, 10 a variable.
    assert_eq!(
        found,
        [
            "# \u{1f4a5} 1",
            "const 0",
            "floor 6!",
            "= 4",
            "1KiB 3",
            "kill 0",
            "cgroup 0",
            "p 10!",
            "in 0",
            "subtree 0",
            "where 0",
            "p 10",
            "usage 5",
            "> 4",
            "floor 6",
            "and 0",
            "pressure 5",
            "some 5",
            "avg10 5",
            "> 4",
            "1% 3",
        ]
    );
    client.close();
}

#[test]
fn parts_fold_and_selections_grow() {
    let mut client = open();
    let text = "# one\n# two\nrule \"a\": {\n    raise_limit 1MiB up to 1GiB\n    notify \"x\"\n}\n";
    client.did_open(URI, text);
    let folds = client.about("textDocument/foldingRange", URI, json!({}));
    let lines: Vec<(u64, u64)> = folds
        .as_array()
        .unwrap()
        .iter()
        .map(|fold| (fold["startLine"].as_u64().unwrap(), fold["endLine"].as_u64().unwrap()))
        .collect();
    assert_eq!((lines[0], &folds[0]["kind"]), ((0, 1), &json!("comment")), "{folds}");
    assert!(lines.contains(&(2, 5)), "{folds}");
    let at = text.find("1GiB").unwrap() + 1;
    let around =
        client.about("textDocument/selectionRange", URI, json!({ "positions": [position(text, at)] }));
    let (mut one, mut words) = (&around[0], Vec::new());
    while one.is_object() {
        words.push(slice(text, &one["range"]));
        one = &one["parent"];
    }
    assert_eq!(words[..2], ["1GiB", "raise_limit 1MiB up to 1GiB"]);
    assert!(words[2].starts_with('{') && words[3].starts_with("rule") && words.len() == 5, "{words:?}");
    client.close();
}

/// What is offered at `‸` in a text; the texts that would be there.
fn offered(client: &mut Client, uri: &str, text: &str) -> Vec<Value> {
    let at = text.find('\u{2038}').unwrap();
    let text = text.replace('\u{2038}', "");
    client.did_change(uri, 2, &text);
    let found = client.about("textDocument/completion", uri, json!({ "position": position(&text, at) }));
    found["items"].as_array().unwrap_or_else(|| panic!("{text}: {found}")).clone()
}

fn labels(items: &[Value]) -> Vec<&str> {
    items.iter().map(|item| item["label"].as_str().unwrap()).collect()
}

#[test]
fn completion_knows_what_can_stand_where() {
    let mut client = with_both();
    let declarations = POLICY.split("never").next().unwrap();
    for (text, offered_here, not_here) in [
        ("\u{2038}", vec!["rule", "kill", "never", "param", "rule …"], vec!["where", "usage"]),
        ("kill \u{2038}", vec!["largest", "process", "cgroup", "in"], vec!["kill", "usage"]),
        (
            "kill largest process in \u{2038}",
            vec!["subtree", "children", "leaves", "attached", "tenant"],
            vec!["rss"],
        ),
        (
            "kill largest process in subtree \u{2038}",
            vec!["where", "by", "until", "reason", "rule"],
            vec!["rss", "then"],
        ),
        ("kill in subtree wh\u{2038}", vec!["where"], vec![]),
        (
            "kill in subtree where \u{2038}",
            vec!["rss", "comm", "batch", "floor", "home", "any", "not"],
            vec!["usage", "kill"],
        ),
        ("kill cgroup in subtree where \u{2038}", vec!["usage", "tier", "grown", "it"], vec!["rss", "comm"]),
        (
            "kill cgroup c in subtree where c.\u{2038}",
            vec!["usage", "tier", "parent", "memcg"],
            vec!["rss", "where"],
        ),
        (
            "kill cgroup in subtree where (any process in it where \u{2038}",
            vec!["comm", "rss"],
            vec!["usage"],
        ),
        ("kill in subtree where home.\u{2038}", vec!["usage", "tier"], vec!["rss"]),
        ("kill in subtree where task.signal.\u{2038}", vec!["nr_threads"], vec!["rss"]),
        ("if cgroup.pressure.\u{2038}", vec!["some.avg10", "full.avg300"], vec!["usage"]),
        ("if oom.\u{2038}", vec!["scope", "order", "oc"], vec!["usage"]),
        ("if cgroup.usage > 90% \u{2038}", vec!["then", "and"], vec!["where"]),
        ("rule \"a\": { raise_limit 1MiB count \u{2038}", vec!["grown"], vec!["tier", "usage"]),
        ("on pressure some \u{2038}", vec!["avg10", "avg60", "avg300", "above"], vec!["usage"]),
        ("mode \u{2038}", vec!["audit", "enforce"], vec!["kill"]),
        (
            "test \"x\" { given { \"/a#1\" { \u{2038}",
            vec!["rss", "comm", "oom_score_adj"],
            vec!["limit", "tier"],
        ),
        ("test \"x\" { given { \"/a\" { \u{2038}", vec!["limit", "tier", "grown"], vec!["rss"]),
        ("test \"x\" { given { \"/a\" { } } on oom in \"\u{2038}", vec!["/a"], vec![]),
        (
            "test \"x\" { on oom in \"/a\" expect \u{2038}",
            vec!["kill", "raise_limit", "wait", "defer"],
            vec!["where"],
        ),
        ("kill in subtree # \u{2038}", vec![], vec!["where"]),
    ] {
        let items = offered(&mut client, URI, &format!("{declarations}{text}"));
        let labels = labels(&items);
        for label in offered_here {
            assert!(labels.contains(&label), "{text}: no `{label}` in {labels:?}");
        }
        for label in not_here {
            assert!(!labels.contains(&label), "{text}: `{label}` in {labels:?}");
        }
    }
    client.did_change(URI, 2, POLICY);
    let items = offered(&mut client, TESTS, "test \"x\" { expect wait by rule \"\u{2038}");
    assert_eq!(labels(&items), ["grow", "kill"]);
    client.close();
}

#[test]
fn completion_says_what_is_meant_and_puts_first_what_fits() {
    let mut client = open();
    client.did_open(URI, "");
    let items = offered(&mut client, URI, "kill in subtree where rss > \u{2038}");
    let first: Vec<&str> = items.iter().take(4).map(|item| item["detail"].as_str().unwrap_or("")).collect();
    assert!(first.iter().all(|unit| *unit == "bytes"), "{first:?}");
    let rss = items.iter().find(|item| item["label"] == "rss").unwrap();
    assert!(rss["documentation"]["value"].as_str().unwrap().contains("resident memory"), "{rss}");
    let literal = items.iter().find(|item| item["label"] == "64MiB").unwrap();
    assert_eq!(
        (&literal["insertTextFormat"], &literal["textEdit"]["newText"]),
        (&json!(2), &json!("${1:64}MiB"))
    );
    client.close();

    // Who fills in no places is offered none.
    let mut client = Client::open(OOMC, &json!({ "textDocument": { "diagnostic": {} } }));
    client.did_open(URI, "");
    let items = offered(&mut client, URI, "\u{2038}");
    assert!(items.iter().all(|item| item["insertTextFormat"] != 2) && !items.is_empty());
    client.close();
}

/// Ready policies and examples.
fn policies() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["stdlib/policies", "examples"].map(|folder| oomc_tests::files(&root.join(folder)));
    let files = folders.concat().into_iter().filter(|path| path.extension().is_some_and(|end| end == "oom"));
    let texts: Vec<String> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 10, "only {} policies were found", texts.len());
    texts
}

#[test]
fn every_word_of_the_library_is_offered_where_it_stands() {
    let mut client = open();
    client.did_open(URI, "");
    let (mut asked, mut missed) = (0, Vec::new());
    for text in policies() {
        let text = text.replace(|c: char| !c.is_ascii(), "?");
        client.did_change(URI, 2, &text);
        let tokens = client.about("textDocument/semanticTokens/full", URI, json!({}));
        let data: Vec<usize> =
            tokens["data"].as_array().unwrap().iter().map(|one| one.as_u64().unwrap() as usize).collect();
        let (mut line, mut character) = (0, 0);
        let starts: Vec<usize> = text
            .split_inclusive('\n')
            .scan(0, |at, line| Some(std::mem::replace(at, *at + line.len())))
            .collect();
        for (number, token) in data.chunks(5).enumerate() {
            (line, character) = (line + token[0], token[1] + if token[0] == 0 { character } else { 0 });
            let start = starts[line] + character;
            let word = &text[start..start + token[2]];
            // Words, fields and names that are used; a few of each text, the text as it is up to there.
            if !matches!(token[3], 0 | 5..=10) || token[4] == 1 || number % 5 != 0 {
                continue;
            }
            asked += 1;
            let more = json!({ "position": position(&text, start) });
            let found = client.about("textDocument/completion", URI, more);
            let items = found["items"].as_array().unwrap();
            let is = |item: &Value| {
                item["label"]
                    .as_str()
                    .is_some_and(|label| label == word || label.starts_with(&format!("{word}.")))
            };
            if !items.iter().any(is) {
                missed.push(format!("{word} behind {:?}", &text[start.saturating_sub(50)..start]));
            }
        }
    }
    assert!(asked > 150, "only {asked}");
    assert_eq!(missed, [""; 0], "of {asked}");
    client.close();
}

#[test]
fn hints_say_what_is_left_out() {
    let mut client = open();
    let text = "if cgroup.usage > 90% then raise_limit 10% up to 1GiB else kill largest in subtree\nkill all cgroup in subtree where tier > 3";
    let text = format!("label tier: count = 1\n{text}\n");
    client.did_open(URI, &text);
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 9, "character": 0 } });
    let hints = client.about("textDocument/inlayHint", URI, json!({ "range": range }));
    let shown: Vec<String> = hints
        .as_array()
        .unwrap()
        .iter()
        .map(|hint| {
            let at = &hint["position"];
            format!("{}:{} {}", at["line"], at["character"], hint["label"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "1:21 of cgroup.limit",
            "1:42 of own_limit",
            "1:72 process",
            "1:82 by footprint desc",
            "1:82 then footprint desc, youngest",
            "2:41 default defer"
        ]
    );
    client.close();
}

/// Title, kind and new text of each change that is offered where a word stands.
fn changes(client: &mut Client, text: &str, word: &str) -> Vec<(String, String, String)> {
    client.did_change(URI, 2, text);
    let at = position(text, text.find(word).unwrap());
    let more = json!({ "range": { "start": at, "end": at }, "context": { "diagnostics": [] } });
    let actions = client.about("textDocument/codeAction", URI, more);
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |action: &Value| {
        let edit = &action["edit"]["changes"][URI][0];
        let whole = slice(text, &edit["range"]);
        let start = whole.as_ptr() as usize - text.as_ptr() as usize;
        let mut after = text.to_owned();
        after.replace_range(start..start + whole.len(), edit["newText"].as_str().unwrap());
        (word(&action["title"]), word(&action["kind"]), after)
    };
    actions.as_array().unwrap().iter().map(one).collect()
}

#[test]
fn changes_are_offered_where_nothing_is_wrong() {
    let mut client = open();
    client.did_open(URI, "");
    let text = "rule \"a\": raise_limit 10% or kill largest in subtree or wait\n";
    let found = changes(&mut client, text, "raise_limit");
    let after = |title: &str| {
        found.iter().find(|(one, ..)| one == title).map(|(_, kind, text)| (kind.as_str(), text.as_str()))
    };
    assert_eq!(
        after("add `up to parent.limit`"),
        Some((
            "refactor",
            "rule \"a\": raise_limit 10% up to parent.limit or kill largest in subtree or wait\n"
        ))
    );
    assert_eq!(
        after("split `or` into rules"),
        Some((
            "refactor.rewrite",
            "rule \"a\": raise_limit 10%\nrule \"a 2\": kill largest in subtree\nrule \"a 3\": wait\n"
        ))
    );
    let (_, test) = after("write a test for this rule").unwrap();
    assert!(test.contains("expect raise_limit \"/job\" to 1280MiB by rule \"a\""), "{test}");
    // Where something is wrong, this is to be repaired first.
    let broken =
        changes(&mut client, "raise_limit 10% or kill largest in subtree where rss > 1", "raise_limit");
    assert_eq!(broken, []);
    client.close();
}

#[test]
fn what_is_offered_leaves_every_policy_right() {
    let mut client = open();
    client.did_open(URI, "");
    let mut count = 0;
    for text in policies() {
        let text = text.replace(|c: char| !c.is_ascii(), "?");
        for line in text.lines().filter(|line| line.starts_with("rule") || line.starts_with("kill")) {
            for (title, _, after) in changes(&mut client, &text, line) {
                client.did_change(URI, 3, &after);
                let said = client.about("textDocument/diagnostic", URI, json!({}));
                let errors: Vec<&Value> =
                    said["items"].as_array().unwrap().iter().filter(|one| one["severity"] == 1).collect();
                assert!(errors.is_empty(), "{title}: {errors:?} in {after}");
                count += 1;
            }
        }
    }
    assert!(count > 20, "only {count}");
    client.close();
}
