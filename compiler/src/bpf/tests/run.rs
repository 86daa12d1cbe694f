//! Two evaluators: of IR, and of the machine code made from it.
//!
//! They share a model of the world, in which calls give numbers that depend on their arguments and memory
//! that nobody wrote holds numbers that depend on its address. Whatever the convention leaves undefined after
//! a call is filled with garbage.

use std::collections::HashMap;

use oomc_abi::kfuncs::Ret;
use oomc_abi::resolve::KernelView;

use super::super::frame::Frame;
use super::super::insn::{AluOp, Callee, Insn, Reg, Src, Width};
use super::super::{Program, RelocTarget};
use crate::ir::{BinOp, BlockCall, FieldFact, Function, InstData, Operand, Size, Value};
use crate::passes::fold::{compute, extend, holds};

/// R10.
const FRAME: u64 = 0x7000_0000_0000;
const CONTEXT: u64 = 0x6000_0000_0000;
const GLOBALS: u64 = 0x5000_0000_0000;
const KSYMS: u64 = 0x4000_0000_0000;
const MAPS: u64 = 0x4800_0000_0000;
/// Steps after which a run is taken for endless.
const FUEL: usize = 300_000;

/// What can be seen of a run from outside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) result: u64,
    /// Callees and their arguments.
    pub(super) calls: Vec<(String, Vec<u64>)>,
    /// Stores outside the frame: address, size, value.
    pub(super) stores: Vec<(u64, u32, u64)>,
}

