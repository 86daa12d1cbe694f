//! The language server of oomc: what `oomc check` says, while the policy is written.
//!
//! Takes messages of the language server protocol and gives messages; whole documents, positions in UTF-16.
//! Owns the open documents; a document's URI is only its name, whatever its scheme. Knows no files, but for the policy
//! that stands beside tests and is not open: whoever starts the server brings [`Files`].
//!
//! ```text
//! bytes ─ frames ─► messages ─ main_loop ─► state ─ ide ─► plain data ─ convert ─► messages ─ frames ─► bytes
//! ```

mod frames;
mod main_loop;

mod state;

mod convert;
mod ide;

pub use main_loop::{End, run};
pub use state::Files;
