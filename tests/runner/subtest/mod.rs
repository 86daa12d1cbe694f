//! The tests that a case can ask for, one file each.
//!
//! A test takes a case and gives its output to be compared with the expectation, nothing if it has none,
//! or an error that says what is wrong.

use crate::case::Case;

/// One test.
pub(crate) struct Subtest {
    /// As written behind `#! test:`.
    pub(crate) name: &'static str,
    /// Runs it.
    pub(crate) run: fn(&Case) -> Result<Option<String>, String>,
}

/// All of them, in the order of translation.
const SUBTESTS: &[Subtest] = &[];

/// Runs the test of this name.
pub(crate) fn run(name: &str, case: &Case) -> Result<Option<String>, String> {
    let Some(subtest) = SUBTESTS.iter().find(|subtest| subtest.name == name) else {
        let names: Vec<&str> = SUBTESTS.iter().map(|subtest| subtest.name).collect();
        return Err(format!("no test has this name; one of {}", names.join(", ")));
    };
    (subtest.run)(case)
}
