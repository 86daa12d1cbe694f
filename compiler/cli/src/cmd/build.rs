//! `oomc build`: a policy to an object, or to one of the representations on the way.

use oomc_compiler::{compile, dump};
use serde_json::json;

use super::{has_errors, open};
use crate::args::Build;
use crate::exit::Exit;
use crate::input;
use crate::report::{Reporter, diagnostic_json};

const NAME: &str = "build";

pub(crate) fn run(args: &Build, reporter: &Reporter) -> Exit {
    match build(args, reporter) {
        Ok(exit) => exit,
        Err(message) => {
            reporter.failure(NAME, &message);
            Exit::Refused
        }
    }
}

fn build(args: &Build, reporter: &Reporter) -> Result<Exit, String> {
    let view = input::kernel(args.kernel.btf.as_deref())?;
    let source = match open(&args.file)? {
        Ok(source) => source,
        Err((source, diagnostic)) => {
            let diagnostics = [diagnostic];
            reporter.diagnostics(&source, &diagnostics);
            reporter.result(NAME, json!({ "diagnostics": [diagnostic_json(&source, &diagnostics[0])] }));
            return Ok(Exit::Errors);
        }
    };
    let (output, diagnostics, text) = match args.emit {
        Some(stage) => {
            let dumped = dump(&source, &view, stage);
            (None, dumped.diagnostics, dumped.text)
        }
        None => {
            let compiled = compile(&source, &view);
            (compiled.object, compiled.diagnostics, None)
        }
    };
    reporter.diagnostics(&source, &diagnostics);
    let all: Vec<_> = diagnostics.iter().map(|diagnostic| diagnostic_json(&source, diagnostic)).collect();
    if has_errors(&diagnostics) && text.is_none() {
        reporter.result(NAME, json!({ "diagnostics": all }));
        return Ok(Exit::Errors);
    }
    let exit = if has_errors(&diagnostics) { Exit::Errors } else { Exit::Ok };
    if let Some(text) = text {
        match &args.output {
            Some(path) => input::write(path, text.as_bytes())?,
            None => reporter.text(&text),
        }
        return Ok(exit);
    }
    let Some(object) = output else { return Ok(Exit::Errors) };
    let path = args.output.clone().unwrap_or_else(|| args.file.with_extension("o"));
    input::write(&path, &object)?;
    reporter.result(
        NAME,
        json!({ "output": path.display().to_string(), "bytes": object.len(), "diagnostics": all }),
    );
    Ok(exit)
}
