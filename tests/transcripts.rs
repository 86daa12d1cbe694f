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
//! played, or its page is named in [`ELSEWHERE`] with the reason. What root's commands print, and what else stands in a
//! block of text, is compared in a machine: a case in `tests/cases` names it by `expect shown`.
#![expect(clippy::unwrap_used, reason = "a test whose files cannot be written has failed")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use oomc_tests::{child, files, read, root};
use oomc_vm::shown::{Block, all_shown, blocks, part};

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
const ELSEWHERE: [(&str, &str); 6] = [
    ("start/plan.md", "`foresight` has the machine that it is about"),
    ("start/commands.md", "`commands` makes it of the program's own help"),
    ("start/picture.md", "`picture` compares it with the drawing"),
    ("internals/performance.md", "`cargo xtask bench` writes it"),
    ("internals/plan.md", "`docs` has the plan"),
    ("language/tests.md", "`testing` has the policy whose test fails"),
];

/// The first words of lines that are commands without a prompt.
const PROGRAMS: [&str; 4] = ["oomc", "cargo", "systemctl", "podman"];

/// The file that a block is.
fn file(block: &Block) -> Option<&str> {
    block.info.iter().find_map(|word| word.strip_prefix("file(")?.strip_suffix(')'))
}

fn is_played(block: &Block) -> bool {
    block.info.iter().any(|word| word == "play")
}

/// Each command for whoever has no rights, with the output that is shown.
fn commands(block: &Block) -> Vec<(&str, Vec<&str>)> {
    let parts = block.parts().into_iter();
    parts.filter_map(|part| Some((part.command?.strip_prefix("$ ")?, part.output))).collect()
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

/// Whether an output is the one that is shown.
fn is_told(told: &str, shown: &[&str]) -> bool {
    let timeless = |line: &str| timeless(line);
    let told: Vec<String> = told.lines().map(timeless).collect();
    let shown: Vec<String> = shown.iter().copied().map(timeless).collect();
    all_shown(&told, &shown)
}

/// Runs a command until it ends, or has printed what is shown. What it prints, and whether it went well.
fn run(folder: &Path, command: &str, shown: &[&str]) -> (String, bool) {
    let place = folder.join(".output");
    let output = File::create(&place).unwrap();
    let words = command.split_whitespace().skip(1);
    let mut child = child::interruptible(env!("CARGO_BIN_EXE_oomc"))
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
        let is_all = !shown.is_empty() && is_told(&told, shown);
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
            if let Some(file) = file(block) {
                fs::write(folder.join(file), block.lines.join("\n") + "\n").unwrap();
            }
            for (command, shown) in commands(block) {
                let shown: Vec<String> = shown.iter().map(|line| here(line)).collect();
                let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
                let command = here(command);
                let place = format!("{name}:{}: `{command}`", block.line);
                let is_ours = command.starts_with("oomc ");
                let asks_kernel = MACHINE.iter().any(|word| command.split(' ').nth(1) == Some(word));
                if !is_played(block) {
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
                    } else if !shown.is_empty() && !is_told(&told, &shown) {
                        problems.push(format!("{place} prints:\n{told}"));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n\n"));
    assert!(count > 10, "only {count} commands were played: the search is broken");
}

/// What the cases of the machine compare: the page, and the line of the part.
fn compared(problems: &mut Vec<String>) -> BTreeSet<(String, usize)> {
    let mut found = BTreeSet::new();
    for folder in ["run", "stock"] {
        let cases = files(&root().join("tests/cases").join(folder)).into_iter();
        for path in cases.filter(|path| path.extension().is_some_and(|end| end == "oom")) {
            let case = oomc_vm::script::parse(&path.display().to_string(), &read(&path)).unwrap();
            for (page, beginning) in case.shown() {
                match part(&blocks(&read(&root().join("book/src").join(page))), beginning) {
                    Ok(part) => found.extend([(page.to_owned(), part.line)]),
                    Err(problem) => problems.push(format!("{}: {page}: {problem}", path.display())),
                }
            }
        }
    }
    found
}

#[test]
fn what_a_machine_prints_is_compared_in_one() {
    let book = root().join("book/src");
    let mut problems = Vec::new();
    let compared = compared(&mut problems);
    let pages = files(&book).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"));
    let pages = pages.map(|page| page.strip_prefix(&book).unwrap().display().to_string());
    let others = |page: &String| ELSEWHERE.iter().any(|(other, _)| other == page);
    for page in pages.chain(["../../README.md".to_owned()]).filter(|page| !others(page)) {
        let blocks = blocks(&read(&book.join(&page)));
        for part in blocks.iter().filter(|block| block.info[0] == "text").flat_map(Block::parts) {
            let is_program = |line: &&str| PROGRAMS.iter().any(|word| line.split(' ').next() == Some(word));
            let goes_on = |lines: &[&str]| lines[0].ends_with('\\') || is_program(&lines[1]);
            let is_all = |lines: &[&str]| is_program(&lines[0]) && lines.windows(2).all(goes_on);
            let is_told = match part.command {
                Some(command) => command.starts_with("# ") && !part.output.is_empty(),
                None => !is_all(&part.output) && !part.output[0].starts_with("{{#include"),
            };
            if is_told && !compared.contains(&(page.clone(), part.line)) {
                problems.push(format!("{page}:{}: no case compares this: {:?}", part.line, part.output));
            }
        }
    }
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    assert!(compared.len() > 10, "only {} parts are compared", compared.len());
}

#[test]
fn times_and_addresses_are_other_ones_each_time() {
    assert!(is_told("3 passed, 0 failed, in 0.05 s", &["3 passed, 0 failed, in 0.02 s"]));
    assert!(!is_told("2 passed, 0 failed, in 0.05 s", &["3 passed, 0 failed, in 0.05 s"]));
    assert!(is_told("http://127.0.0.1:1/ab12/", &["http://127.0.0.1:40123/9f1c…/"]));
}
