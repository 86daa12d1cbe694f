//! Whether an event can come at all, and whether a kernel asks the policy then.
//!
//! A cgroup runs out of memory when its own `memory.max` is met; the kernel asks the policies from there up to the root.

use oomc_sim::machine::{CgroupIndex, Machine, ROOT};

/// Why no kernel asks a policy about this event, in a sentence; none if one does. `domain` is the cgroup that would run
/// out of memory; none: the machine.
#[must_use]
pub fn nobody_asks(machine: &Machine, attached: CgroupIndex, domain: Option<CgroupIndex>) -> Option<String> {
    let domain = domain?;
    if domain == ROOT || machine.cgroup(domain).max.is_some() {
        return None;
    }
    let path = machine.path(domain);
    let limited = machine.ancestors(domain).find(|at| *at != ROOT && machine.cgroup(*at).max.is_some());
    Some(match limited {
        None => format!(
            "this cannot happen now: no cgroup on the path of {path} has a memory.max, so only the machine runs out \
             of memory, and then only a policy on / is asked"
        ),
        Some(above) if machine.is_within(above, attached) => format!(
            "this cannot happen now: {path} has no memory.max, so it is {} that runs out of memory",
            machine.path(above)
        ),
        Some(above) => format!(
            "this cannot happen now: {path} has no memory.max, so it is {} that runs out of memory, and a policy on \
             {} is not asked then",
            machine.path(above),
            machine.path(attached)
        ),
    })
}
