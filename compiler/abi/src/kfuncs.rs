//! THE table of kernel functions: one row per kfunc that the compiler may call.
//!
//! Checker, code generator, loader, simulator and book read the same row. `tests/abi.rs` compares each prototype
//! with each kernel BTF in the repository, so a row that lies fails there.

use core::fmt;

use crate::world::{Counted, Model, Walk};

/// What the verifier demands of a call, and what a call does to references.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The result is a counted reference that must be released.
    pub acquire: bool,
    /// Argument 0 is consumed.
    pub release: bool,
    /// The result may be null and must be tested.
    pub ret_null: bool,
    /// Refused inside an RCU section.
    pub sleepable: bool,
    /// Refused outside an RCU section.
    pub rcu: bool,
    /// Absent from some kernels that have the hook: an undefined weak symbol.
    pub optional: bool,
    /// Advances an open-coded iterator: where the verifier compares the states of a loop.
    pub next: bool,
}

/// How much of R0 is defined after the call. The rest must be masked before use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ret {
    /// Nothing.
    Void,
    /// Bits 0–7.
    Bool,
    /// Bits 0–31, signed.
    Int,
    /// All bits.
    Long,
    /// A pointer.
    Ptr,
}

/// A row: one kernel function.
#[derive(Debug)]
pub struct Kfunc {
    /// Symbol in the kernel's BTF.
    pub name: &'static str,
    /// C prototype, as in the kernel.
    pub c: &'static str,
    /// How many of R1–R5 it reads.
    pub args: u8,
    /// What is defined of its result.
    pub ret: Ret,
    /// Rules of the verifier.
    pub flags: Flags,
    /// The word of the language that needs it, if one does.
    pub surface: Option<&'static str>,
    /// What it does, for a reader of the book.
    pub doc: &'static str,
    /// Error values and their meaning.
    pub errors: &'static [(&'static str, &'static str)],
    /// Where it is defined, with the version.
    pub source: &'static str,
    /// What it does, to a machine that is no kernel.
    pub model: Model,
}

/// A row of [`KFUNCS`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KfuncId(u16);

impl KfuncId {
    /// The row.
    #[must_use]
    pub fn row(self) -> &'static Kfunc {
        #[expect(clippy::indexing_slicing, reason = "ids are made from the table's own positions")]
        &KFUNCS[usize::from(self.0)]
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KFUNCS.len()).map(|at| Self(at as u16))
    }

    /// The row with this symbol.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        KFUNCS.iter().position(|row| row.name == name).map(|at| Self(at as u16))
    }
}

impl fmt::Debug for KfuncId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

const NONE: Flags = Flags {
    acquire: false,
    release: false,
    ret_null: false,
    sleepable: false,
    rcu: false,
    optional: false,
    next: false,
};

macro_rules! kfuncs {
    ($( $(#[doc = $doc:literal])* $id:ident = $name:literal, $args:literal, $ret:ident, [$($flag:ident),*] {
        c: $c:literal, source: $source:literal, model: $model:expr $(, surface: $surface:literal)? $(, errors: [$($e:literal = $m:literal),*])? $(,)?
    } )*) => {
        /// All rows.
        pub static KFUNCS: &[Kfunc] = &[$(Kfunc {
            name: $name,
            c: $c,
            args: $args,
            ret: Ret::$ret,
            flags: Flags { $($flag: true,)* ..NONE },
            surface: [$(Some($surface),)? None][0],
            doc: concat!($($doc, "\n",)*),
            errors: &[$($(($e, $m)),*)?],
            source: $source,
            model: $model,
        }),*];
        kfuncs!(@ids 0; $($id)*);
    };
    (@ids $n:expr; $id:ident $($rest:ident)*) => {
        #[doc = concat!("Row `", stringify!($id), "`.")]
        pub const $id: KfuncId = KfuncId($n);
        kfuncs!(@ids $n + 1; $($rest)*);
    };
    (@ids $n:expr;) => {};
}

