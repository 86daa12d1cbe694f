//! The function: instructions, values, blocks, and what they refer to.

use std::sync::Arc;

use cranelift_entity::{PrimaryMap, SecondaryMap};
use oomc_abi::helpers::Helper;
use oomc_abi::kfuncs::KfuncId;
use oomc_abi::maps;

use super::entities::*;
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

/// A kernel member by its C path, resolved against BTF when code is selected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The structure that the path starts in.
    pub container: String,
    /// Members separated by `.`, with constant indices in brackets; never through a pointer.
    pub path: String,
}

/// What is known of a bit-field. With the number around it, which begins at the member's address, in 64 bits:
/// shifted left, then right, it is the bit-field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldFact {
    /// Bytes of the number.
    Size,
    /// How far to the left.
    LeftShift,
    /// How far to the right then.
    RightShift,
    /// Where the member begins in its structure, in bytes; of any member, not only of a bit-field.
    Offset,
}

impl FieldFact {
    /// In text.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::LeftShift => "lshift",
            Self::RightShift => "rshift",
            Self::Offset => "offset",
        }
    }
}

/// An enumerator by its C names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Enumerator {
    /// The enum's tag.
    pub enumeration: String,
    /// The enumerator.
    pub name: String,
}

/// Size of a plain load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Size {
    B1,
    B2,
    B4,
    B8,
}

impl Size {
    /// In bytes.
    #[must_use]
    pub fn bytes(self) -> u32 {
        match self {
            Self::B1 => 1,
            Self::B2 => 2,
            Self::B4 => 4,
            Self::B8 => 8,
        }
    }
}

/// Binary operators on 64-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BinOp {
    /// Wrapping.
    Add,
    /// Wrapping.
    Sub,
    /// Wrapping.
    Mul,
    /// Unsigned; by zero gives 0.
    Udiv,
    /// Signed, wrapping; by zero gives 0.
    Sdiv,
    /// Unsigned; by zero gives the dividend.
    Umod,
    /// Bitwise.
    And,
    /// Bitwise.
    Or,
    /// Bitwise.
    Xor,
    /// Shift left; amounts count modulo 64.
    Shl,
    /// Logical shift right; amounts count modulo 64.
    Ushr,
    /// Arithmetic shift right; amounts count modulo 64.
    Sshr,
}

impl BinOp {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Add,
        Self::Sub,
        Self::Mul,
        Self::Udiv,
        Self::Sdiv,
        Self::Umod,
        Self::And,
        Self::Or,
        Self::Xor,
        Self::Shl,
        Self::Ushr,
        Self::Sshr,
    ];
}

/// Conditions of a branch, 64 bits wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Unsigned less.
    Ult,
    /// Unsigned less or equal.
    Ule,
    /// Unsigned greater.
    Ugt,
    /// Unsigned greater or equal.
    Uge,
    /// Signed less.
    Slt,
    /// Signed less or equal.
    Sle,
    /// Signed greater.
    Sgt,
    /// Signed greater or equal.
    Sge,
    /// A common bit is set.
    Test,
}

impl Cond {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Eq,
        Self::Ne,
        Self::Ult,
        Self::Ule,
        Self::Ugt,
        Self::Uge,
        Self::Slt,
        Self::Sle,
        Self::Sgt,
        Self::Sge,
        Self::Test,
    ];

    /// The condition with its operands exchanged.
    #[must_use]
    pub fn swapped(self) -> Self {
        match self {
            Self::Ult => Self::Ugt,
            Self::Ule => Self::Uge,
            Self::Ugt => Self::Ult,
            Self::Uge => Self::Ule,
            Self::Slt => Self::Sgt,
            Self::Sle => Self::Sge,
            Self::Sgt => Self::Slt,
            Self::Sge => Self::Sle,
            Self::Eq | Self::Ne | Self::Test => self,
        }
    }

    /// The condition that holds when this one does not, if there is one.
    #[must_use]
    pub fn inverse(self) -> Option<Self> {
        match self {
            Self::Eq => Some(Self::Ne),
            Self::Ne => Some(Self::Eq),
            Self::Ult => Some(Self::Uge),
            Self::Uge => Some(Self::Ult),
            Self::Ule => Some(Self::Ugt),
            Self::Ugt => Some(Self::Ule),
            Self::Slt => Some(Self::Sge),
            Self::Sge => Some(Self::Slt),
            Self::Sle => Some(Self::Sgt),
            Self::Sgt => Some(Self::Sle),
            Self::Test => None,
        }
    }
}

