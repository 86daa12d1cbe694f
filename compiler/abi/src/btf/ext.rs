//! `.BTF.ext`: what belongs to instructions rather than to types.
//!
//! Three tables (`struct btf_ext_header`, libbpf 1.7; `struct bpf_func_info`, `bpf_line_info`,
//! `bpf_core_relo`, `include/uapi/linux/bpf.h`, 6.12), each divided by ELF section. Instructions are counted
//! here; the file has bytes.

use super::Btf;
use super::parse::{Error, MAGIC, Reason, VERSION, u32_at};

/// The three tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ext {
    /// Types of functions.
    pub funcs: Vec<Section<FuncInfo>>,
    /// Source lines.
    pub lines: Vec<Section<LineInfo>>,
    /// CO-RE relocations.
    pub relos: Vec<Section<CoreRelo>>,
}

/// Records of one ELF section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section<T> {
    /// String offset of the section's name.
    pub name: u32,
    /// Sorted by instruction.
    pub records: Vec<T>,
}

/// Where a function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfo {
    /// Its first instruction.
    pub insn: u32,
    /// A FUNC.
    pub type_id: u32,
}

/// Where the code of a source line starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    /// Its first instruction.
    pub insn: u32,
    /// String offset of the file's name.
    pub file: u32,
    /// String offset of the line's text.
    pub text: u32,
    /// From 1; at most 4,194,303.
    pub line: u32,
    /// From 1; at most 1,023.
    pub column: u32,
}

/// An instruction that holds a fact of the kernel's BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreRelo {
    /// Which instruction.
    pub insn: u32,
    /// A type of the object's own BTF.
    pub type_id: u32,
    /// String offset of the path: numbers separated by colons.
    pub access: u32,
    /// `enum bpf_core_relo_kind`.
    pub kind: u32,
}

trait Record: Sized {
    /// Words that are understood.
    const WORDS: u32;
    fn decode(words: &[u32]) -> Option<Self>;
    fn encode(&self) -> Vec<u32>;
}

impl Record for FuncInfo {
    const WORDS: u32 = 2;
    fn decode(words: &[u32]) -> Option<Self> {
        let [offset, type_id] = words.try_into().ok()?;
        Some(Self { insn: instruction(offset)?, type_id })
    }
    fn encode(&self) -> Vec<u32> {
        vec![self.insn * 8, self.type_id]
    }
}

impl Record for LineInfo {
    const WORDS: u32 = 4;
    fn decode(words: &[u32]) -> Option<Self> {
        let [offset, file, text, place] = words.try_into().ok()?;
        Some(Self { insn: instruction(offset)?, file, text, line: place >> 10, column: place & 0x3ff })
    }
    fn encode(&self) -> Vec<u32> {
        let line = self.line.min(0x3f_ffff);
        vec![self.insn * 8, self.file, self.text, line << 10 | self.column.min(0x3ff)]
    }
}

impl Record for CoreRelo {
    const WORDS: u32 = 4;
    fn decode(words: &[u32]) -> Option<Self> {
        let [offset, type_id, access, kind] = words.try_into().ok()?;
        Some(Self { insn: instruction(offset)?, type_id, access, kind })
    }
    fn encode(&self) -> Vec<u32> {
        vec![self.insn * 8, self.type_id, self.access, self.kind]
    }
}

fn instruction(offset: u32) -> Option<u32> {
    offset.is_multiple_of(8).then_some(offset / 8)
}

/// Bytes of the header with all three tables.
const HEADER: u32 = 32;

/// Reads the section, checking strings and types against the object's own BTF.
///
/// # Errors
/// What is wrong, with its offset in `bytes`.
pub fn parse(bytes: &[u8], btf: &Btf) -> Result<Ext, Error> {
    let word = |at| u32_at(bytes, at).ok_or(Error { offset: at, reason: Reason::Truncated });
    let first = word(0)?;
    if first as u16 != MAGIC {
        return Err(Error { offset: 0, reason: Reason::Magic });
    }
    if (first >> 16) as u8 != VERSION {
        return Err(Error { offset: 2, reason: Reason::Version((first >> 16) as u8) });
    }
    let header = word(4)?;
    let range = |at: usize| -> Result<_, Error> {
        // Objects of compilers before CO-RE have a shorter header without the third table.
        if header < at as u32 + 8 {
            return Ok((0, 0));
        }
        let start = u64::from(header) + u64::from(word(at)?);
        let end = start + u64::from(word(at + 4)?);
        if end > bytes.len() as u64 {
            return Err(Error { offset: at, reason: Reason::Section });
        }
        Ok((start as usize, end as usize))
    };
    let ext = Ext {
        funcs: table(bytes, range(8)?)?,
        lines: table(bytes, range(16)?)?,
        relos: table(bytes, range(24)?)?,
    };
    check(&ext, btf)?;
    Ok(ext)
}

