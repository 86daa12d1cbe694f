//! Checks the IR's invariants; the specification of what a pass may rely on and must keep.
//!
//! - The layout places each block once; its first block, the entry, has no parameters and nobody jumps to it.
//! - Every placed block ends in a terminator and has no other; its instructions and parameters belong to
//!   nobody else.
//! - Branches go to placed blocks and hand over as many arguments as there are parameters, of their types.
//! - Every value is defined once, where [`Function::def`] says, and its definition dominates each use in a
//!   reachable block.
//! - An instruction has a result iff its operation gives one, of the operation's type. A call of a kernel
//!   function has the result that the table says, or none if nobody reads it.
//! - Operands are of the kinds that the table of opcodes says: addresses are pointers, arithmetic is on numbers; a pointer is compared only for equality, with
//!   another pointer or the constant 0. A null pointer is the constant 0; no other constant is a pointer.
//! - Calls have as many arguments as the table says.
//! - Every reference — field, enumerator, type, symbol, slot, global — exists, and an address within a
//!   global lies within it.
//! - A mark's object is a pointer, and its point is below [`mark::MAX_POINTS`].
//! - Memory of our own is not stored to when it is read-only.
//! - The callback reads its context, another function its parameters. What is called is declared, and gets
//!   arguments of its parameters' types.
//!
//! And of a module as a whole:
//!
//! - The declared functions are those behind the callback, in the same order, with the same parameters; behind them
//!   are further programs, which have no parameters. A program calls at most [`MAX_FUNCTIONS`], and none calls itself,
//!   directly or through others.
//! - Every way to a block is inside of an RCU section, or none is; a function returns outside of them; what may
//!   sleep is called outside of them. The kernel (6.12) does not ask this of a function that it checks by itself.

use core::fmt;

use cranelift_entity::{PrimaryMap, SecondaryMap};
use oomc_abi::kfuncs;
use oomc_abi::mark;

use super::cfg::{self, Cfg, Dominators};
use super::opcodes::{Gives, Kind, Part};
use super::{
    Block, BlockCall, Cond, FuncRef, Function, Inst, InstData, Module, Operand, Signature, Size, Type, Value,
    ValueDef, write,
};
use crate::parallel::in_parts;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The block.
    pub block: Block,
    /// The instruction, if it is about one.
    pub inst: Option<Inst>,
    /// The instruction as text.
    pub text: String,
    /// What is wrong.
    pub message: String,
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.block)?;
        if self.inst.is_some() {
            write!(f, "`{}`: ", self.text)?;
        }
        f.write_str(&self.message)
    }
}

/// `BPF_MAX_SUBPROGS` (`include/linux/bpf_verifier.h`, 6.12) without the callback.
pub const MAX_FUNCTIONS: usize = 255;

