//! What is set at run time: the mode and the params, in a map that user space writes.
//!
//! A policy is compiled for both modes. In audit mode each action has a branch that leaves the kernel alone and
//! goes on as if the action had made progress.

use oomc_abi::maps;

use super::cells::bytes;
use super::{Emit, imm};
use crate::hir::{Mode, ParamId, Policy};
use crate::ir::{Block, Cond, Global, GlobalData, InstData, Size, Type, Value};

/// Members before the params.
const AUDIT: u32 = 0;
pub(in crate::lower) const EPOCH: u32 = 1;
const FIRST_PARAM: u32 = 2;

/// The map's first value.
pub(in crate::lower) fn global(policy: &Policy) -> GlobalData {
    let names =
        [maps::AUDIT, maps::EPOCH].into_iter().chain(policy.params.values().map(|param| param.name.as_str()));
    let values = [i64::from(policy.mode == Mode::Audit), 0];
    let values = values.into_iter().chain(policy.params.values().map(|param| param.default));
    GlobalData {
        members: names.map(str::to_owned).collect(),
        data: values.flat_map(i64::to_le_bytes).collect(),
        ..bytes(maps::CONFIG, &format!(".data.{}", maps::CONFIG), Vec::new())
    }
}

impl Emit<'_> {
    pub(in crate::lower) fn config(&mut self, member: u32) -> Value {
        let global: Global = self.globals.config;
        let ptr = self.b.value(InstData::GlobalAddr { global, offset: 0 }, Type::Ptr);
        self.load(Size::B8, ptr, member as i32 * 8)
    }

    pub(in crate::lower) fn param(&mut self, param: ParamId) -> Value {
        self.config(FIRST_PARAM + param.as_u32())
    }

    /// Not 0: nothing is done, only recorded.
    pub(in crate::lower) fn audit(&mut self) -> Value {
        self.config(AUDIT)
    }

    /// Leaves to `pretend` in audit mode.
    pub(in crate::lower) fn unless_audit(&mut self, pretend: Block) {
        let audit = self.audit();
        self.leave_if(Cond::Ne, audit, imm(0), pretend);
    }
}
