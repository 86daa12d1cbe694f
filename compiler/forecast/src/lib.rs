//! What a policy would do: on a recorded machine, in its tests, and beside another policy.
//!
//! ```text
//! Checked ─ Suite::new ─► Suite ──────────┬─ test_run::run ─► Ran ─► Coverage
//! Snapshot ─ Inputs::new ─► Inputs ───────┼─ Trial::new ─► Trial ─ ask ─► Forecast ─► lines, or oomc-picture
//!                                         └─ compare ─► Difference
//! ```
//!
//! The policy's bytes decide, in the simulator. Knows the compiler, the simulator and snapshots; no terminal, no file
//! and no kernel: whoever calls it reads, prints and draws. Also here is how a decision is told ([`decision`]),
//! whether it was made in earnest or not.

pub mod error;

pub mod decision;

pub mod inputs;
pub mod suite;

pub mod asked;
pub mod event;
pub mod trial;
mod unknown;

pub mod forecast;
pub mod steps;

pub mod at_odds;

pub mod compare;

pub mod coverage;
pub mod test_run;

#[cfg(test)]
mod tests;

pub use at_odds::{AtOdds, at_odds};
pub use error::Error;
pub use forecast::Forecast;
pub use inputs::Inputs;
pub use suite::{Suite, Traced, kernel};
pub use trial::{Settings, Trial};
