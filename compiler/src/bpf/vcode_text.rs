//! VCode as text: what `--emit=vcode` shows.

use core::fmt;

use regalloc2::{Block, VReg};

use super::insn::{Src, Width, access, cond_symbol};
use super::vcode::{Base, Callee, VInst};
use super::{CoreKind, RelocTarget};

/// A virtual register as text.
struct Name(VReg);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "x{}", self.0.vreg())
    }
}

fn source(src: &Src<VReg>) -> String {
    match src {
        Src::Reg(reg) => Name(*reg).to_string(),
        Src::Imm(imm) => imm.to_string(),
    }
}

fn base(base: &Base) -> String {
    match base {
        Base::Reg(reg) => Name(*reg).to_string(),
        Base::Frame => "r10".into(),
    }
}

fn list(regs: &[VReg]) -> String {
    regs.iter().map(|reg| Name(*reg).to_string()).collect::<Vec<_>>().join(", ")
}

impl VInst {
    /// The instruction as text; `symbol` and `core` name what relocations refer to.
    #[must_use]
    pub fn text(&self, symbol: impl Fn(RelocTarget) -> String, core: impl Fn(CoreKind) -> String) -> String {
        let note =
            |kind: &Option<CoreKind>| kind.map(|kind| format!("  ; {}", core(kind))).unwrap_or_default();
        match self {
            Self::Arguments { dsts } => {
                let list: Vec<String> =
                    dsts.iter().map(|(dst, reg)| format!("{} = r{reg}", Name(*dst))).collect();
                list.join(", ")
            }
            Self::Mov { dst, imm, core } => format!("{} = {imm}{}", Name(*dst), note(core)),
            Self::Mov32 { dst, imm } => format!("{} = (u32){imm}", Name(*dst)),
            Self::Wide { dst, imm } => format!("{} = {imm:#x} ll", Name(*dst)),
            Self::Address { dst, symbol: target, offset } => {
                format!("{} = &{}{offset:+}", Name(*dst), symbol(*target))
            }
            Self::FrameAddress { dst, off } => format!("{} = r10 {off:+}", Name(*dst)),
            Self::Alu { op, dst, a, b, core } => {
                let op = op.symbol().trim_end_matches('=');
                format!("{} = {} {op} {}{}", Name(*dst), Name(*a), source(b), note(core))
            }
            Self::Neg { dst, a } => format!("{} = -{}", Name(*dst), Name(*a)),
            Self::Copy { dst, a, .. } => format!("{} = {}", Name(*dst), Name(*a)),
            Self::SignExtend { size, dst, a } => {
                format!("{} = ({}){}", Name(*dst), access(*size, true), Name(*a))
            }
            Self::Load { size, signed, dst, base: at, off, core } => {
                let access = access(*size, *signed);
                format!("{} = *({access} *)({} {off:+}){}", Name(*dst), base(at), note(core))
            }
            Self::Store { size, base: at, off, src } => {
                format!("*({} *)({} {off:+}) = {}", access(*size, false), base(at), source(src))
            }
            Self::Call { callee, args, result } => {
                let name = match callee {
                    Callee::Kfunc(id) => id.row().name,
                    Callee::Helper(helper) => helper.name,
                    Callee::Func(func) => &symbol(RelocTarget::Func(*func)),
                };
                let result = result.map(|result| format!("{} = ", Name(result))).unwrap_or_default();
                format!("{result}call {name}({})", list(args))
            }
            Self::Mark { point, object: None } => format!("mark {point}"),
            Self::Mark { point, object: Some(object) } => format!("mark {point}, {}", Name(*object)),
            Self::Jump(target) => format!("goto {}", label(target.block, &target.args)),
            Self::Branch { cond, width, a, b, then, otherwise } => {
                let narrow = if *width == Width::W32 { "(u32)" } else { "" };
                format!(
                    "if {narrow}{} {} {} goto {} else {}",
                    Name(*a),
                    cond_symbol(*cond),
                    source(b),
                    label(*then, &[]),
                    label(*otherwise, &[])
                )
            }
            Self::Return(value) => format!("return {}", source(value)),
        }
    }
}

/// `L3(x1, x2)`
#[must_use]
pub(super) fn label(block: Block, args: &[VReg]) -> String {
    if args.is_empty() {
        format!("L{}", block.index())
    } else {
        format!("L{}({})", block.index(), list(args))
    }
}
