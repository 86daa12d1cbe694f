//! What pages show of a command and its output is what the program prints.
//!
//! A page is played from its top in a folder of its own. A block with `file(NAME)` behind its language is a file there:
//!
//! ```text
//! oom,file(job.oom)       a policy; written before the next command
//! text,play               `$ oomc …` is run; what stands below it is compared, and without an output it must go well
//! ```
//!
//! `…` in an output stands for anything in a line; times and addresses are other ones each time. A command that goes on
//! until Ctrl-C gets it once all has come that the page shows. A block that shows the output of a `$ oomc` command is
//! played, or its page is named in [`ELSEWHERE`] with the reason.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use oomc_tests::{child, files, read, root};

/// More than a slow machine under load needs, less than a hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// Files that a reader has: the page, the name there, and where the repository has such a file.
const GIVEN: [(&str, &str, &str); 3] = [
    ("start/settings.md", "kernel.btf", "compiler/abi/btf/reference.btf"),
    ("start/settings.md", "machine.json", "tests/cases/reports/01-oomd-desktop.json"),
    ("start/convert.md", "/etc/default/earlyoom", "tests/convert/earlyoom"),
];

/// Commands that ask a kernel; no output of theirs is shown in a block that is played.
const MACHINE: [&str; 3] = ["run", "load", "plan"];

/// Pages whose outputs another test compares.
const ELSEWHERE: [(&str, &str); 2] = [
    ("start/plan.md", "`foresight` has the machine that it is about"),
    ("language/tests.md", "`testing` has the policy whose test fails"),
];

/// A fenced block: the words behind its fence, and its lines.
struct Block {
    line: usize,
    info: Vec<String>,
    lines: Vec<String>,
}

impl Block {
    /// The file that it is.
    fn file(&self) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix("file(")?.strip_suffix(')'))
    }

    fn is_played(&self) -> bool {
        self.info.iter().any(|word| word == "play")
    }

    /// Each command for whoever has no rights, with the output that is shown.
    fn commands(&self) -> Vec<(&str, Vec<&str>)> {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for line in &self.lines {
            match (line.strip_prefix("$ "), found.last_mut()) {
                (Some(command), _) => found.push((command, Vec::new())),
                (None, Some((_, output))) => output.push(line),
                (None, None) => {}
            }
        }
        found
    }
}

fn blocks(text: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let mut open = false;
    for (line, text) in (1..).zip(text.lines()) {
        match (text.strip_prefix("```"), open, found.last_mut()) {
            (Some(info), false, _) => {
                let info = info.split(',').map(|word| word.trim().to_owned()).collect();
                found.push(Block { line, info, lines: Vec::new() });
                open = true;
            }
            (Some(_), true, _) => open = false,
            (None, true, Some(block)) => block.lines.push(text.to_owned()),
            (None, ..) => {}
        }
    }
    found
}

/// Without what is another thing each time.
fn timeless(line: &str) -> String {
    let until = |line: &str, mark: &str, is_part: fn(char) -> bool| match line.split_once(mark) {
        Some((before, rest)) => format!("{before}{mark}…{}", rest.trim_start_matches(is_part)),
        None => line.to_owned(),
    };
    let line = until(line.trim_end(), " failed, in ", |letter| letter.is_ascii_digit() || letter == '.');
    until(&line, "http://127.0.0.1:", |letter| letter != ' ')
}

/// Whether a line is the one that is shown.
fn is_shown(line: &str, shown: &str) -> bool {
    let (line, shown) = (timeless(line), timeless(shown));
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        let at = if last {
            rest.len().checked_sub(part.len()).filter(|_| rest.ends_with(part))
        } else {
            rest.find(part)
        };
        let Some(found) = at else { return false };
        rest = rest.get(found + part.len()..).unwrap_or_default();
    }
    true
}

