//! The few instructions that a loader has to know, because it fills them in (`include/uapi/linux/bpf.h`, 6.12).

/// Opcode of a load of 64 bits, two slots long.
pub const LDDW: u8 = 0x18;
/// Opcode of a call.
pub const CALL: u8 = 0x85;

// What the source register of a load of 64 bits says of its value.

/// `BPF_PSEUDO_MAP_FD`: a map.
pub const PSEUDO_MAP_FD: u8 = 1;
/// `BPF_PSEUDO_MAP_VALUE`: an offset in a map's value.
pub const PSEUDO_MAP_VALUE: u8 = 2;
/// `BPF_PSEUDO_BTF_ID`: the address of something in the kernel's BTF.
pub const PSEUDO_BTF_ID: u8 = 3;

// What that of a call says of what is called.

/// `BPF_PSEUDO_CALL`: a function of the program, so many instructions further.
pub const PSEUDO_CALL: u8 = 1;
/// `BPF_PSEUDO_KFUNC_CALL`: a function of the kernel.
pub const PSEUDO_KFUNC_CALL: u8 = 2;
