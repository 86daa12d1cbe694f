//! `cargo xtask bench editor [KEYS] [--book]`: how long an author waits for the language server.
//!
//! Talks to the program over pipes, as an editor does: opens a policy of so many rules, types in the middle of it, and
//! waits after each key for the diagnostics of that state; then asks for hovers while code is made of the policy, and
//! waits until it is made. Simple rules name one command each; mixed ones are of five kinds. Prints a table, to
//! `target/bench/editor.md` too, and to the book's page with `--book`. Besides what was waited, which a busy machine
//! lengthens, it has what the answering thread worked.

use std::fmt::Write as _;
use std::io::BufReader;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use lsp_server::{Message, Notification, Request};
use serde_json::{Value, json};

use super::{median, one, page, words};
use crate::{build, packages, say};

/// Rules of the policies.
const RULES: [usize; 3] = [100, 1_000, 5_000];
/// Keys of each, unless an argument says otherwise; and hovers.
const KEYS: usize = 200;
const HOVERS: usize = 50;
/// What is typed at the end of a clause, and deleted again: mistakes, a condition that is whole, a comment.
const TYPED: &str = " and rss > 1MiB # more";
/// How long the server rests when it has nothing more to do.
const REST: Duration = Duration::from_millis(1500);
/// Runs of `oomc check`.
const CHECKS: usize = 5;

/// Goals at 1,000 mixed rules, in milliseconds and MiB.
const KEY_GOAL: f64 = 20.0;
const HOVER_GOAL: f64 = 10.0;
const CHECK_GOAL: f64 = 50.0;
const MEMORY_GOAL: f64 = 100.0;

const URI: &str = "file:///bench/policy.oom";

/// A policy of so many rules.
fn policy(rules: usize, mixed: bool) -> String {
    let mut text = "param step = 25% range 1% .. 100%\nlabel tier: count = 100\n\
                    state grown: counter per cgroup resets after 1h\n"
        .to_owned();
    for n in 0..rules {
        let kind = if mixed { n % 5 } else { 5 };
        let _ = match kind {
            0 => writeln!(
                text,
                "rule \"r{n}\": if cgroup.usage > {}% and grown < 3 then {{ raise_limit step up to parent.limit \
                 count grown }} else kill largest process in subtree where rss > {}MiB by rss desc, age",
                n % 90 + 1,
                n + 1
            ),
            1 => writeln!(
                text,
                "rule \"r{n}\": kill cgroup c in children of cgroup where c.tier > {n} and (any process in c where \
                 comm == \"m{n}\") by c.usage reason \"it was {{name}}\""
            ),
            2 => writeln!(text, "avoid process where comm in [\"a{n}\", \"b{n}\"]"),
            3 => writeln!(
                text,
                "rule \"r{n}\": {{ kill youngest process in subtree where comm == \"x{n}-*\" until freed {}MiB at \
                 most 4 notify \"n{n}\" }}",
                n + 1
            ),
            4 => writeln!(
                text,
                "rule \"r{n}\": kill largest in subtree where task.signal.nr_threads > {n} or home.tier < {n}"
            ),
            _ => writeln!(
                text,
                "rule \"r{n}\": kill largest process in subtree where comm == \"w{n}-*\" and footprint > {}MiB",
                n + 1
            ),
        };
    }
    text
}

/// The program, as an editor talks to it.
struct Editor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_id: i32,
}

fn outside(error: impl std::fmt::Display) -> String {
    format!("the language server: {error}")
}

