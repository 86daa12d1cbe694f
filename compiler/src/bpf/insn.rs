//! BPF instructions with real registers: their encoding, decoding and text.
//!
//! The only file that knows opcodes, but for marks, which `oomc-abi` has for the simulator, too. What the `bpf-ins` crate encodes right is taken from it; the rest
//! (32-bit jumps, signed division, sign-extending moves and loads, calls of kernel functions, long jumps)
//! is patched onto its encodings here. Text is the notation of the kernel's verifier
//! (`kernel/bpf/disasm.c`, 6.12), so that dumps and verifier logs compare by eye.

use core::fmt;

use bpf_ins::{ArithmeticOperation, Instruction, JumpOperation, MemoryOpSize, Register};
use oomc_abi::mark;

use crate::ir::{Cond, Size};

/// A register: R0–R10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reg(u8);

impl Reg {
    /// The result of a call.
    pub const R0: Self = Self(0);
    /// The first argument.
    pub const R1: Self = Self(1);
    /// The frame pointer; read-only.
    pub const FRAME: Self = Self(10);

    /// Register `number`, if there is one.
    #[must_use]
    pub fn new(number: u8) -> Option<Self> {
        (number <= 10).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    fn encode(self) -> Register {
        match self.0 {
            0 => Register::R0,
            1 => Register::R1,
            2 => Register::R2,
            3 => Register::R3,
            4 => Register::R4,
            5 => Register::R5,
            6 => Register::R6,
            7 => Register::R7,
            8 => Register::R8,
            9 => Register::R9,
            // There is no larger number: see [`Self::new`].
            _ => Register::R10,
        }
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// The second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Src<R> {
    /// A register.
    Reg(R),
    /// A constant, sign-extended.
    Imm(i32),
}

impl<R: Copy> Src<R> {
    /// The register, if it is one.
    pub fn reg(self) -> Option<R> {
        match self {
            Self::Reg(reg) => Some(reg),
            Self::Imm(_) => None,
        }
    }
}

/// How many bits an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Width {
    W32,
    W64,
}

/// Operators that read and write their first register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the instruction set")]
pub enum AluOp {
    Add,
    Sub,
    Mul,
    Div,
    Sdiv,
    Mod,
    And,
    Or,
    Xor,
    Lsh,
    Rsh,
    Arsh,
}

impl AluOp {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Div,
        Self::Sdiv,
        Self::Mod,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::Lsh,
        Self::Rsh,
        Self::Arsh,
    ];

    fn code(self) -> ArithmeticOperation {
        match self {
            Self::Add => ArithmeticOperation::Add,
            Self::Sub => ArithmeticOperation::Sub,
            Self::Mul => ArithmeticOperation::Mul,
            Self::Div | Self::Sdiv => ArithmeticOperation::Div,
            Self::Mod => ArithmeticOperation::Mod,
            Self::And => ArithmeticOperation::And,
            Self::Or => ArithmeticOperation::Or,
            Self::Xor => ArithmeticOperation::Xor,
            Self::Lsh => ArithmeticOperation::Lhs,
            Self::Rsh => ArithmeticOperation::Rhs,
            Self::Arsh => ArithmeticOperation::Ash,
        }
    }

    /// As the verifier prints it.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Sub => "-=",
            Self::Mul => "*=",
            Self::Div => "/=",
            Self::Sdiv => "s/=",
            Self::Mod => "%=",
            Self::And => "&=",
            Self::Or => "|=",
            Self::Xor => "^=",
            Self::Lsh => "<<=",
            Self::Rsh => ">>=",
            Self::Arsh => "s>>=",
        }
    }
}

