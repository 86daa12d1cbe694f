//! `oomc lsp`

use std::io;
use std::path::Path;

use crate::args::Lsp;
use crate::cmd::view;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{read, reason};

pub(crate) fn run(args: &Lsp) -> Outcome {
    // The server lives as long as the process, and its threads look at the same kernel.
    let view = Box::leak(Box::new(view(&args.kernel)?));
    // What cannot be read is as good as not there; and nobody waits for what is no ordinary file.
    let files = |path: &Path| {
        let bytes = path.is_file().then(|| read(path).ok()).flatten()?;
        String::from_utf8(bytes).ok()
    };
    match oomc_lsp::run(io::stdin(), io::stdout(), view, &files) {
        Ok(oomc_lsp::End::Agreed) => Ok(Exit::Ok),
        Ok(oomc_lsp::End::Sudden) => Ok(Exit::Errors),
        // The editor has gone without a word.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Errors),
        Err(error) => Err(Failure::refused(format!("cannot write to the editor: {}", reason(&error)))),
    }
}