fn mix(seed: u64, value: u64) -> u64 {
    let mut hash = (seed ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^= hash >> 29;
    hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ hash >> 32
}

#[derive(Default)]
struct World {
    seen: Seen,
    memory: HashMap<u64, u8>,
}

impl World {
    fn load(&self, address: u64, size: Size) -> u64 {
        let byte = |at: u64| {
            let address = address.wrapping_add(at);
            u64::from(self.memory.get(&address).copied().unwrap_or(mix(7, address) as u8)) << (8 * at)
        };
        (0..u64::from(size.bytes())).map(byte).sum()
    }

    fn store(&mut self, address: u64, size: Size, value: u64) {
        for at in 0..u64::from(size.bytes()) {
            self.memory.insert(address.wrapping_add(at), (value >> (8 * at)) as u8);
        }
        if !(FRAME - 512..FRAME).contains(&address) {
            let kept = if size == Size::B8 { value } else { value & ((1 << (8 * size.bytes())) - 1) };
            self.seen.stores.push((address, size.bytes(), kept));
        }
    }

    /// A mark is seen as a call of nobody.
    fn mark(&mut self, point: u32, object: Option<u64>) {
        self.seen.calls.push((format!("mark {point}"), object.into_iter().collect()));
    }

    /// A small number, so that branches on it go both ways.
    fn call(&mut self, name: &str, args: Vec<u64>) -> u64 {
        let hash = args
            .iter()
            .fold(mix(name.len() as u64, self.seen.calls.len() as u64), |hash, arg| mix(hash, *arg));
        self.seen.calls.push((name.into(), args));
        if hash & 1 == 0 { hash % 5 } else { hash }
    }
}

/// Runs IR; a fact of the target is as the view has it.
pub(super) fn run_ir(func: &Function, view: &KernelView) -> Seen {
    let frame = Frame::new(func);
    let mut world = World::default();
    let mut values: HashMap<Value, u64> = HashMap::new();
    let mut block = func.entry().expect("an entry");
    for _ in 0..FUEL {
        let mut next: Option<BlockCall> = None;
        for &inst in &func.blocks[block].insts {
            let get = |value: &Value| values[value];
            let operand = |operand: &Operand| match operand {
                Operand::Value(value) => values[value],
                Operand::Imm(imm) => i64::from(*imm) as u64,
            };
            let member = |field| {
                let field = &func.refs.fields[field];
                view.member(&field.container, &field.path).expect("a member")
            };
            let result = match &func.insts[inst] {
                InstData::Iconst(imm) => *imm as u64,
                InstData::Binary(op, a, b) => compute(*op, get(a) as i64, operand(b) as i64) as u64,
                InstData::SignExtend(size, a) => extend(*size, get(a) as i64) as u64,
                InstData::Param(_) | InstData::CallFunc { .. } => panic!("one function alone"),
                InstData::LoadCtx(index) => world.load(CONTEXT + u64::from(*index) * 8, Size::B8),
                InstData::Load { size, ptr, offset } => {
                    world.load(get(ptr).wrapping_add_signed(i64::from(*offset)), *size)
                }
                InstData::Store { size, ptr, offset, value } => {
                    let (address, value) = (get(ptr).wrapping_add_signed(i64::from(*offset)), operand(value));
                    world.store(address, *size, value);
                    0
                }
                InstData::LoadField { ptr, field } | InstData::LoadPtr { ptr, field } => {
                    let member = member(*field);
                    let size = [Size::B1, Size::B2, Size::B4, Size::B8]
                        .into_iter()
                        .find(|size| size.bytes() == member.size)
                        .expect("a number");
                    let value = world.load(get(ptr).wrapping_add(u64::from(member.offset)), size);
                    if member.signed { extend(size, value as i64) as u64 } else { value }
                }
                InstData::FieldAddr { ptr, field } => get(ptr).wrapping_add(u64::from(member(*field).offset)),
                InstData::FieldFact(FieldFact::Offset, field) => u64::from(member(*field).offset),
                InstData::FieldFact(fact, field) => {
                    let field = &func.refs.fields[*field];
                    let bits = view.bit_field(&field.container, &field.path).expect("a bit-field");
                    u64::from(crate::bpf::select::bit_fact(*fact, &bits))
                }
                InstData::FieldExists(_) | InstData::EnumExists(_) => 1,
                InstData::EnumValue(value) => {
                    let name = &func.refs.enums[*value];
                    view.enumerator(&name.enumeration, &name.name).expect("an enumerator") as u64
                }
                InstData::TypeId(_) => 0,
                InstData::KsymAddr(ksym) => KSYMS + u64::from(ksym.as_u32()) * 0x1000,
                // Every kernel of these tests has every function.
                InstData::KfuncAddr(_) => KSYMS,
                InstData::MapAddr(map) => MAPS + u64::from(map.as_u32()) * 0x1000,
                InstData::StackAddr(slot) => {
                    FRAME.wrapping_add_signed(i64::from(frame.slot(*slot).expect("fits")))
                }
                InstData::GlobalAddr { global, offset } => {
                    GLOBALS + u64::from(global.as_u32()) * 0x10_0000 + u64::from(*offset)
                }
                InstData::PtrAdd(a, b) => get(a).wrapping_add(get(b)),
                InstData::Call { kfunc, args } => {
                    let args = args.iter().map(get).collect();
                    let value = world.call(kfunc.row().name, args);
                    match kfunc.row().ret {
                        Ret::Bool => value & 0xff,
                        Ret::Int => i64::from(value as i32) as u64,
                        _ => value,
                    }
                }
                InstData::CallHelper { helper, args } => {
                    let args = args.iter().map(get).collect();
                    world.call(helper.name, args)
                }
                InstData::Mark { point, object } => {
                    world.mark(*point, object.as_ref().map(get));
                    0
                }
                InstData::Jump(call) => {
                    next = Some(call.clone());
                    0
                }
                InstData::Branch { cond, a, b, then, otherwise } => {
                    let holds = holds(*cond, get(a) as i64, operand(b) as i64);
                    next = Some(if holds { then.clone() } else { otherwise.clone() });
                    0
                }
                InstData::Return(value) => {
                    world.seen.result = operand(value);
                    return world.seen;
                }
            };
            if let Some(value) = func.results[inst] {
                values.insert(value, result);
            }
        }
        let call = next.expect("a terminator");
        let args: Vec<u64> = call.args.iter().map(|arg| values[arg]).collect();
        values.extend(func.blocks[call.block].params.iter().copied().zip(args));
        block = call.block;
    }
    panic!("the function does not end");
}

/// Runs machine code whose relocations are still symbolic.
pub(super) fn run_bpf(program: &Program) -> Seen {
    let mut world = World::default();
    // Nothing but R1 and R10 is defined at the start.
    let mut regs = [0xdead_0000_0000_0000_u64; 11];
    (regs[1], regs[10]) = (CONTEXT, FRAME);
    let mut at: usize = 0;
    for _ in 0..FUEL {
        let insn = Insn::decode(&program.code[at..]).expect("an instruction");
        let reloc = program.relocs.iter().find(|reloc| reloc.insn as usize == at).map(|reloc| reloc.target);
        let reg = |reg: Reg| regs[usize::from(reg.number())];
        let source = |src: Src<Reg>| match src {
            Src::Reg(src) => reg(src),
            Src::Imm(imm) => i64::from(imm) as u64,
        };
        let address = |base: Reg, off: i16| reg(base).wrapping_add_signed(i64::from(off));
        let mut write = None;
        let mut next = at + insn.places() as usize;
        match insn {
            Insn::Mov { width, dst, src } => {
                let value = source(src);
                write = Some((dst, if width == Width::W32 { value & 0xffff_ffff } else { value }));
            }
            Insn::MovSx { size, dst, src } => write = Some((dst, extend(size, reg(src) as i64) as u64)),
            Insn::Neg { dst, .. } => write = Some((dst, reg(dst).wrapping_neg())),
            Insn::Alu { op, width, dst, src } => {
                assert_eq!(width, Width::W64, "32-bit arithmetic would cut a pointer");
                let op = match op {
                    AluOp::Add => BinOp::Add,
                    AluOp::Sub => BinOp::Sub,
                    AluOp::Mul => BinOp::Mul,
                    AluOp::Div => BinOp::Udiv,
                    AluOp::Sdiv => BinOp::Sdiv,
                    AluOp::Mod => BinOp::Umod,
                    AluOp::And => BinOp::And,
                    AluOp::Or => BinOp::Or,
                    AluOp::Xor => BinOp::Xor,
                    AluOp::Lsh => BinOp::Shl,
                    AluOp::Rsh => BinOp::Ushr,
                    AluOp::Arsh => BinOp::Sshr,
                };
                write = Some((dst, compute(op, reg(dst) as i64, source(src) as i64) as u64));
            }
            Insn::Wide { dst, imm } => {
                let base = match reloc {
                    Some(RelocTarget::Global(global)) => GLOBALS + u64::from(global.as_u32()) * 0x10_0000,
                    Some(RelocTarget::Map(map)) => MAPS + u64::from(map.as_u32()) * 0x1000,
                    Some(RelocTarget::KfuncAddr(_)) => KSYMS,
                    Some(RelocTarget::Ksym(ksym)) => KSYMS + u64::from(ksym.as_u32()) * 0x1000,
                    _ => 0,
                };
                write = Some((dst, base.wrapping_add(imm as u64)));
            }
            Insn::Load { size, signed, dst, base, off } => {
                let value = world.load(address(base, off), size);
                write = Some((dst, if signed { extend(size, value as i64) as u64 } else { value }));
            }
            Insn::Store { size, base, off, src } => {
                let (address, value) = (address(base, off), source(src));
                world.store(address, size, value);
            }
            Insn::Call(callee) => {
                let (name, count, ret) = match (callee, reloc) {
                    (Callee::Helper(id), _) => {
                        let all = oomc_abi::helpers::ALL;
                        let helper = all.iter().find(|helper| helper.id == id).expect("a helper");
                        (helper.name, helper.args, Ret::Long)
                    }
                    (_, Some(RelocTarget::Kfunc(id))) => (id.row().name, id.row().args, id.row().ret),
                    _ => panic!("a call of nobody at {at}"),
                };
                let value = world.call(name, regs[1..=usize::from(count)].to_vec());
                let garbage = mix(99, at as u64);
                regs[0] = match ret {
                    Ret::Void => garbage,
                    Ret::Bool => value & 0xff | garbage << 8,
                    Ret::Int => value & 0xffff_ffff | garbage << 32,
                    Ret::Long | Ret::Ptr => value,
                };
                (1..=5).for_each(|lost| regs[lost] = mix(garbage, lost as u64));
            }
            Insn::JumpIf { cond, width, a, b, off } => {
                let (mut a, mut b) = (reg(a) as i64, source(b) as i64);
                if width == Width::W32 {
                    // Extending both keeps the order of 32-bit numbers, signed or not.
                    (a, b) = (i64::from(a as i32), i64::from(b as i32));
                }
                if holds(cond, a, b) {
                    next = next.wrapping_add_signed(isize::from(off));
                }
            }
            Insn::Mark { point, object } => world.mark(point, object.map(reg)),
            Insn::Jump { off } => next = next.wrapping_add_signed(isize::from(off)),
            Insn::JumpLong { off } => next = next.wrapping_add_signed(off as isize),
            Insn::Exit => {
                world.seen.result = regs[0];
                return world.seen;
            }
        }
        if let Some((dst, value)) = write {
            assert_ne!(dst, Reg::FRAME, "R10 is read-only");
            regs[usize::from(dst.number())] = value;
        }
        at = next;
    }
    panic!("the program does not end");
}
