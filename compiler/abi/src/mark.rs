//! A mark: the instruction by which a traced policy tells a simulator that a point was passed.
//!
//! It is a jump to the next instruction whose other fields are used. The kernel refuses such a jump (`do_check`,
//! `kernel/bpf/verifier.c`, 6.12: `BPF_JA uses reserved fields`), so a traced policy cannot be loaded by mistake.
//!
//! | field | holds |
//! |---|---|
//! | opcode | `BPF_JMP \| BPF_JA` |
//! | `off` | 0 |
//! | `imm` | the point's number and 1, so that it is not 0 |
//! | `src_reg` | 1 if the point is passed by an object, else 0 |
//! | `dst_reg` | the register that points to the object: a task, a memcg or a css |

/// Points of one policy: the last one's number and 1 must be positive as 32 bits.
pub const MAX_POINTS: u32 = i32::MAX as u32;

/// `BPF_JMP | BPF_JA`
const JUMP: u64 = 0x05;
const WITH_OBJECT: u64 = 1;

/// The instruction.
#[must_use]
pub fn encode(point: u32, object: Option<u8>) -> u64 {
    let object = object.map_or(0, |register| WITH_OBJECT << 12 | u64::from(register & 15) << 8);
    JUMP | object | u64::from(point.wrapping_add(1)) << 32
}

/// The point, and the register that points to the object; none if the instruction is no mark.
#[must_use]
pub fn decode(insn: u64) -> Option<(u32, Option<u8>)> {
    let point = ((insn >> 32) as u32).checked_sub(1)?;
    let object = Some((insn >> 8 & 15) as u8).filter(|_| insn >> 12 & 15 == WITH_OBJECT);
    (encode(point, object) == insn && point < MAX_POINTS).then_some((point, object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_inverts_encoding() {
        for point in [0, 1, 70_000, MAX_POINTS - 1] {
            for object in [None, Some(0), Some(9)] {
                assert_eq!(decode(encode(point, object)), Some((point, object)));
            }
        }
    }

    #[test]
    fn what_a_kernel_takes_is_no_mark() {
        let (jump, jump_on, jump_back, exit) = (0x05, 0x0000_0000_0007_0005, 0x0000_0000_ffff_0005, 0x95);
        for insn in [jump, jump_on, jump_back, exit] {
            assert_eq!(decode(insn), None, "{insn:#x}");
        }
    }
}
