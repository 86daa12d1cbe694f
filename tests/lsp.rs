//! The language server as an editor meets it: the real program, messages over pipes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a server that cannot be talked to has failed"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use oomc_tests::child::fresh_folder;
use oomc_tests::language_client::{Client, places};
use serde_json::{Value, json};

/// The program.
const OOMC: &str = env!("CARGO_BIN_EXE_oomc");

/// Starts the program and greets it, as an editor that shows further places.
fn open() -> Client {
    let related = json!({ "textDocument": { "publishDiagnostics": { "relatedInformation": true } } });
    Client::open(OOMC, &related)
}

const URI: &str = "file:///etc/oom/batch.oom";

#[test]
fn diagnostics_appear_change_and_vanish() {
    let mut client = open();
    client.did_open(URI, "kill largest in subtree where footprint > 4096");
    let first = client.published(URI);
    assert_eq!(places(&first), ["E0302 0:42-0:46"]);
    assert_eq!(first["version"], 1);
    let message = first["diagnostics"][0]["message"].as_str().unwrap();
    assert!(message.contains("\nhelp: "), "{message}");
    assert_eq!(first["diagnostics"][0]["severity"], 1);

    client.did_change(URI, 2, "kill largest in subtree where footprnt > 4KiB");
    assert_eq!(client.places(URI), ["E0201 0:30-0:38"]);
    client.did_change(URI, 3, "kill largest in subtree where footprint > 4KiB");
    let last = client.published(URI);
    assert_eq!((places(&last), &last["version"]), (vec![], &json!(3)));

    client.did_change(URI, 4, "kill");
    assert_eq!(client.places(URI).len(), 1);
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } }));
    assert_eq!(client.published(URI), json!({ "uri": URI, "diagnostics": [] }));
    client.close();
}

/// What `oomc check` says of a file, in the form in which the server says it.
fn checked(path: &Path) -> Vec<String> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_oomc")).args(["--format", "json", "check"]).arg(path).output();
    let result: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let list = result["diagnostics"].as_array().unwrap();
    list.iter()
        .map(|one| {
            let label = &one["labels"][0];
            // From 1 there, from 0 here; what is about the whole file has no label.
            let number = |key: &str| label[key].as_i64().map_or(0, |number| number - 1);
            let mut said = format!(
                "{} {}:{}-{}:{} {}",
                one["code"].as_str().unwrap(),
                number("line"),
                number("column"),
                number("end_line"),
                number("end_column"),
                one["message"].as_str().unwrap()
            );
            said.extend(
                label["text"].as_str().filter(|text| !text.is_empty()).map(|text| format!("\n{text}")),
            );
            said.extend(one["help"].as_str().map(|help| format!("\nhelp: {help}")));
            said.extend(
                one["notes"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|note| format!("\nnote: {}", note.as_str().unwrap())),
            );
            said
        })
        .collect()
}

#[test]
fn tests_beside_a_policy_are_checked_with_it() {
    let tests = format!("{URI}t");
    let test =
        r#"test "x" { given { "/a#1" { rss 1MiB } } on oom in "/a" expect kill "/a#1" by rule "kil" }"#;
    let mut client = open();
    // Alone, nothing but the grammar is known.
    client.did_open(&tests, test);
    assert_eq!(client.places(&tests), [""; 0]);
    client.did_open(URI, "rule \"kill\": kill largest in subtree");
    assert_eq!(client.places(URI), [""; 0]);
    assert_eq!(client.places(&tests), ["E0409 0:83-0:88"]);
    client.did_change(URI, 2, "rule \"kil\": kill largest in subtree");
    assert_eq!(client.places(URI), [""; 0]);
    assert_eq!(client.places(&tests), [""; 0]);
    client.did_change(&tests, 2, "test \"x\" { given }");
    assert_eq!(client.places(&tests).len(), 1);
    client.close();
}

