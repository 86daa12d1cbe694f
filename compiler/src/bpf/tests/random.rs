//! Random functions, compiled and run: machine code must do what the IR says, with passes and without.

use oomc_abi::resolve::KernelView;
use oomc_abi::{helpers, kfuncs};

use super::run::{run_bpf, run_ir};
use crate::ir::{
    BinOp, BlockCall, Builder, Cond, Function, Global, GlobalData, InstData, Operand, Size, StackSlot, Type,
    Value,
};
use crate::source::Source;

/// xorshift64*: the same functions in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

const OPS: &[BinOp] = &[
    BinOp::Add,
    BinOp::Sub,
    BinOp::Mul,
    BinOp::Udiv,
    BinOp::Sdiv,
    BinOp::Umod,
    BinOp::And,
    BinOp::Or,
    BinOp::Xor,
    BinOp::Shl,
    BinOp::Ushr,
    BinOp::Sshr,
];
const SIZES: &[Size] = &[Size::B1, Size::B2, Size::B4, Size::B8];
const CONSTANTS: &[i64] = &[
    0,
    1,
    -1,
    2,
    7,
    8,
    10,
    63,
    64,
    100,
    255,
    4096,
    -4096,
    0x7fff_ffff,
    -0x8000_0000,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x7_ffff_ffff_ffff,
    i64::MAX,
    i64::MIN,
];

struct Generate<'a> {
    b: Builder<'a>,
    random: Random,
    slots: Vec<StackSlot>,
    globals: Vec<Global>,
    /// The kernel object that fields are read from.
    object: Value,
}

impl Generate<'_> {
    fn value(&mut self, live: &[Value]) -> Value {
        if live.is_empty() || self.random.below(5) == 0 {
            let imm = self.random.pick(CONSTANTS);
            return self.b.value(InstData::Iconst(imm), Type::I64);
        }
        self.random.pick(live)
    }

    fn operand(&mut self, live: &[Value]) -> Operand {
        match self.random.below(3) {
            0 => Operand::Imm(self.random.pick(CONSTANTS) as i32),
            _ => Operand::Value(self.value(live)),
        }
    }

    /// Memory of our own with room for 8 bytes, and an offset into it.
    fn memory(&mut self) -> (Value, i32) {
        let offset = self.random.below(3) as i32 * 8;
        if self.random.below(2) == 0 {
            let slot = self.random.pick(&self.slots);
            (self.b.value(InstData::StackAddr(slot), Type::Ptr), offset)
        } else {
            let global = self.random.pick(&self.globals);
            let base = self.random.below(4) as u32 * 8;
            (self.b.value(InstData::GlobalAddr { global, offset: base }, Type::Ptr), offset)
        }
    }

    fn step(&mut self, live: &mut Vec<Value>) {
        let result = match self.random.below(13) {
            0..4 => {
                let op = self.random.pick(OPS);
                let (a, b) = (self.value(live), self.operand(live));
                self.b.value(InstData::Binary(op, a, b), Type::I64)
            }
            4 => {
                let (size, a) = (self.random.pick(SIZES), self.value(live));
                self.b.value(InstData::SignExtend(size, a), Type::I64)
            }
            5 => {
                let ((ptr, offset), size) = (self.memory(), self.random.pick(SIZES));
                let loaded = self.b.value(InstData::Load { size, ptr, offset }, Type::I64);
                if self.random.below(2) == 0 {
                    return live.push(loaded);
                }
                self.b.value(InstData::SignExtend(size, loaded), Type::I64)
            }
            6 | 7 => {
                let ((ptr, offset), size) = (self.memory(), self.random.pick(SIZES));
                let value = self.operand(live);
                return self.b.effect(InstData::Store { size, ptr, offset, value });
            }
            8 => {
                let (container, path) = self.random.pick(&[
                    ("task_struct", "flags"),
                    ("oom_control", "order"),
                    ("signal_struct", "oom_score_adj"),
                    ("cgroup", "level"),
                ]);
                let (ptr, field) = (self.object, self.b.field(container, path));
                self.b.value(InstData::LoadField { ptr, field }, Type::I64)
            }
            9 => {
                let args = vec![self.value(live), self.value(live), self.value(live)];
                let kfunc = self.random.pick(&[kfuncs::ITER_NUM_NEW, kfuncs::OOM_KILL_PROCESS]);
                self.b.value(InstData::Call { kfunc, args: args.into() }, Type::I64)
            }
            10 => {
                let args = vec![self.value(live), self.value(live)];
                self.b.value(
                    InstData::Call { kfunc: kfuncs::MEM_CGROUP_PAGE_STATE, args: args.into() },
                    Type::I64,
                )
            }
            11 => {
                let point = self.random.below(100) as u32;
                let object = (self.random.below(3) > 0).then_some(self.object);
                return self.b.effect(InstData::Mark { point, object });
            }
            _ => {
                if self.random.below(2) == 0 {
                    let args = vec![self.b.value(InstData::StackAddr(self.slots[0]), Type::Ptr)];
                    let next = InstData::Call { kfunc: kfuncs::ITER_NUM_NEXT, args: args.into() };
                    let ptr = self.b.value(next, Type::Ptr);
                    self.b.value(InstData::Load { size: Size::B4, ptr, offset: 0 }, Type::I64)
                } else {
                    let helper = helpers::KTIME_GET_BOOT_NS;
                    self.b.value(InstData::CallHelper { helper, args: Vec::new().into() }, Type::I64)
                }
            }
        };
        live.push(result);
    }

    fn code(&mut self, live: &mut Vec<Value>, depth: usize) {
        for _ in 0..self.random.below(7) {
            self.step(live);
        }
        if depth == 0 {
            return;
        }
        for _ in 0..self.random.below(3) {
            if self.random.below(2) == 0 {
                self.conditional(live, depth);
            } else {
                self.repeat(live, depth);
            }
            self.step(live);
        }
    }

    fn values(&mut self, live: &[Value], count: usize) -> Vec<Value> {
        (0..count).map(|_| self.value(live)).collect()
    }

    fn conditional(&mut self, live: &mut Vec<Value>, depth: usize) {
        let (then, otherwise, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let count = self.random.below(4);
        let params: Vec<Value> = (0..count).map(|_| self.b.block_param(join, Type::I64)).collect();
        let cond = self.random.pick(Cond::ALL);
        let (a, b) = (self.value(live), self.operand(live));
        // One way out of three leads straight to the join, with arguments.
        let direct = self.random.below(3) == 0;
        let straight = self.values(live, count);
        let call = |block, args: &[Value]| BlockCall { block, args: args.into() };
        let otherwise_call = if direct { call(join, &straight) } else { call(otherwise, &[]) };
        self.b.effect(InstData::Branch { cond, a, b, then: call(then, &[]), otherwise: otherwise_call });
        for block in [Some(then), (!direct).then_some(otherwise)].into_iter().flatten() {
            self.b.switch_to(block);
            let mut inner = live.clone();
            self.code(&mut inner, depth - 1);
            let args = self.values(&inner, count);
            self.b.jump(join, &args);
        }
        self.b.switch_to(join);
        live.extend(params);
    }

    /// A loop of a few rounds, whose parameters change places: the hardest parallel moves.
    fn repeat(&mut self, live: &mut Vec<Value>, depth: usize) {
        let (head, body, done) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        let count = 1 + self.random.below(4);
        let params: Vec<Value> = (0..=count).map(|_| self.b.block_param(head, Type::I64)).collect();
        let mut start = self.values(live, count);
        let rounds = 1 + self.random.below(3) as i64;
        start.insert(0, self.b.value(InstData::Iconst(rounds), Type::I64));
        self.b.jump(head, &start);
        self.b.switch_to(head);
        self.b.branch(Cond::Eq, params[0], Operand::Imm(0), done, body);
        self.b.switch_to(body);
        let mut inner = live.clone();
        inner.extend(&params[1..]);
        self.code(&mut inner, depth - 1);
        let less = self.b.value(InstData::Binary(BinOp::Sub, params[0], Operand::Imm(1)), Type::I64);
        let mut again = vec![less];
        if self.random.below(2) == 0 {
            again.extend(params[1..].iter().rev());
        } else {
            again.extend(self.values(&inner, count));
        }
        self.b.jump(head, &again);
        self.b.switch_to(done);
        live.extend(&params[1..]);
    }
}

