//! `oomc`: the command line.
//!
//! Parses arguments, reads files, asks the libraries, prints, and turns outcomes into exit codes. Owns nothing
//! of the language and makes no system call of its own.

mod args;
mod cmd;
mod daemon;
mod difference;
mod draw;
mod exit;
mod files;
mod policy;
mod report;
mod sarif;
mod screen;
mod settings;
mod standing;
mod usage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command, Format};
use crate::exit::{Exit, Failure, Outcome};
use crate::report::Report;

fn main() -> ExitCode {
    oomc_runtime::sys::large_blocks_lie_by_themselves();
    // Wrong usage ends here with 2, help and version with 0.
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::end(&error).into(),
    };
    let report = Report::new(&args);
    let result = fits(&args).and_then(|()| run(&report, &args));
    let exit = result.unwrap_or_else(|failure| {
        report.failure(&failure);
        failure.exit
    });
    // Somebody who stops reading has what he wants; somebody whose disk is full has not.
    match report.finish() {
        Ok(()) => exit.into(),
        Err(error) => {
            report.failure(&Failure::refused(format!("cannot write the output: {error}")));
            Exit::Refused.into()
        }
    }
}

/// What the definition of the arguments cannot say: which formats a command has, and that standard output holds one
/// thing.
fn fits(args: &Args) -> Result<(), Failure> {
    let wrong = |text: &str| Err(Failure::new(Exit::Usage, text));
    match (args.format, &args.command) {
        (Format::Github, Command::Check(_) | Command::Test(_)) | (Format::Sarif, Command::Check(_)) => {}
        (Format::Github, _) => return wrong("`--format github` is for `check` and `test`"),
        (Format::Sarif, _) => return wrong("`--format sarif` is for `check`"),
        (Format::Human | Format::Json, _) => {}
    }
    match (args.command.outputs_to_stdout(), args.format) {
        (0, _) | (1, Format::Human) => Ok(()),
        (1, _) => wrong("standard output cannot hold both a file (`-`) and what `--format` asks for"),
        _ => wrong("standard output (`-`) can hold one file"),
    }
}

fn run(report: &Report, args: &Args) -> Outcome {
    match &args.command {
        Command::New(new) => cmd::new::run(report, new),
        Command::Build(build) => cmd::build::run(report, build),
        Command::Convert(convert) => cmd::convert::run(report, convert),
        Command::Check(check) => cmd::check::run(report, check),
        Command::Fmt(fmt) => cmd::fmt::run(report, fmt),
        Command::Fix(fix) => cmd::fix::run(report, fix),
        Command::Explain { code } => cmd::explain::run(report, code.as_deref()),
        Command::Fields(fields) => cmd::fields::run(report, fields),
        Command::Inspect(inspect) => cmd::inspect::run(report, inspect),
        Command::Doctor(doctor) => cmd::doctor::run(report, doctor),
        Command::Load(load) => cmd::load::run(report, load),
        Command::Run(run) => daemon::run(report, run),
        Command::Rollback(one) => cmd::rollback::run(report, one),
        Command::Unload(unload) => cmd::unload::run(report, unload),
        Command::Status(status) => cmd::status::run(report, status),
        Command::Show(one) => cmd::show::run(report, one),
        Command::Tidy => cmd::tidy::run(report),
        Command::Set(set) => cmd::set::run(report, set),
        Command::Mode(mode) => cmd::mode::run(report, mode),
        Command::Label(label) => cmd::label::run(report, label),
        Command::Events(events) => cmd::events::run(report, events),
        Command::Snapshot(snapshot) => cmd::snapshot::run(report, snapshot),
        Command::Sim(sim) => cmd::sim::run(report, sim),
        Command::Plan(plan) => cmd::plan::run(report, plan),
        Command::Diff(diff) => cmd::diff::run(report, diff),
        Command::Why(why) => cmd::why::run(report, why),
        Command::Test(test) => cmd::test::run(report, test),
        Command::Play(play) => cmd::play::run(report, play),
        Command::Lsp(lsp) => cmd::lsp::run(lsp),
        Command::Metrics { textfile } => cmd::metrics::run(report, textfile.as_deref()),
        Command::Completions { shell } => cmd::manual::completions(report, *shell),
        Command::Man { folder } => cmd::manual::man(report, folder.as_deref()),
    }
}