#[test]
fn a_policy_that_is_not_open_is_read_from_its_file() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("beside tests");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("job.oom");
    fs::write(&file, "rule \"kill\": kill largest in subtree\n").unwrap();
    let policy = format!("file://{}", file.display()).replace(' ', "%20");
    let tests = format!("{policy}t");
    let test =
        r#"test "x" { given { "/a#1" { rss 1MiB } } on oom in "/a" expect kill "/a#1" by rule "kil" }"#;
    let mut client = open();
    client.did_open(&tests, test);
    assert_eq!(client.places(&tests), ["E0409 0:83-0:88"]);
    // What is open goes before what was saved.
    client.did_open(&policy, "rule \"kil\": kill largest in subtree");
    assert_eq!((client.places(&policy), client.places(&tests)), (vec![], vec![]));
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": policy } }));
    assert_eq!(client.places(&policy), [""; 0]);
    assert_eq!(client.places(&tests), ["E0409 0:83-0:88"]);
    // Nobody waits for what is no ordinary file, and nobody looks on other machines.
    fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    client.did_change(&tests, 2, test);
    assert_eq!(client.places(&tests), [""; 0]);
    fs::remove_file(&file).unwrap();
    fs::write(&file, "rule \"kill\": kill largest in subtree\n").unwrap();
    let elsewhere = tests.replace("file://", "file://elsewhere");
    client.did_open(&elsewhere, test);
    assert_eq!(client.places(&elsewhere), [""; 0]);
    client.close();
}

/// A list of diagnostics as places and messages.
fn said(published: &Value) -> Vec<String> {
    let messages =
        published["diagnostics"].as_array().unwrap().iter().map(|one| one["message"].as_str().unwrap());
    places(published).iter().zip(messages).map(|(place, message)| format!("{place} {message}")).collect()
}

#[test]
fn every_case_of_check_says_the_same_here() {
    let mut client = open();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cases/check");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_case = path.extension().is_some_and(|end| end == "oom");
        // There, columns count bytes.
        let text = is_case.then(|| fs::read_to_string(&path).unwrap()).filter(|text| text.is_ascii());
        let Some(text) = text else { continue };
        let uri = format!("file:///{}", path.file_name().unwrap().to_str().unwrap());
        client.did_open(&uri, &text);
        let mut said = said(&client.published(&uri));
        let checked = checked(&path);
        // What only the code tells comes behind what names and types tell.
        if said != checked {
            said = self::said(&client.published(&uri));
        }
        assert_eq!(said, checked, "{uri}");
        count += 1;
    }
    assert!(count > 30, "only {count} cases were found: the search is broken");
    client.close();
}

#[test]
fn policies_are_checked_for_the_kernel_that_is_named() {
    let btf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/btf/no_raise.btf");
    let mut client = Client::start(OOMC, &["--stdio", "--btf", btf.to_str().unwrap()]);
    client.ask("initialize", json!({ "capabilities": {} }));
    client.did_open(URI, "raise_limit 10% up to 1GiB");
    assert_eq!(client.places(URI), ["E0501 0:0-0:26"]);
    client.close();
}

#[test]
fn the_kernel_of_a_folder_is_the_one_of_its_settings() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lsp_kernel");
    let settings = "btf = \"types/kernel.btf\"\n";
    fresh_folder(&folder, &[("policies/oomc.toml", settings), ("policies/types/none", "")]).unwrap();
    let uri = |name: &str| format!("file://{}/{name}.oom", folder.display());
    let text = "raise_limit 10% up to 1GiB";
    let mut client = open();
    // Its types are not there: that is told, and the policy is checked for the reference kernel.
    client.did_open(&uri("policies/before"), text);
    assert_eq!(client.places(&uri("policies/before")), ["E0117 0:0-0:0"]);
    let btf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/btf/no_raise.btf");
    fs::copy(btf, folder.join("policies/types/kernel.btf")).unwrap();
    client.did_open(&uri("policies/a"), text);
    assert_eq!(client.places(&uri("policies/a")), ["E0501 0:0-0:26"]);
    client.did_open(&uri("b"), text);
    assert_eq!(client.places(&uri("b")), [""; 0]);
    client.close();
}

