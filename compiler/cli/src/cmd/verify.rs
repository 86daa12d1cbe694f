//! `oomc check --verify FILE…`: the running kernel's verifier looks at each policy; nothing is attached.

use std::path::{Path, PathBuf};

use oomc_runtime::{Error, Object, System, preflight};
use serde_json::{Value, json};

use crate::cmd::load::explain_refusal;
use crate::cmd::{exit_of, source_of, tell, view_of};
use crate::exit::{Exit, Failure, Outcome};
use crate::report::{Report, read};

pub(crate) fn run(report: &Report, files: &[PathBuf]) -> Outcome {
    let system = System::running();
    preflight::kernel(&system)?;
    let view = view_of(&system.paths.btf)?;
    let mut exit = Exit::Ok;
    let mut all: Vec<Value> = Vec::new();
    for path in files {
        let object = match object(report, path, &view)? {
            Ok(object) => object,
            Err((found, diagnostics)) => {
                exit = exit.max(found);
                all.push(json!({ "file": path, "diagnostics": diagnostics }));
                continue;
            }
        };
        match oomc_runtime::verify(&system, &object) {
            Ok(program) => {
                report.line(format_args!(
                    "{}: {} instructions, {} after the verifier, which processed {}",
                    path.display(),
                    program.insns,
                    program.xlated,
                    program.verified
                ));
                all.push(json!({
                    "file": path,
                    "instructions": program.insns,
                    "instructions_verified": program.xlated,
                    "instructions_processed": program.verified,
                }));
            }
            Err(Error::Verifier(refusal)) => {
                let (diagnostics, log) = explain_refusal(report, &object, &refusal);
                report.line(format_args!("{}: refused by the verifier", path.display()));
                all.push(json!({ "file": path, "diagnostics": diagnostics, "verifier_log": log }));
                exit = exit.max(Exit::Refused);
            }
            Err(error) => return Err(error.into()),
        }
    }
    report.result("check", exit, json!({ "verified": all }));
    Ok(exit)
}

/// The object of a file, which may be a policy; otherwise what is wrong with the policy.
type Made = Result<Object, (Exit, Vec<Value>)>;

fn object(report: &Report, path: &Path, view: &oomc_compiler::KernelView) -> Result<Made, Failure> {
    let bytes = read(path)?;
    let parse = |bytes: &[u8]| {
        Object::parse(bytes).map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
    };
    if Object::looks_like(&bytes) {
        return parse(&bytes).map(Ok);
    }
    let (source, diagnostics) = match source_of(path, &bytes) {
        Ok(source) => {
            let compiled = oomc_compiler::compile(&source, view);
            if let Some(object) = compiled.object {
                tell(report, &source, &compiled.diagnostics);
                return parse(&object).map(Ok);
            }
            (source, compiled.diagnostics)
        }
        Err((source, diagnostic)) => (source, vec![diagnostic]),
    };
    let all = tell(report, &source, &diagnostics);
    Ok(Err((exit_of(&diagnostics), all)))
}
