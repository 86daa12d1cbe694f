//! Small files that could stand for much: objects and types of a kernel as somebody writes them to keep a reader busy.
//!
//! Each is made of a size, so that a test can compare what twice the size costs. Knows nothing of the readers.

use oomc_abi::btf::write::Builder;
use oomc_abi::btf::{INT_SIGNED, Kind, Member};

/// Little-endian ELF header for BPF with this many section headers behind the content.
fn elf(sections: &[Header], content: &[u8], names_at: u16) -> Vec<u8> {
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for half in [1_u16, 247] {
        out.extend(half.to_le_bytes());
    }
    out.extend(1_u32.to_le_bytes());
    for word in [0_u64, 0, 64 + content.len() as u64] {
        out.extend(word.to_le_bytes());
    }
    out.extend(0_u32.to_le_bytes());
    for half in [64_u16, 0, 0, 64, sections.len() as u16, names_at] {
        out.extend(half.to_le_bytes());
    }
    out.extend(content);
    sections.iter().for_each(|section| section.write(&mut out));
    out
}

/// What of a section header matters here.
#[derive(Clone, Copy, Default)]
struct Header {
    name: u32,
    kind: u32,
    flags: u64,
    at: u64,
    size: u64,
    link: u32,
    entry: u64,
}

impl Header {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.name.to_le_bytes());
        out.extend(self.kind.to_le_bytes());
        for word in [self.flags, 0, self.at, self.size] {
            out.extend(word.to_le_bytes());
        }
        out.extend(self.link.to_le_bytes());
        out.extend(1_u32.to_le_bytes());
        for word in [8, self.entry] {
            out.extend(u64::to_le_bytes(word));
        }
    }
}

const STRTAB: u32 = 3;
const NOBITS: u32 = 8;
const SYMTAB: u32 = 2;
const WRITE_ALLOC: u64 = 3;

/// An object of many empty sections.
#[must_use]
pub fn many_sections(count: usize) -> Vec<u8> {
    let names = b"\0.names\0.bss\0";
    let mut sections = vec![Header::default(); count];
    sections.push(Header { name: 1, kind: STRTAB, at: 64, size: names.len() as u64, ..Header::default() });
    elf(&sections, names, count as u16)
}

/// An object of sections that have a size and nothing else: 64 MiB each.
#[must_use]
pub fn sizes_only(count: usize) -> Vec<u8> {
    let names = b"\0.names\0.bss\0";
    let bss =
        Header { name: 8, kind: NOBITS, flags: WRITE_ALLOC, at: 64, size: 64 << 20, ..Header::default() };
    let mut sections = vec![bss; count];
    sections.push(Header { name: 1, kind: STRTAB, at: 64, size: names.len() as u64, ..Header::default() });
    elf(&sections, names, count as u16)
}

/// An object of many symbols that share one long name.
#[must_use]
pub fn long_names(symbols: usize, length: usize) -> Vec<u8> {
    let mut content = b"\0.names\0".to_vec();
    content.extend(std::iter::repeat_n(b'x', length));
    content.push(0);
    let names = Header { name: 1, kind: STRTAB, at: 64, size: content.len() as u64, ..Header::default() };
    let at = 64 + content.len() as u64;
    for _ in 0..symbols {
        content.extend(8_u32.to_le_bytes());
        content.extend([0x10, 0, 1, 0]);
        content.extend([0; 16]);
    }
    let table = Header { name: 1, kind: SYMTAB, at, size: symbols as u64 * 24, link: 1, entry: 24, ..names };
    elf(&[Header::default(), names, table], &content, 1)
}

/// Types that all have the same name, of this length.
#[must_use]
pub fn same_name(types: usize, length: usize) -> Vec<u8> {
    // By hand: whoever writes types asks for each name whether it is there already.
    let int: Vec<u8> = [1, 1 << 24, 4, u32::from(INT_SIGNED) << 24 | 32].map(u32::to_le_bytes).concat();
    let (types, strings) = (int.repeat(types), [&b"\0"[..], &vec![b'x'; length], b"\0"].concat());
    let mut out = vec![0x9f, 0xeb, 1, 0];
    let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
    for word in [24, 0, types_len, types_len, strings_len] {
        out.extend(word.to_le_bytes());
    }
    [out, types, strings].concat()
}

/// Types with a name each.
#[must_use]
pub fn many_types(types: usize) -> Vec<u8> {
    let mut builder = Builder::new();
    for at in 0..types {
        builder.add(&format!("t{at}"), &Kind::Int { size: 4, bits: 32, offset: 0, encoding: INT_SIGNED });
    }
    builder.finish()
}

/// A structure of this name in which each anonymous structure holds the next one many times.
#[must_use]
pub fn nested(name: &str, depth: usize, width: u32) -> Vec<u8> {
    let mut builder = Builder::new();
    let mut inner = builder.add("int", &Kind::Int { size: 4, bits: 32, offset: 0, encoding: INT_SIGNED });
    for at in 0..depth {
        let member = |index: u32| Member { name: "", ty: inner, bit_offset: index * 8, bits: 0 };
        let members = (0..width).map(member).collect();
        let name = if at + 1 == depth { name } else { "" };
        inner = builder.add(name, &Kind::Struct { size: 4, members });
    }
    builder.finish()
}