/// What a call instruction calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callee {
    /// A function that the loader fills in, of the kernel or of the module: `src_reg` 1 and `imm` −1, as
    /// clang leaves them.
    Unresolved,
    /// A function of the same program, so many places behind the next instruction: `src_reg` 1.
    Local(i32),
    /// A kernel function by its BTF id: `src_reg` 2.
    Kfunc(i32),
    /// A numbered helper.
    Helper(i32),
}

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "operands are named as in the instruction set")]
pub enum Insn {
    /// `dst = src`
    Mov { width: Width, dst: Reg, src: Src<Reg> },
    /// `dst = (s8)src`: keeps the low bits, extends the sign to 64 bits. [`Size::B8`] has no such form.
    MovSx { size: Size, dst: Reg, src: Reg },
    /// `dst op= src`
    Alu { op: AluOp, width: Width, dst: Reg, src: Src<Reg> },
    /// `dst = -dst`
    Neg { width: Width, dst: Reg },
    /// `dst = imm ll`; takes two places.
    Wide { dst: Reg, imm: i64 },
    /// `dst = *(size *)(base + off)`
    Load { size: Size, signed: bool, dst: Reg, base: Reg, off: i16 },
    /// `*(size *)(base + off) = src`
    Store { size: Size, base: Reg, off: i16, src: Src<Reg> },
    /// `call`
    Call(Callee),
    /// `if a cond b goto +off`, counted from the next instruction.
    JumpIf { cond: Cond, width: Width, a: Reg, b: Src<Reg>, off: i16 },
    /// `goto +off`
    Jump { off: i16 },
    /// A point of a traced policy ([`mark`]): no kernel takes it.
    Mark { point: u32, object: Option<Reg> },
    /// `gotol +off`: the offset has 32 bits.
    JumpLong { off: i32 },
    /// `exit`
    Exit,
}

const CLASS: u64 = 0x07;
const CLASS_JMP: u64 = 0x05;
const CLASS_JMP32: u64 = 0x06;
const CLASS_ALU64: u64 = 0x07;
/// `BPF_SRC` / `BPF_X`: the second operand is a register.
const SRC_REG: u64 = 0x08;
const MODE: u64 = 0xe0;
/// `BPF_MEM`
const MODE_MEM: u64 = 0x60;
/// `BPF_MEMSX`
const MODE_MEMSX: u64 = 0x80;
const OP: u64 = 0xf0;
/// `BPF_PSEUDO_CALL`
const PSEUDO_CALL: u64 = 1;
/// `BPF_PSEUDO_KFUNC_CALL`
const PSEUDO_KFUNC_CALL: u64 = 2;

/// Puts a value in the field `off`.
fn with_off(raw: u64, off: i16) -> u64 {
    raw & !0xffff_0000 | u64::from(off as u16) << 16
}

impl Insn {
    /// The encoding; the second half only of [`Insn::Wide`].
    #[must_use]
    pub fn encode(&self) -> (u64, Option<u64>) {
        let raw = match *self {
            Self::Mov { width: Width::W64, dst, src: Src::Reg(src) } => {
                Instruction::movx64(dst.encode(), src.encode())
            }
            Self::Mov { width: Width::W32, dst, src: Src::Reg(src) } => {
                Instruction::movx32(dst.encode(), src.encode())
            }
            Self::Mov { width: Width::W64, dst, src: Src::Imm(imm) } => Instruction::mov64(dst.encode(), imm),
            Self::Mov { width: Width::W32, dst, src: Src::Imm(imm) } => Instruction::mov32(dst.encode(), imm),
            // The width of what is extended stands in `off`.
            Self::MovSx { size, dst, src } => {
                let (raw, _) = Instruction::movx64(dst.encode(), src.encode()).encode();
                return (with_off(raw, (size.bytes() * 8) as i16), None);
            }
            Self::Alu { op, width, dst, src } => return (encode_alu(op, width, dst, src), None),
            Self::Neg { width: Width::W64, dst } => {
                Instruction::alu64(dst.encode(), 0, ArithmeticOperation::Neg)
            }
            Self::Neg { width: Width::W32, dst } => {
                Instruction::alu32(dst.encode(), 0, ArithmeticOperation::Neg)
            }
            Self::Wide { dst, imm } => Instruction::load(dst.encode(), imm, MemoryOpSize::DoubleWord),
            Self::Load { size, signed, dst, base, off } => {
                let (raw, _) =
                    Instruction::loadx(dst.encode(), base.encode(), off, memory_size(size)).encode();
                return (if signed { raw & !MODE | MODE_MEMSX } else { raw }, None);
            }
            Self::Store { size, base, off, src: Src::Reg(src) } => {
                Instruction::storex(base.encode(), off, src.encode(), memory_size(size))
            }
            Self::Store { size, base, off, src: Src::Imm(imm) } => {
                Instruction::store(base.encode(), off, i64::from(imm), memory_size(size))
            }
            Self::Call(callee) => return (encode_call(callee), None),
            Self::JumpIf { cond, width, a, b, off } => {
                return (encode_jump_if(cond, width, a, b, off), None);
            }
            Self::Jump { off } => Instruction::jmp_abs(off),
            Self::Mark { point, object } => {
                return (mark::encode(point, object.map(Reg::number)), None);
            }
            Self::JumpLong { off } => {
                return (
                    Instruction::jmp_abs(0).encode().0 & !CLASS | CLASS_JMP32 | u64::from(off as u32) << 32,
                    None,
                );
            }
            Self::Exit => Instruction::exit(),
        };
        raw.encode()
    }

