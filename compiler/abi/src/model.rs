//! THE table of what a model of a machine fills in: structures, their members, and what each holds.
//!
//! Members are named here as generated code reads them; what a machine has for each, the simulator knows. A member
//! without a row can still be filled by its path, number by number ([`find`](crate::resolve::KernelView::member)
//! says where it lies); what nobody fills is 0.

use std::borrow::Cow;
use std::fmt;

use crate::amounts::Amount;
use crate::members;
use crate::resolve::KernelView;
use crate::target::Unit;

/// A structure that a model lays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// A thread.
    Task,
    /// What the threads of a process share.
    Signal,
    /// An address space.
    Mm,
    /// Who a process is.
    Cred,
    /// The numbers of a thread in the pid namespaces that it is in.
    Pid,
    /// The cgroups of a process.
    CssSet,
    /// A memory cgroup.
    Memcg,
    /// What was counted for a memory cgroup.
    Statistics,
    /// A cgroup.
    Cgroup,
    /// A directory of cgroupfs.
    Node,
    /// Pressure.
    Psi,
    /// The part of a cgroup for a controller without a model.
    Css,
    /// A controller without a model.
    Subsys,
    /// An OOM.
    Event,
    /// A link of a policy to a cgroup.
    Link,
}

impl Class {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Task,
        Self::Signal,
        Self::Mm,
        Self::Cred,
        Self::Pid,
        Self::CssSet,
        Self::Memcg,
        Self::Statistics,
        Self::Cgroup,
        Self::Node,
        Self::Psi,
        Self::Css,
        Self::Subsys,
        Self::Event,
        Self::Link,
    ];

    /// What belongs to one process each.
    pub const OF_A_PROCESS: &[Self] =
        &[Self::Task, Self::Signal, Self::Mm, Self::Cred, Self::Pid, Self::CssSet];

    /// What belongs to one cgroup each.
    pub const OF_A_CGROUP: &[Self] = &[Self::Memcg, Self::Statistics, Self::Cgroup, Self::Node, Self::Psi];

    /// The structure's tag.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Task => members::TASK,
            Self::Signal => "signal_struct",
            Self::Mm => members::MM,
            Self::Cred => "cred",
            Self::Pid => "pid",
            Self::CssSet => "css_set",
            Self::Memcg => members::MEMCG,
            Self::Statistics => members::STATISTICS_STATE.container,
            Self::Cgroup => members::CGROUP,
            Self::Node => "kernfs_node",
            Self::Psi => members::PSI,
            Self::Css => "cgroup_subsys_state",
            Self::Subsys => "cgroup_subsys",
            Self::Event => members::EVENT,
            Self::Link => members::LINK,
        }
    }
}

/// What a member holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the kernel's members")]
pub enum Holds {
    /// The address of another object that belongs to this one, or null.
    To(Class),
    /// The address of the one above of the same class, or null.
    Above,
    /// The address of the leader of the process whose child this one is.
    Parent,
    /// A counter of a cgroup and all below it.
    Counted(Amount, Unit),
    /// A bit for each controller that the children have.
    ControllersBelow,
    /// The address of a text.
    NameText,
    Pid,
    ThreadId,
    /// How many pid namespaces lie around the one that a thread is in.
    PidLevel,
    /// Its number in the pid namespace of this level, the machine's own being 0: none where it is not in so many.
    PidAt(usize),
    Comm,
    TaskFlags,
    Start,
    Adj,
    LiveThreads,
    Threads,
    SignalFlags,
    /// The address space of an OOM killer's victim.
    VictimMm,
    /// Null: what the model does not have.
    Nothing,
    /// A limit that nobody has set.
    NoLimit,
    FilePages,
    AnonPages,
    SwapEntries,
    ShmemPages,
    PgtableBytes,
    MmUsers,
    MmFlags,
    Uid,
    Serial,
    CssFlags,
    Usage,
    Max,
    High,
    Low,
    Min,
    SwapMax,
    SwapUsage,
    OomGroup,
    Level,
    Descendants,
    DyingDescendants,
    Id,
    /// Of a cgroup, where the set of its tasks hangs: in the list itself, if there is none.
    FirstSet,
    /// Of a set of cgroups, what comes behind it in the list of the cgroup: the list.
    EndOfSets,
    /// Of a set of cgroups, its first task that has exited and is still there: the list itself, if there is none.
    FirstDying,
    /// A running average of pressure: the state, then the window.
    Average(usize, usize),
    One,
    Order,
    TotalPages,
    GfpMask,
    Constraint,
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The structure.
    pub class: Class,
    /// Path inside of it, without a pointer. An index may be the name of a controller
    /// ([`members::MEMORY_CONTROLLER`]).
    pub path: &'static str,
    /// What is there.
    pub holds: Holds,
    /// A policy reads it only where its author names it, so that a small BTF may lack it; or a kernel has it in another way.
    pub raw: bool,
}