impl Editor {
    fn start(oomc: &str) -> Result<Self, String> {
        let mut command = Command::new(oomc);
        command.arg("lsp").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(outside)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the language server has no pipes".to_owned());
        };
        let mut editor = Self { child, input, output: BufReader::new(output), last_id: 0 };
        editor.ask("initialize", json!({ "capabilities": {} }))?;
        editor.tell("initialized", json!({}))?;
        Ok(editor)
    }

    fn tell(&mut self, method: &str, params: Value) -> Result<(), String> {
        let message = Message::Notification(Notification { method: method.to_owned(), params });
        message.write(&mut self.input).map_err(outside)
    }

    fn next(&mut self) -> Result<Message, String> {
        Message::read(&mut self.output).map_err(outside)?.ok_or_else(|| outside("it is gone"))
    }

    /// Asks, and waits for the answer.
    fn ask(&mut self, method: &str, params: Value) -> Result<(), String> {
        self.last_id += 1;
        let request = Request { id: self.last_id.into(), method: method.to_owned(), params };
        Message::Request(request).write(&mut self.input).map_err(outside)?;
        while !matches!(self.next()?, Message::Response(_)) {}
        Ok(())
    }

    /// Waits for the diagnostics of a state of the policy.
    fn wait_for(&mut self, version: usize) -> Result<(), String> {
        loop {
            if let Message::Notification(Notification { params, .. }) = self.next()?
                && params.get("version").and_then(Value::as_u64) == Some(version as u64)
            {
                return Ok(());
            }
        }
    }

    /// What the thread that answers has had of a processor, in milliseconds.
    fn worked(&self) -> Result<f64, String> {
        let process = self.child.id();
        let text =
            fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat")).map_err(outside)?;
        let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
        nanoseconds.map(|time| time / 1e6).ok_or_else(|| outside("its time is not told"))
    }

    /// What all of its threads have had, those that have ended included, in ticks of the kernel.
    fn ticks(&self) -> Result<u64, String> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).map_err(outside)?;
        // Behind the name, which ends with the last parenthesis: user time is the 12th word, system time the next.
        let words = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(2);
        words.map(|word| word.parse::<u64>().map_err(outside)).sum()
    }

    /// Waits until it has nothing more to do.
    fn rest(&self) -> Result<(), String> {
        loop {
            let before = self.ticks()?;
            thread::sleep(REST);
            if self.ticks()? == before {
                return Ok(());
            }
        }
    }

    /// Most memory that it had, in MiB.
    fn memory(&self) -> Result<f64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).map_err(outside)?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number =
            line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse::<f64>().ok());
        number.map(|kibibytes| kibibytes / 1024.0).ok_or_else(|| outside("its memory is not told"))
    }
}

/// What an author waits, in milliseconds.
struct Waits {
    keys: Vec<f64>,
    /// What the thread that answers has worked for each.
    worked: Vec<f64>,
    hovers: Vec<f64>,
    memory: f64,
}

/// Types in the middle of a policy, then points at things while code is made of it.
fn waits(oomc: &str, text: &str, count: usize) -> Result<Waits, String> {
    let mut editor = Editor::start(oomc)?;
    let document = json!({ "uri": URI, "languageId": "oom", "version": 1, "text": text });
    editor.tell("textDocument/didOpen", json!({ "textDocument": document }))?;
    editor.wait_for(1)?;
    // A clause in the middle that ends with a condition.
    let middle = text.lines().count() / 2;
    let line =
        text.lines().skip(middle).position(|line| !line.ends_with('}')).map_or(middle, |at| middle + at);
    let column = text.lines().nth(line).map_or(0, str::len);
    let typed: Vec<char> = TYPED.chars().collect();
    let (mut keys, mut worked) = (Vec::new(), Vec::new());
    for key in 0..count {
        let at = key % (2 * typed.len());
        let point = |character: usize| json!({ "line": line, "character": character });
        let (start, end, new) = match typed.get(at) {
            Some(c) => (column + at, column + at, c.to_string()),
            None => {
                let left = 2 * typed.len() - at;
                (column + left - 1, column + left, String::new())
            }
        };
        let version = key + 2;
        let range = json!({ "start": point(start), "end": point(end) });
        let params = json!({
            "textDocument": { "uri": URI, "version": version },
            "contentChanges": [{ "range": range, "text": new }],
        });
        let (before, began) = (editor.worked()?, Instant::now());
        editor.tell("textDocument/didChange", params)?;
        editor.wait_for(version)?;
        keys.push(began.elapsed().as_secs_f64() * 1e3);
        worked.push(editor.worked()? - before);
    }
    // Code is made of the whole policy once the author pauses.
    let params = json!({
        "textDocument": { "uri": URI, "version": count + 2 },
        "contentChanges": [{ "text": text }],
    });
    editor.tell("textDocument/didChange", params)?;
    editor.wait_for(count + 2)?;
    thread::sleep(Duration::from_millis(150));
    let mut hovers = Vec::new();
    for number in 0..HOVERS {
        let position = json!({ "line": number % text.lines().count(), "character": 30 });
        let began = Instant::now();
        editor.ask("textDocument/hover", json!({ "textDocument": { "uri": URI }, "position": position }))?;
        hovers.push(began.elapsed().as_secs_f64() * 1e3);
    }
    editor.rest()?;
    let memory = editor.memory()?;
    editor.ask("shutdown", Value::Null)?;
    editor.tell("exit", Value::Null)?;
    editor.child.wait().map_err(outside)?;
    Ok(Waits { keys, worked, hovers, memory })
}