    /// How many 8-byte places it takes.
    #[must_use]
    pub fn places(&self) -> u32 {
        if matches!(self, Self::Wide { .. }) { 2 } else { 1 }
    }

    /// Reads the instruction at the start of `code`, if it is one that this compiler emits or one that a
    /// loader makes of it.
    #[must_use]
    pub fn decode(code: &[u64]) -> Option<Self> {
        let raw = *code.first()?;
        let dst = Reg::new((raw >> 8 & 0xf) as u8)?;
        let src = Reg::new((raw >> 12 & 0xf) as u8)?;
        let (off, imm) = (offset(raw), immediate(raw));
        let operand = if raw & SRC_REG == 0 { Src::Imm(imm) } else { Src::Reg(src) };
        let insn = match raw & CLASS {
            0x04 | CLASS_ALU64 => Self::decode_alu(raw, dst, src, operand)?,
            0x00 if raw & 0xff == 0x18 => {
                let high = code.get(1)? & 0xffff_ffff_0000_0000;
                Self::Wide { dst, imm: (high | u64::from(imm as u32)) as i64 }
            }
            0x01 => {
                let signed = match raw & MODE {
                    MODE_MEM => false,
                    MODE_MEMSX => true,
                    _ => return None,
                };
                Self::Load { size: size_of(raw), signed, dst, base: src, off }
            }
            0x02 if raw & MODE == MODE_MEM => {
                Self::Store { size: size_of(raw), base: dst, off, src: Src::Imm(imm) }
            }
            0x03 if raw & MODE == MODE_MEM => {
                Self::Store { size: size_of(raw), base: dst, off, src: Src::Reg(src) }
            }
            CLASS_JMP | CLASS_JMP32 => Self::decode_jump(raw, dst, src, operand)?,
            _ => return None,
        };
        Some(insn)
    }

    fn decode_alu(raw: u64, dst: Reg, src: Reg, operand: Src<Reg>) -> Option<Self> {
        let off = offset(raw);
        let width = if raw & CLASS == CLASS_ALU64 { Width::W64 } else { Width::W32 };
        Some(match raw & OP {
            0xb0 if off != 0 => {
                let sizes = [(8, Size::B1), (16, Size::B2), (32, Size::B4)];
                let (_, size) = sizes.into_iter().find(|(bits, _)| *bits == off)?;
                Self::MovSx { size, dst, src }
            }
            0xb0 => Self::Mov { width, dst, src: operand },
            0x80 => Self::Neg { width, dst },
            code => {
                let op = *AluOp::ALL.iter().find(|op| {
                    op.code() as u64 == code && (**op == AluOp::Sdiv) == (code == 0x30 && off == 1)
                })?;
                Self::Alu { op, width, dst, src: operand }
            }
        })
    }

