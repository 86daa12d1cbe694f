//! Instruction selection: IR to VCode.
//!
//! Takes a verified function, gives BPF with virtual registers in which no critical edge is left. What
//! costs one instruction and reads no register — constants, addresses of slots and globals, facts of the
//! target's BTF — is made where it is used, so that it is never carried across a call. The address of a
//! global takes two places and is shared until the next call, also by blocks with one way in.

use std::collections::HashMap;

use cranelift_entity::SecondaryMap;
use oomc_abi::kfuncs::Ret;
use oomc_abi::resolve::{BitField, KernelView, Member, Shape};
use regalloc2::{Block as VBlockId, VReg};

use super::frame::Frame;
use super::insn::{AluOp, Src, Width};
use super::limits::Error;
use super::live_across_calls;
use super::vcode::{Base, CLASS, Callee, Target, VBlock, VCode, VInst};
use super::{CoreKind, RelocTarget};
use crate::ir::{
    BinOp, Block, BlockCall, Cond, EnumRef, FieldFact, FieldRef, Function, Global, Inst, InstData, KsymRef,
    Operand, Size, StackSlot, Value, cfg::Cfg,
};
use crate::source::Span;

/// Selects instructions for a function.
///
/// # Errors
/// The view lacks a member or enumerator, or an offset does not fit its instruction.
pub fn select(func: &Function, view: &KernelView, frame: &Frame) -> Result<VCode, Error> {
    Select::new(func, view, frame).run()
}

/// A value that several uses in a row may share.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Shared {
    Global(Global),
    Ksym(KsymRef),
    Wide(i64),
}

struct Select<'a> {
    func: &'a Function,
    view: &'a KernelView,
    frame: &'a Frame,
    cfg: Cfg,
    uses: SecondaryMap<Value, Vec<Inst>>,
    vregs: SecondaryMap<Value, Option<VReg>>,
    /// The argument of the program.
    context: Option<VReg>,
    /// The VCode blocks: each block of the IR in the order of the layout, and after it the edges that
    /// leave it.
    blocks: Vec<VBlock>,
    /// The block that takes instructions.
    current: usize,
    numbers: SecondaryMap<Block, usize>,
    shared: HashMap<Shared, VReg>,
    /// What was shared where a block ended.
    shared_at_end: Vec<HashMap<Shared, VReg>>,
    span: Span,
    next_vreg: usize,
}

impl<'a> Select<'a> {
    fn new(func: &'a Function, view: &'a KernelView, frame: &'a Frame) -> Self {
        let cfg = Cfg::new(func);
        let mut uses: SecondaryMap<Value, Vec<Inst>> = SecondaryMap::new();
        for block in cfg.reachable(func) {
            for &inst in &func.blocks[block].insts {
                func.insts[inst].for_each_use(|value| uses[value].push(inst));
            }
        }
        Self {
            func,
            view,
            frame,
            cfg,
            uses,
            vregs: SecondaryMap::new(),
            context: None,
            blocks: Vec::new(),
            current: 0,
            numbers: SecondaryMap::new(),
            shared: HashMap::new(),
            shared_at_end: Vec::new(),
            span: Span::default(),
            next_vreg: 0,
        }
    }

    fn run(mut self) -> Result<VCode, Error> {
        // Numbers first: a branch names blocks that are not yet selected.
        let mut number = 0;
        for block in self.cfg.reachable(self.func) {
            self.numbers[block] = number;
            number += 1 + self.edges(block).into_iter().filter(|split| *split).count();
        }
        self.blocks.resize_with(number, VBlock::default);
        self.shared_at_end.resize_with(number, HashMap::new);
        // Definitions before uses: a use may find that its definition was merged with another.
        let order: Vec<Block> = self.cfg.reverse_postorder().collect();
        for block in order {
            self.block(block)?;
        }
        live_across_calls::copy(&mut self.blocks, &mut self.next_vreg);
        Ok(VCode::new(self.blocks, self.next_vreg))
    }

    /// Which ways out of a branch need a block of their own: those that carry arguments, and those into a
    /// block with another way in.
    fn edges(&self, block: Block) -> Vec<bool> {
        match self.func.terminator(block) {
            Some(InstData::Branch { then, otherwise, .. }) => [then, otherwise]
                .map(|call| !call.args.is_empty() || self.cfg.predecessors(call.block).len() > 1)
                .to_vec(),
            _ => Vec::new(),
        }
    }

