//! What a model of a kernel function may see and do.
//!
//! Each row of [`crate::kfuncs`] and [`crate::helpers`] says in a line what its function does to a [`World`]; whoever
//! executes a program without a kernel implements the trait, and calls the row. The rules that the row's flags
//! express (references, RCU sections, sleeping, null) and the prototype's types are the executor's to keep: a model does
//! not repeat them.

use core::fmt;

/// What no kernel would let happen: the verifier refuses it, or the machine would crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(pub String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Fault {}

/// R0 after a call.
pub type Answer = Result<u64, Fault>;

/// R1–R5.
pub type Args = [u64; 5];

/// What a function does.
pub type Model = fn(&mut dyn World, Args) -> Answer;

/// What an iterator goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// Cgroups from a css on; the order is an enumerator of `bpf_cgroup_iter_order`.
    Cgroups {
        /// Address of the css.
        start: u64,
        /// The enumerator.
        order: u64,
    },
    /// Tasks of one cgroup.
    TasksOf {
        /// Address of the css.
        css: u64,
        /// [`crate::consts::CSS_TASK_ITER_PROCS`], or 0.
        flags: u64,
    },
    /// All processes of the machine, or all threads.
    Tasks {
        /// 0: processes, 1: threads (`kernel/bpf/task_iter.c`, 6.12).
        flags: u64,
    },
    /// Numbers.
    Numbers {
        /// The first one.
        from: i32,
        /// The first one that is not visited.
        to: i32,
    },
}

/// What is counted for a cgroup and everything below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// An index of `node_stat_item` or `memcg_stat_item`.
    PageState,
    /// An index of `vm_event_item`.
    VmEvent,
    /// An index of `memcg_memory_event`.
    MemoryEvent,
}

/// A machine as a program sees it: objects by their addresses.
pub trait World {
    /// Enters or leaves an RCU section.
    ///
    /// # Errors
    /// If one is inside another, or none is left.
    fn section(&mut self, inside: bool) -> Answer;

    /// Starts an iterator that lies at an address of the stack. 0, or a negative errno.
    ///
    /// # Errors
    /// If one is there already.
    fn start(&mut self, iterator: u64, walk: Walk) -> Answer;

    /// The next element, or null.
    ///
    /// # Errors
    /// If there is no iterator.
    fn next(&mut self, iterator: u64) -> Answer;

    /// Ends an iterator.
    ///
    /// # Errors
    /// If there is none.
    fn end(&mut self, iterator: u64) -> Answer;

    /// The leader of the process with this id, or null.
    fn task_of_pid(&mut self, pid: i32) -> u64;

    /// The cgroup with this id, or null.
    fn cgroup_of_id(&mut self, id: u64) -> u64;

    /// An object, read as the type with this number in the kernel's BTF.
    ///
    /// # Errors
    /// If that is no structure.
    fn cast(&mut self, object: u64, ty: u64) -> Answer;

    /// The root's memcg.
    fn root(&mut self) -> u64;

    /// The memcg of the cgroup that a css belongs to, or null where the controller is switched off.
    ///
    /// # Errors
    /// If there is no css.
    fn memcg_of(&mut self, css: u64) -> Answer;

    /// A statistic; all ones if the kernel has no such counter.
    ///
    /// # Errors
    /// If there is no memcg.
    fn counted(&mut self, memcg: u64, what: Counted, index: u64) -> Answer;

    /// Brings the statistics of a subtree up to date.
    ///
    /// # Errors
    /// If there is no memcg.
    fn flush(&mut self, memcg: u64) -> Answer;

    /// Kills a process as the OOM killer does. 0, or a negative errno.
    ///
    /// # Errors
    /// If nobody is there, or the message is no constant text.
    fn kill(&mut self, task: u64, message: u64) -> Answer;

    /// Raises a limit, given in bytes. 0, or a negative errno.
    ///
    /// # Errors
    /// If there is no memcg.
    fn raise(&mut self, memcg: u64, bytes: u64) -> Answer;

    /// Nanoseconds of the boot clock.
    fn now(&mut self) -> u64;

    /// Process and thread id of whoever asked for memory.
    fn current(&mut self) -> (u32, u32);

    /// Its command name, without a NUL.
    fn current_comm(&mut self) -> String;

    /// Copies kernel memory; whether it is readable as a whole.
    fn peek(&mut self, address: u64, bytes: &mut [u8]) -> bool;

    /// Reads the program's own memory.
    ///
    /// # Errors
    /// If the address is not the program's to read.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), Fault>;

    /// Writes the program's own memory.
    ///
    /// # Errors
    /// If the address is not the program's to write.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Fault>;

    /// The address of a map's value under the key at an address, or null.
    ///
    /// # Errors
    /// If there is no such map.
    fn lookup(&mut self, map: u64, key: u64) -> Answer;

    /// Puts a value into a map. 0, or a negative errno.
    ///
    /// # Errors
    /// If there is no such map.
    fn update(&mut self, map: u64, key: u64, value: u64) -> Answer;

    /// Sends bytes through a ring buffer. 0, or a negative errno.
    ///
    /// # Errors
    /// If there is no such map.
    fn send(&mut self, map: u64, data: u64, size: u64) -> Answer;

    /// The address of a cgroup's own value, or null.
    ///
    /// # Errors
    /// If there is no such map or cgroup, or if the value is made where the kernel might wait for memory.
    fn storage(&mut self, map: u64, cgroup: u64, create: bool) -> Answer;
}

/// `-EFAULT`.
const EFAULT: i64 = -14;

/// Copies kernel memory as `bpf_probe_read_kernel` does: on a fault the destination is zeroed.
pub(crate) fn probe_read(world: &mut dyn World, to: u64, size: u64, from: u64) -> Answer {
    let mut bytes = vec![0; size as usize];
    let readable = world.peek(from, &mut bytes);
    if !readable {
        bytes.fill(0);
    }
    world.write(to, &bytes)?;
    Ok(if readable { 0 } else { EFAULT as u64 })
}

/// Copies a text as `bpf_probe_read_kernel_str` does: always with a NUL at its end. Its length with the NUL.
pub(crate) fn probe_read_text(world: &mut dyn World, to: u64, size: u64, from: u64) -> Answer {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while bytes.len() + 1 < size as usize {
        if !world.peek(from.wrapping_add(bytes.len() as u64), &mut byte) {
            world.write(to, &vec![0; size as usize])?;
            return Ok(EFAULT as u64);
        }
        if byte == [0] {
            break;
        }
        bytes.extend(byte);
    }
    bytes.push(0);
    world.write(to, &bytes)?;
    Ok(bytes.len() as u64)
}

/// Compares two texts of at most `size` bytes as `bpf_strncmp` does.
pub(crate) fn compare_texts(world: &mut dyn World, a: u64, size: u64, b: u64) -> Answer {
    for at in 0..size {
        let (mut left, mut right) = ([0], [0]);
        world.read(a.wrapping_add(at), &mut left)?;
        world.read(b.wrapping_add(at), &mut right)?;
        if left != right {
            let order = i64::from(left[0]) - i64::from(right[0]);
            return Ok(order as u64);
        }
        if left == [0] {
            break;
        }
    }
    Ok(0)
}