fn check(ext: &Ext, btf: &Btf) -> Result<(), Error> {
    let string = |at: u32| match btf.string(at) {
        Some(_) => Ok(()),
        None => Err(Error { offset: 0, reason: Reason::String(at) }),
    };
    let ty = |id: u32| {
        if id < btf.len() { Ok(()) } else { Err(Error { offset: 0, reason: Reason::TypeId(id) }) }
    };
    for section in &ext.funcs {
        string(section.name)?;
        section.records.iter().try_for_each(|record| ty(record.type_id))?;
    }
    for section in &ext.lines {
        string(section.name)?;
        for record in &section.records {
            string(record.file)?;
            string(record.text)?;
        }
    }
    for section in &ext.relos {
        string(section.name)?;
        for record in &section.records {
            string(record.access)?;
            ty(record.type_id)?;
        }
    }
    Ok(())
}

fn table<T: Record>(bytes: &[u8], (start, end): (usize, usize)) -> Result<Vec<Section<T>>, Error> {
    let mut sections = Vec::new();
    if start == end {
        return Ok(sections);
    }
    let mut at = start;
    let word = |at: &mut usize| {
        let value = if *at + 4 <= end { u32_at(bytes, *at) } else { None };
        let value = value.ok_or(Error { offset: *at, reason: Reason::Truncated })?;
        *at += 4;
        Ok::<u32, Error>(value)
    };
    let size = word(&mut at)?;
    if size < T::WORDS * 4 || !size.is_multiple_of(4) {
        return Err(Error { offset: start, reason: Reason::Record("a record is too short") });
    }
    while at < end {
        let (name, count) = (word(&mut at)?, word(&mut at)?);
        if u64::from(count) * u64::from(size) > (end - at) as u64 {
            return Err(Error { offset: at - 4, reason: Reason::Truncated });
        }
        let mut records = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let record_at = at;
            let mut words = Vec::with_capacity(T::WORDS as usize);
            for _ in 0..T::WORDS {
                words.push(word(&mut at)?);
            }
            // Newer formats may append to a record; what is understood comes first.
            at = record_at + size as usize;
            let record = T::decode(&words)
                .ok_or(Error { offset: record_at, reason: Reason::Record("not at an instruction") })?;
            records.push(record);
        }
        sections.push(Section { name, records });
    }
    Ok(sections)
}

/// The section's bytes.
#[must_use]
pub fn write(ext: &Ext) -> Vec<u8> {
    let tables = [bytes_of(&ext.funcs), bytes_of(&ext.lines), bytes_of(&ext.relos)];
    let mut out = MAGIC.to_le_bytes().to_vec();
    out.extend([VERSION, 0]);
    out.extend(HEADER.to_le_bytes());
    let mut at = 0_u32;
    for table in &tables {
        out.extend(at.to_le_bytes());
        out.extend((table.len() as u32).to_le_bytes());
        at += table.len() as u32;
    }
    out.extend(tables.concat());
    out
}

fn bytes_of<T: Record>(sections: &[Section<T>]) -> Vec<u8> {
    let mut words = Vec::new();
    // libbpf refuses an empty subsection, so one without records is left out.
    for section in sections.iter().filter(|section| !section.records.is_empty()) {
        words.extend([section.name, section.records.len() as u32]);
        words.extend(section.records.iter().flat_map(Record::encode));
    }
    if words.is_empty() {
        return Vec::new();
    }
    core::iter::once(T::WORDS * 4).chain(words).flat_map(u32::to_le_bytes).collect()
}