    fn fresh(&mut self) -> VReg {
        let vreg = VReg::new(self.next_vreg, CLASS);
        self.next_vreg += 1;
        vreg
    }

    /// The register that holds a value's definition.
    fn define(&mut self, value: Value) -> VReg {
        if let Some(vreg) = self.vregs[value] {
            return vreg;
        }
        let vreg = self.fresh();
        self.vregs[value] = Some(vreg);
        vreg
    }

    fn push(&mut self, inst: VInst) {
        let span = self.span;
        if let Some(block) = self.blocks.get_mut(self.current) {
            block.insts.push((inst, span));
        }
    }

    /// Continues in a block; `from` is the only block that leads there, if there is only one.
    fn open(&mut self, number: usize, from: Option<usize>) {
        let shared = core::mem::take(&mut self.shared);
        if let Some(left) = self.shared_at_end.get_mut(self.current) {
            *left = shared;
        }
        self.current = number;
        self.shared = from.and_then(|from| self.shared_at_end.get(from)).cloned().unwrap_or_default();
    }

    fn block(&mut self, block: Block) -> Result<(), Error> {
        let func = self.func;
        let from = match *self.cfg.predecessors(block) {
            [from] => Some(self.numbers[from]),
            _ => None,
        };
        self.open(self.numbers[block], from);
        let params = func.blocks[block].params.iter().map(|param| self.define(*param)).collect();
        if let Some(current) = self.blocks.get_mut(self.current) {
            current.params = params;
        }
        if func.entry() == Some(block) {
            self.arguments();
        }
        for &inst in &func.blocks[block].insts {
            self.span = func.spans[inst];
            self.inst(block, inst)?;
        }
        Ok(())
    }

    /// Takes over what the function is called with: all at once, before any register is used otherwise.
    fn arguments(&mut self) {
        let func = self.func;
        let mut dsts: Vec<(VReg, u8)> = Vec::new();
        for inst in self.cfg.reachable(func).flat_map(|block| &func.blocks[block].insts).collect::<Vec<_>>() {
            match (&func.insts[*inst], func.results[*inst]) {
                (InstData::LoadCtx(_), _) if self.context.is_none() => {
                    let dst = self.fresh();
                    self.context = Some(dst);
                    dsts.push((dst, 1));
                }
                (InstData::Param(at), Some(result)) if !self.uses[result].is_empty() => {
                    let reg = *at as u8 + 1;
                    match dsts.iter().find(|(_, taken)| *taken == reg) {
                        // The same parameter read twice.
                        Some((dst, _)) => self.vregs[result] = Some(*dst),
                        None => dsts.push((self.define(result), reg)),
                    }
                }
                _ => {}
            }
        }
        if !dsts.is_empty() {
            self.push(VInst::Arguments { dsts });
        }
    }