fn function(seed: u64) -> Function {
    let mut func = Function::new("random");
    let global = |name: &str| GlobalData {
        name: name.into(),
        section: format!(".bss.{name}"),
        members: Vec::new(),
        data: vec![0; 64],
        read_only: false,
    };
    let globals =
        vec![func.refs_mut().globals.push(global("one")), func.refs_mut().globals.push(global("two"))];
    let mut b = Builder::new(&mut func);
    let entry = b.create_block();
    b.switch_to(entry);
    let object = b.value(InstData::LoadCtx(0), Type::Ptr);
    let slots = vec![b.slot(24), b.slot(32)];
    // The verifier would want them written; and an address in the frame must not depend on who uses which.
    for &slot in &slots {
        let ptr = b.value(InstData::StackAddr(slot), Type::Ptr);
        b.effect(InstData::Store { size: Size::B8, ptr, offset: 0, value: Operand::Imm(0) });
    }
    let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut generate = Generate { b, random, slots, globals, object };
    let mut live = Vec::new();
    generate.code(&mut live, 3);
    let result = generate.operand(&live);
    generate.b.effect(InstData::Return(result));
    func
}

#[test]
fn machine_code_does_what_the_ir_says() {
    let view = KernelView::embedded();
    let source = Source::new("random", "policy\n");
    let (mut spilled, mut calls, mut refused) = (0, 0, 0);
    for seed in 1..400 {
        let plain = function(seed);
        if let Err(errors) = crate::ir::verify::verify(&plain) {
            panic!("seed {seed}: {errors:?}");
        }
        let mut optimised = plain.clone();
        crate::passes::run(&mut optimised);
        let wanted = run_ir(&plain, &view);
        assert_eq!(run_ir(&optimised, &view), wanted, "seed {seed}: passes");
        calls += wanted.calls.len();
        let text = crate::ir::write::write(&optimised);
        let read =
            crate::ir::read::read(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"));
        let [again] = read.functions.as_slice() else { panic!("seed {seed}: one function\n{text}") };
        assert_eq!(run_ir(again, &view), wanted, "seed {seed}: written and read");
        for (name, func) in [("plain", &plain), ("optimised", &optimised)] {
            let program = match super::super::compile(func, &source, &view) {
                Ok(program) => program,
                Err(super::super::Error::Stack { .. }) => {
                    refused += 1;
                    continue;
                }
                Err(error) => panic!("seed {seed}, {name}: {error}"),
            };
            spilled += usize::from(program.frame_size > 56);
            assert_eq!(
                run_bpf(&program),
                wanted,
                "seed {seed}, {name}:\n{}\n{}",
                crate::ir::write::write(func),
                super::super::disasm::disassemble(&program, func)
            );
        }
    }
    // The functions must be worth running: they call, they spill, few are too large.
    assert!(calls > 1000, "{calls} calls");
    assert!(spilled > 50, "{spilled} functions spill");
    assert!(refused < 40, "{refused} functions need too much stack");
}
