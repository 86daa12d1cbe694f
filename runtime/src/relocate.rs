//! Finds what an object needs of a kernel: its functions and variables.
//!
//! Takes the object's externs, the kernel's types and its symbol table and gives the counterpart of each.
//! Reads `/proc/kallsyms` where an address is wanted, and makes no other system call. What an object needs
//! besides is fitted in `oomc_object::relocate`.

use std::path::Path;

use oomc_abi::btf::{Btf, Kind};
use oomc_object::relocate;
pub(crate) use oomc_object::relocate::{Fitted, Found, MapFds, apply};

use crate::error::{Error, Result};
use crate::object::{Extern, ExternKind};

/// Looks for externs. Strong ones that are missing are reported as names.
pub(crate) fn find(
    externs: &[Extern],
    kernel: &Btf,
    kallsyms: &Path,
) -> Result<std::result::Result<Vec<Found>, Vec<String>>> {
    let wanted: Vec<&str> =
        externs.iter().filter(|ext| ext.kind == ExternKind::Address).map(|ext| ext.name.as_str()).collect();
    let addresses = if wanted.is_empty() { Vec::new() } else { addresses(&wanted, kallsyms)? };
    let address = |name: &str| addresses.iter().find(|(found, _)| found == name).map(|(_, at)| *at);
    Ok(relocate::find(externs, kernel, address))
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
