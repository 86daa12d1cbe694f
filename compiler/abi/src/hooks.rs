//! The struct_ops type that a policy implements.

/// A struct_ops type and its callback.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// The ops struct in the kernel's BTF.
    pub ops: &'static str,
    /// The member that holds the callback.
    pub callback: &'static str,
    /// The member that holds the policy's name.
    pub name_member: &'static str,
    /// C prototype of the callback. Arguments are matched by type, not by position: posted series differ.
    pub c: &'static str,
    /// The type of the context argument that carries the event.
    pub event: &'static str,
    /// The enumerator of `cgroup_bpf_attach_type` by which a kernel says that it attaches through the
    /// generic cgroup link, and that the second argument is the cgroup itself.
    pub generic_attach: &'static str,
}

/// `struct bpf_oom_ops`, `include/linux/bpf_oom.h`, v3 of the series.
/// A non-zero return value counts only if a kfunc set `oom_control.bpf_memory_freed`.
pub const OOM: Hook = Hook {
    ops: "bpf_oom_ops",
    callback: "handle_out_of_memory",
    name_member: "name",
    c: "int handle_out_of_memory(struct oom_control *oc, struct bpf_struct_ops_link *st_link)",
    event: "oom_control",
    generic_attach: "CGROUP_OOM_OPS",
};
