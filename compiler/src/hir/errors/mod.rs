//! What the checks have to say to an author: one constructor for each mistake, a file for each part of the language.
//!
//! Knows nothing of how a mistake is found.

pub(super) mod action;
pub(super) mod declare;
pub(super) mod expr;
pub(super) mod kernel;
pub(super) mod scenario;
pub(super) mod select;
pub(super) mod watch;