    fn inst(&mut self, block: Block, inst: Inst) -> Result<(), Error> {
        let func = self.func;
        let result = func.results[inst];
        match &func.insts[inst] {
            // Taken over at the entry.
            InstData::Param(_) => {}
            // Made where they are used.
            InstData::Iconst(_)
            | InstData::FieldExists(_)
            | InstData::FieldFact(..)
            | InstData::EnumValue(_)
            | InstData::EnumExists(_)
            | InstData::TypeId(_)
            | InstData::KsymAddr(_)
            | InstData::KfuncAddr(_)
            | InstData::MapAddr(_)
            | InstData::StackAddr(_)
            | InstData::GlobalAddr { .. } => {}
            InstData::Binary(op, a, b) => self.binary(result, *op, *a, *b)?,
            InstData::SignExtend(size, a) => {
                if let Some(result) = result
                    && self.vregs[result].is_none()
                {
                    let a = self.reg(*a)?;
                    if *size == Size::B8 {
                        self.vregs[result] = Some(a);
                    } else {
                        let dst = self.define(result);
                        self.push(VInst::SignExtend { size: *size, dst, a });
                    }
                }
            }
            InstData::LoadCtx(index) => {
                let off =
                    i16::try_from(index * 8).map_err(|_| Error::Offset { offset: i64::from(*index) * 8 })?;
                if let (Some(result), Some(context)) = (result, self.context) {
                    let dst = self.define(result);
                    let base = Base::Reg(context);
                    self.push(VInst::Load { size: Size::B8, signed: false, dst, base, off, core: None });
                }
            }
            InstData::Load { size, ptr, offset } => {
                let (base, off) = self.address(*ptr, *offset)?;
                if let Some(result) = result {
                    let dst = self.define(result);
                    let extended = self.only_sign_extended(result, *size);
                    if let Some(extended) = extended {
                        self.vregs[extended] = Some(dst);
                    }
                    let signed = extended.is_some();
                    self.push(VInst::Load { size: *size, signed, dst, base, off, core: None });
                }
            }
            InstData::Store { size, ptr, offset, value } => {
                let (base, off) = self.address(*ptr, *offset)?;
                let src = self.store_source(*size, *value)?;
                self.push(VInst::Store { size: *size, base, off, src });
            }
            InstData::LoadField { ptr, field } | InstData::LoadPtr { ptr, field } => {
                let member = self.member(*field)?;
                let size = self.number_size(*field, &member)?;
                let off = i16::try_from(member.offset)
                    .map_err(|_| Error::Offset { offset: i64::from(member.offset) })?;
                let base = Base::Reg(self.reg(*ptr)?);
                if let Some(result) = result {
                    let dst = self.define(result);
                    let signed = member.signed && size != Size::B8 && member.shape == Shape::Number;
                    let core = Some(CoreKind::FieldByteOffset(*field));
                    self.push(VInst::Load { size, signed, dst, base, off, core });
                }
            }
            InstData::FieldAddr { ptr, field } => {
                let offset = match self.bit_field(*field) {
                    Some(bits) => bits.offset,
                    None => self.member(*field)?.offset,
                };
                let offset =
                    i32::try_from(offset).map_err(|_| Error::Offset { offset: i64::from(offset) })?;
                let a = self.reg(*ptr)?;
                if let Some(result) = result {
                    let dst = self.define(result);
                    let core = Some(CoreKind::FieldByteOffset(*field));
                    self.push(VInst::Alu { op: AluOp::Add, dst, a, b: Src::Imm(offset), core });
                }
            }
            InstData::PtrAdd(ptr, value) => {
                let a = self.reg(*ptr)?;
                let b = self.source(Operand::Value(*value))?;
                if let Some(result) = result {
                    let dst = self.define(result);
                    self.push(VInst::Alu { op: AluOp::Add, dst, a, b, core: None });
                }
            }
            InstData::Call { kfunc, args } => {
                self.call(Callee::Kfunc(*kfunc), args, result, kfunc.row().ret)?;
            }
            InstData::CallFunc { func, args } => {
                self.call(Callee::Func(*func), args, result, Ret::Long)?;
            }
            InstData::CallHelper { helper, args } => {
                self.call(Callee::Helper(*helper), args, result, Ret::Long)?;
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
        }
        Ok(())
    }

    fn member(&self, field: FieldRef) -> Result<Member, Error> {
        let field = &self.func.refs.fields[field];
        self.view
            .member(&field.container, &field.path)
            .ok_or_else(|| Error::Member { container: field.container.clone(), path: field.path.clone() })
    }

    fn bit_field(&self, field: FieldRef) -> Option<BitField> {
        let field = &self.func.refs.fields[field];
        self.view.bit_field(&field.container, &field.path)
    }

    fn number_size(&self, field: FieldRef, member: &Member) -> Result<Size, Error> {
        match member.size {
            1 => Ok(Size::B1),
            2 => Ok(Size::B2),
            4 => Ok(Size::B4),
            8 => Ok(Size::B8),
            size => {
                let field = &self.func.refs.fields[field];
                Err(Error::MemberSize { container: field.container.clone(), path: field.path.clone(), size })
            }
        }
    }

    fn enumerator(&self, enumerator: EnumRef) -> Result<i64, Error> {
        let name = &self.func.refs.enums[enumerator];
        self.view.enumerator(&name.enumeration, &name.name).ok_or_else(|| Error::Enumerator {
            enumeration: name.enumeration.clone(),
            name: name.name.clone(),
        })
    }

    fn def(&self, value: Value) -> Option<&'a InstData> {
        self.func.def_inst(value)
    }

