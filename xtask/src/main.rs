//! Tasks of the repository: `cargo xtask COMMAND`.
//!
//! `test` is the whole gate and what the continuous integration runs. Every command installs or
//! names the Debian packages that it lacks.

mod packages;

mod kernel;

mod build;

mod vm;

mod stock;

mod test;

mod demo;

mod bench;
mod foresight;

mod fuzz;
mod soak;

mod order;
mod package;

mod debian;

mod boot;

mod aarch64;

mod desk;

mod btf;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  test            everything: format, lints, unit tests, cases, and the cases in the machine
  vm [--stock] [--random N] [FILTER]
                  the cases in the machine; arguments go to the test program. With --stock those for kernels without
                  the hook, on a kernel as Debian ships it; with --random so many random policies for its verifier
                  (`vm --stock --random 500 random` is the long form of what the gate does with 40)
  demo            compiles an example and shows it acting in the machine
  bench [RUNS]    oomc beside clang: time, memory, instructions, verifier's work; long policies; decisions per second
  bench code [NAME…] [--n N,N…] [--crowded] [--book]
                  instructions of a decision, beside C that decides alike, in a machine whose clock counts them
  bench load      `oomc load` beside libbpf, in a machine whose clock counts instructions
  bench editor [KEYS] [--book]
                  keys and hovers until the language server answers, in long policies
  bench peers [--trials N] [--only KILLER] [--workload WORKLOAD] [--more | --tell] [--book]
                  `oomc run` beside oomd, systemd-oomd, earlyoom and nohang, in a machine with Debian's kernel and systemd;
                  `--more` adds to the trials of the last run, `--tell` only makes their table
  fuzz [PAIRS] [SEED]
                  random policies on random machines: the bytes against the oracle
  fuzz readers [SECONDS] [SEED]
                  policies, objects, types, snapshots and pins changed at random, and whoever reads them: grammar,
                  checker and formatter too
  fuzz editor [SECONDS] [SEED]
                  policies typed and edited at random, and messages changed at random, and the language server
  soak [DEATHS] [--kernel VARIANT | --stock] [--release]
                  a storm of OOM events in the machine while policies are changed, and 64 loaders at once; VARIANT is
                  main, debug (lockdep), kasan, or failslab, where allocations fail while policies decide and load;
                  with --stock a day of `oomc run` in cgroups that come and go, on a kernel as Debian ships it;
                  --release takes the program that people install
  package [--debug] [--to FOLDER]
                  the static program, a Debian package and an RPM package, in target/package
  boot [--stock] [--release]
                  the Debian package on a machine with systemd: units at boot, cgroups made anew, the journal, restarts,
                  upgrade and removal; then the image in a container; with --stock on a kernel as Debian ships it
  aarch64 [--release]
                  the program for arm64, and what of it an emulator can try: the same objects, tests
  order           notes which functions everyday commands run, so that they lie side by side in the program
  tree-sitter     makes the parser in grammar/tree-sitter of its grammar; needs Node
  vscode          packs the extension of grammar/vscode to target/vscode/oom.vsix; needs Node 20 or later and npm
  book [--unseen] builds the book into target/book, and looks at each page in a browser
  kernel [VARIANT]
                  builds the kernel under test, or says where it is
  btf             makes the embedded BTF anew
";

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("", [].as_slice()),
    };
    let result = match command {
        "test" => test::run(rest),
        "vm" => vm::run(rest),
        "demo" => demo::run(rest),
        "bench" => bench::run(rest),
        "fuzz" => fuzz::run(rest),
        "soak" => soak::run(rest),
        bench::ONE_RUN => bench::one_run(rest),
        "order" => order::run(),
        "boot" => boot::run(rest),
        "aarch64" => aarch64::run(rest),
        "package" => package::run(rest),
        "tree-sitter" => desk::tree_sitter(rest),
        "vscode" => desk::vscode(rest),
        "book" => desk::book(rest),
        "kernel" => kernel::run(rest),
        "btf" => btf::run(rest),
        "help" | "--help" | "-h" => {
            say(USAGE.trim_end());
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a line for the reader.
#[expect(clippy::print_stdout, reason = "the one place where tasks print")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}
