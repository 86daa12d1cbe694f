//! Plays a run case on a model: what a script does in the machine happens in the simulator, and the oracle is asked
//! before each decision, too.
//!
//! Takes a case, gives what its policies have decided, in the form in which the machine tells it. What a model cannot
//! show (logs, pins, other loaders, swap, kernels that lack something) leaves its case to the machine. Knows nothing of
//! the machine's own account; [`compare`] holds the two side by side.

#![expect(clippy::indexing_slicing, reason = "an index of another machine is a mistake of the test")]

pub mod more;

mod machine_setup;

pub mod compare;

pub mod room;

pub mod snapshot_check;

use oomc_sim::Kernel;
use oomc_sim::machine::{CgroupIndex, Machine};
use oomc_vm::report::Decision;
use oomc_vm::script::{self, Case};

use crate::agree::Both;
use crate::{files, read, root};
use machine_setup::MachineSetup;
use more::More;

/// What happened in a case.
#[derive(Debug, Default)]
pub struct Played {
    /// What its policies have decided: each policy's decisions in their order.
    pub decisions: Vec<Decision>,
    /// The policies that have decided something.
    pub policies: Vec<Both>,
    /// What there was before the first policy was loaded.
    pub before: Option<Before>,
    /// How often a policy was asked; equal decisions in a row are one in `decisions`.
    pub asked: usize,
}

/// A machine, and what stands on its cgroups' directories.
#[derive(Debug)]
pub struct Before {
    /// The machine.
    pub machine: Machine,
    /// Who owns each directory.
    pub owners: Vec<u32>,
    /// Extended attributes: of which cgroup, name and value.
    pub attributes: Vec<(CgroupIndex, String, String)>,
}

/// Why a case was not played, or what is wrong with it.
#[derive(Debug)]
pub enum End {
    /// A model cannot show this.
    Unplayable(String),
    /// It goes on otherwise than the script expects, or the oracle decides otherwise.
    Wrong(String),
}

fn unplayable<T>(what: impl Into<String>) -> Result<T, End> {
    Err(End::Unplayable(what.into()))
}

fn wrong<T>(what: impl Into<String>) -> Result<T, End> {
    Err(End::Wrong(what.into()))
}

/// The cases that run in the machine with the hook.
///
/// # Panics
/// If one of them cannot be read.
#[must_use]
pub fn cases() -> Vec<Case> {
    cases_of("run")
}

/// The cases of this folder of `tests/cases`.
///
/// # Panics
/// If one of them cannot be read.
#[must_use]
pub fn cases_of(folder: &str) -> Vec<Case> {
    let paths = files(&root().join("tests/cases").join(folder)).into_iter();
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "oom"));
    paths
        .map(|path| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            script::parse(&name, &read(&path)).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect()
}

/// Plays a case to its end.
///
/// # Errors
/// If it cannot be played, or goes on otherwise than it says.
pub fn replay(kernel: &Kernel, case: &Case) -> Result<Played, End> {
    replay_with(kernel, case, None)
}

/// Plays a case to its end, with a few pages more for some.
///
/// # Errors
/// If it cannot be played, or goes on otherwise than it says.
pub fn replay_with(kernel: &Kernel, case: &Case, more: Option<More>) -> Result<Played, End> {
    let mut setup = MachineSetup::new(kernel, more);
    for step in &case.steps {
        let told = |end| match end {
            End::Wrong(what) => End::Wrong(format!("{}:{}: {}: {what}", case.name, step.line, step.text)),
            unplayable => unplayable,
        };
        setup.step(case, &step.action).map_err(told)?;
    }
    let played = setup.end();
    // Without a decision there is nothing to compare.
    if played.asked == 0 { unplayable("no policy is asked") } else { Ok(played) }
}
