//! `oomc completions SHELL`, `oomc man [FOLDER]`
//!
//! Both are made of the definition of the arguments, as `--help` is. Knows nothing of what a command does.

use std::fs;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::args::Args;
use crate::cmd::write;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

pub(crate) fn completions(report: &Report, shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "oomc", &mut script);
    let script = text(script)?;
    if report.json() {
        report.result("completions", Exit::Ok, json!({ "shell": shell.to_string(), "script": script }));
    } else {
        report.text(&script);
    }
    Ok(Exit::Ok)
}

pub(crate) fn man(report: &Report, folder: Option<&Path>) -> Outcome {
    let mut command = Args::command();
    // Names of commands as a reader would type them: `oomc check`.
    command.build();
    let Some(folder) = folder else {
        let page = page(&command)?;
        if report.json() {
            report.result("man", Exit::Ok, json!({ "pages": [{ "name": "oomc.1", "page": page }] }));
        } else {
            report.text(&page);
        }
        return Ok(Exit::Ok);
    };
    fs::create_dir_all(folder)
        .map_err(|error| Failure::refused(format!("cannot create {}: {error}", folder.display())))?;
    let mut written = Vec::new();
    let commands = command.get_subcommands().filter(|one| one.get_name() != "help");
    for one in std::iter::once(&command).chain(commands) {
        // `oomc-check`, as building has named it.
        let name = one.get_display_name().unwrap_or(one.get_name());
        let file = folder.join(format!("{name}.1"));
        write(&file, page(one)?.as_bytes())?;
        report.remark(format_args!("wrote {}", file.display()));
        written.push(json!({ "name": format!("{name}.1") }));
    }
    report.result("man", Exit::Ok, json!({ "pages": written }));
    Ok(Exit::Ok)
}

/// The page of a command, as troff.
fn page(command: &clap::Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut page)
        .map_err(|error| Failure::refused(format!("cannot write the page: {error}")))?;
    text(page)
}

fn text(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| Failure::refused(format!("what was made is no text: {error}")))
}