/// The right side of an operation: a value, or an immediate that fits 32 bits signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A value.
    Value(Value),
    /// A constant, sign-extended to 64 bits.
    Imm(i32),
}

/// A block and the arguments for its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCall {
    /// Where to.
    pub block: Block,
    /// One per parameter.
    pub args: Vec<Value>,
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant's line says what its operands are")]
pub enum InstData {
    /// A 64-bit constant.
    Iconst(i64),
    /// `dst = a op b`.
    Binary(BinOp, Value, Operand),
    /// Keeps the low bits and extends the sign.
    SignExtend(Size, Value),
    /// An argument of the callback: 8 bytes of the context at index × 8. A pointer.
    LoadCtx(u32),
    /// A parameter of a function that is no callback; of the parameter's type.
    Param(u32),
    /// Zero-extending load from memory of our own (stack slot, map value).
    Load { size: Size, ptr: Value, offset: i32 },
    /// Store to memory of our own.
    Store { size: Size, ptr: Value, offset: i32, value: Operand },
    /// Reads a kernel member that is a number; extended by the member's own signedness. CO-RE relocated.
    LoadField { ptr: Value, field: FieldRef },
    /// Reads a kernel member that is a pointer. CO-RE relocated.
    LoadPtr { ptr: Value, field: FieldRef },
    /// The address of a kernel member. CO-RE relocated.
    FieldAddr { ptr: Value, field: FieldRef },
    /// How a member that is a bit-field is read: see [`FieldFact`]. CO-RE relocated.
    FieldFact(FieldFact, FieldRef),
    /// 1 if the target kernel has the member, else 0. CO-RE relocated: dead branches are known.
    FieldExists(FieldRef),
    /// The enumerator's value on the target. CO-RE relocated.
    EnumValue(EnumRef),
    /// 1 if the target has the enumerator, else 0. CO-RE relocated.
    EnumExists(EnumRef),
    /// The id of a type in the target's BTF. CO-RE relocated.
    TypeId(TypeRef),
    /// The address of a variable of the kernel; 0 where the target has none (weak).
    KsymAddr(KsymRef),
    /// The address of a kernel function; 0 where the target has none (weak). Good only to be compared with 0.
    KfuncAddr(KfuncId),
    /// The address of a stack slot.
    StackAddr(StackSlot),
    /// A map, for a helper that works on it. As a pointer it is good for nothing else.
    MapAddr(MapRef),
    /// The address of a byte in a global.
    GlobalAddr { global: Global, offset: u32 },
    /// `ptr + value` for memory of our own; the value must be bounded just before.
    PtrAdd(Value, Value),
    /// Calls a kernel function.
    Call { kfunc: KfuncId, args: Vec<Value> },
    /// Calls a numbered helper.
    CallHelper { helper: Helper, args: Vec<Value> },
    /// Calls a function of the module; gives a number.
    CallFunc { func: FuncRef, args: Vec<Value> },
    /// Does nothing but tell a simulator that a point of the policy was passed, and by which object.
    Mark { point: u32, object: Option<Value> },
    /// Ends a block.
    Jump(BlockCall),
    /// Ends a block: `then` if the condition holds. A pointer may be compared with 0 or another pointer.
    Branch { cond: Cond, a: Value, b: Operand, then: BlockCall, otherwise: BlockCall },
    /// Ends the function.
    Return(Operand),
}

impl InstData {
    /// Whether it ends a block.
    #[must_use]
    pub fn is_terminator(&self) -> bool {
        matches!(self, Self::Jump(_) | Self::Branch { .. } | Self::Return(_))
    }

