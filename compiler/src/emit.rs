//! Every representation as text: what `oomc build --emit=STAGE` and the golden cases show.

use core::fmt;
use core::str::FromStr;

use crate::diag::{self, Diagnostic, Sink};
use crate::pipeline::{Checked, Parsed, no_code};
use crate::syntax::lower_cst;
use crate::{KernelView, Source, object};

/// A representation of a policy, in the order of translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The grammar's pairs.
    Cst,
    /// The syntax tree.
    Ast,
    /// Names bound, types known.
    Hir,
    /// Walks, and what each asks of whom, after the passes over the plan.
    Plan,
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
    pub const ALL: [Self; 10] = [
        Self::Cst,
        Self::Ast,
        Self::Hir,
        Self::Plan,
        Self::Ir,
        Self::Opt,
        Self::Vcode,
        Self::Asm,
        Self::Btf,
        Self::Elf,
    ];

    /// As written on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cst => "cst",
            Self::Ast => "ast",
            Self::Hir => "hir",
            Self::Plan => "plan",
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
    // What stands before the syntax tree is printed from the text, and what is wrong with it is not told.
    let said_nothing = |text| Dumped { text: Some(text), diagnostics: Vec::new() };
    if stage == Stage::Cst {
        return said_nothing(lower_cst::dump(source));
    }
    let parsed = Parsed::new(source.clone());
    if stage == Stage::Ast {
        return said_nothing(parsed.print());
    }
    let checked = parsed.check(view);
    let mut sink = checked.sink();
    let text = text(&checked, stage, &mut sink);
    Dumped { text, diagnostics: sink.into_diagnostics() }
}

/// What stands behind the syntax tree.
fn text(checked: &Checked<'_>, stage: Stage, sink: &mut Sink) -> Option<String> {
    if stage == Stage::Hir {
        return checked.print();
    }
    if let Stage::Btf | Stage::Elf = stage {
        let bytes = checked.object(sink)?;
        let dumped = if stage == Stage::Btf { object::dump_btf(&bytes) } else { object::dump_elf(&bytes) };
        return dumped.map_err(|error| sink.push(diag::object_failed(&error.to_string()))).ok();
    }
    let planned = checked.plan()?;
    if stage == Stage::Plan {
        return Some(planned.print());
    }
    let lowered = planned.lower(sink)?;
    if stage == Stage::Ir {
        return Some(lowered.print());
    }
    let optimised = lowered.optimise(sink)?;
    let selected = match stage {
        Stage::Opt => return Some(optimised.print()),
        Stage::Vcode => return optimised.print_vcode().map_err(|error| sink.push(no_code(&error))).ok(),
        _ => optimised.select(),
    };
    selected.map(|programs| programs.print()).map_err(|error| sink.push(no_code(&error))).ok()
}
