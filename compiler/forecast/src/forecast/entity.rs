//! A process or a cgroup, as a forecast names it.

use oomc_sim::Object;
use oomc_sim::machine::{CgroupIndex, Machine, ProcessIndex, ROOT};
use serde::Serialize;

/// A process or a cgroup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Entity {
    /// Which of the two.
    pub kind: Kind,
    /// Process id, or inode number of the cgroup's directory.
    pub id: i64,
    /// Command name, or last component of the path.
    pub name: String,
    /// Path of the cgroup, or of the one that the process is in.
    pub cgroup: String,
}

/// Kinds of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A process.
    Process,
    /// A cgroup.
    Cgroup,
}

impl Entity {
    /// A process, by its place.
    #[must_use]
    pub fn process(machine: &Machine, at: ProcessIndex) -> Self {
        let one = machine.process(at);
        Self { kind: Kind::Process, id: one.pid, name: one.comm.clone(), cgroup: machine.path(one.cgroup) }
    }

    /// A cgroup, by its place.
    #[must_use]
    pub fn cgroup(machine: &Machine, at: CgroupIndex) -> Self {
        let one = machine.cgroup(at);
        let name = if at == ROOT { "/".to_owned() } else { one.name.clone() };
        Self { kind: Kind::Cgroup, id: one.id, name, cgroup: machine.path(at) }
    }

    /// Whom a mark is about.
    pub(crate) fn of(machine: &Machine, object: Object) -> Self {
        match object {
            Object::Process(at) => Self::process(machine, at),
            Object::Cgroup(at) => Self::cgroup(machine, at),
        }
    }

    /// Who, in a sentence.
    #[must_use]
    pub fn text(&self) -> String {
        match self.kind {
            Kind::Process => format!("{} ({}) in {}", self.name, self.id, self.cgroup),
            Kind::Cgroup => self.cgroup.clone(),
        }
    }
}
