//! Finds what an object needs of a kernel: its functions and variables.
//!
//! Takes the object's externs, the kernel's types and its symbol table and gives the counterpart of each.
//! Reads `/proc/kallsyms` where an address is wanted, and makes no other system call. What an object needs
//! besides is fitted in `oomc_object::relocate`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use oomc_abi::btf::{Btf, Kind};
use oomc_object::relocate;
pub(crate) use oomc_object::relocate::{Fitted, Found, MapFds, apply};

use crate::error::{Error, Result};
use crate::object::{Extern, ExternKind};

/// Looks for externs. Strong ones that are missing are reported as names.
pub(crate) fn find(
    externs: &[Extern],
    kernel: &Btf,
    symbols: &Symbols,
) -> Result<std::result::Result<Vec<Found>, Vec<String>>> {
    let wanted: Vec<&str> =
        externs.iter().filter(|ext| ext.kind == ExternKind::Address).map(|ext| ext.name.as_str()).collect();
    symbols.look_for(&wanted)?;
    Ok(relocate::find(externs, kernel, |name| symbols.address(name)))
}

/// The kernel's symbol table. Each name is looked for once: the table has a hundred thousand lines.
#[derive(Debug)]
pub(crate) struct Symbols {
    kallsyms: PathBuf,
    /// None: there is none of this name, or its address may not be known.
    known: RefCell<HashMap<String, Option<u64>>>,
}

impl Symbols {
    pub(crate) fn new(kallsyms: PathBuf) -> Self {
        Self { kallsyms, known: RefCell::default() }
    }

    fn address(&self, name: &str) -> Option<u64> {
        self.known.borrow().get(name).copied().flatten()
    }

    /// Reads `/proc/kallsyms`, whose lines are address, type and name, and for modules the module. An address
    /// of 0 means that the reader may not know it.
    fn look_for(&self, wanted: &[&str]) -> Result<()> {
        use std::io::{BufRead as _, BufReader};
        let mut known = self.known.borrow_mut();
        let wanted: Vec<&str> = wanted.iter().copied().filter(|name| !known.contains_key(*name)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let kallsyms = &self.kallsyms;
        let file = std::fs::File::open(kallsyms).map_err(Error::file("read", kallsyms))?;
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
                known.entry(name.to_owned()).or_insert(Some(address));
            }
        }
        for name in wanted {
            known.entry(name.to_owned()).or_insert(None);
        }
        Ok(())
    }
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