#[test]
fn places_count_utf16_units_and_windows_line_ends() {
    let mut client = open();
    client.did_open(URI, "# \u{1f4a5}\r\nrule \"\u{1f4a5}\": kill largest in subtree where rss > 1\r\n");
    assert_eq!(client.places(URI), ["E0302 1:47-1:48"]);
    client.close();
}

#[test]
fn a_second_place_is_related_information() {
    let text = "kill largest in subtree\nconst a = 1KiB\nconst a = 2KiB\n";
    let mut client = open();
    client.did_open(URI, text);
    let found = client.published(URI)["diagnostics"].clone();
    let twice = found.as_array().unwrap().iter().find(|one| one["code"] == "E0205").unwrap().clone();
    let related = &twice["relatedInformation"][0];
    assert_eq!(related["location"]["uri"], URI, "{twice}");
    assert_eq!(related["location"]["range"]["start"], json!({ "line": 1, "character": 6 }), "{twice}");
    client.close();

    // An editor that does not show it reads the same in the message.
    let mut client = Client::start(OOMC, &[]);
    client.ask("initialize", json!({ "capabilities": {} }));
    client.did_open(URI, text);
    let found = client.published(URI)["diagnostics"].clone();
    let twice = found.as_array().unwrap().iter().find(|one| one["code"] == "E0205").unwrap().clone();
    assert!(twice["message"].as_str().unwrap().contains("\nline 2: "), "{twice}");
    assert_eq!(twice["relatedInformation"], Value::Null);
    client.close();
}

#[test]
fn a_document_may_have_any_uri() {
    let mut client = open();
    for uri in
        ["untitled:Untitled-1", "git:/a/b.oom?%7B%22ref%22%3A1%7D", "x:", "", "file:///a%2Fb%00%FF.oom"]
    {
        client.did_open(uri, "kill largest in subtre");
        assert_eq!(client.places(uri).len(), 1, "{uri}");
        client.did_change(uri, 2, "kill largest in subtree");
        assert_eq!(client.places(uri), [""; 0], "{uri}");
    }
    client.close();
}

#[test]
fn changes_of_a_part_are_made_in_both_encodings() {
    let at = |line: u32, character: u32| json!({ "line": line, "character": character });
    for (encoding, behind) in [("utf-16", 3), ("utf-8", 5), ("utf-32", 3)] {
        let mut client = Client::start(OOMC, &[]);
        let general = json!({ "positionEncodings": [encoding] });
        let can =
            client.ask("initialize", json!({ "capabilities": { "general": general } }))["result"].clone();
        let agreed = if encoding == "utf-8" { "utf-8" } else { "utf-16" };
        assert_eq!(can["capabilities"]["positionEncoding"], agreed, "{can}");
        client.did_open(URI, "#\u{1f4a5}x\r\nkill largest in subtre");
        assert_eq!(client.places(URI), ["E0402 1:16-1:22"]);
        let document = json!({ "uri": URI, "version": 2 });
        let range = |start: Value, end: Value| json!({ "start": start, "end": end });
        // In this order, each in the text that the one before it left.
        let changes = json!([
            { "range": range(at(1, 22), at(1, 22)), "text": "e" },
            { "range": range(at(0, behind), at(0, behind + 1)), "text": "\u{1f4a5}\nwait " },
            { "range": range(at(2, 99), at(99, 0)), "text": " whre" },
        ]);
        client.tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
        assert_eq!(client.places(URI), ["E0101 2:24-2:28"], "{encoding}");
        client.close();
    }
}