    /// The value of a constant.
    fn constant(&self, value: Value) -> Option<i64> {
        match self.def(value) {
            Some(InstData::Iconst(imm)) => Some(*imm),
            _ => None,
        }
    }

    /// A register that holds a value here: its own, or one made now.
    fn reg(&mut self, value: Value) -> Result<VReg, Error> {
        let Some(def) = self.def(value) else { return Ok(self.define(value)) };
        match *def {
            InstData::Iconst(imm) => Ok(self.imm(imm)),
            InstData::FieldExists(field) => Ok(self.fact(1, CoreKind::FieldExists(field))),
            InstData::FieldFact(fact, field) => {
                let Some(bits) = self.bit_field(field) else {
                    let field = &self.func.refs.fields[field];
                    return Err(Error::Member {
                        container: field.container.clone(),
                        path: field.path.clone(),
                    });
                };
                let value = bit_fact(fact, &bits);
                Ok(self.fact(value as i32, CoreKind::FieldFact(fact, field)))
            }
            InstData::EnumExists(enumerator) => Ok(self.fact(1, CoreKind::EnumExists(enumerator))),
            InstData::EnumValue(enumerator) => {
                let value = self.enumerator(enumerator)?;
                let imm = i32::try_from(value).map_err(|_| Error::Offset { offset: value })?;
                Ok(self.fact(imm, CoreKind::EnumValue(enumerator)))
            }
            InstData::TypeId(ty) => {
                // The object's own id is put in when its BTF is known.
                Ok(self.fact(0, CoreKind::TypeIdTarget(ty)))
            }
            InstData::KsymAddr(ksym) => Ok(self.shared(Shared::Ksym(ksym), |dst| VInst::Address {
                dst,
                symbol: RelocTarget::Ksym(ksym),
                offset: 0,
            })),
            InstData::KfuncAddr(kfunc) => {
                let dst = self.fresh();
                self.push(VInst::Address { dst, symbol: RelocTarget::KfuncAddr(kfunc), offset: 0 });
                Ok(dst)
            }
            InstData::MapAddr(map) => {
                let dst = self.fresh();
                self.push(VInst::Address { dst, symbol: RelocTarget::Map(map), offset: 0 });
                Ok(dst)
            }
            InstData::StackAddr(slot) => {
                let (dst, off) = (self.fresh(), self.frame.slot(slot)?);
                self.push(VInst::FrameAddress { dst, off });
                Ok(dst)
            }
            InstData::GlobalAddr { global, offset: 0 } => Ok(self.global(global)),
            InstData::GlobalAddr { global, offset } => {
                let offset =
                    i32::try_from(offset).map_err(|_| Error::Offset { offset: i64::from(offset) })?;
                let dst = self.fresh();
                match self.shared.get(&Shared::Global(global)) {
                    // Two places either way, but no relocation.
                    Some(&a) => {
                        self.push(VInst::Alu { op: AluOp::Add, dst, a, b: Src::Imm(offset), core: None })
                    }
                    None => self.push(VInst::Address { dst, symbol: RelocTarget::Global(global), offset }),
                }
                Ok(dst)
            }
            _ => Ok(self.define(value)),
        }
    }

    fn global(&mut self, global: Global) -> VReg {
        let symbol = RelocTarget::Global(global);
        self.shared(Shared::Global(global), |dst| VInst::Address { dst, symbol, offset: 0 })
    }

    fn shared(&mut self, key: Shared, make: impl FnOnce(VReg) -> VInst) -> VReg {
        if let Some(vreg) = self.shared.get(&key) {
            return *vreg;
        }
        let dst = self.fresh();
        self.push(make(dst));
        self.shared.insert(key, dst);
        dst
    }

    fn fact(&mut self, imm: i32, kind: CoreKind) -> VReg {
        let dst = self.fresh();
        self.push(VInst::Mov { dst, imm, core: Some(kind) });
        dst
    }