    /// The blocks it may go to, then before otherwise.
    #[must_use]
    pub fn targets(&self) -> Vec<&BlockCall> {
        match self {
            Self::Jump(call) => vec![call],
            Self::Branch { then, otherwise, .. } => vec![then, otherwise],
            _ => Vec::new(),
        }
    }

    /// The blocks it may go to, to change them.
    #[must_use]
    pub fn targets_mut(&mut self) -> Vec<&mut BlockCall> {
        match self {
            Self::Jump(call) => vec![call],
            Self::Branch { then, otherwise, .. } => vec![then, otherwise],
            _ => Vec::new(),
        }
    }

    /// Values read, in order: operands, then arguments of the targets.
    #[must_use]
    pub fn uses(&self) -> Vec<Value> {
        let mut uses = Vec::new();
        self.clone().map_uses(|value| {
            uses.push(value);
            value
        });
        uses
    }

    /// Replaces each value read.
    pub fn map_uses(&mut self, mut map: impl FnMut(Value) -> Value) {
        let operand = |operand: &mut Operand, map: &mut dyn FnMut(Value) -> Value| {
            if let Operand::Value(value) = operand {
                *value = map(*value);
            }
        };
        match self {
            Self::Iconst(_)
            | Self::LoadCtx(_)
            | Self::Param(_)
            | Self::FieldExists(_)
            | Self::FieldFact(..)
            | Self::EnumValue(_)
            | Self::EnumExists(_)
            | Self::TypeId(_)
            | Self::KsymAddr(_)
            | Self::KfuncAddr(_)
            | Self::MapAddr(_)
            | Self::StackAddr(_)
            | Self::GlobalAddr { .. } => {}
            Self::Binary(_, a, b) => {
                *a = map(*a);
                operand(b, &mut map);
            }
            Self::SignExtend(_, a) => *a = map(*a),
            Self::Load { ptr, .. }
            | Self::LoadField { ptr, .. }
            | Self::LoadPtr { ptr, .. }
            | Self::FieldAddr { ptr, .. } => *ptr = map(*ptr),
            Self::Store { ptr, value, .. } => {
                *ptr = map(*ptr);
                operand(value, &mut map);
            }
            Self::PtrAdd(a, b) => {
                *a = map(*a);
                *b = map(*b);
            }
            Self::Call { args, .. } | Self::CallHelper { args, .. } | Self::CallFunc { args, .. } => {
                for arg in args {
                    *arg = map(*arg);
                }
            }
            Self::Mark { object, .. } => *object = object.map(map),
            Self::Jump(call) => {
                for arg in &mut call.args {
                    *arg = map(*arg);
                }
            }
            Self::Branch { a, b, then, otherwise, .. } => {
                *a = map(*a);
                operand(b, &mut map);
                for arg in then.args.iter_mut().chain(&mut otherwise.args) {
                    *arg = map(*arg);
                }
            }
            Self::Return(value) => operand(value, &mut map),
        }
    }

    /// Whether it must stay although nobody reads its result.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        matches!(
            self,
            Self::Store { .. }
                | Self::Call { .. }
                | Self::CallHelper { .. }
                | Self::CallFunc { .. }
                | Self::Mark { .. }
        ) || self.is_terminator()
    }
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

/// A global of the module, shared by its functions.
///
/// One global is one section, and so one map of one element: the verifier forgets what a map value holds, and
/// the loader needs no symbol offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalData {
    /// The variable's name: `stats`.
    pub name: String,
    /// Section, and so map: `.bss.stats`, `.bss.scratch`, `.rodata`.
    pub section: String,
    /// Names of its members, 8 bytes each, in order. Empty: plain bytes.
    pub members: Vec<String>,
    /// Bytes. For a zero-initialised one, only its length counts.
    pub data: Vec<u8>,
    /// Frozen, read-only to programs.
    pub read_only: bool,
}

