//! Every representation as text: what `oomc build --emit=STAGE` and the golden cases show.

use core::fmt;
use core::str::FromStr;

use super::{KernelView, Source, build, optimised, parse};
use crate::diag::{self, Diagnostic, Sink};
use crate::{bpf, hir, ir, lower, object};

/// A representation of a policy, in the order of translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The grammar's pairs.
    Cst,
    /// The syntax tree.
    Ast,
    /// Names bound, types known.
    Hir,
    /// SSA, as lowered.
    Ir,
    /// SSA after the passes.
    Opt,
    /// BPF with virtual registers.
    Vcode,
    /// BPF as the verifier prints it.
    Asm,
    /// The object's own types.
    Btf,
    /// Sections, symbols and relocations of the object.
    Elf,
}

impl Stage {
    /// All, in order.
    pub const ALL: [Self; 9] =
        [Self::Cst, Self::Ast, Self::Hir, Self::Ir, Self::Opt, Self::Vcode, Self::Asm, Self::Btf, Self::Elf];

    /// As written on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cst => "cst",
            Self::Ast => "ast",
            Self::Hir => "hir",
            Self::Ir => "ir",
            Self::Opt => "opt",
            Self::Vcode => "vcode",
            Self::Asm => "asm",
            Self::Btf => "btf",
            Self::Elf => "elf",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|stage| stage.name()).collect();
            format!("`{name}` is no stage; one of {}", names.join(", "))
        })
    }
}

/// A representation as text.
#[derive(Debug)]
pub struct Dumped {
    /// The text; none if an error comes before the stage.
    pub text: Option<String>,
    /// Errors and warnings, in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Prints one representation of a policy.
#[must_use]
pub fn dump(source: &Source, view: &KernelView, stage: Stage) -> Dumped {
    let mut sink = Sink::default();
    let text = text(source, view, stage, &mut sink);
    Dumped { text, diagnostics: sink.into_diagnostics() }
}

fn text(source: &Source, view: &KernelView, stage: Stage, sink: &mut Sink) -> Option<String> {
    match stage {
        Stage::Cst => return Some(parse::dump_cst(source)),
        Stage::Ast => return Some(parse::dump_ast(source)),
        Stage::Hir | Stage::Ir | Stage::Opt | Stage::Vcode => {
            let policy = parse::parse_and_check(source, view, sink)?;
            match stage {
                Stage::Hir => return Some(hir::print::print(&policy)),
                _ if sink.has_errors() => return None,
                Stage::Ir => return Some(ir::write::module(&lower::lower(&policy, view))),
                _ => {}
            }
            let module = optimised(&policy, view, sink)?;
            if stage == Stage::Opt {
                return Some(ir::write::module(&module));
            }
            let texts = module.functions.iter().map(|func| bpf::dump_vcode(func, source, view));
            return match texts.collect::<Result<Vec<String>, bpf::Error>>() {
                Ok(texts) => Some(texts.concat()),
                Err(error) => {
                    sink.push(super::no_code(&error));
                    None
                }
            };
        }
        Stage::Asm | Stage::Btf | Stage::Elf => {}
    }
    let built = build(source, view, sink)?;
    if stage == Stage::Asm {
        let functions = built.programs.iter().zip(&built.module.functions);
        return Some(functions.map(|(program, func)| bpf::disasm::disassemble(program, func)).collect());
    }
    let dumped = built.write(source, view).and_then(|bytes| match stage {
        Stage::Btf => object::dump_btf(&bytes),
        _ => object::dump_elf(&bytes),
    });
    match dumped {
        Ok(text) => Some(text),
        Err(error) => {
            sink.push(diag::object_failed(&error.to_string()));
            None
        }
    }
}
