//! Sizes that are too near to each other, told from the script alone: for cases that no model can play.
//!
//! Takes a case, gives those steps at which a cgroup runs into its limit while another process in it is as large as the
//! one that grows, up to what the machine may count otherwise. Knows nothing of the policy: whether such a decision
//! hangs on the sizes, a reader says.

use std::collections::BTreeMap;

use oomc_vm::script::{Action, Case, Expect, Memory, Part, State};

/// A process of the script.
struct Task {
    cgroup: String,
    bytes: u64,
}

/// What a script has made so far.
#[derive(Default)]
struct Made {
    limits: BTreeMap<String, u64>,
    tasks: BTreeMap<String, Task>,
}

/// Whether a cgroup is this one or lies below it.
fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || above == "/")
}

impl Made {
    /// The process grows; who in the cgroup that runs out has its size, but for `off` bytes.
    fn grow(&mut self, name: &str, by: u64, off: u64) -> Vec<String> {
        let Some(task) = self.tasks.get_mut(name) else { return Vec::new() };
        task.bytes += by;
        let (cgroup, wanted) = (task.cgroup.clone(), task.bytes);
        let others = |above: &str| {
            let inside =
                self.tasks.iter().filter(|(other, task)| *other != name && is_within(&task.cgroup, above));
            inside.map(|(other, task)| (other.clone(), task.bytes)).collect::<Vec<_>>()
        };
        let full =
            self.limits.iter().filter(|(above, _)| is_within(&cgroup, above)).find_map(|(above, limit)| {
                let others = others(above);
                let left = limit.saturating_sub(others.iter().map(|(_, bytes)| bytes).sum());
                (wanted > left).then_some((others, left))
            });
        let Some((others, left)) = full else { return Vec::new() };
        others.into_iter().filter(|(_, bytes)| bytes.abs_diff(left) <= off).map(|(other, _)| other).collect()
    }
}

/// The steps at which somebody is about as large as the process that grows: the line, and who.
#[must_use]
pub fn near(case: &Case, off: u64) -> Vec<(usize, Vec<String>)> {
    let (mut made, mut near) = (Made::default(), Vec::new());
    for step in &case.steps {
        match &step.action {
            Action::Cgroup { path, max: Some(max), .. } => {
                made.limits.insert(path.clone(), *max);
            }
            Action::Task { name, cgroup, parts } => {
                let bytes = parts.iter().map(|part| match part {
                    Part::Holds(Memory::Anon | Memory::File | Memory::Shmem, bytes) => *bytes,
                    _ => 0,
                });
                let task = Task { cgroup: cgroup.clone(), bytes: bytes.sum() };
                made.tasks.insert(name.clone(), task);
            }
            Action::Grow { task, size, .. } => {
                let who = made.grow(task, *size, off);
                if !who.is_empty() {
                    near.push((step.line, who));
                }
            }
            Action::Expect(Expect::Task { task, state: State::Killed | State::Ended | State::Exited(_) }) => {
                made.tasks.remove(task);
            }
            _ => {}
        }
    }
    near
}
