//! Which instructions of a relocated program can never run, by looking at constants alone.
//!
//! A test whether the kernel has a member, a function or a symbol becomes a branch on a constant
//! when the object is relocated, and the verifier deletes the side that is not taken. Nothing else
//! may be missing from the program that the kernel runs. Takes the instructions as a loader has relocated
//! them; knows nothing of the verifier's own reasoning, on purpose.

/// One 8-byte instruction: opcode, destination and source, offset, immediate.
#[derive(Clone, Copy)]
struct Insn(u64);

const LDDW: u8 = 0x18;
const MOV_IMM: [u8; 2] = [0xb4, 0xb7];
const JEQ_IMM: u8 = 0x15;
const JNE_IMM: u8 = 0x55;
const JA: u8 = 0x05;
const JA_LONG: u8 = 0x06;
const EXIT: u8 = 0x95;
const CALL: u8 = 0x85;
const PSEUDO_CALL: u64 = 1;

impl Insn {
    fn opcode(self) -> u8 {
        (self.0 & 0xff) as u8
    }

    fn destination(self) -> u64 {
        self.0 >> 8 & 0xf
    }

    fn source(self) -> u64 {
        self.0 >> 12 & 0xf
    }

    fn offset(self) -> i64 {
        i64::from((self.0 >> 16) as i16)
    }

    fn immediate(self) -> i64 {
        i64::from((self.0 >> 32) as i32)
    }

    fn is_jump(self) -> bool {
        matches!(self.opcode() & 7, 5 | 6) && self.opcode() != CALL && self.opcode() != EXIT
    }

    fn target(self, at: usize) -> Option<usize> {
        let distance = if self.opcode() == JA_LONG { self.immediate() } else { self.offset() };
        usize::try_from(i64::try_from(at).ok()? + 1 + distance).ok()
    }

    /// Does it change this register? Calls change the first six.
    fn writes(self, register: u64) -> bool {
        match self.opcode() & 7 {
            0 | 1 | 4 | 7 => self.destination() == register,
            5 if self.opcode() == CALL => register < 6,
            // Atomic instructions may write their source or R0.
            3 => self.opcode() & 0xe0 == 0xc0,
            _ => false,
        }
    }
}

/// How many of the instructions the verifier deletes: those that cannot be reached, and jumps that lead nowhere else when
/// those are gone (`opt_remove_dead_code`, `opt_remove_nops`, kernel/bpf/verifier.c, 6.12).
#[must_use]
pub fn count(program: &[u64]) -> usize {
    let insns: Vec<Insn> = program.iter().copied().map(Insn).collect();
    let reached = reached(&insns);
    let lives = |at: usize| reached.get(at).copied().unwrap_or(true);
    let is_nop = |at: usize, insn: Insn| {
        let leads_on = |target: usize| target > at && (at + 1..target).all(|between| !lives(between));
        match insn.opcode() {
            JA | JA_LONG => insn.target(at).is_some_and(leads_on),
            _ if insn.is_jump() => match decided(&insns, at) {
                Some(true) => insn.target(at).is_some_and(leads_on),
                Some(false) => true,
                None => false,
            },
            _ => false,
        }
    };
    (0_usize..).zip(&insns).filter(|(at, insn)| !lives(*at) || is_nop(*at, **insn)).count()
}

/// Which instructions can be reached.
fn reached(insns: &[Insn]) -> Vec<bool> {
    let mut reached = vec![false; insns.len()];
    let mut waiting = vec![0];
    while let Some(at) = waiting.pop() {
        let Some(insn) = insns.get(at).copied() else { continue };
        match reached.get_mut(at) {
            Some(seen) if !*seen => *seen = true,
            _ => continue,
        }
        match insn.opcode() {
            EXIT => {}
            // A call of a function of the program goes there, and comes back.
            CALL if insn.source() == PSEUDO_CALL => {
                let callee = i64::try_from(at).ok().map(|at| at + 1 + insn.immediate());
                waiting.extend(callee.and_then(|callee| usize::try_from(callee).ok()));
                waiting.push(at + 1);
            }
            JA | JA_LONG => waiting.extend(insn.target(at)),
            LDDW => {
                if let Some(second) = reached.get_mut(at + 1) {
                    *second = true;
                }
                waiting.push(at + 2);
            }
            _ if insn.is_jump() => {
                let taken = decided(insns, at);
                if taken != Some(false) {
                    waiting.extend(insn.target(at));
                }
                if taken != Some(true) {
                    waiting.push(at + 1);
                }
            }
            _ => waiting.push(at + 1),
        }
    }
    reached
}

/// Is the jump at `at` taken, if the instructions right before it say so?
fn decided(insns: &[Insn], at: usize) -> Option<bool> {
    let jump = *insns.get(at)?;
    let wants_equal = match jump.opcode() {
        JEQ_IMM => true,
        JNE_IMM => false,
        _ => return None,
    };
    let register = jump.destination();
    for before in (0..at).rev() {
        // Somebody may come in here from elsewhere, with another value.
        let entered = insns
            .iter()
            .enumerate()
            .any(|(from, insn)| insn.is_jump() && insn.target(from) == Some(before + 1));
        let insn = *insns.get(before)?;
        // The second half of a wide load has no opcode.
        if insn.opcode() == 0 && before > 0 && insns.get(before - 1)?.opcode() == LDDW {
            continue;
        }
        if entered || insn.is_jump() || insn.opcode() == EXIT {
            return None;
        }
        if !insn.writes(register) {
            continue;
        }
        let value = match insn.opcode() {
            opcode if MOV_IMM.contains(&opcode) => insn.immediate(),
            LDDW => insn.immediate() & 0xffff_ffff | insns.get(before + 1)?.immediate() << 32,
            _ => return None,
        };
        return Some((value == jump.immediate()) == wants_equal);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insn(opcode: u8, registers: u8, offset: i16, immediate: i32) -> u64 {
        u64::from(opcode)
            | u64::from(registers) << 8
            | u64::from(offset as u16) << 16
            | u64::from(immediate as u32) << 32
    }

    #[test]
    fn the_side_of_a_constant_test_that_is_not_taken_is_dead() {
        // r3 = SYMBOL ll; if r3 != 0 goto +2; r0 = 1; exit; r0 = 2; exit
        let program = |symbol| {
            vec![
                insn(LDDW, 3, 0, symbol),
                insn(0, 0, 0, 0),
                insn(JNE_IMM, 3, 2, 0),
                insn(0xb7, 0, 0, 1),
                insn(EXIT, 0, 0, 0),
                insn(0xb7, 0, 0, 2),
                insn(EXIT, 0, 0, 0),
            ]
        };
        // The two of the other side, and the test itself, because what is left of it leads to the next instruction.
        assert_eq!(count(&program(0x1000)), 3);
        assert_eq!(count(&program(0)), 3);
    }

    #[test]
    fn a_register_that_a_call_changed_is_not_constant() {
        // r0 = 0; call 5; if r0 == 0 goto +1; r0 = 1; exit
        let program = [
            insn(0xb7, 0, 0, 0),
            insn(CALL, 0, 0, 5),
            insn(JEQ_IMM, 0, 1, 0),
            insn(0xb7, 0, 0, 1),
            insn(EXIT, 0, 0, 0),
        ];
        assert_eq!(count(&program), 0);
    }
}