impl Slot {
    /// The path in a kernel, with the controller's number in place of its name; none if the kernel lacks it.
    #[must_use]
    pub fn path_in(&self, view: &KernelView) -> Option<Cow<'static, str>> {
        let controller = members::MEMORY_CONTROLLER;
        if !self.path.contains(controller.name) {
            return Some(Cow::Borrowed(self.path));
        }
        let number = view.enumerator(controller.enumeration, controller.name)?;
        Some(Cow::Owned(self.path.replace(controller.name, &number.to_string())))
    }
}

/// The numbers of a thread, one for each pid namespace that it is in: an array without a length at the end of `pid`
/// (`include/linux/pid.h`, 6.12).
#[derive(Clone, Copy, Debug)]
pub struct PidNumbers {
    /// The array in `pid`.
    pub path: &'static str,
    /// The tag of an element.
    pub element: &'static str,
    /// The number in an element.
    pub number: &'static str,
}

/// The row.
pub const PID_NUMBERS: PidNumbers = PidNumbers { path: "numbers", element: "upid", number: "nr" };

/// Most levels of pid namespaces, the machine's own included (`MAX_PID_NS_LEVEL`, `include/linux/pid_namespace.h`,
/// 6.12).
pub const PID_LEVELS: usize = 33;

/// Where one of these numbers lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PidNumber {
    /// Of which level.
    pub level: usize,
    /// From the start of `pid`.
    pub offset: u32,
    /// In bytes.
    pub size: u32,
}

impl PidNumbers {
    /// Where each lies in a kernel whose elements are so large; none if it lacks them, or some lie further away than
    /// BTF can say.
    #[must_use]
    pub fn rows(&self, view: &KernelView, element: u32) -> Vec<PidNumber> {
        let array = view.lookup(Class::Pid.tag(), self.path);
        let number = view.lookup(self.element, self.number);
        let (Ok(array), Ok(number)) = (array, number) else { return Vec::new() };
        let row = |(level, times): (usize, u32)| {
            let start = array.offset.checked_add(element.checked_mul(times)?)?;
            Some(PidNumber { level, offset: start.checked_add(number.offset)?, size: number.size })
        };
        let rows: Option<Vec<PidNumber>> = (0..PID_LEVELS).zip(0..).map(row).collect();
        rows.unwrap_or_default()
    }
}

const fn slot(class: Class, path: &'static str, holds: Holds) -> Slot {
    Slot { class, path, holds, raw: false }
}

const fn raw(class: Class, path: &'static str, holds: Holds) -> Slot {
    Slot { class, path, holds, raw: true }
}

