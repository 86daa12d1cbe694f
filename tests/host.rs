//! Programs for kernels without the hook, loaded on the machine that runs the tests: a kernel more whose verifier sees them.
//!
//! Nothing is asked and nothing killed: a program is loaded and let go. Where this machine lets nobody load programs, or its kernel lacks what they need,
//! that is said and nothing is tested.

use std::time::Instant;

use oomc_abi::btf::Btf;
use oomc_compiler::{KernelView, Source, compile};
use oomc_object::Object;
use oomc_runtime::preflight::kernel_types;
use oomc_runtime::{Decider, Error, Settings, System};
use oomc_tests::relocated::relocated;
use oomc_tests::{generate, number};
use oomc_vm::dead;

/// Random policies; another number by `OOMC_RANDOM`, another seed by `OOMC_SEED`.
const COUNT: u64 = 100;

/// Instructions that the verifier may process for one policy.
const LIMIT: u64 = 50_000;

/// What became of a policy.
enum Loaded {
    Processed(u64),
    /// This kernel, or the policy, has no such program.
    Not(String),
}

/// Loads one.
fn load(name: &str, text: &str, view: &KernelView, btf: &Btf) -> Result<Loaded, String> {
    let Some(bytes) = compile(&Source::new(format!("{name}.oom"), text), view).object else {
        return Ok(Loaded::Not("it does not compile".to_owned()));
    };
    let object = Object::parse(&bytes).map_err(|error| format!("{name}: {error}"))?;
    let Some(asked) = object.asked() else {
        return Ok(Loaded::Not("the policy can be asked by the hook only".to_owned()));
    };
    let decider = match Decider::load(&System::running(), &object, &Settings::default()) {
        Ok(decider) => decider,
        Err(Error::Kernel(missing)) => {
            let what: Vec<&str> = missing.iter().map(|missing| missing.what.as_str()).collect();
            return Ok(Loaded::Not(what.join(", ")));
        }
        Err(error @ Error::Privilege(_)) => return Ok(Loaded::Not(error.to_string())),
        Err(error) => return Err(format!("{name}: {error:?}\n{text}")),
    };
    let program = decider.program();
    let (before, after) = (program.insns, program.xlated);
    // Tests of what the kernel has are branches on constants.
    let dead = relocated(&asked, btf).map_or(0, |code| dead::count(&code));
    if (after as usize) + dead < before as usize {
        return Err(format!(
            "{name}: of {before} instructions, {dead} of them dead, the verifier has left {after}\n{text}"
        ));
    }
    Ok(Loaded::Processed(u64::from(program.verified)))
}

/// Loads many; what went wrong, and how much the verifier processed.
fn load_all(what: &str, policies: impl Iterator<Item = (String, String)>) {
    let begun = Instant::now();
    let view = KernelView::embedded();
    let btf = match kernel_types(&System::running()) {
        Ok(btf) => btf,
        Err(error) => return eprintln!("{what} are not loaded on this machine: {error}"),
    };
    let (mut wrong, mut not, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for (name, text) in policies {
        match load(&name, &text, &view, &btf) {
            Ok(Loaded::Processed(processed)) => seen.push((processed, name)),
            Ok(Loaded::Not(why)) => not.push(format!("{name}: {why}")),
            Err(error) => wrong.push(error),
        }
    }
    seen.sort();
    let worst =
        seen.last().map_or_else(String::new, |(processed, name)| format!("; the worst, {name}, {processed}"));
    let mean = seen.iter().map(|(processed, _)| processed).sum::<u64>() / (seen.len() as u64).max(1);
    eprintln!(
        "{what} on this machine's kernel: {} are loaded and cost {mean} each{worst}; {} ms",
        seen.len(),
        begun.elapsed().as_millis()
    );
    if let Some(first) = not.first() {
        eprintln!("{} are not, such as {first}", not.len());
    }
    assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
    assert!(seen.last().is_none_or(|(processed, _)| *processed <= LIMIT));
}

#[test]
fn library_policies_are_loaded() {
    load_all(
        "policies of the library",
        oomc_stdlib::FILES.iter().map(|policy| (policy.name.to_owned(), policy.text.to_owned())),
    );
}

#[test]
fn random_policies_are_loaded() {
    let all = generate::policies(number("OOMC_SEED", 1), number("OOMC_RANDOM", COUNT) as usize);
    load_all("random policies", all.into_iter().enumerate().map(|(at, text)| (format!("r{at:03}"), text)));
}
