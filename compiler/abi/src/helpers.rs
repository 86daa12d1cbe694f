//! The few numbered BPF helpers that the compiler emits (`include/uapi/linux/bpf.h`, 6.12).

/// A helper: its number is ABI and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Helper {
    /// Name in `include/uapi/linux/bpf.h`, with the prefix `bpf_`.
    pub name: &'static str,
    /// `imm` of the call instruction.
    pub id: i32,
    /// How many of R1–R5 it reads.
    pub args: u8,
}

/// Nanoseconds since boot, suspended time included.
pub const KTIME_GET_BOOT_NS: Helper = Helper { name: "bpf_ktime_get_boot_ns", id: 125, args: 0 };
/// `(dst, size, unsafe_ptr)`: copies kernel memory; on a fault the destination is zeroed.
pub const PROBE_READ_KERNEL: Helper = Helper { name: "bpf_probe_read_kernel", id: 113, args: 3 };
/// `(dst, size, unsafe_ptr)`: copies a NUL-terminated kernel string; returns its length with the NUL.
pub const PROBE_READ_KERNEL_STR: Helper = Helper { name: "bpf_probe_read_kernel_str", id: 115, args: 3 };
/// `(s1, s1_size, s2)`: compares like strncmp; `s2` lies in read-only map data.
pub const STRNCMP: Helper = Helper { name: "bpf_strncmp", id: 182, args: 3 };

/// All of them.
pub const ALL: &[Helper] = &[KTIME_GET_BOOT_NS, PROBE_READ_KERNEL, PROBE_READ_KERNEL_STR, STRNCMP];
