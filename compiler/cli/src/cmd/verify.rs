//! `oomc check --verify FILE…`: the running kernel's verifier looks at each policy; nothing is attached.

use std::path::{Path, PathBuf};

use oomc_runtime::{Error, Object, System, page, preflight};
use oomc_settings::Settings;
use serde_json::{Value, json};

use crate::cmd::load::explain_refusal;
use crate::cmd::view_of;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, read};
use crate::policy::{self, Unready};
use crate::report::Report;

pub(crate) fn run(report: &Report, files: &[PathBuf]) -> Outcome {
    let system = System::running();
    preflight::kernel(&system)?;
    let view = view_of(&system.paths.btf)?.with_page_size(page::size());
    let mut exit = Exit::Ok;
    let mut all: Vec<Value> = Vec::new();
    for path in files {
        let object = match object(report, path, &view)? {
            Ok(object) => object,
            Err(unready) => {
                exit = exit.max(unready.exit);
                all.push(json!({ "file": files::name(path), "diagnostics": unready.diagnostics }));
                continue;
            }
        };
        match oomc_runtime::verify(&system, &object) {
            Ok(program) => {
                report.line(format_args!(
                    "{}: {} instructions, {} after the verifier, which processed {}",
                    files::name(path),
                    program.insns,
                    program.xlated,
                    program.verified
                ));
                all.push(json!({
                    "file": files::name(path),
                    "instructions": program.insns,
                    "instructions_verified": program.xlated,
                    "instructions_processed": program.verified,
                }));
            }
            Err(Error::Verifier(refusal)) => {
                let (diagnostics, log) = explain_refusal(report, &object, &refusal);
                report.line(format_args!("{}: refused by the verifier", files::name(path)));
                all.push(
                    json!({ "file": files::name(path), "diagnostics": diagnostics, "verifier_log": log }),
                );
                exit = exit.max(Exit::Refused);
            }
            Err(error) => return Err(error.into()),
        }
    }
    report.result("check", exit, json!({ "verified": all }));
    Ok(exit)
}

/// The object of a file, which may be a policy; otherwise what is wrong with the policy.
fn object(
    report: &Report,
    path: &Path,
    view: &oomc_compiler::KernelView,
) -> Result<Result<Object, Unready>, Failure> {
    let mut bytes = read(path)?;
    if !Object::looks_like(&bytes) {
        match policy::compile(report, path, &bytes, view, &Settings::default()) {
            Ok(ready) => bytes = ready.object,
            Err(unready) => return Ok(Err(unready)),
        }
    }
    let object = Object::parse(&bytes);
    object.map(Ok).map_err(|error| Failure::refused(format!("{}: {error}", files::name(path))))
}
