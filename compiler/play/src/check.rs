//! What is wrong with a policy, as `oomc check` says it.

use oomc_compiler::{Parsed, Source};
use serde_json::{Value, json};

use crate::desk::{Desk, NAME};

/// Diagnostics of a text.
pub(crate) fn check(desk: &Desk, policy: &str) -> Value {
    let source = Source::new(NAME, policy);
    let checked = Parsed::new(source.clone()).check(desk.kernel().view());
    let diagnostics = checked.compile().diagnostics;
    json!({ "diagnostics": desk.tell(&source, &diagnostics) })
}
