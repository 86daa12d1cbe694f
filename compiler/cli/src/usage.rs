//! What is wrong with the command line itself, and what it says of the program: help and version.
//!
//! Takes what clap found; prints it as people or programs want it, and gives the exit code.

use std::env;
use std::ffi::OsString;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use oomc_abi::hooks::OOM;
use oomc_abi::kfuncs::KFUNCS;
use oomc_compiler::KernelView;

use crate::args::Args;
use crate::exit::{Exit, Failure};
use crate::report::{SCHEMA, failure_json, to_stderr, to_stdout};
use crate::screen::{harmless, harmless_json};

/// The kernel whose types are carried; `compiler/abi/btf/README.md` says how they were taken.
const KERNEL: &str = "Linux 6.12.117 with the BPF OOM series";

/// Ends a command line that names no command to run.
pub(crate) fn end(error: &clap::Error) -> Exit {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match error.kind() {
        ErrorKind::DisplayHelp => {
            // In colours if the terminal has some; clap looks itself.
            let _ = error.print();
            Exit::Ok
        }
        ErrorKind::DisplayVersion => {
            to_stdout(&if wants_more(&words) { version() } else { error.to_string() });
            Exit::Ok
        }
        _ if wants_json(&words) => {
            let failure = failure(error);
            to_stdout(&format!("{}\n", harmless_json(&failure_json(command(&words), &failure))));
            Exit::Usage
        }
        _ => {
            // The words of the command line may come from anywhere.
            to_stderr(&harmless(&error.to_string(), true));
            Exit::Usage
        }
    }
}

/// `-v` beside `--version`.
fn wants_more(words: &[OsString]) -> bool {
    words.iter().any(|word| {
        let word = word.to_string_lossy();
        let short = word.starts_with('-') && !word.starts_with("--");
        word == "--verbose" || (short && word.contains('v'))
    })
}

fn wants_json(words: &[OsString]) -> bool {
    let pairs =
        words.windows(2).any(|pair| matches!(pair, [name, value] if name == "--format" && value == "json"));
    pairs || words.iter().any(|word| word == "--format=json")
}

/// The command that was meant, if it is one.
fn command(words: &[OsString]) -> Option<String> {
    let known = Args::command();
    let mut words = words.iter().map(|word| word.to_string_lossy().into_owned());
    words.find(|word| known.get_subcommands().any(|command| command.get_name() == word))
}

/// Clap's words as one of our failures.
fn failure(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim).filter(|part| !part.is_empty());
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let rest: Vec<&str> = paragraphs.collect();
    let failure = Failure { lines: true, ..Failure::new(Exit::Usage, message) };
    if rest.is_empty() { failure } else { failure.help(rest.join("\n")) }
}

/// What this program is made for, in full.
fn version() -> String {
    let types = KernelView::embedded().btf().len();
    let optional = KFUNCS.iter().filter(|kfunc| kfunc.surface.is_some()).map(|kfunc| kfunc.name);
    let optional: Vec<&str> = optional.collect();
    format!(
        "oomc {}\n\
         language: edition 1\n\
         BTF: of the reference kernel, {KERNEL}: {types} types, {} KiB; `--btf` chooses another\n\
         profiles: `{}` through the link of struct_ops, and through that of cgroups (`{}`)\n\
         kernel functions that actions need: {}\n\
         JSON: schema {SCHEMA}\n",
        env!("CARGO_PKG_VERSION"),
        KernelView::embedded_btf().len() / 1024,
        OOM.ops,
        OOM.generic_attach,
        optional.join(", "),
    )
}
