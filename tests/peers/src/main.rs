//! Drives OOM killers in a machine: makes tenants, lets one of them use up the memory, and sees who dies.
//!
//! One static program with several faces, chosen by its first argument: none carries out the plan ([`drive`]), the others are
//! the processes of the tenants ([`load`]).

mod drive;

mod trial;

mod tenants;

mod killer;

mod look;

mod load;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["keep"] => load::keep(),
        ["rest", cgroup] => load::rest(cgroup),
        ["hold", cgroup, mebibytes] => load::hold(cgroup, mebibytes),
        ["small", mebibytes] => load::small(mebibytes),
        ["leak", cgroup, first, rate] => load::leak(cgroup, first, rate),
        ["bomb", cgroup, mebibytes] => load::bomb(cgroup, mebibytes),
        ["read", cgroup, first, file] => load::read(cgroup, first, file),
        _ => drive::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
