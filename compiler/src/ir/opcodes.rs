//! The table of opcodes: of each instruction its name in text, its operands, its result and its effect.
//!
//! One row per variant of [`InstData`]. The printer, the reader, the verifier, the passes and instruction
//! selection ask this table, so that a new instruction is one row here and one way to select it. Knows nothing
//! of text, nor of what the verifier says where an operand is not what its row wants.

use std::borrow::Cow;

use oomc_abi::helpers::Helper;
use oomc_abi::kfuncs::KfuncId;

use super::entities::*;
use super::inst::{Args, BinOp, BlockCall, Cond, InstData, Operand, Size};
use super::refs::FieldFact;

/// What an operand is: how it is written, and what the verifier asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An operator, which is the instruction's name.
    Operator,
    /// A width in bits, which ends the instruction's name.
    Width,
    /// A fact of a bit-field, which ends the instruction's name.
    Fact,
    /// A condition.
    Condition,
    /// A number of 64 bits.
    Constant,
    /// A position among the words of the context.
    Word,
    /// A position among the function's parameters.
    Parameter,
    /// Bytes behind the pointer before it.
    Offset,
    /// A byte of the global before it.
    Byte,
    /// A value that is a pointer.
    Pointer,
    /// A value that is a number.
    Number,
    /// A value that is a number, or an immediate.
    NumberOrImm,
    /// A number, or a pointer that is stored whole.
    Stored,
    /// The left side of a comparison.
    Compared,
    /// The right side of the comparison whose left side stands before it.
    ComparedWith,
    /// A pointer, or nothing.
    Object,
    /// A point of the policy.
    Point,
    /// A kernel member.
    Field,
    /// An enumerator.
    Enumerator,
    /// A type of the kernel.
    Type,
    /// A variable of the kernel.
    Ksym,
    /// A function of the kernel.
    Kfunc,
    /// A numbered helper.
    Helper,
    /// A function of the module.
    Function,
    /// A piece of the frame.
    Slot,
    /// A map.
    Map,
    /// A global.
    Global,
    /// Arguments of the callee before them.
    Arguments,
    /// A block, with arguments for its parameters.
    Target,
}

/// What an instruction gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    /// Nothing.
    Nothing,
    /// A number.
    Number,
    /// A pointer.
    Pointer,
    /// A number; the constant 0 may be the null pointer.
    NumberOrNull,
    /// A number; 8 bytes may be a pointer that was parked.
    NumberOrParked,
    /// What the parameter is.
    Parameter,
    /// What the callee gives, or nothing if nobody reads it.
    Called,
}

/// What an instruction does besides giving its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing, and it reads no value: the result is the same wherever in the function it is made.
    Constant,
    /// Nothing: the result depends on the operands alone.
    Pure,
    /// It reads memory.
    Reads,
    /// It writes memory of our own.
    Writes,
    /// It calls: memory may be read and written, objects acquired and released.
    Calls,
    /// It is seen by a simulator.
    Marks,
    /// It ends its block.
    Ends,
}

/// What holds of an opcode.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name in text, without what an operand of [`Kind::Operator`], [`Kind::Width`] or [`Kind::Fact`] adds.
    pub name: &'static str,
    /// In the order of the text.
    pub operands: &'static [Kind],
    /// The result.
    pub gives: Gives,
    /// The effect.
    pub effect: Effect,
}

macro_rules! opcodes {
    ($( $name:literal $op:ident $gives:ident $effect:ident ($($part:ident: $kind:ident),*) { $($data:tt)* } )*) => {
        /// The name of a variant of [`InstData`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is described where InstData is")]
        pub enum Opcode { $($op),* }

        impl Opcode {
            /// All, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$op),*];

            /// What holds of it.
            #[must_use]
            pub fn row(self) -> Row {
                match self {
                    $(Self::$op => Row {
                        name: $name,
                        operands: &[$(Kind::$kind),*],
                        gives: Gives::$gives,
                        effect: Effect::$effect,
                    },)*
                }
            }

            /// The instruction with these operands; none if they are not those of the row.
            pub(super) fn build(self, parts: Vec<Part<'static>>) -> Option<InstData> {
                let mut parts = parts.into_iter();
                Some(match self {
                    $(Self::$op => {
                        $(let $part = Data::of(parts.next()?)?;)*
                        InstData::$($data)*
                    })*
                })
            }
        }

        impl InstData {
            /// Which instruction it is.
            #[must_use]
            pub fn opcode(&self) -> Opcode {
                match self {
                    $(Self::$op { .. } => Opcode::$op,)*
                }
            }

            /// Shows each operand, in the order of the table.
            pub(super) fn for_each_part<'a>(&'a self, mut each: impl FnMut(Kind, Part<'a>)) {
                match self {
                    $(Self::$($data)* => { $(each(Kind::$kind, $part.part());)* })*
                }
            }

            /// Shows each value read, in order: operands, then arguments of the targets.
            pub fn for_each_use(&self, mut each: impl FnMut(Value)) {
                match self {
                    $(Self::$($data)* => { $($part.each_value(&mut each);)* })*
                }
            }

            /// Replaces each value read.
            pub fn map_uses(&mut self, mut map: impl FnMut(Value) -> Value) {
                match self {
                    $(Self::$($data)* => { $($part.map_values(&mut map);)* })*
                }
            }
        }
    };
}