    fn imm(&mut self, imm: i64) -> VReg {
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

    fn source(&mut self, operand: Operand) -> Result<Src<VReg>, Error> {
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
    fn store_source(&mut self, size: Size, operand: Operand) -> Result<Src<VReg>, Error> {
        if let Operand::Value(value) = operand
            && size != Size::B8
            && let Some(imm) = self.constant(value)
        {
            return Ok(Src::Imm(imm as i32));
        }
        self.source(operand)
    }

    /// The address `ptr + offset` as a base and an offset that fits an instruction.
    fn address(&mut self, ptr: Value, offset: i32) -> Result<(Base, i16), Error> {
        let wide = i64::from(offset);
        match self.def(ptr) {
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

    fn binary(&mut self, result: Option<Value>, op: BinOp, a: Value, b: Operand) -> Result<(), Error> {
        let Some(result) = result else { return Ok(()) };
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
        let mut source = self.source(b)?;
        let op = match op {
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
        };
        source = match (op, source) {
            // The verifier refuses a constant division by zero and a constant shift by 64 or more, but
            // defines both where the operand is a register.
            (AluOp::Div | AluOp::Sdiv | AluOp::Mod, Src::Imm(0)) => Src::Reg(self.imm(0)),
            (AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, Src::Imm(imm)) => Src::Imm(imm & 63),
            _ => source,
        };
        let a = self.reg(a)?;
        let dst = self.define(result);
        self.push(VInst::Alu { op, dst, a, b: source, core: None });
        Ok(())
    }

    /// The value that extends the sign of `value`, if nothing else reads `value`.
    fn only_sign_extended(&self, value: Value, size: Size) -> Option<Value> {
        let [inst] = self.uses[value].as_slice() else { return None };
        match self.func.insts[*inst] {
            InstData::SignExtend(width, _) if width == size && size != Size::B8 => self.func.results[*inst],
            _ => None,
        }
    }

    /// Whether all readers of an `int` result compare it with a constant: then the 32 bits that are defined
    /// are enough.
    fn only_compared(&self, value: Value) -> bool {
        self.uses[value].iter().all(|inst| match &self.func.insts[*inst] {
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
        let args = args.iter().map(|arg| self.reg(*arg)).collect::<Result<Vec<_>, _>>()?;
        let used = result.filter(|result| !self.uses[*result].is_empty());
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

    fn target(&mut self, call: &BlockCall) -> Result<Target, Error> {
        let args = call.args.iter().map(|arg| self.reg(*arg)).collect::<Result<Vec<_>, _>>()?;
        Ok(Target { block: VBlockId::new(self.numbers[call.block]), args })
    }

    /// How many bits of a value its comparison reads.
    fn compare_width(&self, value: Value) -> Width {
        match self.def(value) {
            Some(InstData::Call { kfunc, .. })
                if kfunc.row().ret == Ret::Int && self.only_compared(value) =>
            {
                Width::W32
            }
            _ => Width::W64,
        }
    }

    fn branch(
        &mut self,
        block: Block,
        cond: Cond,
        a: Value,
        b: Operand,
        calls: [&BlockCall; 2],
    ) -> Result<(), Error> {
        let (mut cond, mut a, mut b) = (cond, a, b);
        if let Operand::Value(right) = b
            && self.constant(a).is_some()
            && self.constant(right).is_none()
        {
            (cond, a, b) = (cond.swapped(), right, Operand::Value(a));
        }
        let width = self.compare_width(a);
        let b = self.source(b)?;
        let a = self.reg(a)?;
        let mut number = self.current;
        let mut targets = Vec::new();
        let mut edges = Vec::new();
        for (split, call) in self.edges(block).into_iter().zip(calls) {
            if split {
                number += 1;
                edges.push((number, call));
                targets.push(VBlockId::new(number));
            } else {
                targets.push(VBlockId::new(self.numbers[call.block]));
            }
        }
        if let [then, otherwise] = *targets.as_slice() {
            self.push(VInst::Branch { cond, width, a, b, then, otherwise });
        }
        let from = self.current;
        for (number, call) in edges {
            self.open(number, Some(from));
            let target = self.target(call)?;
            self.push(VInst::Jump(target));
        }
        Ok(())
    }
}

/// What the kernel compiled against says of a bit-field.
pub(crate) fn bit_fact(fact: FieldFact, bits: &BitField) -> u32 {
    match fact {
        FieldFact::Size => bits.size,
        FieldFact::LeftShift => bits.left,
        FieldFact::RightShift => bits.right,
    }
}

fn offset_of(offset: i64) -> Result<i32, Error> {
    i32::try_from(offset).map_err(|_| Error::Offset { offset })
}