/// Whether an output is the one that is shown.
fn all_shown(told: &str, shown: &[&str]) -> bool {
    told.lines().count() == shown.len() && told.lines().zip(shown).all(|(line, shown)| is_shown(line, shown))
}

/// Runs a command until it ends, or has printed what is shown. What it prints, and whether it went well.
fn run(folder: &Path, command: &str, shown: &[&str]) -> (String, bool) {
    let place = folder.join(".output");
    let output = File::create(&place).unwrap();
    let words = command.split_whitespace().skip(1);
    let mut child = Command::new(env!("CARGO_BIN_EXE_oomc"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let began = Instant::now();
    loop {
        let ended = child.try_wait().unwrap();
        let told = fs::read_to_string(&place).unwrap();
        if let Some(status) = ended {
            return (told, status.success());
        }
        let is_all = !shown.is_empty() && all_shown(&told, shown);
        if is_all || began.elapsed() > PATIENCE {
            Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
            child.wait().unwrap();
            return (told, is_all);
        }
        thread::sleep(Duration::from_millis(30));
    }
}

#[test]
fn pages_show_what_the_program_prints() {
    let book = root().join("book/src");
    let mut problems = Vec::new();
    let mut count = 0;
    let is_page = |path: &PathBuf| path.extension().is_some_and(|end| end == "md");
    for page in files(&book).into_iter().filter(is_page) {
        let name = page.strip_prefix(&book).unwrap().display().to_string();
        let blocks = blocks(&read(&page));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts").join(&name);
        let given = GIVEN.iter().filter(|(page, ..)| *page == name);
        // What lies at the top of a machine lies beside the policy here.
        let base = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let here = |text: &str| {
            given.clone().fold(text.to_owned(), |text, (_, path, _)| text.replace(path, &base(path)))
        };
        child::fresh_folder(&folder, &[]).unwrap();
        for (_, path, from) in given.clone() {
            fs::copy(root().join(from), folder.join(base(path))).unwrap();
        }
        for block in &blocks {
            if let Some(file) = block.file() {
                fs::write(folder.join(file), block.lines.join("\n") + "\n").unwrap();
            }
            for (command, shown) in block.commands() {
                let shown: Vec<String> = shown.iter().map(|line| here(line)).collect();
                let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
                let command = here(command);
                let place = format!("{name}:{}: `{command}`", block.line);
                let is_ours = command.starts_with("oomc ");
                let asks_kernel = MACHINE.iter().any(|word| command.split(' ').nth(1) == Some(word));
                if !block.is_played() {
                    if is_ours && !shown.is_empty() && !ELSEWHERE.iter().any(|(page, _)| *page == name) {
                        problems.push(format!("{place}: an output is shown, and the block is not `play`"));
                    }
                } else if !is_ours || asks_kernel {
                    if !shown.is_empty() {
                        problems.push(format!("{place}: its output cannot be compared here"));
                    }
                } else {
                    count += 1;
                    let (told, went_well) = run(&folder, &command, &shown);
                    if shown.is_empty() && !went_well {
                        problems.push(format!("{place} fails:\n{told}"));
                    } else if !shown.is_empty() && !all_shown(&told, &shown) {
                        problems.push(format!("{place} prints:\n{told}"));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n\n"));
    assert!(count > 10, "only {count} commands were played: the search is broken");
}

#[test]
fn an_output_is_compared_line_by_line() {
    assert!(is_shown("3 passed, 0 failed, in 0.05 s", "3 passed, 0 failed, in 0.02 s"));
    assert!(!is_shown("2 passed, 0 failed, in 0.05 s", "3 passed, 0 failed, in 0.05 s"));
    assert!(is_shown("http://127.0.0.1:1/ab12/", "http://127.0.0.1:40123/9f1c…/"));
    assert!(is_shown("a b c", "a … c") && !is_shown("a b d", "a … c") && !is_shown("a b", "a"));
    assert!(all_shown("a\nb\n", &["a", "b"]) && !all_shown("a\n", &["a", "b"]));
}
