//! A policy that is ready to be simulated, with its tests.
//!
//! Takes a checked policy and its object. The traced build is made of the same [`Checked`], when it is asked for.

use oomc_abi::scenario::Test;
use oomc_compiler::trace::Point;
use oomc_compiler::{Checked, KernelView, Source};
use oomc_object::Object;
use oomc_sim::machine::Machine;
use oomc_sim::{Kernel, Policy};

use crate::{Error, unknown};

/// A policy and its tests.
#[derive(Debug)]
pub struct Suite<'k> {
    checked: Checked<'k>,
    /// Ready to run.
    pub policy: Policy,
    /// Its own tests, then those of the file beside it.
    pub tests: Vec<TestOf>,
}

/// A test and where it stands.
#[derive(Debug)]
pub struct TestOf {
    /// Its file.
    pub file: String,
    /// What it says.
    pub test: Test,
}

/// A traced build that is ready to run.
#[derive(Debug)]
pub struct Traced {
    /// With marks in it.
    pub policy: Policy,
    /// What the marks count through.
    pub points: Vec<Point>,
}

/// A model of the kernel that is compiled for.
///
/// # Errors
/// [`Error::Kernel`].
pub fn kernel(view: &KernelView) -> Result<Kernel, Error> {
    Kernel::new(view.clone()).map_err(|lacking| Error::Kernel(lacking.to_string()))
}

impl<'k> Suite<'k> {
    /// Fits the object of a policy to the model of the kernel that the policy was checked for.
    ///
    /// # Errors
    /// [`Error::Object`].
    pub fn new(checked: Checked<'k>, object: &[u8], kernel: &Kernel) -> Result<Self, Error> {
        let policy = fit(&checked.source().name, object, kernel)?;
        let (own, beside) = checked.tests();
        let name = checked.source().name.as_str();
        let beside_name = checked.beside().map_or(name, |beside| &beside.source.name);
        let of = |file: &str, test: &Test| TestOf { file: file.to_owned(), test: test.clone() };
        let tests = own.iter().map(|test| of(name, test));
        let tests = tests.chain(beside.iter().map(|test| of(beside_name, test))).collect();
        Ok(Self { checked, policy, tests })
    }

    /// The policy's text.
    #[must_use]
    pub fn source(&self) -> &Source {
        self.checked.source()
    }

    /// What it means; none if it has an error.
    #[must_use]
    pub fn meaning(&self) -> Option<&oomc_compiler::hir::Policy> {
        self.checked.policy()
    }

    /// What of all that decisions have read nobody knows, each once, in words.
    #[must_use]
    pub(crate) fn unknown(&self, machine: &Machine, read: &[unknown::Place]) -> Vec<String> {
        let meaning = self.meaning();
        meaning.map_or_else(Vec::new, |policy| unknown::in_words(policy, self.checked.view(), machine, read))
    }

    /// The same policy with marks in it.
    ///
    /// # Errors
    /// [`Error::NoTrace`], [`Error::Object`].
    pub fn trace(&self, kernel: &Kernel) -> Result<Traced, Error> {
        let name = &self.source().name;
        let traced = self.checked.trace();
        let Some(object) = traced.object else { return Err(Error::NoTrace { policy: name.clone() }) };
        let policy = fit(name, &object, kernel)?.with_asked_of(&self.policy);
        Ok(Traced { policy, points: traced.points })
    }
}

/// Fits an object to the model.
fn fit(name: &str, object: &[u8], kernel: &Kernel) -> Result<Policy, Error> {
    let unfit = |why: String| Error::Object { policy: name.to_owned(), why };
    let object = Object::parse(object).map_err(|error| unfit(error.to_string()))?;
    Policy::new(kernel, &object).map_err(|error| unfit(error.to_string()))
}
