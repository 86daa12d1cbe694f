//! OOM killers side by side: what is tried ([`plan`]), what is seen in the machine ([`report`]), and what that says of a
//! killer ([`verdict`]).
//!
//! Both sides read the same types: the program of this package, which drives the killers in the machine, and
//! `cargo xtask bench peers`, which boots it and makes the table. Knows no file and no process.

pub mod plan;

pub mod report;

pub mod verdict;
