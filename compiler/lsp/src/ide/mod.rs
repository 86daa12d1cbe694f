//! What is to be said of a document: plain data in, plain data out.
//!
//! Knows texts, bytes and the compiler; nothing of the protocol.

pub(crate) mod diagnostics;
pub(crate) mod fixes;
pub(crate) mod format;
pub(crate) mod hover;
