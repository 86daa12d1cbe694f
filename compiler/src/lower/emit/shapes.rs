//! Members that kernels declare in two ways: the way that this kernel has is read ([`oomc_abi::shapes`]).
//!
//! The verifier removes the other branch, because the question is a constant once the object is loaded.

use oomc_abi::members::Member;
use oomc_abi::shapes::{self, Shapes};

use super::{Emit, imm};
use crate::ir::{Cond, FieldRef, InstData, Type, Value};

impl Emit<'_> {
    /// A number.
    pub(in crate::lower) fn shaped_field(&mut self, ptr: Value, shapes: &Shapes) -> Value {
        let fields = shapes.map(|Member { container, path }| self.b.field(container, path));
        self.either(fields, Type::I64, |field| InstData::LoadField { ptr, field })
    }

    /// A pointer.
    pub(in crate::lower) fn shaped_pointer(&mut self, ptr: Value, shapes: &Shapes) -> Value {
        let fields = shapes.map(|Member { container, path }| self.b.field(container, path));
        self.either(fields, Type::Ptr, |field| InstData::LoadPtr { ptr, field })
    }

    /// A running average of pressure.
    pub(in crate::lower) fn shaped_average(&mut self, ptr: Value, state: u32, window: u32) -> Value {
        let [old, new] = shapes::AVERAGES;
        let [old_path, new_path] = shapes::average(state, window);
        let fields = [self.b.field(old.container, &old_path), self.b.field(new.container, &new_path)];
        self.either(fields, Type::I64, |field| InstData::LoadField { ptr, field })
    }

    fn either(&mut self, fields: [FieldRef; 2], ty: Type, load: impl Fn(FieldRef) -> InstData) -> Value {
        let [old, new] = fields;
        let [as_old, as_new, join] = [(); 3].map(|()| self.b.create_block());
        let result = self.b.block_param(join, ty);
        let is_old = self.b.value(InstData::FieldExists(old), Type::I64);
        self.b.branch(Cond::Ne, is_old, imm(0), as_old, as_new);
        for (block, field) in [(as_old, old), (as_new, new)] {
            self.b.switch_to(block);
            let value = self.b.value(load(field), ty);
            self.b.jump(join, &[value]);
        }
        self.b.switch_to(join);
        result
    }
}
