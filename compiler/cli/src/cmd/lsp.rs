//! `oomc lsp`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use oomc_compiler::KernelView;

use crate::args::Lsp;
use crate::cmd::snapshot::{machine, snapshot};
use crate::cmd::{view, view_of};
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, read, reason};

pub(crate) fn run(args: &Lsp) -> Outcome {
    // The server lives as long as the process, and its threads look at the same kernel.
    let view: &'static KernelView = Box::leak(Box::new(view(&args.kernel)?));
    // Nobody waits for what is no ordinary file: it is as good as not there.
    let files = |path: &Path| {
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = read(path).map_err(|failure| failure.message)?;
        String::from_utf8(bytes).map(Some).map_err(|_| "it is not UTF-8".to_owned())
    };
    let known = RefCell::new(BTreeMap::new());
    let kernels = |path: &Path| -> Result<&'static KernelView, String> {
        // The flag is stronger than settings.
        if args.kernel.btf.is_some() {
            return Ok(view);
        }
        if let Some(known) = known.borrow().get(path) {
            return Ok(*known);
        }
        if !path.is_file() {
            return Err(format!("`btf` is {}, which is no file", path.display()));
        }
        let found: &'static KernelView =
            Box::leak(Box::new(view_of(path).map_err(|failure| failure.message)?));
        known.borrow_mut().insert(path.to_owned(), found);
        Ok(found)
    };
    let roots = args.roots.clone();
    let machines: oomc_lsp::Machines = Box::leak(Box::new(move |file: Option<&Path>| {
        let read = match file {
            // Nobody waits for what is no ordinary file.
            Some(file) if !file.is_file() => return Err(format!("cannot read {}", file.display())),
            Some(file) => snapshot(file),
            None => machine(&roots, None, &mut |_| {}).map(|read| read.snapshot),
        };
        read.map_err(|failure| failure.message)
    }));
    let policies = |folder: &Path| files::some_below(folder, "oom");
    let outside = oomc_lsp::Outside { view, files: &files, kernels: &kernels, machines, policies: &policies };
    match oomc_lsp::run(io::stdin(), io::stdout(), outside) {
        Ok(oomc_lsp::End::Agreed) => Ok(Exit::Ok),
        Ok(oomc_lsp::End::Sudden) => Ok(Exit::Errors),
        // The editor has gone without a word.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Errors),
        Err(error) => Err(Failure::refused(format!("cannot write to the editor: {}", reason(&error)))),
    }
}
