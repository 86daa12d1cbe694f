//! Tests of a policy as plain data: what is given, what happens, what must come of it.
//!
//! One definition for whoever reads `test` blocks (the compiler) and whoever runs them (the simulator). Owns what a
//! test can say of an object: every field of the table that does not follow from others, labels, counters, and the
//! [`EXTRAS`] that no policy can read. Knows nothing of how a machine is made of it.

use crate::fields::{self, Measure, Owner};
use crate::request::Trigger;
use crate::watch;

/// A test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// Line of its file, from 1.
    pub line: u32,
    /// In order.
    pub steps: Vec<Step>,
}

/// A part of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Line of its file, from 1.
    pub line: u32,
    /// What it says.
    pub kind: StepKind,
}

/// What a part of a test says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// What an object is like, or from now on is like.
    Given(Given),
    /// A param has this value, in the unit of its type.
    Param(String, i64),
    /// Out of memory.
    Event {
        /// The cgroup whose limit was hit; none: the whole machine is short of memory.
        cgroup: Option<String>,
        /// What else is said of the event.
        properties: Vec<Property>,
    },
    /// Something that is watched was so for so long, and whoever watches looks once at the end of that time.
    Seen {
        /// What is seen.
        event: Seen,
        /// Of which cgroup; none: of the machine.
        cgroup: Option<String>,
        /// In nanoseconds; the time passes.
        lasting: i64,
        /// What else is said of the event.
        properties: Vec<Property>,
    },
    /// So many nanoseconds pass, and with them whoever was killed is gone.
    After(i64),
    /// What the policy must have done at the last event.
    Expect {
        /// As written, without `expect`.
        text: String,
        /// What.
        expected: Expected,
        /// By which rule.
        rule: Option<String>,
    },
}

/// What whoever watches sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An average of the pressure file; it is the cgroup's field from now on.
    Pressure {
        /// `full`, not `some`.
        full: bool,
        /// Over which time.
        average: watch::Average,
        /// Parts per million.
        value: i64,
    },
    /// So many nanoseconds of stall in so many: the kernel's triggers fire that are for less, or for as much, of that
    /// share of the time.
    Stall {
        /// `full`, not `some`.
        full: bool,
        /// Of stall.
        above: i64,
        /// In this time.
        per: i64,
    },
    /// The memory in use, as it is given.
    Usage,
    /// The swap in use, as it is given.
    Swap,
    /// It met its `memory.high` or `memory.max`.
    Limit,
}

impl Seen {
    /// Whether an event is one of this kind, and holds; `usage` and `swap` are each what is in use, and what a share is
    /// of.
    #[must_use]
    pub fn meets(self, event: watch::Event, usage: [i64; 2], swap: [i64; 2]) -> bool {
        match (self, event) {
            (
                Self::Pressure { full, average, value },
                watch::Event::Pressure { full: wanted, average: over, above },
            ) => full == wanted && average == over && value > above,
            (
                Self::Stall { full, above, per },
                watch::Event::Stall { full: wanted, above: least, per: window },
            ) => {
                full == wanted
                    && i128::from(above) * i128::from(window) >= i128::from(least) * i128::from(per)
            }
            (Self::Usage, watch::Event::Usage(amount)) => amount.is_below(usage[0], usage[1]),
            (Self::Swap, watch::Event::Swap(amount)) => amount.is_below(swap[0], swap[1]),
            (Self::Limit, watch::Event::Limit) => true,
            _ => false,
        }
    }

    /// What an engine says has woken it.
    #[must_use]
    pub fn trigger(self) -> Trigger {
        match self {
            Self::Pressure { .. } | Self::Stall { .. } => Trigger::Pressure,
            Self::Usage => Trigger::Usage,
            Self::Swap => Trigger::Swap,
            Self::Limit => Trigger::Limit,
        }
    }
}

