//! An object as text: for `oomc build --emit`, for golden cases, for a reader who wonders.

use std::fmt::Write as _;

use object::read::elf::ElfFile64;
use object::{
    Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, RelocationFlags, RelocationTarget,
};
use oomc_abi::btf::{Btf, ext, print};

use super::Error;

fn open(object: &[u8]) -> Result<ElfFile64<'_, Endianness>, Error> {
    ElfFile64::parse(object).map_err(|error| Error::Unreadable(error.to_string()))
}

fn section<'a>(file: &ElfFile64<'a, Endianness>, name: &str) -> Result<&'a [u8], Error> {
    let section =
        file.section_by_name(name).ok_or_else(|| Error::Unreadable(format!("no section {name}")))?;
    section.data().map_err(|error| Error::Unreadable(format!("{name}: {error}")))
}

/// The object's types, lines and CO-RE relocations.
///
/// # Errors
/// If the bytes are not an object.
pub fn dump_btf(object: &[u8]) -> Result<String, Error> {
    let file = open(object)?;
    let unreadable = |error: oomc_abi::btf::Error| Error::Unreadable(error.to_string());
    let btf = Btf::parse(section(&file, ".BTF")?).map_err(unreadable)?;
    let ext = ext::parse(section(&file, ".BTF.ext")?, &btf).map_err(unreadable)?;
    let text = |at: u32| btf.string(at).unwrap_or("?");
    let mut out = print::print(&btf);
    for section in &ext.funcs {
        let _ = writeln!(out, "\nfunctions of {}", text(section.name));
        for record in &section.records {
            let _ = writeln!(out, "    {}: [{}] {}", record.insn, record.type_id, btf.name(record.type_id));
        }
    }
    for section in &ext.lines {
        let _ = writeln!(out, "\nlines of {}", text(section.name));
        for record in &section.records {
            let place = format!("{}:{}:{}", text(record.file), record.line, record.column);
            let _ = writeln!(out, "    {}: {place}: {}", record.insn, text(record.text));
        }
    }
    for section in &ext.relos {
        let _ = writeln!(out, "\nCO-RE relocations of {}", text(section.name));
        for relo in &section.records {
            // Resolved against itself, a record tells what it is about.
            let what =
                oomc_abi::relo::resolve(&btf, relo, &btf).map_or_else(|_| "?".to_owned(), |found| found.what);
            let kind = oomc_abi::relo::RelocKind::from_number(relo.kind);
            let kind = kind.map_or_else(|| relo.kind.to_string(), |kind| format!("{kind:?}"));
            let access = text(relo.access);
            let _ = writeln!(out, "    {}: {kind} {what} ([{}] {access})", relo.insn, relo.type_id);
        }
    }
    Ok(out)
}

/// The object's sections, symbols and relocations.
///
/// # Errors
/// If the bytes are not an object.
pub fn dump_elf(object: &[u8]) -> Result<String, Error> {
    let file = open(object)?;
    let mut out = String::from("sections\n");
    for section in file.sections() {
        let name = section.name().unwrap_or("?");
        let _ = writeln!(out, "    {name}: {:?}, {} bytes", section.kind(), section.size());
    }
    out.push_str("\nsymbols\n");
    for symbol in file.symbols().filter(|symbol| symbol.name().is_ok_and(|name| !name.is_empty())) {
        let name = symbol.name().unwrap_or("?");
        let binding = match (symbol.is_weak(), symbol.is_local()) {
            (true, _) => "weak",
            (_, true) => "local",
            _ => "global",
        };
        let place = symbol
            .section_index()
            .and_then(|index| file.section_by_index(index).ok())
            .and_then(|section| section.name().ok().map(str::to_owned));
        let _ = match place {
            Some(place) => {
                writeln!(
                    out,
                    "    {name}: {binding}, {place} at {}, {} bytes",
                    symbol.address(),
                    symbol.size()
                )
            }
            None => writeln!(out, "    {name}: {binding}, undefined"),
        };
    }
    for section in file.sections() {
        let mut relocations = section.relocations().peekable();
        if relocations.peek().is_none() {
            continue;
        }
        let _ = writeln!(out, "\nrelocations of {}", section.name().unwrap_or("?"));
        for (offset, relocation) in relocations {
            let r_type = match relocation.flags() {
                RelocationFlags::Elf { r_type } => r_type.to_string(),
                _ => "?".to_owned(),
            };
            let target = match relocation.target() {
                RelocationTarget::Symbol(index) => file.symbol_by_index(index).ok(),
                _ => None,
            };
            let target = target.and_then(|symbol| symbol.name().ok().map(str::to_owned));
            let _ = writeln!(out, "    {offset}: type {r_type}, {}", target.as_deref().unwrap_or("?"));
        }
    }
    Ok(out)
}
