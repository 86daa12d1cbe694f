//! The function and the module: instructions, values and blocks, and what defines each value.

use std::sync::Arc;

use cranelift_entity::{PrimaryMap, SecondaryMap};
use oomc_abi::kfuncs::Ret;

use super::entities::*;
use super::inst::InstData;
use super::opcodes::Gives;
use super::refs::{Param, Refs};
use crate::source::Span;

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// A 64-bit number.
    I64,
    /// A pointer: to a kernel object, the stack, a map value, the context. Kept apart from numbers because
    /// the kernel's verifier does; which class of pointer it is, the verifier decides.
    Ptr,
}

/// A block: parameters and instructions, the last of them a terminator.
#[derive(Clone, Debug, Default)]
pub struct BlockData {
    /// Values that a jump hands over.
    pub params: Vec<Value>,
    /// In order.
    pub insts: Vec<Inst>,
}

/// A piece of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotData {
    /// Bytes; the frame aligns each slot to 8.
    pub size: u32,
}

/// A program of a policy, and the functions that it calls.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The program first; then the others, in the order of their [`FuncRef`]s.
    pub functions: Vec<Function>,
}

impl Module {
    /// A module of these functions. `refs` is the last state of what they refer to, and becomes that of all.
    #[must_use]
    pub fn new(refs: Arc<Refs>, mut functions: Vec<Function>) -> Self {
        for function in &mut functions {
            function.refs = Arc::clone(&refs);
        }
        Self { functions }
    }

    /// Who calls whom: looks at every instruction.
    #[must_use]
    pub fn calls(&self) -> Calls {
        Calls(self.functions.iter().map(Function::callees).collect())
    }

    /// What the functions refer to.
    #[must_use]
    pub fn refs(&self) -> Arc<Refs> {
        self.functions.first().map(|program| Arc::clone(&program.refs)).unwrap_or_default()
    }
}

/// What each function of a module calls.
#[derive(Clone, Debug)]
pub struct Calls(Vec<Vec<FuncRef>>);

impl Calls {
    /// The functions that one calls, by its place, each once.
    #[must_use]
    pub fn of(&self, function: usize) -> &[FuncRef] {
        self.0.get(function).map_or(&[], Vec::as_slice)
    }

    /// The functions that the program calls, directly or through others, by their places, ascending.
    #[must_use]
    pub fn below_program(&self) -> Vec<usize> {
        let mut called = vec![false; self.0.len()];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            for callee in self.of(at) {
                let at = callee.as_u32() as usize + 1;
                if let Some(known) = called.get_mut(at).filter(|known| !**known) {
                    *known = true;
                    open.push(at);
                }
            }
        }
        (0..called.len()).filter(|at| called[*at]).collect()
    }
}

impl From<Function> for Module {
    fn from(function: Function) -> Self {
        Self { functions: vec![function] }
    }
}

/// What defines a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueDef {
    /// The instruction whose result it is.
    Result(Inst),
    /// The block whose parameter it is, and which one.
    Param(Block, u32),
}

/// One function under construction or finished.
#[derive(Clone, Debug, Default)]
pub struct Function {
    /// Symbol.
    pub name: String,
    /// What it takes; nothing for the callback, which has a context instead.
    pub params: Vec<Param>,
    /// Blocks; the first is the entry.
    pub blocks: PrimaryMap<Block, BlockData>,
    /// Instructions.
    pub insts: PrimaryMap<Inst, InstData>,
    /// Types of values.
    pub values: PrimaryMap<Value, Type>,
    /// What defines each value: kept by [`Self::set_result`], [`Self::add_param`] and [`Self::retain_params`].
    defs: SecondaryMap<Value, Option<ValueDef>>,
    /// The instruction's result, where it has one. Changed by [`Self::set_result`] alone.
    pub results: SecondaryMap<Inst, Option<Value>>,
    /// Where in the policy an instruction comes from.
    pub spans: SecondaryMap<Inst, Span>,
    /// Order of the blocks in the code.
    pub layout: Vec<Block>,
    /// The frame.
    pub slots: PrimaryMap<StackSlot, SlotData>,
    /// What instructions refer to, shared with the other functions of the module.
    pub refs: Arc<Refs>,
}

impl Function {
    /// An empty function.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// An empty function that takes parameters.
    #[must_use]
    pub fn with_params(name: impl Into<String>, params: Vec<Param>) -> Self {
        Self { name: name.into(), params, ..Self::default() }
    }

    /// The entry block: the first of the layout.
    #[must_use]
    pub fn entry(&self) -> Option<Block> {
        self.layout.first().copied()
    }