/// Checks a module.
///
/// # Errors
/// All broken invariants, each with the name of the function.
pub fn module(module: &Module) -> Result<(), Vec<String>> {
    let mut functions: Vec<&Function> = module.functions.iter().collect();
    let parts =
        in_parts(&mut functions, |part| part.iter().flat_map(|func| errors_of(func)).collect::<Vec<_>>());
    let mut errors = parts.concat();
    if errors.is_empty() {
        calls(module, &mut errors);
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// The broken invariants of a function, with its name.
fn errors_of(func: &Function) -> Vec<String> {
    let found = verify(func).err().unwrap_or_default();
    found.into_iter().map(|error| format!("%{}: {error}", func.name)).collect()
}

fn calls(module: &Module, errors: &mut Vec<String>) {
    let Some((callback, others)) = module.functions.split_first() else {
        errors.push("the module has no callback".into());
        return;
    };
    let declared = &callback.refs.functions;
    let same = |(func, signature): (&Function, &Signature)| {
        func.name == signature.name && func.params == signature.params
    };
    let as_declared = others.len() == declared.len() && others.iter().zip(declared.values()).all(same);
    if !callback.params.is_empty() || !as_declared {
        errors.push("the functions are not the declared ones".into());
        return;
    }
    let reads_context =
        |func: &Function| func.placed().any(|inst| matches!(func.insts[inst], InstData::LoadCtx(_)));
    for func in others.iter().filter(|func| reads_context(func)) {
        errors.push(format!("%{}: only the callback has a context", func.name));
    }
    let callees = module.calls();
    let called = callees.below_program().len();
    if called > MAX_FUNCTIONS {
        errors.push(format!("there are {called} functions, {MAX_FUNCTIONS} are possible"));
    }
    // From callees to callers, as far as that is possible.
    let mut sleeps = vec![None; module.functions.len()];
    for _ in 0..module.functions.len() {
        for (at, func) in module.functions.iter().enumerate() {
            let known = callees.of(at).iter().map(|callee| sleeps[position(*callee)]);
            if sleeps[at].is_none() && known.clone().all(|sleeps| sleeps.is_some()) {
                sleeps[at] = Some(func.sleeps() || known.flatten().any(|sleeps| sleeps));
            }
        }
        if sleeps.iter().all(Option::is_some) {
            break;
        }
    }
    for (func, sleeps) in module.functions.iter().zip(&sleeps) {
        if sleeps.is_none() {
            errors.push(format!("%{}: it calls itself", func.name));
        }
    }
    for func in &module.functions {
        rcu(func, |callee| sleeps[position(callee)] == Some(true), errors);
    }
}

/// The place of a declared function in the module.
fn position(func: FuncRef) -> usize {
    func.as_u32() as usize + 1
}

/// Follows RCU sections through a function.
fn rcu(func: &Function, sleeps: impl Fn(FuncRef) -> bool, errors: &mut Vec<String>) {
    let mut inside: SecondaryMap<Block, Option<bool>> = SecondaryMap::new();
    let mut fail = |block: Block, inst: Inst, message: &str| {
        errors.push(format!("%{}: {block}: `{}`: {message}", func.name, write::text(func, inst)));
    };
    for block in cfg::postorder(func).into_iter().rev() {
        let mut now = inside[block].unwrap_or(false);
        for &inst in &func.blocks[block].insts {
            let sleepable = match &func.insts[inst] {
                InstData::Call { kfunc, .. } if *kfunc == kfuncs::RCU_READ_LOCK => {
                    now = true;
                    false
                }
                InstData::Call { kfunc, .. } if *kfunc == kfuncs::RCU_READ_UNLOCK => {
                    now = false;
                    false
                }
                InstData::Call { kfunc, .. } => kfunc.row().flags.sleepable,
                InstData::CallFunc { func, .. } => sleeps(*func),
                _ => false,
            };
            if now && sleepable {
                fail(block, inst, "what may sleep is called in an RCU section");
            }
            if now && matches!(func.insts[inst], InstData::Return(_)) {
                fail(block, inst, "the function returns in an RCU section");
            }
            for call in func.insts[inst].targets() {
                if inside[call.block].replace(now).is_some_and(|before| before != now) {
                    fail(block, inst, "it goes both from inside and from outside of an RCU section");
                }
            }
        }
    }
}

/// Checks a function.
///
/// # Errors
/// All broken invariants.
pub fn verify(func: &Function) -> Result<(), Vec<Error>> {
    let mut verifier = Verifier {
        func,
        errors: Vec::new(),
        defined: SecondaryMap::new(),
        owner: SecondaryMap::new(),
        place: None,
    };
    verifier.layout();
    verifier.definitions();
    // The graph of a function with open blocks would mean nothing.
    if verifier.errors.is_empty() {
        verifier.insts();
        verifier.dominance();
    }
    if verifier.errors.is_empty() { Ok(()) } else { Err(verifier.errors) }
}

/// Where a value is made.
#[derive(Clone, Copy)]
struct Definition {
    block: Block,
    /// Position in the block, from 1; parameters are at 0.
    at: usize,
}

struct Verifier<'a> {
    func: &'a Function,
    errors: Vec<Error>,
    defined: SecondaryMap<Value, Option<Definition>>,
    owner: SecondaryMap<Inst, Option<Block>>,
    place: Option<(Block, Option<Inst>)>,
}

impl Verifier<'_> {
    fn fail(&mut self, message: impl Into<String>) {
        let Some((block, inst)) = self.place.or_else(|| Some((self.func.entry()?, None))) else {
            let block = Block::from_u32(0);
            self.errors.push(Error { block, inst: None, text: String::new(), message: message.into() });
            return;
        };
        let text = inst.map_or_else(String::new, |inst| write::text(self.func, inst));
        self.errors.push(Error { block, inst, text, message: message.into() });
    }

    fn check(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.fail(message());
        }
    }

    fn layout(&mut self) {
        let Some(entry) = self.func.entry() else {
            self.fail("the function has no entry block");
            return;
        };
        let mut placed: SecondaryMap<Block, bool> = SecondaryMap::new();
        for &block in &self.func.layout {
            self.place = Some((block, None));
            let known = self.func.blocks.is_valid(block);
            self.check(known, || "the block does not exist".into());
            let twice = core::mem::replace(&mut placed[block], true);
            self.check(!twice, || "the block is placed twice".into());
        }
        self.place = Some((entry, None));
        let params = self.func.blocks[entry].params.len();
        self.check(params == 0, || "the entry block has parameters".into());
        for &block in &self.func.layout {
            let Some(data) = self.func.blocks.get(block) else { continue };
            self.place = Some((block, None));
            self.check(!data.insts.is_empty(), || "the block is empty".into());
            for (at, &inst) in data.insts.iter().enumerate() {
                self.place = Some((block, Some(inst)));
                let Some(inst_data) = self.func.insts.get(inst) else {
                    self.place = Some((block, None));
                    self.fail("an instruction does not exist");
                    continue;
                };
                let last = at + 1 == data.insts.len();
                self.check(inst_data.is_terminator() == last, || {
                    if last {
                        "the block has no terminator".into()
                    } else {
                        "a terminator in the middle of a block".into()
                    }
                });
                for call in inst_data.targets() {
                    self.check(placed[call.block], || format!("{} is not placed", call.block));
                    self.check(call.block != entry, || "the entry block is jumped to".into());
                }
            }
        }
        self.place = None;
    }

    fn definitions(&mut self) {
        for &block in &self.func.layout {
            let Some(data) = self.func.blocks.get(block) else { continue };
            self.place = Some((block, None));
            for (at, &param) in (0..).zip(&data.params) {
                self.define(param, Definition { block, at: 0 }, ValueDef::Param(block, at));
            }
            for (at, &inst) in data.insts.iter().enumerate() {
                if !self.func.insts.is_valid(inst) {
                    continue;
                }
                self.place = Some((block, Some(inst)));
                let twice = self.owner[inst].replace(block).is_some();
                self.check(!twice, || "the instruction is in two places".into());
                if let Some(result) = self.func.results[inst] {
                    self.define(result, Definition { block, at: at + 1 }, ValueDef::Result(inst));
                }
            }
        }
        self.place = None;
    }

    fn define(&mut self, value: Value, at: Definition, def: ValueDef) {
        let known = self.func.values.is_valid(value);
        self.check(known, || format!("{value} does not exist"));
        let twice = self.defined[value].replace(at).is_some();
        self.check(!twice, || format!("{value} is defined twice"));
        let mapped = twice || self.func.def(value) == Some(def);
        self.check(mapped, || format!("the map of definitions is wrong about {value}"));
    }

    fn dominance(&mut self) {
        let func = self.func;
        let Some(entry) = func.entry() else { return };
        let cfg = Cfg::new(func);
        let dominators = Dominators::new(&cfg, entry);
        for block in cfg.reachable(func) {
            for (at, &inst) in func.blocks[block].insts.iter().enumerate() {
                self.place = Some((block, Some(inst)));
                func.insts[inst].for_each_use(|value| {
                    let holds = match self.defined[value] {
                        Some(def) if def.block == block => def.at <= at,
                        Some(def) => dominators.dominates(def.block, block),
                        None => false,
                    };
                    self.check(holds, || format!("the definition of {value} does not dominate this use"));
                });
            }
        }
    }

    fn insts(&mut self) {
        let func = self.func;
        for &block in &func.layout {
            for &inst in &func.blocks[block].insts {
                self.place = Some((block, Some(inst)));
                let data = &func.insts[inst];
                let mut all_known = true;
                data.for_each_use(|value| {
                    let known = func.values.is_valid(value);
                    all_known &= known;
                    self.check(known, || format!("{value} does not exist"));
                });
                if all_known {
                    data.for_each_part(|kind, part| self.part(kind, &part));
                    self.operation(data);
                    self.gives(inst, data);
                }
            }
        }
    }

    fn ptr(&mut self, value: Value) {
        let ty = self.func.values[value];
        self.check(ty == Type::Ptr, || format!("{value} is not a pointer"));
    }

    fn num(&mut self, value: Value) {
        let ty = self.func.values[value];
        self.check(ty == Type::I64, || format!("{value} is not a number"));
    }

    fn num_operand(&mut self, operand: Operand) {
        if let Operand::Value(value) = operand {
            self.num(value);
        }
    }

    fn exists<K: cranelift_entity::EntityRef, V>(&mut self, map: &PrimaryMap<K, V>, key: K) {
        let known = map.is_valid(key);
        self.check(known, || "it refers to what does not exist".into());
    }

    /// What an operand's kind asks.
    fn part(&mut self, kind: Kind, part: &Part<'_>) {
        let refs = &self.func.refs;
        match (kind, part) {
            (Kind::Pointer, Part::Value(value)) | (Kind::Object, Part::Object(Some(value))) => {
                self.ptr(*value)
            }
            (Kind::Number, Part::Value(value)) => self.num(*value),
            (Kind::NumberOrImm, Part::Operand(operand)) => self.num_operand(*operand),
            (Kind::Point, Part::U32(point)) => {
                let fits = *point < mark::MAX_POINTS;
                self.check(fits, || format!("the points end at {}", mark::MAX_POINTS));
            }
            (_, Part::Field(field)) => self.exists(&refs.fields, *field),
            (_, Part::Enumerator(of)) => self.exists(&refs.enums, *of),
            (_, Part::Type(ty)) => self.exists(&refs.types, *ty),
            (_, Part::Ksym(ksym)) => self.exists(&refs.ksyms, *ksym),
            (_, Part::Map(map)) => self.exists(&refs.maps, *map),
            (_, Part::Global(global)) => self.exists(&refs.globals, *global),
            (_, Part::Function(callee)) => self.exists(&refs.functions, *callee),
            (_, Part::Slot(slot)) => self.exists(&self.func.slots, *slot),
            (_, Part::Target(call)) => self.call(call),
            _ => {}
        }
    }

    /// What an operation asks beyond the kinds of its operands.
    fn operation(&mut self, data: &InstData) {
        let func = self.func;
        match data {
            InstData::Store { ptr, size, value, .. } => {
                self.writable(*ptr);
                if let Operand::Value(value) = value
                    && func.values[*value] == Type::Ptr
                {
                    self.check(*size == Size::B8, || "a pointer is stored whole".into());
                }
            }
            InstData::GlobalAddr { global, offset } => {
                if let Some(data) = func.refs.globals.get(*global) {
                    let inside = usize::try_from(*offset).is_ok_and(|offset| offset < data.data.len());
                    self.check(inside, || format!("{} has {} bytes", data.name, data.data.len()));
                }
            }
            InstData::Call { kfunc, args } => self.arity(args.len(), kfunc.row().args),
            InstData::CallHelper { helper, args } => self.arity(args.len(), helper.args),
            InstData::CallFunc { func: callee, args } => {
                if let Some(signature) = func.refs.functions.get(*callee) {
                    self.arguments(args, signature);
                }
            }
            InstData::Branch { cond, a, b, .. } => self.compare(*cond, *a, *b),
            _ => {}
        }
    }

    /// Whether an instruction has the result that its row says.
    fn gives(&mut self, inst: Inst, data: &InstData) {
        let func = self.func;
        let found = func.results[inst].map(|value| func.values[value]);
        let wanted = func.result_type(data);
        match data.opcode().row().gives {
            Gives::Nothing => self.check(found.is_none(), || "the operation has no result".into()),
            Gives::NumberOrNull => {
                let null = matches!(data, InstData::Iconst(0));
                let holds = found == Some(Type::I64) || found == Some(Type::Ptr) && null;
                self.check(holds, || "a constant is a number, or the null pointer".into());
            }
            Gives::NumberOrParked => {
                // A pointer is parked in memory of our own only whole.
                let whole = matches!(data, InstData::Load { size: Size::B8, .. });
                let holds = found == Some(Type::I64) || found == Some(Type::Ptr) && whole;
                self.check(holds, || "a load gives a number, or with 8 bytes a pointer".into());
            }
            Gives::Called if found.is_none() => {}
            Gives::Parameter if matches!(data, InstData::Param(at) if *at as usize >= func.params.len()) => {
                self.fail(format!("the function has {} parameters", func.params.len()));
            }
            Gives::Number | Gives::Pointer | Gives::Parameter | Gives::Called => {
                self.check(found == wanted, || format!("the result should be {wanted:?}, is {found:?}"));
            }
        }
    }

    fn arguments(&mut self, args: &[Value], signature: &Signature) {
        let (given, wanted) = (args.len(), signature.params.len());
        self.check(given == wanted, || format!("{wanted} arguments expected, {given} given"));
        for (arg, param) in args.iter().zip(&signature.params) {
            let same = self.func.values[*arg] == param.ty();
            self.check(same, || format!("{arg} has not the type of its parameter"));
        }
    }

    /// Stores through an address of a global that is frozen would be refused by the kernel.
    fn writable(&mut self, ptr: Value) {
        let func = self.func;
        if let Some(InstData::GlobalAddr { global, .. }) = func.def_inst(ptr)
            && let Some(data) = func.refs.globals.get(*global)
        {
            self.check(!data.read_only, || format!("{} is read-only", data.name));
        }
    }

    fn arity(&mut self, found: usize, wanted: u8) {
        self.check(found == usize::from(wanted), || format!("{wanted} arguments expected, {found} given"));
    }

    fn compare(&mut self, cond: Cond, a: Value, b: Operand) {
        let func = self.func;
        let equality = matches!(cond, Cond::Eq | Cond::Ne);
        match (func.values[a], b) {
            (Type::I64, Operand::Imm(_)) => {}
            (Type::I64, Operand::Value(b)) => self.num(b),
            (Type::Ptr, Operand::Imm(imm)) => {
                self.check(equality && imm == 0, || "a pointer is only compared with 0, for equality".into());
            }
            (Type::Ptr, Operand::Value(b)) => {
                self.ptr(b);
                self.check(equality, || "pointers are only compared for equality".into());
            }
        }
    }

    fn call(&mut self, call: &BlockCall) {
        let func = self.func;
        let params = &func.blocks[call.block].params;
        let (given, wanted) = (call.args.len(), params.len());
        self.check(given == wanted, || format!("{} takes {wanted} arguments, {given} given", call.block));
        for (arg, param) in call.args.iter().zip(params) {
            let same = func.values[*arg] == func.values[*param];
            self.check(same, || format!("{arg} has not the type of {param}"));
        }
    }
}
