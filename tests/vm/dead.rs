//! Code that is dead by the types of the kernel under test, and that its verifier may therefore remove.
//!
//! A program asks whether the kernel attaches policies by a mechanism of its own, and for functions that it may
//! lack; the loader turns each answer into a constant. Everything else must be alive.

use oomc_compiler::bpf::{CoreKind, Program, RelocTarget};
use oomc_compiler::{KernelView, Source, bpf, lower, passes};

/// How many instructions of a policy's programs are dead on the kernel under test, at most.
pub(crate) fn count(source: &Source, view: &KernelView) -> usize {
    let Some(policy) = oomc_compiler::check(source, view).policy else { return 0 };
    let mut module = lower::lower(&policy, view);
    passes::run_all(&mut module);
    bpf::compile_all(&module, source, view).unwrap_or_default().iter().map(in_program).sum()
}

/// Classes and operations of jumps, in the lowest byte of an instruction.
const JMP: u64 = 5;
const JMP32: u64 = 6;
const WIDE: u64 = 0x18;
const ALWAYS: u64 = 0x00;
const EQ: u64 = 0x10;
const NE: u64 = 0x50;
const CALL: u64 = 0x80;
const EXIT: u64 = 0x90;

fn in_program(program: &Program) -> usize {
    let code = &program.code;
    let mut seen = vec![false; code.len()];
    let mut decided = 0;
    let mut work = vec![0];
    while let Some(at) = work.pop() {
        let Some(&insn) = code.get(at) else { continue };
        if seen.get(at).copied().unwrap_or(true) {
            continue;
        }
        let length = if insn & 0xff == WIDE { 2 } else { 1 };
        seen.iter_mut().skip(at).take(length).for_each(|seen| *seen = true);
        let next = at + length;
        let short = (insn >> 16) as i16 as isize;
        let long = (insn >> 32) as i32 as isize;
        let to = |off: isize| next.wrapping_add_signed(off);
        let (class, operation) = (insn & 7, insn & 0xf0);
        match (class, operation) {
            (JMP | JMP32, EXIT) => {}
            (JMP | JMP32, CALL) => work.push(next),
            (JMP, ALWAYS) => work.push(to(short)),
            (JMP32, ALWAYS) => work.push(to(long)),
            (JMP | JMP32, _) => match answer(program, at) {
                // The jump itself may go, too.
                Some(answer) if matches!(operation, EQ | NE) => {
                    decided += 1;
                    work.push(if answer == (operation == NE) { to(short) } else { next });
                }
                _ => work.extend([next, to(short)]),
            },
            _ => work.push(next),
        }
    }
    seen.iter().filter(|seen| !**seen).count() + decided
}

/// Whether what a jump compares with 0 is there on the kernel under test, if it is such a question: it has all
/// functions, and attaches policies by a link of its own.
fn answer(program: &Program, jump: usize) -> Option<bool> {
    let function = program
        .relocs
        .iter()
        .any(|reloc| reloc.insn as usize + 2 == jump && matches!(reloc.target, RelocTarget::KfuncAddr(_)));
    let attaches = program
        .core
        .iter()
        .any(|core| core.insn as usize + 1 == jump && matches!(core.kind, CoreKind::EnumExists(_)));
    if function { Some(true) } else { attaches.then_some(false) }
}