/// All rows.
pub static SLOTS: &[Slot] = &[
    slot(Class::Task, "tgid", Holds::Pid),
    raw(Class::Task, "pid", Holds::ThreadId),
    slot(Class::Task, "comm", Holds::Comm),
    slot(Class::Task, "flags", Holds::TaskFlags),
    slot(Class::Task, "mm", Holds::To(Class::Mm)),
    slot(Class::Task, "signal", Holds::To(Class::Signal)),
    raw(Class::Task, "group_leader", Holds::To(Class::Task)),
    slot(Class::Task, "cgroups", Holds::To(Class::CssSet)),
    slot(Class::Task, "real_cred", Holds::To(Class::Cred)),
    raw(Class::Task, "cred", Holds::To(Class::Cred)),
    raw(Class::Task, "real_parent", Holds::Parent),
    raw(Class::Task, "parent", Holds::Parent),
    raw(Class::Task, "thread_pid", Holds::To(Class::Pid)),
    raw(Class::Pid, "level", Holds::PidLevel),
    slot(Class::Task, "start_boottime", Holds::Start),
    slot(Class::Signal, "oom_score_adj", Holds::Adj),
    slot(Class::Signal, "live.counter", Holds::LiveThreads),
    slot(Class::Signal, "nr_threads", Holds::Threads),
    slot(Class::Signal, "flags", Holds::SignalFlags),
    slot(Class::Signal, "oom_mm", Holds::VictimMm),
    slot(Class::Signal, "core_state", Holds::Nothing),
    raw(Class::Signal, "rlim[3].rlim_cur", Holds::NoLimit),
    slot(Class::Mm, "rss_stat[0].count", Holds::FilePages),
    slot(Class::Mm, "rss_stat[1].count", Holds::AnonPages),
    slot(Class::Mm, "rss_stat[2].count", Holds::SwapEntries),
    slot(Class::Mm, "rss_stat[3].count", Holds::ShmemPages),
    slot(Class::Mm, "pgtables_bytes.counter", Holds::PgtableBytes),
    slot(Class::Mm, "mm_users.counter", Holds::MmUsers),
    slot(Class::Mm, "flags", Holds::MmFlags),
    slot(Class::Cred, "uid.val", Holds::Uid),
    slot(Class::CssSet, "dfl_cgrp", Holds::To(Class::Cgroup)),
    slot(Class::CssSet, "e_cset_node[memory_cgrp_id].next", Holds::EndOfSets),
    slot(Class::CssSet, "dying_tasks.next", Holds::FirstDying),
    raw(Class::CssSet, "subsys[0]", Holds::To(Class::Css)),
    raw(Class::Css, "ss", Holds::To(Class::Subsys)),
    raw(Class::Subsys, "early_init", Holds::One),
    slot(Class::Memcg, "css.cgroup", Holds::To(Class::Cgroup)),
    slot(Class::Memcg, "css.parent", Holds::Above),
    slot(Class::Memcg, "css.serial_nr", Holds::Serial),
    slot(Class::Memcg, "css.flags", Holds::CssFlags),
    slot(Class::Memcg, "memory.usage.counter", Holds::Usage),
    slot(Class::Memcg, "memory.max", Holds::Max),
    slot(Class::Memcg, "memory.high", Holds::High),
    slot(Class::Memcg, "memory.low", Holds::Low),
    slot(Class::Memcg, "memory.min", Holds::Min),
    slot(Class::Memcg, "swap.max", Holds::SwapMax),
    slot(Class::Memcg, "swap.usage.counter", Holds::SwapUsage),
    slot(Class::Memcg, "oom_group", Holds::OomGroup),
    raw(Class::Memcg, "vmstats", Holds::To(Class::Statistics)),
    raw(Class::Cgroup, "subsys[memory_cgrp_id]", Holds::To(Class::Memcg)),
    raw(Class::Cgroup, "subtree_ss_mask", Holds::ControllersBelow),
    raw(Class::Cgroup, "self.cgroup", Holds::To(Class::Cgroup)),
    slot(Class::Cgroup, "kn", Holds::To(Class::Node)),
    slot(Class::Cgroup, "e_csets[memory_cgrp_id].next", Holds::FirstSet),
    slot(Class::Cgroup, "level", Holds::Level),
    slot(Class::Cgroup, "nr_descendants", Holds::Descendants),
    slot(Class::Cgroup, "nr_dying_descendants", Holds::DyingDescendants),
    slot(Class::Cgroup, "psi", Holds::To(Class::Psi)),
    slot(Class::Node, "id", Holds::Id),
    slot(Class::Node, "name", Holds::NameText),
    // One of them (`crate::shapes::NODE_PARENT`).
    raw(Class::Node, "parent", Holds::Above),
    raw(Class::Node, "__parent", Holds::Above),
    // States of `enum psi_states` (include/linux/psi_types.h, 6.12): memory some and memory full.
    slot(Class::Psi, "avg[6]", Holds::Average(0, 0)),
    slot(Class::Psi, "avg[7]", Holds::Average(0, 1)),
    slot(Class::Psi, "avg[8]", Holds::Average(0, 2)),
    slot(Class::Psi, "avg[9]", Holds::Average(1, 0)),
    slot(Class::Psi, "avg[10]", Holds::Average(1, 1)),
    slot(Class::Psi, "avg[11]", Holds::Average(1, 2)),
    slot(Class::Event, "memcg", Holds::To(Class::Memcg)),
    raw(Class::Event, "chosen", Holds::Nothing),
    slot(Class::Event, "order", Holds::Order),
    slot(Class::Event, "totalpages", Holds::TotalPages),
    slot(Class::Event, "gfp_mask", Holds::GfpMask),
    slot(Class::Event, "constraint", Holds::Constraint),
    slot(Class::Link, "cgroup", Holds::To(Class::Cgroup)),
];

/// Where a path leads in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The structure that it ends in.
    pub class: Class,
    /// The rest of the path, inside of that.
    pub inside: String,
    /// It belongs to the object that the path begins with, not to another of its kind.
    pub own: bool,
    /// The model says what is there. What is behind a pointer that is always null is known, too: nothing.
    pub filled: bool,
}

