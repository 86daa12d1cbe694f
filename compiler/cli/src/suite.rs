//! A policy that is ready to be simulated, with its tests: from its file to what `oomc-sim` takes.
//!
//! Reads and compiles; prints diagnostics, and nothing else.

use std::path::{Path, PathBuf};

use oomc_abi::scenario::Test;
use oomc_compiler::diag::Diagnostic;
use oomc_compiler::{KernelView, Source};
use oomc_object::Object;
use oomc_sim::{Kernel, Policy};
use serde_json::Value;

use crate::cmd::{exit_of, source, tell};
use crate::exit::{Exit, Failure};
use crate::report::Report;

/// A policy and its tests.
pub(crate) struct Suite {
    /// The policy's text.
    pub(crate) source: Source,
    /// Ready to run.
    pub(crate) policy: Policy,
    /// Its own tests, then those of the file beside it.
    pub(crate) tests: Vec<TestOf>,
}

/// A test and where it stands.
pub(crate) struct TestOf {
    /// Its file.
    pub(crate) file: String,
    /// What it says.
    pub(crate) test: Test,
}

/// What is printed for programs when a policy is not ready.
pub(crate) struct Unready {
    /// What the policy's errors ask for.
    pub(crate) exit: Exit,
    /// Its diagnostics.
    pub(crate) diagnostics: Vec<Value>,
}

/// A model of the kernel that a command compiles for.
pub(crate) fn kernel(view: &KernelView) -> Result<Kernel, Failure> {
    Kernel::new(view.clone()).map_err(|lacking| Failure::new(Exit::Missing, lacking.to_string()))
}

/// The file of tests of a policy.
pub(crate) fn beside(policy: &Path) -> PathBuf {
    policy.with_extension("oomt")
}

/// Reads a policy and compiles it; with its tests if they are wanted.
///
/// Inside, why the policy is not ready: its errors are printed.
pub(crate) fn open(
    report: &Report,
    path: &Path,
    kernel: &Kernel,
    with_tests: bool,
) -> Result<Result<Suite, Unready>, Failure> {
    let unready = |source: &Source, diagnostics: &[Diagnostic], all: &mut Vec<Value>| {
        all.extend(tell(report, source, diagnostics));
        exit_of(diagnostics)
    };
    let mut all = Vec::new();
    let read = |path: &Path, all: &mut Vec<Value>| -> Result<Result<Source, Exit>, Failure> {
        Ok(match source(path)? {
            Ok(source) => Ok(source),
            Err((source, diagnostic)) => Err(unready(&source, &[diagnostic], all)),
        })
    };
    let source = match read(path, &mut all)? {
        Ok(source) => source,
        Err(exit) => return Ok(Err(Unready { exit, diagnostics: all })),
    };
    let beside = beside(path);
    let beside = match with_tests && beside.exists() {
        true => match read(&beside, &mut all)? {
            Ok(source) => Some(source),
            Err(exit) => return Ok(Err(Unready { exit, diagnostics: all })),
        },
        false => None,
    };
    let tests = oomc_compiler::tests(&source, beside.as_ref(), kernel.view());
    if let Some(beside) = &beside {
        let exit = unready(beside, &tests.more_diagnostics, &mut all);
        if exit != Exit::Ok {
            return Ok(Err(Unready { exit, diagnostics: all }));
        }
    }
    // The compiler says what the reader of the tests has said, and more.
    let compiled = oomc_compiler::compile(&source, kernel.view());
    let exit = unready(&source, &compiled.diagnostics, &mut all);
    let Some(object) = compiled.object else {
        return Ok(Err(Unready { exit, diagnostics: all }));
    };
    let policy = policy(&source.name, &object, kernel)?;
    let own = tests.own.into_iter().map(|test| TestOf { file: source.name.clone(), test });
    let more = tests.more.into_iter().map(|test| {
        let file = beside.as_ref().map_or_else(String::new, |beside| beside.name.clone());
        TestOf { file, test }
    });
    let tests = own.chain(more).collect();
    Ok(Ok(Suite { source, policy, tests }))
}

/// Fits an object to the model.
pub(crate) fn policy(name: &str, object: &[u8], kernel: &Kernel) -> Result<Policy, Failure> {
    let broken = |what: String| Failure::refused(format!("{name} cannot be simulated: {what}"));
    let object = Object::parse(object).map_err(|error| broken(error.to_string()))?;
    Policy::new(kernel, &object).map_err(|unfit| broken(unfit.to_string()))
}
