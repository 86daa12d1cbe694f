//! Selection of operands: registers, immediates and addresses.

use regalloc2::VReg;

use super::{Select, Shared, bit_fact, offset_of};
use crate::bpf::insn::{AluOp, Src};
use crate::bpf::limits::Error;
use crate::bpf::vcode::{Base, VInst};
use crate::bpf::{CoreKind, RelocTarget};
use crate::ir::{FieldFact, Global, InstData, Operand, Size, StackSlot, Value};

impl Select<'_> {
    /// The value of a constant.
    pub(super) fn constant(&self, value: Value) -> Option<i64> {
        match self.func.def_inst(value) {
            Some(InstData::Iconst(imm)) => Some(*imm),
            _ => None,
        }
    }

    /// A register that holds a value here: its own, or one made now.
    pub(super) fn reg(&mut self, value: Value) -> Result<VReg, Error> {
        let Some(def) = self.func.def_inst(value) else { return Ok(self.define(value)) };
        Ok(match *def {
            InstData::Iconst(imm) => self.imm(imm),
            InstData::FieldExists(field) => self.fact(1, CoreKind::FieldExists(field)),
            InstData::FieldFact(FieldFact::Offset, field) => {
                let offset = offset_of(i64::from(self.facts.member(field)?.offset))?;
                self.fact(offset, CoreKind::FieldByteOffset(field))
            }
            InstData::FieldFact(fact, field) => {
                let bits = self.facts.bit_field(field).ok_or_else(|| self.facts.no_member(field))?;
                self.fact(bit_fact(fact, bits) as i32, CoreKind::FieldFact(fact, field))
            }
            InstData::EnumExists(enumerator) => self.fact(1, CoreKind::EnumExists(enumerator)),
            InstData::EnumValue(enumerator) => {
                let imm = offset_of(self.facts.enumerator(enumerator)?)?;
                self.fact(imm, CoreKind::EnumValue(enumerator))
            }
            // The object's own id is put in when its BTF is known.
            InstData::TypeId(ty) => self.fact(0, CoreKind::TypeIdTarget(ty)),
            InstData::KsymAddr(ksym) => {
                let symbol = RelocTarget::Ksym(ksym);
                self.shared(Shared::Ksym(ksym), |dst| VInst::Address { dst, symbol, offset: 0 })
            }
            InstData::KfuncAddr(kfunc) => self.symbol(RelocTarget::KfuncAddr(kfunc), 0),
            InstData::MapAddr(map) => self.symbol(RelocTarget::Map(map), 0),
            InstData::StackAddr(slot) => {
                let (dst, off) = (self.fresh(), self.frame.slot(slot)?);
                self.push(VInst::FrameAddress { dst, off });
                dst
            }
            InstData::GlobalAddr { global, offset: 0 } => self.global(global),
            InstData::GlobalAddr { global, offset } => self.inside_global(global, offset)?,
            _ => self.define(value),
        })
    }

    /// The address of a symbol, made now.
    fn symbol(&mut self, symbol: RelocTarget, offset: i32) -> VReg {
        let dst = self.fresh();
        self.push(VInst::Address { dst, symbol, offset });
        dst
    }

    fn inside_global(&mut self, global: Global, offset: u32) -> Result<VReg, Error> {
        let offset = offset_of(i64::from(offset))?;
        let Some(a) = self.find_shared(Shared::Global(global)) else {
            return Ok(self.symbol(RelocTarget::Global(global), offset));
        };
        // Two places either way, but no relocation.
        let dst = self.fresh();
        self.push(VInst::Alu { op: AluOp::Add, dst, a, b: Src::Imm(offset), core: None });
        Ok(dst)
    }

    fn global(&mut self, global: Global) -> VReg {
        let symbol = RelocTarget::Global(global);
        self.shared(Shared::Global(global), |dst| VInst::Address { dst, symbol, offset: 0 })
    }

    fn shared(&mut self, key: Shared, make: impl FnOnce(VReg) -> VInst) -> VReg {
        if let Some(vreg) = self.find_shared(key) {
            return vreg;
        }
        let dst = self.fresh();
        self.push(make(dst));
        self.shared.push((key, dst));
        dst
    }

    fn find_shared(&self, key: Shared) -> Option<VReg> {
        if let (Shared::Global(global), Some((pinned, vreg))) = (key, self.pinned)
            && global == pinned
        {
            return Some(vreg);
        }
        self.shared.iter().find(|(known, _)| *known == key).map(|(_, vreg)| *vreg)
    }

    fn fact(&mut self, imm: i32, kind: CoreKind) -> VReg {
        let dst = self.fresh();
        self.push(VInst::Mov { dst, imm, core: Some(kind) });
        dst
    }

    pub(super) fn imm(&mut self, imm: i64) -> VReg {
        if let Ok(imm) = i32::try_from(imm) {
            let dst = self.fresh();
            self.push(VInst::Mov { dst, imm, core: None });
            dst
        } else if let Ok(low) = u32::try_from(imm) {
            let dst = self.fresh();
            self.push(VInst::Mov32 { dst, imm: low as i32 });
            dst
        } else {
            self.shared(Shared::Wide(imm), |dst| VInst::Wide { dst, imm })
        }
    }

    pub(super) fn source(&mut self, operand: Operand) -> Result<Src<VReg>, Error> {
        let value = match operand {
            Operand::Imm(imm) => return Ok(Src::Imm(imm)),
            Operand::Value(value) => value,
        };
        match self.constant(value).map(i32::try_from) {
            Some(Ok(imm)) => Ok(Src::Imm(imm)),
            _ => Ok(Src::Reg(self.reg(value)?)),
        }
    }

    /// What a store writes: of a constant, only the bits that it keeps must fit.
    pub(super) fn store_source(&mut self, size: Size, operand: Operand) -> Result<Src<VReg>, Error> {
        if let Operand::Value(value) = operand
            && size != Size::B8
            && let Some(imm) = self.constant(value)
        {
            return Ok(Src::Imm(imm as i32));
        }
        self.source(operand)
    }

    /// The address `ptr + offset` as a base and an offset that fits an instruction.
    pub(super) fn address(&mut self, ptr: Value, offset: i32) -> Result<(Base, i16), Error> {
        let wide = i64::from(offset);
        match self.func.def_inst(ptr) {
            Some(InstData::StackAddr(slot)) => self.slot_address(*slot, wide),
            Some(InstData::GlobalAddr { global, offset }) => match i16::try_from(wide + i64::from(*offset)) {
                Ok(off) => Ok((Base::Reg(self.global(*global)), off)),
                Err(_) => self.reg_address(ptr, offset_of(wide)?),
            },
            _ => self.reg_address(ptr, offset),
        }
    }

    fn slot_address(&self, slot: StackSlot, offset: i64) -> Result<(Base, i16), Error> {
        let offset = i64::from(self.frame.slot(slot)?) + offset;
        Ok((Base::Frame, i16::try_from(offset).map_err(|_| Error::Offset { offset })?))
    }

    fn reg_address(&mut self, ptr: Value, offset: i32) -> Result<(Base, i16), Error> {
        let a = self.reg(ptr)?;
        if let Ok(off) = i16::try_from(offset) {
            return Ok((Base::Reg(a), off));
        }
        let dst = self.fresh();
        self.push(VInst::Alu { op: AluOp::Add, dst, a, b: Src::Imm(offset), core: None });
        Ok((Base::Reg(dst), 0))
    }
}
