//! Passes: a plan to a plan that finds the same and asks less.
//!
//! None of them changes who is found, in which order, or what is recorded.

pub mod fuse;

pub mod order;

pub mod hoist;

pub mod share;

pub mod drop;

pub mod defer;

use super::Plan;
use crate::hir::Policy;

/// A pass.
#[derive(Clone, Copy)]
pub struct Pass {
    /// As in its file's name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// Does it.
    pub run: fn(&Policy, &mut Plan),
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = &[
    Pass { name: "fuse", description: "makes one walk of those over the same cgroups", run: fuse::run },
    Pass { name: "order", description: "asks first what is cheap, and compares before all", run: order::run },
    Pass {
        name: "hoist",
        description: "finds out once for a cgroup what its processes share",
        run: hoist::run,
    },
    Pass {
        name: "share",
        description: "asks the members of a cgroup all questions in one walk over them",
        run: share::run,
    },
    Pass { name: "drop", description: "leaves out what cannot decide anything", run: drop::run },
    Pass {
        name: "defer",
        description: "asks for a dear tie only of two that are equal in all before it",
        run: defer::run,
    },
];

/// Runs all passes.
pub fn run_all(policy: &Policy, plan: &mut Plan) {
    for pass in PASSES {
        (pass.run)(policy, plan);
    }
}
