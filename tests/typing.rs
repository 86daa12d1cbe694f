//! Any text, any key: policies are typed character by character, deleted again, and edited at random places.
//!
//! The server that was told only what changed must know what a server knows that was given the whole text: after each
//! step that is compared, both are asked for diagnostics, tokens and the outline. Besides, messages that are changed at
//! random come to a server in this process, which answers or refuses and goes on. `OOMC_TYPING` is how many steps of each
//! file are compared, and how many random edits; `OOMC_LSP` how many seconds messages are changed; `OOMC_SEED` where what
//! is random begins. `cargo xtask fuzz editor` goes on for longer.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is not there has failed")]

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use oomc_abi::resolve::KernelView;
use oomc_lsp::Outside;
use oomc_tests::language_client::Client;
use oomc_tests::mutate::{Numbers, mutated};
use serde_json::{Value, json};

const URI: &str = "file:///typed/policy.oom";

/// Steps of each file that are compared in the ordinary run.
const STEPS: u64 = 4;

/// Random edits in the ordinary run, each compared.
const EDITS: u64 = 150;

/// Seconds of changed messages in the ordinary run.
const SECONDS: u64 = 3;

/// Both servers, and the text as an editor has it, whose strings are UTF-16.
struct Desk {
    typed: Client,
    fresh: Client,
    text: Vec<u16>,
    version: i32,
    /// The tokens that the client has which is told only what has changed of them, and what they are called.
    tokens: (String, Vec<Value>),
}

impl Desk {
    fn new() -> Self {
        let open =
            || Client::open(env!("CARGO_BIN_EXE_oomc"), &json!({ "textDocument": { "diagnostic": {} } }));
        let (mut typed, fresh) = (open(), open());
        typed.did_open(URI, "");
        Self { typed, fresh, text: Vec::new(), version: 1, tokens: Default::default() }
    }

    /// A place of the text as a position.
    fn position(&self, at: usize) -> Value {
        let (mut line, mut start) = (0, 0);
        for (place, unit) in self.text[..at].iter().enumerate() {
            let cr = *unit == 13 && self.text.get(place + 1) != Some(&10);
            if *unit == 10 || cr {
                (line, start) = (line + 1, place + 1);
            }
        }
        json!({ "line": line, "character": at - start })
    }

    /// Puts something in the place of a stretch, as an editor does.
    fn edit(&mut self, from: usize, to: usize, new: &str) {
        self.version += 1;
        let range = json!({ "start": self.position(from), "end": self.position(to) });
        let document = json!({ "uri": URI, "version": self.version });
        let changes = json!([{ "range": range, "text": new }]);
        self.typed
            .tell("textDocument/didChange", json!({ "textDocument": document, "contentChanges": changes }));
        self.text.splice(from..to, new.encode_utf16());
        self.replace_halves();
    }

    /// Half of a character is what a server reads it as.
    fn replace_halves(&mut self) {
        if self.text.iter().all(|unit| !(0xd800..0xe000).contains(unit)) {
            return;
        }
        self.text = String::from_utf16_lossy(&self.text).encode_utf16().collect();
    }

    /// What a server knows of the text, but for its tokens.
    fn known(client: &mut Client) -> [Value; 2] {
        let mut said = client.about("textDocument/diagnostic", URI, json!({}));
        said["resultId"] = Value::Null;
        [said, client.about("textDocument/documentSymbol", URI, json!({}))]
    }

    /// The tokens as they are after what has changed of them.
    fn changed_tokens(&mut self) -> &[Value] {
        let (known, tokens) = &mut self.tokens;
        let method = "textDocument/semanticTokens/full/delta";
        let told = self.typed.about(method, URI, json!({ "previousResultId": known }));
        *known = told["resultId"].as_str().unwrap().to_owned();
        if let Some(all) = told["data"].as_array() {
            tokens.clone_from(all);
        }
        for edit in told["edits"].as_array().into_iter().flatten() {
            let (start, count) = (edit["start"].as_u64().unwrap(), edit["deleteCount"].as_u64().unwrap());
            let come = edit["data"].as_array().cloned().unwrap_or_default();
            tokens.splice(start as usize..(start + count) as usize, come);
        }
        tokens
    }

    /// Compares both.
    fn compare(&mut self) {
        let text = String::from_utf16_lossy(&self.text);
        self.fresh.did_open(URI, &text);
        let (known, expected) = (Self::known(&mut self.typed), Self::known(&mut self.fresh));
        let tokens = self.fresh.about("textDocument/semanticTokens/full", URI, json!({}))["data"].take();
        self.fresh.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } }));
        assert_eq!(known, expected, "after {} edits, of the text {text:?}", self.version);
        let version = self.version;
        assert_eq!(json!(self.changed_tokens()), tokens, "after {version} edits, of the text {text:?}");
    }

    fn close(self) {
        self.typed.close();
        self.fresh.close();
    }
}

