//! What the names in an expression stand for.

use oomc_compiler::hir::{Anchor, BinderId, Subject};

use crate::Oracle;
use crate::machine::{CgroupIndex, ProcessIndex};

/// What has fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Object {
    /// A process.
    Process(ProcessIndex),
    /// A cgroup.
    Cgroup(CgroupIndex),
    /// The OOM.
    Event,
}

/// A candidate, within those around it.
pub(crate) struct Scope<'a> {
    pub(crate) binder: BinderId,
    pub(crate) object: Object,
    pub(crate) outer: Option<&'a Scope<'a>>,
}

impl Oracle<'_> {
    /// What a subject is; none if it is a pick that chose nothing.
    pub(crate) fn object(&self, scope: Option<&Scope<'_>>, subject: Subject) -> Option<Object> {
        Some(match subject {
            Subject::Event => Object::Event,
            Subject::Anchor(Anchor::Cgroup) => Object::Cgroup(self.domain()),
            Subject::Anchor(Anchor::Attached) => Object::Cgroup(self.event.attached),
            Subject::Anchor(Anchor::Parent) => {
                let domain = self.domain();
                Object::Cgroup(self.machine.cgroup(domain).parent.unwrap_or(domain))
            }
            Subject::Pick(pick) => Object::Cgroup(self.picks.get(&pick).copied().flatten()?),
            Subject::Candidate(binder) => candidate(scope, binder)?,
            Subject::Parent(binder) => match candidate(scope, binder)? {
                Object::Process(process) => Object::Process(self.machine.parent(process)),
                Object::Cgroup(cgroup) => {
                    Object::Cgroup(self.machine.cgroup(cgroup).parent.unwrap_or(cgroup))
                }
                Object::Event => panic!("the event has no parent"),
            },
            Subject::Home(binder) => match candidate(scope, binder)? {
                Object::Process(process) => Object::Cgroup(self.machine.home(process)),
                other => panic!("{other:?} has no home"),
            },
        })
    }

    /// A subject that is a cgroup.
    pub(crate) fn cgroup_of(&self, scope: Option<&Scope<'_>>, subject: Subject) -> Option<CgroupIndex> {
        match self.object(scope, subject)? {
            Object::Cgroup(cgroup) => Some(cgroup),
            other => panic!("{other:?} is no cgroup"),
        }
    }
}

fn candidate(scope: Option<&Scope<'_>>, binder: BinderId) -> Option<Object> {
    let mut here = scope;
    while let Some(scope) = here {
        if scope.binder == binder {
            return Some(scope.object);
        }
        here = scope.outer;
    }
    None
}