/// Why a path leads nowhere in the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stray {
    /// It goes through a pointer of which the model does not know where it leads.
    Unknown {
        /// The structure and the pointer in it.
        pointer: String,
    },
    /// It leads to another object of its kind.
    Another {
        /// The structure and the pointer in it.
        pointer: String,
        /// What is there.
        class: Class,
    },
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { pointer } => write!(f, "the model does not know where `{pointer}` leads"),
            Self::Another { pointer, class } => {
                write!(f, "`{pointer}` leads to another `{}`", class.tag())
            }
        }
    }
}

/// Follows a C path with its pointers, from an object of a class.
///
/// # Errors
/// [`Stray::Unknown`].
pub fn place(view: &KernelView, from: Class, path: &str) -> Result<Place, Stray> {
    let (mut class, mut own) = (from, true);
    // What a pointer points into may begin inside of a structure: a css is the first member of a memcg.
    let mut prefix = "";
    let mut parts = path.split("->").peekable();
    while let Some(part) = parts.next() {
        let inside = format!("{prefix}{part}");
        let at = |slot: &&Slot| slot.class == class && slot.path_in(view).is_some_and(|path| path == inside);
        let found = SLOTS.iter().find(at);
        if parts.peek().is_none() {
            let filled = found.is_some();
            return Ok(Place { class, inside, own, filled });
        }
        let stray = || Stray::Unknown { pointer: format!("{}.{inside}", class.tag()) };
        match found.map(|slot| slot.holds) {
            Some(Holds::To(to)) => (class, prefix) = (to, ""),
            Some(Holds::VictimMm) => (class, prefix) = (Class::Mm, ""),
            Some(Holds::Parent) => (class, prefix, own) = (Class::Task, "", false),
            Some(Holds::Above) if class == Class::Memcg => (prefix, own) = ("css.", false),
            Some(Holds::Above) => (prefix, own) = ("", false),
            Some(Holds::Nothing) => return Ok(Place { class, inside, own: false, filled: true }),
            _ => return Err(stray()),
        }
    }
    Err(Stray::Unknown { pointer: from.tag().to_owned() })
}

/// As [`place`], of what belongs to the object itself: who says something of one object says nothing of another.
///
/// # Errors
/// [`Stray`].
pub fn own_place(view: &KernelView, from: Class, path: &str) -> Result<Place, Stray> {
    let place = place(view, from, path)?;
    if place.own {
        return Ok(place);
    }
    let pointer = path.rsplit_once("->").map_or(path, |(before, _)| before);
    Err(Stray::Another {
        pointer: format!("{}.{}", from.tag(), pointer.replace("->", ".")),
        class: place.class,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_what_belongs_to_an_object_or_to_another() {
        let view = KernelView::embedded();
        let of = |class, path| place(&view, class, path).map(|at| (at.class, at.inside, at.own, at.filled));
        let found = |class, inside: &str, own, filled| Ok((class, inside.to_owned(), own, filled));
        let (task, memcg) = (Class::Task, Class::Memcg);
        assert_eq!(of(task, "comm"), found(task, "comm", true, true));
        assert_eq!(of(task, "group_leader->pid"), found(task, "pid", true, true));
        assert_eq!(of(task, "cred->euid.val"), found(Class::Cred, "euid.val", true, false));
        assert_eq!(of(task, "real_parent->real_parent->comm"), found(task, "comm", false, true));
        assert_eq!(of(task, "real_parent->cred->uid.val"), found(Class::Cred, "uid.val", false, true));
        assert_eq!(of(memcg, "css.parent->serial_nr"), found(memcg, "css.serial_nr", false, true));
        assert_eq!(of(memcg, "css.cgroup->kn->parent->id"), found(Class::Node, "id", false, true));
        assert!(matches!(of(task, "mm->owner->pid"), Err(Stray::Unknown { .. })));
        let another = own_place(&view, task, "real_parent->signal->oom_score_adj").expect_err("another");
        assert_eq!(another.to_string(), "`task_struct.real_parent.signal` leads to another `signal_struct`");
    }

    #[test]
    fn numbers_in_pid_namespaces_lie_behind_the_structure() {
        let rows = PID_NUMBERS.rows(&KernelView::embedded(), 16);
        assert_eq!(rows.len(), PID_LEVELS);
        let offsets: Vec<u32> = rows.iter().map(|row| row.offset).collect();
        assert!(
            offsets.iter().zip(offsets.iter().skip(1)).all(|(one, next)| next - one == 16),
            "{offsets:?}"
        );
        assert_eq!(PID_NUMBERS.rows(&KernelView::embedded(), u32::MAX), []);
    }
}
