//! `cargo xtask fuzz`: random policies on random machines for long, the bytes against the oracle.
//!
//! The same test as in the ordinary run, with other numbers. A pair that disagrees is printed, as small as it gets;
//! what was wrong becomes a case.
//!
//! `cargo xtask fuzz readers`: what is read from outside, policies before all, changed at random; the test `readers` of the ordinary run, for
//! longer.
//!
//! `cargo xtask fuzz editor`: policies are typed key by key, edited at random, and messages are changed at random; the
//! test `typing` of the ordinary run, for longer.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::{build, packages, say};

/// About an hour on two processors.
const PAIRS: &str = "3000000";

/// Of a processor for each of the seven readers: an hour on two processors.
const SECONDS: &str = "900";

/// Of changed messages to the language server; each step of typing is compared besides.
const EDITOR_SECONDS: &str = "900";

/// Steps of each file that are compared, and random edits: as many as there are keys in most files.
const STEPS: &str = "2000";

/// `cargo xtask fuzz [PAIRS] [SEED]`; another seed each time unless one is given.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    packages::need(&packages::BUILD)?;
    let clock =
        || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string();
    if args.first().is_some_and(|word| word == "readers") {
        let seed = args.get(2).cloned().unwrap_or_else(clock);
        return readers(args.get(1).map_or(SECONDS, String::as_str), &seed);
    }
    if args.first().is_some_and(|word| word == "editor") {
        let seed = args.get(2).cloned().unwrap_or_else(clock);
        return editor(args.get(1).map_or(EDITOR_SECONDS, String::as_str), &seed);
    }
    let pairs = args.first().map_or(PAIRS, String::as_str);
    let seed = args.get(1).cloned().unwrap_or_else(clock);
    for (what, word) in [("number of pairs", pairs), ("seed", seed.as_str())] {
        word.parse::<u64>()
            .map_err(|_| format!("`{word}` is no {what}: write a whole number, such as 1000"))?;
    }
    say(&format!("{pairs} pairs from seed {seed}; the same again: cargo xtask fuzz {pairs} {seed}"));
    let mut cargo = build::cargo("test");
    cargo
        .args(["-p", "oomc-tests", "--test", "agree", "--", "--nocapture", "bytes_and_oracle_decide_alike"])
        .envs([("OOMC_FUZZ", pairs), ("OOMC_SEED", seed.as_str())]);
    build::loud(&mut cargo, "the comparison")
}

/// `cargo xtask fuzz readers [SECONDS] [SEED]`.
fn readers(seconds: &str, seed: &str) -> Result<(), String> {
    timed(seconds, seed)?;
    say(&format!("{seconds} s for each reader; the same again: cargo xtask fuzz readers {seconds} {seed}"));
    let mut cargo = build::cargo("test");
    cargo
        .args(["-p", "oomc-tests", "--test", "readers", "--", "--nocapture"])
        .envs([("OOMC_READERS", seconds), ("OOMC_SEED", seed)]);
    build::loud(&mut cargo, "reading what is changed at random")
}

/// `cargo xtask fuzz editor [SECONDS] [SEED]`.
fn editor(seconds: &str, seed: &str) -> Result<(), String> {
    timed(seconds, seed)?;
    say(&format!(
        "{seconds} s of changed messages; the same again: cargo xtask fuzz editor {seconds} {seed}"
    ));
    let mut cargo = build::cargo("test");
    cargo.args(["-p", "oomc", "--test", "typing", "--", "--nocapture"]).envs([
        ("OOMC_LSP", seconds),
        ("OOMC_TYPING", STEPS),
        ("OOMC_SEED", seed),
    ]);
    build::loud(&mut cargo, "the language server")
}

fn timed(seconds: &str, seed: &str) -> Result<(), String> {
    for (what, word) in [("number of seconds", seconds), ("seed", seed)] {
        word.parse::<u64>()
            .map_err(|_| format!("`{word}` is no {what}: write a whole number, such as 1000"))?;
    }
    Ok(())
}