    /// What instructions refer to, to add to it.
    pub fn refs_mut(&mut self) -> &mut Refs {
        Arc::make_mut(&mut self.refs)
    }

    /// What defines a value; nothing if it is the result of code that nobody reaches.
    #[must_use]
    pub fn def(&self, value: Value) -> Option<ValueDef> {
        self.defs[value]
    }

    /// The instruction whose result a value is; none if it is a parameter of a block.
    #[must_use]
    pub fn def_inst(&self, value: Value) -> Option<&InstData> {
        match self.defs[value] {
            Some(ValueDef::Result(inst)) => self.insts.get(inst),
            _ => None,
        }
    }

    /// The type of an instruction's result, as far as the instruction tells: it does not of a null pointer, nor
    /// of a pointer that was parked in memory. A parameter that does not exist counts as a number.
    #[must_use]
    pub fn result_type(&self, inst: &InstData) -> Option<Type> {
        match inst.opcode().row().gives {
            Gives::Nothing => None,
            Gives::Number | Gives::NumberOrNull | Gives::NumberOrParked => Some(Type::I64),
            Gives::Pointer => Some(Type::Ptr),
            Gives::Parameter | Gives::Called => match inst {
                InstData::Param(at) => Some(self.params.get(*at as usize).map_or(Type::I64, Param::ty)),
                InstData::Call { kfunc, .. } => match kfunc.row().ret {
                    Ret::Void => None,
                    Ret::Ptr => Some(Type::Ptr),
                    Ret::Bool | Ret::Int | Ret::Long => Some(Type::I64),
                },
                InstData::CallHelper { helper, .. } if helper.pointer => Some(Type::Ptr),
                _ => Some(Type::I64),
            },
        }
    }

    /// Makes a value the result of an instruction.
    pub fn set_result(&mut self, inst: Inst, value: Value) {
        self.results[inst] = Some(value);
        self.defs[value] = Some(ValueDef::Result(inst));
    }

    /// Makes a value the last parameter of a block.
    pub fn add_param(&mut self, block: Block, value: Value) {
        let params = &mut self.blocks[block].params;
        self.defs[value] = Some(ValueDef::Param(block, params.len() as u32));
        params.push(value);
    }

    /// Keeps the parameters of a block that are to be kept. Who jumps there must drop the same arguments.
    pub fn retain_params(&mut self, block: Block, keep: impl FnMut(&Value) -> bool) {
        let params = &mut self.blocks[block].params;
        params.retain(keep);
        for (at, param) in (0..).zip(params.iter()) {
            self.defs[*param] = Some(ValueDef::Param(block, at));
        }
    }

    /// Gives back memory that was kept for more instructions: a large policy has hundreds of functions.
    pub fn shrink(&mut self) {
        self.blocks.shrink_to_fit();
        self.insts.shrink_to_fit();
        self.values.shrink_to_fit();
        // These have no such function; a copy has no room to spare.
        self.defs = self.defs.clone();
        self.results = self.results.clone();
        self.spans = self.spans.clone();
        for block in self.blocks.values_mut() {
            block.insts.shrink_to_fit();
        }
    }

    /// Forgets its instructions, once there are others for them: what it is called, takes and refers to stays.
    pub fn forget_code(&mut self) {
        let Self { name, params, refs, .. } = core::mem::take(self);
        *self = Self { name, params, refs, ..Self::default() };
    }

    /// The functions of the module that it calls, each once.
    #[must_use]
    pub fn callees(&self) -> Vec<FuncRef> {
        let mut callees: Vec<FuncRef> = self
            .placed()
            .filter_map(|inst| match self.insts[inst] {
                InstData::CallFunc { func, .. } => Some(func),
                _ => None,
            })
            .collect();
        callees.sort_unstable();
        callees.dedup();
        callees
    }

    /// Whether it calls a kernel function that may sleep.
    #[must_use]
    pub fn sleeps(&self) -> bool {
        self.placed().any(|inst| match self.insts[inst] {
            InstData::Call { kfunc, .. } => kfunc.row().flags.sleepable,
            _ => false,
        })
    }

    /// The instructions of all placed blocks, in order.
    pub fn placed(&self) -> impl Iterator<Item = Inst> + '_ {
        self.layout.iter().flat_map(|block| self.blocks[*block].insts.iter().copied())
    }

    /// The last instruction of a block.
    #[must_use]
    pub fn terminator(&self, block: Block) -> Option<&InstData> {
        self.blocks[block].insts.last().map(|inst| &self.insts[*inst])
    }
}
