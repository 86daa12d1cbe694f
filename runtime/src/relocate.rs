//! Fits a program to a kernel: CO-RE, kernel functions, addresses, and the maps of global variables.
//!
//! Takes an object, the kernel's types and the maps' file descriptors and gives the instructions to load.
//! What an object can do without and this kernel lacks becomes an invalid call, as in libbpf 1.7: the
//! verifier never reaches it, or says so. Makes no system call.

use std::path::Path;

use oomc_abi::btf::{Btf, Kind};
use oomc_abi::relo::{self, Poisoned};

use crate::error::{Error, Result};
use crate::object::{Extern, ExternKind, Object, Target};

/// A load whose value is an offset in a map's value (`BPF_PSEUDO_MAP_VALUE`, `include/uapi/linux/bpf.h`).
const PSEUDO_MAP_VALUE: u64 = 2;
/// A load whose value is a map (`BPF_PSEUDO_MAP_FD`).
const PSEUDO_MAP_FD: u64 = 1;
/// A load of the address of something in the kernel's BTF (`BPF_PSEUDO_BTF_ID`).
const PSEUDO_BTF_ID: u64 = 3;
/// A call of a kernel function (`BPF_PSEUDO_KFUNC_CALL`).
const PSEUDO_KFUNC_CALL: u64 = 2;
/// Number of the helper that a missing function becomes; the position of the extern is added (libbpf,
/// `POISON_CALL_KFUNC_BASE`).
const POISON_KFUNC: u32 = 2_002_000_000;
const CALL: u64 = 0x85;

/// The kernel's counterpart of each extern, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A function, by its number in the kernel's types.
    Function(u32),
    /// An address.
    Address(u64),
    /// Weak, and not there.
    Absent,
}

/// Looks for externs. Strong ones that are missing are reported as names.
pub(crate) fn find(
    externs: &[Extern],
    kernel: &Btf,
    kallsyms: &Path,
) -> Result<std::result::Result<Vec<Found>, Vec<String>>> {
    let wanted: Vec<&str> =
        externs.iter().filter(|ext| ext.kind == ExternKind::Address).map(|ext| ext.name.as_str()).collect();
    let addresses = if wanted.is_empty() { Vec::new() } else { addresses(&wanted, kallsyms)? };
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for ext in externs {
        // A flavor of a function is the same function with another prototype (libbpf).
        let name = oomc_abi::btf::essential_name(&ext.name);
        let one = match ext.kind {
            ExternKind::Function(_) => kernel.function(name).map(Found::Function),
            ExternKind::Address => {
                addresses.iter().find(|(found, _)| *found == ext.name).map(|(_, at)| Found::Address(*at))
            }
        };
        match one {
            Some(one) => found.push(one),
            None if ext.weak => found.push(Found::Absent),
            None => missing.push(ext.name.clone()),
        }
    }
    Ok(if missing.is_empty() { Ok(found) } else { Err(missing) })
}

/// Reads `/proc/kallsyms`, whose lines are address, type and name, and for modules the module. An address
/// of 0 means that the reader may not know it.
fn addresses(wanted: &[&str], kallsyms: &Path) -> Result<Vec<(String, u64)>> {
    use std::io::{BufRead as _, BufReader};
    let file = std::fs::File::open(kallsyms).map_err(Error::file("read", kallsyms))?;
    let mut found = Vec::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(Error::file("read", kallsyms))?;
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next()) else {
            continue;
        };
        if wanted.contains(&name)
            && let Ok(address) = u64::from_str_radix(address, 16)
            && address != 0
        {
            found.push((name.to_owned(), address));
        }
    }
    Ok(found)
}

/// A program that fits.
#[derive(Clone, Debug)]
pub(crate) struct Fitted {
    pub(crate) code: Vec<u64>,
    /// What the kernel lacks and the program may do without.
    pub(crate) poisoned: Vec<Poisoned>,
}

