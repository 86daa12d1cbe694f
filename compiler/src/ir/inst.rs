//! The instruction: what it does and what it reads.
//!
//! Owns the forms of instructions and their operators. What holds of each form — its name, operands, result and
//! effect — stands in [`super::opcodes`].

use oomc_abi::helpers::Helper;
use oomc_abi::kfuncs::KfuncId;

use super::entities::*;
use super::opcodes::Effect;
use super::refs::FieldFact;

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
    /// All of them.
    pub const ALL: &[Self] = &[Self::B1, Self::B2, Self::B4, Self::B8];

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

/// What a jump or a call hands over. Most jumps hand over nothing: that takes one word, because a large policy has a
/// million instructions, all as large as the largest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(Option<Box<Handed>>);

/// Values that are handed over; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handed {
    values: Vec<Value>,
}

impl Args {
    /// Keeps those that are to be kept.
    pub fn retain(&mut self, keep: impl FnMut(&Value) -> bool) {
        if let Some(handed) = &mut self.0 {
            handed.values.retain(keep);
            if handed.values.is_empty() {
                self.0 = None;
            }
        }
    }
}

impl From<Vec<Value>> for Args {
    fn from(values: Vec<Value>) -> Self {
        Self((!values.is_empty()).then(|| Box::new(Handed { values })))
    }
}

impl From<&[Value]> for Args {
    fn from(values: &[Value]) -> Self {
        Self::from(values.to_vec())
    }
}

impl FromIterator<Value> for Args {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        Self::from(values.into_iter().collect::<Vec<_>>())
    }
}

impl core::ops::Deref for Args {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        self.0.as_ref().map_or(&[], |handed| &handed.values)
    }
}

impl core::ops::DerefMut for Args {
    fn deref_mut(&mut self) -> &mut [Value] {
        self.0.as_mut().map_or(&mut [], |handed| &mut handed.values)
    }
}

impl<'a> IntoIterator for &'a Args {
    type Item = &'a Value;
    type IntoIter = core::slice::Iter<'a, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A block and the arguments for its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockCall {
    /// Where to.
    pub block: Block,
    /// One per parameter.
    pub args: Args,
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
    Call { kfunc: KfuncId, args: Args },
    /// Calls a numbered helper.
    CallHelper { helper: Helper, args: Args },
    /// Calls a function of the module; gives a number.
    CallFunc { func: FuncRef, args: Args },
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
    /// What it does besides giving its result.
    #[must_use]
    pub fn effect(&self) -> Effect {
        self.opcode().row().effect
    }

    /// Whether it ends a block.
    #[must_use]
    pub fn is_terminator(&self) -> bool {
        self.effect() == Effect::Ends
    }

    /// Whether it must stay although nobody reads its result.
    #[must_use]
    pub fn has_effect(&self) -> bool {
        match self.effect() {
            Effect::Constant | Effect::Pure | Effect::Reads => false,
            Effect::Writes | Effect::Calls | Effect::Marks | Effect::Ends => true,
        }
    }

    /// The blocks it may go to, then before otherwise.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = &BlockCall> {
        let (first, second) = match self {
            Self::Jump(call) => (Some(call), None),
            Self::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }

    /// The blocks it may go to, to change them.
    pub fn targets_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut BlockCall> {
        let (first, second) = match self {
            Self::Jump(call) => (Some(call), None),
            Self::Branch { then, otherwise, .. } => (Some(then), Some(otherwise)),
            _ => (None, None),
        };
        first.into_iter().chain(second)
    }
}
