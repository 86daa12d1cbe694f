//! The language server of oomc: what `oomc check` says, while the policy is written, and answers to what its author
//! points at.
//!
//! Takes messages of the language server protocol and gives messages. Names and types are found out at once, after
//! every key; code is made behind them, on a thread of its own, and nothing waits for it. Owns the open documents; a
//! document's URI is only its name, whatever its scheme. Knows no files: what lies beside a policy, in the folders that
//! are open and on this machine is brought by whoever starts the server ([`Outside`]).
//!
//! ```text
//! bytes ─ frames ─► messages ─ main_loop ─► state, requests ─► analysis ─► ide ─► plain data ─ convert ─► messages
//!                                             │      ▲
//!                                             └─ background: code, tried: what it does
//! ```

mod frames;
mod main_loop;

mod requests;
mod state;

mod analysis;
mod background;
mod documents;
mod sent;
mod tried;

mod convert;
mod ide;
mod lines;

pub use main_loop::{End, run};
pub use state::{Files, Kernels, Outside, Policies};
pub use tried::Machines;
