//! What is certainly not meant: a policy that compiles, and says something that nobody wants to say.
//!
//! Takes a checked policy without errors and its text, gives warnings. One lint per file; each is certain, or silent.
//! Knows nothing of how a policy is translated.

mod always;
mod comm_path;
mod duplicate;
mod errors;
mod independent;
mod look_alike;
mod never_counted;
mod path_shape;
mod range;
mod regex;
mod same;
mod walk;

use super::Policy;
use crate::diag::Sink;
use crate::source::Source;

/// Warns of what is certainly not meant.
pub fn check(policy: &Policy, source: &Source, sink: &mut Sink) {
    let lint = Lint { policy, source };
    let mut found = Sink::default();
    all(&lint, &mut found);
    // What stands in a definition is found wherever that is used.
    let mut seen = Vec::new();
    for one in found.into_diagnostics() {
        if !seen.contains(&(one.code, one.span())) {
            seen.push((one.code, one.span()));
            sink.push(one);
        }
    }
}

fn all(lint: &Lint<'_>, sink: &mut Sink) {
    for text in lint.patterns() {
        // One string, one warning: the likeliest mistake first.
        let found = path_shape::check(&text)
            .or_else(|| comm_path::check(&text))
            .or_else(|| regex::check(&text))
            .or_else(|| look_alike::check(&text));
        found.into_iter().for_each(|found| sink.push(found));
    }
    look_alike::names(lint, sink);
    always::check(lint, sink);
    duplicate::check(lint, sink);
    independent::check(lint, sink);
    never_counted::check(lint, sink);
    same::check(lint, sink);
}

/// What lints look at.
pub(super) struct Lint<'a> {
    policy: &'a Policy,
    source: &'a Source,
}
