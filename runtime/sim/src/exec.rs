//! Runs a program's instructions on a model.
//!
//! An interpreter of our own: rbpf, the only other one in Rust, dereferences the program's addresses as the host's,
//! so that a model would have to lie in memory byte by byte where the kernel's structures have it; and it has no
//! calls of kernel functions. Refuses at the moment of doing what the verifier would refuse beforehand: a null or
//! wild pointer, a reference that is leaked or given back twice, a call that may sleep inside an RCU section, an
//! iterator that nobody ends, a loop without end. What a function leaves undefined is filled with a pattern that
//! no sane program survives.

use oomc_abi::kfuncs::{Kfunc, Ret};
use oomc_abi::model::Class;
use oomc_abi::world::{Args, Fault};

use crate::memory::{FRAME, Memory, Region, RegionId};
use crate::program::{Callee, Insn, Program, Wants};
use crate::world::{Model, Section};

/// What the kernel's functions leave in R1–R5.
const CLOBBERED: u64 = 0xdead_c0de_dead_c0de;
/// What the upper bits of a narrow result are.
const UNDEFINED: u64 = 0xa5a5_a5a5_a5a5_a5a5;
/// Frames of a program (`MAX_CALL_FRAMES`, `include/linux/bpf_verifier.h`, 6.12).
const FRAMES: usize = 8;
/// Instructions between two steps of an iterator: the verifier follows no more
/// (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`, 6.12).
const MOST_WITHOUT_STEP: u64 = 1_000_000;

/// What a program does that the verifier would have refused, or a kernel not survived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// At which instruction.
    pub insn: usize,
    /// What it does.
    pub what: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "instruction {}: {}", self.insn, self.what)
    }
}

impl std::error::Error for Refusal {}

/// What a run gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    /// R0 at its end, as the kernel reads it: an int.
    pub(crate) answer: i32,
    /// Instructions that were executed.
    pub(crate) instructions: u64,
}

/// Where a call returns to: the instruction, R6–R9, and whether that is in an RCU section. A function begins outside
/// of one, as for the verifier, who checks it by itself.
struct Frame {
    back: usize,
    saved: [u64; 4],
    section: Section,
}

struct Run<'r, 'm> {
    program: &'r Program,
    model: &'r mut Model<'m>,
    regs: [u64; 11],
    frames: Vec<Frame>,
    /// References that are held, and how often.
    held: Vec<(u64, u32)>,
    instructions: u64,
    since_step: u64,
}

/// Runs a program from its start.
pub(crate) fn run(program: &Program, model: &mut Model<'_>) -> Result<Ran, Refusal> {
    let mut stack = Region::whole(FRAME, FRAMES, true);
    stack.data_mut().fill(UNDEFINED as u8);
    *model.memory().region_mut(RegionId::STACK) = stack;
    let mut regs = [CLOBBERED; 11];
    let context = model.memory().address(RegionId::CONTEXT, 0, 0);
    let frame = model.memory().address(RegionId::STACK, 0, FRAME);
    let [_, r1, .., r10] = &mut regs;
    (*r1, *r10) = (context, frame);
    let mut run =
        Run { program, model, regs, frames: Vec::new(), held: Vec::new(), instructions: 0, since_step: 0 };
    let mut at = 0;
    loop {
        match run.step(at) {
            Ok(Some(next)) => at = next,
            Ok(None) => break,
            Err(Fault(what)) => return Err(Refusal { insn: at, what }),
        }
    }
    let answer = run.reg(0) as i32;
    Ok(Ran { answer, instructions: run.instructions })
}

impl Run<'_, '_> {
    #[inline]
    fn reg(&self, number: u8) -> u64 {
        self.regs.get(usize::from(number)).copied().unwrap_or(0)
    }

    #[inline]
    fn set(&mut self, number: u8, value: u64) {
        if let Some(reg) = self.regs.get_mut(usize::from(number)) {
            *reg = value;
        }
    }

    /// One instruction; gives the next one, or none at the end.
    #[inline]
    fn step(&mut self, at: usize) -> Result<Option<usize>, Fault> {
        let Some(insn) = self.program.code.get(at).copied() else {
            return Err(Fault("the program runs over its end".to_owned()));
        };
        self.instructions += 1;
        self.since_step += 1;
        if self.since_step > MOST_WITHOUT_STEP {
            return Err(Fault(format!(
                "a loop without end: {MOST_WITHOUT_STEP} instructions without a step"
            )));
        }
        match insn.op & 7 {
            4 | 7 => self.alu(insn)?,
            0 if insn.op == 0x18 => {
                self.set(insn.dst, insn.imm);
                return Ok(Some(at + 2));
            }
            1 => {
                let size = size(insn.op);
                let address = self.reg(insn.src).wrapping_add_signed(i64::from(insn.off));
                let value = self.model.memory().load(address, size)?;
                let value = match insn.op >> 5 {
                    3 => value,
                    // Sign-extending.
                    4 => {
                        let unused = 64 - 8 * size as u32;
                        ((value << unused) as i64 >> unused) as u64
                    }
                    _ => return Err(unknown(insn)),
                };
                self.set(insn.dst, value);
            }
            2 | 3 if insn.op >> 5 == 3 => {
                let address = self.reg(insn.dst).wrapping_add_signed(i64::from(insn.off));
                let value = if insn.op & 7 == 2 { insn.imm } else { self.reg(insn.src) };
                self.model.memory().store(address, size(insn.op), value)?;
            }
            5 | 6 => return self.jump(insn, at),
            _ => return Err(unknown(insn)),
        }
        Ok(Some(at + 1))
    }

