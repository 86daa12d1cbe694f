//! A program's instructions in the form in which they are executed.
//!
//! Decoded once: opcodes stay as they are, targets of jumps and calls are looked up, constants of maps become
//! addresses. What a call checks is made of the row of the function and its prototype.

use oomc_abi::btf::Btf;
use oomc_abi::helpers::{self, Helper};
use oomc_abi::kfuncs::{Kfunc, KfuncId};
use oomc_abi::mark;
use oomc_abi::proto::{self, Base};
use oomc_object::insn::{CALL, LDDW, PSEUDO_CALL, PSEUDO_KFUNC_CALL, PSEUDO_MAP_FD, PSEUDO_MAP_VALUE};

use crate::maps::Map;
use crate::memory::{Memory, RegionId, handle};

/// An instruction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Insn {
    pub(crate) op: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    /// An offset in memory; of a division or a move, its variant.
    pub(crate) off: i16,
    /// Where a jump leads.
    pub(crate) target: u32,
    /// A constant; of a call, which of the program's calls.
    pub(crate) imm: u64,
}

/// What a function of the kernel wants of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wants {
    Anything,
    Task,
    Memcg,
    Cgroup,
    Css,
    Event,
    Iterator,
}

/// What is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Callee {
    Kfunc(&'static Kfunc, [Wants; 5]),
    Helper(&'static Helper),
    /// A function of the program.
    Local(u32),
    /// Nobody: a point of a traced policy is passed, and this register points to the object.
    Mark(u32, Option<u8>),
    /// Something that the kernel lacks.
    Absent,
}

/// A program.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) code: Vec<Insn>,
    pub(crate) calls: Vec<Callee>,
}

const EXIT: u8 = 0x95;
/// A jump whose distance stands in the constant.
const LONG_JUMP: u8 = 0x06;

impl Program {
    /// From the instructions that the kernel would get.
    pub(crate) fn decode(code: &[u64], kernel: &Btf, maps: &[Map]) -> Result<Self, String> {
        let mut addresses = Memory::default();
        for (at, map) in maps.iter().enumerate() {
            *addresses.region_mut(RegionId::of_map(at)) = map.region.clone();
        }
        let mut program = Self::default();
        let mut at = 0;
        while let Some(word) = code.get(at) {
            let mut insn = Insn {
                op: *word as u8,
                dst: (word >> 8 & 15) as u8,
                src: (word >> 12 & 15) as u8,
                off: (word >> 16) as u16 as i16,
                target: 0,
                imm: i64::from((word >> 32) as u32 as i32) as u64,
            };
            let jump = |distance: i64| {
                let target = at as i64 + 1 + distance;
                let inside = usize::try_from(target).is_ok_and(|target| target < code.len());
                if inside { Ok(target as u32) } else { Err(format!("a jump out of the program at {at}")) }
            };
            if let Some((point, object)) = mark::decode(*word) {
                // As a call, so that a jump costs what it costs without marks.
                insn.op = CALL;
                insn.imm = program.calls.len() as u64;
                program.calls.push(Callee::Mark(point, object));
                program.code.push(insn);
                at += 1;
                continue;
            }
            match insn.op {
                LDDW => {
                    let is_map = matches!(insn.src, PSEUDO_MAP_FD | PSEUDO_MAP_VALUE);
                    if is_map && insn.imm >= maps.len() as u64 {
                        return Err(format!("a map that is not there, at {at}"));
                    }
                    let high = code.get(at + 1).ok_or("a load of 64 bits at the program's end")? >> 32;
                    insn.imm = match insn.src {
                        PSEUDO_MAP_FD => handle(insn.imm as usize),
                        PSEUDO_MAP_VALUE => addresses.address(RegionId::of_map(insn.imm as usize), 0, high),
                        // A number, or what stands for a function that is there.
                        _ => insn.imm & 0xffff_ffff | high << 32,
                    };
                    program.code.push(insn);
                    at += 1;
                }
                CALL => {
                    let callee = callee(insn, kernel, jump)?;
                    insn.imm = program.calls.len() as u64;
                    program.calls.push(callee);
                }
                EXIT => {}
                LONG_JUMP => insn.target = jump(insn.imm as i64)?,
                op if matches!(op & 7, 5 | 6) => insn.target = jump(i64::from(insn.off))?,
                _ => {}
            }
            program.code.push(insn);
            at += 1;
        }
        Ok(program)
    }
}

fn callee(insn: Insn, kernel: &Btf, jump: impl Fn(i64) -> Result<u32, String>) -> Result<Callee, String> {
    match insn.src {
        PSEUDO_CALL => Ok(Callee::Local(jump(insn.imm as i64)?)),
        PSEUDO_KFUNC_CALL => {
            let name = kernel.name(insn.imm as u32);
            let row = KfuncId::by_name(name).ok_or_else(|| format!("the function `{name}`"))?.row();
            let proto = proto::parse(row.c).ok_or_else(|| format!("the prototype `{}`", row.c))?;
            let mut wants = [Wants::Anything; 5];
            for (want, (name, ty)) in wants.iter_mut().zip(&proto.params) {
                if ty.pointers == 1 && !name.ends_with("__nullable") {
                    *want = match ty.base {
                        Base::Struct("task_struct") => Wants::Task,
                        Base::Struct("mem_cgroup") => Wants::Memcg,
                        Base::Struct("cgroup") => Wants::Cgroup,
                        Base::Struct("cgroup_subsys_state") => Wants::Css,
                        Base::Struct("oom_control") => Wants::Event,
                        Base::Struct(tag) if tag.starts_with("bpf_iter_") => Wants::Iterator,
                        _ => Wants::Anything,
                    };
                }
            }
            Ok(Callee::Kfunc(row, wants))
        }
        _ => {
            let helper = helpers::ALL.iter().find(|helper| helper.id as u64 == insn.imm);
            Ok(helper.map_or(Callee::Absent, Callee::Helper))
        }
    }
}