/// An object and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Path of the cgroup, or of the one that the process is in.
    pub cgroup: String,
    /// Number of the process; none: the cgroup itself is meant.
    pub pid: Option<u32>,
    /// In the order of the text.
    pub properties: Vec<Property>,
}

/// Something that is said of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// What.
    pub name: Named,
    /// Its value.
    pub value: Value,
}

/// What a property is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A field of the language, or one of [`EXTRAS`].
    Field(String),
    /// A label of the policy.
    Label(String),
    /// A counter of the policy.
    Counter(String),
    /// A member of a kernel structure, by its C path from `task_struct` or `mem_cgroup`.
    Member(String),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// In the unit of its type: bytes, parts per million, nanoseconds, 1 for true.
    Number(i64),
    /// A string.
    Text(String),
}

/// What a policy must have done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nobody asked: no block of the policy was due.
    NotAsked,
    /// No process was killed.
    KillNobody,
    /// These processes and no others, in any order: `/job#100`.
    KillProcesses(Vec<String>),
    /// These cgroups, as a whole, and nobody else.
    KillCgroups(Vec<String>),
    /// The limit of the cgroup became so many bytes.
    RaiseLimit(String, i64),
    /// It wanted so many bytes reclaimed, and enough came back.
    Reclaim(i64),
    /// It wrote this note.
    Notify(String),
    /// It gave this reason for a kill.
    Reason(String),
    /// The best candidates of its last selection, the best first: all that the record tells.
    Candidates(Vec<String>),
    /// It expected so many bytes of its victims.
    Freed(i64),
    /// It waited for a victim that is on its way out.
    Wait,
    /// It did nothing, and left the event to the cgroup above or the kernel.
    Defer,
}

/// What can be said of an object besides its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extra {
    /// Whose.
    pub owner: Owner,
    /// Its name in a test.
    pub name: &'static str,
    /// Of its value.
    pub unit: Measure,
    /// What it means.
    pub doc: &'static str,
}

/// What a policy cannot read, and a test can say.
pub const EXTRAS: &[Extra] = &[
    Extra {
        owner: Owner::Cgroup,
        name: "attached",
        unit: Measure::Bool,
        doc: "The policy is attached to this cgroup. Without it: to the cgroup of the first event.",
    },
    Extra {
        owner: Owner::Cgroup,
        name: "no_memory_controller",
        unit: Measure::Bool,
        doc: "The memory controller is off: its processes count with the nearest cgroup above that has it.",
    },
    Extra {
        owner: Owner::Process,
        name: "kernel_thread",
        unit: Measure::Bool,
        doc: "A thread of the kernel: it has no memory of its own, and cannot be killed.",
    },
    Extra {
        owner: Owner::Process,
        name: "leader_gone",
        unit: Measure::Bool,
        doc: "Its main thread has exited and others have not: what lies in its memory is missing.",
    },
    Extra {
        owner: Owner::Process,
        name: "exited",
        unit: Measure::Bool,
        doc: "From now on there is no such process, and what it held is free.",
    },
    Extra {
        owner: Owner::Process,
        name: "shares_memory_with",
        unit: Measure::Text,
        doc: "The process whose memory it has, too: `\"/job#100\"`.",
    },
    Extra {
        owner: Owner::Process,
        name: "parent",
        unit: Measure::Text,
        doc: "The process whose child it is: `\"/job#100\"`. Without it: pid 1, which is called `init`.",
    },
    Extra {
        owner: Owner::Event,
        name: "trigger",
        unit: Measure::Text,
        doc: "The process that wanted memory: `\"/job#100\"`.",
    },
];

