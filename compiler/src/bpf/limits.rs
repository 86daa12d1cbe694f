//! What the kernel bounds, and the errors for exceeding it or for asking the view what it does not know.

use core::fmt;

use crate::ir::opcodes::Effect;
use crate::ir::{Function, Inst, InstData};

/// `MAX_BPF_STACK` (`include/linux/filter.h`, 6.12): bytes of a call chain's frames.
pub const STACK: u32 = 512;
/// What the verifier rounds each frame of a chain up to (`round_up_stack_depth`, `kernel/bpf/verifier.c`, 6.12).
pub const FRAME_ALIGN: u32 = 16;
/// `BPF_COMPLEXITY_LIMIT_INSNS` (`include/linux/bpf_verifier.h`, 6.12): instructions of one program that a
/// privileged user may load.
pub const INSTRUCTIONS: usize = 1_000_000;

/// A lower bound of a function's instructions, found without allocating registers. Not counted is what may cost
/// none: constants, jumps to what follows, sign extensions that a load does, and what is handed over at the entry.
#[must_use]
pub fn least_instructions(func: &Function) -> usize {
    let costs = |inst: &Inst| {
        let data = &func.insts[*inst];
        data.effect() != Effect::Constant
            && !matches!(data, InstData::Jump(_) | InstData::SignExtend(..) | InstData::Param(_))
    };
    func.placed().filter(costs).count()
}

/// Whether the kernel takes so many instructions.
///
/// # Errors
/// It does not.
pub fn check_instructions(instructions: usize) -> Result<(), Error> {
    if instructions > INSTRUCTIONS { Err(Error::TooLong { instructions }) } else { Ok(()) }
}

/// Why a function has no machine code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The frame is larger than [`STACK`].
    Stack {
        /// Bytes of stack slots.
        slots: u32,
        /// Bytes of spilled registers.
        spills: u32,
    },
    /// The frames of functions that call each other are together larger than [`STACK`].
    Chain {
        /// Bytes of all frames.
        bytes: u32,
    },
    /// More instructions than [`INSTRUCTIONS`].
    TooLong {
        /// At least so many.
        instructions: usize,
    },
    /// The build's BTF does not have a kernel member.
    Member {
        /// The structure.
        container: String,
        /// The member.
        path: String,
    },
    /// The build's BTF does not have an enumerator.
    Enumerator {
        /// The enum.
        enumeration: String,
        /// The enumerator.
        name: String,
    },
    /// A member that is not 1, 2, 4 or 8 bytes long is read as a number.
    MemberSize {
        /// The structure.
        container: String,
        /// The member.
        path: String,
        /// Its bytes.
        size: u32,
    },
    /// An offset that no instruction can hold.
    Offset {
        /// The offset.
        offset: i64,
    },
    /// The register allocator refused: the code it was given is wrong.
    Registers(String),
    /// What no stage before should have let through.
    Internal(&'static str),
}

impl Error {
    /// Whether the kernel would take a smaller program; otherwise the compiler is at fault, or the kernel lacks something.
    #[must_use]
    pub fn is_a_bound(&self) -> bool {
        matches!(self, Self::Stack { .. } | Self::Chain { .. } | Self::TooLong { .. })
    }
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stack { slots, spills } => write!(
                f,
                "the policy needs {} bytes of stack ({slots} of buffers and {spills} of registers); the \
                 kernel allows {STACK}",
                slots + spills
            ),
            Self::Chain { bytes } => {
                write!(
                    f,
                    "the policy needs {bytes} bytes of stack in functions that call each other; the kernel allows {STACK}"
                )
            }
            Self::TooLong { instructions } => {
                write!(
                    f,
                    "the policy needs at least {instructions} instructions; the kernel allows {INSTRUCTIONS}"
                )
            }
            Self::Member { container, path } => {
                write!(f, "the kernel's type information has no member `{path}` in `struct {container}`")
            }
            Self::Enumerator { enumeration, name } => {
                write!(f, "the kernel's type information has no enumerator `{name}` in `enum {enumeration}`")
            }
            Self::MemberSize { container, path, size } => {
                write!(f, "`{path}` of `struct {container}` has {size} bytes and cannot be read as a number")
            }
            Self::Offset { offset } => write!(f, "offset {offset} does not fit an instruction"),
            Self::Registers(text) => write!(f, "registers could not be allocated: {text}"),
            Self::Internal(what) => f.write_str(what),
        }
    }
}
