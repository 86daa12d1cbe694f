//! What is to be shown of a document: plain data in, plain data out, one feature a file.
//!
//! Each function takes what is known of a text ([`crate::analysis::Page`]) and gives ranges of bytes and words. Knows
//! nothing of the protocol, and waits for nothing.

pub(crate) mod nodes;
pub(crate) mod tokens;

pub(crate) mod names;
pub(crate) mod words;

pub(crate) mod actions;
pub(crate) mod completion;
pub(crate) mod fixes;
pub(crate) mod folding;
pub(crate) mod format;
pub(crate) mod hints;
pub(crate) mod hover;
pub(crate) mod rename;
pub(crate) mod scope;
pub(crate) mod selection;
pub(crate) mod semantic;
pub(crate) mod symbols;
