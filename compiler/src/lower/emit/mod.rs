//! Instructions: the layer below, which knows the kernel's calls and structures, and nothing of what a policy asks.
//!
//! Owns the function being written, its cells of scratch and constants, the words of the record, arithmetic, and walks
//! as open-coded iterators. Takes values, gives values; knows no field, condition or action of the language.

mod arith;
mod asked;
mod cells;
mod config;
mod constants;
mod memory;
mod narrow;
mod record;
mod shapes;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use oomc_abi::kfuncs::{self, KfuncId};
use oomc_abi::members::Member;
use oomc_abi::resolve::KernelView;
use oomc_abi::target::{Event, Target};

use crate::hir::Policy;
use crate::ir::{BinOp, Block, Builder, Cond, Function, InstData, Operand, Size, StackSlot, Type, Value};
use crate::source::Span;

pub(in crate::lower) use asked::Offered;
pub(in crate::lower) use cells::{Cell, Fetched};
pub(in crate::lower) use config::EPOCH;
pub(in crate::lower) use record::shared as shared_map;
pub(in crate::lower) use walk::{Order, Slots, Tasks, Walk, Walks};

/// What is being written, and what belongs to it.
pub(in crate::lower) struct Emit<'a> {
    /// Which kernel it is for.
    pub(in crate::lower) target: Target,
    pub(in crate::lower) b: Builder<'a>,
    pub(in crate::lower) view: &'a KernelView,
    pub(in crate::lower) globals: cells::Globals,
    /// Slots for iterators.
    pub(in crate::lower) frame: Slots,
    /// The event; a trusted pointer.
    pub(in crate::lower) oc: Value,
    /// The OOM'ing cgroup's memcg, referenced.
    pub(in crate::lower) domain: Value,
    /// The second argument of the callback.
    pub(in crate::lower) link: Value,
    /// Inside an RCU section.
    pub(in crate::lower) in_rcu: bool,
    /// In a function that may be called in an RCU section of its caller: nothing in it may sleep.
    pub(in crate::lower) under_rcu: bool,
    /// Pointers that a cast gave: they are what they were cast to, where a cgroup that is held may be something else.
    pub(in crate::lower) casts: HashSet<Value>,
    /// What the verifier knows of members, as far as it was asked.
    known: narrow::Members,
    /// What should be impossible, and was found: a bug of the compiler.
    fault: Option<&'static str>,
}

impl<'a> Emit<'a> {
    /// Begins a callback.
    pub(in crate::lower) fn new(
        policy: &Policy,
        view: &'a KernelView,
        func: &'a mut Function,
        target: Target,
    ) -> Self {
        let globals = cells::Globals::new(func, policy, target);
        let mut b = Builder::new(func);
        b.set_span(frame_span(policy));
        let entry = b.create_block();
        b.switch_to(entry);
        let [oc, link] = [0, 1].map(|at| match target.row().event {
            Event::Control => b.value(InstData::LoadCtx(at), Type::Ptr),
            // There is none, and nobody reads of it.
            Event::Question => b.value(InstData::Iconst(0), Type::Ptr),
        });
        Self {
            target,
            b,
            view,
            globals,
            frame: Slots::default(),
            oc,
            domain: oc,
            link,
            in_rcu: false,
            under_rcu: false,
            casts: HashSet::new(),
            known: narrow::Members::default(),
            fault: None,
        }
    }

    /// Notes that something impossible was found; the value is never used, because nothing comes of the function.
    pub(in crate::lower) fn broken(&mut self, what: &'static str) -> Value {
        self.fault.get_or_insert(what);
        self.int(0)
    }

    /// Ends the callback; what is wrong, if anything impossible was found.
    pub(in crate::lower) fn finish(self) -> Result<(), &'static str> {
        self.globals.finish(self.b.func);
        self.fault.map_or(Ok(()), Err)
    }
}

/// Where what belongs to no rule is shown: at the first rule, because a file's first line is often a comment.
pub(in crate::lower) fn frame_span(policy: &Policy) -> Span {
    policy.rules.first().map(|rule| rule.span).unwrap_or_default()
}