/// Ready policies, examples, and their tests.
fn texts() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = ["stdlib/policies", "examples"].map(|folder| oomc_tests::files(&root.join(folder))).concat();
    let is_policy = |path: &Path| path.extension().is_some_and(|end| end == "oom" || end == "oomt");
    let texts: Vec<String> =
        files.iter().filter(|path| is_policy(path)).map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(texts.len() > 20, "only {} texts were found", texts.len());
    texts
}

#[test]
fn every_policy_can_be_typed_and_deleted() {
    let steps = oomc_tests::number("OOMC_TYPING", STEPS) as usize;
    let mut desk = Desk::new();
    for text in texts() {
        let units: Vec<char> = text.chars().collect();
        let every = (units.len() / steps).max(1);
        for (at, c) in units.iter().enumerate() {
            let end = desk.text.len();
            desk.edit(end, end, &c.to_string());
            if at % every == every - 1 {
                desk.compare();
            }
        }
        assert_eq!(String::from_utf16_lossy(&desk.text), text);
        desk.compare();
        // From the front, so that what is left is cut in the middle of words; in the ordinary run several at once.
        for (at, some) in units.chunks(if steps < 100 { 7 } else { 1 }).enumerate() {
            desk.edit(0, some.iter().map(|c| c.len_utf16()).sum(), "");
            if at % every == every / 2 {
                desk.compare();
            }
        }
        assert!(desk.text.is_empty());
    }
    desk.close();
}

/// What is put in at random: what tools trip over.
const PIECES: [&str; 24] = [
    "\u{1f4a5}",
    "\r\n",
    "\r",
    "\n",
    "\u{202e}",
    "\u{feff}",
    "\u{200d}",
    "\u{0}",
    "\"",
    "#",
    "{",
    "}",
    "(",
    "kill ",
    "rule \"x\": ",
    "where ",
    "\u{e9}",
    "\u{10ffff}",
    " ",
    "test \"y\" {",
    "0",
    "%",
    "const a = 1KiB\n",
    "\\",
];

#[test]
fn random_edits_leave_both_servers_alike() {
    let edits = oomc_tests::number("OOMC_TYPING", EDITS);
    let mut random = fastrand::Rng::with_seed(oomc_tests::number("OOMC_SEED", 14));
    let texts = texts();
    let mut desk = Desk::new();
    for number in 0..edits {
        if number % 50 == 0 {
            let text = &texts[random.usize(..texts.len())];
            let end = desk.text.len();
            desk.edit(0, end, text);
        }
        let end = desk.text.len();
        // Anywhere: between the halves of a character, too.
        let from = random.usize(..=end);
        let to = if random.bool() { from } else { (from + random.usize(..8)).min(end) };
        let new = if random.u8(..4) == 0 { "" } else { PIECES[random.usize(..PIECES.len())] };
        desk.edit(from, to, new);
        desk.compare();
    }
    desk.close();
}

/// A rule of each kind in turn, and what they refer to.
fn many_rules(count: usize) -> String {
    let mut text =
        "const floor = 16MiB\nlabel tier: count = 100\ndefine batch = process where comm == \"b-*\"\n"
            .to_owned();
    for at in 0..count {
        text += &match at % 4 {
            0 => {
                format!("rule \"r{at}\": kill largest in subtree where rss > floor + {at}MiB and not batch\n")
            }
            1 => format!("avoid process where comm in [\"a{at}\", \"b{at}\"] # \u{1f4a5}\n"),
            2 => format!(
                "kill cgroup c in children of cgroup\r\n  where c.tier > {at} by c.usage reason \"{{name}}\"\n"
            ),
            _ => format!("rule \"r{at}\": {{ if task.flags > {at} then wait kill youngest in subtre }}\n"),
        };
    }
    text
}

/// Clauses stay what they were when others are edited: the server reads only those again that differ.
#[test]
fn edits_among_many_rules_leave_both_servers_alike() {
    let mut random = fastrand::Rng::with_seed(oomc_tests::number("OOMC_SEED", 14));
    let mut desk = Desk::new();
    desk.edit(0, 0, &many_rules(300));
    desk.compare();
    let line = |text: &[u16], from: usize| {
        text[from..].iter().position(|unit| *unit == 10).map_or(text.len(), |at| from + at)
    };
    for number in 0..oomc_tests::number("OOMC_TYPING", 40) {
        let end = desk.text.len();
        let from = random.usize(..=end);
        match number % 4 {
            // A word in the middle of a clause, and in the names that many of them use.
            0 => desk.edit(from, from, PIECES[random.usize(..PIECES.len())]),
            1 => desk.edit(6, 7, if random.bool() { "f" } else { "g" }),
            // A whole line goes, or comes a second time.
            2 => desk.edit(from, line(&desk.text, from), ""),
            _ => {
                let copied = String::from_utf16_lossy(&desk.text[from..line(&desk.text, from)]);
                desk.edit(end, end, &format!("\n{copied}"));
            }
        }
        desk.compare();
    }
    desk.close();
}

