//! `oomc`: parse the command line, dispatch, exit code.

mod args;
mod exit;
mod input;
mod report;

mod cmd;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let reporter = report::Reporter::new(&args.global);
    cmd::run(&args.command, &reporter).into()
}
