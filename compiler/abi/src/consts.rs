//! Constants of the kernel that its BTF does not carry, because they are macros.
//!
//! Each names the header it is taken from; the version is the one of the kernel under test, 6.12.

/// Bytes in a page where nobody says otherwise. BTF does not say; x86-64 knows no other.
pub const PAGE_SIZE: i64 = 4096;
/// Sizes that pages have: those of arm64 (`ARM64_4K_PAGES` and so on, arch/arm64/Kconfig, 6.12).
pub const PAGE_SIZES: [i64; 3] = [4096, 16_384, 65_536];
/// `oom_control.order` of an OOM that an administrator asked for by SysRq (`include/linux/oom.h`).
pub const ORDER_SYSRQ: i64 = -1;
/// `OOM_SCORE_ADJ_MIN` (`include/uapi/linux/oom.h`).
pub const OOM_SCORE_ADJ_MIN: i64 = -1000;
/// `MMF_OOM_SKIP` (`include/linux/sched/coredump.h`): bit number in `mm_struct.flags`.
pub const MMF_OOM_SKIP: i64 = 21;
/// `SIGNAL_GROUP_EXIT` (`include/linux/sched/signal.h`).
pub const SIGNAL_GROUP_EXIT: i64 = 0x4;
/// `PF_EXITING` (`include/linux/sched.h`).
pub const PF_EXITING: i64 = 0x4;
/// `PF_KTHREAD` (`include/linux/sched.h`).
pub const PF_KTHREAD: i64 = 0x0020_0000;
/// `CSS_TASK_ITER_PROCS` (`include/linux/cgroup.h`): leaders only.
pub const CSS_TASK_ITER_PROCS: i64 = 1;
/// `CSS_ONLINE` (`include/linux/cgroup-defs.h`). An enumerator of an anonymous enum: bit in `css.flags`.
pub const CSS_ONLINE: i64 = 1 << 1;
/// `BPF_F_CGROUP_FD` (v3 of the series): `link_create.target_fd` is a cgroup directory.
pub const BPF_F_CGROUP_FD: u32 = 1 << 7;
/// `BPF_OOM_NAME_MAX_LEN` (v3 of the series), the terminating NUL included.
pub const OOM_NAME_MAX: usize = 64;
/// `TASK_COMM_LEN` (`include/linux/sched.h`), the terminating NUL included.
pub const TASK_COMM_LEN: usize = 16;
/// `NAME_MAX`: the longest cgroup name.
pub const NAME_MAX: usize = 255;

/// Bytes of `struct upid`, a process's number in one PID namespace (include/linux/pid.h, 6.12): a number and a pointer.
pub const UPID_SIZE: u32 = 16;
