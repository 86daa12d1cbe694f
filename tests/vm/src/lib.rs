//! The test machine: what a run case says ([`script`]), what a page shows ([`shown`]), the archive that the kernel starts from
//! ([`cpio`]), the machine itself ([`machine`]), what it reports ([`report`]) and one run of many
//! cases from sources to results ([`run`]). [`dead`] tells on both sides what a program cannot reach, and [`cost`] what it takes.
//!
//! Takes a kernel, static programs and cases; gives one report per case. The guest reads the
//! cases with the same parser, so host and guest cannot disagree about a step. Knows nothing of
//! the compiler: it starts the `oomc` program like a user would.

pub mod script;

pub mod shown;

pub mod report;

pub mod dead;

pub mod cpio;

pub mod machine;

pub mod run;

pub mod cost;