/// Instructions by what they do.
impl Emit<'_> {
    pub(in crate::lower) fn call(&mut self, kfunc: KfuncId, args: &[Value]) {
        let data = InstData::Call { kfunc, args: args.into() };
        match kfunc.row().ret {
            kfuncs::Ret::Void => self.b.effect(data),
            kfuncs::Ret::Ptr => drop(self.b.value(data, Type::Ptr)),
            _ => drop(self.b.value(data, Type::I64)),
        }
    }

    pub(in crate::lower) fn call_ptr(&mut self, kfunc: KfuncId, args: &[Value]) -> Value {
        self.b.value(InstData::Call { kfunc, args: args.into() }, Type::Ptr)
    }

    pub(in crate::lower) fn call_int(&mut self, kfunc: KfuncId, args: &[Value]) -> Value {
        self.b.value(InstData::Call { kfunc, args: args.into() }, Type::I64)
    }

    pub(in crate::lower) fn helper(&mut self, helper: oomc_abi::helpers::Helper, args: &[Value]) -> Value {
        let ty = if helper.pointer { Type::Ptr } else { Type::I64 };
        self.b.value(InstData::CallHelper { helper, args: args.into() }, ty)
    }

    pub(in crate::lower) fn int(&mut self, value: i64) -> Value {
        self.b.value(InstData::Iconst(value), Type::I64)
    }

    pub(in crate::lower) fn null(&mut self) -> Value {
        self.b.value(InstData::Iconst(0), Type::Ptr)
    }

    /// A number in a kernel structure.
    pub(in crate::lower) fn field(&mut self, ptr: Value, member: Member) -> Value {
        self.field_at(ptr, member.container, member.path)
    }

    /// A number in a kernel structure, by a path of another table.
    pub(in crate::lower) fn field_at(&mut self, ptr: Value, container: &str, path: &str) -> Value {
        let ptr = self.holder(ptr, container);
        let field = self.b.field(container, path);
        self.b.value(InstData::LoadField { ptr, field }, Type::I64)
    }

    /// A pointer in a kernel structure.
    pub(in crate::lower) fn pointer(&mut self, ptr: Value, member: Member) -> Value {
        self.pointer_at(ptr, member.container, member.path)
    }

    pub(in crate::lower) fn pointer_at(&mut self, ptr: Value, container: &str, path: &str) -> Value {
        if self.is_cgroup(ptr, container, path) {
            return ptr;
        }
        let ptr = self.holder(ptr, container);
        let field = self.b.field(container, path);
        self.b.value(InstData::LoadPtr { ptr, field }, Type::Ptr)
    }

    /// The address of a member.
    pub(in crate::lower) fn member_addr(&mut self, ptr: Value, member: Member) -> Value {
        let ptr = self.holder(ptr, member.container);
        let field = self.b.field(member.container, member.path);
        self.b.value(InstData::FieldAddr { ptr, field }, Type::Ptr)
    }

    pub(in crate::lower) fn enumerator_at(&mut self, enumeration: &str, name: &str) -> Value {
        let enumerator = self.b.enumerator(enumeration, name);
        self.b.value(InstData::EnumValue(enumerator), Type::I64)
    }

    pub(in crate::lower) fn bin(&mut self, op: BinOp, a: Value, b: Value) -> Value {
        self.b.value(InstData::Binary(op, a, Operand::Value(b)), Type::I64)
    }

    pub(in crate::lower) fn bin_imm(&mut self, op: BinOp, a: Value, b: i32) -> Value {
        self.b.value(InstData::Binary(op, a, Operand::Imm(b)), Type::I64)
    }

    pub(in crate::lower) fn load(&mut self, size: Size, ptr: Value, offset: i32) -> Value {
        self.b.value(InstData::Load { size, ptr, offset }, Type::I64)
    }

    pub(in crate::lower) fn slot_addr(&mut self, slot: StackSlot) -> Value {
        self.b.value(InstData::StackAddr(slot), Type::Ptr)
    }
    /// Parameters of a block for pointers that are carried.
    pub(in crate::lower) fn pointers_into(&mut self, block: Block, count: usize) -> Vec<Value> {
        (0..count).map(|_| self.b.block_param(block, Type::Ptr)).collect()
    }

    /// Ends the block if the condition holds; continues otherwise.
    pub(in crate::lower) fn leave_if(&mut self, cond: Cond, a: Value, b: Operand, target: Block) {
        let next = self.b.create_block();
        self.b.branch(cond, a, b, target, next);
        self.b.switch_to(next);
    }
}

/// An immediate operand. All constants that come here are far below 2³¹.
pub(in crate::lower) fn imm(value: i64) -> Operand {
    Operand::Imm(value as i32)
}
