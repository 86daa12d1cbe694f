//! From the checked policy to IR: a function that implements the kernel's callback, and for a large policy more
//! that it calls.
//!
//! Makes every kernel rule explicit: who holds a reference, where an RCU section begins and ends, which
//! walk is an open-coded iterator, what happens on each failure. Numbers that live across rounds of a loop
//! are in one global scratch value, because the verifier tracks registers and stack but not map values;
//! only referenced pointers are carried in registers. Knows the meaning of the language
//! and the kernel's rules; knows no registers, encodings or ELF.
//!
//! The function's frame:
//!
//! ```text
//! order == -1?  ── yes ─────────────────────────────► return 0      (SysRq never reaches the rules)
//! domain := reference on oc->memcg, or on the root
//! rule 1 ─ no progress ─► rule 2 ─ … ─► nothing: publish the record, put(domain), return 0
//!    └───── progress ──────────────────► progress: the same, return 1 (0 in audit mode)
//! ```
//!
//! Three layers, each in a folder, of which the upper one uses the lower:
//!
//! - `act`: rules, rankings, kills, what the record tells;
//! - `read`: what the language asks of the event, cgroups and processes;
//! - `emit`: instructions, cells, constants, walks.

mod act;
mod emit;
mod read;

pub use act::{CALLBACK, can_be_asked, lower, lower_asked, lower_traced};
