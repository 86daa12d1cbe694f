//! `.BTF.ext`: where each function starts, which line of the policy each instruction comes from, and which
//! instructions hold facts of the kernel's BTF.

use std::collections::BTreeMap;

use oomc_abi::btf::ext::{CoreRelo, Ext, FuncInfo, LineInfo, Section};
use oomc_abi::btf::write::Builder;

use super::btf::Info;
use super::{Error, Module, elf};
use crate::bpf::Program;

/// Everything that goes into `.BTF` and `.BTF.ext`, as bytes, and the code with the facts filled in.
#[derive(Debug)]
pub(super) struct Bytes {
    /// `.BTF`.
    pub(super) btf: Vec<u8>,
    /// `.BTF.ext`.
    pub(super) ext: Vec<u8>,
    /// Each program.
    pub(super) codes: Vec<Vec<u64>>,
}

pub(super) fn build(module: &Module<'_>, info: &Info) -> Result<Bytes, Error> {
    let mut builder = info.builder.clone();
    let mut ext = Ext::default();
    let mut codes = Vec::new();
    // A section's records count from its start, in which the functions follow each other.
    let mut starts = BTreeMap::new();
    // The name of the policy and not the path, which would make the object depend on where the text lies.
    let file = builder.string(&format!("{}.oom", module.policy.name));
    let programs = module.programs.iter().zip(&info.funcs).zip(&info.relos);
    for (at, ((program, &type_id), relos)) in programs.enumerate() {
        let name = builder.string(elf::code_section(module.refs, at));
        let start: &mut u32 = starts.entry(name).or_default();

        add(&mut ext.funcs, name, [FuncInfo { insn: *start, type_id }]);
        let lines = lines(program, module, file, &mut builder)?.into_iter();
        add(&mut ext.lines, name, lines.map(|line| LineInfo { insn: *start + line.insn, ..line }));

        let mut code = program.code.clone();
        let mut records = Vec::with_capacity(relos.len());
        for relo in relos {
            hold(&mut code, relo.insn, relo.value).ok_or(Error::Instruction(relo.insn))?;
            let (insn, access) = (*start + relo.insn, builder.string(&relo.access));
            records.push(CoreRelo { insn, type_id: relo.type_id, access, kind: relo.kind as u32 });
        }
        add(&mut ext.relos, name, records);
        *start += code.len() as u32;
        codes.push(code);
    }
    // A function that reads nothing of the kernel: loaders take a section without records for damage.
    ext.relos.retain(|section| !section.records.is_empty());
    if let Some(fault) = builder.fault() {
        return Err(Error::Types(fault));
    }
    Ok(Bytes { btf: builder.finish(), ext: oomc_abi::btf::ext::write(&ext), codes })
}

/// Adds records to a section, which is the last one or a new one.
fn add<T>(sections: &mut Vec<Section<T>>, name: u32, records: impl IntoIterator<Item = T>) {
    match sections.last_mut() {
        Some(last) if last.name == name => last.records.extend(records),
        _ => sections.push(Section { name, records: records.into_iter().collect() }),
    }
}

/// The lines of a program, counted from its first instruction.
fn lines(
    program: &Program,
    module: &Module<'_>,
    file: u32,
    builder: &mut Builder,
) -> Result<Vec<LineInfo>, Error> {
    let mut lines: Vec<LineInfo> = Vec::new();
    for place in &program.lines {
        // The kernel wants the first record of a function at its first instruction, and no two at one.
        let insn = if lines.is_empty() { 0 } else { place.insn };
        // An opcode of 0 is the second half of a wide load, which carries no line.
        if program.code.get(insn as usize).is_none_or(|code| *code as u8 == 0) {
            return Err(Error::Instruction(insn));
        }
        if lines.last().is_some_and(|last| last.insn >= insn) {
            continue;
        }
        let text = builder.string(start(module.source.line(place.line).trim_end()));
        lines.push(LineInfo { insn, file, text, line: place.line, column: place.column });
    }
    Ok(lines)
}

/// Bytes of a policy's line that are kept: the verifier prints it before every instruction of it.
const LINE_MAX: usize = 240;

fn start(line: &str) -> &str {
    line.split_at(line.floor_char_boundary(LINE_MAX)).0
}

/// Puts a fact into an instruction: the immediate of an operation or a wide load, the offset of an access.
/// libbpf compares it with the local type before it writes the target's.
fn hold(code: &mut [u64], insn: u32, value: i64) -> Option<()> {
    let slot = code.get_mut(insn as usize)?;
    let opcode = *slot as u8;
    match opcode & 0x07 {
        1..=3 => {
            let offset = i16::try_from(value).ok()?;
            *slot = *slot & 0xffff_ffff_0000_ffff | u64::from(offset as u16) << 16;
        }
        0 if opcode == 0x18 => {
            *slot = *slot & 0xffff_ffff | (value as u64) << 32;
            let second = code.get_mut(insn as usize + 1)?;
            *second = *second & 0xffff_ffff | (value as u64 >> 32) << 32;
        }
        4 | 7 if opcode & 0x08 == 0 => {
            let value = i32::try_from(value).ok()?;
            *slot = *slot & 0xffff_ffff | u64::from(value as u32) << 32;
        }
        _ => return None,
    }
    Some(())
}