/// Descriptors of an object's maps.
#[derive(Clone, Debug)]
pub(crate) struct MapFds {
    /// In the order of the object's globals.
    pub(crate) globals: Vec<u32>,
    /// In the order of the object's other maps.
    pub(crate) maps: Vec<u32>,
}

/// Applies all relocations.
pub(crate) fn apply(object: &Object, kernel: &Btf, found: &[Found], fds: &MapFds) -> Result<Fitted> {
    let mut code = object.code.clone();
    let relos: Vec<_> = object
        .ext
        .relos
        .iter()
        .filter(|section| object.btf.string(section.name) == Some(&object.section))
        .flat_map(|section| section.records.iter().copied())
        .collect();
    let poisoned = relo::apply(&mut code, &object.btf, &relos, kernel)
        .map_err(|error| Error::Object(crate::object::Error::Broken(error.to_string())))?;
    for reloc in &object.relocs {
        let at = reloc.insn as usize;
        let outside = || Error::Unexpected("a relocation stands outside of the program".to_owned());
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
                    Found::Function(id) => CALL | PSEUDO_KFUNC_CALL << 12 | u64::from(*id) << 32,
                    _ => CALL | u64::from(POISON_KFUNC + index as u32) << 32,
                };
                *code.get_mut(at).ok_or_else(outside)? = call;
            }
        }
    }
    Ok(Fitted { code, poisoned })
}

/// Fills a load of 64 bits: what the source register field says it is, and both immediates.
fn wide(code: &mut [u64], at: usize, source: u64, low: u32, high: u32) -> Option<()> {
    let first = code.get_mut(at)?;
    *first = *first & 0x0fff | source << 12 | u64::from(low) << 32;
    let second = code.get_mut(at + 1)?;
    *second = u64::from(high) << 32;
    Some(())
}

/// Whether the kernel's function takes what the object's declaration gives: as many arguments, of the
/// same kinds, pointers to structures of the same name. None: it does. Otherwise what differs.
pub(crate) fn differs(object: &Btf, ours: u32, kernel: &Btf, theirs: u32) -> Option<String> {
    let proto = |btf: &Btf, id: u32| -> Option<(u32, Vec<u32>)> {
        let Kind::Func { proto, .. } = btf.get(id)?.kind else { return None };
        let Kind::FuncProto { ret, params } = btf.get(proto)?.kind else { return None };
        Some((ret, params.iter().map(|param| param.ty).collect()))
    };
    let (Some((our_ret, ours)), Some((their_ret, theirs))) = (proto(object, ours), proto(kernel, theirs))
    else {
        return Some("it is no function there".to_owned());
    };
    if ours.len() != theirs.len() {
        return Some(format!("it takes {} arguments there, not {}", theirs.len(), ours.len()));
    }
    for (position, (a, b)) in (1..).zip(ours.iter().zip(&theirs)) {
        let (a, b) = (shape(object, *a), shape(kernel, *b));
        if a != b {
            return Some(format!("argument {position} is {b} there, not {a}"));
        }
    }
    let (a, b) = (shape(object, our_ret), shape(kernel, their_ret));
    (a != b).then(|| format!("it gives {b} there, not {a}"))
}

fn shape(btf: &Btf, id: u32) -> String {
    match btf.resolve(id).map(|(_, ty)| (ty.name, ty.kind)) {
        Some((_, Kind::Void)) => "nothing".to_owned(),
        Some((_, Kind::Int { .. } | Kind::Enum { .. })) => "a number".to_owned(),
        Some((_, Kind::Ptr(to))) => match btf.resolve(to).map(|(_, ty)| (ty.name.to_owned(), ty.kind)) {
            Some((name, Kind::Struct { .. } | Kind::Union { .. } | Kind::Fwd { .. })) => {
                format!("a pointer to `{}`", oomc_abi::btf::essential_name(&name))
            }
            _ => "a pointer".to_owned(),
        },
        Some((name, _)) => format!("`{name}`"),
        None => "something unknown".to_owned(),
    }
}
