//! The first process of the test machine, and everything else that runs in it besides `oomc`.
//!
//! One static program with seven faces, chosen by its first argument: none is the first process
//! ([`init`]); `case NAME` carries out one case ([`run`]); `task` is a process that holds memory
//! ([`task`]); `libbpf` loads an object by the reference loader ([`libbpf`]);
//! `forest` makes many processes at once ([`forest`]); `eat` runs into a limit ([`storm`]);
//! `cost` says what another program takes ([`loads`]).

mod init;

mod run;

mod decide;

mod decisions;

mod tree;

mod procs;

mod kmsg;

mod task;

mod forest;

mod count;

mod libbpf;
mod loads;

mod map;

mod places;

mod service;

mod hold;

mod day;
mod faults;
mod storm;

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["case", name] => run::run(name),
        ["forest", place, cgroups, processes, threads, groups] => {
            forest::run(place, [cgroups, processes, threads, groups])
        }
        ["task"] => task::run(),
        ["lock", path, millis] => places::lock(path, millis),
        ["eat", folder] => storm::eat(folder),
        ["libbpf", "attach", object, cgroup] => libbpf::attach(object, cgroup),
        ["libbpf", "once", object, cgroup] => libbpf::once(object, cgroup),
        ["cost", words @ ..] => loads::cost(words),
        ["libbpf", "measure", object] => libbpf::measure(object),
        ["libbpf", "compare", object, pin] => libbpf::compare(object, pin),
        _ => init::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