#[test]
fn a_diagnostic_leads_to_its_page_and_fades_what_is_not_needed() {
    let mut client = open();
    client.did_open(URI, "const unused = 1KiB\nkill largest in subtree where rss > 4096");
    let found = client.published(URI)["diagnostics"][0].clone();
    let page = found["codeDescription"]["href"].as_str().unwrap();
    assert!(page.ends_with("/compiler/src/diag/docs/E0302.md"), "{page}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(root.join(page.split_once("/blob/main/").unwrap().1).is_file(), "{page}");
    assert_eq!(found["tags"], Value::Null);
    client.did_change(URI, 2, "const unused = 1KiB\nkill largest in subtree");
    let found = client.published(URI)["diagnostics"][0].clone();
    assert_eq!((&found["code"], &found["tags"]), (&json!("W0604"), &json!([1])), "{found}");
    client.close();
}

#[test]
fn diagnostics_are_there_for_who_asks() {
    let capabilities = json!({ "textDocument": { "diagnostic": {} } });
    let mut client = Client::open(OOMC, &capabilities);
    client.did_open(URI, "kill largest in subtree where rss > 4096");
    let ask = |client: &mut Client, known: Value| {
        client.about("textDocument/diagnostic", URI, json!({ "previousResultId": known }))
    };
    let first = ask(&mut client, Value::Null);
    assert_eq!((&first["kind"], &first["items"][0]["code"]), (&json!("full"), &json!("E0302")), "{first}");
    let again = ask(&mut client, first["resultId"].clone());
    assert_eq!(again, json!({ "kind": "unchanged", "resultId": first["resultId"] }));
    client.did_change(URI, 2, "kill largest in subtree");
    let last = ask(&mut client, first["resultId"].clone());
    assert_eq!((&last["kind"], &last["items"]), (&json!("full"), &json!([])), "{last}");
    // Nobody tells what was not asked for.
    client.close();
}

#[test]
fn an_answer_does_not_wait_for_code() {
    // A policy whose code takes seconds.
    let rule =
        |n: u32| format!("rule \"r{n}\": kill largest process in subtree where rss > {n}MiB by rss, age\n");
    let text: String = (1..1500).map(rule).collect();
    let mut client = open();
    client.did_open(URI, &text);
    client.published(URI);
    std::thread::sleep(std::time::Duration::from_millis(300));
    let hover = json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": text.find("rss").unwrap() } });
    let began = std::time::Instant::now();
    let shown = client.ask("textDocument/hover", hover)["result"].clone();
    assert!(shown["contents"]["value"].as_str().unwrap().contains("process.rss"), "{shown}");
    assert!(began.elapsed().as_millis() < 1000, "{:?}", began.elapsed());
    // The end does not wait either.
    let began = std::time::Instant::now();
    client.close();
    assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
}

#[test]
fn of_changes_in_a_row_the_last_one_counts() {
    let mut client = open();
    client.did_open(URI, "kill");
    for version in 2..200 {
        client.did_change(URI, version, "kill largest");
    }
    client.did_change(URI, 200, "kill largest in subtree");
    loop {
        let found = client.published(URI);
        if found["version"] == 200 {
            assert_eq!(places(&found), [""; 0]);
            break;
        }
    }
    client.close();
}

#[test]
fn any_text_is_survived() {
    let mut client = open();
    let texts = [
        String::new(),
        "\0\0\0".to_owned(),
        "\u{feff}kill largest in subtree".to_owned(),
        "\r\r\n\n\r".to_owned(),
        "\"".repeat(10_000),
        "(".repeat(100_000),
        "if ".repeat(100_000),
        "kill largest in subtree # \u{1f4a5}\u{202e}\u{0}".to_owned(),
        "kill largest process in subtree where footprint > 64MiB\n".repeat(5_000_000 / 56 + 1),
    ];
    client.did_open(URI, "");
    assert_eq!(client.places(URI), ["E0107 0:0-0:0"]);
    for (version, text) in (2..).zip(&texts) {
        client.did_change(URI, version, text);
        let found = client.published(URI);
        assert_eq!(found["version"], version);
    }
    let large = client.published_of("kill largest in subtree".repeat(300_000).as_str());
    assert_eq!(large, ["E0103 0:0-0:0"]);
    // Half a surrogate pair, as editors write it whose strings are UTF-16.
    let document = format!(r#"{{"uri":"{URI}","version":100}}"#);
    let params = format!(r#"{{"textDocument":{document},"contentChanges":[{{"text":"kill \ud83d"}}]}}"#);
    let body = format!(r#"{{"jsonrpc":"2.0","method":"textDocument/didChange","params":{params}}}"#);
    client.raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
    assert_eq!(client.places(URI), ["E0104 0:5-0:6"]);
    client.close();
}

#[test]
fn messages_that_are_none_are_answered_and_survived() {
    let mut client = open();
    let parse_error = |client: &mut Client| {
        let answer = client.next();
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&Value::Null, &json!(-32700)), "{answer}");
    };
    for bytes in [
        b"Content-Length: 5\r\n\r\n{oops".as_slice(),
        b"Content-Length: 2\r\n\r\n\xff\xff",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        client.raw(bytes);
        parse_error(&mut client);
        // Proves that the server is there, and that the next complaint is not a second one.
        assert_eq!(client.refused("no/such/method", json!({})), -32601);
    }
    for message in [json!([]), json!(1), json!({}), json!({ "id": 1.5, "method": "shutdown" })] {
        client.send(&message);
        let answer = client.next();
        assert_eq!(answer["error"]["code"], -32600, "{message}: {answer}");
    }
    // An answer to nothing, and what may be ignored.
    client.send(&json!({ "jsonrpc": "2.0", "id": 77, "result": null }));
    client.tell("$/cancelRequest", json!({ "id": 1 }));
    client.tell("$/setTrace", json!({ "value": "verbose" }));
    client.tell("workspace/didChangeConfiguration", json!({ "settings": 1 }));
    client.tell("textDocument/didClose", json!({ "textDocument": { "uri": "file:///never-opened" } }));
    assert_eq!(client.refused("textDocument/hover", json!({ "position": 3 })), -32602);
    // A notification has no answer; what is wrong with it is told all the same.
    for (method, params) in [
        ("textDocument/didOpen", json!(null)),
        ("textDocument/didOpen", json!({ "textDocument": { "uri": "a b" } })),
        (
            "textDocument/didChange",
            json!({ "textDocument": { "uri": URI, "version": 1 }, "contentChanges": [] }),
        ),
    ] {
        client.tell(method, params);
        let told = client.next();
        assert_eq!(told["method"], "window/logMessage", "{told}");
    }
    client.close();
}

#[test]
fn the_order_of_a_connection_is_kept() {
    let mut client = Client::start(OOMC, &[]);
    assert_eq!(client.refused("textDocument/hover", json!({})), -32002);
    client.did_open(URI, "kill");
    client.ask("initialize", json!({ "capabilities": {} }));
    assert_eq!(client.refused("initialize", json!({ "capabilities": {} })), -32600);
    client.ask("shutdown", Value::Null);
    assert_eq!(client.refused("shutdown", Value::Null), -32600);
    client.did_open(URI, "kill");
    client.tell("exit", Value::Null);
    assert_eq!(client.exit_code(), 0);

    // Without `shutdown`: by `exit`, and by the end of the stream.
    let mut client = open();
    client.tell("exit", Value::Null);
    assert_eq!(client.exit_code(), 1);
    let mut client = open();
    client.did_open(URI, "kill");
    client.input = None;
    client.places(URI);
    assert_eq!(client.exit_code(), 1);
}

#[test]
fn what_is_open_is_answered_before_the_end() {
    // All at once, as a script writes it.
    let mut client = Client::start(OOMC, &[]);
    client.last_id = 1;
    client.send(
        &json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": { "capabilities": {} } }),
    );
    client.tell("initialized", json!({}));
    client.did_open(URI, "kill largest");
    client.send(&json!({ "jsonrpc": "2.0", "id": 2, "method": "shutdown" }));
    client.tell("exit", Value::Null);
    assert_eq!(client.next()["id"], 1);
    assert_eq!(client.places(URI).len(), 1);
    assert_eq!(client.next()["id"], 2);
    assert_eq!(client.exit_code(), 0);
}

#[test]
fn formatting_gives_the_canonical_form() {
    let mut client = open();
    client.did_open(URI, "kill  largest\r\nin subtree # \u{1f4a5}");
    assert_eq!(client.places(URI), [""; 0]);
    let options = json!({ "tabSize": 8, "insertSpaces": false });
    let document = |uri| json!({ "textDocument": { "uri": uri }, "options": options });
    let edits = client.ask("textDocument/formatting", document(URI))["result"].clone();
    let whole = json!({ "start": { "line": 0, "character": 0 }, "end": { "line": 1, "character": 15 } });
    assert_eq!(edits, json!([{ "range": whole, "newText": "kill largest in subtree # \u{1f4a5}\n" }]));
    client.did_change(URI, 2, "kill largest in subtree # \u{1f4a5}\n");
    client.published(URI);
    assert_eq!(client.ask("textDocument/formatting", document(URI))["result"], json!([]));
    assert_eq!(client.ask("textDocument/formatting", document("x:y"))["result"], Value::Null);
    client.close();
}

#[test]
fn quick_fixes_are_what_the_helps_say() {
    let text = "kill largest in subtree # \u{1f4a5}\nkill smallest in subtree where rss > 512M\n";
    let mut client = open();
    client.did_open(URI, text);
    assert_eq!(client.places(URI), ["E0303 1:37-1:41"]);
    let at = |line: u32, from: u32, to: u32| json!({ "start": { "line": line, "character": from }, "end": { "line": line, "character": to } });
    let params = |range, only: Value| {
        let context = json!({ "diagnostics": [], "only": only });
        json!({ "textDocument": { "uri": URI }, "range": range, "context": context })
    };
    let found = client.ask("textDocument/codeAction", params(at(1, 38, 38), Value::Null))["result"].clone();
    let actions = found.as_array().unwrap();
    assert_eq!(actions.len(), 1, "{found}");
    assert_eq!((&actions[0]["title"], &actions[0]["kind"]), (&json!("write `512MiB`"), &json!("quickfix")));
    assert_eq!(actions[0]["isPreferred"], true);
    let edit = json!([{ "range": at(1, 37, 41), "newText": "512MiB" }]);
    assert_eq!(actions[0]["edit"]["changes"][URI], edit, "{found}");
    assert_eq!(actions[0]["diagnostics"][0]["code"], "E0303");
    // Elsewhere, and for who wants other actions, there is nothing.
    for params in [params(at(0, 0, 3), Value::Null), params(at(1, 38, 38), json!(["refactor"]))] {
        let none = client.ask("textDocument/codeAction", params)["result"].clone();
        assert!(none.as_array().is_none_or(Vec::is_empty), "{none}");
    }
    client.close();
}

#[test]
fn hover_shows_the_row_of_a_field() {
    let mut client = open();
    client.did_open(URI, "if cgroup.usage > 90% then kill largest in subtree by oom_score_adj");
    assert_eq!(client.places(URI), [""; 0]);
    let at = |character| json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": character } });
    let shown = client.ask("textDocument/hover", at(12))["result"].clone();
    assert_eq!(shown["range"]["start"]["character"], 10, "{shown}");
    let text = shown["contents"]["value"].as_str().unwrap();
    assert!(text.contains("`cgroup.usage`: bytes") && text.contains("`cgroup.limit`"), "{text}");
    assert_eq!(client.ask("textDocument/hover", at(17))["result"], Value::Null);
    let unknown = json!({ "textDocument": { "uri": "x:y" }, "position": { "line": 9, "character": 9 } });
    assert_eq!(client.ask("textDocument/hover", unknown)["result"], Value::Null);
    client.close();
}
