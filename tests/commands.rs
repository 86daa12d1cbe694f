//! The book's page of commands is what the program itself says.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const COMMANDS: &[&str] = &[
    "new", "check", "fmt", "build", "load", "unload", "status", "set", "mode", "label", "events", "test",
    "snapshot", "sim", "plan", "diff", "why", "explain", "fields", "lsp",
];

fn help(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_oomc")).args(args).env("COLUMNS", "100").output();
    let output = output.unwrap_or_else(|error| panic!("{args:?}: {error}"));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn the_page_of_commands_is_what_the_program_says() {
    let mut printed = format!("\n```text\n{}```\n", help(&["--help"]));
    for command in COMMANDS {
        printed.push_str(&format!("\n## {command}\n\n```text\n{}```\n", help(&[command, "--help"])));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../book/src/start/commands.md");
    let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mark = "<!-- printed from here on -->\n";
    let (head, rest) = page.split_once(mark).unwrap_or_else(|| panic!("the page has no `{}`", mark.trim()));
    if env::var_os("OOMC_BLESS").is_some() {
        fs::write(&path, format!("{head}{mark}{printed}")).unwrap_or_else(|error| panic!("{error}"));
    } else {
        assert!(
            rest == printed,
            "book/src/start/commands.md is not what `oomc --help` says; OOMC_BLESS=1 rewrites it"
        );
    }
}

#[test]
fn every_command_is_on_the_page() {
    let text = help(&["--help"]);
    let listed: Vec<&str> = text
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|word| !word.is_empty())
        .collect();
    for command in &listed {
        assert!(COMMANDS.contains(command), "`{command}` is missing in COMMANDS");
    }
    assert_eq!(listed.len(), COMMANDS.len(), "{listed:?}");
}
