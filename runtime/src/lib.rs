//! Loads, attaches and inspects compiled policies.
//!
//! ```text
//! bytes ─ object ─► Object ─ preflight ─► Ready ─ sanitize, relocate ─► program and maps
//!                                                    │ struct_ops, pins
//!            status, unload ◄──── /sys/fs/bpf/oomc/<cgroup-id>/ ◄── link
//! ```
//!
//! The object file is the contract: this crate does not know the compiler, and a host that loads policies
//! does not need it. All system calls pass through [`sys`], the only unsafe file.

mod bpf;
pub mod cgroup;
pub mod config;
pub mod decide;
mod dirs;
pub mod doctor;
pub mod engine;
mod engine_pins;
pub mod error;
pub mod events;
pub mod foreign;
pub mod labels;
pub mod load;
pub mod outcome;
pub mod page;
mod pins;
pub mod preflight;
mod relocate;
pub mod replace;
mod sanitize;
pub mod show;
pub mod status;
pub mod stay;
mod struct_ops;
mod survey;
pub mod sys;
pub mod system;
mod unload;
mod unlocked;
pub mod verifier_log;
pub mod watch;

pub use cgroup::Target;
pub use config::{Assignment, Mode};
pub use decide::Decider;
pub use engine_pins::Shown;
pub use error::{Error, Kind, Result};
pub use load::{Loaded, Program, Settings, load, load_with, verify};
pub use oomc_object as object;
pub use oomc_object::Object;
pub use pins::Left;
pub use replace::{Replaced, RolledBack, replace, rollback};
pub use status::{AskedBy, Attached, Foreign, Gone, Status, status};
pub use struct_ops::{Led, Profile, lead};
pub use system::{Holder, Paths, System};
pub use unload::{Unloaded, tidy, tidy_but, unload};
pub use unlocked::{Unlocked, unlocked};