#[test]
fn halves_of_a_character_count_as_one_unit_each() {
    let mut desk = Desk::new();
    desk.edit(0, 0, "# \u{1f4a5}\u{1f4a5}\nkill largest in subtre");
    for (from, to, new) in [(3, 4, ""), (3, 3, "x"), (5, 6, "\u{1f4a5}"), (6, 6, "\r\n"), (0, 5, "")] {
        desk.edit(from, to, new);
        desk.compare();
    }
    desk.close();
}

/// The messages of an author who opens a policy and asks everything of it.
fn session(text: &str) -> Vec<Value> {
    let document = json!({ "uri": URI, "languageId": "oom", "version": 1, "text": text });
    let point = json!({ "line": 3, "character": 9 });
    let range = json!({ "start": { "line": 0, "character": 0 }, "end": point });
    let mut messages = vec![
        json!({ "id": 1, "method": "initialize", "params": { "capabilities": { "textDocument": {} } } }),
        json!({ "method": "initialized", "params": {} }),
        json!({ "method": "textDocument/didOpen", "params": { "textDocument": document } }),
    ];
    let changes = json!([{ "range": range, "text": "\u{1f4a5}" }]);
    let of = json!({ "uri": URI, "version": 2 });
    for (id, method) in [
        "hover",
        "definition",
        "references",
        "rename",
        "completion",
        "formatting",
        "codeAction",
        "documentSymbol",
        "semanticTokens/full",
        "semanticTokens/full/delta",
        "semanticTokens/range",
        "foldingRange",
        "selectionRange",
        "inlayHint",
        "diagnostic",
        "prepareRename",
    ]
    .iter()
    .enumerate()
    {
        let params = json!({
            "textDocument": { "uri": URI }, "position": point, "positions": [point], "range": range, "newName": "other",
            "previousResultId": "1",
            "context": { "includeDeclaration": true, "diagnostics": [] },
            "options": { "tabSize": 4, "insertSpaces": true },
        });
        messages.push(json!({ "id": id + 2, "method": format!("textDocument/{method}"), "params": params }));
        if id == 7 {
            let params = json!({ "textDocument": of, "contentChanges": changes });
            messages.push(json!({ "method": "textDocument/didChange", "params": params }));
        }
    }
    messages.push(json!({ "id": 99, "method": "shutdown" }));
    for message in &mut messages {
        message["jsonrpc"] = json!("2.0");
    }
    messages
}

#[test]
fn messages_that_are_changed_at_random_are_survived() {
    let budget = Duration::from_secs(oomc_tests::number("OOMC_LSP", SECONDS));
    let seed = oomc_tests::number("OOMC_SEED", 14);
    let view: &'static KernelView = Box::leak(Box::new(KernelView::embedded()));
    let outside = Outside {
        view,
        files: &|_| Ok(None),
        kernels: &|_| Ok(view),
        machines: &|_| Err("nothing was recorded".to_owned()),
        policies: &|_| Vec::new(),
    };
    let mut numbers = Numbers::new(seed);
    let sessions: Vec<Vec<Value>> = texts().iter().map(|text| session(text)).collect();
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < budget || count < 20 {
        let session = &sessions[numbers.below(sessions.len())];
        let mut bytes = Vec::new();
        for message in session {
            let mut body = message.to_string().into_bytes();
            if numbers.below(4) == 0 {
                let other = session[numbers.below(session.len())].to_string();
                body = mutated(&body, other.as_bytes(), &mut numbers);
            }
            bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).into_bytes());
            bytes.extend(body);
        }
        // The frames themselves, now and then.
        if numbers.below(8) == 0 {
            bytes = mutated(&bytes.clone(), &bytes, &mut numbers);
        }
        let mut output = Vec::new();
        let ended = oomc_lsp::run(Cursor::new(bytes), &mut output, outside);
        assert!(ended.is_ok(), "session {count} of seed {seed}");
        assert!(
            output.is_empty() || output.starts_with(b"Content-Length: "),
            "session {count} of seed {seed}"
        );
        count += 1;
    }
}
