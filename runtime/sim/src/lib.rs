//! Runs compiled policies on a model of a machine: the very bytes that the kernel runs.
//!
//! ```text
//! Object ─ Policy::new ─► Policy ─ Attached::new ─► Attached ─┐
//! types of a kernel ────► Kernel ────────────────┐            ├─ Simulation::ask ─────────► Run
//! Machine (plain data) ─ Simulation::new ─► Simulation ───────┘  Simulation::out_of_memory ► Outcome
//! ```
//!
//! A machine is laid out in memory as the kernel's types say ([`layout`]), the object is fitted to these types as
//! the loader does, and its instructions are interpreted ([`exec`]). What the kernel's functions do stands in the
//! rows of `oomc-abi`; the model behind them is [`world`], the kernel's own part of an OOM is [`act`]. Knows neither
//! the compiler nor a real kernel.

pub mod machine;

mod kernel;
mod memory;
mod tree;

mod layout;

mod maps;
mod program;

mod policy;

mod act;
mod world;

mod exec;

mod converse;
mod oom;

pub mod scenario;

#[cfg(test)]
mod tests;

pub use act::{Killer, dies_with};
pub use converse::Talk;
pub use exec::Refusal;
pub use kernel::{Kernel, Lacking};
pub use oom::{Asked, Outcome, Run, Simulation};
pub use policy::{Attached, Policy, Unfit};
pub use world::{Call, Mark, Object};
