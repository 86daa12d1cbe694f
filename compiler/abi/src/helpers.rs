//! The few numbered BPF helpers that the compiler emits (`include/uapi/linux/bpf.h`, 6.12).

use crate::world::{self, Model};

/// A helper: its number is ABI and never changes.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// Name in `include/uapi/linux/bpf.h`, with the prefix `bpf_`.
    pub name: &'static str,
    /// `imm` of the call instruction.
    pub id: i32,
    /// How many of R1–R5 it reads.
    pub args: u8,
    /// The result is a pointer, which may be null; else a number.
    pub pointer: bool,
    /// What it does, to a machine that is no kernel.
    pub model: Model,
}

impl PartialEq for Helper {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Helper {}

impl core::hash::Hash for Helper {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

const fn number(name: &'static str, id: i32, args: u8, model: Model) -> Helper {
    Helper { name, id, args, pointer: false, model }
}

const fn pointer(name: &'static str, id: i32, args: u8, model: Model) -> Helper {
    Helper { name, id, args, pointer: true, model }
}

/// `(map, key)`: the value, or null.
pub const MAP_LOOKUP_ELEM: Helper =
    pointer("bpf_map_lookup_elem", 1, 2, |w, [map, key, ..]| w.lookup(map, key));
/// `(map, key, value, flags)`: copies the value in.
pub const MAP_UPDATE_ELEM: Helper =
    number("bpf_map_update_elem", 2, 4, |w, [map, key, value, ..]| w.update(map, key, value));
/// Process id in the upper half, thread id in the lower half, of the present task.
pub const GET_CURRENT_PID_TGID: Helper = number("bpf_get_current_pid_tgid", 14, 0, |w, _| {
    let (process, thread) = w.current();
    Ok(u64::from(process) << 32 | u64::from(thread))
});
/// `(buffer, size)`: the command name of the present task.
pub const GET_CURRENT_COMM: Helper = number("bpf_get_current_comm", 16, 2, |w, [to, size, ..]| {
    let mut bytes = w.current_comm().into_bytes();
    bytes.resize(size as usize, 0);
    w.write(to, &bytes)?;
    Ok(0)
});
/// `(map, data, size, flags)`: copies a record into a ring buffer; negative when it is full.
pub const RINGBUF_OUTPUT: Helper =
    number("bpf_ringbuf_output", 130, 4, |w, [map, data, size, ..]| w.send(map, data, size));
/// `(map, cgroup, initial value, flags)`: the value of a cgroup, or null. The cgroup must be trusted. With
/// [`STORAGE_CREATE`] only inside an RCU section: outside of it a sleepable program may allocate with
/// GFP_KERNEL, and an allocation that runs out of memory waits for the `oom_lock` that the event holds.
pub const CGRP_STORAGE_GET: Helper =
    pointer("bpf_cgrp_storage_get", 210, 4, |w, [map, cgroup, _, flags, ..]| {
        w.storage(map, cgroup, flags as i32 & STORAGE_CREATE != 0)
    });
/// `BPF_LOCAL_STORAGE_GET_F_CREATE`.
pub const STORAGE_CREATE: i32 = 1;

/// Nanoseconds since boot, suspended time included.
pub const KTIME_GET_BOOT_NS: Helper = number("bpf_ktime_get_boot_ns", 125, 0, |w, _| Ok(w.now()));
/// `(dst, size, unsafe_ptr)`: copies kernel memory; on a fault the destination is zeroed.
pub const PROBE_READ_KERNEL: Helper =
    number("bpf_probe_read_kernel", 113, 3, |w, [to, size, from, ..]| world::probe_read(w, to, size, from));
/// `(dst, size, unsafe_ptr)`: copies a NUL-terminated kernel string; returns its length with the NUL.
pub const PROBE_READ_KERNEL_STR: Helper =
    number("bpf_probe_read_kernel_str", 115, 3, |w, [to, size, from, ..]| {
        world::probe_read_text(w, to, size, from)
    });
/// `(s1, s1_size, s2)`: compares like strncmp; `s2` lies in read-only map data.
pub const STRNCMP: Helper =
    number("bpf_strncmp", 182, 3, |w, [a, size, b, ..]| world::compare_texts(w, a, size, b));

/// All of them.
pub const ALL: &[Helper] = &[
    MAP_LOOKUP_ELEM,
    MAP_UPDATE_ELEM,
    GET_CURRENT_PID_TGID,
    GET_CURRENT_COMM,
    RINGBUF_OUTPUT,
    CGRP_STORAGE_GET,
    KTIME_GET_BOOT_NS,
    PROBE_READ_KERNEL,
    PROBE_READ_KERNEL_STR,
    STRNCMP,
];
