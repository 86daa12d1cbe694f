//! `cargo xtask bench peers`: oomc beside the OOM killers that Debian has, each as its own service with the same wish, in a
//! machine with Debian's kernel and systemd.
//!
//! Makes the machine's disk ([`disk`]), boots it with a plan of trials ([`machine`]), keeps each trial as it comes
//! ([`log`]), and tells what was seen ([`table`]) beside what was to be reached ([`goals`]). What happens in the machine is
//! the program of `tests/peers`.

mod disk;

mod machine;

mod log;

mod table;

mod goals;

use oomc_peers::plan::{Cell, Killer, Workload, round};
use oomc_peers::report::Message;

use super::page;
use crate::{build, debian, packages, say, stock};

/// Rounds, unless an argument says otherwise: about half an hour each on two cores. The long form has 20.
const TRIALS: u32 = 2;

/// What the command line asks for.
struct Asked {
    trials: u32,
    killers: Vec<Killer>,
    workloads: Vec<Workload>,
    book: bool,
    /// What was tried before is kept.
    more: bool,
    /// Only the table of what was tried before.
    tell: bool,
}

/// `cargo xtask bench peers [--trials N] [--only KILLER] [--workload WORKLOAD] [--more | --tell] [--book]`
pub(super) fn run(args: &[String]) -> Result<(), String> {
    let asked = read(args)?;
    if !asked.tell {
        try_all(&asked)?;
    }
    let text = table::whole(&log::read()?);
    say(&text);
    page::keep("peers", &text, asked.book)
}

fn read(args: &[String]) -> Result<Asked, String> {
    let mut asked = Asked {
        trials: TRIALS,
        killers: Killer::ALL.to_vec(),
        workloads: Workload::ALL.to_vec(),
        book: false,
        more: false,
        tell: false,
    };
    let mut args = args.iter().map(String::as_str);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} wants a value"));
        match arg {
            "--book" => asked.book = true,
            "--more" => asked.more = true,
            "--tell" => asked.tell = true,
            "--trials" => {
                let text = value()?;
                asked.trials = text.parse().map_err(|_| format!("`{text}` is no number of trials"))?;
            }
            "--only" => asked.killers = vec![named(&Killer::ALL, Killer::name, value()?)?],
            "--workload" => asked.workloads = vec![named(&Workload::ALL, Workload::name, value()?)?],
            _ => return Err(format!("`cargo xtask bench peers` knows no {arg}")),
        }
    }
    Ok(asked)
}

/// One of a few, by its name.
fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> Result<T, String> {
    all.iter().copied().find(|one| name(*one) == word).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|one| name(*one)).collect();
        format!("there is no {word}, but {}", names.join(", "))
    })
}

/// Makes the trials, a round after the other, so that what is broken off has as many of each.
fn try_all(asked: &Asked) -> Result<(), String> {
    packages::need(&packages::BUILD)?;
    packages::need(&packages::MACHINE)?;
    packages::need(&debian::TOOLS)?;
    say("Building oomc, optimised, and the program of the trials …");
    build::release(&["oomc"])?;
    build::loud(build::cargo("build").args(["-p", "oomc-peers"]), "the build of the program of the trials")?;
    let kernel = stock::image()?;
    let debian = disk::debian()?;
    log::begin(asked.more)?;
    for at in 1..=asked.trials {
        let mut plan = round(&asked.killers, &asked.workloads, true);
        say(&format!("Round {at} of {}: {} trials …", asked.trials, plan.len()));
        while !plan.is_empty() {
            let before = plan.len();
            boot(&kernel, &debian, &mut plan)?;
            if plan.len() == before {
                return Err("the machine ended without a trial".to_owned());
            }
        }
    }
    Ok(())
}

/// One boot. Takes from the plan what was tried; the trial in which the machine ended counts as failed.
fn boot(kernel: &std::path::Path, debian: &std::path::Path, plan: &mut Vec<Cell>) -> Result<(), String> {
    let disk = disk::make(debian, plan)?;
    let mut current = None;
    let ended = machine::run(kernel, &disk, &mut |message| {
        match &message {
            Message::Begun(cell) => current = Some(*cell),
            Message::Ended(cell, _) | Message::Failed(cell, _) => {
                current = None;
                plan.retain(|waiting| waiting != cell);
            }
            Message::Ready { .. } | Message::End => {}
        }
        say(&table::line(&message));
        log::keep(&message)
    });
    match (ended, current) {
        (Ok(()), _) => Ok(()),
        (Err(why), Some(cell)) => {
            say(&format!("{}: {why}", table::name(&cell)));
            plan.retain(|waiting| *waiting != cell);
            log::keep(&Message::Failed(cell, why))
        }
        (Err(why), None) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_none_is_told_those_that_are() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let asked = read(&words(&["--trials", "20", "--only", "systemd-oomd"])).expect("a command line");
        assert_eq!((asked.trials, asked.killers), (20, vec![Killer::SystemdOomd]));
        let why = read(&words(&["--workload", "leak"])).err().expect("an error");
        assert!(why.contains("slow-leak, fast-leak"), "{why}");
        assert!(read(&words(&["--trials"])).is_err());
    }
}