    fn decode_jump(raw: u64, dst: Reg, src: Reg, operand: Src<Reg>) -> Option<Self> {
        let (off, imm) = (offset(raw), immediate(raw));
        Some(match (raw & OP, raw & CLASS) {
            (0x00, CLASS_JMP) if imm != 0 => {
                let (point, object) = mark::decode(raw)?;
                Self::Mark { point, object: object.and_then(Reg::new) }
            }
            (0x00, CLASS_JMP) => Self::Jump { off },
            (0x00, _) => Self::JumpLong { off: imm },
            (0x80, CLASS_JMP) => Self::Call(match (u64::from(src.0), imm) {
                (0, id) => Callee::Helper(id),
                (PSEUDO_CALL, -1) => Callee::Unresolved,
                (PSEUDO_CALL, off) => Callee::Local(off),
                (PSEUDO_KFUNC_CALL, id) => Callee::Kfunc(id),
                _ => return None,
            }),
            (0x90, CLASS_JMP) => Self::Exit,
            (code, class) => {
                let cond = *Cond::ALL.iter().find(|cond| jump_code(**cond) as u64 == code)?;
                let width = if class == CLASS_JMP { Width::W64 } else { Width::W32 };
                Self::JumpIf { cond, width, a: dst, b: operand, off }
            }
        })
    }

    /// One instruction of every form that [`Insn`] can express, several values of each field: what the
    /// encoding test compares with another assembler.
    #[must_use]
    pub fn every_form() -> Vec<Self> {
        let regs = [Reg(0), Reg(3), Reg(9)];
        let imms = [0, 1, -1, 0x1234_5678, i32::MIN];
        let offs = [0, 8, -8, i16::MAX, i16::MIN];
        let widths = [Width::W32, Width::W64];
        let sizes = [Size::B1, Size::B2, Size::B4, Size::B8];
        let sources: Vec<Src<Reg>> = regs.map(Src::Reg).into_iter().chain(imms.map(Src::Imm)).collect();
        let mut all = Vec::new();
        for dst in regs {
            for width in widths {
                all.push(Self::Neg { width, dst });
                for &src in &sources {
                    all.push(Self::Mov { width, dst, src });
                    all.extend(AluOp::ALL.iter().map(|&op| Self::Alu { op, width, dst, src }));
                    for &cond in Cond::ALL {
                        all.extend(offs.map(|off| Self::JumpIf { cond, width, a: dst, b: src, off }));
                    }
                }
            }
            all.extend([0, -1, i64::MAX, i64::MIN, 0x1234_5678_9abc_def0].map(|imm| Self::Wide { dst, imm }));
            for size in sizes {
                for off in offs {
                    all.extend(sources.iter().map(|&src| Self::Store { size, base: dst, off, src }));
                    for base in [Reg(1), Reg::FRAME] {
                        all.push(Self::Load { size, signed: false, dst, base, off });
                        if size != Size::B8 {
                            all.push(Self::Load { size, signed: true, dst, base, off });
                        }
                    }
                }
                if size != Size::B8 {
                    all.extend(regs.map(|src| Self::MovSx { size, dst, src }));
                }
            }
        }
        all.extend(offs.map(|off| Self::Jump { off }));
        let points = [0, 7, mark::MAX_POINTS - 1];
        all.extend(points.map(|point| Self::Mark { point, object: None }));
        all.extend(regs.map(|object| Self::Mark { point: 1, object: Some(object) }));
        all.extend([0, 40_000, -40_000, i32::MAX].map(|off| Self::JumpLong { off }));
        all.push(Self::Mov { width: Width::W64, dst: Reg(1), src: Src::Reg(Reg::FRAME) });
        all.extend([Self::Exit, Self::Call(Callee::Helper(113)), Self::Call(Callee::Unresolved)]);
        all.push(Self::Call(Callee::Kfunc(54_321)));
        all.extend([0, 70_000, -70_000].map(|off| Self::Call(Callee::Local(off))));
        all
    }
}