kfuncs! {
    /// Enters an RCU section. Nesting is refused on 6.12.
    RCU_READ_LOCK = "bpf_rcu_read_lock", 0, Void, [] {
        c: "void bpf_rcu_read_lock(void)", source: "kernel/bpf/helpers.c, 6.12",
        model: |w, _| w.section(true) }
    /// Leaves it; RCU pointers become untrusted.
    RCU_READ_UNLOCK = "bpf_rcu_read_unlock", 0, Void, [] {
        c: "void bpf_rcu_read_unlock(void)", source: "kernel/bpf/helpers.c, 6.12",
        model: |w, _| w.section(false) }
    /// Starts a walk over a cgroup hierarchy; `flags` is an enumerator of `bpf_cgroup_iter_order`.
    ITER_CSS_NEW = "bpf_iter_css_new", 3, Int, [rcu] {
        c: "int bpf_iter_css_new(struct bpf_iter_css *it, struct cgroup_subsys_state *start, unsigned int flags)",
        source: "kernel/bpf/cgroup_iter.c, 6.12",
        model: |w, [it, start, order, ..]| w.start(it, Walk::Cgroups { start, order }) }
    /// The next element, an RCU pointer, or null.
    ITER_CSS_NEXT = "bpf_iter_css_next", 1, Ptr, [ret_null, rcu, next] {
        c: "struct cgroup_subsys_state *bpf_iter_css_next(struct bpf_iter_css *it)",
        source: "kernel/bpf/cgroup_iter.c, 6.12",
        model: |w, [it, ..]| w.next(it) }
    /// Ends the walk; needed on every path.
    ITER_CSS_DESTROY = "bpf_iter_css_destroy", 1, Void, [] {
        c: "void bpf_iter_css_destroy(struct bpf_iter_css *it)", source: "kernel/bpf/cgroup_iter.c, 6.12",
        model: |w, [it, ..]| w.end(it) }
    /// Starts a walk over the tasks of one cgroup. Allocates: the result must be tested, or a failure
    /// looks like an empty cgroup.
    ITER_CSS_TASK_NEW = "bpf_iter_css_task_new", 3, Int, [] {
        c: "int bpf_iter_css_task_new(struct bpf_iter_css_task *it, struct cgroup_subsys_state *css, unsigned int flags)",
        source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, css, flags, ..]| w.start(it, Walk::TasksOf { css, flags }), errors: ["ENOMEM" = "the walk could not start"] }
    /// The next task, a trusted pointer, or null.
    ITER_CSS_TASK_NEXT = "bpf_iter_css_task_next", 1, Ptr, [ret_null, next] {
        c: "struct task_struct *bpf_iter_css_task_next(struct bpf_iter_css_task *it)",
        source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, ..]| w.next(it) }
    /// Ends the walk; needed on every path.
    ITER_CSS_TASK_DESTROY = "bpf_iter_css_task_destroy", 1, Void, [] {
        c: "void bpf_iter_css_task_destroy(struct bpf_iter_css_task *it)", source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, ..]| w.end(it) }
    /// Starts a walk over all processes, or all threads, of the machine.
    ITER_TASK_NEW = "bpf_iter_task_new", 3, Int, [rcu] {
        c: "int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task__nullable, unsigned int flags)",
        source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, _, flags, ..]| w.start(it, Walk::Tasks { flags }) }
    /// The next task, or null.
    ITER_TASK_NEXT = "bpf_iter_task_next", 1, Ptr, [ret_null, rcu, next] {
        c: "struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it)", source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, ..]| w.next(it) }
    /// Ends the walk; needed on every path.
    ITER_TASK_DESTROY = "bpf_iter_task_destroy", 1, Void, [] {
        c: "void bpf_iter_task_destroy(struct bpf_iter_task *it)", source: "kernel/bpf/task_iter.c, 6.12",
        model: |w, [it, ..]| w.end(it) }
    /// Starts counting from `start` up to, not including, `end`.
    ITER_NUM_NEW = "bpf_iter_num_new", 3, Int, [] {
        c: "int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end)", source: "kernel/bpf/bpf_iter.c, 6.12",
        model: |w, [it, from, to, ..]| w.start(it, Walk::Numbers { from: from as i32, to: to as i32 }) }
    /// A pointer to the next number, or null.
    ITER_NUM_NEXT = "bpf_iter_num_next", 1, Ptr, [ret_null, next] {
        c: "int *bpf_iter_num_next(struct bpf_iter_num *it)", source: "kernel/bpf/bpf_iter.c, 6.12",
        model: |w, [it, ..]| w.next(it) }
    /// Ends the count; needed on every path.
    ITER_NUM_DESTROY = "bpf_iter_num_destroy", 1, Void, [] {
        c: "void bpf_iter_num_destroy(struct bpf_iter_num *it)", source: "kernel/bpf/bpf_iter.c, 6.12",
        model: |w, [it, ..]| w.end(it) }
    /// Takes a reference on a task.
    TASK_ACQUIRE = "bpf_task_acquire", 1, Ptr, [acquire, ret_null] {
        c: "struct task_struct *bpf_task_acquire(struct task_struct *p)", source: "kernel/bpf/helpers.c, 6.12",
        model: |_, [task, ..]| Ok(task) }
    /// Gives it back.
    TASK_RELEASE = "bpf_task_release", 1, Void, [release] {
        c: "void bpf_task_release(struct task_struct *p)", source: "kernel/bpf/helpers.c, 6.12",
        model: |_, _| Ok(0) }
    /// The process with this number in the first namespace, referenced, or null when it is gone.
    TASK_FROM_PID = "bpf_task_from_pid", 1, Ptr, [acquire, ret_null] {
        c: "struct task_struct *bpf_task_from_pid(s32 pid)", source: "kernel/bpf/helpers.c, 6.12",
        model: |w, [pid, ..]| Ok(w.task_of_pid(pid as i32)) }
    /// The cgroup with this id, referenced, or null when it is gone.
    CGROUP_FROM_ID = "bpf_cgroup_from_id", 1, Ptr, [acquire, ret_null] {
        c: "struct cgroup *bpf_cgroup_from_id(u64 cgid)", source: "kernel/bpf/helpers.c, 6.12",
        model: |w, [id, ..]| Ok(w.cgroup_of_id(id)) }
    /// Gives it back.
    CGROUP_RELEASE = "bpf_cgroup_release", 1, Void, [release] {
        c: "void bpf_cgroup_release(struct cgroup *cgrp)", source: "kernel/bpf/helpers.c, 6.12",
        model: |_, _| Ok(0) }
    /// Reads an object as a type named by its BTF id; no reference is taken.
    RDONLY_CAST = "bpf_rdonly_cast", 2, Ptr, [] {
        c: "void *bpf_rdonly_cast(const void *obj__ign, u32 btf_id__k)", source: "kernel/bpf/helpers.c, 6.12",
        model: |w, [object, ty, ..]| w.cast(object, ty) }
    /// The root memcg, referenced.
    GET_ROOT_MEM_CGROUP = "bpf_get_root_mem_cgroup", 0, Ptr, [acquire, ret_null] {
        c: "struct mem_cgroup *bpf_get_root_mem_cgroup(void)", source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, _| Ok(w.root()) }
    /// The memcg of a css of any controller, referenced, or null.
    GET_MEM_CGROUP = "bpf_get_mem_cgroup", 1, Ptr, [acquire, ret_null] {
        c: "struct mem_cgroup *bpf_get_mem_cgroup(struct cgroup_subsys_state *css)", source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, [css, ..]| w.memcg_of(css) }
    /// Gives it back.
    PUT_MEM_CGROUP = "bpf_put_mem_cgroup", 1, Void, [release] {
        c: "void bpf_put_mem_cgroup(struct mem_cgroup *memcg)", source: "mm/bpf_memcontrol.c, 7.0",
        model: |_, _| Ok(0) }
    /// A counter of memory.stat, hierarchical; bytes for amounts. All ones: there is no such counter.
    MEM_CGROUP_PAGE_STATE = "bpf_mem_cgroup_page_state", 2, Long, [] {
        c: "unsigned long bpf_mem_cgroup_page_state(struct mem_cgroup *memcg, int idx)",
        source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, [memcg, index, ..]| w.counted(memcg, Counted::PageState, index) }
    /// A counter of events in a cgroup and below, such as page faults. All ones: there is no such counter.
    MEM_CGROUP_VM_EVENTS = "bpf_mem_cgroup_vm_events", 2, Long, [] {
        c: "unsigned long bpf_mem_cgroup_vm_events(struct mem_cgroup *memcg, enum vm_event_item event)",
        source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, [memcg, index, ..]| w.counted(memcg, Counted::VmEvent, index) }
    /// A counter of memory.events, everything below included. All ones: there is no such counter.
    MEM_CGROUP_MEMORY_EVENTS = "bpf_mem_cgroup_memory_events", 2, Long, [] {
        c: "unsigned long bpf_mem_cgroup_memory_events(struct mem_cgroup *memcg, enum memcg_memory_event event)",
        source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, [memcg, index, ..]| w.counted(memcg, Counted::MemoryEvent, index) }
    /// Brings the statistics of a subtree up to date.
    MEM_CGROUP_FLUSH_STATS = "bpf_mem_cgroup_flush_stats", 1, Void, [sleepable] {
        c: "void bpf_mem_cgroup_flush_stats(struct mem_cgroup *memcg)", source: "mm/bpf_memcontrol.c, 7.0",
        model: |w, [memcg, ..]| w.flush(memcg) }
    /// Kills a process the way the kernel's OOM killer would: report, counters, reaper and
    /// `memory.oom.group` included. On a victim already in flight it only queues the reaper.
    OOM_KILL_PROCESS = "bpf_oom_kill_process", 3, Int, [sleepable] {
        c: "int bpf_oom_kill_process(struct oom_control *oc, struct task_struct *task, const char *message__str)",
        source: "mm/oom_kill.c, v3 of the series",
        model: |w, [_, task, message, ..]| w.kill(task, message), surface: "kill",
        errors: ["EPERM" = "init, a kernel thread, or oom_score_adj -1000",
                 "ESRCH" = "nothing to gain: no memory, or already reaped"] }
    /// Raises `memory.max` of the cgroup whose limit was hit. Never lowers; not bounded by the ancestors.
    MEM_CGROUP_RAISE_MAX = "bpf_mem_cgroup_raise_max", 3, Int, [sleepable, optional] {
        c: "int bpf_mem_cgroup_raise_max(struct oom_control *oc, struct mem_cgroup *memcg, unsigned long new_max_bytes)",
        source: "mm/oom_kill.c, kernel under test",
        model: |w, [_, memcg, bytes, ..]| w.raise(memcg, bytes), surface: "raise_limit",
        errors: ["EINVAL" = "not above the present limit", "EPERM" = "outside the scope of the OOM, or a system-wide OOM",
                 "EOPNOTSUPP" = "the root, or cgroup v1"] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_their_rows() {
        assert_eq!(RCU_READ_LOCK.row().name, "bpf_rcu_read_lock");
        assert_eq!(MEM_CGROUP_RAISE_MAX.row().name, "bpf_mem_cgroup_raise_max");
        assert_eq!(KfuncId::by_name("bpf_oom_kill_process"), Some(OOM_KILL_PROCESS));
    }
}