/// A map that is no global variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapData {
    /// Its name: `labels`.
    pub name: String,
    /// What it is.
    pub kind: MapKind,
    /// Names of the key's members, 8 bytes each; empty: the key is one number of 4 bytes.
    pub key: Vec<String>,
    /// Names of the value's members, 8 bytes each; empty: plain bytes.
    pub value: Vec<String>,
    /// Bytes of a value that has no members.
    pub value_bytes: u32,
    /// Elements; of a ring buffer, bytes.
    pub max_entries: u32,
}

/// Kinds of maps (`enum bpf_map_type`, `include/uapi/linux/bpf.h`, 6.12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`, allocated as it fills.
    Hash,
    /// `BPF_MAP_TYPE_ARRAY`.
    Array,
    /// `BPF_MAP_TYPE_RINGBUF`: no keys, no values.
    RingBuffer,
    /// `BPF_MAP_TYPE_CGRP_STORAGE`: a value for each cgroup, gone with it.
    CgroupStorage,
}

impl MapKind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Hash, Self::Array, Self::RingBuffer, Self::CgroupStorage];

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Hash => maps::TYPE_HASH,
            Self::Array => maps::TYPE_ARRAY,
            Self::RingBuffer => maps::TYPE_RINGBUF,
            Self::CgroupStorage => maps::TYPE_CGRP_STORAGE,
        }
    }

    /// Its flags: what is not allocated in advance says so (`BPF_F_NO_PREALLOC`).
    #[must_use]
    pub fn flags(self) -> u32 {
        match self {
            Self::Hash | Self::CgroupStorage => 1,
            Self::Array | Self::RingBuffer => 0,
        }
    }

    /// In text.
    #[must_use]
    pub fn spelling(self) -> &'static str {
        match self {
            Self::Hash => "hash",
            Self::Array => "array",
            Self::RingBuffer => "ring",
            Self::CgroupStorage => "cgroup_storage",
        }
    }
}

/// What a function takes. What it gives is always a number: the verifier allows nothing else of a function
/// that it checks by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Param {
    /// A 64-bit number.
    Number,
    /// A trusted pointer to a kernel structure with this tag, never null.
    Trusted(String),
}

impl Param {
    /// Its type as a value.
    #[must_use]
    pub fn ty(&self) -> Type {
        match self {
            Self::Number => Type::I64,
            Self::Trusted(_) => Type::Ptr,
        }
    }
}

/// A function that others call, by what a caller must know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Symbol.
    pub name: String,
    /// What it takes, at most five.
    pub params: Vec<Param>,
}

/// What instructions refer to by number. All functions of a module have the same.
#[derive(Clone, Debug, Default)]
pub struct Refs {
    /// Kernel members read.
    pub fields: PrimaryMap<FieldRef, Field>,
    /// Enumerators used.
    pub enums: PrimaryMap<EnumRef, Enumerator>,
    /// Types whose ids are used, by tag.
    pub types: PrimaryMap<TypeRef, String>,
    /// Kernel variables used; weak.
    pub ksyms: PrimaryMap<KsymRef, String>,
    /// Globals of the module.
    pub globals: PrimaryMap<Global, GlobalData>,
    /// Maps that are no global.
    pub maps: PrimaryMap<MapRef, MapData>,
    /// Functions that others call.
    pub functions: PrimaryMap<FuncRef, Signature>,
}

/// A policy: the callback, and the functions that it calls.
#[derive(Clone, Debug, Default)]
pub struct Module {
    /// The callback first. The others in the order of their [`FuncRef`]s.
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

    /// What the functions refer to.
    #[must_use]
    pub fn refs(&self) -> Arc<Refs> {
        self.functions.first().map(|callback| Arc::clone(&callback.refs)).unwrap_or_default()
    }
}

impl From<Function> for Module {
    fn from(function: Function) -> Self {
        Self { functions: vec![function] }
    }
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
    /// The instruction's result, where it has one.
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

    /// The entry block: the first of the layout.
    #[must_use]
    pub fn entry(&self) -> Option<Block> {
        self.layout.first().copied()
    }

    /// What instructions refer to, to add to it.
    pub fn refs_mut(&mut self) -> &mut Refs {
        Arc::make_mut(&mut self.refs)
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
