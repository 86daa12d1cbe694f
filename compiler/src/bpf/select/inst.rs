//! Selection of one instruction: what has an effect or reads a register.

use oomc_abi::kfuncs::Ret;
use oomc_abi::resolve::{Member, Shape};
use regalloc2::VReg;

use super::{Callee, Select, offset_of};
use crate::bpf::CoreKind;
use crate::bpf::insn::{AluOp, Src, Width};
use crate::bpf::limits::Error;
use crate::bpf::vcode::{Base, VInst};
use crate::ir::opcodes::Effect;
use crate::ir::{BinOp, Block, FieldRef, Inst, InstData, Operand, Size, Value};

impl Select<'_> {
    pub(super) fn inst(&mut self, block: Block, inst: Inst) -> Result<(), Error> {
        let func = self.func;
        let data = &func.insts[inst];
        match data {
            // Made where they are used.
            _ if data.effect() == Effect::Constant => {}
            // Taken over at the entry.
            InstData::Param(_) => {}
            InstData::Binary(op, a, b) => self.binary(self.result(inst)?, *op, *a, *b)?,
            InstData::SignExtend(size, a) => self.sign_extend(self.result(inst)?, *size, *a)?,
            InstData::LoadCtx(word) => self.load_ctx(self.result(inst)?, *word)?,
            InstData::Load { size, ptr, offset } => self.load(self.result(inst)?, *size, *ptr, *offset)?,
            InstData::Store { size, ptr, offset, value } => {
                let (base, off) = self.address(*ptr, *offset)?;
                let src = self.store_source(*size, *value)?;
                self.push(VInst::Store { size: *size, base, off, src });
            }
            InstData::LoadField { ptr, field } | InstData::LoadPtr { ptr, field } => {
                self.load_member(self.result(inst)?, *ptr, *field)?;
            }
            InstData::FieldAddr { ptr, field } => self.member_address(self.result(inst)?, *ptr, *field)?,
            InstData::PtrAdd(ptr, value) => {
                let a = self.reg(*ptr)?;
                let b = self.source(Operand::Value(*value))?;
                let dst = self.define(self.result(inst)?);
                self.push(VInst::Alu { op: AluOp::Add, dst, a, b, core: None });
            }
            InstData::Call { kfunc, args } => {
                self.call(Callee::Kfunc(*kfunc), args, func.results[inst], kfunc.row().ret)?;
            }
            InstData::CallFunc { func: callee, args } => {
                self.call(Callee::Func(*callee), args, func.results[inst], Ret::Long)?;
            }
            InstData::CallHelper { helper, args } => {
                self.call(Callee::Helper(*helper), args, func.results[inst], Ret::Long)?;
            }
            InstData::Mark { point, object } => {
                let object = object.map(|object| self.reg(object)).transpose()?;
                self.push(VInst::Mark { point: *point, object });
            }
            InstData::Jump(call) => {
                let target = self.target(call)?;
                self.push(VInst::Jump(target));
            }
            InstData::Branch { cond, a, b, then, otherwise } => {
                self.branch(block, *cond, *a, *b, [then, otherwise])?;
            }
            InstData::Return(value) => {
                let value = self.source(*value)?;
                self.push(VInst::Return(value));
            }
            _ => return Err(Error::Internal("an instruction cannot be selected")),
        }
        Ok(())
    }

    fn result(&self, inst: Inst) -> Result<Value, Error> {
        self.func.results[inst].ok_or(Error::Internal("an instruction has no result"))
    }

    fn load_ctx(&mut self, result: Value, word: u32) -> Result<(), Error> {
        let offset = i64::from(word) * 8;
        let off = i16::try_from(offset).map_err(|_| Error::Offset { offset })?;
        let context = self.context.ok_or(Error::Internal("the context was not taken over"))?;
        let dst = self.define(result);
        self.push(VInst::Load {
            size: Size::B8,
            signed: false,
            dst,
            base: Base::Reg(context),
            off,
            core: None,
        });
        Ok(())
    }

    fn load(&mut self, result: Value, size: Size, ptr: Value, offset: i32) -> Result<(), Error> {
        let (base, off) = self.address(ptr, offset)?;
        let dst = self.define(result);
        let extended = self.only_sign_extended(result, size);
        if let Some(extended) = extended {
            self.vregs[extended] = Some(dst);
        }
        self.push(VInst::Load { size, signed: extended.is_some(), dst, base, off, core: None });
        Ok(())
    }

    fn load_member(&mut self, result: Value, ptr: Value, field: FieldRef) -> Result<(), Error> {
        let facts = self.facts;
        let member = facts.member(field)?;
        let size = self.number_size(field, member)?;
        let off =
            i16::try_from(member.offset).map_err(|_| Error::Offset { offset: i64::from(member.offset) })?;
        let base = Base::Reg(self.reg(ptr)?);
        let dst = self.define(result);
        let signed = member.signed && size != Size::B8 && member.shape == Shape::Number;
        let core = Some(CoreKind::FieldByteOffset(field));
        self.push(VInst::Load { size, signed, dst, base, off, core });
        Ok(())
    }

    fn number_size(&self, field: FieldRef, member: &Member) -> Result<Size, Error> {
        match Size::ALL.iter().find(|size| size.bytes() == member.size) {
            Some(size) => Ok(*size),
            None => {
                let field = &self.func.refs.fields[field];
                let (container, path) = (field.container.clone(), field.path.clone());
                Err(Error::MemberSize { container, path, size: member.size })
            }
        }
    }

    fn member_address(&mut self, result: Value, ptr: Value, field: FieldRef) -> Result<(), Error> {
        let facts = self.facts;
        let offset = match facts.bit_field(field) {
            Some(bits) => bits.offset,
            None => facts.member(field)?.offset,
        };
        let offset = offset_of(i64::from(offset))?;
        let a = self.reg(ptr)?;
        let dst = self.define(result);
        let core = Some(CoreKind::FieldByteOffset(field));
        self.push(VInst::Alu { op: AluOp::Add, dst, a, b: Src::Imm(offset), core });
        Ok(())
    }

    fn sign_extend(&mut self, result: Value, size: Size, a: Value) -> Result<(), Error> {
        // It may have been merged with the load that it extends.
        if self.vregs[result].is_some() {
            return Ok(());
        }
        let a = self.reg(a)?;
        if size == Size::B8 {
            self.vregs[result] = Some(a);
        } else {
            let dst = self.define(result);
            self.push(VInst::SignExtend { size, dst, a });
        }
        Ok(())
    }

    fn binary(&mut self, result: Value, op: BinOp, a: Value, b: Operand) -> Result<(), Error> {
        if op == BinOp::Sub
            && self.constant(a) == Some(0)
            && let Operand::Value(b) = b
        {
            let a = self.reg(b)?;
            let dst = self.define(result);
            self.push(VInst::Neg { dst, a });
            return Ok(());
        }
        let (mut a, mut b) = (a, b);
        let commutes = matches!(op, BinOp::Add | BinOp::Mul | BinOp::And | BinOp::Or | BinOp::Xor);
        if let Operand::Value(right) = b
            && commutes
            && self.constant(a).is_some()
        {
            (a, b) = (right, Operand::Value(a));
        }
        let op = operator(op);
        let source = match (op, self.source(b)?) {
            // The verifier refuses a constant division by zero and a constant shift by 64 or more, but
            // defines both where the operand is a register.
            (AluOp::Div | AluOp::Sdiv | AluOp::Mod, Src::Imm(0)) => Src::Reg(self.imm(0)),
            (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Src::Imm(imm)) => Src::Imm(imm & 63),
            (_, source) => source,
        };
        let a = self.reg(a)?;
        let dst = self.define(result);
        self.push(VInst::Alu { op, dst, a, b: source, core: None });
        Ok(())
    }

    /// The value that extends the sign of `value`, if nothing else reads `value`.
    fn only_sign_extended(&self, value: Value, size: Size) -> Option<Value> {
        let [inst] = self.uses(value) else { return None };
        match self.func.insts[*inst] {
            InstData::SignExtend(width, _) if width == size && size != Size::B8 => self.func.results[*inst],
            _ => None,
        }
    }

    /// Whether all readers of an `int` result compare it with a constant: then the 32 bits that are defined
    /// are enough.
    fn only_compared(&self, value: Value) -> bool {
        self.uses(value).iter().all(|inst| match &self.func.insts[*inst] {
            InstData::Branch { a, b, then, otherwise, .. } => {
                let small = match b {
                    Operand::Imm(_) => true,
                    Operand::Value(b) => {
                        *b != value && self.constant(*b).is_some_and(|imm| i32::try_from(imm).is_ok())
                    }
                };
                *a == value && small && !then.args.contains(&value) && !otherwise.args.contains(&value)
            }
            _ => false,
        })
    }

    fn call(&mut self, callee: Callee, args: &[Value], result: Option<Value>, ret: Ret) -> Result<(), Error> {
        let args: Vec<VReg> = args.iter().map(|arg| self.reg(*arg)).collect::<Result<_, _>>()?;
        let used = result.filter(|result| !self.uses(*result).is_empty());
        // R1 to R5 hold nothing after a call, and R6 to R9 are too few to carry what can be made anew.
        self.shared.clear();
        let Some(used) = used else {
            self.push(VInst::Call { callee, args, result: None });
            return Ok(());
        };
        match ret {
            Ret::Bool => {
                let a = self.fresh();
                self.push(VInst::Call { callee, args, result: Some(a) });
                let dst = self.define(used);
                self.push(VInst::Alu { op: AluOp::And, dst, a, b: Src::Imm(0xff), core: None });
            }
            Ret::Int if !self.only_compared(used) => {
                let a = self.fresh();
                self.push(VInst::Call { callee, args, result: Some(a) });
                let dst = self.define(used);
                self.push(VInst::SignExtend { size: Size::B4, dst, a });
            }
            _ => {
                let result = Some(self.define(used));
                self.push(VInst::Call { callee, args, result });
            }
        }
        Ok(())
    }

    /// How many bits of a value its comparison reads.
    pub(super) fn compare_width(&self, value: Value) -> Width {
        match self.func.def_inst(value) {
            Some(InstData::Call { kfunc, .. })
                if kfunc.row().ret == Ret::Int && self.only_compared(value) =>
            {
                Width::W32
            }
            _ => Width::W64,
        }
    }
}

fn operator(op: BinOp) -> AluOp {
    match op {
        BinOp::Add => AluOp::Add,
        BinOp::Sub => AluOp::Sub,
        BinOp::Mul => AluOp::Mul,
        BinOp::Udiv => AluOp::Div,
        BinOp::Sdiv => AluOp::Sdiv,
        BinOp::Umod => AluOp::Mod,
        BinOp::And => AluOp::And,
        BinOp::Or => AluOp::Or,
        BinOp::Xor => AluOp::Xor,
        BinOp::Shl => AluOp::Lsh,
        BinOp::Ushr => AluOp::Rsh,
        BinOp::Sshr => AluOp::Arsh,
    }
}