/// The field `off`.
fn offset(raw: u64) -> i16 {
    (raw >> 16) as u16 as i16
}

/// The field `imm`.
fn immediate(raw: u64) -> i32 {
    (raw >> 32) as u32 as i32
}

fn encode_alu(op: AluOp, width: Width, dst: Reg, src: Src<Reg>) -> u64 {
    let (dst, code) = (dst.encode(), op.code());
    let insn = match (width, src) {
        (Width::W64, Src::Reg(src)) => Instruction::alux64(dst, src.encode(), code),
        (Width::W32, Src::Reg(src)) => Instruction::alux32(dst, src.encode(), code),
        (Width::W64, Src::Imm(imm)) => Instruction::alu64(dst, imm, code),
        (Width::W32, Src::Imm(imm)) => Instruction::alu32(dst, imm, code),
    };
    let (raw, _) = insn.encode();
    if op == AluOp::Sdiv { with_off(raw, 1) } else { raw }
}

fn encode_call(callee: Callee) -> u64 {
    let (imm, pseudo) = match callee {
        Callee::Helper(id) => (id as u32, 0),
        Callee::Unresolved => (u32::MAX, PSEUDO_CALL),
        Callee::Local(off) => (off as u32, PSEUDO_CALL),
        Callee::Kfunc(id) => (id as u32, PSEUDO_KFUNC_CALL),
    };
    let (raw, _) = Instruction::call(imm).encode();
    raw | pseudo << 12
}

fn encode_jump_if(cond: Cond, width: Width, a: Reg, b: Src<Reg>, off: i16) -> u64 {
    let insn = match b {
        Src::Reg(b) => Instruction::jmp_ifx(a.encode(), jump_code(cond), b.encode(), off),
        Src::Imm(imm) => Instruction::jmp_if(a.encode(), jump_code(cond), i64::from(imm), off),
    };
    let (raw, _) = insn.encode();
    if width == Width::W32 { raw & !CLASS | CLASS_JMP32 } else { raw }
}

fn jump_code(cond: Cond) -> JumpOperation {
    match cond {
        Cond::Eq => JumpOperation::IfEqual,
        Cond::Ne => JumpOperation::IfNotEqual,
        Cond::Ult => JumpOperation::IfLessThan,
        Cond::Ule => JumpOperation::IfLessThanOrEqual,
        Cond::Ugt => JumpOperation::IfGreater,
        Cond::Uge => JumpOperation::IfGreaterOrEqual,
        Cond::Slt => JumpOperation::IfSignedLessThan,
        Cond::Sle => JumpOperation::IfSignedLessThanOrEqual,
        Cond::Sgt => JumpOperation::IfSignedGreater,
        Cond::Sge => JumpOperation::IfSignedGreaterOrEqual,
        Cond::Test => JumpOperation::IfAnd,
    }
}

/// As the verifier prints it.
#[must_use]
pub fn cond_symbol(cond: Cond) -> &'static str {
    match cond {
        Cond::Eq => "==",
        Cond::Ne => "!=",
        Cond::Ult => "<",
        Cond::Ule => "<=",
        Cond::Ugt => ">",
        Cond::Uge => ">=",
        Cond::Slt => "s<",
        Cond::Sle => "s<=",
        Cond::Sgt => "s>",
        Cond::Sge => "s>=",
        Cond::Test => "&",
    }
}

fn memory_size(size: Size) -> MemoryOpSize {
    match size {
        Size::B1 => MemoryOpSize::Byte,
        Size::B2 => MemoryOpSize::HalfWord,
        Size::B4 => MemoryOpSize::Word,
        Size::B8 => MemoryOpSize::DoubleWord,
    }
}

/// The size of a load or store.
fn size_of(raw: u64) -> Size {
    match raw & 0x18 {
        0x10 => Size::B1,
        0x08 => Size::B2,
        0x00 => Size::B4,
        _ => Size::B8,
    }
}