/// Fields that follow from others, each with what to give instead.
const FOLLOW: &[(Owner, &str, &str)] = &[
    (Owner::Process, "badness", "it follows from `rss`, `swap`, `pgtables` and `oom_score_adj`: give these"),
    (Owner::Process, "ppid", "it follows from `parent`, which names a process: give this"),
    (Owner::Process, "pid", "it stands behind the `#` of the process's name"),
    (Owner::Cgroup, "name", "it is the last part of the cgroup's path"),
    (Owner::Cgroup, "path", "it is what the cgroup is called by"),
    (Owner::Cgroup, "depth", "it follows from the cgroup's path"),
    (Owner::Cgroup, "is_leaf", "it follows from what is given below the cgroup"),
    (Owner::Cgroup, "nr_descendants", "it follows from what is given below the cgroup"),
    (Owner::Cgroup, "nr_processes", "it follows from the processes that are given"),
    (
        Owner::Cgroup,
        "unreclaimable",
        "it follows from `anon`, `shmem`, `kernel` and `slab_reclaimable`: give these",
    ),
    (Owner::Event, "scope", "it follows from `on oom in` or `on system oom`"),
];

/// What a test gives by the name of a process.
const NAMES_A_PROCESS: &[&str] = &["trigger", "shares_memory_with", "parent"];

/// Whether the value of a property is the name of a process.
#[must_use]
pub fn names_a_process(name: &str) -> bool {
    NAMES_A_PROCESS.contains(&name)
}

/// Why a field cannot be given; none if it can.
#[must_use]
pub fn follows(owner: Owner, name: &str) -> Option<&'static str> {
    FOLLOW.iter().find(|(of, field, _)| *of == owner && *field == name).map(|(.., why)| *why)
}

/// The unit of a field or an extra of this name.
#[must_use]
pub fn unit_of(owner: Owner, name: &str) -> Option<Measure> {
    let extra = EXTRAS.iter().find(|extra| extra.owner == owner && extra.name == name);
    extra.map(|extra| extra.unit).or_else(|| fields::find(owner, name).map(|field| field.row().unit))
}

/// Everything that can be said of an object, in the order of the tables.
pub fn names(owner: Owner) -> impl Iterator<Item = &'static str> {
    let rows = fields::all().map(fields::FieldId::row).filter(move |row| row.owner == owner);
    // What wanted memory has the name of a field that follows from the event.
    let is_extra = move |name: &str| EXTRAS.iter().any(|extra| extra.owner == owner && extra.name == name);
    let fields =
        rows.map(|row| row.name).filter(move |name| follows(owner, name).is_none() && !is_extra(name));
    fields.chain(EXTRAS.iter().filter(move |extra| extra.owner == owner).map(|extra| extra.name))
}

/// A process's name in a test.
#[must_use]
pub fn process_name(cgroup: &str, pid: i64) -> String {
    format!("{cgroup}#{pid}")
}

/// Splits the name of a cgroup or a process; none if it is neither.
#[must_use]
pub fn split(name: &str) -> Option<(&str, Option<u32>)> {
    let (cgroup, pid) = match name.split_once('#') {
        Some((cgroup, pid)) => (cgroup, Some(pid.parse().ok().filter(|pid| *pid > 0)?)),
        None => (name, None),
    };
    let rest = cgroup.strip_prefix('/')?;
    let part = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    (rest.is_empty() || rest.split('/').all(part)).then_some((cgroup, pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_a_field() {
        for (owner, name, _) in FOLLOW {
            assert!(fields::find(*owner, name).is_some(), "{name}");
        }
        for extra in EXTRAS {
            let is_field = fields::find(extra.owner, extra.name).is_some();
            assert_eq!(is_field, extra.name == "trigger", "{} is a field", extra.name);
        }
    }

    #[test]
    fn names_of_objects() {
        assert_eq!(split("/"), Some(("/", None)));
        assert_eq!(split("/#1"), Some(("/", Some(1))));
        assert_eq!(split("/a/b#100"), Some(("/a/b", Some(100))));
        for wrong in ["", "a", "a#1", "/a#", "/a#x", "/a#0", "/a#1#2", "//a", "/a/", "/a/../b", "/./a"] {
            assert_eq!(split(wrong), None, "{wrong}");
        }
    }
}