opcodes! {
    // name         opcode       gives           effect    operands, and the instruction made of them
    "iconst"       Iconst      NumberOrNull   Constant  (imm: Constant) { Iconst(imm) }
    ""             Binary      Number         Pure      (op: Operator, a: Number, b: NumberOrImm)
                                                        { Binary(op, a, b) }
    "sext"         SignExtend  Number         Pure      (size: Width, a: Number) { SignExtend(size, a) }
    "load.ctx"     LoadCtx     Pointer        Reads     (word: Word) { LoadCtx(word) }
    "param"        Param       Parameter      Reads     (at: Parameter) { Param(at) }
    "load"         Load        NumberOrParked Reads     (size: Width, ptr: Pointer, offset: Offset)
                                                        { Load { size, ptr, offset } }
    "store"        Store       Nothing        Writes    (size: Width, ptr: Pointer, offset: Offset, value: Stored)
                                                        { Store { size, ptr, offset, value } }
    "load.field"   LoadField   Number         Reads     (ptr: Pointer, field: Field)
                                                        { LoadField { ptr, field } }
    "load.ptr"     LoadPtr     Pointer        Reads     (ptr: Pointer, field: Field)
                                                        { LoadPtr { ptr, field } }
    "field.addr"   FieldAddr   Pointer        Pure      (ptr: Pointer, field: Field)
                                                        { FieldAddr { ptr, field } }
    "field."       FieldFact   Number         Constant  (fact: Fact, field: Field) { FieldFact(fact, field) }
    "field.exists" FieldExists Number         Constant  (field: Field) { FieldExists(field) }
    "enum.value"   EnumValue   Number         Constant  (of: Enumerator) { EnumValue(of) }
    "enum.exists"  EnumExists  Number         Constant  (of: Enumerator) { EnumExists(of) }
    "type.id"      TypeId      Number         Constant  (ty: Type) { TypeId(ty) }
    "ksym.addr"    KsymAddr    Pointer        Constant  (ksym: Ksym) { KsymAddr(ksym) }
    "kfunc.addr"   KfuncAddr   Pointer        Constant  (kfunc: Kfunc) { KfuncAddr(kfunc) }
    "stack.addr"   StackAddr   Pointer        Constant  (slot: Slot) { StackAddr(slot) }
    "map.addr"     MapAddr     Pointer        Constant  (map: Map) { MapAddr(map) }
    "global.addr"  GlobalAddr  Pointer        Constant  (global: Global, offset: Byte)
                                                        { GlobalAddr { global, offset } }
    "ptr.add"      PtrAdd      Pointer        Pure      (ptr: Pointer, value: Number) { PtrAdd(ptr, value) }
    "call"         Call        Called         Calls     (kfunc: Kfunc, args: Arguments)
                                                        { Call { kfunc, args } }
    "call"         CallHelper  Called         Calls     (helper: Helper, args: Arguments)
                                                        { CallHelper { helper, args } }
    "call"         CallFunc    Called         Calls     (func: Function, args: Arguments)
                                                        { CallFunc { func, args } }
    "mark"         Mark        Nothing        Marks     (point: Point, object: Object)
                                                        { Mark { point, object } }
    "jump"         Jump        Nothing        Ends      (to: Target) { Jump(to) }
    "br"           Branch      Nothing        Ends      (cond: Condition, a: Compared, b: ComparedWith, then: Target, otherwise: Target)
                                                        { Branch { cond, a, b, then, otherwise } }
    "return"       Return      Nothing        Ends      (value: NumberOrImm) { Return(value) }
}

