//! Code as text, in the verifier's own notation, with relocations by name and the policy's lines.
//!
//! ```text
//! ; policy 3:5
//!   0: r6 = *(u64 *)(r1 +0)
//!   1: r7 = *(s32 *)(r6 +40)              ; oom_control.order
//! ```

use core::fmt::Write as _;

use super::insn::{Insn, Reg};
use super::{CoreKind, Program, RelocTarget};
use crate::ir::Function;

/// The text of a program; `func` names what its relocations refer to.
#[must_use]
pub fn disassemble(program: &Program, func: &Function) -> String {
    let mut out = format!("{}:\n", program.name);
    let mut lines = program.lines.iter().peekable();
    let (mut relocs, mut core) = (program.relocs.iter().peekable(), program.core.iter().peekable());
    let mut at = 0;
    while let Some(code) = program.code.get(at..).filter(|code| !code.is_empty()) {
        let index = at as u32;
        while let Some(line) = lines.next_if(|line| line.insn <= index) {
            let _ = writeln!(out, "; policy {}:{}", line.line, line.column);
        }
        let insn = Insn::decode(code);
        let reloc = relocs.next_if(|reloc| reloc.insn == index).map(|reloc| reloc.target);
        let fact_here = core.next_if(|core| core.insn == index).map(|core| core.kind);
        let text = match &insn {
            Some(insn) => text(func, insn, reloc, fact_here),
            None => format!("unknown {:#018x}", code.first().copied().unwrap_or(0)),
        };
        let _ = writeln!(out, "{at:>4}: {text}");
        at += insn.map_or(1, |insn| insn.places() as usize);
    }
    out
}

/// An instruction, with what it refers to by name.
pub(super) fn text(
    func: &Function,
    insn: &Insn,
    reloc: Option<RelocTarget>,
    core: Option<CoreKind>,
) -> String {
    let text = match (insn, reloc) {
        (Insn::Wide { dst, imm }, Some(target)) => address(*dst, *imm, &symbol(func, target)),
        (Insn::Call(_), Some(target)) => format!("call {}", symbol(func, target)),
        (Insn::Call(super::insn::Callee::Helper(id)), None) => {
            let name = oomc_abi::helpers::ALL.iter().find(|helper| helper.id == *id).map(|row| row.name);
            format!("call {}#{id}", name.unwrap_or("unknown"))
        }
        _ => insn.to_string(),
    };
    match core {
        Some(kind) => format!("{text:<36}  ; {}", fact(func, kind)),
        None => text,
    }
}

fn address(dst: Reg, offset: i64, symbol: &str) -> String {
    if offset == 0 { format!("{dst} = &{symbol}") } else { format!("{dst} = &{symbol}+{offset}") }
}

/// The name of what a relocation refers to.
#[must_use]
pub fn symbol(func: &Function, target: RelocTarget) -> String {
    match target {
        RelocTarget::Kfunc(id) | RelocTarget::KfuncAddr(id) => id.row().name.into(),
        RelocTarget::Func(callee) => func.refs.functions[callee].name.clone(),
        RelocTarget::Global(global) => func.refs.globals[global].name.clone(),
        RelocTarget::Ksym(ksym) => func.refs.ksyms[ksym].clone(),
        RelocTarget::Map(map) => func.refs.maps[map].name.clone(),
    }
}

/// The fact that a CO-RE relocation asks for.
#[must_use]
pub fn fact(func: &Function, kind: CoreKind) -> String {
    match kind {
        CoreKind::FieldByteOffset(field) => {
            let field = &func.refs.fields[field];
            format!("{}.{}", field.container, field.path)
        }
        CoreKind::FieldExists(field) => {
            let field = &func.refs.fields[field];
            format!("exists {}.{}", field.container, field.path)
        }
        CoreKind::FieldFact(fact, field) => {
            let field = &func.refs.fields[field];
            format!("{} of {}.{}", fact.spelling(), field.container, field.path)
        }
        CoreKind::EnumValue(value) => format!("enumerator {}", func.refs.enums[value].name),
        CoreKind::EnumExists(value) => format!("exists enumerator {}", func.refs.enums[value].name),
        CoreKind::TypeIdTarget(ty) => format!("type id of {}", func.refs.types[ty]),
    }
}
