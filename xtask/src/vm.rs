//! `cargo xtask vm`: the cases of `tests/cases/run`, in the machine; with `--stock` those of `tests/cases/stock`, in a
//! machine with a kernel as Debian ships it.

use std::path::PathBuf;

use crate::{build, say, stock};

/// The variable by which the test program finds the stock kernel.
pub(crate) const STOCK: &str = "OOMC_VM_STOCK";

/// The argument that asks for it.
pub(crate) const ON_STOCK: &str = "--stock";

/// The argument that says how many random policies are shown to the verifier, and the variable by which the test programs
/// hear it.
const RANDOM: &str = "--random";
const COUNT: &str = "OOMC_RANDOM";

/// Arguments go to the test program: a part of a name, `--list`, …
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (stock, mut args): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| *arg == ON_STOCK);
    let count = random(&mut args)?;
    let tools = build::tools()?;
    let test = if stock.is_empty() { "vm" } else { "stock" };
    let mut cargo = build::cargo("test");
    cargo.args(["--quiet", "-p", "oomc-vm", "--test", test, "--"]).args(args).envs(build::variables(&tools));
    if let Some(count) = count {
        cargo.env(COUNT, count.to_string());
    }
    if !stock.is_empty() {
        cargo.env(STOCK, stock::image()?);
    }
    build::loud(&mut cargo, "the run of the cases in the machine")
}

/// Takes the number of random policies out of the arguments.
fn random(args: &mut Vec<&String>) -> Result<Option<u32>, String> {
    let Some(at) = args.iter().position(|arg| *arg == RANDOM) else { return Ok(None) };
    let words: Vec<&String> = args.drain(at..args.len().min(at + 2)).collect();
    let number = words.get(1).ok_or_else(|| format!("{RANDOM} wants a number"))?;
    number.parse().map(Some).map_err(|_| format!("`{number}` is no number of policies"))
}

/// For the whole gate: the variable and the stock kernel, or a sentence and nothing.
pub(crate) fn stock_variable() -> Option<(&'static str, PathBuf)> {
    match stock::image() {
        Ok(image) => Some((STOCK, image)),
        Err(why) => {
            say(&format!("   no stock kernel, its cases are skipped: {why}"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_random_policies_is_no_word_of_the_test_program() {
        let words = ["random", "--random", "500", "--nocapture"].map(str::to_owned);
        let mut args: Vec<&String> = words.iter().collect();
        assert_eq!(random(&mut args), Ok(Some(500)));
        assert_eq!(args, ["random", "--nocapture"]);
        assert_eq!(random(&mut args), Ok(None));
        for wrong in [&["--random"][..], &["--random", "many"]] {
            let words: Vec<String> = wrong.iter().map(|word| (*word).to_owned()).collect();
            assert!(random(&mut words.iter().collect()).is_err(), "{wrong:?}");
        }
    }
}
