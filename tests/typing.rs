//! Any text, any key: policies are typed character by character, deleted again, and edited at random places.
//!
//! The server that was told only what changed must know what a server knows that was given the whole text: after each
//! step that is compared, both are asked for diagnostics, tokens and the outline. `OOMC_TYPING` is how many steps of each
//! file are compared, `OOMC_SEED` where random edits begin.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what is not there has failed")]

use std::path::Path;
use std::{env, fs};

use oomc_tests::language_client::Client;
use serde_json::{Value, json};

const URI: &str = "file:///typed/policy.oom";

/// Steps of each file that are compared in the ordinary run.
const STEPS: usize = 6;

/// Random edits in the ordinary run, each compared.
const EDITS: usize = 150;

/// Both servers, and the text as an editor has it, whose strings are UTF-16.
struct Desk {
    typed: Client,
    fresh: Client,
    text: Vec<u16>,
    version: i32,
}

impl Desk {
    fn new() -> Self {
        let open =
            || Client::open(env!("CARGO_BIN_EXE_oomc"), &json!({ "textDocument": { "diagnostic": {} } }));
        let (mut typed, fresh) = (open(), open());
        typed.did_open(URI, "");
        Self { typed, fresh, text: Vec::new(), version: 1 }
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
        self.text = String::from_utf16_lossy(&self.text).encode_utf16().collect();
    }

    /// What a server knows of the text.
    fn known(client: &mut Client) -> [Value; 3] {
        let mut said = client.about("textDocument/diagnostic", URI, json!({}));
        said["resultId"] = Value::Null;
        [
            said,
            client.about("textDocument/semanticTokens/full", URI, json!({})),
            client.about("textDocument/documentSymbol", URI, json!({})),
        ]
    }

    /// Compares both.
    fn compare(&mut self) {
        let text = String::from_utf16_lossy(&self.text);
        self.fresh.did_open(URI, &text);
        let (known, expected) = (Self::known(&mut self.typed), Self::known(&mut self.fresh));
        self.fresh.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } }));
        assert_eq!(known, expected, "after {} edits, of the text {text:?}", self.version);
    }

    fn close(self) {
        self.typed.close();
        self.fresh.close();
    }
}

fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |word| word.parse().unwrap())
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
    let steps = number("OOMC_TYPING", STEPS);
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
        // From the front, so that what is left is cut in the middle of words.
        for at in 0..units.len() {
            let first = char::decode_utf16(desk.text.iter().copied()).next().unwrap().unwrap();
            desk.edit(0, first.len_utf16(), "");
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
    let edits = number("OOMC_TYPING", EDITS);
    let seed = number("OOMC_SEED", 14);
    let mut random = fastrand::Rng::with_seed(seed as u64);
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
