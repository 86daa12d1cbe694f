//! Machines in files: what policies may read of cgroups and processes, at one moment.
//!
//! ```text
//! /sys/fs/cgroup, /proc ─ read ─► Snapshot ─ redact ─► Snapshot ─ serde ─► JSON
//!                                 JSON ─ parse: limits, places of mistakes ─► Snapshot ─ machine ─► oomc_sim::Machine
//! ```
//!
//! Owns the file's schema, how a live machine is read into it, and what is refused. Knows the model that machines
//! are made for; knows nothing of policies.

mod schema;

mod read;
mod redact;

mod bounded;
mod check;

mod machine;

#[cfg(test)]
mod tests;

pub use check::{Error, parse};
pub use read::{Progress, ReadError, Reading, Roots, has_memory_controller, page_size, read};
pub use schema::{Cgroup, Events, OLDEST, Pressure, Process, SCHEMA, Snapshot, Statistics, Windows};
