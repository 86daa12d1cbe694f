//! `cargo xtask vm`: the cases of `tests/cases/run`, in the machine; with `--stock` those of `tests/cases/stock`, in a
//! machine with a kernel as Debian ships it.

use std::path::PathBuf;

use crate::{build, say, stock};

/// The variable by which the test program finds the stock kernel.
pub(crate) const STOCK: &str = "OOMC_VM_STOCK";

/// The argument that asks for it.
pub(crate) const ON_STOCK: &str = "--stock";

/// Arguments go to the test program: a part of a name, `--list`, …
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (stock, args): (Vec<&String>, Vec<&String>) = args.iter().partition(|arg| *arg == ON_STOCK);
    let tools = build::tools()?;
    let test = if stock.is_empty() { "vm" } else { "stock" };
    let mut cargo = build::cargo("test");
    cargo.args(["--quiet", "-p", "oomc-vm", "--test", test, "--"]).args(args).envs(build::variables(&tools));
    if !stock.is_empty() {
        cargo.env(STOCK, stock::image()?);
    }
    build::loud(&mut cargo, "the run of the cases in the machine")
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