    #[inline]
    fn operand(&self, insn: Insn) -> u64 {
        if insn.op & 8 == 0 { insn.imm } else { self.reg(insn.src) }
    }

    fn alu(&mut self, insn: Insn) -> Result<(), Fault> {
        let wide = insn.op & 7 == 7;
        let (mut a, mut b) = (self.reg(insn.dst), self.operand(insn));
        if !wide {
            (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        }
        let bits = if wide { 64 } else { 32 };
        let signed = |value: u64| if wide { value as i64 } else { i64::from(value as i32) };
        let shift = b as u32 & (bits - 1);
        let result = match insn.op >> 4 {
            0x0 => a.wrapping_add(b),
            0x1 => a.wrapping_sub(b),
            0x2 => a.wrapping_mul(b),
            0x3 if insn.off == 0 => a.checked_div(b).unwrap_or(0),
            0x3 if b == 0 => 0,
            0x3 => signed(a).wrapping_div(signed(b)) as u64,
            0x4 => a | b,
            0x5 => a & b,
            0x6 => a << shift,
            0x7 => a >> shift,
            0x8 => a.wrapping_neg(),
            0x9 if insn.off == 0 => a.checked_rem(b).unwrap_or(a),
            0x9 if b == 0 => a,
            0x9 => signed(a).wrapping_rem(signed(b)) as u64,
            0xa => a ^ b,
            0xb => match insn.off {
                0 => b,
                8 => i64::from(b as i8) as u64,
                16 => i64::from(b as i16) as u64,
                32 => i64::from(b as i32) as u64,
                _ => return Err(unknown(insn)),
            },
            0xc => (signed(a) >> shift) as u64,
            _ => return Err(unknown(insn)),
        };
        self.set(insn.dst, if wide { result } else { result & 0xffff_ffff });
        Ok(())
    }

    fn jump(&mut self, insn: Insn, at: usize) -> Result<Option<usize>, Fault> {
        let wide = insn.op & 7 == 5;
        let next = at + 1;
        match insn.op >> 4 {
            0x0 => return Ok(Some(insn.target as usize)),
            0x8 if wide => return self.call(insn, at).map(Some),
            0x9 if wide => return self.exit(),
            _ => {}
        }
        let (mut a, mut b) = (self.reg(insn.dst), self.operand(insn));
        if !wide {
            (a, b) = (a & 0xffff_ffff, b & 0xffff_ffff);
        }
        let signed = |value: u64| if wide { value as i64 } else { i64::from(value as i32) };
        let taken = match insn.op >> 4 {
            0x1 => a == b,
            0x2 => a > b,
            0x3 => a >= b,
            0x4 => a & b != 0,
            0x5 => a != b,
            0x6 => signed(a) > signed(b),
            0x7 => signed(a) >= signed(b),
            0xa => a < b,
            0xb => a <= b,
            0xc => signed(a) < signed(b),
            0xd => signed(a) <= signed(b),
            _ => return Err(unknown(insn)),
        };
        Ok(Some(if taken { insn.target as usize } else { next }))
    }

    fn call(&mut self, insn: Insn, at: usize) -> Result<usize, Fault> {
        let callee = self.program.calls.get(insn.imm as usize).copied();
        let [_, r1, r2, r3, r4, r5, ..] = self.regs;
        let args = [r1, r2, r3, r4, r5];
        let answer = match callee {
            Some(Callee::Local(target)) => {
                self.enter(at)?;
                return Ok(target as usize);
            }
            Some(Callee::Kfunc(row, wants)) => self.kfunc(row, wants, args)?,
            Some(Callee::Helper(helper)) => (helper.model)(self.model, args)?,
            Some(Callee::Mark(..) | Callee::Absent) | None => return self.call_nobody(callee, at),
        };
        self.clobber();
        self.set(0, answer);
        Ok(at + 1)
    }

    /// A mark, which changes nothing; or what the verifier would refuse. Ordinary policies have neither, so that it
    /// stays out of their way.
    #[cold]
    fn call_nobody(&mut self, callee: Option<Callee>, at: usize) -> Result<usize, Fault> {
        let Some(Callee::Mark(point, object)) = callee else {
            return Err(Fault("the program calls a function that the kernel lacks".to_owned()));
        };
        self.model.pass(point, object.map(|register| self.reg(register)))?;
        Ok(at + 1)
    }

    /// Nothing of R1–R5 outlives a call.
    fn clobber(&mut self) {
        let [_, r1, r2, r3, r4, r5, ..] = &mut self.regs;
        for reg in [r1, r2, r3, r4, r5] {
            *reg = CLOBBERED;
        }
    }

    /// Enters a function of the program.
    fn enter(&mut self, at: usize) -> Result<(), Fault> {
        if self.frames.len() + 1 >= FRAMES {
            return Err(Fault(format!("more than {FRAMES} frames")));
        }
        let [.., r6, r7, r8, r9, r10] = &mut self.regs;
        let saved = [*r6, *r7, *r8, *r9];
        self.frames.push(Frame { back: at + 1, saved, section: self.model.enter() });
        *r10 = self.model.memory().address(RegionId::STACK, self.frames.len(), FRAME);
        Ok(())
    }

    /// Leaves a function, or the program.
    fn exit(&mut self) -> Result<Option<usize>, Fault> {
        if let Some(frame) = self.frames.pop() {
            self.clobber();
            self.model.leave(frame.section)?;
            let [.., r6, r7, r8, r9, r10] = &mut self.regs;
            [*r6, *r7, *r8, *r9] = frame.saved;
            *r10 = self.model.memory().address(RegionId::STACK, self.frames.len(), FRAME);
            return Ok(Some(frame.back));
        }
        if let Some((address, _)) = self.held.first() {
            return Err(Fault(format!("the program ends and holds a reference to {address:#x}")));
        }
        if self.model.open_iterators() > 0 {
            return Err(Fault("the program ends inside a walk".to_owned()));
        }
        if self.model.section.inside {
            return Err(Fault("the program ends inside an RCU section".to_owned()));
        }
        Ok(None)
    }

    fn kfunc(&mut self, row: &'static Kfunc, wants: [Wants; 5], args: Args) -> Result<u64, Fault> {
        let flags = row.flags;
        if flags.sleepable && self.model.section.inside {
            return Err(Fault(format!("{} may sleep, and is called inside an RCU section", row.name)));
        }
        if flags.rcu && !self.model.section.inside {
            return Err(Fault(format!("{} is called outside of an RCU section", row.name)));
        }
        for (number, (want, arg)) in (1..).zip(wants.into_iter().zip(args)) {
            self.check(want, arg).map_err(|Fault(what)| Fault(format!("{}: R{number} {what}", row.name)))?;
        }
        if flags.release {
            let [object, ..] = args;
            self.give_back(object)
                .ok_or_else(|| Fault(format!("{} gives back what is not held: {object:#x}", row.name)))?;
        }
        if flags.next {
            self.since_step = 0;
        }
        let answer = (row.model)(self.model, args)?;
        if flags.acquire && answer != 0 {
            self.hold(answer);
        }
        if answer == 0 && row.ret == Ret::Ptr && !flags.ret_null {
            return Err(Fault(format!("{} gave a null that nobody expects", row.name)));
        }
        Ok(match row.ret {
            Ret::Void => UNDEFINED,
            Ret::Bool => answer & 0xff | UNDEFINED << 8,
            Ret::Int => answer & 0xffff_ffff | UNDEFINED << 32,
            Ret::Long | Ret::Ptr => answer,
        })
    }

    fn hold(&mut self, object: u64) {
        match self.held.iter_mut().find(|(held, _)| *held == object) {
            Some((_, times)) => *times += 1,
            None => self.held.push((object, 1)),
        }
    }

    fn give_back(&mut self, object: u64) -> Option<()> {
        let (_, times) = self.held.iter_mut().find(|(held, _)| *held == object)?;
        *times -= 1;
        self.held.retain(|(_, times)| *times > 0);
        Some(())
    }

    /// Whether an argument is what the function's prototype says.
    fn check(&self, want: Wants, arg: u64) -> Result<(), Fault> {
        let model = &*self.model;
        let there = match want {
            Wants::Anything => true,
            Wants::Task => model.object(Class::Task, arg).is_some(),
            Wants::Cgroup => model.object(Class::Cgroup, arg).is_some(),
            Wants::Css => model.cgroup_of_css(arg).is_some(),
            Wants::Event => model.object(Class::Event, arg).is_some(),
            Wants::Iterator => Memory::is_stack(arg),
            Wants::Memcg => {
                let number = model.object(Class::Memcg, arg);
                // The event holds its own cgroup; any other is there only as long as somebody holds it.
                let held = self.held.iter().any(|(held, _)| *held == arg);
                if number.is_some() && !held && number != model.event.cgroup {
                    return Err(Fault("is a mem_cgroup that nobody holds".to_owned()));
                }
                number.is_some()
            }
        };
        match (there, arg) {
            (true, _) => Ok(()),
            (false, 0) => Err(Fault(format!("is null, not a {want:?}"))),
            (false, _) => Err(Fault(format!("is {arg:#x}, not a {want:?}"))),
        }
    }
}

/// Bytes of a load or store.
fn size(op: u8) -> u64 {
    match op >> 3 & 3 {
        0 => 4,
        1 => 2,
        2 => 1,
        _ => 8,
    }
}

fn unknown(insn: Insn) -> Fault {
    Fault(format!("no policy has an instruction like {:#04x}", insn.op))
}