/// `u32`, `s8`: the C-like name of a memory access.
#[must_use]
pub fn access(size: Size, signed: bool) -> String {
    format!("{}{}", if signed { 's' } else { 'u' }, size.bytes() * 8)
}

/// A register as an operation of this width names it.
struct Sized(Width, Reg);

impl fmt::Display for Sized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 == Width::W64 { 'r' } else { 'w' }, self.1.0)
    }
}

impl fmt::Display for Insn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Mov { width, dst, src: Src::Reg(src) } => {
                write!(f, "{} = {}", Sized(width, dst), Sized(width, src))
            }
            Self::Mov { width, dst, src: Src::Imm(imm) } => write!(f, "{} = {imm}", Sized(width, dst)),
            Self::MovSx { size, dst, src } => write!(f, "{dst} = ({}){src}", access(size, true)),
            Self::Alu { op, width, dst, src: Src::Reg(src) } => {
                write!(f, "{} {} {}", Sized(width, dst), op.symbol(), Sized(width, src))
            }
            Self::Alu { op, width, dst, src: Src::Imm(imm) } => {
                write!(f, "{} {} {imm}", Sized(width, dst), op.symbol())
            }
            Self::Neg { width, dst } => write!(f, "{} = -{}", Sized(width, dst), Sized(width, dst)),
            Self::Wide { dst, imm } => write!(f, "{dst} = {imm:#x}"),
            Self::Load { size, signed, dst, base, off } => {
                write!(f, "{dst} = *({} *)({base} {off:+})", access(size, signed))
            }
            Self::Store { size, base, off, src: Src::Reg(src) } => {
                write!(f, "*({} *)({base} {off:+}) = {src}", access(size, false))
            }
            Self::Store { size, base, off, src: Src::Imm(imm) } => {
                write!(f, "*({} *)({base} {off:+}) = {imm}", access(size, false))
            }
            Self::Call(Callee::Helper(id)) => write!(f, "call #{id}"),
            Self::Call(Callee::Kfunc(id)) => write!(f, "call kernel-function#{id}"),
            Self::Call(Callee::Unresolved) => write!(f, "call kernel-function"),
            Self::Call(Callee::Local(off)) => write!(f, "call pc{off:+}"),
            Self::JumpIf { cond, width, a, b: Src::Reg(b), off } => {
                write!(f, "if {} {} {} goto pc{off:+}", Sized(width, a), cond_symbol(cond), Sized(width, b))
            }
            Self::JumpIf { cond, width, a, b: Src::Imm(imm), off } => {
                write!(f, "if {} {} {imm:#x} goto pc{off:+}", Sized(width, a), cond_symbol(cond))
            }
            Self::Jump { off } => write!(f, "goto pc{off:+}"),
            Self::Mark { point, object: None } => write!(f, "mark {point}"),
            Self::Mark { point, object: Some(object) } => write!(f, "mark {point}, {object}"),
            Self::JumpLong { off } => write!(f, "gotol pc{off:+}"),
            Self::Exit => write!(f, "exit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_inverts_encoding() {
        for insn in Insn::every_form() {
            let (first, second) = insn.encode();
            let code: Vec<u64> = core::iter::once(first).chain(second).collect();
            assert_eq!(Insn::decode(&code), Some(insn), "{insn}");
            assert_eq!(code.len() as u32, insn.places());
        }
    }

    #[test]
    fn text_is_the_verifiers() {
        let text = |insn: Insn| insn.to_string();
        assert_eq!(
            text(Insn::Load { size: Size::B8, signed: false, dst: Reg(1), base: Reg(2), off: 8 }),
            "r1 = *(u64 *)(r2 +8)"
        );
        let jump = Insn::JumpIf { cond: Cond::Slt, width: Width::W32, a: Reg(1), b: Src::Imm(0), off: -3 };
        assert_eq!(text(jump), "if w1 s< 0x0 goto pc-3");
    }
}
