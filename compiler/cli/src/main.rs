//! `oomc`: the command line.
//!
//! Parses arguments, reads files, asks the libraries, prints, and turns outcomes into exit codes. Owns nothing
//! of the language and makes no system call of its own.

mod args;
mod cmd;
mod exit;
mod policy;
mod report;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command, Format};
use crate::exit::Exit;
use crate::report::Report;

fn main() -> ExitCode {
    // Wrong usage ends here with 2, help and version with 0.
    let args = Args::parse();
    let report = Report::new(&args);
    if args.format == Format::Github && !matches!(args.command, Command::Check(_) | Command::Test(_)) {
        report.failure(&exit::Failure::new(Exit::Usage, "`--format github` is for `check` and `test`"));
        return Exit::Usage.into();
    }
    let result = match &args.command {
        Command::New(new) => cmd::new::run(&report, new),
        Command::Build(build) => cmd::build::run(&report, build),
        Command::Check(check) => cmd::check::run(&report, check),
        Command::Fmt(fmt) => cmd::fmt::run(&report, fmt),
        Command::Fix(fix) => cmd::fix::run(&report, fix),
        Command::Explain { code } => cmd::explain::run(&report, code.as_deref()),
        Command::Fields(fields) => cmd::fields::run(&report, fields),
        Command::Load(load) => cmd::load::run(&report, load),
        Command::Unload(unload) => cmd::unload::run(&report, unload),
        Command::Status(status) => cmd::status::run(&report, status),
        Command::Set(set) => cmd::set::run(&report, set),
        Command::Mode(mode) => cmd::mode::run(&report, mode),
        Command::Label(label) => cmd::label::run(&report, label),
        Command::Events(events) => cmd::events::run(&report, events),
        Command::Snapshot(snapshot) => cmd::snapshot::run(&report, snapshot),
        Command::Sim(sim) => cmd::sim::run(&report, sim),
        Command::Plan(plan) => cmd::plan::run(&report, plan),
        Command::Diff(diff) => cmd::diff::run(&report, diff),
        Command::Why(why) => cmd::why::run(&report, why),
        Command::Test(test) => cmd::test::run(&report, test),
        Command::Lsp(lsp) => cmd::lsp::run(lsp),
    };
    let exit = result.unwrap_or_else(|failure| {
        report.failure(&failure);
        failure.exit
    });
    // Somebody who stops reading has what he wants; somebody whose disk is full has not.
    match report.finish() {
        Ok(()) => exit.into(),
        Err(error) => {
            report.failure(&exit::Failure::refused(format!("cannot write the output: {error}")));
            Exit::Refused.into()
        }
    }
}
