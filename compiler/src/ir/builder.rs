//! The builder: appends instructions to a function, block by block.
//!
//! Owns the position at which the next instruction goes, the span that it comes from, and the names that are
//! already interned. Takes instructions and gives their results. Knows nothing of the policy language; whether
//! what is built is valid, [`super::verify`] says.

use std::collections::HashMap;

use super::entities::*;
use super::function::*;
use super::inst::*;
use super::refs::*;
use crate::source::Span;

/// A function that waits for another one to be finished: see [`Builder::begin`].
pub struct Outer {
    func: Function,
    block: Option<Block>,
    incoming: HashMap<Block, Vec<Inst>>,
}

/// Appends instructions to a function, block by block.
///
/// Constants, members, enumerators and types are interned, so the same name has one reference.
pub struct Builder<'f> {
    /// The function being built.
    pub func: &'f mut Function,
    block: Option<Block>,
    /// The ends of blocks that go to each block, as far as they are built.
    incoming: HashMap<Block, Vec<Inst>>,
    span: Span,
    fields: HashMap<Field, FieldRef>,
    enums: HashMap<Enumerator, EnumRef>,
    types: HashMap<String, TypeRef>,
    ksyms: HashMap<String, KsymRef>,
}

impl<'f> Builder<'f> {
    /// Starts at no block.
    #[must_use]
    pub fn new(func: &'f mut Function) -> Self {
        Self {
            func,
            block: None,
            incoming: HashMap::new(),
            span: Span::default(),
            fields: HashMap::new(),
            enums: HashMap::new(),
            types: HashMap::new(),
            ksyms: HashMap::new(),
        }
    }

    /// What the next instructions come from.
    pub fn set_span(&mut self, span: Span) -> Span {
        core::mem::replace(&mut self.span, span)
    }

    /// A new block, not yet placed.
    pub fn create_block(&mut self) -> Block {
        self.func.blocks.push(BlockData::default())
    }

    /// A parameter of a block.
    pub fn block_param(&mut self, block: Block, ty: Type) -> Value {
        let value = self.func.values.push(ty);
        self.func.add_param(block, value);
        value
    }

    /// Places a block at the end of the layout and continues in it.
    pub fn switch_to(&mut self, block: Block) {
        debug_assert!(!self.func.layout.contains(&block), "{block} is placed twice");
        debug_assert!(self.block.is_none(), "the block before {block} has no terminator");
        self.func.layout.push(block);
        self.block = Some(block);
    }

    /// Whether the present block still takes instructions.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.block.is_some()
    }

    fn push(&mut self, data: InstData, ty: Option<Type>) -> Option<Value> {
        // After a terminator nothing is reachable: such instructions go nowhere, but their results exist.
        let result = ty.map(|ty| self.func.values.push(ty));
        if let Some(block) = self.block {
            let ends = data.is_terminator();
            let inst = self.func.insts.next_key();
            for to in data.targets() {
                self.incoming.entry(to.block).or_default().push(inst);
            }
            self.func.insts.push(data);
            if let Some(result) = result {
                self.func.set_result(inst, result);
            }
            self.func.spans[inst] = self.span;
            self.func.blocks[block].insts.push(inst);
            if ends {
                self.block = None;
            }
        }
        result
    }

    /// The ways into a block that are built already.
    pub fn ways_to(&self, block: Block) -> impl Iterator<Item = &BlockCall> {
        let ends = self.incoming.get(&block).into_iter().flatten();
        ends.filter_map(|inst| self.func.insts.get(*inst))
            .flat_map(InstData::targets)
            .filter(move |call| call.block == block)
    }

    /// An instruction with a result.
    pub fn value(&mut self, data: InstData, ty: Type) -> Value {
        self.push(data, Some(ty)).unwrap_or_else(|| unreachable!("push returns a value for a type"))
    }

    /// An instruction without a result.
    pub fn effect(&mut self, data: InstData) {
        self.push(data, None);
    }

    /// Leaves the present function as it stands and begins another one of the same module, which has the
    /// same [`Refs`]. Every parameter is a value.
    pub fn begin(&mut self, name: &str, params: Vec<Param>) -> (Outer, Vec<Value>) {
        let mut inner = Function::with_params(name, params);
        inner.refs = core::mem::take(&mut self.func.refs);
        let outer = Outer {
            func: core::mem::replace(self.func, inner),
            block: self.block.take(),
            incoming: core::mem::take(&mut self.incoming),
        };
        let entry = self.create_block();
        self.switch_to(entry);
        let types: Vec<Type> = self.func.params.iter().map(Param::ty).collect();
        let values = (0..).zip(types).map(|(at, ty)| self.value(InstData::Param(at), ty)).collect();
        (outer, values)
    }

    /// Ends the function begun last, and goes on with the one that was left for it.
    pub fn end(&mut self, outer: Outer) -> Function {
        debug_assert!(self.block.is_none(), "the last block of the function has no terminator");
        self.block = outer.block;
        self.incoming = outer.incoming;
        let mut inner = core::mem::replace(self.func, outer.func);
        inner.shrink();
        self.func.refs = core::mem::take(&mut inner.refs);
        inner
    }

    /// Declares a function of the module.
    pub fn declare(&mut self, name: &str, params: Vec<Param>) -> FuncRef {
        self.func.refs_mut().functions.push(Signature { name: name.into(), params })
    }

    /// Interns a member.
    pub fn field(&mut self, container: &str, path: &str) -> FieldRef {
        let field = Field { container: container.into(), path: path.into() };
        let func = &mut self.func;
        *self.fields.entry(field.clone()).or_insert_with(|| func.refs_mut().fields.push(field))
    }

    /// Interns an enumerator.
    pub fn enumerator(&mut self, enumeration: &str, name: &str) -> EnumRef {
        let key = Enumerator { enumeration: enumeration.into(), name: name.into() };
        let func = &mut self.func;
        *self.enums.entry(key.clone()).or_insert_with(|| func.refs_mut().enums.push(key))
    }

    /// Interns a type.
    pub fn type_ref(&mut self, tag: &str) -> TypeRef {
        let func = &mut self.func;
        *self.types.entry(tag.into()).or_insert_with(|| func.refs_mut().types.push(tag.into()))
    }

    /// Interns a kernel variable.
    pub fn ksym(&mut self, name: &str) -> KsymRef {
        let func = &mut self.func;
        *self.ksyms.entry(name.into()).or_insert_with(|| func.refs_mut().ksyms.push(name.into()))
    }

    /// A stack slot.
    pub fn slot(&mut self, size: u32) -> StackSlot {
        self.func.slots.push(SlotData { size })
    }

    /// Ends the block.
    pub fn jump(&mut self, block: Block, args: &[Value]) {
        self.effect(InstData::Jump(BlockCall { block, args: args.into() }));
    }

    /// Ends the block.
    pub fn branch(&mut self, cond: Cond, a: Value, b: Operand, then: Block, otherwise: Block) {
        let to = |block| BlockCall { block, args: Args::default() };
        self.effect(InstData::Branch { cond, a, b, then: to(then), otherwise: to(otherwise) });
    }
}
