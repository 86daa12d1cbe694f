//! Standing policies: what a folder of files says is to be attached on this machine.
//!
//! A file of [`file`] names a policy, a cgroup (a pattern, too), mode, params and labels. [`apply`] makes the machine so
//! and changes nothing that is so already. How a policy comes to a cgroup is
//! the business of its [`Hands`].

mod apply;
mod file;
mod hands;
mod pass;
mod trusted;

pub(crate) use apply::{Done, Outcome, apply, cgroups};
pub(crate) use file::{Standing, read_all};
pub(crate) use hands::{Hands, Hook, target};
pub(crate) use pass::pass;
pub(crate) use trusted::policy as trusted_policy;