/// The value that so many of a hundred are not above.
fn percentile(values: &[f64], of_hundred: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// `cargo xtask bench editor [KEYS] [--book]`
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let (mut count, mut book) = (KEYS, false);
    for word in args {
        match word.parse::<usize>() {
            Ok(keys) if keys > 0 => count = keys,
            _ if word == "--book" => book = true,
            _ => return Err(format!("`{word}` is no number of keys")),
        }
    }
    if book && count < KEYS {
        return Err(format!("the book gets the figures of {KEYS} keys or more"));
    }
    packages::need(&packages::BUILD)?;
    say("Building oomc, optimised …");
    build::release(&["oomc"])?;
    let oomc = build::program("release", "oomc");
    let folder = build::root().join("target/bench");
    fs::create_dir_all(&folder).map_err(outside)?;
    let mut table =
        "| rules | kind | key p50, ms | key p99, ms | worked p99, ms | hover p99, ms | memory, MiB | `oomc check`, ms |\n\
                     |--:|---|--:|--:|--:|--:|--:|--:|\n"
            .to_owned();
    let mut verdict = String::new();
    for rules in RULES {
        for (kind, mixed) in [("simple", false), ("mixed", true)] {
            let text = policy(rules, mixed);
            let file = folder.join("editor.oom");
            fs::write(&file, &text).map_err(outside)?;
            let waits = waits(&oomc.to_string_lossy(), &text, count)?;
            let check = words(&[oomc.as_path(), "check".as_ref(), file.as_path()]);
            let costs = (0..CHECKS).map(|_| one(&check)).collect::<Result<Vec<_>, _>>()?;
            let (half, p99) = (percentile(&waits.keys, 50), percentile(&waits.keys, 99));
            let (worked, hover) = (percentile(&waits.worked, 99), percentile(&waits.hovers, 99));
            let check = median(&costs, |cost| cost.nanoseconds) / 1e6;
            let _ = writeln!(
                table,
                "| {rules} | {kind} | {half:.1} | {p99:.1} | {worked:.1} | {hover:.1} | {:.0} | {check:.0} |",
                waits.memory
            );
            if rules == 1_000 && mixed {
                for (what, value, goal) in [
                    ("key p99, ms", p99, KEY_GOAL),
                    ("hover p99, ms", hover, HOVER_GOAL),
                    ("memory, MiB", waits.memory, MEMORY_GOAL),
                    ("`oomc check`, ms", check, CHECK_GOAL),
                ] {
                    let word = if value <= goal { "reached" } else { "missed" };
                    let _ = writeln!(verdict, "* {what}: {value:.1} of at most {goal}: {word}");
                }
            }
        }
    }
    let text = format!("{table}\nThe goals, at 1,000 mixed rules:\n\n{verdict}");
    say(&format!("\n{text}"));
    page::keep("editor", &text, book)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!([50, 99, 100].map(|of| percentile(&values, of)), [100.0, 198.0, 200.0]);
        assert_eq!(percentile(&[], 99), 0.0);
    }
}