/// An operand of any kind.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each is named as what it holds")]
pub enum Part<'a> {
    BinOp(BinOp),
    Size(Size),
    Fact(FieldFact),
    Cond(Cond),
    I64(i64),
    U32(u32),
    I32(i32),
    Value(Value),
    Operand(Operand),
    Object(Option<Value>),
    Field(FieldRef),
    Enumerator(EnumRef),
    Type(TypeRef),
    Ksym(KsymRef),
    Kfunc(KfuncId),
    Helper(Helper),
    Function(FuncRef),
    Slot(StackSlot),
    Map(MapRef),
    Global(Global),
    Arguments(Cow<'a, [Value]>),
    Target(Cow<'a, BlockCall>),
}

/// What an operand is made of.
trait Data: Sized {
    fn part(&self) -> Part<'_>;
    fn of(part: Part<'static>) -> Option<Self>;
    fn each_value(&self, _: &mut impl FnMut(Value)) {}
    fn map_values(&mut self, _: &mut impl FnMut(Value) -> Value) {}
}

macro_rules! data {
    ($($ty:ty = $part:ident)*) => { $(
        impl Data for $ty {
            fn part(&self) -> Part<'_> {
                Part::$part(*self)
            }

            fn of(part: Part<'static>) -> Option<Self> {
                if let Part::$part(data) = part { Some(data) } else { None }
            }
        }
    )* };
}

data! {
    BinOp = BinOp
    Size = Size
    FieldFact = Fact
    Cond = Cond
    i64 = I64
    u32 = U32
    i32 = I32
    FieldRef = Field
    EnumRef = Enumerator
    TypeRef = Type
    KsymRef = Ksym
    KfuncId = Kfunc
    Helper = Helper
    FuncRef = Function
    StackSlot = Slot
    MapRef = Map
    Global = Global
}

impl Data for Value {
    fn part(&self) -> Part<'_> {
        Part::Value(*self)
    }

    fn of(part: Part<'static>) -> Option<Self> {
        if let Part::Value(value) = part { Some(value) } else { None }
    }

    fn each_value(&self, each: &mut impl FnMut(Value)) {
        each(*self);
    }

    fn map_values(&mut self, map: &mut impl FnMut(Value) -> Value) {
        *self = map(*self);
    }
}

impl Data for Operand {
    fn part(&self) -> Part<'_> {
        Part::Operand(*self)
    }

    fn of(part: Part<'static>) -> Option<Self> {
        if let Part::Operand(operand) = part { Some(operand) } else { None }
    }

    fn each_value(&self, each: &mut impl FnMut(Value)) {
        if let Self::Value(value) = self {
            each(*value);
        }
    }

    fn map_values(&mut self, map: &mut impl FnMut(Value) -> Value) {
        if let Self::Value(value) = self {
            *value = map(*value);
        }
    }
}

impl Data for Option<Value> {
    fn part(&self) -> Part<'_> {
        Part::Object(*self)
    }

    fn of(part: Part<'static>) -> Option<Self> {
        if let Part::Object(object) = part { Some(object) } else { None }
    }

    fn each_value(&self, each: &mut impl FnMut(Value)) {
        self.iter().copied().for_each(each);
    }

    fn map_values(&mut self, map: &mut impl FnMut(Value) -> Value) {
        *self = self.map(map);
    }
}

impl Data for Args {
    fn part(&self) -> Part<'_> {
        Part::Arguments(Cow::Borrowed(self))
    }

    fn of(part: Part<'static>) -> Option<Self> {
        if let Part::Arguments(args) = part { Some(args.into_owned().into()) } else { None }
    }

    fn each_value(&self, each: &mut impl FnMut(Value)) {
        self.iter().copied().for_each(each);
    }

    fn map_values(&mut self, map: &mut impl FnMut(Value) -> Value) {
        self.iter_mut().for_each(|value| *value = map(*value));
    }
}

impl Data for BlockCall {
    fn part(&self) -> Part<'_> {
        Part::Target(Cow::Borrowed(self))
    }

    fn of(part: Part<'static>) -> Option<Self> {
        if let Part::Target(call) = part { Some(call.into_owned()) } else { None }
    }

    fn each_value(&self, each: &mut impl FnMut(Value)) {
        self.args.each_value(each);
    }

    fn map_values(&mut self, map: &mut impl FnMut(Value) -> Value) {
        self.args.map_values(map);
    }
}
