//! `oomc lsp`

use std::io;

use crate::args::Lsp;
use crate::cmd::view;
use crate::exit::{Exit, Failure, Outcome};
use crate::report::reason;

pub(crate) fn run(args: &Lsp) -> Outcome {
    let view = view(&args.kernel)?;
    match oomc_lsp::run(io::stdin(), io::stdout(), view) {
        Ok(oomc_lsp::End::Agreed) => Ok(Exit::Ok),
        Ok(oomc_lsp::End::Sudden) => Ok(Exit::Errors),
        // The editor has gone without a word.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Errors),
        Err(error) => Err(Failure::refused(format!("cannot write to the editor: {}", reason(&error)))),
    }
}
