//! `.BTF.ext`: where the function starts, which line of the policy each instruction comes from, and which
//! instructions hold facts of the kernel's BTF.

use oomc_abi::btf::ext::{CoreRelo, Ext, FuncInfo, LineInfo, Section};

use super::btf::Info;
use super::{Error, Module, elf};

/// Everything that goes into `.BTF` and `.BTF.ext`, as bytes, and the code with the facts filled in.
#[derive(Debug)]
pub(super) struct Bytes {
    /// `.BTF`.
    pub(super) btf: Vec<u8>,
    /// `.BTF.ext`.
    pub(super) ext: Vec<u8>,
    /// The program.
    pub(super) code: Vec<u64>,
}

pub(super) fn build(module: &Module<'_>, info: &Info) -> Result<Bytes, Error> {
    let mut builder = info.builder.clone();
    let name = builder.string(&elf::program_section());

    let mut lines: Vec<LineInfo> = Vec::new();
    let file = builder.string(&module.source.name);
    for place in &module.program.lines {
        // The kernel wants the first record at the first instruction, and no two at one.
        let insn = if lines.is_empty() { 0 } else { place.insn };
        // An opcode of 0 is the second half of a wide load, which carries no line.
        if module.program.code.get(insn as usize).is_none_or(|code| *code as u8 == 0) {
            return Err(Error::Instruction(insn));
        }
        if lines.last().is_some_and(|last| last.insn >= insn) {
            continue;
        }
        let text = builder.string(start(module.source.line(place.line).trim_end()));
        lines.push(LineInfo { insn, file, text, line: place.line, column: place.column });
    }

    let mut code = module.program.code.clone();
    let mut relos = Vec::new();
    for relo in &info.relos {
        hold(&mut code, relo.insn, relo.value).ok_or(Error::Instruction(relo.insn))?;
        let access = builder.string(&relo.access);
        relos.push(CoreRelo { insn: relo.insn, type_id: relo.type_id, access, kind: relo.kind as u32 });
    }

    let ext = Ext {
        funcs: vec![Section { name, records: vec![FuncInfo { insn: 0, type_id: info.func }] }],
        lines: vec![Section { name, records: lines }],
        relos: vec![Section { name, records: relos }],
    };
    Ok(Bytes { btf: builder.finish(), ext: oomc_abi::btf::ext::write(&ext), code })
}

/// Bytes of a policy's line that are kept: the verifier prints it before every instruction of it.
const LINE_MAX: usize = 240;

fn start(line: &str) -> &str {
    let end = (0..=line.len().min(LINE_MAX)).rev().find(|at| line.is_char_boundary(*at));
    line.get(..end.unwrap_or(0)).unwrap_or("")
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
