//! Fits a program to a kernel: CO-RE, kernel functions, addresses, and the maps of global variables.
//!
//! Takes an object, the kernel's types, its variables' addresses and the maps' file descriptors and gives the
//! instructions to load.
//! What an object can do without and this kernel lacks becomes an invalid call, as in libbpf 1.7: the
//! verifier never reaches it, or says so. The descriptors are only numbers here: a simulator may have its
//! own.

use oomc_abi::btf::{Btf, essential_name};
use oomc_abi::relo::{self, Poisoned};

use crate::insn::{CALL, PSEUDO_BTF_ID, PSEUDO_KFUNC_CALL, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};
use crate::{Error, Extern, ExternKind, Object, Target, broken};

/// Number of the helper that a missing function becomes; the position of the extern is added (libbpf,
/// `POISON_CALL_KFUNC_BASE`).
const POISON_KFUNC: u32 = 2_002_000_000;

/// The kernel's counterpart of each extern, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A function, by its number in the kernel's types.
    Function(u32),
    /// An address.
    Address(u64),
    /// Weak, and not there.
    Absent,
}

/// Looks for externs, variables by the function that knows their addresses.
///
/// # Errors
/// Names of strong ones that are missing.
pub fn find(
    externs: &[Extern],
    kernel: &Btf,
    address: impl Fn(&str) -> Option<u64>,
) -> Result<Vec<Found>, Vec<String>> {
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for ext in externs {
        // A flavor of a function is the same function with another prototype (libbpf).
        let name = essential_name(&ext.name);
        let one = match ext.kind {
            ExternKind::Function(_) => kernel.function(name).map(Found::Function),
            ExternKind::Address => address(&ext.name).map(Found::Address),
        };
        match one {
            Some(one) => found.push(one),
            None if ext.weak => found.push(Found::Absent),
            None => missing.push(ext.name.clone()),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(missing) }
}

/// A program that fits.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// Its instructions.
    pub code: Vec<u64>,
    /// What the kernel lacks and the program may do without.
    pub poisoned: Vec<Poisoned>,
}

impl Fitted {
    /// What the kernel lacks, of that for which the object knows no other way.
    pub fn absent(&self) -> impl Iterator<Item = String> {
        self.poisoned.iter().filter(|poisoned| !poisoned.one_way).map(|poisoned| poisoned.what.clone())
    }
}

/// Descriptors of an object's maps.
#[derive(Clone, Debug)]
pub struct MapFds {
    /// In the order of the object's globals.
    pub globals: Vec<u32>,
    /// In the order of the object's other maps.
    pub maps: Vec<u32>,
}

/// Applies all relocations.
///
/// # Errors
/// If a relocation stands outside of the program, or contradicts its types or the kernel's.
pub fn apply(object: &Object, kernel: &Btf, found: &[Found], fds: &MapFds) -> Result<Fitted, Error> {
    let mut code = object.code.clone();
    let relos: Vec<_> = object
        .ext
        .relos
        .iter()
        .filter(|section| object.btf.string(section.name) == Some(&object.section))
        .flat_map(|section| section.records.iter().copied())
        .collect();
    let poisoned =
        relo::apply(&mut code, &object.btf, &relos, kernel).map_err(|error| broken(error.to_string()))?;
    for reloc in &object.relocs {
        let at = reloc.insn as usize;
        let outside = || broken("a relocation stands outside of the program");
        match reloc.target {
            Target::Global { index, offset } => {
                let map = fds.globals.get(index).ok_or_else(outside)?;
                let added = code.get(at).ok_or_else(outside)? >> 32;
                let offset = (added as u32).wrapping_add(offset);
                wide(&mut code, at, PSEUDO_MAP_VALUE, *map, offset).ok_or_else(outside)?;
            }
            Target::Map(index) => {
                let map = fds.maps.get(index).ok_or_else(outside)?;
                wide(&mut code, at, PSEUDO_MAP_FD, *map, 0).ok_or_else(outside)?;
            }
            Target::Address(index) => match found.get(index).ok_or_else(outside)? {
                Found::Function(id) => wide(&mut code, at, PSEUDO_BTF_ID, *id, 0),
                Found::Address(address) => wide(&mut code, at, 0, *address as u32, (address >> 32) as u32),
                Found::Absent => wide(&mut code, at, 0, 0, 0),
            }
            .ok_or_else(outside)?,
            Target::Call(index) => {
                let call = match found.get(index).ok_or_else(outside)? {
                    Found::Function(id) => {
                        u64::from(CALL) | u64::from(PSEUDO_KFUNC_CALL) << 12 | u64::from(*id) << 32
                    }
                    _ => u64::from(CALL) | u64::from(POISON_KFUNC + index as u32) << 32,
                };
                *code.get_mut(at).ok_or_else(outside)? = call;
            }
        }
    }
    Ok(Fitted { code, poisoned })
}

/// Fills a load of 64 bits: what the source register field says it is, and both immediates.
fn wide(code: &mut [u64], at: usize, source: u8, low: u32, high: u32) -> Option<()> {
    let first = code.get_mut(at)?;
    *first = *first & 0x0fff | u64::from(source) << 12 | u64::from(low) << 32;
    let second = code.get_mut(at + 1)?;
    *second = u64::from(high) << 32;
    Some(())
}
