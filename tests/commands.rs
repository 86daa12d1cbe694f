//! The book's page of commands is what the program itself says, and no page names a command or a flag that there is not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use oomc_tests::{files, read, root, short};

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).env("COLUMNS", "100").output();
    let output = output.unwrap_or_else(|error| panic!("{args:?}: {error}"));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The commands, in the order of the help.
fn commands() -> Vec<String> {
    let text = help(&["--help"]);
    let listed =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let words = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let found: Vec<String> = words.filter(|word| !word.is_empty()).map(str::to_owned).collect();
    assert!(found.len() > 15, "{found:?}");
    found
}

fn page(name: &str) -> (PathBuf, String) {
    let path = root().join("book/src").join(name);
    let text = read(&path);
    (path, text)
}

const MARK: &str = "<!-- printed from here on -->\n";

#[test]
fn the_page_of_commands_is_what_the_program_says() {
    let mut printed = format!("\n```text\n{}```\n", help(&["--help"]));
    for command in commands().iter().filter(|command| *command != "help") {
        printed.push_str(&format!("\n## {command}\n\n```text\n{}```\n", help(&[command, "--help"])));
    }
    let (path, page) = page("start/commands.md");
    let (head, rest) = page.split_once(MARK).unwrap_or_else(|| panic!("the page has no `{}`", MARK.trim()));
    if env::var_os("OOMC_BLESS").is_some() {
        fs::write(&path, format!("{head}{MARK}{printed}")).unwrap_or_else(|error| panic!("{error}"));
    } else {
        assert!(
            rest == printed,
            "book/src/start/commands.md is not what `oomc --help` says; OOMC_BLESS=1 rewrites it"
        );
    }
}

/// The head of the page says of each command what it needs.
#[test]
fn the_page_of_commands_says_what_each_needs() {
    let (_, page) = page("start/commands.md");
    let head = page.split_once(MARK).map_or("", |(head, _)| head);
    let rows: Vec<&str> = head.lines().filter(|line| line.starts_with("| ")).collect();
    for command in commands() {
        let count = rows.iter().filter(|row| row.contains(&format!("`{command}`"))).count();
        let verified = command == "check";
        assert_eq!(count, if verified { 2 } else { 1 }, "`{command}` stands in {count} rows");
    }
}

/// Who reads the introduction learns of every command.
#[test]
fn the_introduction_names_every_command() {
    let (_, page) = page("introduction.md");
    for command in commands().iter().filter(|command| *command != "help") {
        assert!(
            page.contains(&format!("`oomc {command}`")),
            "book/src/introduction.md does not name `oomc {command}`"
        );
    }
    assert!(!page.contains("does not run them"), "tests are run");
}

/// The command lines of a page: what stands between backticks, and lines of blocks of text that begin with a prompt.
fn lines(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut block = None;
    for line in page.lines() {
        let trimmed = line.trim_start();
        if let Some(info) = trimmed.strip_prefix("```") {
            let language = info.split(',').next().unwrap_or_default();
            block = if block.is_some() { None } else { Some(language.to_owned()) };
            continue;
        }
        match block.as_deref() {
            Some("text" | "sh" | "") => {
                let command = ["$ oomc ", "# oomc "].iter().find_map(|prompt| trimmed.strip_prefix(prompt));
                found.extend(command.map(|rest| rest.split(" | ").next().unwrap_or(rest).to_owned()));
            }
            Some(_) => {}
            None => {
                let inline = line.split('`').skip(1).step_by(2);
                found.extend(inline.filter_map(|code| code.strip_prefix("oomc ")).map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn no_page_names_a_command_or_a_flag_that_there_is_not() {
    let commands = commands();
    let mut flags: BTreeMap<&str, String> = BTreeMap::new();
    for command in commands.iter().filter(|command| *command != "help") {
        flags.insert(command, help(&[command, "--help"]));
    }
    let general = help(&["--help"]);
    let mut problems = Vec::new();
    let mut count = 0;
    let folders = ["book/src", "examples", "stdlib", "compiler/src/diag/docs"];
    let pages = folders.iter().flat_map(|folder| files(&root().join(folder)));
    let pages = pages.chain(["README.md", "CHANGELOG.md"].map(|name| root().join(name)));
    for path in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let text = read(&path);
        let text = text.split_once(MARK).map_or(text.as_str(), |(head, _)| head);
        for line in lines(text) {
            count += 1;
            let mut words: Vec<&str> = line.split_whitespace().collect();
            // The value of a flag that stands before the command is no command.
            if let Some(at) = words.iter().position(|word| ["--format", "--color"].contains(word)) {
                words.drain(at + 1..words.len().min(at + 2));
            }
            let command = words.iter().find_map(|word| flags.get_key_value(*word));
            let is_flag = |word: &&&str| word.starts_with("--") && word.len() > 2;
            for flag in words.iter().filter(is_flag) {
                let flag = flag.split(['=', '[']).next().unwrap_or(flag);
                let known = |help: &String| {
                    help.split_whitespace().any(|word| {
                        word.trim_end_matches(',') == flag
                            || word.starts_with(&format!("{flag}["))
                            || word.starts_with(&format!("{flag}="))
                    })
                };
                let there =
                    command.map_or_else(|| known(&general), |(_, help)| known(help)) || flag == "--help";
                if !there {
                    problems.push(format!("{}: `oomc {line}`: there is no {flag}", short(&path)));
                }
            }
            let first = words.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default();
            let is_word = first.chars().all(|letter| letter.is_ascii_lowercase()) && !first.is_empty();
            if command.is_none()
                && is_word
                && !commands.iter().any(|command| command == first)
                && !first.is_empty()
            {
                problems.push(format!("{}: `oomc {line}`: there is no command {first}", short(&path)));
            }
        }
    }
    assert!(count > 50, "only {count} command lines were found: the search is broken");
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}
