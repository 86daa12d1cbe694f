//! What an object needs and a kernel lacks, before anything is tried.
//!
//! Takes an object and the kernel's types and gives a list of sentences, all of them and not the first.
//! A kernel ignores flags it does not know, so trying would prove nothing (`BPF_LINK_CREATE` accepts any
//! flag for struct_ops before the series). Makes no bpf(2) call.

use std::fmt;
use std::io;

use oomc_abi::btf::Btf;
use oomc_abi::hooks::OOM;

use crate::error::{Error, Result};
use crate::object::{ExternKind, Object};
use crate::relocate::{self, Found, Symbols};
use crate::struct_ops::KernelOps;
use crate::system::System;

/// Something that a kernel lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What, as a sentence: "this kernel has no `struct bpf_oom_ops`".
    pub what: String,
    /// What to do; may be empty.
    pub help: &'static str,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, ": {}", self.help) }
    }
}

/// What the loader knows of a kernel once an object may be loaded into it.
pub(crate) struct Ready {
    pub(crate) btf: Btf,
    pub(crate) ops: KernelOps,
    pub(crate) found: Vec<Found>,
}

/// Reads the running kernel's types.
///
/// # Errors
/// [`Error::Kernel`] when there are none.
pub fn kernel_types(system: &System<'_>) -> Result<Btf> {
    let path = &system.paths.btf;
    let bytes = std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => Error::Kernel(vec![Missing {
            what: format!("this kernel does not describe its types ({} does not exist)", path.display()),
            help: "it needs CONFIG_DEBUG_INFO_BTF=y",
        }]),
        _ => Error::File { action: "read", path: path.clone(), source },
    })?;
    Btf::read(bytes).map_err(|error| {
        Error::Kernel(vec![Missing {
            what: format!("the types of this kernel ({}) cannot be read: {error}", path.display()),
            help: "",
        }])
    })
}

/// Whether the running kernel lets a policy handle out-of-memory events at all.
///
/// # Errors
/// [`Error::Kernel`] with what is missing.
pub fn kernel(system: &System<'_>) -> Result<()> {
    KernelOps::find(&kernel_types(system)?).map(drop).map_err(Error::Kernel)
}

/// Checks an object against the running kernel.
///
/// # Errors
/// [`Error::Kernel`] with everything that is missing.
pub(crate) fn check(system: &System<'_>, object: &Object) -> Result<Ready> {
    let btf = kernel_types(system)?;
    let mut missing = Vec::new();
    let ops = match KernelOps::find(&btf) {
        Ok(ops) => Some(ops),
        Err(lacks) => {
            missing.extend(lacks);
            None
        }
    };
    let symbols = Symbols::new(system.paths.kallsyms.clone());
    let found = functions(object, &btf, &symbols, &mut missing)?;
    match ops {
        Some(ops) if missing.is_empty() => Ok(Ready { btf, ops, found }),
        _ => Err(Error::Kernel(missing)),
    }
}

/// The kernel's counterpart of all that a program names; what is missing is added to a list.
pub(crate) fn functions(
    object: &Object,
    btf: &Btf,
    symbols: &Symbols,
    missing: &mut Vec<Missing>,
) -> Result<Vec<Found>> {
    let found = match relocate::find(&object.externs, btf, symbols)? {
        Ok(found) => found,
        Err(names) => {
            missing.extend(names.into_iter().map(|name| Missing {
                what: format!("this kernel has no function `{name}`, which the policy needs"),
                help: "",
            }));
            Vec::new()
        }
    };
    for (ext, found) in object.externs.iter().zip(&found) {
        if let (ExternKind::Function(ours), Found::Function(theirs)) = (ext.kind, found)
            && let Some(difference) = relocate::differs(&object.btf, ours, btf, *theirs)
        {
            missing.push(Missing {
                what: format!("this kernel's `{}` is another one: {difference}", ext.name),
                help: "",
            });
        }
    }
    Ok(found)
}

// Numbers of capabilities (`include/uapi/linux/capability.h`, 6.12).
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Refuses a process that the kernel would refuse, in words. With `ids` also one that may not find objects by their ids.
///
/// # Errors
/// [`Error::Privilege`].
pub fn privilege(system: &System<'_>, ids: bool) -> Result<()> {
    let path = &system.paths.process_status;
    let status = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|word| u64::from_str_radix(word.trim(), 16).ok());
    let Some(held) = held else { return Ok(()) };
    let has = |capability: u32| held & 1 << capability != 0;
    // Objects are found by their ids with CAP_SYS_ADMIN only (kernel/bpf/syscall.c, 6.12).
    if has(CAP_SYS_ADMIN) || (!ids && has(CAP_BPF) && has(CAP_PERFMON)) {
        return Ok(());
    }
    Err(Error::Privilege(if ids {
        "this needs root (CAP_SYS_ADMIN)".to_owned()
    } else {
        "loading a policy needs root (CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN)".to_owned()
    }))
}

/// The sentence about a missing ops structure.
pub(crate) fn no_ops() -> Missing {
    Missing {
        what: format!("this kernel has no `struct {}`", OOM.ops),
        help: "it lacks the BPF OOM series, which lets a policy handle out-of-memory events",
    }
}
